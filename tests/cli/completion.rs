//! What shells complete, asked by the generated script in a real bash.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::Place;

/// Asks bash's function for the line of these words, the last of which is being typed.
const ASK: &str = r#"
source <(galeractl completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_galeractl galeractl "${@: -1}" "${@: -2:1}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Nobody listens on port 9.
const CONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: one\n\
                      clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\nusers: [{name: u, user: {}}]\n\
                      contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]\n";

fn ask(place: &Place, words: &[&str]) -> Output {
    let program = assert_cmd::cargo::cargo_bin("galeractl");
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut bash = Command::new("bash");
    bash.env_clear().env("PATH", path).env("HOME", place.0.path()).current_dir(place.0.path());
    bash.args(["--norc", "-c", ASK, "bash", "galeractl"]).args(words).output().unwrap()
}

fn completed(place: &Place, words: &[&str]) -> String {
    let output = ask(place, words);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{words:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn bash_completes_verbs_options_and_names() {
    let place = Place::new();
    fs::write(place.0.path().join("kube.conf"), CONFIG).unwrap();
    fs::write(place.0.path().join("shop.conf"), "").unwrap();
    for (words, wanted) in [
        (&["ver"][..], "verify version"),
        (&["backup", "p"], "prune"),
        (&["up", "--dry"], "--dry-run"),
        (&["port"], "port-forward"),
        (&["logs", "--pr"], "--previous --proxy --progress"),
        (&["sql", "--wr"], "--writer --write"),
        (&["up", "--progress", ""], "auto tty plain json off"),
        (&["up", "--profile", ""], "local pks coreos targetd"),
        (&["config", "--example", "t"], "targetd"),
        (&["up", "--set", "galera_cluster_tls"], "galera_cluster_tls= galera_cluster_tls_names="),
        (&["completion", "z"], "zsh"),
        (&["up", "-f", "sh"], "shop.conf"),
        (&["--kubeconfig", "kube.conf", "verify", "--context", ""], "one two"),
        (&["--kubeconfig=kube.conf", "verify", "--context", "t"], "two"),
        (&["--kubeconfig", "missing", "verify", "--context", ""], ""),
    ] {
        assert_eq!(completed(&place, words), wanted, "{words:?}");
    }
}

/// Somebody is typing, and must neither wait nor be told.
#[test]
fn what_cannot_be_asked_is_not_completed_at_once_and_silently() {
    let place = Place::new();
    fs::write(place.0.path().join("kube.conf"), CONFIG).unwrap();
    // A login that does not end.
    let slow =
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['60'], interactiveMode: Never}}";
    fs::write(place.0.path().join("slow"), CONFIG.replace("user: {}}]", &format!("user: {slow}}}]"))).unwrap();
    let began = Instant::now();
    for config in ["kube.conf", "slow", "missing"] {
        for words in [&["-n", ""][..], &["verify", "--name", ""], &["recover", "--from", ""], &["purge", "--node", ""]]
        {
            assert_eq!(completed(&place, &[&["--kubeconfig", config], words].concat()), "", "{config} {words:?}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn every_shell_has_a_script_that_names_the_program() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = place.galeractl(&["completion", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(script.contains("COMPLETE") && script.contains("galeractl"), "{shell}: {script}");
    }
    place.fails(2, &["completion", "tcsh"]);
}
