//! Steps 0 and 1: the namespace, and a claim for every member.

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use serde_json::json;

use crate::cluster::course::reconsider;
use crate::cluster::inspect::Volumes;
use crate::cluster::world::{BEAT, World};
use crate::cluster::{adopt, formation};
use crate::desired::Desired;
use crate::engine::event::Change;
use crate::engine::{Finished, Named, Never, StepCx, Verdict};
use crate::error::{Kind, Result};
use crate::gates::hopeless::hopeless;
use crate::kube::apply::is_ours;
use crate::kube::objects::Objects;
use crate::manifests::{self, Object, volumes};
use crate::names::Member;
use crate::plans::course::Course;
use crate::plans::stage::Stage;

use super::Found;

/// Step 0: the namespace.
pub const NAMESPACE: Named = Named::new("namespace", "create the namespace where it is missing");

/// Step 1: claims.
pub const VOLUMES: Named = Named::new("volumes", "claim a volume for every member");

/// What the second of them makes, or finds.
#[must_use]
pub fn stage(desired: &Desired, with_seed: bool) -> Stage {
    let volumes = [manifests::volumes(desired, with_seed), manifests::claims(desired, with_seed)].concat();
    Stage::makes(VOLUMES.id, [volumes, manifests::backup_volumes(desired)].concat())
}

/// Creates the namespace unless it `exists`, and takes the lock in it.
///
/// # Errors
/// The API server refuses, or another run was faster.
pub async fn namespace(cx: &StepCx<'_, World>, exists: bool) -> Result<Finished> {
    let world = cx.world;
    let name = world.desired.namespace.to_string();
    if exists {
        return Ok(Finished::unchanged(format!("{name} is there")));
    }
    let all: Objects<Namespace> = Objects::everywhere(&world.connection.client);
    // If somebody was faster, the lock decides who goes on.
    if all.create(&volumes::namespace(&world.desired), Kind::Step).await? {
        world.tell(cx, &format!("namespace/{name}"), Change::Created);
    }
    cx.wait(Never, BEAT / 10, world.patience(), || async {
        let phase = |found: Option<Namespace>| found.and_then(|namespace| namespace.status?.phase);
        match all.get(&name, Kind::Step).await.map(phase) {
            Ok(Some(phase)) if phase == "Active" => Verdict::pass(""),
            Ok(_) => Verdict::wait(format!("namespace {name}: not Active")),
            Err(failure) => Verdict::wait(format!("namespace {name}: {failure}")),
        }
    })
    .await?;
    world.take_lock(cx).await?;
    Ok(Finished::changed(format!("{name} is Active")))
}

/// Claims what is missing. Answers with what was decided anew, where volumes were bound that may be old ones.
///
/// # Errors
/// A volume cannot be bound, is not the one that is meant, or holds what does not fit together.
pub async fn claims(cx: &StepCx<'_, World>, found: &Found) -> Result<Finished<Option<(Course, Volumes)>>> {
    let world = cx.world;
    formation::remove_failed(cx, &found.course, &found.record).await?;
    let with_seed = found.course == Course::Form;
    let observed = world.observer.now();
    let members: Vec<Member> = with_seed.then_some(Member::Seed).into_iter().chain(world.desired.members()).collect();
    let (there, missing): (Vec<Object>, Vec<Object>) = manifests::claims(&world.desired, with_seed)
        .into_iter()
        .partition(|claim| observed.claims.contains_key(&claim.name));
    // An existing claim is left as it is: its class and size were decided when it was made.
    for claim in &there {
        world.tell(cx, &claim.display(), Change::Kept);
    }
    relabel(cx, &there).await?;
    let volumes = adopt::missing(world, with_seed).await?;
    world.apply(cx, &volumes).await?;
    world.apply(cx, &missing).await?;
    backup_claim(cx).await?;
    let detail = cx
        .wait(world.observer.changes(), BEAT, world.patience(), || async {
            let observed = world.observer.now();
            if let Some(failure) = hopeless(&observed, &world.desired, &members) {
                return Verdict::Fail(failure);
            }
            let claim = |member: &Member| observed.claims.get(&world.desired.cluster.claim(*member));
            let unseen: Vec<String> =
                members.iter().filter(|member| claim(member).is_none()).map(std::string::ToString::to_string).collect();
            if !unseen.is_empty() {
                return Verdict::wait(format!("claims: those of {} are created", unseen.join(", ")));
            }
            // A volume that was made for its claim has nothing else to wait for.
            let is_bound = |member: &Member| claim(member).is_some_and(|claim| claim.phase == "Bound");
            if let Some(member) =
                world.desired.iscsi.keys().find(|member| members.contains(member) && !is_bound(member))
            {
                let volume = world.desired.cluster.volume(*member);
                return Verdict::wait(format!("claims: that of {member} to be bound to persistentvolume/{volume}"));
            }
            let bound = members.iter().filter(|member| is_bound(member)).count();
            // What waits for its first pod is bound as soon as that pod is placed, which the next steps wait for.
            Verdict::pass(match members.len() - bound {
                0 => format!("{bound} bound"),
                waiting => format!("{bound} bound, {waiting} claimed, to be bound as soon as their pods are placed"),
            })
        })
        .await?;
    let nothing_new = missing.is_empty() && volumes.is_empty();
    let mut decided = None;
    if !nothing_new && !world.desired.iscsi.is_empty() {
        decided = Some(reconsider(cx, &found.record, found.secrets.as_ref()).await?);
    }
    Ok(Finished::which(!nothing_new, detail).with(decided))
}

/// Claims that have lost their labels, and that the user has said are ours, get them again: by them the other verbs find
/// what they are to show or to remove.
async fn relabel(cx: &StepCx<'_, World>, claims: &[Object]) -> Result<()> {
    let world = cx.world;
    if !world.choices.take_ownership {
        return Ok(());
    }
    let all: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    for claim in claims {
        let live = world.applier.find(claim).await?;
        if live.is_none_or(|live| is_ours(&live, &world.desired.cluster)) {
            continue;
        }
        let patch = json!({"metadata": {"labels": claim.value["metadata"]["labels"]}});
        all.merge(&claim.name, "label", &patch, Kind::Step).await?;
        world.tell(cx, &claim.display(), Change::Changed);
    }
    Ok(())
}

/// The claim of the backups outlives the cluster, and is never changed.
async fn backup_claim(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let claims = manifests::backup_volumes(&world.desired).into_iter().filter(|object| object.namespace.is_some());
    for claim in claims {
        if world.applier.exists(&claim).await? {
            world.tell(cx, &claim.display(), Change::Kept);
        } else {
            world.apply(cx, &[claim]).await?;
        }
    }
    Ok(())
}
