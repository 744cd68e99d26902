//! Identity of a Galera cluster and positions in its history.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// State uuid of a Galera cluster: the identity of its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uuid(u128);

/// The text is no uuid or no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no Galera uuid or position")]
pub struct Malformed(String);

impl Uuid {
    /// The uuid of no history. A running member that shows it has lost track of its data's origin.
    pub const ZERO: Self = Self(0);

    /// The uuid with these bits.
    #[must_use]
    pub fn from_number(number: u128) -> Self {
        Self(number)
    }

    /// Whether this is [`Self::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The first eight characters: enough for people to tell clusters apart.
    #[must_use]
    pub fn short(self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl FromStr for Uuid {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed(text.to_owned());
        let parts: Vec<&str> = text.split('-').collect();
        if parts.iter().map(|part| part.len()).ne([8, 4, 4, 4, 12]) {
            return Err(malformed());
        }
        let digits = parts.concat();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| malformed())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
        f.write_str(&parts.join("-"))
    }
}

impl TryFrom<String> for Uuid {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Uuid> for String {
    fn from(uuid: Uuid) -> Self {
        uuid.to_string()
    }
}

/// A point in a cluster's history: `uuid:seqno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Whose history.
    pub uuid: Uuid,
    /// Number of the last write set, at least 0.
    pub seqno: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uuid, self.seqno)
    }
}

impl FromStr for Position {
    type Err = Malformed;

    /// Reads what `--wsrep-recover` prints; a GTID that follows after a comma is not part of the comparison.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed(text.to_owned());
        let (uuid, seqno) = text.split_once(':').ok_or_else(malformed)?;
        let seqno = seqno.split(',').next().unwrap_or(seqno);
        Ok(Self { uuid: uuid.parse().map_err(|_| malformed())?, seqno: seqno.parse().map_err(|_| malformed())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_round_trip(uuid: u128, seqno: u64) {
            let position = Position { uuid: Uuid(uuid), seqno };
            prop_assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
            prop_assert_eq!(format!("{position},0-1-7").parse::<Position>().unwrap(), position);
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(text in "\\PC{0,60}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.uuid.to_string().len(), 36);
            }
        }
    }

    #[test]
    fn an_undefined_position_is_none() {
        assert!("00000000-0000-0000-0000-000000000000:-1".parse::<Position>().is_err());
        assert!("+0000000-0000-0000-0000-000000000000".parse::<Uuid>().is_err());
    }
}
