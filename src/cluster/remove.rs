//! Removing things, and waiting until they are seen to be gone.

use std::time::Duration;

use kube::core::ApiResource;
use tokio::time::Instant;

use crate::engine::event::Change;
use crate::engine::{StepCx, Verdict};
use crate::error::Result;
use crate::kube::delete::{Found, delete, owned};

use super::world::World;

/// Between two looks whether something is gone.
const LOOK: Duration = Duration::from_millis(200);
/// What a watch shows is asked for all the same after this time: a watch may be broken.
const DOUBT: Duration = Duration::from_secs(1);

/// Deletes those of the cluster's own objects of these kinds that `which` picks by name, and tells of each.
///
/// # Errors
/// The API server refuses.
pub async fn objects(
    cx: &StepCx<'_, World>,
    kinds: &[ApiResource],
    which: impl Fn(&str) -> bool,
) -> Result<Vec<Found>> {
    let deleted = helpers(cx, kinds, which).await?;
    for found in &deleted {
        cx.world.tell(cx, &found.display(), Change::Deleted);
    }
    Ok(deleted)
}

/// As [`objects`], for pods that were only made to look: nothing of the cluster changes, and nobody is told.
///
/// # Errors
/// The API server refuses.
pub async fn helpers(
    cx: &StepCx<'_, World>,
    kinds: &[ApiResource],
    which: impl Fn(&str) -> bool,
) -> Result<Vec<Found>> {
    let world = cx.world;
    let all = owned(&world.connection.client, &world.desired.namespace, &world.desired.cluster, kinds).await?;
    let mut deleted = Vec::new();
    for found in all.into_iter().filter(|found| which(&found.name)) {
        delete(&world.connection.client, &found, None).await?;
        deleted.push(found);
    }
    Ok(deleted)
}

/// Waits until none of these kinds with such a name is left.
///
/// # Errors
/// They do not go, or the API server refuses to list them.
pub async fn gone(
    cx: &StepCx<'_, World>,
    kinds: &[ApiResource],
    what: &str,
    which: impl Fn(&str) -> bool + Send + Sync,
) -> Result<()> {
    let world = cx.world;
    let (client, desired) = (&world.connection.client, &world.desired);
    let which = &which;
    let mut asked = Instant::now();
    cx.wait(world.observer.changes(), LOOK, world.patience(), || {
        let seen = pods(world, kinds, which);
        let waits = (!seen.is_empty() && asked.elapsed() < DOUBT).then(|| format!("{what}: {}", seen.join(", ")));
        if waits.is_none() {
            asked = Instant::now();
        }
        async move {
            if let Some(waits) = waits {
                return Verdict::wait(waits);
            }
            match owned(client, &desired.namespace, &desired.cluster, kinds).await {
                Ok(left) => {
                    let left: Vec<String> =
                        left.iter().filter(|found| which(&found.name)).map(Found::display).collect();
                    if left.is_empty() {
                        Verdict::pass("")
                    } else {
                        Verdict::wait(format!("{what}: {}", left.join(", ")))
                    }
                }
                Err(failure) => Verdict::wait(format!("{what}: {failure}")),
            }
        }
    })
    .await
    .map(drop)
}

/// Those of the pods, where they are meant, that the watch still shows.
fn pods(world: &World, kinds: &[ApiResource], which: impl Fn(&str) -> bool) -> Vec<String> {
    if !kinds.iter().any(|kind| kind.kind == "Pod") {
        return Vec::new();
    }
    let snapshot = world.observer.live().snapshot();
    snapshot.pods.keys().filter(|name| which(name)).map(|name| format!("pod/{name}")).collect()
}
