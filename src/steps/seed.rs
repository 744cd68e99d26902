//! Step 2: the seed bootstraps, while everything else is created and waits.

use futures::future::{FutureExt, LocalBoxFuture};

use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::Result;
use crate::gates::hopeless::hopeless;
use crate::manifests::{self, Object, config};
use crate::names::Member;
use crate::plans::course::Course;
use crate::wsrep::Uuid;

use super::record::{keep_secret, mark_claims, write_spec};
use super::world::{BEAT, World};

/// The step.
pub struct Seed;

impl Step<World> for Seed {
    fn id(&self) -> &'static str {
        "seed"
    }

    fn title(&self) -> String {
        "bootstrap the cluster on a temporary seed".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        run(cx).boxed_local()
    }
}

async fn run(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    match world.course() {
        Course::Keep => return Ok(Finished::skipped("the cluster is formed; no seed is needed")),
        Course::BringBack { from, .. } => {
            return Ok(Finished::skipped(format!("the volumes hold the cluster; {from} starts first")));
        }
        Course::Form => {}
    }
    keep_secret(cx).await?;
    write_spec(cx, |_| ()).await?;
    world.confirm_lock().await?;
    create(cx).await?;
    let uuid = primary(cx).await?;
    // The proxy's pods start while the nodes join; earlier they would only take time from the seed.
    world.apply(cx, &manifests::proxy(&world.desired)).await?;
    write_spec(cx, |record| record.uuid = Some(uuid)).await?;
    mark_claims(cx, &[Member::Seed], uuid).await?;
    Ok(Finished::changed(format!("Primary, uuid {uuid}")))
}

/// Creates the seed first and the nodes right after: scheduling, volumes and image pulls overlap with the seed's start,
/// and the nodes wait inside their containers.
async fn create(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    let seed_exists = world.observer.now().members.get(&Member::Seed).is_some_and(|view| view.pod.exists);
    let formed_nodes = world.observer.now().members.keys().any(|member| *member != Member::Seed);
    world.apply(cx, &[Object::of(&config::config_map(desired))]).await?;
    // A seed that is gone while nodes are there has done its work; it must not come again.
    if seed_exists || !(formed_nodes && world.memory().record.uuid.is_some()) {
        world.apply(cx, &manifests::seed(desired)).await?;
    }
    world.apply(cx, &manifests::nodes(desired)).await
}

/// Waits until the seed is a Primary component of its own history.
async fn primary(cx: &StepCx<'_, World>) -> Result<Uuid> {
    let world = cx.world;
    let found = cx
        .wait(world.observer.changes(), BEAT, world.patience(), || async {
            let observed = world.observer.now();
            if let Some(failure) = hopeless(&observed, &world.desired, &[Member::Seed]) {
                return Verdict::Fail(failure);
            }
            let Some(seed) = observed.members.get(&Member::Seed) else {
                return Verdict::wait("seed: its pod is created");
            };
            match seed.status() {
                Some(status) if status.is_synced() => Verdict::pass(status.uuid.to_string()),
                _ => Verdict::moving(format!("seed: {}", seed.phrase()), seed.log.lines),
            }
        })
        .await?;
    found.parse().map_err(|error| crate::error::Failure::new(crate::error::Kind::Bug, error))
}
