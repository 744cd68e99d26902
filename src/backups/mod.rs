//! Backups as they lie on a backup volume: what there is, what is whole, and what can be restored from it. Pure.
//!
//! The agent writes them and `catalog.sh` tells of them; what is here only reads. Others may write there as well, so
//! nothing is taken for a name, a number or a path before it has been checked.

mod chain;
mod choose;
mod gap;
mod gtid;
mod read;
mod seal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use chain::{Chain, Reach, Ways, chains};
pub use choose::{From, Replay, Source, Stop, To, Wanted, choose, utc};
pub use gap::{Gap, Gaps};
pub use gtid::sequence;
pub use seal::{KeyFile, Signer, Trust};

use crate::wsrep::{Position, Uuid};

/// Whether a backup stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// All data; begins a chain.
    Full,
    /// What has changed since the backup before it.
    #[serde(rename = "inc")]
    Incremental,
}

impl Extent {
    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// One backup, as its agent has described it. Times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its name: time and kind.
    pub id: String,
    /// Full or incremental.
    pub kind: Extent,
    /// The full backup at the beginning of its chain.
    pub chain: String,
    /// The backup that it builds on; empty for a full one.
    pub base: String,
    /// Namespace of the cluster.
    pub namespace: String,
    /// The cluster.
    pub cluster: String,
    /// The node that it was taken from.
    pub member: String,
    /// Identity of that node's copy of the data; log sequence numbers mean something only within it.
    pub incarnation: String,
    /// Whose history.
    pub uuid: Uuid,
    /// Number of the last write set in it.
    pub seqno: u64,
    /// GTIDs of the last transactions in it, by domain.
    pub gtid: String,
    /// Where in the redo log it begins.
    pub from_lsn: u64,
    /// Where in the redo log the next one goes on.
    pub to_lsn: u64,
    /// Version of the server.
    pub version: String,
    /// When it was begun.
    pub began: i64,
    /// When it was complete.
    pub ended: i64,
    /// Size of its stream on the backup volume.
    pub bytes: u64,
    /// Size of the database.
    pub data: u64,
    /// Checksum of the stream, as it lies on the volume.
    pub sha256: String,
    /// Checksum of the stream of its base; empty for a full one, and from before it was recorded.
    #[serde(default)]
    pub base_sum: String,
    /// The key that decrypts the stream; empty where it is not encrypted.
    #[serde(default)]
    pub key_id: String,
}

impl Backup {
    /// Where the group stood.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { uuid: self.uuid, seqno: self.seqno }
    }

    /// Its folder on the backup volume.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.cluster, self.id)
    }
}

/// What came out when a backup was restored for a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The backup.
    pub id: String,
    /// Whether it could be restored and its tables were found to be whole.
    pub ok: bool,
    /// When, in seconds since the epoch.
    pub at: i64,
    /// What was found.
    pub detail: String,
}

/// A binary log that was copied: the transactions between two points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its name on the backup volume.
    pub name: String,
    /// The copy of the data that it was written beside.
    pub incarnation: String,
    /// Whose history.
    pub uuid: Uuid,
    /// GTIDs before its first transaction.
    pub from: String,
    /// GTIDs of its last transactions.
    pub to: String,
    /// What is missing between the two, in order.
    #[serde(with = "gap::list")]
    pub gaps: Vec<Gap>,
    /// When it was begun.
    pub begin: i64,
    /// When it was closed.
    pub end: i64,
    /// Size of its copy.
    pub bytes: u64,
    /// Checksum of its copy, as it lies on the volume.
    pub sha256: String,
}

/// What the agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The node beside which it runs.
    pub member: String,
    /// Identity of its pod.
    pub pod: String,
    /// When it last said something.
    pub at: i64,
    /// `idle`, or what it does.
    pub state: String,
    /// Failures in a row.
    pub failures: u32,
    /// Why the latest attempt failed; empty if it did not.
    pub error: String,
    /// Bytes that are free on the backup volume.
    pub free: u64,
    /// Size of the backup volume.
    pub size: u64,
    /// Whether binary logs are copied: `on`, `off`, or why they cannot be.
    pub logs: String,
}

/// Everything that lies on a backup volume for one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Backups, oldest first.
    pub backups: Vec<Backup>,
    /// Their descriptions as they stand on the volume, by backup.
    pub originals: BTreeMap<String, Original>,
    /// Bytes that are really there, by backup.
    pub stored: BTreeMap<String, u64>,
    /// Results of trials, by backup.
    pub verified: BTreeMap<String, Verified>,
    /// Binary logs, in no order.
    pub logs: Vec<Log>,
    /// What cannot be used, in the order of names.
    pub unusable: Vec<Unusable>,
    /// The agent's latest word.
    pub agent: Option<Agent>,
    /// The time by the clock of the pod that looked.
    pub now: i64,
    /// Version of the server in the image, such as `11.8.6`.
    pub server: String,
    /// All clusters that have backups on the volume, as `namespace/name`.
    pub clusters: Vec<String>,
}

/// A description as it stands on the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// Its line.
    pub line: String,
    /// What signs it, if anybody has.
    pub signature: Option<String>,
}

/// A file of a backup volume that nobody can use. It takes nothing away from the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// The backup, or the file.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl Catalog {
    /// A backup by its name.
    #[must_use]
    pub fn backup(&self, id: &str) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.id == id)
    }

    /// Why a backup cannot be used, if nothing of it could be read.
    #[must_use]
    pub fn unusable(&self, name: &str) -> Option<&Unusable> {
        self.unusable.iter().find(|unusable| unusable.name == name)
    }

    /// Whether somebody has signed the description of a backup who is trusted.
    #[must_use]
    pub fn is_signed(&self, id: &str) -> bool {
        self.originals.get(id).is_some_and(|original| original.signature.is_some())
    }

    /// What cannot be used, where many that lack the same are one, for people.
    #[must_use]
    pub fn unusable_together(&self) -> Vec<Unusable> {
        let mut groups: Vec<(&Unusable, usize)> = Vec::new();
        for one in &self.unusable {
            match groups.iter_mut().find(|(first, _)| first.why == one.why) {
                Some((_, count)) => *count += 1,
                None => groups.push((one, 1)),
            }
        }
        let told = |(first, count): (&Unusable, usize)| {
            let name = if count == 1 { first.name.clone() } else { format!("{} and {} more", first.name, count - 1) };
            Unusable { name, why: first.why.clone() }
        };
        groups.into_iter().map(told).collect()
    }

    /// The newest backup.
    #[must_use]
    pub fn newest(&self) -> Option<&Backup> {
        self.backups.last()
    }

    /// The latest trial that went well.
    #[must_use]
    pub fn last_verified(&self) -> Option<&Verified> {
        self.verified.values().filter(|verified| verified.ok).max_by_key(|verified| verified.at)
    }

    /// One line for people: the newest backup, its chain, the latest trial, and what the agent says.
    #[must_use]
    pub fn summary(&self) -> String {
        let Some(newest) = self.newest() else { return "there is none yet".to_owned() };
        let members = self.backups.iter().filter(|backup| backup.chain == newest.chain).count();
        let verified = self
            .last_verified()
            .map_or("none verified".to_owned(), |verified| format!("{} verified at {}", verified.id, utc(verified.at)));
        let agent = match &self.agent {
            None => "no agent has said anything".to_owned(),
            Some(agent) if agent.failures > 0 => format!("the latest attempt failed: {}", agent.error),
            Some(agent) => format!("agent {}", agent.state),
        };
        let age = crate::engine::units::duration(std::time::Duration::from_secs(
            self.now.saturating_sub(newest.ended).max(0).unsigned_abs(),
        ));
        format!("newest {}, {age} ago, {members} in its chain; {verified}; {agent}", newest.id)
    }
}

/// `11.8` of `11.8.6-MariaDB-…`.
#[must_use]
pub fn series(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
pub(crate) mod tests;
