//! Restarting the servers of a running cluster one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;
use tokio_util::sync::CancellationToken;

use crate::engine::event::Level;
use crate::engine::{StepCx, Verdict};
use crate::error::{Kind, Result};
use crate::gates::hopeless::hopeless;
use crate::kube::delete::Found;
use crate::kube::http;
use crate::kube::objects::Objects;
use crate::manifests::member::HEALTH_PORT;
use crate::names::Member;
use crate::observe::objects::is_outdated;
use crate::observed::{MemberView, Observed};
use crate::plans::rolling::{Transfer, may_leave, order, serving};

use super::nodes::judge;
use super::world::{BEAT, World};
use super::{proxies, remove};

/// How often a node's own door and the proxies are asked.
const LOOK: Duration = Duration::from_millis(250);

/// Nodes whose pods were made from an earlier version of their templates. The API server is asked for the newest version,
/// since what is watched may be older than what this run has just written.
///
/// # Errors
/// It cannot be known, since a pod is not made or Kubernetes does not look at its template.
pub async fn outdated(cx: &StepCx<'_, World>) -> Result<BTreeSet<Member>> {
    let world = cx.world;
    let cluster = &world.desired.cluster;
    let sets: Objects<StatefulSet> = Objects::within(&world.connection.client, &world.desired.namespace);
    let mut written = BTreeMap::new();
    for member in world.desired.members() {
        let set = sets.get(&cluster.member(member), Kind::Step).await?;
        written.insert(member, set.and_then(|set| set.metadata.generation));
    }
    let mut outdated = BTreeSet::new();
    cx.wait(world.observer.live().changed(), BEAT, world.patience(), || {
        let snapshot = world.observer.live().snapshot();
        let known = |(member, generation): (&Member, &Option<i64>)| {
            let set = snapshot.statefulsets.get(&cluster.member(*member));
            let set = set.filter(|set| set.metadata.generation >= *generation);
            let pod = snapshot.pods.get(&cluster.pod(*member));
            let pod = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none());
            (*member, pod.zip(set).and_then(|(pod, set)| is_outdated(pod, set)))
        };
        let known: BTreeMap<Member, Option<bool>> = written.iter().map(known).collect();
        let unknown = known.iter().find(|(_, is)| is.is_none()).map(|(member, _)| *member);
        outdated = known.into_iter().filter(|(_, is)| *is == Some(true)).map(|(member, _)| member).collect();
        let verdict = match (hopeless(&world.observer.now(), &world.desired, &[]), unknown) {
            (Some(failure), _) => Verdict::Fail(failure),
            (None, Some(member)) => {
                Verdict::wait(format!("{member} to have a pod, and Kubernetes to see its present template: not yet"))
            }
            (None, None) => Verdict::pass(""),
        };
        async { verdict }
    })
    .await?;
    Ok(outdated)
}

/// As [`outdated`], as far as is seen now.
#[must_use]
pub fn known_outdated(observed: &Observed) -> BTreeSet<Member> {
    let outdated = observed.members.iter().filter(|(_, view)| view.pod.outdated == Some(true));
    outdated.map(|(member, _)| *member).collect()
}

/// Waits until a node may leave.
///
/// # Errors
/// Others are not in order, and do not come to be.
pub async fn until_may_leave(cx: &StepCx<'_, World>, node: Member) -> Result<()> {
    let world = cx.world;
    let others: Vec<Member> = world.desired.members().filter(|member| *member != node).collect();
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let verdict = match (hopeless(&observed, &world.desired, &others), may_leave(&observed, &world.desired, node)) {
            (Some(failure), _) => Verdict::Fail(failure),
            (None, Ok(())) => Verdict::pass(""),
            (None, Err(why)) => Verdict::wait(format!("all others to be Synced before {node} goes: {why}")),
        };
        async { verdict }
    })
    .await
    .map(drop)
}

/// Which nodes were restarted, and which are left where the run pauses between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rolled {
    /// In the order in which they were.
    pub restarted: Vec<Member>,
    /// In the order in which they will be.
    pub left: Vec<Member>,
}

/// Restarts those of the `wanted` whose pods are outdated, each only while all others are in order, and waits for each
/// until it serves clients again. An interruption ends it between two nodes, and so does a wish to pause after one of
/// them.
///
/// # Errors
/// The lock was lost, a node does not come back, or the others are not in order.
pub async fn roll(cx: &StepCx<'_, World>, wanted: &[Member], pause: Option<Member>) -> Result<Rolled> {
    let world = cx.world;
    let outdated = outdated(cx).await?;
    let wanted = wanted.iter().copied().filter(|node| outdated.contains(node));
    let mut order = order(wanted, &serving(&world.observer.now()));
    let never = CancellationToken::new();
    for (done, node) in order.clone().iter().enumerate() {
        cx.check_cancelled()?;
        until_may_leave(cx, *node).await?;
        if done == 0 {
            until_others_serve(cx, *node).await?;
        }
        world.confirm_lock().await?;
        let begun = Instant::now();
        let transfer = replace(&cx.tidying(&never), *node).await?;
        let (done, all, seconds) = (done + 1, order.len(), begun.elapsed().as_secs_f32());
        cx.notice(Level::Info, format!("{node} serves again after {seconds:.1} s, with {transfer}; {done} of {all}"));
        if pause == Some(*node) {
            let left = order.split_off(done);
            return Ok(Rolled { restarted: order, left });
        }
    }
    Ok(Rolled { restarted: order, left: Vec::new() })
}

/// Waits until clients are led to all others: a run that was killed may have left one of them on its way back.
async fn until_others_serve(cx: &StepCx<'_, World>, node: Member) -> Result<()> {
    let world = cx.world;
    let others: Vec<Member> = world.desired.members().filter(|member| *member != node).collect();
    if others.is_empty() {
        return Ok(());
    }
    cx.wait(world.observer.changes(), LOOK, world.patience(), || serve(world, &others)).await.map(drop)
}

/// Waits until clients are led to this node.
///
/// # Errors
/// It does not serve, or a proxy does not lead there.
pub async fn until_serves(cx: &StepCx<'_, World>, node: Member) -> Result<()> {
    let world = cx.world;
    let nodes = [node];
    cx.wait(world.observer.changes(), LOOK, world.patience(), || serve(world, &nodes)).await.map(drop)
}

/// Deletes a node's pod and waits until the next one has everything and serves clients.
async fn replace(cx: &StepCx<'_, World>, node: Member) -> Result<Transfer> {
    let world = cx.world;
    let observed = world.observer.now();
    let others: Vec<Member> = serving(&observed).into_iter().filter(|member| *member != node).collect();
    let old = observed.members.get(&node).and_then(|view| view.pod.uid.clone());
    if let Some(uid) = &old {
        let namespace = Some(world.desired.namespace.clone());
        let name = world.desired.cluster.pod(node);
        let pod = Found { resource: ApiResource::erase::<Pod>(&()), namespace, name, uid: uid.clone() };
        remove::these(cx, vec![pod]).await?;
    }
    let expected = [others.as_slice(), &[node]].concat();
    let mut reach = None;
    cx.wait(world.observer.changes(), LOOK, world.patience(), || {
        let observed = world.observer.now();
        let verdict = is_back(world, &observed, node, old.as_deref(), &expected, &mut reach);
        async move {
            match verdict {
                Ok(()) => serve(world, &[node]).await,
                Err(verdict) => verdict,
            }
        }
    })
    .await?;
    let log = world.observer.now().members.get(&node).map(|view| view.log.clone()).unwrap_or_default();
    Ok(if log.donor.is_some() && !log.incremental { Transfer::Full } else { Transfer::Incremental })
}

/// Whether another pod of the node is one of the group, and has what the others had when it came.
fn is_back(
    world: &World,
    observed: &Observed,
    node: Member,
    old: Option<&str>,
    expected: &[Member],
    reach: &mut Option<u64>,
) -> Result<(), Verdict> {
    let Some(view) = observed.members.get(&node).filter(|view| view.pod.exists) else {
        return Err(Verdict::wait(format!("{node} to come back: no pod yet")));
    };
    if view.pod.uid.as_deref() == old || view.pod.leaving {
        return Err(Verdict::moving(format!("{node} to leave: its pod has not ended yet"), view.log.lines));
    }
    let all: Vec<Member> = world.desired.members().collect();
    judge(world, &all, None).or_else(|_| judge(world, expected, None))?;
    let committed = |view: &MemberView| view.status().and_then(|status| status.last_committed);
    let others = observed.members.iter().filter(|(member, _)| **member != node);
    let reach = *reach.get_or_insert_with(|| others.filter_map(|(_, view)| committed(view)).max().unwrap_or(0));
    match committed(view) {
        Some(has) if has >= reach => Ok(()),
        has => Err(Verdict::wait(format!("{node} to catch up: it has {} of {reach}", has.unwrap_or(0)))),
    }
}

/// Whether the own door of each of these says that it serves, and every proxy takes it for up.
async fn serve(world: &World, nodes: &[Member]) -> Verdict {
    let (connection, desired) = (&world.connection, &world.desired);
    for node in nodes {
        let pod = desired.cluster.pod(*node);
        match http::get(&connection.streams, &desired.namespace, &pod, HEALTH_PORT, "/ready", BEAT * 2).await {
            Ok((200, _)) => {}
            Ok((_, answer)) => return Verdict::wait(format!("{node} to serve: {}", answer.trim())),
            Err(failure) => return Verdict::wait(format!("{node} to serve: {failure}")),
        }
    }
    match proxies::lead_to(connection, desired, &world.observer.now(), nodes).await {
        Ok(()) => Verdict::pass(""),
        Err(why) => Verdict::wait(why),
    }
}
