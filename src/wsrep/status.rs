//! One member's answer to `SHOW GLOBAL STATUS LIKE 'wsrep%'`, typed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Position, Uuid};

/// `wsrep_local_state` of a member that has everything and takes part in everything.
const SYNCED: u32 = 4;
/// `wsrep_local_state` of a member that gives a state transfer.
const DONOR: u32 = 2;
/// `wsrep_cluster_conf_id` of a member that belongs to no Primary component.
const NO_VIEW: u64 = u64::MAX;

/// What a running member says of itself and of the group it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WsrepStatus {
    /// `wsrep_cluster_status`: `Primary`, `non-Primary` or `Disconnected`.
    pub cluster_status: String,
    /// `wsrep_cluster_state_uuid`.
    pub uuid: Uuid,
    /// `wsrep_cluster_conf_id`: number of the view; `None` outside of a Primary component.
    pub conf_id: Option<u64>,
    /// `wsrep_cluster_size`: members of the view.
    pub size: u32,
    /// `wsrep_local_state`.
    pub state: u32,
    /// `wsrep_local_state_comment`, such as `Synced` or `Donor/Desynced`.
    pub state_comment: String,
    /// `wsrep_ready`: whether it accepts queries.
    pub ready: bool,
    /// `wsrep_connected`: whether it belongs to any component.
    pub connected: bool,
    /// `wsrep_last_committed`: number of the newest write set.
    pub last_committed: Option<u64>,
    /// `wsrep_local_cached_downto`: the oldest write set that it could still give to one that has missed it.
    pub cached_downto: Option<u64>,
    /// `wsrep_flow_control_paused`: share of the time since the last reset in which writes stood still, 0 to 1.
    pub flow_control_paused: f64ord::Share,
    /// `wsrep_local_recv_queue`: write sets that wait to be applied.
    pub receive_queue: u64,
    /// `wsrep_local_cert_failures`: transactions lost to certification conflicts.
    pub certification_failures: u64,
    /// Names of the members of the view, from `mysql.wsrep_cluster_members`.
    pub members: BTreeSet<String>,
    /// `wsrep_local_index`: position in the view.
    pub index: Option<u32>,
    /// `wsrep_cluster_weight`: 0 means that this member has lost quorum.
    pub weight: u32,
    /// `wsrep_reject_queries` where it is not `NONE`.
    pub rejects: Option<String>,
}

/// A share between 0 and 1 that can be compared for equality.
pub mod f64ord {
    use serde::Serialize;

    /// Hundredths of a percent.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    pub struct Share(u32);

    impl Share {
        /// Reads `0.0312`; what is no number counts as 0.
        #[must_use]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=10000 before")]
        pub fn parse(text: &str) -> Self {
            Self((text.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0) * 10_000.0) as u32)
        }

        /// In percent.
        #[must_use]
        pub fn percent(self) -> f64 {
            f64::from(self.0) / 100.0
        }
    }
}

impl WsrepStatus {
    /// Reads the rows of `SHOW GLOBAL STATUS`, with `wsrep_reject_queries` of the variables beside them.
    ///
    /// # Errors
    /// A sentence that names the row which is missing or cannot be read.
    pub fn from_rows(rows: &BTreeMap<String, String>, members: BTreeSet<String>) -> Result<Self, String> {
        let text =
            |key: &str| rows.get(key).map(String::as_str).ok_or_else(|| format!("the server reports no `{key}`"));
        let number = |key: &str| {
            let value = text(key)?;
            value.parse::<u64>().map_err(|_| format!("the server reports `{key}` = `{value}`, which is no number"))
        };
        let small =
            |key: &str| number(key).and_then(|value| u32::try_from(value).map_err(|_| format!("`{key}` is too large")));
        let uuid = text("wsrep_cluster_state_uuid")?;
        // A server that has seen no view yet says -1.
        let conf_id = text("wsrep_cluster_conf_id")?.parse().ok().filter(|id| *id != NO_VIEW);
        Ok(Self {
            cluster_status: text("wsrep_cluster_status")?.to_owned(),
            // Before the first view there is no uuid at all.
            uuid: if uuid.is_empty() { Uuid::ZERO } else { uuid.parse().map_err(|error| format!("{error}"))? },
            conf_id,
            size: small("wsrep_cluster_size").unwrap_or(0),
            state: small("wsrep_local_state")?,
            state_comment: text("wsrep_local_state_comment")?.to_owned(),
            ready: text("wsrep_ready")? == "ON",
            connected: text("wsrep_connected")? == "ON",
            last_committed: text("wsrep_last_committed")?.parse().ok(),
            // Nothing at all is said as the largest number.
            cached_downto: number("wsrep_local_cached_downto").ok().filter(|seqno| *seqno != u64::MAX),
            flow_control_paused: f64ord::Share::parse(text("wsrep_flow_control_paused").unwrap_or("0")),
            receive_queue: number("wsrep_local_recv_queue").unwrap_or(0),
            certification_failures: number("wsrep_local_cert_failures").unwrap_or(0),
            members,
            index: text("wsrep_local_index")?.parse().ok(),
            weight: small("wsrep_cluster_weight").unwrap_or(0),
            rejects: rows.get("wsrep_reject_queries").filter(|value| *value != "NONE" && !value.is_empty()).cloned(),
        })
    }

    /// Part of a Primary component with a history of its own: the opposite of everything that loses writes.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.cluster_status == "Primary" && !self.uuid.is_zero()
    }

    /// Has every write set, takes queries and holds nothing back.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.is_primary() && self.ready && self.state == SYNCED
    }

    /// Takes part in the group's work, up to date or not; a joiner that has no history yet does not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.state, DONOR..=SYNCED)
    }

    /// Gives a state transfer or a backup right now.
    #[must_use]
    pub fn is_donor(&self) -> bool {
        self.state == DONOR
    }

    /// Where it stands in the history.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.last_committed.map(|seqno| Position { uuid: self.uuid, seqno })
    }

    /// `Primary, Synced, size 3` and whatever is not right.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut parts = vec![self.cluster_status.clone(), self.state_comment.clone(), format!("size {}", self.size)];
        if !self.ready {
            parts.push("not ready".to_owned());
        }
        if self.uuid.is_zero() {
            parts.push("zero uuid".to_owned());
        }
        parts.join(", ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A healthy member of a group of these nodes.
    pub(crate) fn synced(members: &[&str]) -> WsrepStatus {
        WsrepStatus::from_rows(&rows(members.len()), members.iter().map(|name| (*name).to_owned()).collect()).unwrap()
    }

    pub(crate) fn rows(size: usize) -> BTreeMap<String, String> {
        let size = size.to_string();
        [
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_cluster_state_uuid", "79651a2b-0000-11f0-8000-0123456789ab"),
            ("wsrep_cluster_conf_id", "7"),
            ("wsrep_cluster_size", size.as_str()),
            ("wsrep_local_state", "4"),
            ("wsrep_local_state_comment", "Synced"),
            ("wsrep_ready", "ON"),
            ("wsrep_connected", "ON"),
            ("wsrep_last_committed", "42"),
            ("wsrep_flow_control_paused", "0.0312"),
            ("wsrep_local_index", "0"),
            ("wsrep_cluster_weight", size.as_str()),
            ("wsrep_reject_queries", "NONE"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn a_synced_member() {
        let status = synced(&["a", "b", "c"]);
        assert!(status.is_synced());
        assert_eq!(status.summary(), "Primary, Synced, size 3");
        assert!((status.flow_control_paused.percent() - 3.12).abs() < 1e-9);
    }

    #[test]
    fn a_zero_uuid_is_never_primary() {
        let mut rows = rows(3);
        rows.insert("wsrep_cluster_state_uuid".to_owned(), Uuid::ZERO.to_string());
        let status = WsrepStatus::from_rows(&rows, BTreeSet::new()).unwrap();
        assert!(!status.is_synced());
        assert_eq!(status.summary(), "Primary, Synced, size 3, zero uuid");
    }

    #[test]
    fn outside_of_a_component_there_is_no_conf_id() {
        let mut rows = rows(1);
        rows.insert("wsrep_cluster_conf_id".to_owned(), u64::MAX.to_string());
        rows.insert("wsrep_last_committed".to_owned(), "-1".to_owned());
        let status = WsrepStatus::from_rows(&rows, BTreeSet::new()).unwrap();
        assert_eq!((status.conf_id, status.last_committed), (None, None));
    }

    #[test]
    fn a_missing_row_is_named() {
        let mut rows = rows(1);
        rows.remove("wsrep_ready");
        assert_eq!(WsrepStatus::from_rows(&rows, BTreeSet::new()).unwrap_err(), "the server reports no `wsrep_ready`");
    }
}
