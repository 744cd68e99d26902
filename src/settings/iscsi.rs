//! iSCSI targets of the seed and the nodes: complete, and no volume twice.

use std::collections::BTreeMap;

use crate::desired::IscsiTarget;
use crate::names::Member;

use super::origin::{Origin, Problems, Value};
use super::table::MAX_NODES;

const PARTS: [&str; 3] = ["targetportal", "iqn", "lun"];

fn key(member: Member, part: &str) -> String {
    format!("galera_cluster_{member}_iscsi_{part}")
}

/// The highest node for which any part of a target is given; 0 without any.
pub(super) fn nodes(values: &BTreeMap<String, Value>) -> u32 {
    let given = |index: &u32| PARTS.iter().any(|part| values.contains_key(&key(Member::Node(*index), part)));
    (1..=MAX_NODES).rev().find(given).unwrap_or_default()
}

/// The targets of the seed and of `nodes` nodes.
pub(super) fn targets(
    values: &BTreeMap<String, Value>,
    nodes: u32,
    source: &Origin,
    problems: &mut Problems,
) -> BTreeMap<Member, IscsiTarget> {
    let mut targets = BTreeMap::new();
    for member in std::iter::once(Member::Seed).chain((1..=nodes).map(Member::Node)) {
        let found = PARTS.map(|part| values.get(&key(member, part)));
        if let [Some(portal), Some(iqn), Some(lun)] = found {
            let target = IscsiTarget {
                portal: portal.reveal().to_owned(),
                iqn: iqn.reveal().to_owned(),
                lun: lun.reveal().parse().unwrap_or_default(),
            };
            targets.insert(member, target);
            continue;
        }
        let missing: Vec<&str> =
            PARTS.into_iter().zip(found).filter(|(_, value)| value.is_none()).map(|(part, _)| part).collect();
        let (keys, verb) = match missing[..] {
            [part] => (key(member, part), "is"),
            _ => (key(member, &format!("{{{}}}", missing.join(","))), "are"),
        };
        let needed = format!("the seed and each of {nodes} nodes need a target");
        problems.add(source, format!("{keys} {verb} missing: {needed}"));
    }
    refuse_shared(values, &targets, problems);
    targets
}

/// One volume under two members would be formatted and written by both.
fn refuse_shared(values: &BTreeMap<String, Value>, targets: &BTreeMap<Member, IscsiTarget>, problems: &mut Problems) {
    let mut owners: BTreeMap<(String, &str, u32), Member> = BTreeMap::new();
    for (member, target) in targets {
        let volume = (target.portal.to_ascii_lowercase(), target.iqn.as_str(), target.lun);
        match owners.get(&volume) {
            Some(owner) => {
                let lun = key(*member, "lun");
                let origin = values.get(&lun).map_or(Origin::Default, |value| value.origin.clone());
                problems.add(
                    &origin,
                    format!(
                        "{lun}: LUN {} of this target is already that of {owner}; give {member} one of its own",
                        target.lun
                    ),
                );
            }
            None => {
                owners.insert(volume, *member);
            }
        }
    }
}
