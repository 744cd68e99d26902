//! The real binary without a cluster: help, bad input, exit codes. Nothing is changed and nothing is asked.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

use std::fs;
use std::process::Output;

use assert_cmd::Command;

#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/manners.rs"]
mod manners;
#[path = "cli/places.rs"]
mod places;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn galeractl(&self, args: &[&str]) -> Output {
        let mut command = Command::cargo_bin("galeractl").unwrap();
        let home = self.0.path();
        command.current_dir(home).env_clear().env("HOME", home).env("NO_COLOR", "1").args(args).output().unwrap()
    }

    fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.galeractl(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(output.stdout.is_empty(), "{args:?} writes to stdout although it fails");
        text
    }
}

#[test]
fn help_names_every_verb_and_exit_code() {
    let output = Place::new().galeractl(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let verbs = "up verify status apply restart hold release rebuild upgrade scale teardown expose unexpose backup restore recover purge certificates sql logs port-forward credentials list config render diff permissions runs version completion";
    let list = text.split_once("\nCommands:\n").unwrap().1.split("\n\n").next().unwrap();
    let listed: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed.join(" "), format!("{verbs} help"));
    for word in ["Exit codes:", "130"] {
        assert!(text.contains(word), "help does not name {word}");
    }
}

#[test]
fn a_file_that_holds_no_key_is_named_with_what_it_lacks() {
    let place = Place::new();
    fs::write(place.0.path().join("notes.txt"), "no key\n").unwrap();
    for verb in [
        &["restore", "--from", "latest"][..],
        &["backup", "list"],
        &["backup", "verify"],
        &["backup", "copy", "latest", "x"],
    ] {
        let told = place.fails(2, &[verb, &["--key", "notes.txt"]].concat());
        assert!(
            told.contains("--key") && told.contains("notes.txt") && told.contains("it holds no PRIVATE KEY"),
            "{told}"
        );
        let told = place.fails(2, &[verb, &["--key", "nowhere.key"]].concat());
        assert!(told.contains("nowhere.key") && told.contains("No such file"), "{told}");
    }
    let told = place.fails(2, &["backup", "key", "export"]);
    assert!(told.contains("<FILE>"), "{told}");
    let told = place.fails(2, &["config", "--set=galera_cluster_backup_encryption=maybe"]);
    assert!(told.contains("galera_cluster_backup_encryption") && told.contains("expected `own` or `off`"), "{told}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let place = Place::new();
    for args in [
        &["upp"][..],
        &["up", "--timeout", "5"],
        &["up", "--progress", "loud"],
        &["verify", "-o", "xml"],
        &["teardown", "--confirm", "c"],
        &["up", "--nodes", "0"],
        &["up", "--nodes", "three"],
        &["up", "--name", "Shop"],
        &["up", "-n", "a.b"],
        &["up", "--set", "galera_cluster_nods=3"],
        &["up", "-f", "missing.conf"],
        &["up", "--dry-run=client"],
        &["up", "--yes"],
        &["apply", "--nodes", "0"],
        &["apply", "-f", "missing.conf"],
        &["apply", "--set", "galera_cluster_nods=3"],
        &["scale"],
        &["scale", "--nodes", "0"],
        &["scale", "--nodes", "3", "--confirm", "c"],
        &["scale", "--nodes", "3", "--pause-after", "0"],
        &["apply", "--pause-after", "node3"],
        &["restart", "--pause-after", "100"],
        &["upgrade"],
        &["upgrade", "--image", ""],
        &["upgrade", "--image", "mariadb:"],
        &["upgrade", "--image", "maria db:11.8"],
        &["upgrade", "--image", "mariadb@sha256:12"],
        &["upgrade", "--proxy-image", "haproxy:3.0", "--backup-within", "1"],
        &["upgrade", "--image", "mariadb:11.8", "--backup-within", "1h", "--without-backup"],
        &["upgrade", "--image", "mariadb:11.8", "--pause-after", "0"],
        &["restart", "--node", "0"],
        &["restart", "--node", "one"],
        &["hold"],
        &["hold", "--node", "0"],
        &["release", "--node", "node3"],
        &["rebuild", "--node", "100"],
        &["expose", "--type", "ingress"],
        &["expose", "--pks", "--coreos"],
        &["expose", "--pks", "--type", "lb"],
        &["expose", "--node-port", "80"],
        &["expose", "--allow", "10.1.2.3/16"],
        &["expose", "--allow", "office"],
        &["expose", "--for", "2"],
        &["unexpose", "--type", "lb"],
        &["purge", "--node", "0"],
        &["purge", "--node", "1", "--seed-only"],
        &["certificates", "renew", "--node", "0"],
        &["certificates", "renew", "-o", "json"],
        &["certificates", "rotate", "--node", "1"],
        &["certificates", "-o", "yaml"],
        &["credentials", "rotate", "--finish"],
        &["credentials", "rotate", "root", "-o", "json"],
        &["certificates", "remove"],
        &["render", "--force"],
        &["render", "--out", "Cargo.toml", "--nodes", "none"],
        &["diff", "-o", "table"],
        &["sql", "--node", "0"],
        &["sql", "--node", "1", "--writer"],
        &["sql", "--any", "--writer"],
        &["sql", "-e", "SELECT 1", "-f", "x.sql"],
        &["sql", "-f", "missing.sql"],
        &["sql", "-f", "."],
        &["sql", "shop"],
        &["sql", "--", "-pGeheim"],
        &["sql", "--", "--execute=SELECT 1"],
        &["sql", "--", "--defaults-file=/etc/my.cnf"],
        &["logs", "node0"],
        &["logs", "haproxy"],
        &["logs", "--since", "10"],
        &["logs", "-f", "--previous"],
        &["port-forward", "--port", "65536"],
        &["port-forward", "--address", "localhost:1"],
        &["port-forward", "--node", "one"],
        &["credentials", "--show"],
        &["credentials", "--user", "app"],
        &["credentials", "--env", "--uri"],
        &["credentials", "--env", "-o", "json"],
        &["list", "-o", "yaml"],
        &["list", "shop"],
    ] {
        place.fails(2, args);
    }
}

/// A password that somebody has typed in the wrong place is not told again.
#[test]
fn a_refused_option_of_the_client_is_named_without_its_value() {
    let told = Place::new().fails(2, &["sql", "--", "--password=Geheim123"]);
    assert!(told.contains("--pas…") && told.contains("hint:") && !told.contains("Geheim123"), "{told}");
}

#[test]
fn files_of_manifests_are_written_once_and_overwritten_only_on_wish() {
    let place = Place::new();
    let ran = |args: &[&str]| place.galeractl(&[&["render", "--name", "c", "-n", "n", "--out", "m"], args].concat());
    assert_eq!(ran(&[]).status.code(), Some(0));
    let first = fs::read_to_string(place.0.path().join("m/galera-3-seed.yml")).unwrap();
    assert_eq!(ran(&[]).status.code(), Some(0), "the same once more");
    let other = ["--set", "galera_cluster_cpu_request=2"];
    let refused = ran(&other);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("exists and is different"));
    assert_eq!(fs::read_to_string(place.0.path().join("m/galera-3-seed.yml")).unwrap(), first);
    assert_eq!(ran(&[&other[..], &["--force"]].concat()).status.code(), Some(0));
    fs::write(place.0.path().join("file"), "").unwrap();
    place.fails(2, &["render", "--name", "c", "-n", "n", "--out", "file"]);
}

#[test]
fn an_unknown_key_names_file_line_and_the_nearest_one() {
    let place = Place::new();
    fs::write(place.0.path().join("my.conf"), "[all:vars]\ngalera_cluster_nmae=shop\n").unwrap();
    let text = place.fails(2, &["config", "-f", "my.conf"]);
    assert!(text.contains("my.conf:2"), "{text}");
    assert!(text.contains("galera_cluster_name"), "{text}");
}

#[test]
fn without_a_kubeconfig_it_says_where_it_looked() {
    let text = Place::new().fails(2, &["status"]);
    assert!(text.contains(".kube/config"), "{text}");
    assert!(text.contains("hint:"), "{text}");
}

#[test]
fn an_unknown_context_is_named_with_those_that_exist() {
    let place = Place::new();
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: one\n\
                  clusters: [{name: c, cluster: {server: 'https://127.0.0.1:9'}}]\n\
                  users: [{name: u, user: {}}]\ncontexts: [{name: one, context: {cluster: c, user: u}}]\n";
    fs::write(place.0.path().join("config"), config).unwrap();
    let text = place.fails(2, &["--kubeconfig", "config", "--context", "two", "status"]);
    assert!(text.contains("two") && text.contains("one"), "{text}");
    // Nobody listens on port 9.
    let text = place.fails(7, &["--kubeconfig", "config", "status"]);
    assert!(text.contains("127.0.0.1:9"), "{text}");
}

#[test]
fn secrets_are_stars_unless_asked_for() {
    let place = Place::new();
    let args = ["config", "--set", "galera_mysql_root_password=Geheim123"];
    let shown = |args: &[&str]| String::from_utf8(place.galeractl(args).stdout).unwrap();
    assert!(!shown(&args).contains("Geheim123"));
    assert!(shown(&[&args[..], &["--show-secrets"]].concat()).contains("Geheim123"));
    assert!(shown(&["config", "-o", "json"]).starts_with('{'));
}

#[test]
fn a_role_names_what_it_is_for_and_nothing_else() {
    let place = Place::new();
    let role = |args: &[&str]| {
        let args = [&["permissions"], args, &["--name", "shop", "-n", "web"]].concat();
        let output = place.galeractl(&args);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let reader = role(&["verify", "status"]);
    for word in ["kind: Role\n", "namespace: web", "name: shop-galeractl", "- shop-galera-credentials"] {
        assert!(reader.contains(word), "{word}: {reader}");
    }
    for word in ["delete", "patch", "pods/exec", "ClusterRole", "networkpolicies"] {
        assert!(!reader.contains(word), "{word}: {reader}");
    }
    assert!(role(&["verify", "--set", "galera_cluster_backup=yes"]).contains("pods/exec"));
    assert!(role(&["sql"]).contains("pods/exec"));
    assert!(!role(&["logs", "port-forward", "credentials", "list"]).contains("pods/exec"));
    let owner = role(&["--role", "dba", "--set", "galera_cluster_tls=own", "--nodes", "1"]);
    for word in ["name: dba", "- shop-galera-node1-tls", "- networkpolicies", "- jobs"] {
        assert!(owner.contains(word), "{word}: {owner}");
    }
    let example = format!("{}/examples/coreos.conf", env!("CARGO_MANIFEST_DIR"));
    assert!(role(&["up", "-f", &example]).contains("kind: ClusterRole"));
    for bad in [&["permissions", "fly"][..], &["permissions", "--role", "a/b"], &["permissions", "up", "--nodes", "0"]]
    {
        place.fails(2, bad);
    }
}

#[test]
fn an_example_file_can_be_used_as_it_is() {
    let place = Place::new();
    for profile in ["local", "pks", "coreos", "targetd"] {
        let text = String::from_utf8(place.galeractl(&["config", "--example", profile]).stdout).unwrap();
        fs::write(place.0.path().join("galera.conf"), text).unwrap();
        let output = place.galeractl(&["config"]);
        assert_eq!(output.status.code(), Some(0), "{profile}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn runs_without_any_run_say_so() {
    let place = Place::new();
    assert_eq!(place.galeractl(&["runs"]).status.code(), Some(0));
    assert!(place.fails(2, &["runs", "show"]).contains("no runs yet"));
    assert!(place.fails(2, &["runs", "show", "xyz"]).contains("xyz"));
}

/// The options of a server elsewhere become part of one file, which is good for everything that follows.
#[test]
fn options_from_my_cnf_can_be_written_to_a_settings_file() {
    let place = Place::new();
    fs::write(place.0.path().join("my.cnf"), "[mysqld]\ndatadir=/srv\nmax_connections = 500\n[mysqldump]\nquick\n")
        .unwrap();
    let output = place.galeractl(&["config", "--from-my-cnf", "my.cnf", "-o", "conf"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("my.cnf:2: datadir is left out") && told.contains("[mysqldump]"), "{told}");
    fs::write(place.0.path().join("galera.conf"), output.stdout).unwrap();
    let output = place.galeractl(&["config", "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["mysqld.max_connections"]["value"], "500", "{shown}");
    let refused = place.fails(2, &["config", "--from-my-cnf", "nowhere.cnf"]);
    assert!(refused.contains("nowhere.cnf: cannot be read"), "{refused}");
}

#[test]
fn what_the_settings_file_says_of_an_option_holds_in_any_spelling() {
    let place = Place::new();
    fs::write(place.0.path().join("my.cnf"), "[mysqld]\nmax-connections=500\nsort_buffer_size=4M\n").unwrap();
    fs::write(place.0.path().join("galera.conf"), "[all:vars]\n[mysqld]\nloose_max_connections=77\n").unwrap();
    let output = place.galeractl(&["config", "--from-my-cnf", "my.cnf", "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["mysqld.loose_max_connections"]["value"], "77", "{shown}");
    assert_eq!(shown["mysqld.sort_buffer_size"]["value"], "4M", "{shown}");
    assert!(shown.get("mysqld.max_connections").is_none(), "{shown}");
}
