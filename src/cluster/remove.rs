//! Removing things, and waiting until they are seen to be gone.

use std::time::Duration;

use kube::core::ApiResource;
use tokio::time::Instant;

use crate::desired::Desired;
use crate::engine::event::Change;
use crate::engine::{StepCx, Verdict};
use crate::error::Result;
use crate::kube::delete::{Found, delete, owned};
use crate::manifests::tls::secrets;

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
    these(cx, found(cx.world, kinds, which).await?).await
}

/// The cluster's own objects of these kinds that `which` picks by name.
///
/// # Errors
/// The API server refuses to list them.
pub async fn found(world: &World, kinds: &[ApiResource], which: impl Fn(&str) -> bool) -> Result<Vec<Found>> {
    let Desired { namespace, cluster, .. } = &world.desired;
    let mut all = owned(&world.connection.client, namespace, cluster, kinds, &secrets(&world.desired)).await?;
    all.retain(|found| which(&found.name));
    Ok(all)
}

/// Deletes objects that were found, and tells of each.
///
/// # Errors
/// The API server refuses.
pub async fn these(cx: &StepCx<'_, World>, found: Vec<Found>) -> Result<Vec<Found>> {
    let deleted = unseen(cx.world, found).await?;
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
    unseen(cx.world, found(cx.world, kinds, which).await?).await
}

async fn unseen(world: &World, found: Vec<Found>) -> Result<Vec<Found>> {
    for found in &found {
        delete(&world.connection.client, found, None).await?;
    }
    Ok(found)
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
            match owned(client, &desired.namespace, &desired.cluster, kinds, &secrets(desired)).await {
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
