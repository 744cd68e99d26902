//! Larger volumes for nodes that run.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::json;

use crate::cluster::world::{BEAT, World};
use crate::engine::event::Change;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::objects::Objects;
use crate::names::Member;
use crate::plans::quantity::thousandths;

/// The step.
pub const GROW: Named = Named::new("grow", "let the volumes grow");

/// The nodes whose claims ask for less than is wanted. Volumes that are larger already stay as they are.
///
/// # Errors
/// [`Kind::Preflight`] where a storage class does not let its volumes grow.
pub async fn smaller(world: &World) -> Result<Vec<Member>> {
    let desired = &world.desired;
    let snapshot = world.observer.live().snapshot();
    let wanted = thousandths(&desired.volume_size);
    let mut nodes = Vec::new();
    for node in desired.members().filter(|_| desired.iscsi.is_empty()) {
        let Some(claim) = snapshot.claims.get(&desired.cluster.claim(node)) else { continue };
        if asked(claim).as_deref().and_then(thousandths) < wanted {
            lets_grow(world, claim).await?;
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn asked(claim: &PersistentVolumeClaim) -> Option<String> {
    Some(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?.0.clone())
}

fn has(claim: &PersistentVolumeClaim) -> Option<String> {
    Some(claim.status.as_ref()?.capacity.as_ref()?.get("storage")?.0.clone())
}

/// Whether the class of a claim lets it grow; who may not look at classes hears it from the API server.
async fn lets_grow(world: &World, claim: &PersistentVolumeClaim) -> Result<()> {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
    let classes: Objects<StorageClass> = Objects::everywhere(&world.connection.client);
    let found = classes.look(&class, Kind::Preflight).await?.there();
    if found.is_none_or(|class| class.allow_volume_expansion == Some(true)) {
        return Ok(());
    }
    let size = asked(claim).unwrap_or_default();
    Err(Failure::message(Kind::Preflight, format!("storage class `{class}` does not let its volumes grow"))
        .hint(format!("leave the size as it is: --set galera_cluster_volume_size={size}"))
        .hint("where the storage can do it, whoever owns the class sets `allowVolumeExpansion: true`")
        .hint("or form another cluster with larger volumes, and bring a backup into it"))
}

/// Has the claims of these nodes ask for more, one after the other, and waits until each file system has it.
///
/// # Errors
/// The lock was lost, the API server refuses, or the storage does not do it.
pub async fn run(cx: &StepCx<'_, World>, nodes: &[Member]) -> Result<Finished> {
    let world = cx.world;
    let size = &world.desired.volume_size;
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    for node in nodes {
        cx.check_cancelled()?;
        world.confirm_lock().await?;
        let name = world.desired.cluster.claim(*node);
        claims.merge(&name, "let grow", &patch, Kind::Step).await?;
        world.tell(cx, &format!("persistentvolumeclaim/{name}"), Change::Changed);
    }
    // Also those that an earlier run has asked for.
    for node in world.desired.members().filter(|_| world.desired.iscsi.is_empty()) {
        has_grown(cx, node).await?;
    }
    Ok(match nodes.len() {
        0 => Finished::unchanged("they are as large as they should be"),
        _ => Finished::changed(format!("those of {} have {size}", list(nodes))),
    })
}

async fn has_grown(cx: &StepCx<'_, World>, node: Member) -> Result<()> {
    let world = cx.world;
    let (name, wanted) = (world.desired.cluster.claim(node), &world.desired.volume_size);
    cx.wait(world.observer.live().changed(), BEAT, world.patience(), || {
        let claim: Option<Arc<PersistentVolumeClaim>> = world.observer.live().snapshot().claims.get(&name).cloned();
        let capacity = claim.as_deref().and_then(has);
        let verdict = match capacity.as_deref().and_then(thousandths) {
            // What is not bound yet is made in this size.
            None => Verdict::pass(""),
            Some(capacity) if Some(capacity) >= thousandths(wanted) => Verdict::pass(""),
            Some(_) => {
                let has = capacity.unwrap_or_default();
                let state = claim.as_deref().map(condition).unwrap_or_default();
                Verdict::wait(format!("the volume of {node} to have {wanted}: it has {has}{state}"))
            }
        };
        async { verdict }
    })
    .await
    .map(drop)
}

/// What the storage says about it.
fn condition(claim: &PersistentVolumeClaim) -> String {
    let mut conditions = claim.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let last = conditions.rfind(|condition| condition.status == "True");
    last.map_or(String::new(), |last| match &last.message {
        Some(message) if !message.is_empty() => format!(", {}: {message}", last.type_),
        _ => format!(", {}", last.type_),
    })
}
