//! Options that the server does not take are refused before anything is touched, in its own words.

use galeractl::manifests::scripts::NOT_TAKEN;

use super::stage::{A, Running, Stage, reports, wait_for};
use super::states::clean;

/// A server that does not know what begins with these words, and takes no mode but one.
const SERVER: &str = r#"file=${1#--defaults-file=}
case "$*" in *--datadir="$RUN "*) ;; *) echo 'mariadbd: it would open the data' >&2; exit 1;; esac
echo "1 0 [Warning] mariadbd: unknown variable 'loose_foo=1'" >&2
line=$(grep -E -m 1 '^(inodb|simple_)' "$file") && { echo "1 0 [ERROR] /usr/sbin/mariadbd: unknown variable '$line'" >&2; exit 7; }
grep -q '^sql_mode=FOO' "$file" && { echo "1 0 [ERROR] mariadbd: Error while setting value 'FOO' to 'sql_mode'" >&2; exit 13; }
grep -q '^innodb_flush_method=foo' "$file" && { echo "1 0 [ERROR] Parsing options for plugin 'InnoDB' failed." >&2; exit 0; }
grep -q '^character_set_server=utf99' "$file" && { echo "/usr/sbin/mariadbd: Character set 'utf99' is not compiled" >&2; exit 1; }
exit 0
"#;

fn stage(options: &str) -> Stage {
    let stage = Stage::new();
    stage.write("stub/objects", SERVER);
    stage.write("scripts/server.cnf", format!("[mysqld]\n{options}\n"));
    stage
}

/// A volume whose server was stopped.
fn stops_at_42(stage: &Stage) {
    clean(&stage.volume());
    stage.write("stub/position", format!("{A}:42"));
    stage.write("state/uuid", A);
    stage.write("state/formed", "true");
}

fn start(stage: &Stage, env: &[(&str, &str)]) -> Running {
    stage.start(&[stage.path("scripts/start.sh").to_str().unwrap()], env)
}

fn refusal(running: &mut Running) -> String {
    wait_for("a refusal", || (running.out().contains(" event=refused ") || running.ended()).then_some(()));
    let said = reports(&running.out(), "refused");
    let reason = said.first().and_then(|report| report.get("reason").map(str::to_owned));
    reason.unwrap_or_else(|| panic!("{}{}", running.out(), running.err()))
}

const CASES: [(&str, &str); 4] = [
    ("inodb_buffer_pool_size=1G", "unknown variable 'inodb_buffer_pool_size=1G'"),
    ("sql_mode=FOO", "Error while setting value 'FOO' to 'sql_mode'"),
    ("innodb_flush_method=foo", "Parsing options for plugin 'InnoDB' failed."),
    ("character_set_server=utf99", "Character set 'utf99' is not compiled"),
];

#[test]
fn what_the_server_does_not_take_is_refused_before_anything_is_made() {
    for env in [&[][..], &[("GALERA_MEMBER", "seed"), ("GALERA_NODE_NAME", "demo-galera-seed")]] {
        for (options, why) in CASES {
            let stage = stage(options);
            let mut running = start(&stage, env);
            let reason = refusal(&mut running);
            assert_eq!(reason, format!("the server does not take its options: {why}"));
            assert!(reason.starts_with(NOT_TAKEN), "galeractl knows it by another word");
            assert!(!running.ended() && stage.tree().is_empty() && !stage.has("stub/started"), "{options}");
        }
    }
}

#[test]
fn corrected_options_are_taken() {
    let stage = stage("sql_mode=FOO");
    stops_at_42(&stage);
    let mut running = start(&stage, &[]);
    refusal(&mut running);
    stage.write("scripts/server.cnf", "[mysqld]\nsql_mode=\n");
    wait_for("the node to go on", || running.out().contains("event=phase phase=waiting").then_some(()));
}

#[test]
fn a_database_may_have_plugins_whose_options_nobody_else_knows() {
    let stage = stage("simple_password_check_digits = 2\nsimple_other=1");
    stops_at_42(&stage);
    let running = start(&stage, &[]);
    wait_for("the node to wait for others", || running.out().contains("event=phase phase=waiting").then_some(()));
    assert!(reports(&running.out(), "refused").is_empty(), "{}", running.out());
    assert!(stage.read("run/my.cnf").contains("simple_other=1"), "they are the server's all the same");
}

/// As a running node is asked about options to come.
#[test]
fn a_running_server_judges_options_to_come() {
    let judged = |options: &str, rows: &str| {
        let stage = stage("");
        stage.write("stub/rows", rows);
        let script = format!(
            "printf '[mysqld]\\n{options}\\n' | bash -c '{}'",
            galeractl::manifests::scripts::TRY.replace('\'', "'\\''")
        );
        let done = stage.run(&["-c", &script], &[]);
        assert_eq!(done.code, Some(0), "{done}");
        assert!(!stage.has("run/wanted.cnf") && !stage.has("run/try.cnf"));
        done.out
    };
    for (options, why) in CASES {
        assert_eq!(judged(options, ""), format!("the server does not take its options: {why}"));
    }
    assert_eq!(judged("max_connections=500", ""), "");
    assert_eq!(judged("simple_password_check_digits=2", "simple_password_check_digits\t1\n"), "");
}
