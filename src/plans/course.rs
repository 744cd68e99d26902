//! Which way `up` goes, decided from everything that was found before anything is changed.

use std::collections::BTreeMap;

use crate::desired::Desired;
use crate::gates::group::{divergence, list};
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::wsrep::Position;
use crate::wsrep::decision::{Decision, Known, decide};
use crate::wsrep::volume::Evidence;

/// The way to a running cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// There is no data: a seed bootstraps, the nodes join it. Also the rest of a formation that was broken off.
    Form,
    /// The cluster was stopped, and every position is known: its newest node starts first, without a seed.
    BringBack {
        /// The node that starts first.
        from: Member,
        /// Where it stands.
        position: Position,
        /// Nodes that have no copy of their own: they get a state transfer, as after a restore to one volume.
        without: Vec<Member>,
    },
    /// The cluster was stopped, and where some of its volumes stand only their servers can tell: all of them look, wait,
    /// and are compared.
    Compare,
    /// The cluster runs: keep it, and put back what is missing around it.
    Keep,
}

/// What the decision is made from.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// What the user wants.
    pub desired: &'a Desired,
    /// What was recorded in the cluster, where there is a record.
    pub record: Option<&'a Record>,
    /// Pods and their servers' answers.
    pub observed: &'a Observed,
    /// What every volume holds on which no pod runs, and the evidence that waiting pods have printed.
    pub volumes: &'a BTreeMap<Member, Evidence>,
}

/// Why nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Sentences.
    pub reasons: Vec<String>,
    /// Whether a table of the volumes helps to understand them.
    pub about_volumes: bool,
    /// What to do, a line each.
    pub hints: Vec<String>,
}

/// Decides the course, or says why there is none.
///
/// # Errors
/// The refusal. Nothing has been changed at that point.
pub fn course(found: &Found<'_>) -> Result<Course, Refusal> {
    if let Some(message) = divergence(found.observed) {
        let hint = "stop writing to the cluster, and compare its nodes: galeractl verify".to_owned();
        return Err(Refusal { reasons: vec![message], about_volumes: false, hints: vec![hint] });
    }
    surplus(found)?;
    let formed = found.record.is_some_and(|record| record.formed);
    let led = found.record.is_some_and(|record| record.uuid.is_some());
    let pods: Vec<Member> = present(found.observed);
    let seed = found.observed.members.get(&Member::Seed).filter(|view| view.pod.exists && !formed);
    // A seed that has led a component may have taken writes; one that never has is nobody's data.
    if seed.is_some_and(|seed| seed.pod.ended) && led && !anyone_primary(found.observed) {
        let reason = "the seed has ended before the nodes had taken over; its data stays on its volume".to_owned();
        let hint = "read its log; if nothing was written yet, `galeractl teardown --delete-volumes` clears the way";
        return Err(Refusal { reasons: vec![reason], about_volumes: true, hints: vec![hint.to_owned()] });
    }
    if anyone_primary(found.observed) || (formed && !pods.is_empty()) {
        // While the seed is there, the formation is not over.
        return Ok(if seed.is_some() { Course::Form } else { Course::Keep });
    }
    if seed.is_some() {
        return Ok(Course::Form);
    }
    let unknown: Vec<Member> = found.desired.members().filter(|member| !found.volumes.contains_key(member)).collect();
    if !unknown.is_empty() {
        let phrase = |member: &Member| {
            let view = found.observed.members.get(member);
            let why = view.map_or_else(|| "its pod is about to be made".to_owned(), MemberView::phrase);
            format!("it is not known yet what the volume of {member} holds: {why}")
        };
        let hints = vec!["nothing was started; run again when its pod is there: galeractl status".to_owned()];
        return Err(Refusal { reasons: unknown.iter().map(phrase).collect(), about_volumes: false, hints });
    }
    let group = found.desired.cluster.group(&found.desired.namespace);
    let recorded = found.record.and_then(|record| record.uuid);
    match decide(found.volumes, Known { group: &group, formed, recorded }) {
        Decision::Fresh => Ok(Course::Form),
        Decision::BringBack { from, position, without } => Ok(Course::BringBack { from, position, without }),
        Decision::Compare => Ok(Course::Compare),
        Decision::Refuse(reasons) => Err(refused_volumes(reasons, found.volumes)),
    }
}

fn refused_volumes(reasons: Vec<String>, volumes: &BTreeMap<Member, Evidence>) -> Refusal {
    let mut hints = vec![
        "nothing was started, because starting the wrong volume loses writes. What there is, and a way out: galeractl \
         recover --plan"
            .to_owned(),
    ];
    // Where nothing is left to be lost, only the record stands in the way of a new beginning.
    hints.push(if volumes.values().all(Evidence::is_blank) {
        "find the volumes, or bring a backup back: galeractl restore --from latest; to begin anew without the old data: \
         galeractl teardown --delete-volumes"
            .to_owned()
    } else {
        "find or restore the volume that does not fit, and keep the others".to_owned()
    });
    Refusal { reasons, about_volumes: true, hints }
}

/// Volumes or pods of nodes beyond the wanted number: a smaller cluster must not be started beside their data.
fn surplus(found: &Found<'_>) -> Result<(), Refusal> {
    let with_data = found.volumes.iter().filter(|(_, evidence)| !evidence.is_blank()).map(|(member, _)| *member);
    let beyond = |member: &Member| matches!(member, Member::Node(index) if *index > found.desired.nodes);
    let mut extra: Vec<Member> = with_data.chain(present(found.observed)).filter(beyond).collect();
    extra.sort_unstable();
    extra.dedup();
    let Some(Member::Node(most)) = extra.last() else { return Ok(()) };
    let reason = format!("{} nodes are wanted, but there is also {}", found.desired.nodes, list(&extra));
    let hint = format!("use --nodes {most}; the number of nodes of a running cluster is changed by `galeractl scale`");
    Err(Refusal { reasons: vec![reason], about_volumes: true, hints: vec![hint] })
}

fn present(observed: &Observed) -> Vec<Member> {
    let nodes = observed.members.iter().filter(|(member, view)| **member != Member::Seed && view.pod.exists);
    // Pods that have not been let go yet hold nothing that their volumes do not show.
    nodes.filter(|(_, view)| view.log.phase.as_deref() != Some("waiting")).map(|(member, _)| *member).collect()
}

fn anyone_primary(observed: &Observed) -> bool {
    observed.members.values().any(MemberView::is_primary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::{desired, healthy};
    use crate::observed::{LogView, PodView};
    use crate::wsrep::volume::Contents;
    use proptest::prelude::*;

    const NODES: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

    fn go(
        record: Option<&Record>,
        observed: &Observed,
        volumes: &BTreeMap<Member, Evidence>,
    ) -> Result<Course, Refusal> {
        course(&Found { desired: &desired(3), record, observed, volumes })
    }

    fn none() -> BTreeMap<Member, Evidence> {
        NODES.into_iter().map(|node| (node, Evidence::MISSING)).collect()
    }

    fn stopped(seqnos: [u64; 3]) -> BTreeMap<Member, Evidence> {
        let uuid = "79651a2b-0000-11f0-8000-0123456789ab".parse().unwrap();
        let volume = |seqno| Evidence {
            contents: Contents::Database { uuid: Some(uuid), seqno: Some(seqno), safe: false },
            ..Evidence::MISSING
        };
        NODES.into_iter().zip(seqnos.map(volume)).collect()
    }

    fn formed() -> Record {
        Record { formed: true, uuid: None }
    }

    #[test]
    fn nothing_there_forms_but_nothing_known_does_not() {
        assert_eq!(go(None, &Observed::default(), &none()), Ok(Course::Form));
        let refusal = go(None, &Observed::default(), &BTreeMap::new()).unwrap_err();
        assert_eq!(refusal.reasons.len(), 3);
        assert!(refusal.reasons[0].starts_with("it is not known yet what the volume of node1 holds"));
        assert!(refusal.hints.iter().all(|hint| !hint.contains("delete")), "{refusal:?}");
    }

    #[test]
    fn a_running_cluster_is_kept_and_one_with_a_seed_goes_on_forming() {
        assert_eq!(go(Some(&formed()), &healthy(&NODES), &BTreeMap::new()), Ok(Course::Keep));
        let with_seed = healthy(&[Member::Seed, NODES[0]]);
        assert_eq!(go(Some(&Record::default()), &with_seed, &BTreeMap::new()), Ok(Course::Form));
        assert_eq!(go(Some(&formed()), &with_seed, &BTreeMap::new()), Ok(Course::Keep));
    }

    #[test]
    fn stopped_volumes_are_brought_back_from_the_newest() {
        let course = go(None, &Observed::default(), &stopped([8, 10, 9])).unwrap();
        assert!(matches!(course, Course::BringBack { from: Member::Node(2), .. }));
    }

    #[test]
    fn more_volumes_than_nodes_are_refused() {
        let mut volumes = stopped([8, 10, 9]);
        volumes.insert(Member::Node(5), volumes[&NODES[0]].clone());
        let refusal = go(None, &Observed::default(), &volumes).unwrap_err();
        assert_eq!(refusal.reasons, ["3 nodes are wanted, but there is also node5"]);
        assert!(refusal.hints[0].starts_with("use --nodes 5"));
    }

    #[test]
    fn waiting_pods_do_not_count_as_running() {
        let waiting = MemberView {
            pod: PodView { exists: true, running: true, ..PodView::default() },
            log: LogView { phase: Some("waiting".to_owned()), ..LogView::default() },
            ..MemberView::default()
        };
        let observed = Observed {
            members: NODES.into_iter().map(|node| (node, waiting.clone())).collect(),
            ..Observed::default()
        };
        let course = go(Some(&formed()), &observed, &stopped([8, 10, 9])).unwrap();
        assert!(matches!(course, Course::BringBack { .. }));
    }

    proptest! {
        /// Whatever the volumes say: where a member is part of a Primary component, nothing is started beside it.
        #[test]
        fn never_starts_anything_beside_a_primary_component(
            seqnos: [u64; 3], running in prop::sample::subsequence(NODES.to_vec(), 1..=3), formed: bool,
        ) {
            let record = Record { formed, uuid: None };
            let course = go(Some(&record), &healthy(&running), &stopped(seqnos));
            prop_assert_eq!(course, Ok(Course::Keep));
        }
    }
}
