//! How nodes begin with the seed's empty database, and that nothing but such a copy ever goes.

use std::fs;
use std::process::Command;

use super::stage::{A, B, Running, Stage, put, wait_for};
use super::states::{clean, own, tables};

const GIVES: &str = "phase=giving serves=no primary=no held=none gives=aaaaaaaa-1111-4222-8333-444444444444:1 x=y\n";
const BEGINS: &str = "phase=starting held=none begins=aaaaaaaa-1111-4222-8333-444444444444:1 x=y\n";

/// A case in words, and what makes it so.
type Case<'a> = (&'a str, &'a dyn Fn(&Stage));

/// What the seed gives: a database at a position, or what `spoil` makes of it.
fn given(stage: &Stage, uuid: &str, spoil: impl FnOnce(&std::path::Path)) {
    stage.write("stub/position", format!("{A}:1,0-1-0"));
    let root = stage.path("given");
    tables(&root, "data");
    put(&root, "data/grastate.dat", format!("uuid:    {uuid}\nseqno:   1\n"));
    spoil(&root);
    let packed = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(stage.path("stub/copy")).arg("data").status();
    assert!(packed.unwrap().success());
}

fn start(stage: &Stage) -> Running {
    stage.program("sleep", r#"case $1 in 0.*) exec /bin/sleep 0.02;; esac; exec /bin/sleep "$@""#);
    let script = stage.path("scripts/start.sh");
    stage.start(&[script.to_str().unwrap()], &[])
}

fn phase(stage: &Stage) -> String {
    stage.read("run/phase").trim().to_owned()
}

#[test]
fn a_node_takes_its_copy_and_starts_with_all_others() {
    let stage = Stage::new();
    given(&stage, A, |_| ());
    stage.peer("seed", GIVES);
    let mut running = start(&stage);
    wait_for("its copy", || (phase(&stage) == "filled").then_some(()));
    assert_eq!(stage.read("run/copy"), format!("{A}:1\n"));
    assert!(stage.has("volume/initialising") && !stage.has("volume/identity"), "it is nobody's data yet");
    stage.write("request", "GET /state HTTP/1.0\r\n\r\n");
    let said = stage.run(&["-c", r#"perl "$SCRIPTS/health.pl" <request"#], &[]).out;
    assert!(said.contains(&format!(" held=nothing left=none crashes=0 copy={A}:1 ")), "{said}");
    assert!(!stage.has("stub/started") && !running.ended());
    stage.peer("seed", BEGINS);
    let started = wait_for("its server", || Some(stage.read("stub/started")).filter(|text| !text.is_empty()));
    assert!(
        started.contains(&format!("--wsrep_start_position={A}:1,0-1-0")) && !started.contains("new-cluster"),
        "{started}"
    );
    assert!(stage.read("volume/data/gvwstate.dat").starts_with("my_uuid: aaaaaaab-"));
}

/// Galera makes a component of a remembered view only where all remember the same.
#[test]
fn all_remember_one_view_each_as_another_of_it() {
    for uuid in [A, "ffffffff-1111-4222-8333-444444444444"] {
        let mut views: Vec<(String, Vec<String>)> = Vec::new();
        for name in ["seed", "node1", "node2", "node3"] {
            let stage = Stage::new();
            stage.write("volume/data/x", "");
            let code = format!(r#"DATA="$VOLUME/data"; remember_view {uuid}:1"#);
            let done = stage.sourced(
                &["volume", "peers", "first"],
                &code,
                &[("GALERA_NODE_NAME", &format!("demo-galera-{name}"))],
            );
            assert_eq!(done.code, Some(0), "{done}");
            let text = stage.read("volume/data/gvwstate.dat");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let me = lines.remove(0).replace("my_uuid: ", "");
            assert!(lines.contains(&format!("member: {me} 0")), "{text}");
            views.push((me, lines));
        }
        assert_eq!(views[0].1.iter().filter(|line| line.starts_with("member: ")).count(), 4);
        for (number, (me, view)) in views.iter().enumerate() {
            assert_eq!(*view, views[0].1);
            assert!(views[..number].iter().all(|(other, _)| other != me), "{me}");
        }
    }
}

#[test]
fn what_is_no_such_copy_leaves_the_volume_empty() {
    let cases: [Case<'_>; 10] = [
        ("nothing", &|stage| stage.write("stub/copy", "")),
        ("no answer", &|_| ()),
        ("garbage", &|stage| stage.write("stub/copy", "tables")),
        ("another history", &|stage| given(stage, B, |_| ())),
        ("no position", &|stage| given(stage, A, |root| fs::remove_file(root.join("data/grastate.dat")).unwrap())),
        ("no tables", &|stage| given(stage, A, |root| fs::remove_dir_all(root.join("data/mysql")).unwrap())),
        ("its log has another position", &|stage| {
            given(stage, A, |_| ());
            stage.write("stub/position", format!("{A}:2"));
        }),
        ("no server can read it", &|stage| {
            given(stage, A, |_| ());
            fs::remove_file(stage.path("stub/position")).unwrap();
        }),
        ("a link", &|stage| {
            given(stage, A, |root| std::os::unix::fs::symlink("/etc/passwd", root.join("data/mysql/link")).unwrap());
        }),
        ("a link in place of the folder", &|stage| {
            given(stage, A, |root| {
                fs::rename(root.join("data"), root.join("elsewhere")).unwrap();
                std::os::unix::fs::symlink("/tmp", root.join("data")).unwrap();
            });
        }),
    ];
    for (name, make) in cases {
        let stage = Stage::new();
        make(&stage);
        stage.peer("seed", GIVES);
        let running = start(&stage);
        wait_for("it to give up", || (stage.read("run/copy") == "failed\n").then_some(()));
        wait_for("it to wait", || (phase(&stage) == "waiting").then_some(()));
        let left: Vec<String> = stage.tree().into_keys().collect();
        assert!(left.is_empty() || left == ["data"], "{name}: {left:?}");
        assert!(!stage.has("stub/started"), "{name}: {}{}", running.out(), running.err());
    }
}

#[test]
fn words_that_are_no_position_are_no_offer() {
    for gives in [
        "",
        "x",
        "aaaaaaaa-1111-4222-8333-444444444444",
        "aaaaaaaa-1111-4222-8333-444444444444:-1",
        "$(touch canary):1",
    ] {
        let stage = Stage::new();
        given(&stage, A, |_| ());
        stage.peer("seed", &format!("phase=giving gives={gives} held=none\n"));
        let _running = start(&stage);
        wait_for("three rounds", || (stage.read("stub/asked").lines().count() > 15).then_some(()));
        assert!(phase(&stage) == "waiting" && !stage.has("volume/initialising"), "{gives}");
        stage.assert_unharmed();
    }
}

/// A seed that has ended, that gives another copy or that has begun alone leaves a copy that leads nowhere.
#[test]
fn a_copy_goes_when_the_seed_has_gone_on_without_it() {
    for said in [
        "phase=starting held=none\n",
        "phase=up serves=yes primary=yes status=synced\n",
        "phase=starting begins=bbbbbbbb-1111-4222-8333-444444444444:1 \n",
        "phase=starting begins=aaaaaaaa-1111-4222-8333-444444444444:2 \n",
        "phase=initialising gives=bbbbbbbb-1111-4222-8333-444444444444:1 \n",
    ] {
        let stage = Stage::new();
        given(&stage, A, |_| ());
        stage.peer("seed", GIVES);
        let _running = start(&stage);
        wait_for("its copy", || (phase(&stage) == "filled").then_some(()));
        stage.peer("seed", said);
        wait_for("it to wait", || (phase(&stage) == "waiting").then_some(()));
        assert!(!stage.has("volume/data/mysql") && !stage.has("run/copy") && !stage.has("stub/started"), "{said}");
    }
}

/// On a busy machine an answer may not come in time.
#[test]
fn a_seed_that_is_silent_for_a_while_is_waited_for() {
    let stage = Stage::new();
    given(&stage, A, |_| ());
    stage.peer("seed", GIVES);
    let _running = start(&stage);
    wait_for("its copy", || (phase(&stage) == "filled").then_some(()));
    stage.peer("seed", "");
    let asked = stage.read("stub/asked").lines().count();
    wait_for("five questions", || (stage.read("stub/asked").lines().count() > asked + 5).then_some(()));
    assert!(phase(&stage) == "filled" && stage.has("volume/data/mysql"));
    stage.peer("seed", BEGINS);
    wait_for("its server", || stage.has("stub/started").then_some(()));
    assert!(stage.read("run/my.cnf").contains("pc.wait_prim_timeout=PT2M"));
}

/// A start that was broken off begins anew; what is anybody's data stays, whatever mark lies beside it.
#[test]
fn only_an_unused_copy_goes() {
    let stage = Stage::new();
    tables(&stage.volume(), "data");
    put(&stage.volume(), "initialising", "");
    let _running = start(&stage);
    wait_for("it to wait", || (phase(&stage) == "waiting").then_some(()));
    assert!(!stage.has("volume/data/mysql") && !stage.has("volume/initialising"));

    let stage = Stage::new();
    clean(&stage.volume());
    own(&stage.volume(), A);
    put(&stage.volume(), "initialising", "");
    stage.peer("seed", GIVES);
    given(&stage, A, |_| ());
    stage.write("stub/position", format!("{A}:42"));
    let before = stage.tree();
    let _running = start(&stage);
    wait_for("three rounds", || (stage.read("stub/asked").lines().count() > 15).then_some(()));
    assert!(before == stage.tree(), "{:?}", stage.tree().keys());
}

/// Whose volume was used, or whose cluster is on record, gets everything from those who run.
#[test]
fn nobody_begins_anew_beside_a_history() {
    let cases: [Case<'_>; 3] = [
        ("an identity", &|stage| own(&stage.volume(), A)),
        ("on record", &|stage| stage.write("state/uuid", A)),
        ("formed", &|stage| stage.write("state/formed", "true")),
    ];
    for (name, make) in cases {
        let stage = Stage::new();
        given(&stage, A, |_| ());
        stage.peer("seed", GIVES);
        make(&stage);
        let _running = start(&stage);
        wait_for("three rounds", || (stage.read("stub/asked").lines().count() > 12).then_some(()));
        assert!(phase(&stage) == "waiting" && !stage.has("volume/data/mysql"), "{name}");
    }
}
