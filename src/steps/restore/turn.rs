//! Turning to the new data, with the old kept aside until all is well, and back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::json;

use crate::cluster::inspect::Volumes;
use crate::cluster::record::{remark_claims, replace_record};
use crate::cluster::volumes::{nobody_uses_them, table};
use crate::cluster::world::World;
use crate::cluster::{inspect, job, reader};
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::exec::{Place, exec};
use crate::kube::objects::Objects;
use crate::manifests::config::Record;
use crate::manifests::restore::{CONTAINER, Near, Turn, turn};
use crate::manifests::{Object, member, scripts};
use crate::names::{Member, UUID_ANNOTATION};
use crate::plans::course::Course;
use crate::wsrep::Uuid;
use crate::wsrep::decision::{Decision, Known, decide};
use crate::wsrep::volume::{Aside, Contents};

use super::{Filled, expected, near};

/// Turns the filled volumes to the new data.
pub const SWITCH: Named = Named::new("switch", "let the new data take the place of the old, which is kept aside");

/// Goes on where an earlier restore was broken off: volumes that are filled are switched, and the cluster is started.
pub const RESUME: Named = Named::new("switch", "go on with a restore that was broken off");

/// Brings back what was on the volumes before.
pub const UNDO: Named = Named::new("undo", "bring back what was on the volumes");

/// Removes what was kept aside, when the restored cluster has been found healthy.
pub const FORGET: Named = Named::new("rest", "remove what was kept aside");

/// Deleting a large database takes a while.
const REMOVAL_LIMIT: Duration = Duration::from_secs(600);

/// Turns the filled volumes to the new data, and clears the others. Answers with the way to start the nodes, and what is
/// on record then.
///
/// # Errors
/// The cluster is not down, a volume holds something else by now, or the volumes do not hold one cluster.
pub async fn switch(cx: &StepCx<'_, World>, filled: &Filled) -> Result<Finished<(Course, Record)>> {
    let world = cx.world;
    let turns = all_turns(&world.desired, &filled.members);
    turn_all(cx, &filled.volumes, &turns).await?;
    let stands = stand(cx, None, filled.members.len() == 1 && turns.len() > 1).await?;
    Ok(Finished::changed("switched").with(stands))
}

/// How each volume is turned, where those of `filled` have the new data beside the old.
pub(super) fn all_turns(desired: &Desired, filled: &[Member]) -> Vec<(Member, Turn)> {
    let turn = |member| (member, if filled.contains(&member) { Turn::Switch } else { Turn::Clear });
    desired.members().map(turn).collect()
}

/// The Jobs that turn volumes; `near` says what a volume must be near.
pub(super) fn jobs(
    desired: &Desired,
    volumes: &Volumes,
    turns: &[(Member, Turn)],
    near: impl Fn(Member) -> Option<Near>,
) -> Vec<Object> {
    let job = |(member, way): &(Member, Turn)| {
        Object::of(&turn(desired, *member, *way, &expected(volumes.get(member)), near(*member)))
    };
    turns.iter().map(job).collect()
}

/// Turns volumes that hold what was found on them last.
async fn turn_all(cx: &StepCx<'_, World>, volumes: &Volumes, turns: &[(Member, Turn)]) -> Result<()> {
    let world = cx.world;
    world.confirm_lock().await?;
    nobody_uses_them(world).await?;
    reader::remove_jobs(cx).await?;
    world.apply(cx, &jobs(&world.desired, volumes, turns, |member| near(world, member, None))).await?;
    let names: Vec<(String, String)> =
        turns.iter().map(|(member, _)| (world.desired.cluster.restore_job(*member), member.to_string())).collect();
    job::all(cx, &names, CONTAINER, "volumes to be switched", |_| "works".to_owned()).await?;
    reader::remove_jobs(cx).await
}

/// Looks at the volumes with other eyes than those of the Jobs, and decides by what is there which node starts first.
async fn stand(cx: &StepCx<'_, World>, record: Option<&Record>, alone: bool) -> Result<(Course, Record)> {
    let world = cx.world;
    let mut volumes = inspect::volumes(cx, record).await?;
    volumes.remove(&Member::Seed);
    // What is recorded at the claims was true of the data that is aside now.
    for evidence in volumes.values_mut() {
        evidence.recorded = None;
    }
    let (with_data, others): (BTreeMap<_, _>, BTreeMap<_, _>) = volumes
        .clone()
        .into_iter()
        .partition(|(_, evidence)| !alone || matches!(evidence.contents, Contents::Database { .. }));
    let group = world.desired.cluster.group(&world.desired.namespace);
    let known = Known { group: &group, formed: false, recorded: None };
    let Decision::BringBack { from, position, .. } = decide(&with_data, known) else {
        let table = table(world, &volumes);
        return Err(Failure::message(Kind::Step, format!("the volumes do not hold one cluster:\n\n{table}")));
    };
    let record = replace_record(cx, Record { formed: true, uuid: Some(position.uuid) }).await?;
    remark_claims(cx, &world.desired.members().collect::<Vec<_>>(), position.uuid).await?;
    Ok((Course::BringBack { from, position, without: others.into_keys().collect() }, record))
}

/// Looks where an earlier restore was broken off. Nothing is changed. `forward` is for volumes that are to be turned to the
/// new data; otherwise they go back to the old.
///
/// # Errors
/// The cluster is not down, no restore was broken off, or there is no way forward.
pub async fn trace(cx: &StepCx<'_, World>, record: &Record, forward: bool) -> Result<Volumes> {
    let world = cx.world;
    world.take_lock(cx).await?;
    nobody_uses_them(world).await?;
    reader::remove_jobs(cx).await?;
    reader::close(cx).await?;
    let mut volumes = inspect::volumes(cx, Some(record)).await?;
    volumes.remove(&Member::Seed);
    if volumes.values().all(|evidence| evidence.aside == Aside::Nothing) {
        return Err(Failure::message(Kind::Preflight, "no restore was broken off: no volume keeps anything of one")
            .hint("begin one: galeractl restore --from latest"));
    }
    if forward {
        resumable(world, &volumes)?;
    }
    Ok(volumes)
}

/// Nodes whose volumes have something of this kind beside their data.
fn beside(volumes: &Volumes, aside: Aside) -> Vec<Member> {
    volumes.iter().filter(|(_, evidence)| evidence.aside == aside).map(|(member, _)| *member).collect()
}

/// Whether one volume was filled alone, and the other nodes were to get a state transfer from it. One that keeps old
/// data and has none is such a node.
fn is_alone(volumes: &Volumes) -> bool {
    let has_data = |member: &Member| matches!(volumes[member].contents, Contents::Database { .. });
    let kept = beside(volumes, Aside::Kept);
    volumes.len() > 1
        && beside(volumes, Aside::Filled).len() + kept.iter().filter(|member| has_data(member)).count() == 1
}

fn resumable(world: &World, volumes: &Volumes) -> Result<()> {
    let (filled, kept) = (beside(volumes, Aside::Filled), beside(volumes, Aside::Kept));
    if kept.is_empty() && filled.len() < volumes.len() && !is_alone(volumes) {
        let complete = if filled.is_empty() { "no volume".to_owned() } else { format!("only {}", list(&filled)) };
        return Err(Failure::message(
            Kind::Preflight,
            format!("the restore was broken off while volumes were filled; {complete} is complete"),
        )
        .hint("begin it again: galeractl restore --from latest; what was on the volumes is as it was"));
    }
    let moved: Vec<Member> = filled.into_iter().filter(|member| volumes[member].has_moved_on()).collect();
    if moved.is_empty() {
        return Ok(());
    }
    Err(Failure::message(
        Kind::Preflight,
        format!(
            "the cluster has moved on since the restore was broken off: what was prepared for {} would take the place of \
             newer data\n\n{}",
            list(&moved),
            table(world, volumes)
        ),
    )
    .hint("begin it again: galeractl restore --from latest")
    .hint("or remove what was prepared, and keep the data: galeractl restore --undo"))
}

/// As [`all_turns`], for volumes that are not switched yet.
pub(super) fn turns_left(desired: &Desired, volumes: &Volumes) -> Vec<(Member, Turn)> {
    let kept = beside(volumes, Aside::Kept);
    let mut turns = all_turns(desired, &beside(volumes, Aside::Filled));
    turns.retain(|(member, _)| !kept.contains(member));
    turns
}

/// Switches the volumes that are filled and not switched yet; `volumes` are what [`trace`] has found. Answers as [`switch`].
///
/// # Errors
/// As [`switch`].
pub async fn resume(cx: &StepCx<'_, World>, volumes: &Volumes, record: &Record) -> Result<Finished<(Course, Record)>> {
    let world = cx.world;
    let turns = turns_left(&world.desired, volumes);
    if !turns.is_empty() {
        turn_all(cx, volumes, &turns).await?;
    }
    let stands = stand(cx, Some(record), is_alone(volumes)).await?;
    Ok(Finished::changed(format!("{} volumes hold the new data", volumes.len())).with(stands))
}

/// How each volume goes back to what was on it before.
pub(super) fn turns_back(desired: &Desired, volumes: &Volumes) -> Vec<(Member, Turn)> {
    let turn = |member| match volumes.get(&member)?.aside {
        Aside::Nothing => None,
        Aside::Kept => Some((member, Turn::Undo)),
        Aside::Filling | Aside::Filled => Some((member, Turn::Drop)),
    };
    desired.members().filter_map(turn).collect()
}

/// Brings back what was on the volumes before; `known` is what they hold, as far as nothing has changed it since.
///
/// # Errors
/// The cluster is not down, or a volume holds something else by now.
pub async fn undo(cx: &StepCx<'_, World>, known: Option<&Volumes>, record: &Record) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let volumes = match known {
        Some(known) => known.clone(),
        None => inspect::volumes(cx, Some(record)).await?,
    };
    let turns = turns_back(&world.desired, &volumes);
    turn_all(cx, &volumes, &turns).await?;
    let volumes = inspect::volumes(cx, Some(record)).await?;
    record_what_is_back(cx, &volumes).await?;
    let table = table(world, &volumes);
    cx.notice(Level::Info, format!("the volumes are as they were:\n{table}"));
    Ok(Finished::changed(format!("{} volumes are as they were", turns.len())))
}

/// The history that is on the volumes again is the one on record again.
async fn record_what_is_back(cx: &StepCx<'_, World>, volumes: &Volumes) -> Result<()> {
    let world = cx.world;
    let nodes = || volumes.iter().filter(|(member, _)| **member != Member::Seed);
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    for (member, evidence) in nodes().filter(|(_, evidence)| evidence.contents != Contents::Missing) {
        let name = world.desired.cluster.claim(*member);
        let uuid = evidence.history.map(|uuid| uuid.to_string());
        let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: uuid}}});
        claims.merge(&name, "annotate", &patch, Kind::Step).await?;
    }
    replace_record(cx, of_histories(nodes().filter_map(|(_, evidence)| evidence.history))).await.map(drop)
}

/// What is on record of volumes with these histories: only one can be that of the cluster.
pub(super) fn of_histories(histories: impl Iterator<Item = Uuid>) -> Record {
    let histories: BTreeSet<Uuid> = histories.collect();
    let uuid = histories.first().copied().filter(|_| histories.len() == 1);
    Record { formed: uuid.is_some(), uuid }
}

/// Removes what was kept aside. There is no way back after it.
///
/// # Errors
/// The lock was lost, or a node cannot remove it.
pub async fn forget(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    // As the start scripts have seen it: what was kept aside is gone for good after this.
    let observed = world.observer.now();
    let removals = world.desired.members().map(|node| {
        let kept =
            observed.members.get(&node).and_then(|view| view.log.volume.as_ref()?.part("kept").map(str::to_owned));
        async move {
            let Some(kept) = kept else { return Ok(()) };
            let pod = world.desired.cluster.pod(node);
            let place = Place { namespace: &world.desired.namespace, pod: &pod, container: member::CONTAINER };
            let script = format!("{}/forget.sh", scripts::PLACE);
            let argv = ["/bin/bash", script.as_str(), kept.as_str()];
            let output = exec(&world.connection.streams, place, &argv, None, REMOVAL_LIMIT).await?;
            if output.exit_code == 0 {
                return Ok(());
            }
            let why = output.stderr.trim().to_owned();
            Err(Failure::message(Kind::Step, format!("what was kept aside cannot be removed from {node}: {why}")))
        }
    });
    try_join_all(removals).await?;
    Ok(Finished::changed("removed"))
}

/// Removes the pods and Jobs of a restore that did not come to its end.
///
/// # Errors
/// The API server refuses.
pub async fn close(cx: &StepCx<'_, World>) -> Result<()> {
    reader::remove_jobs(cx).await?;
    reader::close(cx).await
}
