//! How filling a volume begins: nothing is touched before it is known that it may be.

use galeractl::manifests::scripts::RESTORE;

use super::purge::{locked, opened, refused};
use super::stage::{A, B, Stage, reports};
use super::states::{clean, filled, switched};

const HELD: &str = "database:aaaaaaaa-1111-4222-8333-444444444444:42";
/// Nobody listens at the source: a run that is let through ends there.
const ENV: [(&str, &str); 6] = [
    ("SOURCE", "127.0.0.1"),
    ("GALERA_PATIENCE", "0"),
    ("NEW_UUID", B),
    ("SERVER_OPTIONS", "[mysqld]"),
    ("NEEDED", "1"),
    ("MODE", "fill"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&ENV, more].concat()
}

#[test]
fn it_changes_nothing_that_was_not_decided() {
    for discard in ["yes", "no"] {
        for expect in ["", "nothing", "files", "database:*"] {
            let stage = Stage::new();
            clean(&stage.volume());
            refused(&stage, RESTORE, &with(&[("EXPECT", expect), ("DISCARD", discard)]), "restore");
        }
        for take in [locked, opened] {
            let stage = Stage::new();
            clean(&stage.volume());
            let _holder = take(&stage);
            refused(&stage, RESTORE, &with(&[("EXPECT", HELD), ("DISCARD", discard)]), "restore");
        }
        let stage = Stage::new();
        switched(&stage.volume());
        let found = stage.sourced(&["volume"], "found", &[]).out;
        refused(&stage, RESTORE, &with(&[("EXPECT", &found), ("DISCARD", discard)]), "restore");
    }
}

#[test]
fn without_room_or_a_source_the_old_data_stays() {
    for (needed, token) in [("1", true), ("1", false), ("99999999999999999", true)] {
        let stage = Stage::new();
        filled(&stage.volume());
        if token {
            stage.write("run/token", "x");
        }
        let found = stage.sourced(&["volume"], "found", &[]).out;
        let before = stage.tree();
        let mut env = with(&[("EXPECT", &found)]);
        env.push(("NEEDED", needed));
        let done = stage.run(&["-c", RESTORE], &env);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(reports(&done.out, "restore").iter().any(|report| report.get("phase") == Some("failed")), "{done:?}");
        let after = stage.tree();
        for (name, text) in before.iter().filter(|(name, _)| !name.starts_with("restore.new")) {
            assert_eq!(after.get(name), Some(text), "{name}");
        }
    }
}

#[test]
fn the_old_data_goes_only_on_demand() {
    let stage = Stage::new();
    clean(&stage.volume());
    let done = stage.run(&["-c", RESTORE], &with(&[("EXPECT", HELD), ("DISCARD", "yes")]));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(!stage.has("volume/data") && !stage.has("volume/identity"), "{A}");
}
