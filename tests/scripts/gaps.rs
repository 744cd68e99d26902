//! What is missing in a binary log is found when it is copied.

use std::fs;
use std::process::Command;

use crate::world::{NOW, World, binary_log, scripts};

/// What `gaps.pl` says of a log between two numbers; `None` where it refuses.
fn gaps(log: &[u8], from: u64, to: u64) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    fs::write(&file, log).unwrap();
    let (from, to) = (from.to_string(), to.to_string());
    let output = Command::new("perl").arg(scripts().join("gaps.pl")).arg(file).args([from, to]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

fn log(numbers: &[u64]) -> Vec<u8> {
    binary_log(NOW, numbers.iter().map(|number| (*number, 0, NOW + i64::try_from(*number).unwrap())))
}

#[test]
fn numbers_that_are_not_there_are_gaps() {
    let at = |number: i64| NOW + number;
    for (numbers, from, to, expected) in [
        (&[1, 2, 3][..], 0, 3, String::new()),
        (&[1, 4, 5, 7], 0, 7, format!("2-3@{},6-6@{}", at(1), at(5))),
        // At both ends, where nothing in this log comes before or after; the log's own time stands for the one before.
        (&[5], 2, 7, format!("3-4@{},6-7@{}", at(0), at(5))),
        (&[], 2, 4, format!("3-4@{}", at(0))),
        // What was in the log before is not asked for again.
        (&[1, 2, 3, 4], 3, 4, String::new()),
    ] {
        assert_eq!(gaps(&log(numbers), from, to).as_deref(), Some(&*expected), "{numbers:?} {from} {to}");
    }
}

#[test]
fn only_the_transactions_of_the_group_count() {
    let own = binary_log(NOW, [(1, 0, NOW), (7, 101, NOW), (2, 0, NOW), (9, 103, NOW)].into_iter());
    assert_eq!(gaps(&own, 0, 2).as_deref(), Some(""));
}

#[test]
fn many_gaps_end_in_one_that_covers_the_rest() {
    let odd: Vec<u64> = (0..4000).map(|number| number * 2 + 1).collect();
    let told = gaps(&log(&odd), 0, 7999).unwrap();
    assert_eq!((told.split(',').count(), told.ends_with(&format!("100-7998@{}", NOW + 99))), (50, true), "{told}");
}

#[test]
fn what_is_no_binary_log_is_refused_and_a_cut_one_ends_there() {
    assert_eq!(gaps(b"rows", 0, 1), None);
    assert_eq!(gaps(&[b"\xfebin".as_slice(), &[0; 19]].concat(), 0, 1), None);
    let whole = log(&[1, 2, 3]);
    let cut = &whole[..whole.len() - 90];
    assert_eq!(gaps(cut, 0, 3), Some(format!("3-3@{}", NOW + 2)));
}

#[test]
fn a_copied_log_says_what_it_lacks() {
    for (numbers, expected) in
        [((11..=20).collect::<Vec<u64>>(), String::new()), (vec![11, 12, 15, 20], format!("13-14@{NOW},16-19@{NOW}"))]
    {
        let world = World::new();
        let log = binary_log(NOW, numbers.iter().map(|number| (*number, 0, NOW)));
        fs::write(world.at("volume/binlog/bin.000001"), log).unwrap();
        world.agent("ship_logs");
        let json = fs::read_to_string(world.root(&format!("binlog/{NOW}-3f2a91bc-bin.000001.zst.json"))).unwrap();
        assert!(json.contains(&format!("\"gaps\":\"{expected}\"")), "{json}");
        let catalog = world.catalog();
        assert!(catalog.logs.iter().any(|log| log.to.starts_with("0-1-20")), "{catalog:?}");
    }
}
