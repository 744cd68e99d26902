//! What makes members one group: the same history, the same view, everyone in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Desired;
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::wsrep::{Uuid, WsrepStatus};

/// A view that all expected members agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Identity of the history.
    pub uuid: Uuid,
    /// Number of the view.
    pub conf_id: u64,
    /// Members in it.
    pub size: u32,
}

/// Why there is no common view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// Members are still on their way; the phrase says who and where.
    Pending(String),
    /// Members follow different histories, or forked ones: waiting makes it worse.
    Diverged(String),
}

/// Whether exactly these members form one Primary component in which all are Synced.
///
/// # Errors
/// Who is not there yet, or that the data has diverged.
pub fn agreement(observed: &Observed, desired: &Desired, expected: &[Member]) -> Result<View, Disagreement> {
    if let Some(message) = divergence(observed) {
        return Err(Disagreement::Diverged(message));
    }
    let mut statuses: BTreeMap<Member, &WsrepStatus> = BTreeMap::new();
    let mut pending: Vec<(String, Vec<Member>)> = Vec::new();
    for member in expected {
        let view = observed.members.get(member);
        match view.and_then(|view| view.status()) {
            Some(status) if status.is_synced() => drop(statuses.insert(*member, status)),
            _ => {
                let phrase = view.map_or_else(|| "has no pod".to_owned(), MemberView::phrase);
                match pending.iter_mut().find(|(other, _)| *other == phrase) {
                    Some((_, members)) => members.push(*member),
                    None => pending.push((phrase, vec![*member])),
                }
            }
        }
    }
    if !pending.is_empty() {
        let phrases: Vec<String> =
            pending.iter().map(|(phrase, members)| format!("{} {phrase}", list(members))).collect();
        return Err(Disagreement::Pending(phrases.join(", ")));
    }
    common_view(&statuses, &expected.iter().map(|member| desired.cluster.member(*member)).collect())
        .map_err(Disagreement::Pending)
}

fn common_view(statuses: &BTreeMap<Member, &WsrepStatus>, names: &BTreeSet<String>) -> Result<View, String> {
    let Some((first, status)) = statuses.first_key_value() else { return Err("no member is expected".to_owned()) };
    let Some(conf_id) = status.conf_id else { return Err(format!("{first} has no view")) };
    let view = View { uuid: status.uuid, conf_id, size: status.size };
    for (member, status) in statuses {
        if status.conf_id != Some(conf_id) {
            return Err(format!("{first} is in view {conf_id}, {member} in view {}", number(status.conf_id)));
        }
        if status.members != *names {
            let has = status.members.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("{member} sees these members: {has}"));
        }
        if usize::try_from(status.size) != Ok(names.len()) {
            return Err(format!("{member} sees size {}, expected {}", status.size, names.len()));
        }
    }
    Ok(view)
}

fn number(conf_id: Option<u64>) -> String {
    conf_id.map_or("none".to_owned(), |id| id.to_string())
}

/// Two histories, or one history forked into two Primary components, among members that answer.
#[must_use]
pub fn divergence(observed: &Observed) -> Option<String> {
    let primary = observed.members.iter().filter_map(|(member, view)| {
        let status = view.status()?;
        (status.cluster_status == "Primary").then_some((*member, status))
    });
    let primary: Vec<(Member, &WsrepStatus)> = primary.collect();
    if let Some((member, _)) = primary.iter().find(|(_, status)| status.uuid.is_zero() && status.is_settled()) {
        return Some(format!(
            "{member} is Primary with a zero state uuid: it was started without its position, and its data may differ from the others'"
        ));
    }
    let mut by_uuid: BTreeMap<Uuid, Vec<Member>> = BTreeMap::new();
    for (member, status) in primary.iter().filter(|(_, status)| !status.uuid.is_zero()) {
        by_uuid.entry(status.uuid).or_default().push(*member);
    }
    if by_uuid.len() > 1 {
        let islands: Vec<String> = by_uuid.iter().map(|(uuid, who)| format!("{uuid} ({})", list(who))).collect();
        return Some(format!("members follow different histories: {}", islands.join(" and ")));
    }
    let islands = islands(&primary);
    (islands.len() > 1).then(|| {
        let names: Vec<String> = islands.iter().map(|(_, who)| format!("[{}]", list(who))).collect();
        format!("the cluster is split into {} Primary components: {}", names.len(), names.join(" and "))
    })
}

/// Primary members grouped by the member list they see, when no list of one group names a member of another.
fn islands(primary: &[(Member, &WsrepStatus)]) -> Vec<(BTreeSet<String>, Vec<Member>)> {
    let mut islands: Vec<(BTreeSet<String>, Vec<Member>)> = Vec::new();
    for (member, status) in primary.iter().filter(|(_, status)| !status.members.is_empty()) {
        // During a change of view the lists differ for a moment, yet they overlap.
        match islands.iter_mut().find(|(names, _)| !names.is_disjoint(&status.members)) {
            Some((names, who)) => {
                names.extend(status.members.iter().cloned());
                who.push(*member);
            }
            None => islands.push((status.members.clone(), vec![*member])),
        }
    }
    islands
}

/// Members in words.
#[must_use]
pub fn list(members: &[Member]) -> String {
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::observed::PodView;
    use crate::wsrep::status::tests::synced;

    pub(crate) fn desired(nodes: u32) -> Desired {
        crate::desired::tests::desired("c", nodes)
    }

    pub(crate) fn names(members: &[Member]) -> Vec<String> {
        members.iter().map(|member| desired(3).cluster.member(*member)).collect()
    }

    /// All of these members, Synced in one view.
    pub(crate) fn healthy(members: &[Member]) -> Observed {
        let names = names(members);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let view = || MemberView {
            pod: PodView { exists: true, running: true, ready: true, ..PodView::default() },
            sql: Some(Ok(synced(&names))),
            ..MemberView::default()
        };
        Observed { members: members.iter().map(|member| (*member, view())).collect(), ..Observed::default() }
    }

    fn status(observed: &mut Observed, member: Member) -> &mut WsrepStatus {
        observed.members.get_mut(&member).unwrap().sql.as_mut().unwrap().as_mut().unwrap()
    }

    const THREE: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

    #[test]
    fn all_synced_in_one_view_agree() {
        let view = agreement(&healthy(&THREE), &desired(3), &THREE).unwrap();
        assert_eq!((view.conf_id, view.size), (7, 3));
    }

    #[test]
    fn a_member_too_many_is_no_agreement() {
        let four = [Member::Seed, Member::Node(1), Member::Node(2), Member::Node(3)];
        let Err(Disagreement::Pending(why)) = agreement(&healthy(&four), &desired(3), &THREE) else {
            panic!("must wait")
        };
        assert!(why.contains("c-galera-seed"), "{why}");
    }

    #[test]
    fn an_old_view_waits() {
        let mut observed = healthy(&THREE);
        status(&mut observed, Member::Node(2)).conf_id = Some(6);
        let why = agreement(&observed, &desired(3), &THREE).unwrap_err();
        assert_eq!(why, Disagreement::Pending("node1 is in view 7, node2 in view 6".to_owned()));
    }

    #[test]
    fn two_histories_diverge() {
        let mut observed = healthy(&THREE);
        status(&mut observed, Member::Node(3)).uuid = "00000001-0000-11f0-8000-0123456789ab".parse().unwrap();
        assert!(
            matches!(agreement(&observed, &desired(3), &THREE), Err(Disagreement::Diverged(why)) if why.contains("different histories"))
        );
    }

    #[test]
    fn one_history_in_two_components_diverges() {
        let mut observed = healthy(&THREE);
        let (one, two) = (names(&THREE[..1]), names(&THREE[1..]));
        status(&mut observed, Member::Node(1)).members = one.into_iter().collect();
        status(&mut observed, Member::Node(2)).members = two.iter().cloned().collect();
        status(&mut observed, Member::Node(3)).members = two.into_iter().collect();
        assert_eq!(
            divergence(&observed).unwrap(),
            "the cluster is split into 2 Primary components: [node1] and [node2, node3]"
        );
    }

    #[test]
    fn a_zero_uuid_diverges() {
        let mut observed = healthy(&THREE);
        status(&mut observed, Member::Node(2)).uuid = Uuid::ZERO;
        assert!(divergence(&observed).unwrap().contains("zero state uuid"));
    }
}
