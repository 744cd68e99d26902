//! Which way `up` goes, decided from everything that was found before anything is changed.

use std::collections::BTreeMap;

use crate::desired::Desired;
use crate::gates::group::{divergence, list};
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::Observed;
use crate::wsrep::volume::{Contents, Decision, Evidence, decide};
use crate::wsrep::{Position, Uuid};

/// The way to a running cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// There is no data: a seed bootstraps, the nodes join it. Also the rest of a formation that was broken off.
    Form,
    /// The cluster was stopped cleanly: its newest node starts first, without a seed.
    BringBack {
        /// The node that starts first.
        from: Member,
        /// Where it stands.
        position: Position,
        /// Only this node has data: the others get a state transfer from it, as after a restore to one volume.
        alone: bool,
    },
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
    /// What to do.
    pub hint: String,
}

/// Decides the course, or says why there is none.
///
/// # Errors
/// The refusal. Nothing has been changed at that point.
pub fn course(found: &Found<'_>) -> Result<Course, Refusal> {
    if let Some(message) = divergence(found.observed) {
        let hint = "stop writing to the cluster, and compare its nodes: galeractl verify";
        return Err(Refusal { reasons: vec![message], about_volumes: false, hint: hint.to_owned() });
    }
    surplus(found)?;
    let formed = found.record.is_some_and(|record| record.formed);
    let pods: Vec<Member> = present(found.observed);
    let seed = found.observed.members.get(&Member::Seed).filter(|view| view.pod.exists);
    if let Some(seed) = seed
        && seed.pod.ended
        && !formed
        && !anyone_primary(found.observed)
    {
        let reason = "the seed has ended before the nodes had taken over; its data stays on its volume".to_owned();
        let hint = "read its log; if nothing was written yet, `galeractl teardown --delete-volumes` clears the way";
        return Err(Refusal { reasons: vec![reason], about_volumes: true, hint: hint.to_owned() });
    }
    if anyone_primary(found.observed) || (formed && !pods.is_empty()) {
        // While the seed is there, the formation is not over.
        return Ok(if seed.is_some() && !formed { Course::Form } else { Course::Keep });
    }
    if seed.is_some() {
        return Ok(Course::Form);
    }
    if let Some(unknown) = found.desired.members().find(|member| !found.volumes.contains_key(member)) {
        let reason = format!("it is not known what the volume of {unknown} holds");
        return Err(refused_volumes(found, vec![reason]));
    }
    match decide(found.volumes) {
        Decision::Fresh => Ok(Course::Form),
        Decision::BringBack { from, position } => bring_back(found, from, position),
        Decision::Refuse(reasons) => Err(refused_volumes(found, reasons)),
    }
}

fn refused_volumes(found: &Found<'_>, reasons: Vec<String>) -> Refusal {
    let name = &found.desired.cluster;
    let namespace = &found.desired.namespace;
    let hint = format!(
        "nothing was started, because starting the wrong volume loses writes. Find or restore the volume that does not \
         fit, and keep the others; only to give up all data: galeractl teardown --name {name} -n {namespace} --delete-volumes"
    );
    Refusal { reasons, about_volumes: true, hint }
}

fn bring_back(found: &Found<'_>, from: Member, position: Position) -> Result<Course, Refusal> {
    let recorded: Option<Uuid> = found.record.and_then(|record| record.uuid);
    match recorded.filter(|recorded| *recorded != position.uuid) {
        Some(recorded) => {
            let reason = format!("the volumes hold cluster {}, but {recorded} is on record", position.uuid);
            Err(refused_volumes(found, vec![reason]))
        }
        None => Ok(Course::BringBack { from, position, alone: false }),
    }
}

/// Volumes or pods of nodes beyond the wanted number: a smaller cluster must not be started beside their data.
fn surplus(found: &Found<'_>) -> Result<(), Refusal> {
    let holds = |evidence: &Evidence| !matches!(evidence.contents, Contents::Missing | Contents::Empty);
    let with_data = found.volumes.iter().filter(|(_, evidence)| holds(evidence)).map(|(member, _)| *member);
    let beyond = |member: &Member| matches!(member, Member::Node(index) if *index > found.desired.nodes);
    let mut extra: Vec<Member> = with_data.chain(present(found.observed)).filter(beyond).collect();
    extra.sort_unstable();
    extra.dedup();
    let Some(Member::Node(most)) = extra.last() else { return Ok(()) };
    let reason = format!("{} nodes are wanted, but there is also {}", found.desired.nodes, list(&extra));
    let hint =
        format!("use --nodes {most}; the number of nodes of an existing cluster is changed by scaling it, not by `up`");
    Err(Refusal { reasons: vec![reason], about_volumes: true, hint })
}

fn present(observed: &Observed) -> Vec<Member> {
    let nodes = observed.members.iter().filter(|(member, view)| **member != Member::Seed && view.pod.exists);
    // Pods that have not been let go yet hold nothing that their volumes do not show.
    nodes.filter(|(_, view)| view.log.phase.as_deref() != Some("waiting")).map(|(member, _)| *member).collect()
}

fn anyone_primary(observed: &Observed) -> bool {
    observed.members.values().any(|view| view.status().is_some_and(|status| status.cluster_status == "Primary"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::{desired, healthy};
    use crate::observed::{LogView, MemberView, PodView};
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
        assert_eq!(refusal.reasons, ["it is not known what the volume of node1 holds"]);
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
        assert!(refusal.hint.starts_with("use --nodes 5"));
    }

    #[test]
    fn waiting_pods_do_not_count_as_running() {
        let waiting = MemberView {
            pod: PodView { exists: true, running: true, ..PodView::default() },
            log: LogView { phase: Some("waiting".to_owned()), ..LogView::default() },
            sql: None,
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
