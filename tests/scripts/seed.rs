//! The seed begins a history once, and only where there is none.

use std::path::Path;

use super::stage::{A, Running, Stage, put, reports, wait_for};
use super::states::{clean, database, own, tables, unfinished};

/// Empty, and with a copy of what the seed makes as soon as it is asked for that.
const EMPTY: &str = "phase=waiting serves=no primary=no held=nothing crashes=0 \
                     copy=aaaaaaaa-1111-4222-8333-444444444444:1 status=closed\n";
const SEED: [(&str, &str); 2] = [("GALERA_MEMBER", "seed"), ("GALERA_NODE_NAME", "demo-galera-seed")];

/// A volume in words, and what makes it so.
type Made = (&'static str, fn(&Path));

fn all_empty() -> Stage {
    let stage = Stage::new();
    for name in ["node1", "node2", "node3"] {
        stage.peer(name, EMPTY);
    }
    stage.write("stub/position", format!("{A}:1,0-1-0"));
    stage
}

fn start(stage: &Stage, more: &[(&str, &str)]) -> Running {
    let script = stage.path("scripts/start.sh");
    stage.start(&[script.to_str().unwrap()], &[&SEED, more].concat())
}

/// Refused: it says why, starts nothing, and leaves nothing that it has made.
fn refuses(stage: &Stage, name: &str) {
    let before = stage.tree();
    let mut running = start(stage, &[]);
    let ended = wait_for("a refusal", || {
        let refused = running.out().contains(" event=refused ");
        (refused || running.ended()).then(|| running.ended())
    });
    assert!(!reports(&running.out(), "refused").is_empty(), "{name}: {}{}", running.out(), running.err());
    assert!(!ended && !stage.has("stub/started"), "{name}");
    let mut after = stage.tree();
    if !before.contains_key("data") {
        after.remove("data");
    }
    assert!(before == after, "{name}: {:?}", after.keys());
    stage.assert_unharmed();
}

#[test]
fn it_begins_where_all_are_empty() {
    let stage = all_empty();
    let mut running = start(&stage, &[]);
    wait_for("the server", || running.ended().then_some(()));
    let (first, started) = (stage.read("stub/first"), stage.read("stub/started"));
    for option in ["--wsrep-new-cluster", "--skip-networking", "tcp://127.0.0.1:4567"] {
        assert!(first.contains(option), "{first}");
    }
    assert!(started.contains(&format!("--wsrep_start_position={A}:1,0-1-0")), "{started}");
    assert!(!started.contains("new-cluster"), "it waits for all others: {started}");
    assert!(stage.read("volume/data/gvwstate.dat").starts_with(&format!("my_uuid: {A}\n")));
    assert_eq!(stage.read("run/begins"), format!("{A}:1\n"));
    assert!(stage.has("volume/initialising"), "until it has led a component the database is nobody's");
    assert!(!stage.has("run/seed.sql"), "it holds passwords");
    assert!(
        stage.read("run/my.cnf").contains("wsrep_cluster_address=gcomm://demo-galera-seed.test,demo-galera-node1.test")
    );
}

#[test]
fn it_waits_for_those_who_are_silent() {
    for silent in [
        "",
        "phase=none serves=no primary=no held=none crashes=0 status=closed\n",
        "garbage \u{1b}[0m\n",
        "held=NOTHING",
    ] {
        let stage = all_empty();
        stage.peer("node2", silent);
        let running = start(&stage, &[]);
        wait_for("three rounds of questions", || (stage.read("stub/asked").lines().count() > 18).then_some(()));
        assert!(!stage.has("stub/started"), "{silent}");
        let said = reports(&running.out(), "asking");
        assert_eq!((said.len(), said[0].get("silent")), (1, Some("demo-galera-node2")), "{silent}");
    }
}

#[test]
fn it_refuses_where_anybody_holds_anything() {
    for held in ["files", "unfinished", &format!("database:{A}:42"), "database:unknown:crashed-1700000000"] {
        let stage = all_empty();
        stage.peer("node3", &format!("phase=refused serves=no primary=no held={held} crashes=0 status=closed\n"));
        refuses(&stage, held);
    }
}

#[test]
fn it_refuses_where_a_component_runs() {
    let stage = all_empty();
    stage.peer(
        "node1",
        &format!("phase=up serves=yes primary=yes held=nothing crashes=0 status=synced primary=yes uuid={A}\n"),
    );
    refuses(&stage, "a component runs");
    // Its server is there, and has not said yet what it is part of.
    let stage = all_empty();
    stage.write("stub/open/demo-galera-node1.test", "");
    refuses(&stage, "a server listens");
}

#[test]
fn it_refuses_where_the_cluster_is_on_record() {
    for (key, text) in [("formed", "true"), ("uuid", A)] {
        let stage = all_empty();
        stage.write(&format!("state/{key}"), text);
        refuses(&stage, key);
    }
}

#[test]
fn it_refuses_a_volume_that_is_not_empty() {
    let volumes: [Made; 8] = [
        ("clean", clean),
        ("no state file", |v| tables(v, "data")),
        ("half a copy", unfinished),
        ("files", |v| put(v, "data/notes.txt", "mine")),
        ("database at the root", |v| database(v, ".", A, "42")),
        ("binary logs", |v| put(v, "binlog/bin.000001", "x")),
        ("an identity", |v| own(v, A)),
        ("a mark of its own beside somebody's data", |v| {
            clean(v);
            put(v, "initialising", "");
        }),
    ];
    for (name, make) in volumes {
        let stage = all_empty();
        make(&stage.volume());
        refuses(&stage, name);
    }
}

#[test]
fn what_an_earlier_run_has_made_and_never_used_goes() {
    let stage = all_empty();
    tables(&stage.volume(), "data");
    put(&stage.volume(), "binlog/bin.000001", "x");
    put(&stage.volume(), "initialising", "");
    let mut running = start(&stage, &[]);
    wait_for("the server", || running.ended().then_some(()));
    assert!(stage.has("stub/started"));
    assert_eq!(stage.read("volume/data/ibdata1"), "new\n", "{}", running.out());
    assert!(!stage.has("volume/data/shop") && !stage.has("volume/binlog"));
}

/// Also an installation that fails leaves what the next run knows as its own.
#[test]
fn a_failed_installation_is_no_database() {
    for fault in ["no-install", "no-first"] {
        let stage = all_empty();
        stage.write(&format!("stub/{fault}"), "");
        let mut running = start(&stage, &[]);
        wait_for("its end", || running.ended().then_some(()));
        assert!(stage.has("volume/initialising") && !stage.has("stub/started"), "{fault}");
        assert!(!stage.has("run/seed.sql"), "{fault}: it holds passwords");
        assert!(!reports(&running.out(), "refused").is_empty(), "{fault}");
    }
}

#[test]
fn what_hangs_is_begun_anew_a_few_times() {
    for (hangs, begins) in [("2", true), ("3", false)] {
        let stage = all_empty();
        stage.write("stub/hangs", hangs);
        let mut running = start(&stage, &[]);
        wait_for("its end", || running.ended().then_some(()));
        assert_eq!(stage.has("stub/started"), begins, "{hangs}: {}{}", running.out(), running.err());
        assert_eq!(reports(&running.out(), "refused").is_empty(), begins, "{hangs}");
    }
}

/// Who has tried in vain gets a state transfer, so there must be somebody to give it.
#[test]
fn it_begins_alone_where_a_node_cannot_take_its_copy() {
    let stage = all_empty();
    stage.peer("node2", "phase=waiting serves=no primary=no held=nothing crashes=0 copy=failed status=closed\n");
    let mut running = start(&stage, &[]);
    wait_for("the server", || running.ended().then_some(()));
    let started = stage.read("stub/started");
    assert!(started.contains("--wsrep-new-cluster") && started.contains(&format!("{A}:1")), "{started}");
    assert!(!stage.has("run/begins") && !stage.has("volume/data/gvwstate.dat"));
}

#[test]
fn it_waits_until_every_node_has_its_copy() {
    for copy in ["", "copy=bbbbbbbb-1111-4222-8333-444444444444:1", "copy=aaaaaaaa-1111-4222-8333-444444444444:2"] {
        let stage = all_empty();
        stage.peer("node3", &format!("phase=filling held=nothing crashes=0 {copy} status=closed\n"));
        let running = start(&stage, &[]);
        wait_for("what it gives", || stage.has("run/gives").then_some(()));
        let asked = stage.read("stub/asked").lines().count();
        wait_for("three rounds of questions", || (stage.read("stub/asked").lines().count() > asked + 9).then_some(()));
        assert!(!stage.has("stub/started") && !stage.has("run/begins"), "{copy}: {}", running.out());
        assert_eq!(stage.read("run/phase"), "giving\n");
    }
}

#[test]
fn secrets_that_would_end_their_statement_are_refused() {
    for secret in ["a\n", "a\nb", "a\r", "a\tb", "a\0b", "a\u{7f}", "", "\u{1b}[0m"] {
        let stage = all_empty();
        stage.write("secrets/galeractl-password", secret);
        let mut running = start(&stage, &[]);
        wait_for("its end", || running.ended().then_some(()));
        assert!(!stage.has("stub/started") && !stage.has("volume/data"), "{secret:?}");
        assert_eq!(reports(&running.out(), "refused").len(), 1, "{secret:?}");
    }
}

#[test]
fn names_and_passwords_are_written_so_that_a_server_reads_the_same() {
    let stage = all_empty();
    let password = r"it's \'; DROP DATABASE x; -- ü$(touch canary)`touch canary`";
    for key in ["root-password", "galeractl-password", "user-password"] {
        stage.write(&format!("secrets/{key}"), password);
    }
    let mut running = start(&stage, &[("GALERA_DATABASE", r"my_shop%1`x"), ("GALERA_USER", r"o'neil\")]);
    wait_for("the server", || running.ended().then_some(()));
    stage.assert_unharmed();
    let sql = stage.read("stub/seed.sql");
    let quoted = r"'it''s \\''; DROP DATABASE x; -- ü$(touch canary)`touch canary`'";
    for line in [
        format!("ALTER USER root@localhost IDENTIFIED BY {quoted};"),
        format!("CREATE USER root@'%' IDENTIFIED BY {quoted};"),
        format!("CREATE USER galeractl@'%' IDENTIFIED BY {quoted};"),
        "CREATE USER galeractl_reader@localhost IDENTIFIED VIA unix_socket AS 'mysql';".to_owned(),
        "DROP USER IF EXISTS root@'demo-seed';".to_owned(),
        "CREATE DATABASE `my_shop%1``x`;".to_owned(),
        format!(r"CREATE USER 'o''neil\\'@'%' IDENTIFIED BY {quoted};"),
        r"GRANT ALL PRIVILEGES ON `my\_shop\%1``x`.* TO 'o''neil\\'@'%';".to_owned(),
    ] {
        assert!(sql.lines().any(|found| found == line), "no line {line}\nin {sql}");
    }
    assert!(
        sql.starts_with("SET SESSION wsrep_on=OFF;\nSET SESSION sql_log_bin=OFF;\n"),
        "no log may have passwords: {sql}"
    );
    assert!(sql.lines().all(|line| line.ends_with(';')), "one statement a line: {sql}");
    assert!(sql.trim_end().ends_with("INSERT INTO galeractl.heartbeat VALUES (0, 'seeded', NOW(6));"), "{sql}");
}
