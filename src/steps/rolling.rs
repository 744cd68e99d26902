//! Restarting nodes of a running cluster, on somebody's wish or because their templates have changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;

use crate::cluster::rolling::{Rolled, known_outdated, roll, until_may_leave};
use crate::cluster::world::World;
use crate::engine::event::{Change, Level};
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::objects::Objects;
use crate::names::{Member, RESTART_ANNOTATION};
use crate::plans::rolling::{order, risk, serving};

/// Looks whether nodes may be restarted.
pub const LOOK: Named = Named::new("preflight", "look before any node is restarted");

/// One node after the other.
pub const RESTART: Named = Named::new("restart", "restart nodes one after the other");

/// Field manager of the wish, so that applying a template does not remove it.
const WISHER: &str = "galeractl-restart";

/// Which nodes are restarted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Nodes that somebody has named.
    pub named: Vec<Member>,
    /// Those that are restarted by this run, in this order.
    pub order: Vec<Member>,
    /// Whether an earlier run has asked for it already, and was broken off.
    pub goes_on: bool,
}

/// As [`look`], under the lock.
///
/// # Errors
/// As [`look`], or another run holds the lock.
pub async fn run_look(cx: &StepCx<'_, World>, named: &[Member]) -> Result<Finished<Wish>> {
    cx.world.take_lock(cx).await?;
    let wish = look(cx, named).await?;
    let nodes = list(&wish.order);
    Ok(Finished::unchanged(if wish.goes_on {
        format!("a restart that was broken off goes on; left are {nodes}")
    } else {
        format!("in this order: {nodes}")
    })
    .with(wish))
}

/// What the run asks before it restarts anything.
///
/// # Errors
/// The nodes are not in order.
pub async fn look(cx: &StepCx<'_, World>, named: &[Member]) -> Result<Wish> {
    let world = cx.world;
    let left = unfinished(world, named);
    let wanted = left.clone().unwrap_or_else(|| named.to_vec());
    let order = order(wanted, &serving(&world.observer.now()));
    if let Some(first) = order.first() {
        until_may_leave(cx, *first).await.map_err(|failure| match failure.kind {
            Kind::Step => Failure { kind: Kind::Preflight, ..failure }.hint("see what is wrong: galeractl verify"),
            _ => failure,
        })?;
    }
    if let Some(risk) = risk(world.desired.nodes) {
        cx.notice(Level::Warning, risk);
    }
    Ok(Wish { named: named.to_vec(), order, goes_on: left.is_some() })
}

/// What is left of a restart of exactly these nodes, or of more, that was broken off: all their templates bear the same
/// wish, and some of their pods do not.
fn unfinished(world: &World, named: &[Member]) -> Option<Vec<Member>> {
    let snapshot = world.observer.live().snapshot();
    let cluster = &world.desired.cluster;
    let wish = |annotations: Option<&BTreeMap<String, String>>| annotations?.get(RESTART_ANNOTATION).cloned();
    let of_template = |node: &Member| {
        let set = snapshot.statefulsets.get(&cluster.member(*node))?;
        wish(set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref())
    };
    let of_pod =
        |node: &Member| wish(snapshot.pods.get(&cluster.pod(*node)).and_then(|pod| pod.metadata.annotations.as_ref()));
    let first = of_template(named.first()?)?;
    if !named.iter().all(|node| of_template(node).as_ref() == Some(&first)) {
        return None;
    }
    let left: Vec<Member> = named.iter().copied().filter(|node| of_pod(node).as_ref() != Some(&first)).collect();
    (!left.is_empty()).then_some(left)
}

/// Writes the wish to the templates, unless it is there, and restarts what is outdated then. Answers with the nodes that
/// are left where the run is to pause after one.
///
/// # Errors
/// The API server refuses, or a node does not come back.
pub async fn restart(cx: &StepCx<'_, World>, wish: &Wish, pause: Option<Member>) -> Result<Finished<Vec<Member>>> {
    let world = cx.world;
    if !wish.goes_on {
        world.confirm_lock().await?;
        let sets: Objects<StatefulSet> = Objects::within(&world.connection.client, &world.desired.namespace);
        let annotations = json!({RESTART_ANNOTATION: Timestamp::now().to_string()});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        for node in &wish.named {
            let name = world.desired.cluster.member(*node);
            sets.merge_as(WISHER, &name, "annotate", &patch, Kind::Step).await?;
            world.tell(cx, &format!("statefulset/{name}"), Change::Changed);
        }
    }
    finished(cx, roll(cx, &wish.order, pause).await?)
}

/// Restarts all nodes whose pods are outdated. Answers as [`restart`].
///
/// # Errors
/// A node does not come back.
pub async fn catch_up(cx: &StepCx<'_, World>, pause: Option<Member>) -> Result<Finished<Vec<Member>>> {
    let nodes: Vec<Member> = cx.world.desired.members().collect();
    finished(cx, roll(cx, &nodes, pause).await?)
}

fn finished(cx: &StepCx<'_, World>, Rolled { restarted, left: paused }: Rolled) -> Result<Finished<Vec<Member>>> {
    let left = known_outdated(&cx.world.observer.now());
    let again: Vec<Member> = restarted.iter().copied().filter(|node| left.contains(node)).collect();
    if !again.is_empty() {
        let why = format!("somebody has changed the template of {} in the meantime", list(&again));
        return Err(Failure::message(Kind::Step, why));
    }
    let and_then = if paused.is_empty() { "all Synced".to_owned() } else { format!("left: {}", list(&paused)) };
    Ok(match restarted.len() {
        0 => Finished::unchanged("every node runs with what it should"),
        _ => Finished::changed(format!("{} restarted, {and_then}", list(&restarted))),
    }
    .with(paused))
}
