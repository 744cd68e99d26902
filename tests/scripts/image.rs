//! What an image says of itself, and what the program that upgrades system tables says of a server.

use galeractl::manifests::scripts::{IMAGE, NOT_TAKEN, TABLES};
use galeractl::wsrep::Report;

use super::stage::{Done, Stage, reports, wait_for};
use super::world::{FULL, INCREMENT, World};

/// A server that knows no `old_option`, and whose plugin `audit` has to be there for `audit_option`.
const SERVER: &str = r#"case "$*" in
*--version) echo 'mariadbd  Ver 11.8.6-MariaDB-ubu2404 for debian-linux-gnu on x86_64 (mariadb.org)'; exit;;
esac
file=${1#--defaults-file=}
cp "$file" "$STUB/judged"
grep -q '^old_option' "$file" && { echo "1 0 [ERROR] mariadbd: unknown variable 'old_option=1'" >&2; exit 7; }
grep -q '^audit_option' "$file" && ! grep -q '^plugin_load_add=audit.so' "$file" &&
    { echo "1 0 [ERROR] mariadbd: unknown variable 'audit_option=1'" >&2; exit 7; }
exit 0"#;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.program("mariadbd", SERVER);
    for name in ["mariadb-backup", "mariadb-upgrade", "mbstream"] {
        stage.program(name, ":");
    }
    stage.write("root/usr/lib/galera/libgalera_smm.so", b"\x7fELF\0\xff1.2.3\0 26.4.23(r06a0c285)\0(r1)\0".as_slice());
    stage
}

fn said(stage: &Stage, env: &[(&str, &str)]) -> Report {
    let done = stage.run(&["-c", IMAGE], env);
    assert_eq!(done.code, Some(0), "{done}");
    reports(&done.out, "image").pop().unwrap_or_else(|| panic!("{done}"))
}

#[test]
fn an_image_says_its_versions_and_what_it_does_not_take() {
    let stage = stage();
    let report = said(&stage, &[("OPTIONS", "[mysqld]\nport=3306\n")]);
    assert_eq!(report.get("server"), Some("11.8.6-MariaDB"));
    assert_eq!(report.get("provider"), Some("26.4.23(r06a0c285)"));
    assert_eq!((report.get("missing"), report.get("objection")), (None, None));

    let report = said(&stage, &[("OPTIONS", "[mysqld]\nold_option=1\n")]);
    let objection = report.get("objection").unwrap();
    assert!(objection.starts_with(NOT_TAKEN) && objection.ends_with("unknown variable 'old_option=1'"), "{objection}");
}

#[test]
fn plugins_of_the_database_are_loaded_to_judge_their_options() {
    let stage = stage();
    let options = ("OPTIONS", "[mysqld]\naudit_option=1\n");
    assert!(said(&stage, &[options]).get("objection").is_some());
    assert_eq!(said(&stage, &[options, ("PLUGINS", "audit.so other.so")]).get("objection"), None);
    assert!(stage.read("stub/judged").contains("plugin_load_add=other.so"));
    // Whoever loads it by an option has it loaded once.
    let both = [("OPTIONS", "[mysqld]\nplugin_load_add=other\n"), ("PLUGINS", "other.so")];
    said(&stage, &both);
    assert_eq!(stage.read("stub/judged").matches("other").count(), 1);
}

#[test]
fn what_an_image_lacks_is_named() {
    let stage = stage();
    std::fs::remove_file(stage.path("stub/bin/mbstream")).unwrap();
    std::fs::remove_file(stage.path("root/usr/lib/galera/libgalera_smm.so")).unwrap();
    let report = said(&stage, &[]);
    // A machine may have some of them itself.
    assert!(report.get("missing").unwrap().ends_with("libgalera_smm.so"), "{report:?}");
    assert_eq!(report.get("server"), None);
}

/// What the stub of mariadb-upgrade says when it is asked, what it does, and with which codes.
fn tables(asked: &str, done: &str, then: &str) -> (Done, String) {
    let stage = Stage::new();
    let text = format!(
        r#"printf '%s %s\n' "$MYSQL_PWD" "$*" >>"$STUB/calls"
case "$*" in
*--check-if-upgrade-is-needed) if [ -e "$STUB/done" ]; then {then}; else {asked}; fi;;
*) touch "$STUB/done"; {done};;
esac"#
    );
    stage.program("mariadb-upgrade", &text);
    let ran = stage.run(&["-c", "echo s3cret | bash -c \"$0\"", TABLES], &[]);
    (ran, stage.read("stub/calls"))
}

const NEEDED: &str = "echo 'Major version upgrade detected'; exit 0";
const CURRENT: &str = "echo 'This installation of MariaDB is already upgraded to 11.8.6-MariaDB.'; exit 1";
/// What it says of a server that it cannot reach, with the code of one that needs nothing.
const SILENT: &str = "echo 'FATAL ERROR: Upgrade failed' >&2; exit 1";

#[test]
fn system_tables_are_upgraded_where_that_is_needed_and_only_there() {
    let (ran, calls) = tables(NEEDED, "exit 0", CURRENT);
    assert_eq!((ran.code, ran.out.trim()), (Some(0), "upgraded"), "{ran}");
    assert!(calls.lines().all(|call| call.starts_with("s3cret --no-defaults ")), "{calls}");
    assert!(calls.lines().nth(1).unwrap().contains("--skip-write-binlog"), "{calls}");
    let (ran, calls) = tables(CURRENT, "exit 0", CURRENT);
    assert_eq!((ran.code, ran.out.trim()), (Some(0), "current"), "{ran}");
    assert_eq!(calls.lines().count(), 1, "it only looks: {calls}");
}

#[test]
fn two_who_ask_at_once_have_it_done_once() {
    let stage = Stage::new();
    let text = r#"case "$*" in
*--check-if-upgrade-is-needed) [ -e "$STUB/done" ] && { echo 'already upgraded'; exit 1; }; exit 0;;
esac
echo begun >>"$STUB/calls"
until [ -e "$STUB/go" ]; do :; done
touch "$STUB/done""#;
    stage.program("mariadb-upgrade", text);
    let args = ["-c", "echo s3cret | bash -c \"$0\"", TABLES];
    let mut first = stage.start(&args, &[]);
    wait_for("the first to begin", || stage.has("stub/calls").then_some(()));
    let mut second = stage.start(&args, &[]);
    stage.write("stub/go", "");
    wait_for("both to end", || (first.ended() && second.ended()).then_some(()));
    assert_eq!((first.out().trim(), second.out().trim()), ("upgraded", "current"));
    assert_eq!(stage.read("stub/calls").lines().count(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_none_that_needs_nothing() {
    for (asked, done, then) in
        [(SILENT, "exit 0", CURRENT), (NEEDED, SILENT, CURRENT), (NEEDED, "exit 0", NEEDED), (NEEDED, "exit 0", SILENT)]
    {
        let (ran, _) = tables(asked, done, then);
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran}");
    }
}

#[test]
fn a_chain_of_backups_is_of_one_series() {
    let world = World::new();
    let base = |series: &str| world.agent(&format!("SERIES={series}\nbase_of \"$(incarnation)\"; echo \" $(due)\""));
    let newest = base("11.8.");
    assert!(newest.starts_with(INCREMENT) || newest.starts_with(FULL), "{newest}");
    assert_eq!(base("12.3.").trim(), "full");
    assert_eq!(base("").trim(), newest.trim(), "one that is not known ends none");
}
