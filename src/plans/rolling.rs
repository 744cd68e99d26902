//! In which order nodes are restarted, when the next one may go, and what may fail meanwhile.

use std::collections::BTreeSet;
use std::fmt;

use crate::desired::Desired;
use crate::gates::group::{Disagreement, agreement};
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::wsrep::WsrepStatus;

/// How many members of a component of this size may die at once without the rest losing the majority.
#[must_use]
pub fn may_die(members: usize) -> usize {
    members.saturating_sub(1) / 2
}

/// Members that are Synced: clients may be connected to them.
#[must_use]
pub fn serving(observed: &Observed) -> BTreeSet<Member> {
    observed.members.iter().filter(|(_, view)| view.is_synced()).map(|(member, _)| *member).collect()
}

/// The order of restarts: first who serves nobody, since that costs no vote; then from the highest number down. The proxy
/// lets the lowest that serves take the writes, so that one is the last, and the writes move once.
#[must_use]
pub fn order(wanted: impl IntoIterator<Item = Member>, serving: &BTreeSet<Member>) -> Vec<Member> {
    let mut order: Vec<Member> = wanted.into_iter().collect();
    order.sort_by_key(|member| (serving.contains(member), std::cmp::Reverse(*member)));
    order.dedup();
    order
}

/// Whether `node` may leave now: everybody else is Synced in one view, so that a majority of all stays.
///
/// # Errors
/// What has to happen before.
pub fn may_leave(observed: &Observed, desired: &Desired, node: Member) -> Result<(), String> {
    let all: Vec<Member> = desired.members().collect();
    let others: Vec<Member> = all.iter().copied().filter(|member| *member != node).collect();
    match agreement(observed, desired, &all) {
        Ok(_) => Ok(()),
        // One that is part of no view costs no vote when it goes.
        Err(Disagreement::Pending(_)) if others.is_empty() || agreement(observed, desired, &others).is_ok() => Ok(()),
        Err(Disagreement::Pending(why) | Disagreement::Diverged(why)) => Err(why),
    }
}

/// How a node gets what was written while it was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// The write sets that it has missed.
    Incremental,
    /// All data.
    Full,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incremental => "missing writes (IST)",
            Self::Full => "full copy (SST)",
        })
    }
}

/// What a restarted node will get from the others, as things are now; `None` if nobody else could give anything.
#[must_use]
pub fn transfer(observed: &Observed, node: Member) -> Option<Transfer> {
    let view = observed.members.get(&node);
    let at = |view: &MemberView| view.status().and_then(WsrepStatus::position).or(view.log.position);
    let position = view.and_then(at);
    let mut donors = observed.members.iter().filter(|(member, view)| **member != node && view.is_synced()).peekable();
    donors.peek()?;
    let has_the_rest = |view: &MemberView| {
        let (Some(status), Some(position)) = (view.status(), position) else { return false };
        status.uuid == position.uuid && status.cached_downto.is_some_and(|oldest| oldest <= position.seqno + 1)
    };
    Some(if donors.any(|(_, view)| has_the_rest(view)) { Transfer::Incremental } else { Transfer::Full })
}

/// What people should know who restart nodes of a cluster that has too few of them.
#[must_use]
pub fn risk(nodes: u32) -> Option<String> {
    match nodes {
        1 => Some("the only node is restarted: until it is back, nobody can read or write".to_owned()),
        2 => Some(
            "of two nodes one serves alone while the other is restarted: if it fails meanwhile, the cluster is down"
                .to_owned(),
        ),
        3 => Some(
            "of three nodes two are left while one is restarted: if one more fails meanwhile, the last has no majority and \
             refuses all queries until another is back"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::{desired, names};
    use crate::observed::PodView;
    use crate::wsrep::status::tests::synced;
    use proptest::prelude::*;

    /// These members in one view, and nobody else.
    fn view(members: &[Member]) -> Observed {
        let names = names(members);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let view = || MemberView {
            pod: PodView { exists: true, running: true, ..PodView::default() },
            sql: Some(Ok(synced(&names))),
            ..MemberView::default()
        };
        Observed { members: members.iter().map(|member| (*member, view())).collect(), ..Observed::default() }
    }

    fn nodes(count: u32) -> Vec<Member> {
        (1..=count).map(Member::Node).collect()
    }

    fn part(count: u32) -> impl Strategy<Value = Vec<Member>> {
        prop::sample::subsequence(nodes(count), 0..=usize::try_from(count).unwrap())
    }

    #[test]
    fn a_member_that_lags_keeps_all_others() {
        let mut observed = view(&nodes(3));
        assert_eq!(may_leave(&observed, &desired(3), Member::Node(3)), Ok(()));
        let status = observed.members.get_mut(&Member::Node(2)).unwrap().sql.as_mut().unwrap().as_mut().unwrap();
        status.state = 2;
        status.state_comment = "Donor/Desynced".to_owned();
        assert!(may_leave(&observed, &desired(3), Member::Node(3)).unwrap_err().contains("node2"));
        assert!(may_leave(&observed, &desired(3), Member::Node(2)).is_err(), "it gives somebody something");
    }

    #[test]
    fn what_is_transferred_is_told_by_what_the_others_have_kept() {
        let mut observed = view(&nodes(2));
        let kept = |observed: &mut Observed, from: Option<u64>| {
            let other = observed.members.get_mut(&Member::Node(1)).unwrap().sql.as_mut().unwrap().as_mut().unwrap();
            other.cached_downto = from;
        };
        // It stands at 42.
        for (oldest, expected) in [
            (Some(40), Transfer::Incremental),
            (Some(43), Transfer::Incremental),
            (Some(44), Transfer::Full),
            (None, Transfer::Full),
        ] {
            kept(&mut observed, oldest);
            assert_eq!(transfer(&observed, Member::Node(2)), Some(expected), "{oldest:?}");
        }
        assert_eq!(transfer(&view(&nodes(1)), Member::Node(1)), None);
    }

    #[test]
    fn few_nodes_are_a_risk_that_is_told() {
        for count in 1..9_u32 {
            let left = usize::try_from(count).unwrap() - 1;
            assert_eq!(risk(count).is_some(), may_die(left) == 0, "{count}");
        }
    }

    proptest! {
        #[test]
        fn each_goes_once_the_broken_first_and_the_writer_last(
            (wanted, serving) in (1..9_u32).prop_flat_map(|count| (part(count), part(count))),
        ) {
            let serving: BTreeSet<Member> = serving.into_iter().collect();
            let order = order(wanted.clone(), &serving);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &wanted);
            let served: Vec<bool> = order.iter().map(|member| serving.contains(member)).collect();
            prop_assert!(served.is_sorted());
            if let Some(writer) = serving.first().filter(|writer| wanted.contains(writer)) {
                prop_assert_eq!(order.last(), Some(writer));
            }
        }

        /// Whoever is there: a node goes only if all others stay in one view, so that a majority of all does, and from four
        /// nodes on even if one more dies.
        #[test]
        fn never_below_a_majority(
            (count, there) in (1..9_u32).prop_flat_map(|count| (Just(count), part(count))), gone in 1..9_u32,
        ) {
            let (observed, node) = (view(&there), Member::Node(gone.min(count)));
            if may_leave(&observed, &desired(count), node).is_ok() {
                let left = there.iter().filter(|member| **member != node).count();
                let all = usize::try_from(count).unwrap();
                prop_assert_eq!(left, all - 1);
                prop_assert!(all < 3 || left * 2 > all);
                prop_assert!(all < 4 || may_die(left) > 0);
            }
        }
    }
}
