//! Step 5: the seed leaves, the nodes go on without it.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::core::ApiResource;

use crate::cluster::nodes::{common_view, seed_takes_part};
use crate::cluster::world::World;
use crate::cluster::{adopt, certificates, remove};
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::Result;
use crate::manifests::config::Record;
use crate::names::{Member, UUID_ANNOTATION};

/// The step.
pub const HANDOVER: Named = Named::new("handover", "remove the seed");

/// Removes the seed, where there is one, when all nodes have what it has; and its volume, if that is of the history on
/// record.
///
/// # Errors
/// The members do not agree, or the API server refuses.
pub async fn run(cx: &StepCx<'_, World>, record: &Record) -> Result<Finished> {
    let world = cx.world;
    let cluster = &world.desired.cluster;
    let nodes: Vec<Member> = world.desired.members().collect();
    let (pod, service, claim) = (cluster.pod(Member::Seed), cluster.member(Member::Seed), cluster.claim(Member::Seed));
    let observed = world.observer.now();
    let there = observed.members.get(&Member::Seed).is_some_and(|view| view.pod.exists);
    if there {
        // Everything that the seed has is on every node, and all of them say so, or it stays.
        let mut all = nodes.clone();
        if seed_takes_part(&observed) {
            all.insert(0, Member::Seed);
        }
        common_view(cx, &all, None).await?;
        world.confirm_lock().await?;
    }
    let pods = [ApiResource::erase::<Pod>(&())];
    remove::objects(cx, &pods, |name| name == pod).await?;
    remove::gone(cx, &pods, "the seed to leave", |name| name == pod).await?;
    let view = common_view(cx, &nodes, None).await?;
    let mut removed = remove::objects(cx, &[ApiResource::erase::<Service>(&())], |name| name == service).await?.len();
    removed += release_volume(cx, &claim, record).await?;
    removed += certificates::forget(cx, Member::Seed).await?;
    let detail = format!("size {} in view {} on every node", view.size, view.conf_id);
    Ok(if there || removed > 0 { Finished::changed(detail) } else { Finished::unchanged("no seed is left") })
}

/// Deletes the seed's claim: all that was on it is on the nodes. Only a volume that carries this cluster's uuid, or
/// none because it was never used, is given up.
async fn release_volume(cx: &StepCx<'_, World>, claim: &str, record: &Record) -> Result<usize> {
    let world = cx.world;
    let found = world.observer.now().claims.get(claim).cloned();
    let Some(found) = found else { return Ok(0) };
    if found.recorded.is_some() && found.recorded != record.uuid {
        cx.notice(
            Level::Warning,
            format!("persistentvolumeclaim/{claim} is kept: its annotation {UUID_ANNOTATION} names another cluster"),
        );
        return Ok(0);
    }
    let kinds = [ApiResource::erase::<PersistentVolumeClaim>(&())];
    let mut removed = remove::objects(cx, &kinds, |name| name == claim).await?.len();
    if cx.world.desired.iscsi.contains_key(&Member::Seed) {
        removed += adopt::forget(cx, &cx.world.desired.cluster.volume(Member::Seed)).await?;
    }
    Ok(removed)
}
