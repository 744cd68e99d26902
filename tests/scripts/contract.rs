//! What scripts report and what galeractl reads are one vocabulary.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

/// Events that only people read, in the logs; and those of Jobs (`purge`, `restore`), of which every report is read.
const EVENTS_FOR_PEOPLE: &[&str] =
    &["asking", "bootstrap", "copy", "initialised", "purge", "removed", "restore", "stopping"];
/// Fields that only people read.
const FIELDS_FOR_PEOPLE: &[&str] = &["backup", "index", "kind", "lived", "log", "members", "silent", "try"];

fn texts(under: &str, endings: &[&str]) -> String {
    let mut all = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                all += &fs::read_to_string(&path).unwrap();
                all.push('\n');
            }
        }
    }
    all
}

/// The words of reports in the scripts: what is given to `say` and `tell`, and what they put together before.
fn reported() -> String {
    let scripts = texts("src/manifests/scripts", &[".sh"]);
    let begins =
        Regex::new(r#"\b(?:say|tell) ["']|^\s*(?:printf '(?:holds|phase| unused| beside|GALERACTL)|"?event=)"#)
            .unwrap();
    scripts
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.contains("say()"))
        .filter_map(|line| begins.find(line).map(|found| line[found.start()..].to_owned() + "\n"))
        .collect()
}

fn words(text: &str, pattern: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn what_is_reported_is_read() {
    let reported = reported();
    let events = words(&reported, r"event=([a-z]+)");
    let mut fields = words(&reported, r#"["' ]([a-z_]+)="#);
    fields.remove("event");
    assert!(events.len() > 10 && fields.len() > 20, "{events:?} {fields:?}");
    let rust = texts("src", &[".rs"]).replace(char::is_whitespace, "");
    let event_read = |word: &String| {
        [format!("event==\"{word}\""), format!("\"{word}\"=>"), format!("\"{word}\"if")]
            .iter()
            .any(|text| rust.contains(text))
    };
    let field_read =
        |word: &String| rust.contains(&format!("(\"{word}\")")) || rust.contains(&format!("(report,\"{word}\")"));
    let unread = |words: &BTreeSet<String>, read: &dyn Fn(&String) -> bool| -> Vec<String> {
        words.iter().filter(|word| !read(word)).cloned().collect()
    };
    assert_eq!(unread(&events, &event_read), EVENTS_FOR_PEOPLE);
    assert_eq!(unread(&fields, &field_read), FIELDS_FOR_PEOPLE);
}
