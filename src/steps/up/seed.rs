//! Step 2: the seed bootstraps, while everything else is created and waits.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::core::ApiResource;

use crate::cluster::course::reconsider;
use crate::cluster::formation::has_done_its_work;
use crate::cluster::proof::seed_is_complete;
use crate::cluster::record::{Kept, keep_secrets, mark_claims, write_record};
use crate::cluster::remove;
use crate::cluster::world::{BEAT, World};
use crate::desired::Access;
use crate::engine::event::Change;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::hopeless::{hopeless, telling_error};
use crate::kube::objects::Objects;
use crate::manifests;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::plans::course::Course;
use crate::wsrep::{Uuid, WsrepStatus};

use super::Found;

/// The step.
pub const SEED: Named = Named::new("seed", "bootstrap the cluster on a temporary seed");

/// Begins a history where there is none. Answers with what is known then, and with the passwords where a seed was made,
/// and the nodes beside it.
///
/// # Errors
/// The seed does not become Primary, or could not make everything.
pub async fn run(cx: &StepCx<'_, World>, found: Found) -> Result<Finished<(Found, Option<Kept>)>> {
    let why = match &found.course {
        Course::Keep => "the cluster is formed; no seed is needed".to_owned(),
        Course::BringBack { from, .. } => format!("the volumes hold the cluster; {from} starts first"),
        Course::Compare => "the volumes hold the cluster; no seed is needed".to_owned(),
        Course::Form => return form(cx, found).await,
    };
    Ok(Finished::skipped(why).with((found, None)))
}

async fn form(cx: &StepCx<'_, World>, found: Found) -> Result<Finished<(Found, Option<Kept>)>> {
    let world = cx.world;
    let kept = keep_secrets(cx, found.secrets.as_ref(), true).await?;
    world.confirm_lock().await?;
    create(cx, &found.record).await?;
    let Some(uuid) = primary(cx).await? else { return give_way(cx, found).await };
    if found.record.uuid.is_none() {
        complete(cx, &kept.own).await?;
    }
    // The proxy's pods start while the nodes join; earlier they would only take time from the seed.
    world.apply(cx, &manifests::proxy(&world.desired)).await?;
    let record = write_record(cx, &found.record, Record { formed: false, uuid: Some(uuid) }).await?;
    mark_claims(cx, &[Member::Seed], uuid).await?;
    Ok(Finished::changed(format!("Primary, uuid {uuid}")).with((Found { record, ..found }, Some(kept))))
}

/// Creates the seed first and the nodes right after: scheduling, volumes and image pulls overlap with the seed's start,
/// and the nodes wait inside their containers.
async fn create(cx: &StepCx<'_, World>, record: &Record) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    world.apply(cx, &manifests::shared(desired)).await?;
    if !has_done_its_work(world, record) {
        world.apply(cx, &manifests::seed(desired)).await?;
    }
    world.apply(cx, &manifests::nodes(desired)).await
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
async fn complete(cx: &StepCx<'_, World>, own: &Access) -> Result<()> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        match seed_is_complete(&world.connection, &world.desired, own).await {
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
    let phase = seed.log.phase.as_deref();
    let asks = phase == Some("asking");
    if asks || phase == Some("giving") {
        // The nodes have to say that their volumes are empty, and to take their copies: what keeps one of them from that
        // keeps the seed.
        let nodes: Vec<Member> = world.desired.members().collect();
        if let Some(failure) = hopeless(observed, &world.desired, &nodes) {
            return Verdict::Fail(failure);
        }
        let done = |view: &MemberView| {
            if asks { view.log.volume.is_some() } else { view.log.phase.as_deref() == Some("filled") }
        };
        let open = |member: &&Member| !observed.members.get(member).is_some_and(done);
        let open: Vec<String> = nodes.iter().filter(open).map(ToString::to_string).collect();
        let what = if asks { "say what their volumes hold" } else { "take a copy of the empty database" };
        let lines: u64 = observed.members.values().map(|view| view.log.lines).sum();
        let answer =
            if open.is_empty() { "all have, and the seed is to hear of it".to_owned() } else { open.join(", ") };
        return Verdict::moving(format!("all nodes to {what}: {answer}"), lines);
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
async fn give_way(cx: &StepCx<'_, World>, found: Found) -> Result<Finished<(Found, Option<Kept>)>> {
    let world = cx.world;
    world.confirm_lock().await?;
    let cluster = &world.desired.cluster;
    let (pod, claim, secret) = (cluster.pod(Member::Seed), cluster.claim(Member::Seed), cluster.credentials());
    let pods = [ApiResource::erase::<Pod>(&())];
    remove::objects(cx, &pods, |name| name == pod).await?;
    remove::gone(cx, &pods, "the seed to leave", |name| name == pod).await?;
    remove::objects(cx, &[ApiResource::erase::<PersistentVolumeClaim>(&())], |name| name == claim).await?;
    if found.secrets.is_none() {
        // Its passwords are not those of the database that has been found.
        let secrets: Objects<Secret> = Objects::within(&world.connection.client, &world.desired.namespace);
        secrets.delete(&secret, Kind::Step).await?;
        world.tell(cx, &format!("secret/{secret}"), Change::Deleted);
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
    let (course, _) = reconsider(cx, &found.record, found.secrets.as_ref()).await?;
    if course == Course::Form {
        return Err(Failure::message(Kind::Step, "what the nodes hold is not what they have said; run again"));
    }
    let found = Found { course, ..found };
    Ok(Finished::changed("the volumes hold a cluster already; the seed has begun nothing and is gone")
        .with((found, None)))
}
