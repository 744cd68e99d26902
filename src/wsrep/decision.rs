//! Whether a cluster may be started from a set of stopped volumes, and how.

use std::collections::{BTreeMap, BTreeSet};

use super::volume::{Aside, Contents, Evidence};
use super::{Position, Uuid};
use crate::names::Member;

/// What is known beside the volumes.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Name of the Galera group, `namespace.cluster`.
    pub group: &'a str,
    /// Whether the cluster has been formed.
    pub formed: bool,
    /// The history on record.
    pub recorded: Option<Uuid>,
}

/// What may be done with a set of stopped volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All are empty, and nothing says that they ever held anything: form a new cluster.
    Fresh,
    /// All hold the same cluster at positions that are known: start it again, this node first.
    BringBack {
        /// The node with the newest position.
        from: Member,
        /// Its position.
        position: Position,
        /// Nodes without a copy of their own, which get one.
        without: Vec<Member>,
    },
    /// They hold one cluster, as far as can be seen, and where some of them stand only their servers can tell.
    Compare,
    /// Nothing may be started; every reason, as a sentence.
    Refuse(Vec<String>),
}

/// Decides from all evidence whether these volumes may become a running cluster, and how. `volumes` has an entry
/// for each permanent node and, where a seed's volume exists, for the seed. Never guesses: one volume that does
/// not fit refuses everything.
#[must_use]
pub fn decide(volumes: &BTreeMap<Member, Evidence>, known: Known<'_>) -> Decision {
    if volumes.values().all(Evidence::is_blank) {
        return all_blank(volumes, known);
    }
    let mut reasons: Vec<String> = Vec::new();
    let nodes = || volumes.iter().filter(|(member, _)| **member != Member::Seed);
    let reach = nodes().filter_map(|(_, evidence)| evidence.position()).map(|position| position.seqno).max();
    for (member, evidence) in volumes {
        reasons.extend(objection(*member, evidence, reach));
        reasons.extend(stranger(*member, evidence, known));
    }
    let histories: BTreeSet<Uuid> = volumes.values().filter_map(history).collect();
    if histories.len() > 1 {
        let list: Vec<String> = histories.iter().map(ToString::to_string).collect();
        reasons.push(format!("the volumes belong to {} different clusters: {}", histories.len(), list.join(", ")));
    }
    let unknown = nodes()
        .any(|(_, evidence)| matches!(evidence.contents, Contents::Unseen | Contents::Database { seqno: None, .. }));
    let newest = newest(volumes);
    if !unknown {
        reasons.extend(newest.and_then(|(_, position)| lost(volumes, position)));
        if newest.is_none() && reasons.is_empty() {
            reasons.push("no volume of a node holds a complete copy".to_owned());
        }
    }
    if !reasons.is_empty() && volumes.values().any(|evidence| evidence.aside != Aside::Nothing) {
        reasons.push(
            "a restore was broken off: galeractl restore --continue finishes it, --undo takes it back".to_owned(),
        );
    }
    match newest {
        _ if !reasons.is_empty() => Decision::Refuse(reasons),
        Some((from, position)) if !unknown => {
            let empty = nodes().filter(|(_, evidence)| evidence.contents == Contents::Unfinished);
            Decision::BringBack { from, position, without: empty.map(|(member, _)| *member).collect() }
        }
        _ => Decision::Compare,
    }
}

/// The lowest node wins a tie, and a node that knows that it was the last to leave wins over that.
#[must_use]
pub fn newest(volumes: &BTreeMap<Member, Evidence>) -> Option<(Member, Position)> {
    let nodes = volumes.iter().filter(|(member, _)| **member != Member::Seed);
    let positions = nodes.filter_map(|(member, evidence)| Some((*member, evidence.position()?, evidence)));
    let newest = positions.max_by_key(|(member, position, evidence)| {
        let safe = matches!(evidence.contents, Contents::Database { safe: true, .. });
        (position.seqno, safe, std::cmp::Reverse(*member))
    });
    newest.map(|(member, position, _)| (member, position))
}

/// Nothing is on the volumes. That is the beginning of a cluster only where nothing says that there was one.
fn all_blank(volumes: &BTreeMap<Member, Evidence>, known: Known<'_>) -> Decision {
    let was = volumes.values().find_map(|evidence| evidence.history.or(evidence.recorded)).or(known.recorded);
    if was.is_none() && !known.formed {
        return Decision::Fresh;
    }
    let was = was.map_or_else(|| "a cluster".to_owned(), |uuid| format!("cluster {uuid}"));
    let there = if volumes.values().all(|evidence| evidence.contents == Contents::Missing) {
        "there is no volume any more"
    } else {
        "all volumes are empty"
    };
    Decision::Refuse(vec![format!("{there}, but {was} is on record")])
}

/// Why no copy is new enough: a member has committed what none of them has.
fn lost(volumes: &BTreeMap<Member, Evidence>, newest: Position) -> Option<String> {
    let of_history = volumes.iter().filter_map(|(member, evidence)| {
        let (seen, _) = evidence.seen?;
        (seen.uuid == newest.uuid && seen.seqno > newest.seqno).then_some((seen.seqno, *member))
    });
    let (seqno, member) = of_history.max()?;
    Some(format!("{member} has committed {seqno}, and the newest copy stands at {}: writes are missing", newest.seqno))
}

fn history(evidence: &Evidence) -> Option<Uuid> {
    match evidence.contents {
        Contents::Database { uuid, .. } => uuid.or(evidence.history),
        _ => evidence.history,
    }
}

/// Why this volume stands in the way of a restart, given the newest position among the nodes' volumes.
fn objection(member: Member, evidence: &Evidence, reach: Option<u64>) -> Option<String> {
    if evidence.open {
        return Some(format!("a server has the data of {member} open"));
    }
    let seed = member == Member::Seed;
    match evidence.contents {
        Contents::Missing | Contents::Empty if seed => None,
        Contents::Missing => Some(format!("{member} has no volume, while others hold a database")),
        Contents::Empty => Some(format!("the volume of {member} is empty, while others hold a database")),
        Contents::Other => Some(format!("the volume of {member} holds files that are no database")),
        // A seed that left cleanly no later than the nodes has nothing that they lack.
        Contents::Database { seqno: Some(seqno), .. } if seed && reach.is_some_and(|reach| seqno <= reach) => None,
        Contents::Database { .. } | Contents::Unfinished if seed => Some(
            "the seed's volume holds a database: a formation was broken off before the nodes had taken over".to_owned(),
        ),
        Contents::Database { uuid: None, .. } => {
            Some(format!("the database on the volume of {member} has no Galera position"))
        }
        Contents::Database { .. } | Contents::Unfinished | Contents::Unseen => None,
    }
}

/// Why this volume belongs to somebody else.
fn stranger(member: Member, evidence: &Evidence, known: Known<'_>) -> Option<String> {
    if evidence.is_blank() {
        return None;
    }
    if let Some(owner) = &evidence.owner
        && (owner.group != known.group || owner.member != member)
    {
        return Some(format!("the volume of {member} belongs to {} of {}", owner.member, owner.group));
    }
    let holds = history(evidence)?;
    let other = |recorded: Option<Uuid>| recorded.filter(|recorded| *recorded != holds);
    if let Some(recorded) = other(evidence.recorded) {
        return Some(format!("the volume of {member} was recorded for cluster {recorded}, but holds {holds}"));
    }
    other(known.recorded).map(|recorded| format!("the volume of {member} holds {holds}, but {recorded} is on record"))
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
