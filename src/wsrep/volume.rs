//! What stopped volumes hold.

use jiff::Timestamp;
use serde::Serialize;

use super::{Position, Report, Uuid};
use crate::names::Member;

/// What was found on one data volume while no server runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "holds", rename_all = "kebab-case")]
pub enum Contents {
    /// There is no such volume.
    Missing,
    /// A volume that was kept waits for its claim to be made again; what it holds is seen when it is bound.
    Unseen,
    /// The volume has nothing on it.
    Empty,
    /// There are files, but no database.
    Other,
    /// Half a state transfer, or data from which Galera has taken its history away: no copy of anything.
    Unfinished,
    /// A database.
    Database {
        /// `uuid` of `grastate.dat`; `None` where the file is missing.
        uuid: Option<Uuid>,
        /// `seqno` of `grastate.dat`; `None` is what a crash leaves.
        seqno: Option<u64>,
        /// `safe_to_bootstrap` of `grastate.dat`: it was the last to leave.
        safe: bool,
    },
}

/// What a restore has left beside the data of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aside {
    /// Nothing.
    #[default]
    Nothing,
    /// New data, not complete: filling it was broken off.
    Filling,
    /// New data, complete, which has not taken its place yet.
    Filled,
    /// The data that was there before.
    Kept,
}

/// Whose data it is, by the file that a member keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Name of the Galera group, `namespace.cluster`.
    pub group: String,
    /// The member.
    pub member: Member,
}

/// A server that somebody keeps down, to look or to repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Who, as far as that was said.
    pub by: Option<String>,
    /// Since when, in seconds since the epoch.
    pub since: Option<i64>,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("is held")?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        if let Some(since) = self.since.and_then(|since| Timestamp::from_second(since).ok()) {
            write!(f, " since {since}")?;
        }
        f.write_str(": container up, server down")
    }
}

impl Held {
    /// Reads what a start script says that keeps its server down.
    #[must_use]
    pub fn from_report(report: &Report) -> Self {
        Self { by: report.get("by").map(str::to_owned), since: report.parsed("since") }
    }
}

/// One volume's contents, with what helps people to recognise it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it holds.
    #[serde(flatten)]
    pub contents: Contents,
    /// The same with all that is kept beside the data, as one word of the scripts. Whatever changes the volume says by
    /// it what it expects to find.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// Bytes in all files.
    pub bytes: Option<u64>,
    /// Bytes that are free beside them.
    pub free: Option<u64>,
    /// When a file on it was last written, seconds since the epoch.
    pub written: Option<i64>,
    /// The uuid that was recorded at the claim when the cluster was formed.
    pub recorded: Option<Uuid>,
    /// Whose it says itself that it is.
    pub owner: Option<Owner>,
    /// The history that the data follows, or was to follow when its transfer was broken off.
    pub history: Option<Uuid>,
    /// The highest position that its member has committed, and when that was noted, in seconds since the epoch. The data
    /// may have gone further since, and never less.
    pub seen: Option<(Position, Option<i64>)>,
    /// Members of the last view with a majority, by their node names.
    pub view: Vec<String>,
    /// What a restore has left.
    pub aside: Aside,
    /// What the volume held when the data of a restore was prepared beside it, as one word of the scripts.
    pub beside: Option<String>,
    /// A server has the data open.
    pub open: bool,
}

impl Evidence {
    /// A claim that does not exist.
    pub const MISSING: Self = Self {
        contents: Contents::Missing,
        found: String::new(),
        bytes: None,
        free: None,
        written: None,
        recorded: None,
        owner: None,
        history: None,
        seen: None,
        view: Vec::new(),
        aside: Aside::Nothing,
        beside: None,
        open: false,
    };

    /// Reads what the inspector, or the start script of a member, printed about a volume.
    ///
    /// # Errors
    /// The kind of contents that is not known.
    pub fn from_report(report: &Report, recorded: Option<Uuid>) -> Result<Self, String> {
        let contents = match report.get("holds") {
            // A seed's database that has never led a component is nobody's data.
            Some(_) if report.get("unused") == Some("yes") => Contents::Empty,
            Some("nothing") => Contents::Empty,
            Some("files") => Contents::Other,
            Some("unfinished") => Contents::Unfinished,
            Some("database") => Contents::Database {
                uuid: uuid(report, "uuid"),
                seqno: report.parsed("seqno"),
                safe: report.get("safe") == Some("1"),
            },
            other => return Err(format!("the inspector reports holds={other:?}")),
        };
        let aside = match report.get("restore") {
            Some("filling") => Aside::Filling,
            Some("filled") => Aside::Filled,
            Some("switched") => Aside::Kept,
            _ => Aside::Nothing,
        };
        let owner = match (report.get("of"), report.parsed("as")) {
            (Some(group), Some(member)) => Some(Owner { group: group.to_owned(), member }),
            _ => None,
        };
        let word =
            |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":;=-".contains(&b));
        Ok(Self {
            contents,
            found: report.get("found").filter(word).unwrap_or_default().to_owned(),
            bytes: report.parsed("bytes"),
            free: report.parsed("free"),
            written: report.parsed("written"),
            recorded,
            owner,
            history: uuid(report, "history"),
            seen: report.parsed("seen").map(|position| (position, report.parsed("seen_at"))),
            view: report.get("view").map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            aside,
            beside: report.get("beside").map(str::to_owned),
            open: report.get("open") == Some("yes"),
        })
    }

    /// The clean position, where there is one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.contents {
            Contents::Database { uuid: Some(uuid), seqno: Some(seqno), .. } => Some(Position { uuid, seqno }),
            _ => None,
        }
    }

    /// Whether there is nothing that could be lost.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self.contents, Contents::Missing | Contents::Empty)
    }

    /// What lies in the data directory, as one word of the scripts.
    #[must_use]
    pub fn held(&self) -> &str {
        self.found.split(';').next().unwrap_or_default()
    }

    /// What is kept beside the data under this name (`kept` or `new`), as one word of the scripts.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&str> {
        self.found.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    }

    /// The history of what is kept beside the data under this name.
    #[must_use]
    pub fn history_of(&self, name: &str) -> Option<Uuid> {
        self.part(name)?
            .strip_prefix("database:")?
            .split(':')
            .next()?
            .parse()
            .ok()
            .filter(|uuid: &Uuid| !uuid.is_zero())
    }

    /// Whether the data is another than the one beside which a restore has prepared its own.
    #[must_use]
    pub fn has_moved_on(&self) -> bool {
        self.aside == Aside::Filled && self.beside.as_deref() != Some(self.held())
    }

    /// One phrase for a table.
    #[must_use]
    pub fn describe(&self) -> String {
        let of = |name: &str| self.part(name).map(in_words).unwrap_or_default();
        self.phrase()
            + &match self.aside {
                Aside::Nothing => String::new(),
                Aside::Filling => "; beside it half of what a restore was to bring".to_owned(),
                Aside::Filled => format!("; beside it the data of a restore: {}", of("new")),
                Aside::Kept => format!("; kept from before a restore: {}", of("kept")),
            }
    }

    fn phrase(&self) -> String {
        match self.contents {
            Contents::Missing => "no volume".to_owned(),
            Contents::Unseen => "a kept volume, which waits for its claim".to_owned(),
            Contents::Empty => match self.history.or(self.recorded) {
                Some(history) => format!("empty, but {history} was on it"),
                None => "empty".to_owned(),
            },
            Contents::Other => "files, but no database".to_owned(),
            Contents::Unfinished => "half a state transfer, no copy".to_owned(),
            Contents::Database { uuid: None, .. } => "database without a Galera position".to_owned(),
            Contents::Database { uuid: Some(uuid), seqno: None, .. } => format!("{uuid}, stopped by a crash"),
            Contents::Database { uuid: Some(uuid), seqno: Some(seqno), .. } => format!("{uuid}:{seqno}"),
        }
    }
}

/// A word of the scripts for people.
fn in_words(word: &str) -> String {
    match word.strip_prefix("database:").map(|rest| rest.split_once(':').unwrap_or((rest, ""))) {
        Some((uuid, seqno)) if seqno.starts_with("crashed") => format!("{uuid}, stopped by a crash"),
        Some((uuid, seqno)) => format!("{uuid}:{seqno}"),
        None => word.to_owned(),
    }
}

fn uuid(report: &Report, key: &str) -> Option<Uuid> {
    report.parsed(key).filter(|uuid: &Uuid| !uuid.is_zero())
}
