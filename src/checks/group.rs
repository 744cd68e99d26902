//! Questions to the group: nodes, history, view, replication.

use super::{Case, Check, Question};
use crate::gates::group::{divergence, list};
use crate::names::Member;
use crate::wsrep::WsrepStatus;

const NODES: &str = "nodes";
const GROUP: &str = "group";
const REPLICATION: &str = "replication";

/// More than this share of time with writes standing still is felt by applications, in percent.
const FLOW_CONTROL_LIMIT: f64 = 10.0;
/// Write sets that wait to be applied; beyond this a node serves old data noticeably long.
const QUEUE_LIMIT: u64 = 100;

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    vec![
        pods(case),
        answers(case),
        restarts(case),
        primary(case),
        uuid(case),
        one_component(case),
        synced(case),
        view(case),
        members(case),
        replication(case),
        flow_control(case),
    ]
}

fn logs(case: &Case<'_>, member: Member) -> String {
    format!("kubectl logs -n {} {}", case.desired.namespace, case.desired.cluster.pod(member))
}

fn statuses<'a>(case: &'a Case<'_>) -> Vec<(Member, &'a WsrepStatus)> {
    let nodes = case.desired.members();
    nodes.filter_map(|node| Some((node, case.observed.members.get(&node)?.status()?))).collect()
}

fn pods(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = case
        .desired
        .members()
        .filter_map(|node| match case.observed.members.get(&node) {
            Some(view) if view.pod.running && !view.pod.leaving => None,
            Some(view) => {
                Some(format!("{node}: {}", view.pod.trouble.as_ref().map_or(&view.pod.phrase, |t| &t.message)))
            }
            None => Some(format!("{node}: no pod")),
        })
        .collect();
    Question::new(NODES, "pods-running", "every node's pod runs", "see why: galeractl status, kubectl get events")
        .must(&wrong, format!("{} of {}", case.desired.nodes, case.desired.nodes))
}

fn answers(case: &Case<'_>) -> Check {
    let silent: Vec<Member> = case
        .desired
        .members()
        .filter(|node| case.observed.members.get(node).and_then(|view| view.status()).is_none())
        .collect();
    let wrong: Vec<String> = silent
        .iter()
        .map(|node| {
            format!(
                "{node}: {}",
                case.observed.members.get(node).map_or("no pod".to_owned(), super::super::observed::MemberView::phrase)
            )
        })
        .collect();
    let hint = silent.first().map(|node| logs(case, *node)).unwrap_or_default();
    Question::new(NODES, "sql-answers", "every node answers SQL", hint).must(&wrong, "all answer")
}

fn restarts(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = case
        .observed
        .members
        .iter()
        .filter(|(_, view)| view.log.crashes > 0 || view.pod.restarts > 0)
        .map(|(node, view)| format!("{node}: {} crashes, {} container restarts", view.log.crashes, view.pod.restarts))
        .collect();
    let hint = format!("see why: kubectl logs -n {} POD | grep -B20 event=crash", case.desired.namespace);
    Question::new(NODES, "no-crashes", "no server has crashed in its present pod", hint).should(&wrong, "none")
}

fn primary(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = statuses(case)
        .iter()
        .filter(|(_, status)| status.cluster_status != "Primary" || !status.ready)
        .map(|(node, status)| format!("{node}: {}", status.summary()))
        .collect();
    let hint = "a node outside of the Primary component refuses all queries; it comes back by itself once it reaches the others";
    Question::new(GROUP, "primary", "every node is in a Primary component and ready", hint)
        .must(&wrong, "all Primary and ready")
}

fn uuid(case: &Case<'_>) -> Check {
    let mut wrong: Vec<String> = Vec::new();
    for (node, status) in statuses(case) {
        if status.uuid.is_zero() {
            wrong.push(format!("{node}: zero uuid"));
        } else if let Some(recorded) = case.record.uuid.filter(|recorded| *recorded != status.uuid) {
            wrong.push(format!("{node}: {}, but {recorded} was recorded when the cluster was formed", status.uuid));
        }
    }
    let hint = "do not write any more: the nodes' data may differ. Compare the tables on all nodes, keep the best copy";
    let fine = case.record.uuid.map_or_else(|| "not zero".to_owned(), |uuid| uuid.to_string());
    Question::new(GROUP, "state-uuid", "every node follows the recorded history", hint).must(&wrong, fine)
}

fn one_component(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = divergence(case.observed).into_iter().collect();
    let hint = "stop the applications now: both halves take writes that exclude each other. Decide which half to keep";
    Question::new(GROUP, "one-component", "there is one Primary component", hint).must(&wrong, "one")
}

fn synced(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = statuses(case)
        .iter()
        .filter(|(_, status)| !status.is_synced() && !status.is_donor())
        .map(|(node, status)| format!("{node}: {}", status.state_comment))
        .collect();
    let donors: Vec<Member> = statuses(case).iter().filter(|(_, s)| s.is_donor()).map(|(node, _)| *node).collect();
    let fine = if donors.is_empty() { "all Synced".to_owned() } else { format!("{} gives a transfer", list(&donors)) };
    Question::new(GROUP, "synced", "every node is up to date", "a joining node needs time: galeractl status --watch")
        .must(&wrong, fine)
}

fn view(case: &Case<'_>) -> Check {
    let statuses = statuses(case);
    let ids: std::collections::BTreeSet<_> = statuses.iter().map(|(_, status)| status.conf_id).collect();
    let mut wrong: Vec<String> = statuses
        .iter()
        .filter(|(_, status)| status.size != case.desired.nodes)
        .map(|(node, status)| format!("{node}: size {}, expected {}", status.size, case.desired.nodes))
        .collect();
    if ids.len() > 1 {
        let all: Vec<String> = statuses
            .iter()
            .map(|(node, status)| format!("{node} {}", status.conf_id.map_or("none".to_owned(), |id| id.to_string())))
            .collect();
        wrong.push(format!("the nodes are in different views: {}", all.join(", ")));
    }
    let fine = format!("size {}, view {}", case.desired.nodes, ids.iter().flatten().next().unwrap_or(&0));
    Question::new(
        GROUP,
        "one-view",
        "all nodes see the same view of the right size",
        "galeractl status shows who is missing",
    )
    .must(&wrong, fine)
}

fn members(case: &Case<'_>) -> Check {
    let expected: std::collections::BTreeSet<String> =
        case.desired.members().map(|node| case.desired.cluster.member(node)).collect();
    let mut wrong = Vec::new();
    for (node, status) in statuses(case) {
        let missing: Vec<&String> = expected.difference(&status.members).collect();
        let strangers: Vec<&String> = status.members.difference(&expected).collect();
        if !missing.is_empty() {
            wrong.push(format!("{node} does not see {missing:?}"));
        }
        if !strangers.is_empty() {
            wrong.push(format!("{node} sees strangers {strangers:?}"));
        }
    }
    Question::new(
        GROUP,
        "members",
        "every node is a member and nobody else is",
        "galeractl status shows the list of each node",
    )
    .must(&wrong, case.desired.members().map(|node| node.to_string()).collect::<Vec<_>>().join(", "))
}

fn replication(case: &Case<'_>) -> Check {
    let mut wrong = Vec::new();
    if let Some((node, Err(error))) = &case.proof.at_node {
        wrong.push(format!("cannot write at {node}: {error}"));
    }
    for node in case.desired.members() {
        match case.proof.read.get(&node) {
            Some(Ok(_)) => {}
            Some(Err(error)) => wrong.push(format!("{node}: {error}")),
            None => wrong.push(format!("{node}: not asked, nothing could be written")),
        }
    }
    let slowest = case.proof.read.values().flatten().max().copied().unwrap_or_default();
    let hint = "a row that was acknowledged is not on every node: keep writers away from the nodes named here";
    Question::new(REPLICATION, "write-read", "a row written is read on every node", hint)
        .must(&wrong, format!("on all nodes within {} ms", slowest.as_millis()))
}

fn flow_control(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = statuses(case)
        .iter()
        .filter_map(|(node, status)| {
            let paused = status.flow_control_paused.percent();
            (paused > FLOW_CONTROL_LIMIT || status.receive_queue > QUEUE_LIMIT)
                .then(|| format!("{node}: paused {paused:.1} % of the time, {} write sets wait", status.receive_queue))
        })
        .collect();
    let hint = "the slowest node slows all writes: look at its CPU and disk";
    Question::new(REPLICATION, "flow-control", "no node holds the others back", hint).should(&wrong, "none does")
}
