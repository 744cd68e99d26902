use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser};

use super::*;
use crate::cli::Cli;

fn complete(text: &str, place: &Place) -> String {
    super::complete(text, place, Some((Cli::command, "galeractl")))
}

fn place() -> Place {
    Place { name: Some("shop".to_owned()), namespace: Some("data".to_owned()), ..Place::default() }
}

fn far() -> Place {
    Place {
        context: Some("arn:aws:eks/prod".to_owned()),
        kubeconfig: Some("/home/a b/it's".to_owned()),
        user: Some("alice".to_owned()),
        groups: vec!["dba".to_owned(), "ops team".to_owned()],
        file: Some("my galera.conf".to_owned()),
        ..place()
    }
}

const FAR: &str = r"--name shop -n data --context arn:aws:eks/prod --kubeconfig '/home/a b/it'\''s' --as alice --as-group dba --as-group 'ops team'";

#[test]
fn commands_are_completed_and_prose_is_left_alone() {
    for (text, wanted) in [
        ("galeractl verify", "galeractl verify --name shop -n data"),
        ("look at it: galeractl status.", "look at it: galeractl status --name shop -n data."),
        ("galeractl status, kubectl get events", "galeractl status --name shop -n data, kubectl get events"),
        ("galeractl status shows who is missing", "galeractl status --name shop -n data shows who is missing"),
        ("`galeractl purge` empties them", "`galeractl purge --name shop -n data` empties them"),
        ("\u{1b}[1mhint: galeractl up\u{1b}[0m\n", "\u{1b}[1mhint: galeractl up --name shop -n data\u{1b}[0m\n"),
        // The size is kept, and it is this cluster's size.
        ("keep the size: galeractl up --nodes 3", "keep the size: galeractl up --nodes 3 --name shop -n data"),
        (
            "`galeractl teardown --delete-volumes` clears the way",
            "`galeractl teardown --delete-volumes --name shop -n data` clears the way",
        ),
        (
            "galeractl teardown --delete-volumes clears the way",
            "galeractl teardown --delete-volumes --name shop -n data clears the way",
        ),
        (
            "galeractl restore --continue finishes it, --undo takes it back",
            "galeractl restore --continue --name shop -n data finishes it, --undo takes it back",
        ),
        (
            "begin one: galeractl restore --from latest",
            "begin one: galeractl restore --from latest --name shop -n data",
        ),
        ("galeractl backup now --full", "galeractl backup now --full --name shop -n data"),
        ("galeractl backup move --to NODE", "galeractl backup move --to NODE --name shop -n data"),
        (
            "galeractl up; then galeractl verify",
            "galeractl up --name shop -n data; then galeractl verify --name shop -n data",
        ),
        // What is said is not said again.
        ("galeractl up --name web", "galeractl up --name web -n data"),
        ("galeractl up --name=web --namespace x", "galeractl up --name=web --namespace x"),
        ("galeractl up -n x --name web", "galeractl up -n x --name web"),
        // Not everything after the program's name is a verb, and journals belong to no cluster.
        ("the password of user galeractl in secret/a", "the password of user galeractl in secret/a"),
        ("galeractl fly", "galeractl fly"),
        (
            "type: galeractl sql -e 'SELECT (1); x' --any.",
            "type: galeractl sql -e 'SELECT (1); x' --any --name shop -n data.",
        ),
        ("galeractl runs list", "galeractl runs list"),
        ("nothing to do", "nothing to do"),
    ] {
        assert_eq!(complete(text, &place()), wanted);
    }
}

#[test]
fn the_way_to_the_cluster_is_repeated_and_a_file_where_a_verb_reads_it() {
    assert_eq!(complete("galeractl verify", &far()), format!("galeractl verify {FAR}"));
    assert_eq!(complete("galeractl up", &far()), format!("galeractl up {FAR} -f 'my galera.conf'"));
    let other = complete("galeractl purge --released -f galera.conf", &far());
    assert_eq!(other, format!("galeractl purge --released -f galera.conf {FAR}"));
    assert_eq!(complete("galeractl verify", &Place::default()), "galeractl verify");
    let prod = Place { context: Some("prod".to_owned()), ..place() };
    assert_eq!(
        complete("kubectl logs -n data p; `kubectl get nodes`", &prod),
        "kubectl --context prod logs -n data p; `kubectl --context prod get nodes`"
    );
    assert_eq!(complete("kubectl get events -n data", &place()), "kubectl get events -n data");
    assert_eq!(complete("kubectl --context x get pods", &prod), "kubectl --context x get pods");
}

#[test]
fn what_becomes_known_later_is_used() {
    let meant = Meant::default().in_terms_of(Cli::command, "galeractl");
    let view = meant.clone();
    assert_eq!(view.complete("galeractl up"), "galeractl up");
    meant.learn(|place| place.name = Some("shop".to_owned()));
    assert_eq!(view.complete("galeractl up"), "galeractl up --name shop");
    let plugin = meant.in_terms_of(Cli::command, "kubectl galera");
    assert_eq!(plugin.complete("galeractl up, or galeractl"), "kubectl galera up --name shop, or galeractl");
}

/// Lines of the product below `src`, without comments and tests.
fn product() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                found.extend(lines.map(|line| (name.clone(), line.to_owned())));
            }
        }
    }
    found
}

/// Splits a command as a shell does, where only single quotes matter.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut within = false;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        let word = words.len() - 1;
        match c {
            '\'' => within = !within,
            '\\' if !within => words[word].extend(chars.next()),
            ' ' if !within => words.push(String::new()),
            _ => words[word].push(c),
        }
    }
    words
}

/// Every command that the product names is one that can be typed, also when it has been completed.
#[test]
fn every_hint_parses() {
    let mut grammar = Cli::command();
    grammar.build();
    let placeholder = regex::Regex::new(r"\{[^}]*\}|…|\bNODE\b").unwrap();
    let mut seen = 0;
    for (file, line) in product() {
        let line = placeholder.replace_all(&line, "1").replace("--name 1", "--name shop");
        for (begin, _) in line.match_indices(PROGRAM) {
            let text = &line[begin + PROGRAM.len()..];
            let Some(typed) = Typed::read(text, &grammar) else { continue };
            seen += 1;
            let command = complete(&line[begin..begin + PROGRAM.len() + typed.end], &far());
            let words = split(&command);
            // A verb that has verbs below it is named as a whole, and a sentence may name a verb without its arguments.
            let parsed = Cli::try_parse_from(&words);
            let fine = parsed.as_ref().err().is_none_or(|error| {
                typed.given.is_empty() && error.kind() == clap::error::ErrorKind::MissingRequiredArgument
                    || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            });
            assert!(fine, "{file}: {command}: {}", parsed.unwrap_err());
        }
    }
    assert!(seen > 40, "only {seen} commands were found under src");
}
