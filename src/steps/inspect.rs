//! Looks into volumes on which no server runs, by a pod that mounts them read-only and is removed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::core::ApiResource;

use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::errors::explain;
use crate::kube::logs::Follow;
use crate::kube::trouble::pod_trouble;
use crate::manifests::{Object, member};
use crate::names::Member;
use crate::observe::objects::claim_owner;
use crate::observed::Observed;
use crate::wsrep::Report;
use crate::wsrep::volume::{Contents, Evidence};

use super::remove;
use super::world::{BEAT, World};

/// What every member's volume holds, as far as it can be known now: members whose server runs are left out.
///
/// # Errors
/// A volume that cannot be looked into: what it holds is then not known, and nothing may be decided.
pub async fn volumes(cx: &StepCx<'_, World>) -> Result<BTreeMap<Member, Evidence>> {
    let world = cx.world;
    let observed = world.observer.now();
    let mut found: BTreeMap<Member, Evidence> = world.desired.members().map(|node| (node, Evidence::MISSING)).collect();
    let mut to_inspect = BTreeSet::new();
    for (name, claim) in &observed.claims {
        let Some(member) = claim_owner(&world.desired, name) else { continue };
        let has_pod = observed.members.get(&member).is_some_and(|view| view.pod.exists);
        // A claim that was never bound has never been written to.
        let contents = Evidence { contents: Contents::Empty, recorded: claim.recorded, ..Evidence::MISSING };
        match claim.phase.as_str() {
            _ if has_pod => drop(found.remove(&member)),
            "Bound" => drop(to_inspect.insert(member)),
            _ => drop(found.insert(member, contents)),
        }
    }
    found.extend(waiting_pods(world, &observed));
    // A server that runs speaks for its group; looking into the others' volumes would add nothing.
    if !to_inspect.is_empty()
        && !observed
            .members
            .values()
            .any(|view| view.status().is_some_and(super::super::wsrep::status::WsrepStatus::is_primary))
    {
        found.extend(inspect(cx, &to_inspect).await?);
    }
    Ok(found)
}

/// Pods that wait to be let go have printed what their volumes hold.
fn waiting_pods(world: &World, observed: &Observed) -> BTreeMap<Member, Evidence> {
    let mut found = BTreeMap::new();
    for (member, view) in observed.members.iter().filter(|(_, view)| view.pod.running) {
        if view.log.phase.as_deref() != Some("waiting") {
            continue;
        }
        let recorded = observed.claims.get(&world.desired.cluster.claim(*member)).and_then(|claim| claim.recorded);
        let contents = match view.log.position {
            Some(position) => {
                Contents::Database { uuid: Some(position.uuid), seqno: Some(position.seqno), safe: false }
            }
            None if view.log.undefined => Contents::Database { uuid: None, seqno: None, safe: false },
            None => Contents::Empty,
        };
        found.insert(*member, Evidence { contents, recorded, ..Evidence::MISSING });
    }
    found
}

async fn inspect(cx: &StepCx<'_, World>, members: &BTreeSet<Member>) -> Result<BTreeMap<Member, Evidence>> {
    let world = cx.world;
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

async fn remove_inspectors(cx: &StepCx<'_, World>) -> Result<()> {
    let prefix = cx.world.desired.cluster.inspector_prefix();
    let (pods, which) = ([ApiResource::erase::<Pod>(&())], |name: &str| name.starts_with(&prefix));
    if remove::objects(cx, &pods, which).await?.is_empty() {
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
    let pods: Api<Pod> = Api::namespaced(world.connection.client.clone(), world.desired.namespace.as_str());
    cx.wait(world.observer.changes(), BEAT.min(Duration::from_millis(500)), world.patience(), || async {
        let snapshot = world.observer.live().snapshot();
        let pod = match snapshot.pods.get(name) {
            Some(pod) => pod.as_ref().clone(),
            None => match pods.get_opt(name).await {
                Ok(Some(pod)) => pod,
                Ok(None) => return Verdict::wait(format!("the volume of {member}: its inspector is created")),
                Err(error) => return Verdict::wait(explain(Kind::Step, format!("read pod/{name}"), error).to_string()),
            },
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
