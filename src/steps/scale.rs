//! More nodes, or fewer, while the cluster runs.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::core::{ApiResource, Resource};
use tokio_util::sync::CancellationToken;

use crate::cluster::nodes::common_view;
use crate::cluster::record::{self, Kept, mark_left, write_record};
use crate::cluster::world::World;
use crate::cluster::{adopt, certificates, remove};
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::delete::Found;
use crate::manifests::Object;
use crate::manifests::config::{Record, record_map, spec_map};
use crate::names::Member;
use crate::observe::objects::claim_owner;

/// Looks whether nodes may leave.
pub const LOOK: Named = Named::new("preflight", "look before any node leaves");

/// Every member has to know of the new ones before these ask it anything.
pub const RECORD: Named = Named::new("record", "write down who is to be a member");

/// One node after the other, the highest first.
pub const LEAVE: Named = Named::new("leave", "let the highest nodes leave one after the other");

/// What was theirs alone.
pub const REST: Named = Named::new("rest", "remove what the nodes that have left need no more");

/// What the settings say, and what is recorded, of a cluster of this size.
#[must_use]
pub fn maps(desired: &Desired, nodes: u32, record: &Record) -> Vec<Object> {
    let desired = Desired { nodes, ..desired.clone() };
    vec![Object::of(&spec_map(&desired)), Object::of(&record_map(&desired, record))]
}

/// Writes the new members down before their pods exist, for pods see changes of what they have mounted late.
///
/// # Errors
/// The lock was lost, or the API server refuses.
pub async fn write_down(cx: &StepCx<'_, World>, before: &Record) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let changes = world.changes();
    write_record(cx, before, before.clone()).await?;
    world.apply(cx, &[Object::of(&spec_map(&world.desired))]).await?;
    let nodes: Vec<Member> = world.desired.members().collect();
    mark_left(cx, &nodes, false).await?;
    Ok(Finished::which(world.changes() > changes, format!("{} members", nodes.len())))
}

fn kind<K: Resource<DynamicType = ()>>() -> [ApiResource; 1] {
    [ApiResource::erase::<K>(&())]
}

/// Nodes beyond the wanted number that run, the highest first.
#[must_use]
pub fn surplus(world: &World) -> Vec<Member> {
    let snapshot = world.observer.live().snapshot();
    let cluster = &world.desired.cluster;
    let observed = world.observer.now();
    let is_there = |node: &Member| {
        let has_pod = observed.members.get(node).is_some_and(|view| view.pod.exists);
        has_pod || snapshot.statefulsets.contains_key(&cluster.member(*node))
    };
    beyond(&world.desired).rev().filter(is_there).collect()
}

/// Members that are to stay for now: all but those of the surplus that an earlier run has sent away already.
fn staying(world: &World) -> Vec<Member> {
    let (snapshot, observed) = (world.observer.live().snapshot(), world.observer.now());
    let stays = |node: &Member| {
        let has_set = snapshot.statefulsets.contains_key(&world.desired.cluster.member(*node));
        has_set && !observed.members.get(node).is_some_and(|view| view.pod.leaving)
    };
    world.desired.members().chain(surplus(world).into_iter().rev().filter(stays)).collect()
}

/// All nodes that a cluster can have beyond the wanted number.
fn beyond(desired: &Desired) -> impl DoubleEndedIterator<Item = Member> + use<> {
    const MOST: u32 = 99;
    (desired.nodes + 1..=MOST).map(Member::Node)
}

/// As [`look`], under the lock.
///
/// # Errors
/// As [`look`], or another run holds it.
pub async fn run_look(cx: &StepCx<'_, World>) -> Result<Finished<(Record, Kept)>> {
    cx.world.take_lock(cx).await?;
    let found = look(cx).await?;
    let leaving = surplus(cx.world);
    let detail = if leaving.is_empty() {
        "no node is left to leave".to_owned()
    } else {
        format!("to leave: {}", list(&leaving))
    };
    Ok(Finished::unchanged(detail).with(found))
}

/// What the run asks before a node leaves.
///
/// # Errors
/// The nodes are not in order, or the agent is beside one that is to leave.
pub async fn look(cx: &StepCx<'_, World>) -> Result<(Record, Kept)> {
    let world = cx.world;
    let desired = &world.desired;
    if let Some(backup) = desired.backup.as_ref().filter(|backup| backup.node > desired.nodes) {
        let why = format!("the backup agent runs beside node{}, which is to leave", backup.node);
        return Err(
            Failure::message(Kind::Preflight, why).hint("let it run beside another node: galeractl backup move --to 1")
        );
    }
    let client = &world.connection.client;
    let recorded = record::recorded(client, &desired.namespace, &desired.cluster).await?.unwrap_or_default();
    common_view(cx, &staying(world), None).await.map_err(|failure| match failure.kind {
        Kind::Step => Failure { kind: Kind::Preflight, ..failure }
            .hint("no node leaves while another is not in order; see what is wrong: galeractl verify"),
        _ => failure,
    })?;
    Ok((recorded, record::keys(client, desired).await?))
}

/// Lets the highest nodes leave, each only while all are in order, and each written down when the others have confirmed
/// it. An interruption ends it between two nodes.
///
/// # Errors
/// The lock was lost, a node does not end, or those that are left do not agree.
pub async fn leave(cx: &StepCx<'_, World>, record: &Record) -> Result<Finished> {
    let world = cx.world;
    let never = CancellationToken::new();
    let leaving = surplus(world);
    let mut members = staying(world);
    for node in &leaving {
        cx.check_cancelled()?;
        if members.contains(node) {
            common_view(cx, &members, None).await?;
        }
        world.confirm_lock().await?;
        members.retain(|member| member != node);
        one_leaves(&cx.tidying(&never), *node, &members, record).await?;
    }
    // A run that was killed between a node's end and its being written down.
    world.apply(cx, &maps(&world.desired, world.desired.nodes, record)).await?;
    Ok(match leaving.len() {
        0 => Finished::unchanged("none was left to leave"),
        _ => Finished::changed(format!("{} left, {} members stay", list(&leaving), members.len())),
    })
}

async fn one_leaves(cx: &StepCx<'_, World>, node: Member, stay: &[Member], record: &Record) -> Result<()> {
    let world = cx.world;
    let cluster = &world.desired.cluster;
    let (set, pod) = (cluster.member(node), cluster.pod(node));
    remove::objects(cx, &kind::<StatefulSet>(), |name| name == set).await?;
    remove::objects(cx, &kind::<Pod>(), |name| name == pod).await?;
    remove::gone(cx, &kind::<Pod>(), &format!("{node} to leave"), |name| name == pod).await?;
    let view = common_view(cx, stay, None).await?;
    mark_left(cx, &[node], true).await?;
    let size = u32::try_from(stay.len()).unwrap_or(world.desired.nodes);
    world.apply(cx, &maps(&world.desired, size, record)).await?;
    let claim = cluster.claim(node);
    cx.notice(
        Level::Info,
        format!("{node} has left, size {}; its data is on persistentvolumeclaim/{claim}", view.size),
    );
    Ok(())
}

/// What was theirs alone: addresses, and the claims where somebody has asked for it.
///
/// # Errors
/// The API server refuses to list it.
pub async fn theirs(world: &World, volumes: bool) -> Result<Vec<Found>> {
    let desired = &world.desired;
    let services: Vec<String> = beyond(desired).map(|node| desired.cluster.member(node)).collect();
    let mut found = remove::found(world, &kind::<Service>(), |name| services.iter().any(|known| known == name)).await?;
    if volumes {
        let of_those = |name: &str| is_volume_beyond(desired, name);
        found.extend(remove::found(world, &kind::<PersistentVolumeClaim>(), of_those).await?);
    }
    Ok(found)
}

/// Whether a claim is that of a node beyond the wanted number.
fn is_volume_beyond(desired: &Desired, claim: &str) -> bool {
    claim_owner(desired, claim).is_some_and(|owner| beyond(desired).any(|node| node == owner))
}

/// Claims of nodes that have left.
#[must_use]
pub fn volumes_of_those_who_left(world: &World) -> Vec<String> {
    let observed = world.observer.now();
    let claims = beyond(&world.desired).map(|node| world.desired.cluster.claim(node));
    claims.filter(|name| observed.claims.contains_key(name)).collect()
}

/// Removes what the nodes that have left need no more; their volumes only on explicit wish.
///
/// # Errors
/// The lock was lost, or the API server refuses.
pub async fn remove_rest(cx: &StepCx<'_, World>, volumes: bool) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let mut count = remove::these(cx, theirs(world, volumes).await?).await?.len();
    if volumes {
        let of_those = |name: &str| is_volume_beyond(&world.desired, name);
        remove::gone(cx, &kind::<PersistentVolumeClaim>(), "the volumes to be released", of_those).await?;
    }
    for node in beyond(&world.desired).take_while(|_| world.desired.tls.is_some()) {
        count += certificates::forget(cx, node).await?;
    }
    for node in world.desired.iscsi.keys().filter(|_| volumes) {
        if beyond(&world.desired).any(|beyond| beyond == *node) {
            count += adopt::forget(cx, &world.desired.cluster.volume(*node)).await?;
        }
    }
    let kept = volumes_of_those_who_left(world);
    let kept = if volumes || kept.is_empty() { String::new() } else { format!("; kept: {}", kept.join(", ")) };
    Ok(match count {
        0 => Finished::unchanged(format!("nothing was left{kept}")),
        _ => Finished::changed(format!("{count} objects removed{kept}")),
    })
}
