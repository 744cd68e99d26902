//! Chains: a full backup and the incremental ones that build on it, and how far binary logs lead on from there.

use super::gtid::sequence;
use super::{Backup, Catalog, Extent, Gap, Gaps, Log};

/// A full backup with its increments, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain<'a> {
    /// Members that can be restored: the full backup, then increments without a gap.
    pub members: Vec<&'a Backup>,
    /// What is wrong with the member after those, if anything is.
    pub broken: Option<String>,
}

/// All chains, oldest first. A full backup that is not whole has no members.
#[must_use]
pub fn chains(catalog: &Catalog) -> Vec<Chain<'_>> {
    let fulls = catalog.backups.iter().filter(|backup| backup.kind == Extent::Full);
    let mut chains: Vec<Chain<'_>> = fulls.map(|full| chain(catalog, full)).collect();
    // What lost its full backup is told as well.
    for backup in catalog.backups.iter().filter(|backup| catalog.backup(&backup.chain).is_none()) {
        let broken = Some(missing(catalog, &backup.id, &backup.chain));
        chains.push(Chain { members: Vec::new(), broken });
    }
    chains
}

fn chain<'a>(catalog: &'a Catalog, full: &'a Backup) -> Chain<'a> {
    let mut members: Vec<&Backup> = Vec::new();
    let all = catalog.backups.iter().filter(|backup| backup.chain == full.id);
    for backup in all {
        if let Some(why) = flaw(catalog, members.last().copied(), backup) {
            return Chain { members, broken: Some(why) };
        }
        members.push(backup);
    }
    Chain { members, broken: None }
}

/// Why a backup cannot follow another one, or cannot be used at all.
fn flaw(catalog: &Catalog, before: Option<&Backup>, backup: &Backup) -> Option<String> {
    let id = &backup.id;
    match catalog.stored.get(id) {
        None => return Some(format!("{id} has lost its data")),
        Some(stored) if *stored != backup.bytes => {
            return Some(format!("{id} is truncated: {stored} of {} bytes are there", backup.bytes));
        }
        Some(_) => {}
    }
    if let Some(verified) = catalog.verified.get(id).filter(|verified| !verified.ok) {
        return Some(format!("{id} was found to be damaged: {}", verified.detail));
    }
    let Some(before) = before else {
        return (backup.kind == Extent::Incremental).then(|| missing(catalog, id, &backup.base));
    };
    if backup.base != before.id {
        return Some(missing(catalog, id, &backup.base));
    }
    if backup.incarnation != before.incarnation || backup.uuid != before.uuid {
        return Some(format!("{id} is of another copy of the data than {}", before.id));
    }
    (backup.from_lsn != before.to_lsn || backup.to_lsn < backup.from_lsn)
        .then(|| format!("{id} begins at {}, but {} ends at {}", backup.from_lsn, before.id, before.to_lsn))
}

fn missing(catalog: &Catalog, id: &str, base: &str) -> String {
    let why = match catalog.unusable(base) {
        None => "is not there",
        Some(unusable) => &format!("cannot be used: {}", unusable.why),
    };
    format!("{id} builds on {base}, which {why}")
}

/// How far binary logs lead on from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Number of the last transaction that can be had.
    pub sequence: u64,
    /// Everything before this moment can be had, in seconds since the epoch; the end of the backup where no log follows.
    pub time: i64,
    /// What is missing in the logs after that, if they go on.
    pub gap: Option<Gap>,
}

/// Follows the binary logs from a backup on, up to the first gap.
#[must_use]
pub fn reach(catalog: &Catalog, backup: &Backup) -> Reach {
    reach_by(catalog, backup, Gaps::Refused)
}

pub(super) fn reach_by(catalog: &Catalog, backup: &Backup, gaps: Gaps) -> Reach {
    let mut reach = Reach { sequence: sequence(&backup.gtid), time: backup.ended, gap: None };
    while let Some(lead) = lead(catalog, backup, reach.sequence, gaps) {
        reach = Reach { sequence: lead.to, time: lead.time.max(reach.time), gap: None };
    }
    let beyond = lead(catalog, backup, reach.sequence, Gaps::Crossed);
    Reach { gap: beyond.and_then(|lead| missing_in(lead.log, reach.sequence)), ..reach }
}

/// A binary log, and how far it leads on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead<'a> {
    pub(super) log: &'a Log,
    /// Number of the last transaction that can be had from it.
    pub(super) to: u64,
    /// Everything before this moment is in it, in seconds since the epoch.
    pub(super) time: i64,
}

/// The log that leads furthest from a point. Another node's copy may have what is missing in one.
pub(super) fn lead<'a>(catalog: &'a Catalog, backup: &Backup, covered: u64, gaps: Gaps) -> Option<Lead<'a>> {
    let follows = |log: &&Log| log.uuid == backup.uuid && sequence(&log.from) <= covered;
    let leads = catalog.logs.iter().filter(follows).map(|log| match missing_in(log, covered) {
        Some(gap) if gaps == Gaps::Refused => Lead { log, to: gap.first - 1, time: gap.after },
        _ => Lead { log, to: sequence(&log.to), time: log.end },
    });
    leads.filter(|lead| lead.to > covered).max_by_key(|lead| lead.to)
}

/// The first gap of a log after a point.
fn missing_in(log: &Log, covered: u64) -> Option<Gap> {
    let gap = log.gaps.iter().find(|gap| gap.last > covered)?;
    Some(Gap { first: gap.first.max(covered + 1), ..*gap })
}
