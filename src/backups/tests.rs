use proptest::prelude::*;

use super::*;

/// Whoever has described a backup is believed.
pub(crate) const ANYONE: Trust = Trust { signer: None, unsigned: true };

/// A catalog with one chain per number, which says how many increments it has; a minute lies between two backups, and a
/// transaction falls into every second.
pub(crate) fn catalog(increments: &[usize]) -> Catalog {
    let mut catalog = Catalog { server: "11.8.6".to_owned(), now: 1_000_000, ..Catalog::default() };
    let mut minute = 0_i64;
    for (number, count) in increments.iter().enumerate() {
        let full = format!("2026112{number}T000000Z-full");
        let mut base = String::new();
        for index in 0..=*count {
            let id = if index == 0 { full.clone() } else { format!("2026112{number}T0000{index:02}Z-inc") };
            let ended = minute * 60;
            catalog.stored.insert(id.clone(), 100);
            catalog.backups.push(Backup {
                id: id.clone(),
                kind: if index == 0 { Extent::Full } else { Extent::Incremental },
                chain: full.clone(),
                base: std::mem::replace(&mut base, id),
                namespace: "data".to_owned(),
                cluster: "shop".to_owned(),
                member: "node3".to_owned(),
                incarnation: "one".to_owned(),
                uuid: uuid(),
                seqno: minute.unsigned_abs(),
                gtid: format!("0-1-{ended},103-1-5"),
                from_lsn: if index == 0 { 0 } else { minute.unsigned_abs() * 10 },
                to_lsn: (minute.unsigned_abs() + 1) * 10,
                version: "11.8.6-MariaDB-log".to_owned(),
                began: (ended - 1).max(0),
                ended,
                bytes: 100,
                data: 1000,
                sha256: "a".repeat(64),
                base_sum: String::new(),
                key_id: String::new(),
            });
            minute += 1;
        }
    }
    catalog
}

fn uuid() -> Uuid {
    "79651a2b-0000-11f0-8000-0123456789ab".parse().unwrap()
}

/// The binary log of the transactions after one and up to another.
pub(crate) fn log(from: i64, to: i64) -> Log {
    Log {
        name: format!("{to}-79651a2b-bin.{from:06}.zst"),
        incarnation: "one".to_owned(),
        uuid: uuid(),
        from: format!("0-1-{from},103-1-5"),
        to: format!("0-1-{to},103-1-5"),
        gaps: Vec::new(),
        begin: from,
        end: to,
        bytes: 10,
        sha256: "d".repeat(64),
    }
}

fn wanted(from: From, to: Option<To>) -> Wanted {
    Wanted { from, increment: None, to, gaps: Gaps::Refused }
}

fn ids(source: &Source) -> Vec<&str> {
    source.backups.iter().map(|backup| backup.id.as_str()).collect()
}

#[test]
fn the_latest_is_the_whole_newest_chain() {
    let catalog = catalog(&[1, 2]);
    let source = choose(&catalog, &wanted(From::Latest, None)).unwrap();
    assert_eq!(ids(&source), ["20261121T000000Z-full", "20261121T000001Z-inc", "20261121T000002Z-inc"]);
    assert!(
        source
            .plan()
            .starts_with(&format!("backup data/shop/20261121T000000Z-full {} full\nbackup data/shop/", "a".repeat(64)))
    );
    let first = choose(&catalog, &Wanted { increment: Some(0), ..wanted(From::Latest, None) }).unwrap();
    assert_eq!(ids(&first), ["20261121T000000Z-full"]);
}

#[test]
fn an_increment_brings_what_it_builds_on() {
    let catalog = catalog(&[2]);
    let id = From::Id("20261120T000001Z-inc".to_owned());
    assert_eq!(ids(&choose(&catalog, &wanted(id, None)).unwrap()).len(), 2);
    let none = choose(&catalog, &wanted(From::Id("20200101T000000Z-full".to_owned()), None)).unwrap_err();
    assert!(none.starts_with("there is no backup 20200101T000000Z-full; the newest: 20261120T000002Z-inc"), "{none}");
}

#[test]
fn what_is_not_whole_is_refused_with_its_reason() {
    let full = From::Id("20261120T000000Z-full".to_owned());
    let refusal = |change: &dyn Fn(&mut Catalog)| {
        let mut catalog = catalog(&[2]);
        change(&mut catalog);
        choose(&catalog, &wanted(full.clone(), None)).unwrap_err()
    };
    let truncated = refusal(&|catalog| {
        catalog.stored.insert("20261120T000002Z-inc".to_owned(), 99);
    });
    assert!(truncated.ends_with("20261120T000002Z-inc is truncated: 99 of 100 bytes are there"), "{truncated}");
    let missing = refusal(&|catalog| drop(catalog.backups.remove(1)));
    assert!(missing.ends_with("20261120T000002Z-inc builds on 20261120T000001Z-inc, which is not there"), "{missing}");
    let foreign = refusal(&|catalog| catalog.backups[2].incarnation = "two".to_owned());
    assert!(foreign.contains("is of another copy of the data than"), "{foreign}");
    let leap = refusal(&|catalog| catalog.backups[1].from_lsn = 11);
    assert!(leap.ends_with("begins at 11, but 20261120T000000Z-full ends at 10"), "{leap}");
    let version = refusal(&|catalog| catalog.server = "12.2.1".to_owned());
    assert!(version.contains("was taken by MariaDB 11.8.6-MariaDB-log, and the image has 12.2.1"), "{version}");
    let damaged = refusal(&|catalog| {
        let id = "20261120T000000Z-full".to_owned();
        let verified = Verified { id: id.clone(), ok: false, at: 1, detail: "a flipped byte".to_owned() };
        catalog.verified.insert(id, verified);
    });
    assert!(damaged.contains("was found to be damaged: a flipped byte"), "{damaged}");
}

#[test]
fn a_broken_chain_gives_way_to_what_can_be_restored_of_it_or_to_an_older_one() {
    let mut catalog = catalog(&[1, 1]);
    catalog.stored.insert("20261121T000001Z-inc".to_owned(), 1);
    assert_eq!(ids(&choose(&catalog, &wanted(From::Latest, None)).unwrap()), ["20261121T000000Z-full"]);
    catalog.stored.insert("20261121T000000Z-full".to_owned(), 1);
    assert_eq!(ids(&choose(&catalog, &wanted(From::Latest, None)).unwrap())[0], "20261120T000000Z-full");
}

#[test]
fn a_gap_in_the_logs_names_what_can_be_reached() {
    let mut catalog = catalog(&[0]);
    catalog.logs = vec![log(0, 30), log(50, 90)];
    let why = choose(&catalog, &wanted(From::Latest, Some(To::Time(70)))).unwrap_err();
    assert_eq!(
        why,
        "1970-01-01T00:01:10Z cannot be reached from backup 20261120T000000Z-full: binary logs lead from \
         1970-01-01T00:00:00Z to 1970-01-01T00:00:30Z (transaction 0-1-30); the next binary log begins after 0-1-50, at \
         1970-01-01T00:00:50Z: the ones between are missing"
    );
    let early = choose(&catalog, &wanted(From::Latest, Some(To::Time(-5)))).unwrap_err();
    assert!(early.starts_with("no backup is older than that"), "{early}");
}

#[test]
fn a_gap_in_a_log_ends_what_can_be_reached_unless_it_is_crossed() {
    let mut catalog = catalog(&[0]);
    let hidden = "31-33@30".parse().unwrap();
    catalog.logs = vec![Log { gaps: vec![hidden], ..log(0, 50) }, log(50, 90)];
    let found = Ways::of(&catalog).reach(&catalog.backups[0]);
    assert_eq!(found, Reach { sequence: 30, time: 30, gap: Some(hidden) });
    for to in [To::Time(30), To::Gtid(30)] {
        assert!(choose(&catalog, &wanted(From::Latest, Some(to))).unwrap().crossed.is_empty());
    }
    for to in [To::Time(31), To::Time(70), To::Gtid(31), To::Gtid(34)] {
        let wanted = wanted(From::Latest, Some(to));
        let why = choose(&catalog, &wanted).unwrap_err();
        assert!(
            why.contains("(transaction 0-1-30); transactions 0-1-31 to 0-1-33 came next, and no log has it"),
            "{why}"
        );
        let crossing = choose(&catalog, &Wanted { gaps: Gaps::Crossed, ..wanted }).unwrap();
        assert_eq!(crossing.crossed, [hidden], "{to:?}");
    }
    // Another node's log has them.
    catalog.logs.push(log(20, 60));
    let whole = choose(&catalog, &wanted(From::Latest, Some(To::Gtid(80)))).unwrap();
    assert!(whole.crossed.is_empty() && Ways::of(&catalog).reach(&catalog.backups[0]).sequence == 90, "{whole:?}");
    // A backup that was taken after it has them as well.
    catalog.logs.pop();
    catalog.backups[0].gtid = "0-1-33".to_owned();
    assert_eq!(Ways::of(&catalog).reach(&catalog.backups[0]).sequence, 90);
}

/// A copy a minute for two weeks, in no order: who looks at all of them for each step does not come to an end.
#[test]
fn a_long_way_is_followed() {
    let mut catalog = catalog(&[0]);
    let start = i64::try_from(sequence(&catalog.backups[0].gtid)).unwrap();
    catalog.logs = (start..start + 20_000).rev().map(|at| log(at, at + 1)).collect();
    assert_eq!(Ways::of(&catalog).reach(&catalog.backups[0]).time, start + 20_000);
    let far = To::Gtid(u64::try_from(start + 20_000).unwrap());
    assert_eq!(choose(&catalog, &wanted(From::Latest, Some(far))).unwrap().logs.len(), 20_000);
}

#[test]
fn a_catalog_is_read_as_it_is_printed() {
    let mut one = catalog(&[0]);
    one.logs = vec![Log { gaps: vec!["4-5@2".parse().unwrap(), "7-7@3".parse().unwrap()], ..log(2, 9) }];
    let found = Catalog::parse(FOLDER, &printed(&one).join("\n"), &ANYONE);
    assert_eq!(Catalog { originals: BTreeMap::new(), ..found }, one);
}

const FOLDER: &str = "data/shop";

/// What `catalog.sh` prints of a volume with this content.
pub(crate) fn printed(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    for backup in &catalog.backups {
        lines.push(format!("backup {} {}", backup.id, serde_json::to_string(backup).unwrap()));
        lines.push(format!("stored {} {}", backup.id, catalog.stored[&backup.id]));
    }
    lines.extend(catalog.logs.iter().map(|log| format!("log {} {}", log.name, serde_json::to_string(log).unwrap())));
    lines.push(format!("clock {} {}", catalog.now, catalog.server));
    lines
}

proptest! {
    /// Replaying what was chosen gives every transaction up to the wanted one, once and in order.
    #[test]
    fn replays_are_complete_and_without_repetition(
        cuts in prop::collection::btree_set(1_i64..400, 1..8), overlap in 0_i64..20, target in 0_u64..420, chains in 1_usize..3,
    ) {
        let mut catalog = catalog(&vec![2; chains]);
        let mut from = 0;
        for cut in &cuts {
            catalog.logs.push(log((from - overlap).max(0), *cut));
            from = *cut;
        }
        let source = choose(&catalog, &wanted(From::Latest, Some(To::Gtid(target))));
        let newest_log = u64::try_from(from).unwrap();
        let backups: Vec<u64> = catalog.backups.iter().map(|backup| sequence(&backup.gtid)).collect();
        let reachable = target <= newest_log || backups.contains(&target);
        prop_assert_eq!(source.is_ok(), reachable, "{:?}", source);
        let Ok(source) = source else { return Ok(()) };
        let mut at = sequence(&source.last().gtid);
        prop_assert_eq!(Some(at), backups.iter().copied().filter(|sequence| *sequence <= target).max());
        for replay in &source.logs {
            prop_assert_eq!(sequence(&replay.start), at);
            prop_assert!(sequence(&replay.log.from) <= at);
            at = match replay.stop { Some(Stop::Gtid(number)) => number, _ => sequence(&replay.log.to) };
        }
        prop_assert_eq!(at, target);
    }

    /// Nothing that is missing in a log lies before a point that can be had, unless gaps are crossed.
    #[test]
    fn what_can_be_had_has_no_gap(
        holes in prop::collection::btree_map(1_u64..200, 1_u64..5, 0..6), cut in 1_i64..200, target in 0_u64..200,
    ) {
        let mut catalog = catalog(&[2]);
        let mut gaps: Vec<Gap> = Vec::new();
        for (first, count) in holes {
            let first = gaps.last().map_or(first, |gap| first.max(gap.last + 2));
            gaps.push(Gap { first, last: first + count - 1, after: i64::try_from(first).unwrap() - 1 });
        }
        // A gap over the end of a log is none of it.
        let split = u64::try_from(cut).unwrap();
        gaps.retain(|gap| gap.last <= 200 && (gap.last <= split || gap.first > split));
        let (early, late) = gaps.iter().partition(|gap| gap.last <= split);
        catalog.logs = vec![Log { gaps: early, ..log(0, cut) }, Log { gaps: late, ..log(cut, 200) }];
        let wanted = Wanted { gaps: Gaps::Crossed, ..wanted(From::Latest, Some(To::Gtid(target))) };
        let crossing = choose(&catalog, &wanted).unwrap();
        let base = sequence(&crossing.last().gtid);
        let hit: Vec<Gap> = gaps.iter().copied().filter(|gap| gap.last > base && gap.first <= target).collect();
        prop_assert_eq!(&crossing.crossed, &hit);
        prop_assert_eq!(choose(&catalog, &Wanted { gaps: Gaps::Refused, ..wanted }).is_ok(), hit.is_empty());
        let reach = Ways::of(&catalog).reach(crossing.last());
        prop_assert_eq!(reach.sequence < target, !hit.is_empty());
    }

    /// Whatever stands in one line, all other backups are there, and those that do not build on it can be restored.
    #[test]
    fn one_bad_line_hides_nothing_else(
        at in 0_usize..9, bytes in prop::collection::vec(any::<u8>(), 0..300), keep in 0_usize..60, chain in 0_usize..2,
    ) {
        let whole = catalog(&[1, 1]);
        let mut lines = printed(&whole);
        let head: String = lines[at % 8].chars().take(keep).collect();
        let bad = format!("{head}{}", String::from_utf8_lossy(&bytes).replace('\n', "\r"));
        let hit = lines[at % 8].split(' ').nth(1).map(str::to_owned);
        // The last one is the clock's, which is none of the volume's.
        if at < 8 { lines[at].clone_from(&bad) } else { lines.push(bad.clone()) }
        let found = Catalog::parse(FOLDER, &lines.join("\n"), &ANYONE);
        for backup in &whole.backups {
            let there = found.backups.contains(backup);
            prop_assert!(there || hit.as_deref() == Some(&backup.id), "{found:?}");
            prop_assert!(there || !found.unusable.is_empty() || bad.is_empty(), "{found:?}");
        }
        let full = &whole.backups[chain * 2];
        let touched = whole.backups[chain * 2..chain * 2 + 2].iter().any(|backup| hit.as_deref() == Some(&backup.id));
        if !touched {
            let source = choose(&found, &wanted(From::Id(full.id.clone()), None));
            prop_assert_eq!(ids(&source.unwrap()).len(), 2);
        }
        let _ = (found.summary(), chains(&found));
    }

    /// What is made of a catalog for `restore.sh` has no more lines and words than it should, whatever was on the volume.
    #[test]
    fn plans_are_made_of_checked_words(field in 0_usize..19, text in any::<String>(), number in any::<i64>()) {
        let mut whole = catalog(&[1]);
        whole.logs.push(log(0, 500));
        let mut lines = printed(&whole);
        for at in [0, 4] {
            let (head, json) = lines[at].split_at(lines[at].find('{').unwrap());
            let mut value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
            let key = value.keys().nth(field % value.len()).unwrap().clone();
            value[&key] = if value[&key].is_string() { text.clone().into() } else { number.into() };
            lines[at] = format!("{head}{}", serde_json::to_string(&value).unwrap());
        }
        let found = Catalog::parse(FOLDER, &lines.join("\n"), &ANYONE);
        for to in [None, Some(To::Gtid(450)), Some(To::Time(100))] {
            let Ok(source) = choose(&found, &wanted(From::Latest, to)) else { continue };
            let _ = source.needed();
            for line in source.plan().lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let right = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./,-=".contains(&byte));
                prop_assert!(words.iter().all(right) && (4..=5).contains(&words.len()), "{line}");
                prop_assert!(words[1].starts_with("data/shop/") && !words[1].contains(".."), "{line}");
            }
        }
    }
}
