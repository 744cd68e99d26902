//! Turning a volume to restored data and back.

use galeractl::manifests::scripts::TURN;

use super::purge::refused;
use super::stage::{A, B, Done, Stage, put, reports};
use super::states::{clean, crashed, database, filled, switched};

fn turn(stage: &Stage, turn: &str) -> Done {
    let found = stage.sourced(&["volume"], "found", &[]).out;
    stage.run(&["-c", TURN], &[("TURN", turn), ("EXPECT", &found)])
}

fn is_refused(stage: &Stage, turn: &str) {
    let found = stage.sourced(&["volume"], "found", &[]).out;
    refused(stage, TURN, &[("TURN", turn), ("EXPECT", &found)], "restore");
}

#[test]
fn there_and_back_again() {
    let stage = Stage::new();
    filled(&stage.volume());
    let before = stage.tree();
    let done = turn(&stage, "switch");
    let report = reports(&done.out, "restore").pop().unwrap();
    assert_eq!(report.get("phase"), Some("done"), "{done:?}");
    let found = format!("database:{B}:0;kept=database:{A}:42");
    assert_eq!(report.get("found"), Some(found.as_str()));
    assert!(stage.read("volume/identity").contains(B) && !stage.has("volume/seen") && !stage.has("volume/binlog"));
    assert_eq!(turn(&stage, "undo").code, Some(0));
    let old = before.into_iter().filter(|(name, _)| !name.starts_with("restore.")).collect();
    assert!(stage.tree() == old, "{:?}", stage.tree().keys());
}

#[test]
fn data_that_has_moved_on_is_not_put_aside() {
    let stage = Stage::new();
    filled(&stage.volume());
    database(&stage.volume(), "data", A, "43");
    is_refused(&stage, "switch");
    // After a crash the time of the last write stands for the position.
    let stage = Stage::new();
    crashed(&stage.volume());
    super::states::prepared(&stage.volume(), &format!("database:{A}:crashed-1699999999"));
    is_refused(&stage, "switch");
    for beside in ["", "nothing", "database:$(touch $CANARY):1", "*"] {
        let stage = Stage::new();
        filled(&stage.volume());
        put(&stage.volume(), "restore.new/BESIDE", beside);
        is_refused(&stage, "switch");
        stage.assert_unharmed();
    }
}

#[test]
fn there_must_be_something_complete_to_switch_to() {
    let stage = Stage::new();
    clean(&stage.volume());
    is_refused(&stage, "switch");
    let stage = Stage::new();
    filled(&stage.volume());
    put(&stage.volume(), "restore.new/COMPLETE", "");
    is_refused(&stage, "switch");
}

/// An undo of long ago left its rest; the next restore has nothing to do with it.
#[test]
fn the_rest_of_an_earlier_undo_does_not_stand_in_the_way_of_the_next() {
    let stage = Stage::new();
    clean(&stage.volume());
    put(&stage.volume(), "restore.failed/DONE", "");
    let before: super::stage::Tree =
        stage.tree().into_iter().filter(|(name, _)| !name.starts_with("restore.")).collect();
    assert_eq!(turn(&stage, "clear").code, Some(0));
    database(&stage.volume(), "data", B, "7");
    assert_eq!(turn(&stage, "undo").code, Some(0));
    assert!(before == stage.tree(), "{:?}", stage.tree().keys());
}

/// Whoever started a server half-way has made data that nobody has decided about.
#[test]
fn what_a_server_has_made_half_way_is_neither_covered_nor_removed() {
    let stage = Stage::new();
    filled(&stage.volume());
    std::fs::create_dir(stage.path("volume/restore.old")).unwrap();
    for part in ["data", "identity"] {
        let volume = stage.volume();
        std::fs::rename(volume.join(part), volume.join("restore.old").join(part)).unwrap();
    }
    database(&stage.volume(), "data", B, "9");
    is_refused(&stage, "switch");
    let stage = Stage::new();
    switched(&stage.volume());
    put(&stage.volume(), "restore.failed/DONE", "");
    let before = stage.tree();
    let done = turn(&stage, "undo");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(reports(&done.out, "restore")[0].get("reason").is_some());
    let after = stage.tree();
    assert_eq!(before.len(), after.len());
    assert_eq!(after.get("restore.old/data/grastate.dat"), before.get("restore.old/data/grastate.dat"));
}
