//! The rules of the house that a machine can check: who may name whom, and how long a file may be.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

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

fn must_not_name(rooms: &[&str], words: &[&str]) {
    for room in rooms {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
        let paths =
            if place.is_dir() { files(&format!("src/{room}"), &[".rs"]) } else { vec![place.with_extension("rs")] };
        for path in paths {
            let text = product(&path);
            for word in words {
                assert!(!text.contains(word), "{} names `{word}`", path.display());
            }
        }
    }
}

#[test]
fn pure_rooms_do_no_input_or_output() {
    let pure =
        ["names", "desired", "observed", "wsrep", "manifests", "gates", "checks", "plans", "settings", "backups"];
    let world = [
        "tokio::",
        "kube::Client",
        "kube::Api",
        "crate::kube::",
        "crate::sql::",
        "std::net::Tcp",
        "crate::steps",
        "crate::observe::",
    ];
    must_not_name(&pure, &world);
}

#[test]
fn engine_steps_and_gates_know_neither_command_line_nor_terminal() {
    must_not_name(
        &["engine", "steps", "gates", "checks", "plans", "kube", "sql", "observe"],
        &["clap", "crate::ui", "crate::cli", "indicatif"],
    );
}

#[test]
fn the_engine_knows_no_kubernetes() {
    must_not_name(&["engine"], &["k8s_openapi", "kube::", "mysql_async"]);
}

#[test]
fn only_two_rooms_touch_the_world() {
    must_not_name(
        &["commands", "cli", "steps", "observe"],
        &["mysql_async", "kube::runtime", "TcpStream", "TcpListener"],
    );
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
    for path in files("src/steps", &[".rs"]) {
        assert!(!product(&path).contains("tokio::time::sleep"), "{} sleeps", path.display());
    }
}
