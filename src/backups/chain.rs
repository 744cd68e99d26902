//! Chains: a full backup and the incremental ones that build on it, and how far binary logs lead on from there.

use std::collections::BTreeMap;

use super::gtid::sequence;
use super::{Backup, Catalog, Extent, Gap, Gaps, Log};
use crate::wsrep::Uuid;

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
    if !backup.base_sum.is_empty() && backup.base_sum != before.sha256 {
        return Some(format!("{id} builds on another {} than the one that is there", before.id));
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

/// The binary logs of each history, in the order in which they begin: what leads on from a point is found without a look
/// at all of them, of which there is one a minute.
#[derive(Debug)]
pub struct Ways<'a>(BTreeMap<Uuid, Way<'a>>);

#[derive(Debug, Default)]
struct Way<'a> {
    /// Logs without a gap: after which transaction each begins, and the one that leads furthest of all up to it.
    whole: Vec<(u64, Lead<'a>)>,
    /// Logs with gaps, which are few.
    broken: Vec<&'a Log>,
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

impl<'a> Ways<'a> {
    /// All logs of a catalog.
    #[must_use]
    pub fn of(catalog: &'a Catalog) -> Self {
        let mut ways: BTreeMap<Uuid, Way<'a>> = BTreeMap::new();
        for log in &catalog.logs {
            let way = ways.entry(log.uuid).or_default();
            if log.gaps.is_empty() {
                way.whole.push((sequence(&log.from), Lead::whole(log)));
            } else {
                way.broken.push(log);
            }
        }
        for Way { whole, .. } in ways.values_mut() {
            whole.sort_by_key(|(from, _)| *from);
            for at in 1..whole.len() {
                let before = whole[at - 1].1;
                if before.to > whole[at].1.to {
                    whole[at].1 = before;
                }
            }
        }
        Self(ways)
    }

    /// Follows the binary logs from a backup on, up to the first gap.
    #[must_use]
    pub fn reach(&self, backup: &Backup) -> Reach {
        self.reach_by(backup, Gaps::Refused)
    }

    pub(super) fn reach_by(&self, backup: &Backup, gaps: Gaps) -> Reach {
        let mut reach = Reach { sequence: sequence(&backup.gtid), time: backup.ended, gap: None };
        while let Some(lead) = self.lead(backup, reach.sequence, gaps) {
            reach = Reach { sequence: lead.to, time: lead.time.max(reach.time), gap: None };
        }
        let beyond = self.lead(backup, reach.sequence, Gaps::Crossed);
        Reach { gap: beyond.and_then(|lead| missing_in(lead.log, reach.sequence)), ..reach }
    }

    /// The log that leads furthest from a point. Another node's copy may have what is missing in one.
    pub(super) fn lead(&self, backup: &Backup, covered: u64, gaps: Gaps) -> Option<Lead<'a>> {
        let Way { whole, broken } = self.0.get(&backup.uuid)?;
        let begun = whole.partition_point(|(from, _)| *from <= covered);
        let furthest = begun.checked_sub(1).map(|last| whole[last].1);
        let follows = broken.iter().filter(|log| sequence(&log.from) <= covered);
        let leads = follows.map(|log| match missing_in(log, covered) {
            Some(gap) if gaps == Gaps::Refused => Lead { log, to: gap.first - 1, time: gap.after },
            _ => Lead::whole(log),
        });
        leads.chain(furthest).filter(|lead| lead.to > covered).max_by_key(|lead| lead.to)
    }
}

impl<'a> Lead<'a> {
    fn whole(log: &'a Log) -> Self {
        Self { log, to: sequence(&log.to), time: log.end }
    }
}

/// The first gap of a log after a point.
fn missing_in(log: &Log, covered: u64) -> Option<Gap> {
    let gap = log.gaps.iter().find(|gap| gap.last > covered)?;
    Some(Gap { first: gap.first.max(covered + 1), ..*gap })
}
