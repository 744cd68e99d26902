//! Questions to the group: nodes, history, view, replication.

use super::{Case, Check, Question, Unread};
use crate::gates::group::{divergence, list};
use crate::manifests::config::config_sum;
use crate::names::Member;
use crate::observed::MemberView;
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
        current(case),
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
    let hint = format!("see why: galeractl status; kubectl get events -n {}", case.desired.namespace);
    Question::new(NODES, "pods-running", "every node's pod runs", hint)
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
                case.observed.members.get(node).map_or("no pod".to_owned(), crate::observed::MemberView::phrase)
            )
        })
        .collect();
    // A pod that is not there has no log.
    let logged = silent.iter().find(|node| case.observed.members.get(node).is_some_and(|view| view.pod.running));
    let mut views = case.observed.members.values();
    let is_held = |node: &&Member| case.observed.members.get(node).is_some_and(|view| view.held().is_some());
    let hint = if let Some(node) = silent.iter().find(is_held) {
        format!("somebody keeps it down; let it come back: galeractl release --node {}", node.number())
    } else if silent.len() == case.desired.members().count() && views.all(crate::observed::MemberView::waits) {
        "every node waits for another one to begin; this compares their positions and starts the newest: galeractl up"
            .to_owned()
    } else {
        logged.map_or("see why: galeractl status".to_owned(), |node| logs(case, *node))
    };
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

fn current(case: &Case<'_>) -> Check {
    let wanted = &case.desired.mariadb_image;
    let sum = config_sum(case.desired);
    let other_image = |view: &MemberView| view.pod.image.clone().filter(|image| image != wanted);
    let why = |view: &MemberView| match other_image(view) {
        Some(image) => Some(format!("its image is {image}")),
        None if view.pod.outdated == Some(true) => Some("its pod is of an earlier template".to_owned()),
        None => {
            let other = view.pod.config.as_ref().is_some_and(|config| *config != sum);
            other.then(|| "its scripts or server options are of another galeractl".to_owned())
        }
    };
    let nodes = case.observed.members.iter().filter_map(|(node, view)| Some(format!("{node}: {}", why(view)?)));
    let proxies =
        case.observed.proxy.outdated.iter().map(|pod| format!("{pod}: its image or configuration is another"));
    let wrong: Vec<String> = nodes.chain(proxies).collect();
    let hint = if case.observed.members.values().any(|view| other_image(view).is_some()) {
        format!("go on node by node: galeractl upgrade --image {wanted}")
    } else {
        "restart them with the present settings, one after the other: galeractl apply".to_owned()
    };
    Question::new(NODES, "settings-current", "all nodes and proxies run with the present settings", hint)
        .should(&wrong, "all do")
}

/// Who is not among those that were asked; empty if all were.
fn open(case: &Case<'_>, asked: usize, what: &str) -> String {
    let all = case.desired.members().count();
    if asked == all { String::new() } else { format!("only {asked} of {all} nodes {what}") }
}

/// The answer of the nodes that answer at all; that the others do not is told by `sql-answers`.
fn of_answering(case: &Case<'_>, question: Question, wrong: &[String], fine: impl Into<String>) -> Check {
    match statuses(case).len() {
        0 => question.skipped("no node answers"),
        asked => question.of_those(wrong, fine, &open(case, asked, "answer")),
    }
}

fn primary(case: &Case<'_>) -> Check {
    let statuses = statuses(case);
    let wrong: Vec<String> = statuses
        .iter()
        .filter(|(_, status)| status.cluster_status != "Primary" || !status.ready)
        .map(|(node, status)| format!("{node}: {}", status.summary()))
        .collect();
    let who = if statuses.len() == case.desired.members().count() { "no node" } else { "no node that answers" };
    let hint = if statuses.iter().any(|(_, status)| status.is_primary()) {
        "a node outside of the Primary component refuses all queries; it comes back by itself once it reaches the others".to_owned()
    } else {
        format!(
            "{who} has a majority, and none comes back by itself: galeractl recover --plan shows the evidence and a way out"
        )
    };
    let question = Question::new(GROUP, "primary", "every node is in a Primary component and ready", hint);
    of_answering(case, question, &wrong, "Primary and ready")
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
    let question = Question::new(GROUP, "state-uuid", "every node follows the recorded history", hint);
    of_answering(case, question, &wrong, fine)
}

fn one_component(case: &Case<'_>) -> Check {
    let wrong: Vec<String> = divergence(case.observed).into_iter().collect();
    let hint = "stop the applications now: both halves take writes that exclude each other. Decide which half to keep";
    let question = Question::new(GROUP, "one-component", "there is one Primary component", hint);
    if wrong.is_empty() && !statuses(case).iter().any(|(_, status)| status.is_primary()) {
        return question.skipped("no node that answers is in one");
    }
    of_answering(case, question, &wrong, "one")
}

fn synced(case: &Case<'_>) -> Check {
    let statuses = statuses(case);
    let wrong: Vec<String> = statuses
        .iter()
        .filter(|(_, status)| !status.is_synced() && !status.is_donor())
        .map(|(node, status)| format!("{node}: {}", status.state_comment))
        .collect();
    let donors: Vec<Member> = statuses.iter().filter(|(_, s)| s.is_donor()).map(|(node, _)| *node).collect();
    let fine = if donors.is_empty() { "Synced".to_owned() } else { format!("{} gives a transfer", list(&donors)) };
    let hint = "a joining node needs time: galeractl status --watch";
    of_answering(case, Question::new(GROUP, "synced", "every node is up to date", hint), &wrong, fine)
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
    let hint = "see who is missing: galeractl status";
    let question = Question::new(GROUP, "one-view", "all nodes see the same view of the right size", hint);
    of_answering(case, question, &wrong, fine)
}

/// A node outside of the Primary component tells the members of the last one that it was in, which proves nothing.
fn members(case: &Case<'_>) -> Check {
    let expected: std::collections::BTreeSet<String> =
        case.desired.members().map(|node| case.desired.cluster.member(node)).collect();
    let mut asked = Vec::new();
    let mut wrong = Vec::new();
    for (node, status) in statuses(case).into_iter().filter(|(_, status)| status.is_primary()) {
        asked.push(node.to_string());
        let missing: Vec<&String> = expected.difference(&status.members).collect();
        let strangers: Vec<&String> = status.members.difference(&expected).collect();
        if !missing.is_empty() {
            wrong.push(format!("{node} does not see {missing:?}"));
        }
        if !strangers.is_empty() {
            wrong.push(format!("{node} sees strangers {strangers:?}"));
        }
    }
    let hint = "see size and view of each node: galeractl status";
    let question = Question::new(GROUP, "members", "every node is a member and nobody else is", hint);
    if asked.is_empty() {
        return question.skipped("no node that answers is in a Primary component");
    }
    question.of_those(&wrong, asked.join(", "), &open(case, asked.len(), "answer as part of a Primary component"))
}

/// Why a node can take neither writes nor questions, where another check says so.
fn cause(case: &Case<'_>, node: Member) -> Option<String> {
    let view = case.observed.members.get(&node);
    match view.and_then(|view| view.status()) {
        Some(status) if status.is_primary() && status.ready => None,
        _ => Some(view.map_or("no pod".to_owned(), crate::observed::MemberView::phrase)),
    }
}

fn replication(case: &Case<'_>) -> Check {
    let proof = case.proof;
    let (mut lost, mut silent, mut skipped, mut read) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for node in case.desired.members() {
        // Where nothing could be written, the attempt at each node is the answer.
        let answer = proof.read.get(&node).cloned().or_else(|| match proof.at_nodes.get(&node)? {
            Ok(_) => None,
            Err(error) => Some(Err(Unread::Silent(format!("takes no write: {error}")))),
        });
        match (answer, cause(case, node)) {
            (Some(Ok(_)), _) => read.push(node),
            (Some(Err(Unread::Missing(what))), _) => lost.push(format!("{node} {what}")),
            (_, Some(why)) => skipped.push(format!("{node} could not be asked: {why}")),
            (Some(Err(Unread::Silent(error))), None) => silent.push(format!("{node}: {error}")),
            (None, None) => silent.push(format!("{node}: not asked, nothing could be written")),
        }
    }
    let hint = if lost.is_empty() {
        "it was asked for a row and gave no answer: galeractl verify asks again; its log says why".to_owned()
    } else {
        "a row that was acknowledged is not on every node: keep writers away from the nodes named here".to_owned()
    };
    let question = Question::new(REPLICATION, "write-read", "a row written is read on every node", hint);
    let wrong = [lost, silent].concat();
    if read.is_empty() && wrong.is_empty() {
        return question.skipped(&skipped.join("; "));
    }
    let slowest = proof.read.values().flatten().max().copied().unwrap_or_default();
    let where_read = if skipped.is_empty() { "all nodes".to_owned() } else { list(&read) };
    let left = proof.left.as_ref().map(|why| format!("; it could not be removed again: {why}")).unwrap_or_default();
    let fine = format!("on {where_read} within {} ms{left}", slowest.as_millis());
    question.of_those(&wrong, fine, &skipped.join("; "))
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
