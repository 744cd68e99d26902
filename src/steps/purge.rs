//! Emptying the volumes of a cluster that is down.

use std::collections::BTreeMap;

use futures::future::{FutureExt, LocalBoxFuture};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::core::ApiResource;
use serde_json::json;

use crate::engine::event::Change;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::objects::Objects;
use crate::manifests::config::Record;
use crate::manifests::{self, Object, purge};
use crate::names::{COMPONENT_LABEL, Member, Role, UUID_ANNOTATION};
use crate::observe::objects::claim_owner;
use crate::wsrep::volume::{Contents, Evidence};

use super::world::{BEAT, World};
use super::{adopt, inspect, job, reader, record, remove};

/// Refuses while anything uses a volume, and finds out what each of them holds.
pub struct Look {
    /// Whose volumes are meant; empty for all that exist.
    pub members: Vec<Member>,
    /// Take back volumes whose claims are gone.
    pub released: bool,
}

impl Step<World> for Look {
    fn id(&self) -> &'static str {
        "preflight"
    }

    fn title(&self) -> String {
        "look what the volumes hold".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        look(cx, self).boxed_local()
    }
}

async fn look(cx: &StepCx<'_, World>, step: &Look) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let recorded = record::recorded(&world.connection.client, &world.desired.namespace, &world.desired.cluster).await?;
    world.memory().record = recorded.unwrap_or_default();
    nobody_uses_them(world).await?;
    remove_jobs(cx).await?;
    if !world.desired.iscsi.is_empty() {
        claim_targets(cx, step).await?;
    }
    let mut volumes = inspect::volumes(cx).await?;
    volumes.retain(|member, evidence| {
        !matches!(evidence.contents, Contents::Missing | Contents::Unseen)
            && (step.members.is_empty() || step.members.contains(member))
    });
    if let Some(absent) = step.members.iter().find(|member| !volumes.contains_key(member)) {
        let claim = world.desired.cluster.claim(*absent);
        return Err(Failure::message(Kind::Preflight, format!("{absent} has no volume: there is no claim {claim}"))
            .hint("galeractl status lists the volumes that exist"));
    }
    world.memory().volumes = volumes;
    let newest = newest_backup(cx).await?;
    world.memory().backups = Some(newest);
    Ok(Finished::unchanged("the volumes were looked at"))
}

/// What could bring the data back.
async fn newest_backup(cx: &StepCx<'_, World>) -> Result<String> {
    let world = cx.world;
    let (connection, desired) = (&world.connection, &world.desired);
    let claim = desired.cluster.backup_claim();
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&connection.client, &desired.namespace);
    if claims.get(&claim, Kind::Preflight).await?.is_none() {
        return Ok("There is no backup of this cluster in this namespace.".to_owned());
    }
    let looked = async {
        let reader = reader::open(cx, &claim).await?;
        let folder = format!("{}/{}", desired.namespace, desired.cluster);
        reader::catalog(connection, &desired.namespace, &reader, &folder).await
    };
    let looked = looked.await;
    reader::close(cx).await?;
    Ok(match looked {
        Ok(catalog) => format!("Backups of it: {}.", catalog.summary()),
        Err(failure) => format!("Whether there is a backup of it is not known: {failure}"),
    })
}

/// Any pod that has one of the volumes, or that is part of the cluster, stands in the way.
/// # Errors
/// Pods that use the volumes, or belong to the cluster.
pub(super) async fn nobody_uses_them(world: &World) -> Result<()> {
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

/// Volumes on targets are emptied through claims, which need not exist any more.
pub(super) async fn claim_targets(cx: &StepCx<'_, World>, step: &Look) -> Result<()> {
    let world = cx.world;
    if step.released {
        for member in
            world.desired.iscsi.keys().filter(|member| step.members.is_empty() || step.members.contains(member))
        {
            reclaim(cx, &world.desired.cluster.volume(*member)).await?;
        }
    }
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
async fn reclaim(cx: &StepCx<'_, World>, name: &str) -> Result<()> {
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

/// Jobs that an earlier run left hold the volumes.
async fn remove_jobs(cx: &StepCx<'_, World>) -> Result<()> {
    let kinds = [ApiResource::erase::<Job>(&()), ApiResource::erase::<Pod>(&())];
    let prefix = format!("{}-galera-purge-", cx.world.desired.cluster);
    let ours = |name: &str| name.starts_with(&prefix);
    remove::objects(cx, &kinds[..1], ours).await?;
    remove::gone(cx, &kinds, "the Jobs to end", ours).await
}

/// Empties the volumes, all at once.
pub struct Empty;

impl Step<World> for Empty {
    fn id(&self) -> &'static str {
        "purge"
    }

    fn title(&self) -> String {
        "empty the volumes".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        empty(cx).boxed_local()
    }
}

async fn empty(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let filled: Vec<Member> = filled(&world.memory().volumes);
    if filled.is_empty() {
        return Ok(Finished::unchanged("all of them are empty already"));
    }
    world.confirm_lock().await?;
    nobody_uses_them(world).await?;
    // What was shown, and confirmed, is what each Job has to find.
    let expected = world.memory().volumes.clone();
    let job = |member: &Member| Object::of(&purge::job(&world.desired, *member, &expected[member].found));
    let jobs: Vec<Object> = filled.iter().map(job).collect();
    world.apply(cx, &jobs).await?;
    let names: Vec<(String, String)> =
        filled.iter().map(|member| (world.desired.cluster.purge_job(*member), member.to_string())).collect();
    job::all(cx, &names, purge::CONTAINER, "empty volumes", |reports| {
        let bytes = reports.iter().rev().find_map(|report| report.parsed::<u64>("bytes"));
        bytes.map_or("starts".to_owned(), |bytes| format!("has {} MiB left", bytes >> 20))
    })
    .await
    .map_err(|failure| failure.context("a volume could not be emptied"))?;
    remove_jobs(cx).await?;
    Ok(Finished::changed(format!("emptied: {}", list(&filled))))
}

/// Volumes with anything on them, be it only what says whose they were.
fn filled(volumes: &BTreeMap<Member, Evidence>) -> Vec<Member> {
    let anything = |evidence: &Evidence| {
        evidence.contents != Contents::Empty || evidence.found != "nothing" || evidence.owner.is_some()
    };
    let bound = volumes.iter().filter(|(_, evidence)| !evidence.found.is_empty());
    bound.filter(|(_, evidence)| anything(evidence)).map(|(member, _)| *member).collect()
}

/// Looks again, with other eyes than those of the Jobs.
pub struct Prove;

impl Step<World> for Prove {
    fn id(&self) -> &'static str {
        "proof"
    }

    fn title(&self) -> String {
        "look whether they are empty".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        prove(cx).boxed_local()
    }
}

async fn prove(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let members: Vec<Member> = world.memory().volumes.keys().copied().collect();
    let mut now = inspect::volumes(cx).await?;
    now.retain(|member, _| members.contains(member));
    if let Some(member) = filled(&now).first() {
        let found = now[member].describe();
        return Err(Failure::message(Kind::Step, format!("the volume of {member} is not empty: {found}"))
            .hint("the same command goes on from there"));
    }
    // What is recorded at a claim was true of the data that is gone.
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: null}}});
    for member in &members {
        let name = world.desired.cluster.claim(*member);
        claims.merge(&name, "annotate", &patch, Kind::Step).await?;
    }
    // The same is true of the cluster's record, once nothing of it is left.
    let all_gone = world.desired.members().all(|node| members.contains(&node));
    if all_gone && world.memory().record != Record::default() {
        record::replace_record(cx, Record::default()).await?;
    }
    Ok(Finished::unchanged(format!("empty: {}", list(&members))))
}
