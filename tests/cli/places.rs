//! Places that are not like the developer's: no home, nothing that can be written, plain characters, files from Windows.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::Place;

/// Runs the program with nothing in its environment but this.
fn bare(place: &Place, environment: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("galeractl"));
    command.env_clear().envs(environment.iter().copied()).current_dir(place.0.path()).stdin(Stdio::null());
    command.args(args).output().unwrap()
}

/// A kubeconfig whose server nobody serves.
fn unreachable(place: &Place) {
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: one\n\
                  clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\nusers: [{name: u, user: {}}]\n\
                  contexts: [{name: one, context: {cluster: c, user: u}}]\n";
    fs::write(place.0.path().join("kube.conf"), config).unwrap();
}

#[test]
fn without_a_home_everything_works_that_needs_none() {
    let place = Place::new();
    unreachable(&place);
    for args in [&["config"][..], &["version"], &["permissions"], &["render", "--name", "c", "-n", "n"], &["--help"]] {
        assert_eq!(bare(&place, &[], args).status.code(), Some(0), "{args:?}");
    }
    assert_eq!(bare(&place, &[], &["up", "--kubeconfig", "kube.conf"]).status.code(), Some(7));
    let runs = bare(&place, &[], &["runs"]);
    assert_eq!(runs.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&runs.stderr).contains("XDG_STATE_HOME"));
}

/// Nobody can write below /proc, whoever runs the tests.
#[test]
fn what_cannot_be_written_is_told_only_where_it_matters() {
    let place = Place::new();
    unreachable(&place);
    let nowhere = [("HOME", "/proc"), ("XDG_STATE_HOME", "/proc/state")];
    assert_eq!(bare(&place, &nowhere, &["config"]).status.code(), Some(0));
    assert_eq!(bare(&place, &nowhere, &["runs"]).status.code(), Some(0));
    assert_eq!(bare(&place, &nowhere, &["up", "--kubeconfig", "kube.conf"]).status.code(), Some(7));
    for args in [&["man", "/proc/man"][..], &["render", "--name", "c", "-n", "n", "--out", "/proc/out"]] {
        let refused = bare(&place, &nowhere, args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("/proc/"), "{args:?}");
    }
}

#[test]
fn a_plain_locale_gets_plain_characters_and_no_terminal_no_colours() {
    let place = Place::new();
    unreachable(&place);
    for args in [&["--help"][..], &["config"], &["up", "--kubeconfig", "kube.conf"], &["config", "-o", "conf"]] {
        for locale in ["C", "POSIX"] {
            let Output { stdout, stderr, .. } = bare(&place, &[("LC_ALL", locale), ("TERM", "xterm")], args);
            let text = [stdout, stderr].concat();
            assert!(text.is_ascii() && !text.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn a_wide_screen_does_not_make_long_lines_of_help() {
    let help = bare(&Place::new(), &[("COLUMNS", "200")], &["restore", "--help"]);
    let longest = String::from_utf8(help.stdout).unwrap().lines().map(str::len).max().unwrap();
    assert!(longest <= 100, "a line of {longest} characters");
}

#[test]
fn files_from_windows_say_the_same() {
    let place = Place::new();
    let text = "[all:vars]\ngalera_cluster_name=shop\ngalera_mysql_database=\"web\"\n[mysqld]\nmax_connections=77\n";
    let shown = |text: &str| {
        fs::write(place.0.path().join("galera.conf"), text).unwrap();
        let output = bare(&place, &[], &["config", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(shown(&text.replace('\n', "\r\n")), shown(text));
    fs::write(place.0.path().join("galera.conf"), "[all:vars]\r\ngalera_cluster_nodes=two\r\n").unwrap();
    let told = String::from_utf8(bare(&place, &[], &["config"]).stderr).unwrap();
    assert!(told.contains("galera.conf:2: galera_cluster_nodes: `two` is not"), "{told}");
}

#[test]
fn a_name_that_kubernetes_does_not_take_is_blamed_on_the_flag() {
    let place = Place::new();
    for (args, flag) in [
        (&["up", "-n", "Ux_B"][..], "--namespace <NAMESPACE>"),
        (&["verify", "-n", "Ux_B"], "--namespace <NAMESPACE>"),
        (&["config", "--name", "Ux"], "--name <CLUSTER>"),
    ] {
        let told = place.fails(2, args);
        assert!(told.contains(flag) && told.contains("contains `U`"), "{args:?}: {told}");
    }
}
