//! The rules of the house that a machine can check: who may name whom, and how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;

fn files(under: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no {endings:?} under {under}");
    found
}

/// Lines of the product, without the tests that stand beside it.
fn product(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    if name.contains("tests") || name == "fake.rs" {
        return String::new();
    }
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// The rooms below `src/`, from the bottom up, and what each names of the others. What is named stands above it in this
/// list, so nothing goes round in a circle.
const ROOMS: [(&str, &str); 21] = [
    ("exit", ""),
    ("error", "exit"),
    ("names", ""),
    ("wsrep", "names"),
    ("desired", "names"),
    ("observed", "desired names wsrep"),
    ("manifests", "desired names wsrep"),
    ("settings", "desired error names"),
    ("engine", "error exit"),
    ("backups", "engine names wsrep"),
    ("gates", "desired error manifests names observed wsrep"),
    ("plans", "desired gates manifests names observed wsrep"),
    ("checks", "backups desired gates manifests names observed wsrep"),
    ("kube", "engine error manifests names"),
    ("sql", "desired error kube manifests"),
    ("observe", "desired error kube manifests names observed sql wsrep"),
    ("cluster", "backups checks desired engine error gates kube manifests names observe observed plans sql wsrep"),
    (
        "steps",
        "backups checks cluster desired engine error gates kube manifests names observe observed plans sql wsrep",
    ),
    ("ui", "engine error"),
    (
        "commands",
        "backups checks cluster desired engine error kube manifests names observe observed plans settings steps ui wsrep",
    ),
    ("cli", "commands error exit ui"),
];

/// What a text names behind `crate::`, alone or in braces.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').and_then(|list| list.split_once('}'));
        let words = list.map_or_else(|| rest.split(';').next().unwrap_or_default(), |(list, _)| list);
        for item in words.split(',').take(if list.is_some() { usize::MAX } else { 1 }) {
            found.insert(item.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    found
}

fn paths(room: &str) -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    if place.is_dir() { files(&format!("src/{room}"), &[".rs"]) } else { vec![place.with_extension("rs")] }
}

#[test]
fn rooms_name_only_what_is_below_them() {
    let all: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let there: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(there, all);
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        let allowed: BTreeSet<&str> = allowed.split_whitespace().collect();
        let below: BTreeSet<&str> = ROOMS[..index].iter().map(|(room, _)| *room).collect();
        assert!(allowed.is_subset(&below), "{room} names what is not below it");
        let texts = paths(room).iter().map(|path| product(path)).collect::<String>();
        let mut names = named(&texts);
        names.retain(|name| name != room && all.contains(name.as_str()));
        assert_eq!(names, allowed.iter().map(|name| (*name).to_owned()).collect(), "{room}");
        assert!(!texts.contains("super::super::super::"), "{room} hides what it names");
    }
}

fn must_not_name(rooms: &[&str], words: &[&str]) {
    for room in rooms {
        for path in paths(room) {
            let text = product(&path);
            for word in words {
                assert!(!text.contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

/// What one step has found out comes to the next as a value, through the verb that runs both.
#[test]
fn no_step_uses_another_and_no_hand_knows_a_step() {
    must_not_name(&["cluster"], &["Named", "Due", "Finished"]);
    must_not_name(&["steps"], &["steps::"]);
    for path in paths("steps").iter().filter(|path| !path.ends_with("mod.rs")) {
        for rest in product(path).split("super::").skip(1) {
            let name = rest.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
            assert!(!name.starts_with("::"), "{} names another step: {rest:.30}", path.display());
        }
    }
}

#[test]
fn pure_rooms_do_no_input_or_output() {
    let pure =
        ["names", "desired", "observed", "wsrep", "manifests", "gates", "checks", "plans", "settings", "backups"];
    let world = ["tokio::", "kube::Client", "kube::Api", "std::net::Tcp"];
    must_not_name(&pure, &world);
}

#[test]
fn only_the_command_line_knows_the_terminal() {
    must_not_name(
        &["engine", "cluster", "steps", "gates", "checks", "plans", "kube", "sql", "observe"],
        &["clap", "indicatif", "console::"],
    );
}

#[test]
fn the_engine_knows_no_kubernetes() {
    must_not_name(&["engine"], &["k8s_openapi", "kube::", "mysql_async"]);
}

#[test]
fn only_two_rooms_touch_the_world() {
    must_not_name(
        &["commands", "cli", "cluster", "steps", "observe"],
        &["mysql_async", "kube::runtime", "Api<", "Api::", "Patch::", "TcpStream", "TcpListener"],
    );
}

/// What pods run lies in files that `shellcheck` and the tests of the scripts read.
#[test]
fn no_shell_stands_in_the_program() {
    for path in files("src", &[".rs"]) {
        let text = product(&path);
        for word in ["&& mv ", "[ ! -", "|| exit", "$1", "; done", "2>/dev/null"] {
            assert!(!text.contains(word), "{} has shell in it: `{word}`", path.display());
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for folder in ["src", "tests"] {
        for path in files(folder, &[".rs", ".sh", ".go", ".py"]) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines, at most {LONGEST_FILE} are allowed", path.display());
        }
    }
}

#[test]
fn nothing_waits_for_a_fixed_time_where_a_fact_could_be_asked() {
    must_not_name(&["cluster", "steps"], &["tokio::time::sleep"]);
}
