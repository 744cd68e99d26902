//! What empties a volume does it only if the volume holds exactly what somebody has looked at, and nobody uses it.

use galeractl::manifests::scripts::{PURGE, TURN};

use super::stage::{A, Done, Running, Stage, put, reports, wait_for};
use super::states::{clean, filled, switched};

const HELD: &str = "database:aaaaaaaa-1111-4222-8333-444444444444:42";

/// `script` is refused and nothing has changed.
pub(crate) fn refused(stage: &Stage, script: &str, env: &[(&str, &str)], event: &str) -> Done {
    let before = stage.tree();
    let done = stage.run(&["-c", script], env);
    assert_ne!(done.code, Some(0), "{env:?} {done:?}");
    assert!(before == stage.tree(), "{env:?}: something has changed");
    let said = reports(&done.out, event);
    assert!(said.iter().any(|report| report.get("reason").is_some()), "{env:?} {done:?}");
    done
}

/// Keeps the lock of the volume, as a server's start script does.
pub(crate) fn locked(stage: &Stage) -> Running {
    let holder = stage.start(&["-c", r#"exec 9>>"$VOLUME/lock"; flock 9; touch "$STUB/taken"; sleep 600"#], &[]);
    wait_for("the lock", || stage.has("stub/taken").then_some(()));
    holder
}

/// Keeps a lock on the system tablespace, as every server does.
pub(crate) fn opened(stage: &Stage) -> Running {
    let code = r#"exec perl -MFcntl -e 'open my $f, "+<", $ARGV[0] or die; my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die;
        open my $t, ">", $ARGV[1]; close $t; sleep 600' "$VOLUME/data/ibdata1" "$STUB/taken""#;
    let holder = stage.start(&["-c", code], &[]);
    wait_for("the tablespace", || stage.has("stub/taken").then_some(()));
    holder
}

#[test]
fn a_purge_does_nothing_that_was_not_decided() {
    let stage = Stage::new();
    clean(&stage.volume());
    for expect in ["", "nothing", "files", "database:aaaaaaaa-1111-4222-8333-444444444444:43", "*", "database:*"] {
        assert_eq!(refused(&stage, PURGE, &[("EXPECT", expect)], "purge").code, Some(3));
    }
    assert_eq!(refused(&stage, PURGE, &[], "purge").code, Some(3));
    // What is kept beside the data belongs to the word.
    let stage = Stage::new();
    switched(&stage.volume());
    refused(&stage, PURGE, &[("EXPECT", "database:bbbbbbbb-1111-4222-8333-444444444444:0")], "purge");
}

#[test]
fn a_purge_leaves_a_volume_alone_that_a_server_has() {
    for take in [locked, opened] {
        let stage = Stage::new();
        clean(&stage.volume());
        let _holder = take(&stage);
        assert_eq!(refused(&stage, PURGE, &[("EXPECT", HELD)], "purge").code, Some(3));
    }
}

#[test]
fn a_purge_takes_everything_that_was_named() {
    let stage = Stage::new();
    filled(&stage.volume());
    put(&stage.volume(), ".hidden/x", "x");
    put(&stage.volume(), "-rf/x", "x");
    std::fs::create_dir(stage.path("volume/lost+found")).unwrap();
    put(&stage.volume(), "lock", "");
    let found = stage.sourced(&["volume"], "found", &[]).out;
    let done = stage.run(&["-c", PURGE], &[("EXPECT", &found)]);
    let last = reports(&done.out, "purge").pop().unwrap();
    assert_eq!(last.get("left"), Some("0"), "{done:?}");
    assert_eq!(done.code, Some(0), "{done:?}");
    let left = stage.tree();
    assert_eq!(left.keys().collect::<Vec<_>>(), ["lost+found"], "the file system's own folder stays");
}

#[test]
fn no_turn_is_taken_that_was_not_decided() {
    for turn in ["switch", "clear", "undo", "drop"] {
        for make in [filled, switched] {
            let stage = Stage::new();
            make(&stage.volume());
            for expect in ["", "nothing", HELD, "*"] {
                refused(&stage, TURN, &[("TURN", turn), ("EXPECT", expect)], "restore");
            }
            refused(&stage, TURN, &[("TURN", turn)], "restore");
        }
        for take in [locked, opened] {
            let stage = Stage::new();
            filled(&stage.volume());
            let found = stage.sourced(&["volume"], "found", &[]).out;
            let _holder = take(&stage);
            refused(&stage, TURN, &[("TURN", turn), ("EXPECT", &found)], "restore");
        }
    }
    let stage = Stage::new();
    filled(&stage.volume());
    let found = stage.sourced(&["volume"], "found", &[]).out;
    refused(&stage, TURN, &[("TURN", "purge"), ("EXPECT", &found)], "restore");
}

#[test]
fn what_was_kept_is_forgotten_only_by_its_name() {
    let stage = Stage::new();
    switched(&stage.volume());
    let script = stage.path("scripts/forget.sh");
    let script = script.to_str().unwrap();
    let before = stage.tree();
    for word in [&[script][..], &[script, ""], &[script, "nothing"], &[script, &format!("database:{A}:43")]] {
        assert_eq!(stage.run(word, &[]).code, Some(3), "{word:?}");
    }
    assert!(before == stage.tree());
    assert_eq!(stage.run(&[script, HELD], &[]).code, Some(0));
    let left = stage.tree();
    assert!(!left.keys().any(|name| name.starts_with("restore.")));
    assert!(
        before
            .iter()
            .filter(|(name, _)| !name.starts_with("restore."))
            .all(|(name, text)| left.get(name) == Some(text))
    );
    assert_eq!(stage.run(&[script], &[]).code, Some(0), "there is nothing left to forget");
}
