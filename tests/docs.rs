//! The documentation and the product say the same: links lead somewhere, names of verbs, checks and exit codes are
//! complete, and `docs/reference/commands.md` is what the binary prints. `UPDATE=1` rewrites that page.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use assert_cmd::Command;
use regex::Regex;

const COMMANDS: &str = "docs/reference/commands.md";
const INDEX: &str = "docs/index.md";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a folder, by their path from the top of the checkout.
fn files(under: &str, ending: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.insert(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    assert!(!found.is_empty(), "no files under {under}");
    found
}

fn pages() -> BTreeSet<String> {
    let mut pages = files("docs", ".md");
    pages.insert("README.md".to_owned());
    pages
}

/// A page without its blocks of code, in which nothing is a link.
fn prose(text: &str) -> String {
    let mut code = false;
    let keep = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    };
    text.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

/// Targets of the relative links of a page, with their anchors.
fn links(page: &str) -> Vec<(String, Option<String>)> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let text = prose(&read(page));
    let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(|target| match target.split_once('#') {
            Some((path, anchor)) => (resolve(page, path), Some(anchor.to_owned())),
            None => (resolve(page, &target), None),
        })
        .collect()
}

/// A link's path from the top of the checkout.
fn resolve(page: &str, link: &str) -> String {
    if link.is_empty() {
        return page.to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    for part in Path::new(page).parent().unwrap().join(link).components() {
        match part {
            Component::ParentDir => drop(parts.pop().unwrap_or_else(|| panic!("{page}: {link} leaves the checkout"))),
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Anchors that a page's headings make.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(&read(page));
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
    };
    headings
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for (target, anchor) in links(&page) {
            if !root().join(&target).exists() {
                broken.push(format!("{page}: {target} does not exist"));
            } else if let Some(anchor) = anchor.filter(|anchor| !anchors(&target).contains(anchor)) {
                broken.push(format!("{page}: {target} has no heading #{anchor}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_index_names_every_page() {
    let linked: BTreeSet<String> = links(INDEX).into_iter().map(|(target, _)| target).collect();
    let missing: Vec<String> =
        files("docs", "").into_iter().filter(|file| file != INDEX && !linked.contains(file)).collect();
    assert!(missing.is_empty(), "{INDEX} does not link to {}", missing.join(", "));
}

fn help(args: &[&str]) -> String {
    let mut command = Command::cargo_bin("galeractl").unwrap();
    let output = command.args(args).arg("--help").env_clear().env("NO_COLOR", "1").output().unwrap();
    assert!(output.status.success(), "{args:?} --help");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Verbs that the binary has, read from its own help.
fn verbs(args: &[&str]) -> Vec<String> {
    let text = help(args);
    let Some((_, list)) = text.split_once("\nCommands:\n") else { return Vec::new() };
    let list = list.split("\n\n").next().unwrap();
    let verbs = list.lines().filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    verbs.map(str::to_owned).collect()
}

#[test]
fn every_verb_is_in_the_readme() {
    let readme = read("README.md");
    for verb in verbs(&[]) {
        assert!(readme.contains(&format!("| `{verb}` |")), "README.md has no row for `{verb}`");
    }
}

/// The page of commands, as the binary would write it.
fn commands() -> String {
    let mut page = "# Commands\n\nMade from the binary's own help; `UPDATE=1 cargo test --test docs` writes it anew. \
                    What the exit codes mean: [exit codes](exit-codes.md).\n"
        .to_owned();
    let mut add = |args: &[&str]| {
        let title = [&["galeractl"], args].concat().join(" ");
        // The options that every verb has are told once, at the top.
        let text = help(args);
        let text = if args.is_empty() { &text } else { text.split("\n\nWhich cluster:").next().unwrap() };
        page.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", text.trim_end()));
    };
    add(&[]);
    for verb in verbs(&[]) {
        add(&[&verb]);
        for below in verbs(&[&verb]) {
            add(&[&verb, &below]);
        }
    }
    page
}

#[test]
fn the_page_of_commands_is_what_the_binary_says() {
    let page = commands();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(COMMANDS), &page).unwrap();
    }
    assert_eq!(read(COMMANDS), page, "{COMMANDS} is out of date: UPDATE=1 cargo test --test docs");
}

#[test]
fn every_check_is_explained() {
    let id = Regex::new(r#"Question::new\(\s*[A-Z]+,\s*"([a-z-]+)""#).unwrap();
    let page = read("docs/reference/checks.md");
    let mut seen = 0;
    for file in files("src/checks", ".rs") {
        for found in id.captures_iter(&read(&file)) {
            seen += 1;
            assert!(page.contains(&format!("### `{}`", &found[1])), "checks.md does not explain {}", &found[1]);
        }
    }
    let told = page.lines().filter(|line| line.starts_with("### `")).count();
    assert_eq!(told, seen, "checks.md explains {told} checks, the product has {seen}");
}

#[test]
fn every_exit_code_is_explained() {
    let constant = Regex::new(r"pub const [A-Z]+: u8 = (\d+);").unwrap();
    let source = read("src/exit.rs");
    let codes: Vec<&str> = constant.captures_iter(&source).map(|found| found.extract::<1>().1[0]).collect();
    assert!(codes.len() >= 10, "src/exit.rs has only {} exit codes", codes.len());
    for page in ["README.md", "docs/reference/exit-codes.md"] {
        let text = read(page);
        for code in &codes {
            assert!(text.contains(&format!("| {code} |")), "{page} has no row for exit code {code}");
        }
    }
}

#[test]
fn every_event_is_explained() {
    let source = read("src/engine/event.rs");
    let events = source.split_once("pub enum Event {").unwrap().1.split("\n}").next().unwrap();
    let name = Regex::new(r"(?m)^    ([A-Z][A-Za-z]+) \{").unwrap();
    let words = Regex::new("[A-Z][a-z]+").unwrap();
    let page = read("docs/reference/events.md");
    let mut seen = 0;
    for found in name.captures_iter(events) {
        let parts: Vec<String> = words.find_iter(&found[1]).map(|word| word.as_str().to_lowercase()).collect();
        assert!(page.contains(&format!("`{}`", parts.join("-"))), "events.md does not explain {}", &found[1]);
        seen += 1;
    }
    assert!(seen >= 7, "only {seen} events were found in src/engine/event.rs");
}
