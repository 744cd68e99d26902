//! What has to be restored to get what is wanted.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::chain::{Chain, Ways, chains};
use super::gtid::{self, named, sequence};
use super::{Backup, Catalog, Gap, Gaps, Log, series};

/// The backup that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// The newest that can be restored, or with a point the newest before it.
    Latest,
    /// This one, with all that it builds on.
    Id(String),
}

/// A point after a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Everything before this moment, in seconds since the epoch.
    Time(i64),
    /// Everything up to and with this transaction of the group.
    Gtid(u64),
}

impl To {
    /// Reads a GTID such as `0-1-4711`, or its last number.
    ///
    /// # Errors
    /// What would be right.
    pub fn gtid(text: &str) -> Result<Self, String> {
        gtid::parse(text).map(Self::Gtid).ok_or_else(|| {
            format!("`{}` is no GTID of the group; expected one such as `0-1-4711`", text.escape_default())
        })
    }

    /// Reads a time such as `2026-11-25T10:00:00Z`.
    ///
    /// # Errors
    /// What would be right.
    pub fn time(text: &str) -> Result<Self, String> {
        let time: Timestamp = text.parse().map_err(|_| {
            format!("`{}` is no time; expected one such as `2026-11-25T10:00:00Z`", text.escape_default())
        })?;
        Ok(Self::Time(time.as_second()))
    }
}

/// What the user wants back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which backup.
    pub from: From,
    /// How many increments of its chain; `None` for all.
    pub increment: Option<usize>,
    /// A point after it.
    pub to: Option<To>,
    /// What to do where binary logs on the way to that point miss transactions.
    pub gaps: Gaps,
}

/// Where in a binary log to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Before the first transaction of this second.
    Time(i64),
    /// After this transaction.
    Gtid(u64),
}

/// A binary log to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The log.
    pub log: Log,
    /// GTIDs after which to begin; `-` for its beginning.
    pub start: String,
    /// Where to stop; `None` for its end.
    pub stop: Option<Stop>,
}

/// What has to be restored, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A full backup and increments.
    pub backups: Vec<Backup>,
    /// Binary logs after them.
    pub logs: Vec<Replay>,
    /// What is missing in those.
    pub crossed: Vec<Gap>,
}

impl Source {
    /// The last backup of it.
    #[must_use]
    pub fn last(&self) -> &Backup {
        // `choose` never gives an empty one.
        &self.backups[self.backups.len() - 1]
    }

    /// Bytes that a volume needs for it: the data with what is applied to it, and room for the server's own files.
    #[must_use]
    pub fn needed(&self) -> u64 {
        let applied = self.backups.iter().skip(1).map(|backup| backup.bytes.saturating_mul(4));
        let logs = self.logs.iter().map(|replay| replay.log.bytes.saturating_mul(8));
        // Whoever writes a size on the volume may write any.
        applied.chain(logs).chain([self.last().data / 10 * 11]).fold(256 << 20, u64::saturating_add)
    }

    /// Lines as `restore.sh` reads them.
    #[must_use]
    pub fn plan(&self) -> String {
        let mut text = String::new();
        for backup in &self.backups {
            let kind = if backup.base.is_empty() { "full" } else { "inc" };
            let _ = writeln!(text, "backup {} {} {kind}", backup.path(), backup.sha256);
        }
        let last = self.last();
        for Replay { log, start, stop } in &self.logs {
            let stop = match stop {
                None => String::new(),
                Some(Stop::Time(seconds)) => format!(" time={seconds}"),
                Some(Stop::Gtid(number)) => format!(" gtid={}", named(*number)),
            };
            let path = format!("{}/{}/binlog/{}", last.namespace, last.cluster, log.name);
            let _ = writeln!(text, "log {path} {} {start}{stop}", log.sha256);
        }
        text
    }
}

/// Finds what to restore.
///
/// # Errors
/// Why it cannot be had, with what can.
pub fn choose(catalog: &Catalog, wanted: &Wanted) -> Result<Source, String> {
    let all = chains(catalog);
    let backups = match &wanted.from {
        From::Latest => latest(catalog, &all, wanted)?,
        From::Id(id) => chosen(catalog, &all, id, wanted.increment)?,
    };
    let last = backups[backups.len() - 1];
    if let Some(to) = wanted.to {
        after(last, to)?;
    }
    if !catalog.server.is_empty() && series(&last.version) != series(&catalog.server) {
        return Err(format!(
            "backup {} was taken by MariaDB {}, and the image has {}: a backup is restored by the version that took it; \
             name an image of {} by galera_cluster_docker_image, and upgrade after the restore",
            last.id,
            last.version,
            catalog.server,
            series(&last.version)
        ));
    }
    let mut source =
        Source { backups: backups.iter().copied().cloned().collect(), logs: Vec::new(), crossed: Vec::new() };
    if let Some(to) = wanted.to {
        replay(catalog, last, to, wanted.gaps, &mut source)?;
    }
    Ok(source)
}

fn latest<'a>(catalog: &Catalog, all: &[Chain<'a>], wanted: &Wanted) -> Result<Vec<&'a Backup>, String> {
    if catalog.backups.is_empty() && catalog.unusable.is_empty() {
        return Err("there is no backup on the volume".to_owned());
    }
    for chain in all.iter().rev() {
        let mut members = chain.members.clone();
        if let Some(count) = wanted.increment {
            members.truncate(count + 1);
        }
        if let Some(to) = wanted.to {
            members.retain(|backup| after(backup, to).is_ok());
        }
        if !members.is_empty() {
            return Ok(members);
        }
    }
    let oldest = all.iter().find_map(|chain| chain.members.first());
    if let (Some(_), Some(oldest)) = (wanted.to, oldest) {
        return Err(format!("no backup is older than that; the oldest ended at {}", utc(oldest.ended)));
    }
    let unusable = catalog.unusable.iter().map(|unusable| format!("{}: {}", unusable.name, unusable.why));
    let why: Vec<String> = all.iter().filter_map(|chain| chain.broken.clone()).chain(unusable).collect();
    Err(format!("no backup can be restored: {}", why.join("; ")))
}

fn chosen<'a>(
    catalog: &'a Catalog,
    all: &[Chain<'a>],
    id: &str,
    increment: Option<usize>,
) -> Result<Vec<&'a Backup>, String> {
    let Some(backup) = catalog.backup(id) else {
        if let Some(unusable) = catalog.unusable(id) {
            return Err(format!("backup {id} cannot be used: {}", unusable.why));
        }
        let known: Vec<&str> = catalog.backups.iter().rev().take(5).map(|backup| backup.id.as_str()).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("the newest: {}", known.join(", ")) };
        return Err(format!("there is no backup {id}; {known}"));
    };
    let refused =
        |why: Option<&str>| format!("backup {id} cannot be restored: {}", why.unwrap_or("its chain is not whole"));
    let found = all.iter().find(|chain| chain.members.first().is_some_and(|full| full.id == backup.chain));
    let Some(chain) = found else {
        let why = all.iter().filter_map(|chain| chain.broken.as_deref()).find(|why| why.contains(&backup.chain));
        return Err(refused(why));
    };
    let broken = || refused(chain.broken.as_deref());
    let mut members = chain.members.clone();
    if backup.base.is_empty() {
        let there = members.len() - 1;
        match increment {
            Some(count) if count > there => {
                let why = chain.broken.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(format!("chain {id} has {there} increments that can be restored, not {count}{why}"));
            }
            Some(count) => members.truncate(count + 1),
            None if chain.broken.is_some() => return Err(broken()),
            None => {}
        }
    } else {
        let at = members.iter().position(|member| member.id == id);
        members.truncate(at.ok_or_else(broken)? + 1);
    }
    Ok(members)
}

/// Whether a point comes after a backup.
fn after(backup: &Backup, to: To) -> Result<(), String> {
    match to {
        To::Time(time) if time < backup.ended => {
            Err(format!("{} is before backup {} ended ({})", utc(time), backup.id, utc(backup.ended)))
        }
        To::Gtid(number) if number < sequence(&backup.gtid) => Err(format!(
            "transaction {} is in backup {} already, which ends at {}",
            named(number),
            backup.id,
            backup.gtid
        )),
        _ => Ok(()),
    }
}

fn replay(catalog: &Catalog, backup: &Backup, to: To, gaps: Gaps, source: &mut Source) -> Result<(), String> {
    let ways = Ways::of(catalog);
    let mut covered = sequence(&backup.gtid);
    while to != To::Gtid(covered) {
        // A log without a gap comes first, whoever has it.
        let next = [Gaps::Refused, gaps].into_iter().find_map(|gaps| ways.lead(backup, covered, gaps));
        let Some(next) = next else { return Err(unreachable(catalog, &ways, (backup, to), gaps)) };
        let end = match to {
            To::Gtid(number) if number < next.to => Some(Stop::Gtid(number)),
            To::Time(time) if time <= next.time => Some(Stop::Time(time)),
            _ => None,
        };
        let until = if let Some(Stop::Gtid(number)) = end { number } else { next.to };
        let stop = end.or_else(|| (until < sequence(&next.log.to)).then_some(Stop::Gtid(until)));
        let crossed = next.log.gaps.iter().filter(|gap| gap.last > covered && gap.first <= until);
        source.crossed.extend(crossed.filter(|gap| !matches!(end, Some(Stop::Time(time)) if time <= gap.after)));
        source.logs.push(Replay { log: next.log.clone(), start: gtid::start(&next.log.from, covered), stop });
        if end.is_some() {
            break;
        }
        covered = next.to;
    }
    Ok(())
}

fn unreachable(catalog: &Catalog, ways: &Ways<'_>, (backup, to): (&Backup, To), gaps: Gaps) -> String {
    let reach = ways.reach_by(backup, gaps);
    let wanted = match to {
        To::Time(time) => utc(time),
        To::Gtid(number) => format!("transaction {}", named(number)),
    };
    let after = || {
        let beyond = catalog.logs.iter().filter(|log| log.uuid == backup.uuid && sequence(&log.from) > reach.sequence);
        beyond.min_by_key(|log| sequence(&log.from)).map(|log| {
            format!(
                "; the next binary log begins after {}, at {}: the ones between are missing",
                named(sequence(&log.from)),
                utc(log.begin)
            )
        })
    };
    let gap = reach.gap.map(|gap| {
        format!("; {gap} came next, and no log has it: a statement that failed or had nothing to do leaves such a gap, and what a session wrote with sql_log_bin=0; --across-gaps goes on without it")
    });
    format!(
        "{wanted} cannot be reached from backup {}: binary logs lead from {} to {} (transaction {}){}",
        backup.id,
        utc(backup.ended),
        utc(reach.time),
        named(reach.sequence),
        gap.or_else(after).unwrap_or_default()
    )
}

/// A time for people.
#[must_use]
pub fn utc(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.strftime("%FT%TZ").to_string())
}
