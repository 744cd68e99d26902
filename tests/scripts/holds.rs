//! Servers that somebody keeps down: only when the others can do without, and until they are let go.

use super::stage::{A, B, POD, Running, Stage, reports, wait_for};
use super::states::clean;

fn script(stage: &Stage, name: &str) -> String {
    stage.path(&format!("scripts/{name}")).to_str().unwrap().to_owned()
}

fn phase(stage: &Stage, word: &str) {
    wait_for(&format!("phase {word}"), || (stage.read("run/phase").trim() == word).then_some(()));
}

fn others_serve(stage: &Stage, second: &str) {
    stage.peer("node2", &format!("serves=yes primary=yes uuid={A} members=demo-galera-node2\n"));
    stage.peer("node3", second);
}

/// A server that runs as part of a component, with two others.
fn serving(second: &str) -> (Stage, Running) {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("state/formed", "true");
    others_serve(&stage, second);
    let server = stage.start(&["-c", "exec sleep 600"], &[]);
    stage.write("run/server", format!("{}\n", server.child.id()));
    stage.write("run/wsrep", format!("status=synced primary=yes uuid={A} members=-\n"));
    stage.write("run/my.cnf", "[client]\n");
    (stage, server)
}

fn third() -> String {
    format!("serves=yes primary=yes uuid={A} members=demo-galera-node3\n")
}

#[test]
fn a_server_leaves_when_the_others_serve_and_it_is_written_down_who_wanted_it() {
    let (stage, mut server) = serving(&third());
    let done = stage.run(&[&script(&stage, "hold.sh"), POD, "me@host"], &[]);
    assert_eq!(done.code, Some(0), "{done}");
    wait_for("the server to end", || server.ended().then_some(()));
    assert!(stage.read("volume/HOLD").starts_with("by=me@host\nat="), "{}", stage.read("volume/HOLD"));
}

#[test]
fn a_server_that_the_others_need_stays_and_nothing_is_written() {
    for second in [
        String::new(),
        format!("serves=no primary=yes uuid={A} members=-\n"),
        format!("serves=yes primary=yes uuid={B} members=-\n"),
    ] {
        let (stage, mut server) = serving(&second);
        let before = stage.tree();
        let done = stage.run(&[&script(&stage, "hold.sh"), POD, "me"], &[]);
        assert!(done.code == Some(3) && done.err.contains("demo-galera-node3 does not serve"), "{done}");
        assert!(before == stage.tree() && !server.ended());
    }
    let (stage, mut server) = serving(&third());
    for args in [["pod-2", "me"], [POD, "a b; touch $CANARY"], [POD, ""]] {
        assert_ne!(stage.run(&[&script(&stage, "hold.sh"), args[0], args[1]], &[]).code, Some(0), "{args:?}");
    }
    assert!(!stage.has("volume/HOLD") && !server.ended());
    stage.assert_unharmed();
}

fn held(by: &str) -> (Stage, Running) {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("state/uuid", A);
    stage.write("state/formed", "true");
    stage.write("stub/position", format!("{A}:42"));
    stage.write("volume/HOLD", by);
    let running = stage.start(&[&script(&stage, "start.sh")], &[]);
    phase(&stage, "held");
    (stage, running)
}

#[test]
fn who_holds_it_is_said_and_what_is_no_name_is_not() {
    for (text, by) in [("by=me@host\nat=1795888424\n", Some("me@host")), ("by=$(touch_it)\nat=x\n", None), ("", None)] {
        let (stage, running) = held(text);
        let report = wait_for("who holds it", || reports(&running.out(), "hold").pop());
        assert_eq!(report.get("by"), by, "{text}");
        assert_eq!(report.get("since").is_some(), by.is_some());
        assert_eq!(reports(&running.out(), "volume").pop().unwrap().get("holds"), Some("database"));
        stage.assert_unharmed();
    }
}

#[test]
fn a_server_that_is_let_go_comes_back_with_what_it_had() {
    let (stage, _running) = held("by=me\nat=1\n");
    others_serve(&stage, &third());
    stage.write("run/draining", "");
    let done = stage.run(&[&script(&stage, "hold.sh"), POD, "--release"], &[]);
    assert_eq!(done.code, Some(0), "{done}");
    wait_for("the server", || stage.has("stub/started").then_some(()));
    assert!(!stage.has("volume/HOLD") && !stage.has("run/draining") && stage.has("volume/data/mysql"));
}

#[test]
fn data_of_a_held_node_is_put_aside_only_by_the_right_order() {
    let order = |stage: &Stage, word: &str| {
        assert_eq!(stage.run(&[&script(stage, "order.sh"), "rebuild", POD, word], &[]).code, Some(0));
    };
    let (stage, running) = held("by=me\nat=1\n");
    let before = stage.tree();
    // Nobody has a copy to give; the data is another.
    for (word, peers) in [(format!("database:{A}:42"), false), (format!("database:{A}:41"), true)] {
        if peers {
            others_serve(&stage, &third());
        }
        let answers = reports(&running.out(), "rebuild").len();
        order(&stage, &word);
        let said = wait_for("its answer", || reports(&running.out(), "rebuild").into_iter().nth(answers));
        assert_eq!(said.get("done"), Some("no"), "{word}");
        assert!(before == stage.tree() && stage.read("run/phase").trim() == "held");
    }
    order(&stage, &format!("database:{A}:42"));
    wait_for("the server", || stage.has("stub/started").then_some(()));
    let after = stage.tree();
    let aside = after.keys().find(|name| name.starts_with("aside.")).unwrap().split('/').next().unwrap().to_owned();
    for (name, text) in before.iter().filter(|(name, _)| *name != "HOLD") {
        assert_eq!(after.get(&format!("{aside}/{name}")), Some(text), "{name} is lost");
    }
    assert!(!stage.has("volume/HOLD"));
}

#[test]
fn who_waits_for_its_turn_is_held_as_well() {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("stub/position", format!("{A}:42"));
    let running = stage.start(&[&script(&stage, "start.sh")], &[]);
    phase(&stage, "waiting");
    assert_eq!(stage.run(&[&script(&stage, "hold.sh"), POD, "me"], &[]).code, Some(0));
    phase(&stage, "held");
    assert!(!stage.has("stub/started"), "{}", running.out());
}
