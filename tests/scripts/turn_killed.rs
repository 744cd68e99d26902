//! Turns that are broken off before any of their commands, or in the middle of a removal. Whatever is done then, exactly
//! the old or exactly the new data is in place at the end, with all that belongs to it.

use std::path::Path;

use galeractl::manifests::scripts::TURN;

use super::stage::{Stage, Tree};
use super::states::{filled, own, prepared, put_kept, switched};

/// Read by bash before the script itself: kills it before the command with number $KILL of those that change something,
/// or, with HALF=yes, after half of what `rm` was to remove is gone.
const TRAP: &str = r#"
step=0
deadly() {
    [ "$BASHPID" = "$$" ] || return 0
    step=$((step + 1))
    if [[ $BASH_COMMAND == rm\ -rf\ * ]]; then echo half; else echo whole; fi >>"$STUB/steps"
    [ "$step" = "$KILL" ] || return 0
    if [ "$HALF" = yes ] && [[ $BASH_COMMAND == rm\ -rf\ * ]]; then
        local words=() word file number=0
        eval "words=(${BASH_COMMAND#rm -rf })"
        while read -r file; do
            number=$((number + 1))
            ((number % 2)) || command rm -f "$file"
        done < <(find "${words[@]}" ! -type d 2>/dev/null | if [ "$BACKWARDS" = yes ]; then sort -r; else sort; fi)
    fi
    kill -KILL $$
}
shopt -s extglob
set -T
trap '[[ $BASH_COMMAND != @(mv|rm|mkdir|touch|sync)\ * ]] || deadly' DEBUG
"#;

fn turn(stage: &Stage, turn: &str, kill: usize, half: &str, backwards: &str) -> Option<i32> {
    let found = stage.sourced(&["volume"], "found", &[]).out;
    let trap = stage.path("trap");
    let number = kill.to_string();
    let env = [
        ("TURN", turn),
        ("EXPECT", &found),
        ("BASH_ENV", trap.to_str().unwrap()),
        ("KILL", &number),
        ("HALF", half),
        ("BACKWARDS", backwards),
    ];
    stage.run(&["-c", TURN], &env).code
}

/// What is in place: everything but what restores keep.
fn in_place(tree: &Tree) -> Tree {
    tree.iter().filter(|(name, _)| !name.starts_with("restore.")).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What would be in place if the folder `under` were.
fn would_be(tree: &Tree, under: &str) -> Tree {
    let own = ["data", "identity", "seen", "view", "binlog"];
    let part = |name: &str| own.contains(&name.split('/').next().unwrap_or_default());
    tree.iter()
        .filter_map(|(name, text)| Some((name.strip_prefix(under)?.to_owned(), text.clone())))
        .filter(|(name, _)| part(name))
        .collect()
}

struct Case {
    name: &'static str,
    make: fn(&Path),
    turn: &'static str,
    /// What comes after the one that was killed.
    then: &'static str,
}

/// Whether all that `data` names lies somewhere on the volume.
fn is_somewhere(data: &Tree, tree: &Tree) -> bool {
    ["", "restore.old/", "restore.new/", "restore.failed/"].iter().any(|place| {
        data.iter().all(|(name, text)| {
            tree.get(&format!("{place}{name}")) == Some(text)
                // Parts of it may still be, or already be, at the other place.
                || ["", "restore.old/"].iter().any(|other| tree.get(&format!("{other}{name}")) == Some(text))
        })
    })
}

/// Where a turn can be killed: before each of its steps, and in the middle of those that remove something.
fn deaths(make: fn(&Path), first: &str) -> Vec<(usize, &'static str, &'static str)> {
    let stage = Stage::new();
    stage.write("trap", TRAP);
    make(&stage.volume());
    assert_eq!(turn(&stage, first, 0, "no", "no"), Some(0));
    let mut deaths = Vec::new();
    for (number, kind) in stage.read("stub/steps").lines().enumerate() {
        deaths.push((number + 1, "no", "no"));
        if kind == "half" {
            deaths.extend([(number + 1, "yes", "no"), (number + 1, "yes", "yes")]);
        }
    }
    assert!(deaths.len() > 2, "{first}: {deaths:?}");
    deaths
}

fn check(case: &Case) {
    for (kill, half, backwards) in deaths(case.make, case.turn) {
        let stage = Stage::new();
        stage.write("trap", TRAP);
        (case.make)(&stage.volume());
        let before = stage.tree();
        let (old, new) = if before.keys().any(|name| name.starts_with("restore.old")) {
            (would_be(&before, "restore.old/"), in_place(&before))
        } else {
            (in_place(&before), would_be(&before, "restore.new/"))
        };
        let name =
            format!("{}: {} killed at {kill} (half {half} {backwards}), then {}", case.name, case.turn, case.then);
        let code = turn(&stage, case.turn, kill, half, backwards);
        assert_eq!(code, None, "{name}");
        let between = stage.tree();
        assert!(is_somewhere(&old, &between), "{name}: the old data is lost: {:?}", between.keys());
        let code = turn(&stage, case.then, 0, "no", "no");
        let after = stage.tree();
        let now = in_place(&after);
        if code != Some(0) {
            // A refusal must leave all as it was, and the way that was begun must go on.
            assert!(is_somewhere(&old, &after), "{name}: the old data is lost: {:?}", after.keys());
            assert_eq!(turn(&stage, case.turn, 0, "no", "no"), Some(0), "{name}: neither way leads on");
            continue;
        }
        let nothing = Tree::new();
        let wanted = match case.then {
            "undo" | "drop" => &old,
            "clear" => &nothing,
            _ => &new,
        };
        assert!(now == *wanted, "{name}: {:?} in place", now.keys());
        if matches!(case.then, "switch" | "clear") {
            assert!(would_be(&after, "restore.old/") == old, "{name}: the old data is not kept: {:?}", after.keys());
            assert!(!stage.has("restore.new"), "{name}");
        } else {
            assert!(!after.keys().any(|name| name.starts_with("restore.")), "{name}: {:?}", after.keys());
        }
    }
}

fn filled_on_nothing(volume: &Path) {
    own(volume, super::stage::A);
    prepared(volume, "nothing");
}

fn cleared(volume: &Path) {
    put_kept(volume);
}

fn run(cases: &[Case]) {
    cases.iter().for_each(check);
}

#[test]
fn a_killed_switch_goes_on_or_back() {
    let case = |name, make, then| Case { name, make, turn: "switch", then };
    run(&[
        case("filled", filled, "switch"),
        case("filled", filled, "undo"),
        case("filled beside nothing", filled_on_nothing, "switch"),
        case("filled beside nothing", filled_on_nothing, "undo"),
    ]);
}

#[test]
fn a_killed_clearing_goes_on_or_back() {
    let case = |then| Case { name: "filled", make: filled, turn: "clear", then };
    run(&[case("clear"), case("undo")]);
}

#[test]
fn a_killed_undo_goes_on() {
    let case = |name, make, then| Case { name, make, turn: "undo", then };
    run(&[case("switched", switched as fn(&Path), "undo"), case("cleared, and copied anew", cleared, "undo")]);
}

/// Half-removed data must never pass for complete, and what was begun must not be turned round half-way.
#[test]
fn nothing_is_switched_to_that_is_only_half_there() {
    for (make, first) in [(filled as fn(&Path), "drop"), (filled, "undo"), (switched, "undo"), (cleared, "undo")] {
        for (kill, half, backwards) in deaths(make, first) {
            let stage = Stage::new();
            stage.write("trap", TRAP);
            make(&stage.volume());
            let before = stage.tree();
            let name = format!("{first} killed at {kill} (half {half} {backwards})");
            assert_eq!(turn(&stage, first, kill, half, backwards), None, "{name}");
            let between = stage.tree();
            let code = turn(&stage, "switch", 0, "no", "no");
            let now = in_place(&stage.tree());
            if code == Some(0) {
                let new = [in_place(&before), would_be(&before, "restore.new/")];
                assert!(new.contains(&now), "{name}: {:?}", now.keys());
            } else {
                assert!(in_place(&between) == now, "{name}: a refusal has changed something");
                assert_eq!(turn(&stage, first, 0, "no", "no"), Some(0), "{name}");
            }
        }
    }
}
