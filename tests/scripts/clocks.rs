//! Clocks jump, and names lie: backups are taken at their intervals all the same.

use crate::world::{FULL, INCARNATION, World, backup_json};

/// Ten minutes of the agent's life, looking every five seconds, with the time of day as `$DAY` says. An increment is due
/// every minute. A line for each backup that was taken.
const TEN_MINUTES: &str = r#"
    for ((TICK = 1000; TICK < 1600; TICK += 5)); do
        EPOCHSECONDS=$(DAY)
        kind=$(due)
        [ -z "$kind" ] || { take "$kind" >/dev/null 2>&1; echo "$TICK $kind $TAKEN"; }
    done
"#;

impl World {
    /// What was taken, as kinds and names, with the time of day as a script says it.
    fn ten_minutes(&self, day: &str) -> Vec<(String, String)> {
        let said = self.agent(&format!("STARTED_AT=1000\n{}", TEN_MINUTES.replace("$(DAY)", day)));
        let taken = said.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[1].to_owned(), words[2].to_owned())
        });
        taken.collect()
    }
}

fn kinds(taken: &[(String, String)]) -> Vec<&str> {
    taken.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[test]
fn in_good_order_an_increment_is_taken_every_minute() {
    let world = World::new();
    let taken = world.ten_minutes("$((1795140900 + TICK - 1000))");
    assert_eq!(kinds(&taken), ["inc"; 10]);
}

#[test]
fn a_name_in_the_future_counts_as_the_newest() {
    // One that another copy of the data has left: nothing can build on it, but what follows can build on itself.
    let world = World::new();
    let id = "20991231T235959Z-full";
    world.backup(id, "", id, 0);
    world.write(
        &format!("{id}/backup.json"),
        backup_json(id, "", id, 0).replace(INCARNATION, "00000000-0000-4000-8000-000000000000").as_bytes(),
    );
    let taken = world.ten_minutes("$((1795150000 + TICK))");
    assert_eq!(kinds(&taken), [["full"].as_slice(), &["inc"; 9]].concat());
    assert!(taken.iter().all(|(_, name)| name.as_str() > id), "{taken:?}");

    // One of this very data: increments build on it.
    let world = World::new();
    world.backup(id, "", id, 0);
    world.write(
        &format!("{id}/backup.json"),
        backup_json(id, "", id, 0).replace("\"began\":1795140000", "\"began\":4102444799").as_bytes(),
    );
    let taken = world.ten_minutes("$((1795150000 + TICK))");
    assert_eq!(kinds(&taken), ["inc"; 9]);
}

#[test]
fn the_last_name_of_all_does_not_make_backups_more_often() {
    let world = World::new();
    let id = "99991231T235959Z-full";
    world.backup(id, "", id, 0);
    world.write(
        &format!("{id}/backup.json"),
        backup_json(id, "", id, 0).replace(INCARNATION, "00000000-0000-4000-8000-000000000000").as_bytes(),
    );
    let taken = world.ten_minutes("$((1795150000 + TICK))");
    assert!((9..=10).contains(&taken.len()), "{taken:?}");
}

#[test]
fn a_clock_that_jumps_changes_neither_interval_nor_order() {
    for day in [
        "$((1795150000 + (TICK % 2 ? 86400 : -86400)))",
        "$((1795150000 + (TICK * 7919) % 1000000))",
        "$((1795150000 - TICK * 1000))",
    ] {
        let world = World::new();
        let taken = world.ten_minutes(day);
        assert!((9..=10).contains(&taken.len()), "{day}: {taken:?}");
        let names: Vec<&String> = taken.iter().map(|(_, name)| name).collect();
        assert!(names.is_sorted() && names[0].as_str() > FULL, "{day}: {taken:?}");
        assert!(kinds(&taken).iter().filter(|kind| **kind == "full").count() <= 1, "{day}: {taken:?}");
    }
}
