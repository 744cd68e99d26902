//! Whether the data of a node can be done without.

use crate::names::Member;
use crate::observed::Observed;
use crate::wsrep::volume::{Contents, Evidence};

/// Why the data of a node, whose server has stopped, must stay where it is.
#[must_use]
pub fn objection(observed: &Observed, node: Member, volume: &Evidence) -> Option<String> {
    let donors = observed.members.iter().filter(|(member, view)| **member != node && view.is_synced());
    let positions: Vec<_> = donors
        .filter_map(|(_, view)| view.status())
        .filter_map(|status| Some((status.uuid, status.last_committed?)))
        .collect();
    let Some((uuid, _)) = positions.first() else {
        return Some(format!("no other node is Synced, so none has a copy to give to {node}"));
    };
    // The whole volume is more than the data, so this is careful.
    if let (Some(free), Some(bytes)) = (volume.free, volume.bytes)
        && free < bytes
    {
        return Some(format!(
            "the volume of {node} has {} MiB left, and a second copy beside the first takes up to {} MiB",
            free >> 20,
            bytes >> 20
        ));
    }
    let Contents::Database { uuid: Some(own), seqno, .. } = &volume.contents else { return None };
    if own != uuid {
        return Some(format!(
            "the data of {node} follows {own}, and the others follow {uuid}: galeractl recover judges such data"
        ));
    }
    let highest = positions.iter().map(|(_, seqno)| *seqno).max().unwrap_or(0);
    let has = (*seqno)?;
    (has > highest)
        .then(|| format!("{node} stands at {has}, and no other node is beyond {highest}: only it has the rest"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::healthy;
    use proptest::prelude::*;

    const NODES: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

    fn held(seqno: Option<u64>) -> Evidence {
        let uuid = healthy(&NODES).members[&NODES[0]].status().map(|status| status.uuid);
        Evidence { contents: Contents::Database { uuid, seqno, safe: false }, ..Evidence::MISSING }
    }

    #[test]
    fn data_without_a_donor_or_of_another_history_stays() {
        let observed = healthy(&NODES[..1]);
        assert!(objection(&observed, NODES[0], &held(Some(1))).unwrap().contains("no other node is Synced"));
        let uuid = "bbbbbbbb-1111-4222-8333-444444444444".parse().ok();
        let other =
            Evidence { contents: Contents::Database { uuid, seqno: Some(1), safe: false }, ..Evidence::MISSING };
        assert!(objection(&healthy(&NODES), NODES[2], &other).unwrap().contains("galeractl recover"));
        let half = Evidence { contents: Contents::Unfinished, ..Evidence::MISSING };
        assert_eq!(objection(&healthy(&NODES), NODES[2], &half), None);
        assert_eq!(objection(&healthy(&NODES), NODES[2], &held(None)), None, "it is kept, whatever it is");
        let full = Evidence { free: Some(5 << 20), bytes: Some(6 << 20), ..held(Some(1)) };
        assert!(objection(&healthy(&NODES), NODES[2], &full).unwrap().contains("5 MiB left"));
    }

    proptest! {
        #[test]
        fn what_only_one_node_has_stays(has in 0..100_u64) {
            let highest = healthy(&NODES).members[&NODES[0]].status().unwrap().last_committed.unwrap();
            prop_assert_eq!(objection(&healthy(&NODES), NODES[2], &held(Some(has))).is_some(), has > highest);
        }
    }
}
