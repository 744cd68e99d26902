//! Letting another node's pod have the backup agent: both pods are restarted, one after the other.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::core::ApiResource;

use crate::cluster::nodes::{common_view, objects};
use crate::cluster::world::{BEAT, World};
use crate::cluster::{reader, remove};
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::delete::Found;
use crate::kube::objects::{Objects, Seen};
use crate::names::Member;
use crate::plans::stage::Stage;

const STEP: &str = "move";

/// The step, for the node that gets the agent.
#[must_use]
pub fn step(to: Member) -> Named {
    Named::titled(STEP, format!("let the agent run beside {to}"))
}

/// Which nodes are restarted, and which have to be there when that begins.
#[derive(Debug, Clone)]
pub struct Way {
    there: Vec<Member>,
    /// The one that has the agent, where it runs and is another.
    old: Option<Member>,
    to: Member,
}

impl Way {
    /// Nodes that are restarted, in this order.
    fn restarted(&self) -> impl Iterator<Item = Member> {
        self.old.into_iter().chain([self.to])
    }
}

/// What the run asks before it changes anything.
///
/// # Errors
/// The nodes do not agree, or the volumes are on different hosts.
pub async fn look(cx: &StepCx<'_, World>, from: Member, to: Member) -> Result<Way> {
    let world = cx.world;
    // A restart costs a member for a moment, so all the others have to be there. The old node may be the one that is not.
    let nodes: Vec<Member> = world.desired.members().collect();
    let is_up = world.observer.now().members.get(&from).is_some_and(|view| view.pod.running);
    let old = (from != to && is_up).then_some(from);
    let all_are_there = old.is_some() || from == to;
    let there: Vec<Member> = nodes.into_iter().filter(|node| all_are_there || *node != from).collect();
    common_view(cx, &there, None).await?;
    reachable(world, to).await?;
    Ok(Way { there, old, to })
}

/// What the step puts right, beside the pods that it restarts.
#[must_use]
pub fn stage(desired: &Desired) -> Stage {
    Stage::makes(STEP, objects(desired, false))
}

/// Pods that the step removes, to come again.
///
/// # Errors
/// The API server refuses to list them.
pub async fn pods(world: &World, way: &Way) -> Result<Vec<Found>> {
    let names: Vec<String> = way.restarted().map(|node| world.desired.cluster.pod(node)).collect();
    remove::found(world, &kind(), |found| names.iter().any(|name| name == found)).await
}

/// Lets the agent run beside another node than the one it was beside. The world's desired state names the new node
/// already.
///
/// # Errors
/// As [`look`], or a pod does not come back.
pub async fn relocate(cx: &StepCx<'_, World>, from: Member, to: Member) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let way = look(cx, from, to).await?;
    world.apply(cx, &stage(&world.desired).objects).await?;
    for node in way.restarted() {
        restart(cx, node, &way.there).await?;
    }
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        match reader::agent(&world.desired, &world.observer.live().snapshot()) {
            Some(_) => Verdict::pass(""),
            None => Verdict::wait(format!("the agent beside {to}: its container starts")),
        }
    })
    .await?;
    Ok(Finished::changed(format!("the agent runs beside {to}")))
}

/// A volume that lives on one host can be used by pods of that host only, and a node's own volume may be on another.
async fn reachable(world: &World, to: Member) -> Result<()> {
    let cluster = &world.desired.cluster;
    let (backups, data) = (hosts(world, &cluster.backup_claim()).await?, hosts(world, &cluster.claim(to)).await?);
    match (backups, data) {
        (Some(backups), Some(data)) if backups != data => Err(Failure::message(
            Kind::Preflight,
            format!("the backup volume can be used only where {backups}, and the volume of {to} only where {data}"),
        )
        .hint("use a backup volume that every host can mount, such as an NFS share")),
        _ => Ok(()),
    }
}

/// Where the volume of a claim can be used; `None` for everywhere.
async fn hosts(world: &World, claim: &str) -> Result<Option<String>> {
    let client = &world.connection.client;
    let claims: Objects<PersistentVolumeClaim> = Objects::within(client, &world.desired.namespace);
    let found = claims.get(claim, Kind::Preflight).await?;
    let missing = || Failure::message(Kind::Preflight, format!("persistentvolumeclaim/{claim} does not exist"));
    let Some(volume) = found.ok_or_else(missing)?.spec.and_then(|spec| spec.volume_name) else {
        return Ok(None);
    };
    let volumes: Objects<PersistentVolume> = Objects::everywhere(client);
    let volume = match volumes.look(&volume, Kind::Preflight).await? {
        Seen::There(volume) => volume,
        // Who may not look at volumes finds out when the pod is placed.
        Seen::Hidden => return Ok(None),
        Seen::Missing => {
            let why = format!("persistentvolume/{volume} of persistentvolumeclaim/{claim} does not exist");
            return Err(Failure::message(Kind::Preflight, why));
        }
    };
    let required = volume.spec.and_then(|spec| spec.node_affinity?.required);
    let expressions = required.into_iter().flat_map(|selector| selector.node_selector_terms);
    let words: Vec<String> = expressions
        .flat_map(|term| term.match_expressions.unwrap_or_default())
        .map(|wanted| format!("{} is {}", wanted.key, wanted.values.unwrap_or_default().join(" or ")))
        .collect();
    Ok((!words.is_empty()).then(|| words.join(" and ")))
}

fn kind() -> [ApiResource; 1] {
    [ApiResource::erase::<Pod>(&())]
}

/// Deletes a node's pod and waits until the new one is Synced with the others.
async fn restart(cx: &StepCx<'_, World>, node: Member, all: &[Member]) -> Result<()> {
    let world = cx.world;
    world.confirm_lock().await?;
    let name = world.desired.cluster.pod(node);
    let old = world.observer.now().members.get(&node).and_then(|view| view.pod.uid.clone());
    remove::objects(cx, &kind(), |found| found == name).await?;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let now = world.observer.now().members.get(&node).and_then(|view| view.pod.uid.clone());
        if now.is_some() && now != old {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("another pod of {node}: none yet"))
        }
    })
    .await?;
    common_view(cx, all, None).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_nodes_are_put_right_and_the_old_node_is_restarted_first() {
        let stage = stage(&crate::desired::tests::desired("c", 1));
        let names: Vec<String> = stage.objects.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "configmap/c-galera-config",
                "configmap/c-galera-spec",
                "service/c-galera-node1",
                "statefulset/c-galera-node1",
                "poddisruptionbudget/c-galera-nodes",
            ]
        );
        let way = |old| Way { there: Vec::new(), old, to: Member::Node(1) };
        assert_eq!(way(Some(Member::Node(3))).restarted().collect::<Vec<_>>(), [Member::Node(3), Member::Node(1)]);
        assert_eq!(way(None).restarted().collect::<Vec<_>>(), [Member::Node(1)]);
    }
}
