//! What stopped volumes hold, and whether a cluster may be started from them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Position, Report, Uuid};
use crate::names::Member;

/// What was found on one data volume while no server runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "holds", rename_all = "kebab-case")]
pub enum Contents {
    /// There is no such volume.
    Missing,
    /// The volume has nothing on it.
    Empty,
    /// There are files, but no database.
    Other,
    /// A database.
    Database {
        /// `uuid` of `grastate.dat`; `None` where the file is missing or empty.
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
    /// New data, complete, which has not taken its place yet.
    Filled,
    /// The data that was there before.
    Kept,
}

/// One volume's contents, with what helps people to recognise it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it holds.
    #[serde(flatten)]
    pub contents: Contents,
    /// Bytes in all files.
    pub bytes: Option<u64>,
    /// When a file on it was last written, seconds since the epoch.
    pub written: Option<i64>,
    /// The uuid that was recorded at the claim when the cluster was formed.
    pub recorded: Option<Uuid>,
    /// What a restore has left.
    pub aside: Aside,
}

impl Evidence {
    /// A claim that does not exist.
    pub const MISSING: Self =
        Self { contents: Contents::Missing, bytes: None, written: None, recorded: None, aside: Aside::Nothing };

    /// Reads what the inspector printed about a volume.
    ///
    /// # Errors
    /// The kind of contents that is not known.
    pub fn from_report(report: &Report, recorded: Option<Uuid>) -> Result<Self, String> {
        let contents = match report.get("holds") {
            Some("empty") => Contents::Empty,
            Some("other") => Contents::Other,
            Some("database") => Contents::Database {
                uuid: report.parsed("uuid").filter(|uuid: &Uuid| !uuid.is_zero()),
                seqno: report.parsed("seqno"),
                safe: report.get("safe") == Some("1"),
            },
            other => return Err(format!("the inspector reports holds={other:?}")),
        };
        let aside = match report.get("restore") {
            Some("filled") => Aside::Filled,
            Some("switched") => Aside::Kept,
            _ => Aside::Nothing,
        };
        Ok(Self { contents, bytes: report.parsed("bytes"), written: report.parsed("written"), recorded, aside })
    }

    /// The clean position, where there is one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.contents {
            Contents::Database { uuid: Some(uuid), seqno: Some(seqno), .. } => Some(Position { uuid, seqno }),
            _ => None,
        }
    }

    /// One phrase for a table.
    #[must_use]
    pub fn describe(&self) -> String {
        let beside = match self.aside {
            Aside::Nothing => "",
            Aside::Filled => "; beside it the data of a restore",
            Aside::Kept => "; what was there before a restore is kept",
        };
        self.phrase() + beside
    }

    fn phrase(&self) -> String {
        match self.contents {
            Contents::Missing => "no volume".to_owned(),
            Contents::Empty => "empty".to_owned(),
            Contents::Other => "files, but no database".to_owned(),
            Contents::Database { uuid: None, .. } => "database without a Galera position".to_owned(),
            Contents::Database { uuid: Some(uuid), seqno: None, .. } => format!("{uuid}, stopped by a crash"),
            Contents::Database { uuid: Some(uuid), seqno: Some(seqno), .. } => format!("{uuid}:{seqno}"),
        }
    }
}

/// What may be done with a set of stopped volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All are empty: form a new cluster.
    Fresh,
    /// All hold the same cluster, cleanly stopped: start it again, this node first.
    BringBack {
        /// The node with the newest position.
        from: Member,
        /// Its position.
        position: Position,
    },
    /// Nothing may be started; every reason, as a sentence.
    Refuse(Vec<String>),
}

/// Decides from all evidence whether these volumes may become a running cluster, and how. `volumes` has an entry
/// for each permanent node and, where a seed's volume exists, for the seed. Never guesses: one volume that does
/// not fit refuses everything.
#[must_use]
pub fn decide(volumes: &BTreeMap<Member, Evidence>) -> Decision {
    let blank = |evidence: &Evidence| matches!(evidence.contents, Contents::Missing | Contents::Empty);
    if volumes.values().all(blank) {
        return Decision::Fresh;
    }
    let nodes = volumes.iter().filter(|(member, _)| **member != Member::Seed);
    let nodes_reach = nodes.filter_map(|(_, evidence)| evidence.position()).map(|position| position.seqno).max();
    let objections = volumes.iter().filter_map(|(member, evidence)| objection(*member, evidence, nodes_reach));
    let mut reasons: Vec<String> = objections.collect();
    let uuids: BTreeSet<Uuid> = volumes.values().filter_map(uuid_of).collect();
    if uuids.len() > 1 {
        let list: Vec<String> = uuids.iter().map(ToString::to_string).collect();
        reasons.push(format!("the volumes belong to {} different clusters: {}", uuids.len(), list.join(", ")));
    }
    // The lowest node wins a tie, and a node that knows that it was the last to leave wins over that.
    let newest = volumes
        .iter()
        .filter(|(member, _)| **member != Member::Seed)
        .filter_map(|(member, evidence)| evidence.position().map(|position| (*member, position, evidence)))
        .max_by_key(|(member, position, evidence)| {
            let safe = matches!(evidence.contents, Contents::Database { safe: true, .. });
            (position.seqno, safe, std::cmp::Reverse(*member))
        });
    if !reasons.is_empty() && volumes.values().any(|evidence| evidence.aside != Aside::Nothing) {
        reasons.push(
            "a restore was broken off: galeractl restore --continue finishes it, --undo takes it back".to_owned(),
        );
    }
    match newest {
        Some((from, position, _)) if reasons.is_empty() => Decision::BringBack { from, position },
        _ => Decision::Refuse(reasons),
    }
}

fn uuid_of(evidence: &Evidence) -> Option<Uuid> {
    match evidence.contents {
        Contents::Database { uuid, .. } => uuid,
        _ => None,
    }
}

/// Why this volume stands in the way of a restart, given the newest position among the nodes' volumes.
fn objection(member: Member, evidence: &Evidence, nodes_reach: Option<u64>) -> Option<String> {
    let seed = member == Member::Seed;
    match evidence.contents {
        Contents::Missing | Contents::Empty if seed => None,
        Contents::Missing => Some(format!("{member} has no volume, while others hold a database")),
        Contents::Empty => Some(format!("the volume of {member} is empty, while others hold a database")),
        Contents::Other => Some(format!("the volume of {member} holds files that are no database")),
        // A seed that left cleanly no later than the nodes has nothing that they lack.
        Contents::Database { seqno: Some(seqno), .. } if seed && nodes_reach.is_some_and(|reach| seqno <= reach) => {
            None
        }
        Contents::Database { .. } if seed => Some(
            "the seed's volume holds a database: a formation was broken off before the nodes had taken over".to_owned(),
        ),
        Contents::Database { uuid: None, .. } => {
            Some(format!("the database on the volume of {member} has no Galera position"))
        }
        Contents::Database { seqno: None, .. } => {
            Some(format!("{member} was not stopped cleanly, so its position is not known"))
        }
        Contents::Database { uuid: Some(uuid), .. } => evidence
            .recorded
            .filter(|recorded| *recorded != uuid)
            .map(|recorded| format!("the volume of {member} was recorded for cluster {recorded}, but holds {uuid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uuid(n: u8) -> Uuid {
        format!("{n:08x}-0000-11f0-8000-0123456789ab").parse().unwrap()
    }

    fn database(cluster: u8, seqno: Option<u64>, safe: bool) -> Evidence {
        Evidence { contents: Contents::Database { uuid: Some(uuid(cluster)), seqno, safe }, ..Evidence::MISSING }
    }

    fn cluster(volumes: impl IntoIterator<Item = Evidence>) -> BTreeMap<Member, Evidence> {
        (1..).map(Member::Node).zip(volumes).collect()
    }

    #[test]
    fn the_newest_position_comes_first_and_the_last_to_leave_breaks_a_tie() {
        let volumes = cluster([database(1, Some(8), false), database(1, Some(10), false), database(1, Some(10), true)]);
        let position = Position { uuid: uuid(1), seqno: 10 };
        assert_eq!(decide(&volumes), Decision::BringBack { from: Member::Node(3), position });
    }

    #[test]
    fn a_crash_on_one_volume_stops_everything() {
        let volumes = cluster([database(1, None, true), database(1, Some(9), false)]);
        let Decision::Refuse(reasons) = decide(&volumes) else { panic!("must refuse") };
        assert_eq!(reasons, ["node1 was not stopped cleanly, so its position is not known"]);
    }

    #[test]
    fn a_recorded_uuid_must_match() {
        let mut volumes = cluster([database(1, Some(8), false)]);
        volumes.get_mut(&Member::Node(1)).unwrap().recorded = Some(uuid(2));
        assert!(matches!(decide(&volumes), Decision::Refuse(_)));
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let contents = prop_oneof![
            Just(Contents::Missing),
            Just(Contents::Empty),
            Just(Contents::Other),
            (prop::option::of(1_u8..3), prop::option::of(0_u64..5), any::<bool>())
                .prop_map(|(cluster, seqno, safe)| { Contents::Database { uuid: cluster.map(uuid), seqno, safe } }),
        ];
        (contents, prop::option::of(1_u8..3)).prop_map(|(contents, recorded)| Evidence {
            contents,
            recorded: recorded.map(uuid),
            ..Evidence::MISSING
        })
    }

    proptest! {
        /// What the decision promises, stated without the way it is found.
        #[test]
        fn never_starts_without_complete_and_consistent_evidence(
            nodes in prop::collection::vec(any_evidence(), 1..6),
            seed in prop::option::of(any_evidence()),
        ) {
            let mut volumes = cluster(nodes.clone());
            volumes.extend(seed.clone().map(|evidence| (Member::Seed, evidence)));
            let data = |evidence: &Evidence| !matches!(evidence.contents, Contents::Missing | Contents::Empty);
            match decide(&volumes) {
                Decision::Fresh => prop_assert!(!volumes.values().any(data)),
                Decision::BringBack { from, position } => {
                    if let Some(seed) = seed.as_ref().filter(|seed| data(seed)) {
                        let left_at = seed.position();
                        prop_assert!(left_at.is_some_and(|left| left.uuid == position.uuid && left.seqno <= position.seqno));
                    }
                    prop_assert!(from != Member::Seed);
                    for evidence in &nodes {
                        let found = evidence.position();
                        prop_assert!(found.is_some_and(|found| found.uuid == position.uuid && found.seqno <= position.seqno));
                        prop_assert!(evidence.recorded.is_none_or(|recorded| recorded == position.uuid));
                    }
                    prop_assert_eq!(volumes[&from].position(), Some(position));
                }
                Decision::Refuse(reasons) => {
                    prop_assert!(!reasons.is_empty());
                    prop_assert!(volumes.values().any(data));
                }
            }
        }
    }
}
