//! Step 2: the seed bootstraps, while everything else is created and waits.

use std::collections::BTreeSet;

use futures::future::{FutureExt, LocalBoxFuture};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::core::ApiResource;

use crate::engine::event::Change;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::hopeless::{hopeless, telling_error};
use crate::kube::objects::Objects;
use crate::manifests;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::plans::course::Course;
use crate::wsrep::{Uuid, WsrepStatus};

use super::proof::seed_is_complete;
use super::record::{keep_secret, mark_claims, write_record};
use super::world::{BEAT, World};
use super::{preflight, remove};

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
        Course::Compare => return Ok(Finished::skipped("the volumes hold the cluster; no seed is needed")),
        Course::Form => {}
    }
    let new_secret = world.memory().secrets.is_none();
    keep_secret(cx).await?;
    world.confirm_lock().await?;
    create(cx).await?;
    let Some(uuid) = primary(cx).await? else { return give_way(cx, new_secret).await };
    if world.memory().record.uuid.is_none() {
        complete(cx).await?;
    }
    // The proxy's pods start while the nodes join; earlier they would only take time from the seed.
    world.apply(cx, &manifests::proxy(&world.desired)).await?;
    write_record(cx, Record { formed: false, uuid: Some(uuid) }).await?;
    mark_claims(cx, &[Member::Seed], uuid).await?;
    Ok(Finished::changed(format!("Primary, uuid {uuid}")))
}

/// Creates the seed first and the nodes right after: scheduling, volumes and image pulls overlap with the seed's start,
/// and the nodes wait inside their containers.
async fn create(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    world.apply(cx, &manifests::shared(desired)).await?;
    if !has_done_its_work(world) {
        world.apply(cx, &manifests::seed(desired)).await?;
    }
    world.apply(cx, &manifests::nodes(desired)).await
}

/// A seed that is gone while nodes are there has done its work; it must not come again.
#[must_use]
pub fn has_done_its_work(world: &World) -> bool {
    let observed = world.observer.now();
    let seed_exists = observed.members.get(&Member::Seed).is_some_and(|view| view.pod.exists);
    let formed_nodes = observed.members.keys().any(|member| *member != Member::Seed);
    !seed_exists && formed_nodes && world.memory().record.uuid.is_some()
}

/// Removes the pods of a formation that came to nothing, for what is wrong with them may have been mended in the settings
/// since: a seed that has never led a component, and nodes that nobody has let go. What they have on their volumes is
/// nobody's, or is found when they start again.
pub(super) async fn remove_failed(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let (pods, sets) = failed(world);
    if pods.is_empty() {
        return Ok(());
    }
    world.confirm_lock().await?;
    let kinds = ([ApiResource::erase::<Pod>(&())], [ApiResource::erase::<StatefulSet>(&())]);
    // A pod of a set would come again from the old template.
    remove::objects(cx, &kinds.1, |name| sets.contains(name)).await?;
    remove::objects(cx, &kinds.0, |name| pods.contains(name)).await?;
    remove::gone(cx, &kinds.0, "the pods of the failed attempt to end", |name| pods.contains(name)).await?;
    // What is still seen of them would be taken for the trouble of the next attempt.
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let seen = world.observer.now().members.values().any(|view| view.pod.exists);
        if seen { Verdict::wait("the pods of the failed attempt to be out of sight") } else { Verdict::pass("") }
    })
    .await
    .map(drop)
}

/// Names of the pods and of the StatefulSets of a formation that came to nothing.
#[must_use]
pub fn failed(world: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    let nothing = (BTreeSet::new(), BTreeSet::new());
    if world.course() != Course::Form || world.memory().record.uuid.is_some() {
        return nothing;
    }
    let observed = world.observer.now();
    let seed = observed.members.get(&Member::Seed).filter(|view| view.pod.exists);
    let failed = |view: &MemberView| view.pod.ended || view.pod.trouble.is_some() || view.log.refused.is_some();
    let nobody_leads = !observed.members.values().any(MemberView::is_primary);
    if !nobody_leads || !seed.is_some_and(failed) && !observed.members.values().any(|view| view.pod.trouble.is_some()) {
        return nothing;
    }
    let cluster = &world.desired.cluster;
    let pods = observed.members.keys().map(|member| cluster.pod(*member)).collect();
    (pods, world.desired.members().map(|member| cluster.member(member)).collect())
}

/// Waits until the seed is a Primary component of its own history; `None` if a node's volume holds something, so that
/// there must be no such history.
async fn primary(cx: &StepCx<'_, World>) -> Result<Option<Uuid>> {
    let world = cx.world;
    let mut found = None;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let verdict = match observed.members.get(&Member::Seed) {
            Some(seed) if seed.status().is_some_and(WsrepStatus::is_synced) => {
                found = seed.status().map(|status| status.uuid);
                Verdict::pass("")
            }
            _ if holds_something(&observed) => Verdict::pass(""),
            seed => waits_for(&observed, world, seed),
        };
        async { verdict }
    })
    .await?;
    Ok(found)
}

/// A statement of the seed that fails ends all that come after it, and the server starts all the same.
async fn complete(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let own = world.own_password("seed")?;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        match seed_is_complete(&world.connection, &world.desired, &own).await {
            Ok(true) => Verdict::pass(""),
            Ok(false) => {
                let observed = world.observer.now();
                let error = observed.members.get(&Member::Seed).and_then(telling_error).unwrap_or("its log says why");
                Verdict::Fail(
                    Failure::message(Kind::Step, format!("the seed could not make all databases and accounts: {error}"))
                        .hint("change the settings, remove what was begun, and run again: galeractl teardown --delete-volumes"),
                )
            }
            Err(why) => Verdict::wait(format!("seed to say that everything is made: {why}")),
        }
    })
    .await
    .map(drop)
}

fn waits_for(observed: &Observed, world: &World, seed: Option<&MemberView>) -> Verdict {
    if let Some(failure) = hopeless(observed, &world.desired, &[Member::Seed]) {
        return Verdict::Fail(failure);
    }
    let Some(seed) = seed else { return Verdict::wait("seed to be Primary: its pod is created") };
    if seed.log.phase.as_deref() == Some("asking") {
        // The nodes have to say that their volumes are empty: what keeps one of them from that keeps the seed.
        let nodes: Vec<Member> = world.desired.members().collect();
        if let Some(failure) = hopeless(observed, &world.desired, &nodes) {
            return Verdict::Fail(failure);
        }
        let silent = |member: &&Member| observed.members.get(member).is_none_or(|view| view.log.volume.is_none());
        let silent: Vec<String> = nodes.iter().filter(silent).map(ToString::to_string).collect();
        let lines: u64 = observed.members.values().map(|view| view.log.lines).sum();
        return Verdict::moving(format!("all nodes to say what their volumes hold: {}", silent.join(", ")), lines);
    }
    Verdict::moving(format!("seed to be Primary: {}", seed.phrase()), seed.log.lines)
}

/// A node has found something on its volume, before there was a history that it could have joined.
fn holds_something(observed: &Observed) -> bool {
    let nodes = observed.members.iter().filter(|(member, _)| **member != Member::Seed);
    nodes.filter_map(|(_, view)| view.log.volume.as_ref()).any(|volume| !volume.is_blank())
}

/// Volumes that could not be seen before hold data: the seed, which has begun nothing, goes, and the nodes are brought
/// back from what they have, if it fits together.
async fn give_way(cx: &StepCx<'_, World>, new_secret: bool) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let cluster = &world.desired.cluster;
    let (pod, claim, secret) = (cluster.pod(Member::Seed), cluster.claim(Member::Seed), cluster.credentials());
    let pods = [ApiResource::erase::<Pod>(&())];
    remove::objects(cx, &pods, |name| name == pod).await?;
    remove::gone(cx, &pods, "the seed to leave", |name| name == pod).await?;
    remove::objects(cx, &[ApiResource::erase::<PersistentVolumeClaim>(&())], |name| name == claim).await?;
    if new_secret {
        // Its passwords are not those of the database that has been found.
        let secrets: Objects<Secret> = Objects::within(&world.connection.client, &world.desired.namespace);
        secrets.delete(&secret, Kind::Step).await?;
        world.tell(cx, &format!("secret/{secret}"), Change::Deleted);
        world.memory().secrets = None;
    }
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let told = |member: &Member| observed.members.get(member).is_some_and(|view| view.stopped_volume().is_some());
        let silent: Vec<String> =
            world.desired.members().filter(|member| !told(member)).map(|member| member.to_string()).collect();
        if observed.claims.contains_key(&claim) {
            // Whoever looked into it now would keep it from going.
            Verdict::wait(format!("the seed to leave: persistentvolumeclaim/{claim}"))
        } else if silent.is_empty() {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("all nodes to say what their volumes hold: {}", silent.join(", ")))
        }
    })
    .await?;
    preflight::reconsider(cx).await?;
    Ok(Finished::changed("the volumes hold a cluster already; the seed has begun nothing and is gone"))
}
