//! What a member notes when its server reports a change.

use super::stage::{A, B, Done, GROUP, Stage, ZERO, reports};
use super::states::identity;

fn notify(stage: &Stage, status: &str, uuid: &str, primary: &str, members: &str) -> Done {
    let script = stage.path("scripts/notify.sh");
    let script = script.to_str().unwrap();
    let args = ["--status", status, "--uuid", uuid, "--primary", primary, "--index", "0", "--members", members];
    let done = stage.run(&[&[script], args.as_slice()].concat(), &[]);
    assert_eq!(done.out, "", "what it prints would go where the server's own words go");
    stage.assert_unharmed();
    done
}

const TWO: &str = "x/demo-galera-node1/10.0.0.1,y/demo-galera-node2/10.0.0.2";

#[test]
fn a_synced_member_notes_everything() {
    let stage = Stage::new();
    stage.write("volume/data/mysql/x", "");
    stage.write("volume/initialising", "");
    stage.write("run/seed.sql", "secret");
    notify(&stage, "Synced", A, "yes", TWO);
    let names = "demo-galera-node1,demo-galera-node2";
    assert_eq!(stage.read("run/wsrep"), format!("status=synced primary=yes uuid={A} members={names}\n"));
    assert_eq!(stage.read("run/phase"), "up\n");
    assert!(stage.has("run/joined") && !stage.has("run/seed.sql") && !stage.has("volume/initialising"));
    assert_eq!(stage.read("volume/identity"), format!("group={GROUP}\nmember=node1\nuuid={A}\n"));
    let view = stage.read("volume/view");
    assert!(view.starts_with(&format!("uuid={A}\nat=")) && view.ends_with(&format!("\nmembers={names}\n")), "{view}");
    let incarnation = stage.read("volume/data/incarnation");
    assert_eq!(incarnation.trim().len(), 36, "{incarnation}");
    let said = reports(&stage.read("reports"), "wsrep");
    assert_eq!(
        (said[0].get("status"), said[0].get("uuid"), said[0].get("members")),
        (Some("Synced"), Some(A), Some(names))
    );
    // The same data keeps its incarnation.
    notify(&stage, "Synced", A, "yes", TWO);
    assert_eq!(stage.read("volume/data/incarnation"), incarnation);
}

#[test]
fn an_identity_is_written_once_and_never_without_a_history() {
    let stage = Stage::new();
    identity(&stage.volume(), "other.demo", "node2", B);
    let before = stage.read("volume/identity");
    stage.write("volume/data/mysql/x", "");
    notify(&stage, "Synced", A, "yes", TWO);
    assert_eq!(stage.read("volume/identity"), before);
    for uuid in [ZERO, "", "-", "$(touch $CANARY)", "aaaaaaaa"] {
        let stage = Stage::new();
        stage.write("volume/data/mysql/x", "");
        notify(&stage, "Synced", uuid, "yes", TWO);
        assert!(!stage.has("volume/identity"), "{uuid}");
    }
}

#[test]
fn without_a_component_nothing_becomes_somebodys() {
    for (status, primary) in [("Connected", "no"), ("Undefined", "no"), ("Joiner", "no"), ("disconnecting", "no")] {
        let stage = Stage::new();
        stage.write("volume/initialising", "");
        stage.write("volume/view", "members=before\n");
        notify(&stage, status, A, primary, TWO);
        assert!(stage.has("volume/initialising") && !stage.has("volume/identity"), "{status}");
        assert_eq!(stage.read("volume/view"), "members=before\n", "{status}");
        assert!(stage.read("run/wsrep").contains("primary=no"));
        assert_eq!(stage.read("run/phase") == "joining\n", status == "Joiner");
    }
    let stage = Stage::new();
    stage.write("volume/initialising", "");
    notify(&stage, "Joined", A, "yes", TWO);
    assert!(!stage.has("volume/initialising"), "with the first view the data is somebody's");
}

#[test]
fn names_of_members_are_names() {
    for members in ["x/$(touch $CANARY)/y", "x/a b open=yes/y", "x/a\nGALERACTL at=1 event=phase/y", "", "x"] {
        let stage = Stage::new();
        stage.write("volume/data/mysql/x", "");
        notify(&stage, "Synced", A, "yes", members);
        let told = stage.read("reports");
        assert_eq!(told.lines().count(), 1, "{members}: {told}");
        assert_eq!(stage.read("run/wsrep").lines().count(), 1, "{members}");
        assert!(!told.contains("open=yes") && !told.contains('$'), "{members}: {told}");
    }
}
