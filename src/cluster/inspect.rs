//! Looks into volumes on which no server runs, by a pod that mounts them read-only and is removed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::ResourceExt;
use kube::core::ApiResource;

use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::logs::Follow;
use crate::kube::objects::Objects;
use crate::kube::trouble::pod_trouble;
use crate::manifests::config::Record;
use crate::manifests::{Object, member};
use crate::names::Member;
use crate::observe::objects::claim_owner;
use crate::observed::Observed;
use crate::wsrep::Report;
use crate::wsrep::volume::{Contents, Evidence};

use super::world::{BEAT, World};
use super::{adopt, remove};

/// What the volumes of members hold.
pub type Volumes = BTreeMap<Member, Evidence>;

/// What every member's volume holds, as far as it can be known now: members whose server runs are left out. A volume
/// that cannot be seen yet may hold something where anything is on `record`.
///
/// # Errors
/// A volume that cannot be looked into: what it holds is then not known, and nothing may be decided.
pub async fn volumes(cx: &StepCx<'_, World>, record: Option<&Record>) -> Result<Volumes> {
    let world = cx.world;
    let is_on_record = record.is_some_and(|record| *record != Record::default());
    let observed = world.observer.now();
    let mut found = without_claim(world, is_on_record).await?;
    let mut to_inspect = BTreeSet::new();
    for (name, claim) in &observed.claims {
        let Some(member) = claim_owner(&world.desired, name) else { continue };
        // What it holds was on all that have stayed when it left.
        if claim.left && !world.desired.members().any(|node| node == member) {
            continue;
        }
        if observed.members.get(&member).is_some_and(|view| view.pod.exists) || is_awaited(world, member) {
            found.remove(&member);
            continue;
        }
        if claim.phase == "Bound" {
            to_inspect.insert(member);
        } else {
            // What it will be bound to is not seen yet: a volume that was kept may wait for it.
            let on_record = claim.recorded.is_some() || is_on_record;
            let contents = if on_record { Contents::Unseen } else { Contents::Empty };
            found.insert(member, Evidence { contents, recorded: claim.recorded, ..Evidence::MISSING });
        }
    }
    found.extend(waiting_pods(world, &observed));
    // A server that runs speaks for its group; looking into the others' volumes would add nothing.
    if !to_inspect.is_empty()
        && !observed
            .members
            .values()
            .any(|view| view.status().is_some_and(crate::wsrep::status::WsrepStatus::is_primary))
    {
        found.extend(inspect(cx, &to_inspect).await?);
    }
    Ok(found)
}

/// Whether a node's pod is about to be made: its StatefulSet says so, and nothing is seen of it yet.
#[must_use]
pub fn is_awaited(world: &World, member: Member) -> bool {
    let snapshot = world.observer.live().snapshot();
    let set = snapshot.statefulsets.get(&world.desired.cluster.member(member));
    member != Member::Seed
        && set.is_some_and(|set| set.metadata.deletion_timestamp.is_none())
        && !world.observer.now().members.get(&member).is_some_and(|view| view.pod.exists)
}

/// Nodes for which there is no claim, and what is known of their volumes: one that was kept when its claim was deleted
/// is there to be claimed again, and holds what it held. Nobody looks for such volumes where nothing was recorded: then
/// the nodes say what they find before anything is begun.
async fn without_claim(world: &World, is_on_record: bool) -> Result<Volumes> {
    let mut found: Volumes = world.desired.members().map(|node| (node, Evidence::MISSING)).collect();
    let observed = world.observer.now();
    let claimless = |member: &Member| !observed.claims.contains_key(&world.desired.cluster.claim(*member));
    if !is_on_record || !found.keys().any(claimless) {
        return Ok(found);
    }
    if !world.desired.iscsi.is_empty() {
        // What lies on a target outlives its volume, and is seen when that has been made again.
        for (_, evidence) in found.iter_mut().filter(|(member, _)| claimless(member)) {
            evidence.contents = Contents::Unseen;
        }
        return Ok(found);
    }
    let volumes: Objects<PersistentVolume> = Objects::everywhere(&world.connection.client);
    let Some(volumes) = volumes.list_seen("", Kind::Preflight).await? else {
        // Who may not see them learns from the nodes what is there.
        for (_, evidence) in found.iter_mut().filter(|(member, _)| claimless(member)) {
            evidence.contents = Contents::Unseen;
        }
        return Ok(found);
    };
    for (member, evidence) in found.iter_mut().filter(|(member, _)| claimless(member)) {
        let claim = world.desired.cluster.claim(*member);
        let ours = |volume: &&PersistentVolume| {
            let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            reference.is_some_and(|reference| {
                reference.namespace.as_deref() == Some(world.desired.namespace.as_str())
                    && reference.name.as_deref() == Some(&claim)
            })
        };
        let Some(volume) = volumes.iter().find(ours) else { continue };
        if volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Released") {
            return Err(adopt::released(&volume.name_any()));
        }
        evidence.contents = Contents::Unseen;
    }
    Ok(found)
}

/// Pods that wait, or refuse to start, have printed what their volumes hold.
fn waiting_pods(world: &World, observed: &Observed) -> Volumes {
    let told = observed.members.iter().filter_map(|(member, view)| {
        let recorded = observed.claims.get(&world.desired.cluster.claim(*member)).and_then(|claim| claim.recorded);
        Some((*member, Evidence { recorded, ..view.stopped_volume()? }))
    });
    told.collect()
}

async fn inspect(cx: &StepCx<'_, World>, members: &BTreeSet<Member>) -> Result<Volumes> {
    let world = cx.world;
    // Two who look at once would remove each other's pods.
    world.take_lock(cx).await?;
    // One that an earlier run left would report what was there then.
    remove_inspectors(cx).await?;
    let pods: Vec<Object> =
        members.iter().map(|member| Object::of(&member::inspector(&world.desired, *member))).collect();
    let inspected = async {
        world.applier.apply_all(&pods).await?;
        try_join_all(members.iter().map(|member| report(cx, *member))).await
    };
    let result = inspected.await;
    // Also after a failure or an interruption: a mounted volume stands in the way of everything else.
    remove_inspectors(cx).await?;
    Ok(members.iter().copied().zip(result?).collect())
}

/// Removes all pods that look into something.
///
/// # Errors
/// The API server refuses.
pub async fn remove_inspectors(cx: &StepCx<'_, World>) -> Result<()> {
    let prefix = cx.world.desired.cluster.inspector_prefix();
    let (pods, which) = ([ApiResource::erase::<Pod>(&())], |name: &str| name.starts_with(&prefix));
    if remove::helpers(cx, &pods, which).await?.is_empty() {
        return Ok(());
    }
    remove::gone(cx, &pods, "the inspectors to end", which).await
}

async fn report(cx: &StepCx<'_, World>, member: Member) -> Result<Evidence> {
    let world = cx.world;
    let name = world.desired.cluster.inspector(member);
    started(cx, member, &name).await?;
    let slot = cx.waiting(&format!("what the volume of {member} holds: its files are counted"));
    let mut lines = Follow::start(&world.connection.streams, &world.desired.namespace, &name, "inspect");
    let read = async {
        while let Some(line) = lines.next().await {
            if let Some(report) = Report::parse(&line.text).filter(|report| report.event == "volume") {
                return Some(report);
            }
        }
        None
    };
    let report = tokio::select! {
        report = tokio::time::timeout(super::world::PATIENCE, read) => report.ok().flatten(),
        () = cx.cancel.cancelled() => { cx.check_cancelled()?; None }
    };
    drop(slot);
    let claim = world.desired.cluster.claim(member);
    let unknown = |why: String| {
        Failure::message(Kind::Preflight, format!("it cannot be known what persistentvolumeclaim/{claim} holds: {why}"))
    };
    let recorded = world.observer.now().claims.get(&claim).and_then(|claim| claim.recorded);
    let report = report.ok_or_else(|| unknown(format!("pod/{name} says nothing")))?;
    Evidence::from_report(&report, recorded).map_err(unknown)
}

async fn started(cx: &StepCx<'_, World>, member: Member, name: &str) -> Result<String> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT.min(Duration::from_millis(500)), world.patience(), || async {
        let snapshot = world.observer.live().snapshot();
        let pod = match world.pod(name).await {
            Ok(Some(pod)) => pod,
            Ok(None) => return Verdict::wait(format!("the volume of {member}: its inspector is created")),
            Err(failure) => return Verdict::wait(failure.to_string()),
        };
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        if phase == "Running" {
            return Verdict::pass("");
        }
        match pod_trouble(&pod, snapshot.events.values()) {
            Some(trouble) if trouble.is_fatal() => {
                Verdict::Fail(Failure::message(Kind::Preflight, trouble.message).hint(trouble.hint))
            }
            Some(trouble) => Verdict::wait(format!("the volume of {member}: {}", trouble.message)),
            None => Verdict::wait(format!("the volume of {member}: it is mounted to look into it")),
        }
    })
    .await
}
