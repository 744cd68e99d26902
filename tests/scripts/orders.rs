//! Orders to a node that waits or refuses: what is given for one pod and one state must not be used for another.

use super::stage::{A, B, POD, Running, Stage, reports, wait_for};
use super::states::{clean, unfinished};

fn node(stage: &Stage) -> Running {
    let script = stage.path("scripts/start.sh");
    stage.start(&[script.to_str().unwrap()], &[])
}

fn phase(stage: &Stage, word: &str) {
    wait_for(&format!("phase {word}"), || (stage.read("run/phase").trim() == word).then_some(()));
}

fn order(stage: &Stage, what: &str, pod: &str, word: &str) {
    let script = stage.path("scripts/order.sh");
    let done = stage.run(&[script.to_str().unwrap(), what, pod, word], &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// It has asked all its peers twice since.
fn asks_on(stage: &Stage) {
    let asked = || stage.read("stub/asked").lines().count();
    let begun = asked();
    wait_for("it to ask on", || (asked() > begun + 6).then_some(()));
}

fn waiting() -> (Stage, Running) {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("stub/position", format!("{A}:42,0-101-7"));
    let running = node(&stage);
    phase(&stage, "waiting");
    (stage, running)
}

#[test]
fn the_right_order_begins_the_group_anew_where_the_data_stands() {
    let (stage, _running) = waiting();
    order(&stage, "bootstrap", POD, &format!("{A}:42"));
    let started = wait_for("the server", || Some(stage.read("stub/started")).filter(|text| !text.is_empty()));
    assert!(started.contains("--wsrep-new-cluster"), "{started}");
    assert!(started.contains(&format!("--wsrep_start_position={A}:42,0-101-7")), "{started}");
    assert!(stage.read("volume/data/grastate.dat").contains("safe_to_bootstrap: 1"));
    assert!(!stage.has("run/bootstrap"), "an order counts once");
}

#[test]
fn orders_for_another_pod_or_another_position_are_none() {
    let wrong =
        [("pod-2", format!("{A}:42")), (POD, format!("{A}:43")), (POD, format!("{B}:42")), (POD, "none".to_owned())];
    for (pod, word) in wrong {
        let (stage, _running) = waiting();
        let before = stage.tree();
        order(&stage, "bootstrap", pod, &word);
        asks_on(&stage);
        assert!(!stage.has("stub/started"), "{pod} {word}");
        assert_eq!(stage.read("run/phase").trim(), "waiting", "{pod} {word}");
        assert!(before == stage.tree());
    }
}

#[test]
fn no_order_starts_a_second_component() {
    let (stage, running) = waiting();
    // It lists this member, so nobody is let go; and it must keep others from beginning anew.
    stage.peer("node2", &format!("serves=yes primary=yes uuid={A} members=demo-galera-node1,demo-galera-node2\n"));
    order(&stage, "bootstrap", POD, &format!("{A}:42"));
    phase(&stage, "refused");
    assert!(!stage.has("stub/started"));
    let report = wait_for("its reason", || reports(&running.out(), "refused").pop());
    let reason = report.get("reason").unwrap();
    assert!(reason.contains("peer is part of a running cluster"), "{reason}");
    assert!(stage.read("volume/data/grastate.dat").contains("safe_to_bootstrap: 0"));
}

#[test]
fn a_volume_without_a_position_begins_nothing() {
    for make in [(|_: &std::path::Path| ()) as fn(&std::path::Path), unfinished] {
        let stage = Stage::new();
        make(&stage.volume());
        let _running = node(&stage);
        phase(&stage, "waiting");
        order(&stage, "bootstrap", POD, "none");
        phase(&stage, "refused");
        assert!(!stage.has("stub/started"));
    }
}

#[test]
fn there_are_two_orders_only() {
    let stage = Stage::new();
    let script = stage.path("scripts/order.sh");
    let script = script.to_str().unwrap();
    for args in [[script, "purge", POD, "x"].as_slice(), &[script, "bootstrap", POD], &[script, "bootstrap"], &[script]]
    {
        assert_ne!(stage.run(args, &[]).code, Some(0), "{args:?}");
    }
    assert!(!stage.has("run/bootstrap") && !stage.has("run/purge"));
}

/// The data is a copy of A; the component that runs follows B, as is on record.
fn refusing(component: Option<&str>, record: Option<&str>) -> (Stage, Running) {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("volume/seen", format!("position={A}:42\nat=1\n"));
    stage.write("volume/binlog/bin.000001", "x");
    stage.write("stub/position", format!("{A}:42"));
    if let Some(uuid) = component {
        for name in ["node2", "node3"] {
            stage.peer(name, &format!("serves=yes primary=yes uuid={uuid} members=demo-galera-{name}\n"));
        }
    }
    if let Some(uuid) = record {
        stage.write("state/uuid", uuid);
    }
    let running = node(&stage);
    phase(&stage, "refused");
    (stage, running)
}

#[test]
fn a_rebuild_keeps_everything_aside_and_takes_a_copy() {
    let (stage, _running) = refusing(Some(B), Some(B));
    let before = stage.tree();
    order(&stage, "rebuild", POD, &format!("database:{A}:42"));
    wait_for("the server", || stage.has("stub/started").then_some(()));
    let after = stage.tree();
    let aside = after.keys().find(|name| name.starts_with("aside.")).unwrap().split('/').next().unwrap().to_owned();
    for (name, text) in &before {
        assert_eq!(after.get(&format!("{aside}/{name}")), Some(text), "{name} is lost");
    }
    assert!(stage.read("volume/identity").contains(B), "the copy must know whose it is to be");
    assert!(!stage.read("stub/started").contains("--wsrep-new-cluster"));
}

#[test]
fn a_wrong_order_to_rebuild_moves_nothing() {
    let word = format!("database:{A}:42");
    let cases = [
        (Some(B), Some(B), "pod-2", word.as_str()),
        (Some(B), Some(B), POD, "database:x:42"),
        (Some(B), Some(B), POD, ""),
        (Some(A), Some(B), POD, &word),
    ];
    for (component, record, pod, word) in cases {
        let (stage, running) = refusing(component, record);
        let before = stage.tree();
        stage.write("run/rebuild", format!("{pod} {word}\n"));
        let said = wait_for("its answer", || reports(&running.out(), "rebuild").into_iter().next());
        assert_eq!(said.get("done"), Some("no"));
        assert!(said.get("reason").is_some());
        assert!(before == stage.tree() && !stage.has("stub/started"), "{component:?} {record:?} {pod} {word}");
    }
}

/// Broken off before any of its moves, and done again.
#[test]
fn a_rebuild_that_is_killed_loses_nothing() {
    let code = r#"DATA=$VOLUME/data; DOMAIN=test; recorded() { echo "$WANTED"; }; component() { echo "$WANTED"; }
        step=0; mv() { step=$((step + 1)); [ "$step" != "$KILL" ] || kill -KILL $$; command mv "$@"; }
        printf '%s %s\n' "$POD_UID" "$(found)" >"$RUN/rebuild"; rebuild"#;
    for kill in 1..=4 {
        let stage = Stage::new();
        clean(&stage.volume());
        stage.write("volume/seen", "position=x\n");
        stage.write("volume/binlog/bin.000001", "x");
        let before = stage.tree();
        let text = kill.to_string();
        let parts = ["report", "volume", "peers", "node"];
        let done = stage.sourced(&parts, code, &[("KILL", &text), ("WANTED", B)]);
        assert_eq!(done.code, None, "{kill}: {done:?}");
        assert!(stage.has("volume/data/mysql"), "{kill}: the data goes last");
        let done = stage.sourced(&parts, code, &[("KILL", "0"), ("WANTED", B)]);
        assert_eq!(done.code, Some(0), "{kill}: {done:?}");
        let after = stage.tree();
        for (name, text) in before.iter().filter(|(_, text)| text.as_slice() != b"/") {
            let kept = after.iter().filter(|(at, kept)| at.ends_with(&format!("/{name}")) && *kept == text).count();
            assert_eq!(kept, 1, "{kill}: {name} is lost");
        }
    }
}

/// A server that is part of a component is never told to stand by.
#[test]
fn standing_by_is_for_servers_outside_of_a_component() {
    let stage = Stage::new();
    let script = stage.path("scripts/standby.sh");
    let script = script.to_str().unwrap();
    let mut server = stage.start(&["-c", "exec sleep 600"], &[]);
    stage.write("run/server", format!("{}\n", server.child.id()));
    assert_eq!(stage.run(&[script, "pod-2"], &[]).code, Some(1));
    stage.write("run/wsrep", format!("status=synced primary=yes uuid={A} members=-\n"));
    assert_eq!(stage.run(&[script, POD], &[]).code, Some(3));
    assert!(!server.ended() && !stage.has("run/standby"));
    stage.write("run/wsrep", "status=- primary=no uuid=- members=-\n");
    assert_eq!(stage.run(&[script, POD], &[]).code, Some(0));
    wait_for("the server to end", || server.ended().then_some(()));
    assert!(stage.has("run/standby"));
}
