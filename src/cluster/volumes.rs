//! The volumes of a cluster that is down.

use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::ResourceExt;
use serde_json::json;

use crate::engine::event::Change;
use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::objects::Objects;
use crate::manifests::{self, Object};
use crate::names::{COMPONENT_LABEL, Role};
use crate::observe::objects::claim_owner;

use super::adopt;
use super::inspect::Volumes;
use super::world::{BEAT, World};

/// What each volume holds, a line each.
#[must_use]
pub fn table(world: &World, volumes: &Volumes) -> String {
    let observed = world.observer.now();
    let mut rows = vec![["MEMBER", "CLAIM", "SIZE", "LAST WRITTEN", "HOLDS"].map(str::to_owned)];
    for (member, evidence) in volumes {
        let claim = world.desired.cluster.claim(*member);
        let written = evidence.written.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        rows.push([
            member.to_string(),
            claim.clone(),
            evidence.bytes.map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
            written.map_or("-".to_owned(), |time| time.strftime("%F %T UTC").to_string()),
            match observed.claims.get(&claim) {
                Some(claim) if claim.leaving => format!("{} (being deleted)", evidence.describe()),
                _ => evidence.describe(),
            },
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Any pod that has one of the volumes, or that is part of the cluster, stands in the way.
///
/// # Errors
/// Pods that use the volumes, or belong to the cluster.
pub async fn nobody_uses_them(world: &World) -> Result<()> {
    let desired = &world.desired;
    let pods: Objects<Pod> = Objects::within(&world.connection.client, &desired.namespace);
    let pods = pods.list("", Kind::Preflight).await?;
    let prefix = format!("{}-galera-", desired.cluster);
    let is_tool = |pod: &Pod| {
        let role = pod.labels().get(COMPONENT_LABEL);
        [Role::Inspector, Role::Purge, Role::Reader, Role::Restore]
            .iter()
            .any(|tool| role.is_some_and(|role| role == tool.label()))
    };
    let uses = |pod: &Pod| {
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.clone()).unwrap_or_default();
        let ended = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
        let claimed = volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        !ended && claimed.into_iter().any(|source| claim_owner(desired, &source.claim_name).is_some())
    };
    let in_the_way: Vec<String> = pods
        .iter()
        .filter(|pod| !is_tool(pod) && (pod.name_any().starts_with(&prefix) || uses(pod)))
        .map(ResourceExt::name_any)
        .collect();
    if in_the_way.is_empty() {
        return Ok(());
    }
    Err(Failure::message(
        Kind::Preflight,
        format!("cluster {} is not down, or its volumes are in use: {}", desired.cluster, in_the_way.join(", ")),
    )
    .hint(format!("stop it first: galeractl teardown --name {} -n {}", desired.cluster, desired.namespace)))
}

/// Volumes on targets are used through claims, which need not exist any more.
///
/// # Errors
/// A volume is not the one that is meant, or the API server refuses.
pub async fn claim_targets(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let volumes = adopt::missing(world, true).await?;
    world.apply(cx, &volumes).await?;
    let observed = world.observer.now();
    let claims: Vec<Object> = manifests::claims(&world.desired, true)
        .into_iter()
        .filter(|claim| !observed.claims.contains_key(&claim.name))
        .collect();
    world.apply(cx, &claims).await?;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let unbound = world.desired.iscsi.keys().find(|member| {
            observed.claims.get(&world.desired.cluster.claim(**member)).is_none_or(|claim| claim.phase != "Bound")
        });
        match unbound {
            Some(member) => Verdict::wait(format!("claims: that of {member} to be bound")),
            None => Verdict::pass(""),
        }
    })
    .await
    .map(drop)
}

/// Lets a released volume be claimed again by the claim that it was made for.
///
/// # Errors
/// The API server refuses.
pub async fn reclaim(cx: &StepCx<'_, World>, name: &str) -> Result<()> {
    let all: Objects<PersistentVolume> = Objects::everywhere(&cx.world.connection.client);
    let Some(volume) = all.get(name, Kind::Step).await? else { return Ok(()) };
    let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let released = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Released");
    let is_ours = claim.and_then(|claim| claim.namespace.as_deref()) == Some(cx.world.desired.namespace.as_str());
    if released && is_ours {
        let patch = json!({"metadata": {"resourceVersion": volume.resource_version()}, "spec": {"claimRef": {"uid": null, "resourceVersion": null}}});
        all.merge(name, "release", &patch, Kind::Step).await?;
        cx.world.tell(cx, &format!("persistentvolume/{name}"), Change::Changed);
    }
    Ok(())
}
