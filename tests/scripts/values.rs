//! What a running server says of the options of its start, and of those to come.

use galeractl::manifests::scripts::VALUES;

use super::stage::{Done, Stage};

/// A server that prints what it was given, as a table, and is kept away from the data.
const SERVER: &str = r#"file=${1#--defaults-file=}
case "$*" in *--datadir="$RUN "*) ;; *) echo 'mariadbd: it would open the data' >&2; exit 1;; esac
! grep -q '^inodb' "$file" || exit 7
echo 'mariadbd  Ver 11.8'
printf 'and boolean options   Value\n--------------- ------\n'
grep = "$file" | sed 's/=/ /'
printf '\nTo see what a running server uses: nothing\n'
"#;

fn asked(stage: &Stage, options: &str, names: &[&str]) -> Done {
    stage.write("wanted", options);
    let script = format!("exec <\"$STUB/../wanted\"; {VALUES}");
    stage.run(&[&["-c", &script, "values.sh"], names].concat(), &[])
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("stub/objects", SERVER);
    stage.write("run/server", "4711\n");
    let begun =
        "[mysqld]\na=1\nx=\"pc.wait_prim_timeout=PT30S;y\"\nz=tcp://[::]:4567\n\n[mysqld]\ndatadir=/d\ntail=1\n";
    stage.write("run/my.cnf", begun);
    stage
}

const NEXT: &str = "[mysqld]\na=2\nx=\"pc.wait_prim_timeout=PT5M;y\"\nz=tcp://0.0.0.0:4567\n";

#[test]
fn only_the_options_differ_and_what_the_start_script_adds_is_the_same() {
    let stage = stage();
    let done = asked(&stage, NEXT, &[]);
    let table = |a: &str| format!("a {a}\nx \"pc.wait_prim_timeout=PT30S;y\"\nz tcp://[::]:4567\ndatadir /d\ntail 1\n");
    assert_eq!(done.out, format!("== file other\n== set\n== began\n{}== next\n{}", table("1"), table("2")), "{done}");
    assert!(done.code == Some(0) && !stage.read("run/my.cnf").contains("a=2"));
    let left: Vec<_> = std::fs::read_dir(stage.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is left behind: {left:?}");
    stage.write("scripts/server.cnf", NEXT);
    assert!(asked(&stage, NEXT, &[]).out.starts_with("== file same\n"));
}

#[test]
fn what_was_noted_counts_for_the_server_that_runs() {
    let stage = stage();
    assert_eq!(asked(&stage, "", &["max_connections", "sql_mode"]).code, Some(0));
    assert!(asked(&stage, NEXT, &[]).out.contains("== set\nmax_connections\nsql_mode\n== began\n"));
    stage.write("run/server", "4712\n");
    assert!(asked(&stage, NEXT, &[]).out.contains("== set\n== began\n"), "another server has begun with its file");
}

#[test]
fn a_server_that_says_nothing_has_not_said_that_nothing_changes() {
    let stage = stage();
    assert_eq!(asked(&stage, "[mysqld]\ninodb=1\n", &[]).code, Some(4));
    for server in ["", "x; touch $CANARY\n"] {
        stage.write("run/server", server);
        let done = asked(&stage, NEXT, &[]);
        assert!(done.code == Some(3) && done.err.contains("no server runs"), "{done}");
    }
    stage.assert_unharmed();
}
