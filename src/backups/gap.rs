//! Transactions of the group that are in no binary log, though the logs around them are there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::gtid::named;

/// Numbers of the group's transactions that a binary log passes over, as `gaps.pl` finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The first that is missing.
    pub first: u64,
    /// The last that is missing.
    pub last: u64,
    /// Time of the transaction before them, in seconds since the epoch.
    pub after: i64,
}

/// Whether binary logs are replayed where transactions are missing in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// Never: what is missing may be somebody's rows.
    Refused,
    /// Yes: whoever restores knows what it was.
    Crossed,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "transaction {}", named(self.first));
        }
        write!(f, "transactions {} to {}", named(self.first), named(self.last))
    }
}

impl FromStr for Gap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (numbers, after) = text.split_once('@')?;
            let (first, last) = numbers.split_once('-')?;
            Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, after: after.parse().ok()? })
        };
        parts().filter(|gap| gap.first <= gap.last).ok_or_else(|| "it names no gap".to_owned())
    }
}

/// `4-5@1795801846,7-7@1795801847`, or nothing.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Gap, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(gaps: &[Gap], serializer: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> =
            gaps.iter().map(|Gap { first, last, after }| format!("{first}-{last}@{after}")).collect();
        texts.join(",").serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Gap>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let gaps = text.split(',').filter(|gap| !gap.is_empty()).map(str::parse);
        gaps.collect::<Result<_, _>>().map_err(serde::de::Error::custom)
    }
}
