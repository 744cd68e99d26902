//! How the program meets people who know others: by another name, with their words, asked who it is.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::Place;

#[test]
fn words_of_other_programs_lead_to_the_verb() {
    let place = Place::new();
    for (word, verb) in [
        ("stop", "teardown"),
        ("down", "teardown"),
        ("ls", "list"),
        ("exec", "sql"),
        ("tail", "logs"),
        ("tunnel", "port-forward"),
        ("start", "up"),
        ("verfy", "verify"),
    ] {
        let told = place.fails(2, &[word]);
        assert!(told.contains(&format!("similar subcommand exists: '{verb}'")), "{word}: {told}");
    }
    assert!(!place.fails(2, &["xyzzy"]).contains("similar"));
}

#[test]
fn a_plugin_speaks_of_itself_as_it_is_called() {
    let place = Place::new();
    let plugin = place.0.path().join("kubectl-galera");
    symlink(assert_cmd::cargo::cargo_bin("galeractl"), &plugin).unwrap();
    let said = |args: &[&str]| {
        let output = Command::new(&plugin)
            .args(args)
            .env_clear()
            .env("HOME", place.0.path())
            .current_dir(place.0.path())
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    for args in [&["--help"][..], &["verify", "--help"], &["backup", "list", "-h"], &["flie"]] {
        let text = said(args);
        assert!(text.contains("kubectl galera ") && !text.contains("  galeractl "), "{args:?}: {text}");
    }
    assert!(said(&["runs", "show"]).contains("there are no runs yet"));
    let told = said(&["restore", "--kubeconfig", "missing"]);
    assert!(!told.contains("galeractl"), "{told}");
}

#[test]
fn there_is_a_man_page_for_every_verb() {
    let place = Place::new();
    assert_eq!(place.galeractl(&["man", "share/man1"]).status.code(), Some(0));
    let page = |verb: &str| {
        let path = place.0.path().join(format!("share/man1/galeractl{verb}.1"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    for verb in ["", "-up", "-backup", "-backup-list", "-runs-show", "-completion"] {
        assert!(page(verb).contains(".SH SYNOPSIS"), "{verb}");
    }
    assert!(page("").contains("galeractl\\-verify") && !page("").contains("galeractl\\-man"), "{}", page(""));
    std::fs::write(place.0.path().join("file"), "").unwrap();
    assert!(place.fails(2, &["man", "file/man1"]).contains("cannot write man pages"));
}

#[test]
fn the_version_is_told_without_a_cluster() {
    let place = Place::new();
    let shown = |args: &[&str]| {
        let output = place.galeractl(&[&["version"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let version = env!("CARGO_PKG_VERSION");
    let table = shown(&[]);
    assert!(table.contains(version) && table.contains("Kubernetes  unknown: no kubeconfig"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&shown(&["-o", "json"])).unwrap();
    assert_eq!(json["galeractl"]["version"], version, "{json}");
    assert!(json["kubernetes"]["error"].is_string() && json["images"]["mariadb"].is_string(), "{json}");
    let alone: serde_json::Value = serde_json::from_str(&shown(&["-o", "json", "--client"])).unwrap();
    assert!(alone["kubernetes"].is_null(), "{alone}");
}
