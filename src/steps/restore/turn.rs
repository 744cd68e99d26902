//! Turning to the new data, with the old kept aside until all is well, and back.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture, try_join_all};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::engine::event::Level;
use crate::engine::{Finished, Step, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::errors::explain;
use crate::kube::exec::{Place, exec};
use crate::manifests::Object;
use crate::manifests::member;
use crate::manifests::restore::{CONTAINER, Turn, turn};
use crate::names::{Member, UUID_ANNOTATION};
use crate::plans::course::Course;
use crate::steps::record::{mark_claims, write_spec};
use crate::steps::world::World;
use crate::steps::{inspect, job, preflight, purge, reader};
use crate::wsrep::volume::{Aside, Contents, Decision, decide};

use super::near;

/// Deleting a large database takes a while.
const REMOVAL_LIMIT: Duration = Duration::from_secs(600);

/// Turns the filled volumes to the new data.
pub struct Switch;

impl Step<World> for Switch {
    fn id(&self) -> &'static str {
        "switch"
    }

    fn title(&self) -> String {
        "let the new data take the place of the old, which is kept aside".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        switch(cx).boxed_local()
    }
}

async fn switch(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let filled = world.memory().restore.as_ref().map(|prepared| prepared.filled.clone());
    let filled = filled.unwrap_or_else(|| world.desired.members().collect());
    world.confirm_lock().await?;
    purge::nobody_uses_them(world).await?;
    let turns: Vec<(Member, Turn)> = world
        .desired
        .members()
        .map(|member| (member, if filled.contains(&member) { Turn::Switch } else { Turn::Clear }))
        .collect();
    turn_all(cx, &turns).await?;
    stand(cx, filled.len() == 1 && turns.len() > 1).await?;
    Ok(Finished::changed("switched"))
}

async fn turn_all(cx: &StepCx<'_, World>, turns: &[(Member, Turn)]) -> Result<()> {
    let world = cx.world;
    reader::remove_jobs(cx).await?;
    let job =
        |(member, way): &(Member, Turn)| Object::of(&turn(&world.desired, *member, *way, near(world, *member, None)));
    let jobs: Vec<Object> = turns.iter().map(job).collect();
    world.apply(cx, &jobs).await?;
    let names: Vec<(String, String)> =
        turns.iter().map(|(member, _)| (world.desired.cluster.restore_job(*member), member.to_string())).collect();
    job::all(cx, &names, CONTAINER, "volumes to be switched", |_| "works".to_owned()).await?;
    reader::remove_jobs(cx).await
}

/// Looks at the volumes with other eyes than those of the Jobs, and decides by what is there which node starts first.
async fn stand(cx: &StepCx<'_, World>, alone: bool) -> Result<()> {
    let world = cx.world;
    let mut volumes = inspect::volumes(cx).await?;
    volumes.remove(&Member::Seed);
    // What is recorded at the claims was true of the data that is aside now.
    for evidence in volumes.values_mut() {
        evidence.recorded = None;
    }
    let with_data = volumes
        .iter()
        .filter(|(_, evidence)| !alone || matches!(evidence.contents, Contents::Database { .. }))
        .map(|(member, evidence)| (*member, evidence.clone()))
        .collect();
    let Decision::BringBack { from, position } = decide(&with_data) else {
        let table = preflight::table(world, &volumes);
        return Err(Failure::message(Kind::Step, format!("the volumes do not hold one cluster:\n\n{table}")));
    };
    write_spec(cx, |record| record.uuid = Some(position.uuid)).await?;
    mark_claims(cx, &world.desired.members().collect::<Vec<_>>(), position.uuid).await?;
    world.memory().course = Some(Course::BringBack { from, position, alone });
    Ok(())
}

/// Goes on where an earlier restore was broken off: volumes that are filled are switched, and the cluster is started.
pub struct Resume;

impl Step<World> for Resume {
    fn id(&self) -> &'static str {
        "switch"
    }

    fn title(&self) -> String {
        "go on with a restore that was broken off".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        resume(cx).boxed_local()
    }
}

async fn resume(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    purge::nobody_uses_them(world).await?;
    let volumes = inspect::volumes(cx).await?;
    let with = |aside: Aside| -> Vec<Member> {
        let nodes = volumes.iter().filter(|(member, evidence)| **member != Member::Seed && evidence.aside == aside);
        nodes.map(|(member, _)| *member).collect()
    };
    let (filled, kept) = (with(Aside::Filled), with(Aside::Kept));
    let count = world.desired.members().count();
    let has_data = |member: &Member| matches!(volumes[member].contents, Contents::Database { .. });
    // One that keeps old data and has none: its node was to get a state transfer.
    let alone = count > 1 && filled.len() + kept.iter().filter(|member| has_data(member)).count() == 1;
    if kept.is_empty() && filled.is_empty() {
        return Err(Failure::message(Kind::Preflight, "no restore was broken off: no volume keeps anything of one")
            .hint("begin one: galeractl restore --from latest"));
    }
    if kept.is_empty() && filled.len() < count && !alone {
        return Err(Failure::message(
            Kind::Preflight,
            format!("the restore was broken off while volumes were filled; only {} is complete", list(&filled)),
        )
        .hint("begin it again: galeractl restore --from …; what was on the volumes is as it was"));
    }
    let turns: Vec<(Member, Turn)> = world
        .desired
        .members()
        .filter(|member| !kept.contains(member))
        .map(|member| (member, if filled.contains(&member) { Turn::Switch } else { Turn::Clear }))
        .collect();
    if !turns.is_empty() {
        world.confirm_lock().await?;
        turn_all(cx, &turns).await?;
    }
    stand(cx, alone).await?;
    Ok(Finished::changed(format!("{count} volumes hold the new data")))
}

/// Brings back what was on the volumes before.
pub struct Undo;

impl Step<World> for Undo {
    fn id(&self) -> &'static str {
        "undo"
    }

    fn title(&self) -> String {
        "bring back what was on the volumes".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        undo(cx).boxed_local()
    }
}

async fn undo(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    purge::nobody_uses_them(world).await?;
    reader::remove_jobs(cx).await?;
    reader::close(cx).await?;
    let observed = world.observer.now();
    let bound = |member: &Member| {
        observed.claims.get(&world.desired.cluster.claim(*member)).is_some_and(|claim| claim.phase == "Bound")
    };
    let turns: Vec<(Member, Turn)> = world.desired.members().filter(bound).map(|member| (member, Turn::Undo)).collect();
    world.confirm_lock().await?;
    turn_all(cx, &turns).await?;
    let volumes = inspect::volumes(cx).await?;
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(world.connection.client.clone(), world.desired.namespace.as_str());
    for (member, evidence) in volumes.iter().filter(|(member, _)| **member != Member::Seed) {
        let uuid = match evidence.contents {
            Contents::Database { uuid, .. } => uuid,
            Contents::Missing => continue,
            _ => None,
        };
        let name = world.desired.cluster.claim(*member);
        let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: uuid.map(|uuid| uuid.to_string())}}});
        let patched = claims.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map_err(|error| explain(Kind::Step, format!("annotate persistentvolumeclaim/{name}"), error))?;
    }
    let table = preflight::table(world, &volumes);
    cx.notice(Level::Info, format!("the volumes are as they were:\n{table}"));
    Ok(Finished::changed(format!("{} volumes are as they were", turns.len())))
}

/// Removes what was kept aside, when the restored cluster has been found healthy.
pub struct Forget;

impl Step<World> for Forget {
    fn id(&self) -> &'static str {
        "rest"
    }

    fn title(&self) -> String {
        "remove what was kept aside".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        forget(cx).boxed_local()
    }
}

async fn forget(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    // Renamed first: what is half removed must never be brought back.
    let script =
        "cd /var/lib/mysql && if [ -e restore.old ]; then mv restore.old restore.gone; fi && rm -rf restore.gone";
    let removals = world.desired.members().map(|node| async move {
        let pod = world.desired.cluster.pod(node);
        let place = Place { namespace: &world.desired.namespace, pod: &pod, container: member::CONTAINER };
        let output = exec(&world.connection.streams, place, &["/bin/bash", "-c", script], None, REMOVAL_LIMIT).await?;
        if output.exit_code == 0 {
            return Ok(());
        }
        let why = output.stderr.trim().to_owned();
        Err(Failure::message(Kind::Step, format!("what was kept aside cannot be removed from {node}: {why}")))
    });
    try_join_all(removals).await?;
    Ok(Finished::changed("removed"))
}

/// Removes the pods and Jobs of a restore that did not come to its end.
pub struct Close;

impl Step<World> for Close {
    fn id(&self) -> &'static str {
        "close"
    }

    fn title(&self) -> String {
        "remove what was started".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        close(cx).boxed_local()
    }
}

async fn close(cx: &StepCx<'_, World>) -> Result<Finished> {
    reader::remove_jobs(cx).await?;
    reader::close(cx).await?;
    Ok(Finished::unchanged("nothing is left"))
}
