//! What a node says about itself and its cluster.

use std::collections::BTreeMap;

use super::conn::{Conn, Row};
use super::error::SqlError;

/// Three questions in one round trip. `SHOW` is answered without quorum too. The member list is a table, so it comes
/// last: an error there costs nothing else.
const QUESTIONS: &str = "SHOW GLOBAL STATUS LIKE 'wsrep%'; \
    SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_reject_queries', 'wsrep_desync', \
    'wsrep_cluster_name', 'wsrep_node_name', 'read_only', 'version'); \
    SELECT node_uuid, node_name FROM mysql.wsrep_cluster_members";

/// A member of the group as the node has recorded it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupMember {
    /// The member's uuid in this incarnation of the group.
    pub uuid: String,
    /// Its `wsrep_node_name`.
    pub name: String,
}

/// A node's answer, not interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// All status variables that begin with `wsrep`, and the server variables `wsrep_on`, `wsrep_reject_queries`,
    /// `wsrep_desync`, `wsrep_cluster_name`, `wsrep_node_name`, `read_only` and `version`; names in lower case.
    pub values: BTreeMap<String, String>,
    /// The members of the latest view that had quorum, sorted, or why they cannot be read. A node without quorum
    /// still answers the list of before: look at `wsrep_cluster_status` first.
    pub members: Result<Vec<GroupMember>, SqlError>,
}

impl Raw {
    /// Whether another answer tells of the same state, counters of time and traffic aside.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        const STATE: [&str; 6] = [
            "wsrep_cluster_status",
            "wsrep_cluster_conf_id",
            "wsrep_local_state",
            "wsrep_ready",
            "wsrep_last_committed",
            "wsrep_reject_queries",
        ];
        self.members == other.members && STATE.iter().all(|name| self.values.get(*name) == other.values.get(*name))
    }
}

/// Asks a node for its state in one round trip.
///
/// # Errors
/// As the server answers; [`SqlError::Timeout`]; [`SqlError::Closed`].
pub async fn wsrep_status(conn: &mut Conn) -> Result<Raw, SqlError> {
    let mut results = conn.query_all(QUESTIONS).await?.into_iter();
    let mut next = || results.next().unwrap_or_else(|| Err(SqlError::Protocol("an answer is missing".to_owned())));
    let mut values: BTreeMap<String, String> = next()?.into_iter().filter_map(pair).collect();
    values.extend(next()?.into_iter().filter_map(pair));
    let members = next().map(|rows| {
        let mut members: Vec<GroupMember> = rows.into_iter().filter_map(member).collect();
        members.sort();
        members
    });
    Ok(Raw { values, members })
}

fn pair(row: Row) -> Option<(String, String)> {
    let [name, value] = <[Option<String>; 2]>::try_from(row).ok()?;
    Some((name?.to_lowercase(), value.unwrap_or_default()))
}

fn member(row: Row) -> Option<GroupMember> {
    let [uuid, name] = <[Option<String>; 2]>::try_from(row).ok()?;
    Some(GroupMember { uuid: uuid?, name: name? })
}
