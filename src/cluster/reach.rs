//! Which node somebody gets to who wants to talk to the database.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Backend;
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::names::Member;
use crate::observed::{MemberView, Observed};

/// What each pod of the proxy has answered.
pub type Views = BTreeMap<String, Result<Vec<Backend>, String>>;

/// The node to which the proxies send whoever writes; `None` when they send nobody anywhere.
///
/// # Errors
/// No proxy tells, or they do not agree: a sentence.
pub fn writer(views: &Views) -> Result<Option<Member>, String> {
    let told: Vec<(&str, Option<Member>)> = views
        .iter()
        .filter_map(|(pod, view)| Some((pod.as_str(), view.as_ref().ok()?)))
        // Servers stand in the order in which they are taken.
        .map(|(pod, backends)| (pod, backends.iter().find(|backend| backend.up).map(|backend| backend.member)))
        .collect();
    let different: BTreeSet<Option<Member>> = told.iter().map(|(_, member)| *member).collect();
    match different.len() {
        1 => Ok(told[0].1),
        0 => Err(match views.iter().next() {
            Some((pod, Err(why))) => format!("{pod} does not tell where it sends clients: {why}"),
            _ => "no proxy runs".to_owned(),
        }),
        _ => {
            let name = |member: &Option<Member>| member.map_or("nobody".to_owned(), |member| member.to_string());
            let each: Vec<String> = told.iter().map(|(pod, member)| format!("{pod} to {}", name(member))).collect();
            Err(format!("the proxies send clients to different nodes: {}", each.join(", ")))
        }
    }
}

/// A node for reading: the last that is Synced, since the first is usually the one that takes the writes.
///
/// # Errors
/// None is.
pub fn any(observed: &Observed) -> Result<Member> {
    let synced = observed.members.iter().filter(|(member, view)| matches!(member, Member::Node(_)) && view.is_synced());
    synced.map(|(member, _)| *member).next_back().ok_or_else(|| {
        let each = observed.members.iter().map(|(member, view)| format!("{member}: {}", state(view)));
        let each: Vec<String> = each.collect();
        Failure::message(Kind::Preflight, format!("no node is Synced ({})", each.join("; ")))
            .hint("see what is wrong: galeractl status")
    })
}

/// Makes sure that a node can be talked to.
///
/// # Errors
/// It is not Synced, with what it is and where else to go.
pub fn usable(observed: &Observed, node: Member) -> Result<Member> {
    let none = MemberView::default();
    let view = observed.members.get(&node).unwrap_or(&none);
    if view.is_synced() {
        return Ok(node);
    }
    let others: Vec<Member> =
        observed.members.iter().filter(|(_, view)| view.is_synced()).map(|(member, _)| *member).collect();
    let failure = Failure::message(Kind::Preflight, format!("{node} is not Synced: {}", state(view)));
    Err(match others.as_slice() {
        [] => failure.hint("no other node is either; see what is wrong: galeractl status"),
        others => failure.hint(format!("these are: {}", list(others))),
    })
}

fn state(view: &MemberView) -> String {
    if view.pod.exists { view.phrase() } else { "no pod".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::healthy;

    fn backend(node: u32, up: bool) -> Backend {
        Backend { member: Member::Node(node), up, check: String::new(), address: String::new() }
    }

    fn views(each: &[Result<Vec<Backend>, String>]) -> Views {
        each.iter().cloned().enumerate().map(|(index, view)| (format!("proxy{index}"), view)).collect()
    }

    #[test]
    fn the_writer_is_the_first_server_that_all_proxies_would_use() {
        let first = vec![backend(1, true), backend(2, true)];
        let second = vec![backend(1, false), backend(2, true)];
        assert_eq!(writer(&views(&[Ok(first.clone()), Ok(first.clone())])), Ok(Some(Member::Node(1))));
        assert_eq!(writer(&views(&[Ok(second.clone()), Err("silent".into())])), Ok(Some(Member::Node(2))));
        assert_eq!(writer(&views(&[Ok(vec![backend(1, false)])])), Ok(None));
        let torn = writer(&views(&[Ok(first), Ok(second)])).unwrap_err();
        assert_eq!(torn, "the proxies send clients to different nodes: proxy0 to node1, proxy1 to node2");
        assert_eq!(writer(&views(&[])).unwrap_err(), "no proxy runs");
        assert!(writer(&views(&[Err("HTTP status 503".into())])).unwrap_err().ends_with("HTTP status 503"));
    }

    #[test]
    fn nobody_is_sent_to_a_node_that_is_not_synced() {
        let mut observed = healthy(&[1, 2, 3].map(Member::Node));
        assert_eq!(any(&observed).unwrap(), Member::Node(3));
        observed.members.remove(&Member::Node(3));
        let refused = usable(&observed, Member::Node(3)).unwrap_err();
        assert_eq!(refused.to_string(), "node3 is not Synced: no pod");
        assert_eq!(refused.hints, ["these are: node1, node2"]);
        assert_eq!(usable(&observed, Member::Node(2)).unwrap(), Member::Node(2));
        let refused = any(&Observed::default()).unwrap_err();
        assert_eq!(refused.kind, Kind::Preflight);
    }
}
