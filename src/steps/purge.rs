//! Emptying the volumes of a cluster that is down.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::core::ApiResource;
use serde_json::json;

use crate::cluster::backup_keys::Word;
use crate::cluster::inspect::Volumes;
use crate::cluster::volumes::{claim_targets, nobody_uses_them, reclaim};
use crate::cluster::world::World;
use crate::cluster::{inspect, job, reader, record, remove};
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::kube::objects::Objects;
use crate::manifests::config::{Record, record_map};
use crate::manifests::{Object, purge};
use crate::names::{Member, UUID_ANNOTATION};
use crate::plans::stage::Stage;
use crate::wsrep::volume::{Contents, Evidence};

/// Empties the volumes, all at once.
pub const EMPTY: Named = Named::new("purge", "empty the volumes");

/// Looks again, with other eyes than those of the Jobs.
pub const PROVE: Named = Named::new("proof", "look whether they are empty");

/// What would be lost, and what could bring it back.
#[derive(Debug, Clone)]
pub struct Found {
    /// What the volumes hold that are meant.
    pub volumes: Volumes,
    /// What is on record.
    pub record: Record,
    /// The newest backup, in words.
    pub backups: String,
}

/// Refuses while anything uses a volume, and finds out what each of those of `members` holds, or of all that exist where
/// nobody is named. Volumes whose claims are gone are taken back where `released` ones are meant as well.
///
/// # Errors
/// A volume is in use, is missing, or cannot be looked into.
pub async fn look(cx: &StepCx<'_, World>, members: &[Member], released: bool) -> Result<Found> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let recorded = record::recorded(&world.connection.client, &world.desired.namespace, &world.desired.cluster).await?;
    let record = recorded.unwrap_or_default();
    nobody_uses_them(world).await?;
    remove_jobs(cx).await?;
    let is_meant = |member: &Member| members.is_empty() || members.contains(member);
    if !world.desired.iscsi.is_empty() {
        for member in world.desired.iscsi.keys().filter(|member| released && is_meant(member)) {
            reclaim(cx, &world.desired.cluster.volume(*member)).await?;
        }
        claim_targets(cx).await?;
    }
    let (volumes, backups) = tokio::join!(inspect::volumes(cx, Some(&record)), newest_backup(cx));
    let (mut volumes, backups) = (volumes?, backups?);
    volumes.retain(|member, evidence| {
        !matches!(evidence.contents, Contents::Missing | Contents::Unseen) && is_meant(member)
    });
    if let Some(absent) = members.iter().find(|member| !volumes.contains_key(member)) {
        let claim = world.desired.cluster.claim(*absent);
        return Err(Failure::message(Kind::Preflight, format!("{absent} has no volume: there is no claim {claim}"))
            .hint("galeractl status lists the volumes that exist"));
    }
    Ok(Found { volumes, record, backups })
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
        reader::catalog(connection, desired, &reader, &folder, &Word::default()).await
    };
    let looked = looked.await;
    reader::close(cx).await?;
    Ok(match looked {
        Ok(catalog) => format!("Backups of it: {}.", catalog.summary()),
        Err(failure) => format!("Whether there is a backup of it is not known: {failure}"),
    })
}

/// Jobs that an earlier run left hold the volumes.
async fn remove_jobs(cx: &StepCx<'_, World>) -> Result<()> {
    let kinds = [ApiResource::erase::<Job>(&()), ApiResource::erase::<Pod>(&())];
    let prefix = format!("{}-galera-purge-", cx.world.desired.cluster);
    let ours = |name: &str| name.starts_with(&prefix);
    remove::objects(cx, &kinds[..1], ours).await?;
    remove::gone(cx, &kinds, "the Jobs to end", ours).await
}

/// Has a Job empty each volume that holds anything: what was shown, and confirmed, is what it has to find.
///
/// # Errors
/// A volume is in use, holds something else by now, or cannot be emptied.
pub async fn empty(cx: &StepCx<'_, World>, volumes: &Volumes) -> Result<Finished> {
    let world = cx.world;
    let filled = filled(volumes);
    if filled.is_empty() {
        return Ok(Finished::unchanged("all of them are empty already"));
    }
    world.confirm_lock().await?;
    nobody_uses_them(world).await?;
    world.apply(cx, &jobs(&world.desired, volumes)).await?;
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

fn jobs(desired: &Desired, volumes: &Volumes) -> Vec<Object> {
    let job = |member: Member| Object::of(&purge::job(desired, member, &volumes[&member].found));
    filled(volumes).into_iter().map(job).collect()
}

/// What is on record is true of nothing any more, once no volume of a node has data.
fn forgotten(desired: &Desired, found: &Found) -> Option<Record> {
    let all_gone = desired.members().all(|node| found.volumes.contains_key(&node));
    (all_gone && found.record != Record::default()).then(Record::default)
}

/// What the steps make, and remove again.
#[must_use]
pub fn stages(desired: &Desired, found: &Found) -> Vec<Stage> {
    let record = forgotten(desired, found).map(|record| Object::of(&record_map(desired, &record)));
    vec![Stage::passes(EMPTY.id, jobs(desired, &found.volumes)), Stage::makes(PROVE.id, record.into_iter().collect())]
}

/// Volumes with anything on them, be it only what says whose they were.
fn filled(volumes: &Volumes) -> Vec<Member> {
    let anything = |evidence: &Evidence| {
        evidence.contents != Contents::Empty || evidence.found != "nothing" || evidence.owner.is_some()
    };
    let bound = volumes.iter().filter(|(_, evidence)| !evidence.found.is_empty());
    bound.filter(|(_, evidence)| anything(evidence)).map(|(member, _)| *member).collect()
}

/// Looks again, and forgets what was true of the data that is gone.
///
/// # Errors
/// A volume is not empty, or the API server refuses.
pub async fn prove(cx: &StepCx<'_, World>, found: &Found) -> Result<Finished> {
    let world = cx.world;
    let members: Vec<Member> = found.volumes.keys().copied().collect();
    let mut now = inspect::volumes(cx, Some(&found.record)).await?;
    now.retain(|member, _| members.contains(member));
    if let Some(member) = filled(&now).first() {
        let found = now[member].describe();
        return Err(Failure::message(Kind::Step, format!("the volume of {member} is not empty: {found}"))
            .hint("the same command goes on from there"));
    }
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: null}}});
    for member in &members {
        let name = world.desired.cluster.claim(*member);
        claims.merge(&name, "annotate", &patch, Kind::Step).await?;
    }
    if let Some(record) = forgotten(&world.desired, found) {
        record::replace_record(cx, record).await?;
    }
    Ok(Finished::unchanged(format!("empty: {}", list(&members))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_something_is_emptied_and_the_record_goes_with_the_last_node() {
        let desired = crate::desired::tests::desired("c", 2);
        let full = Evidence { contents: Contents::Other, found: "files".to_owned(), ..Evidence::MISSING };
        let empty = Evidence { contents: Contents::Empty, found: "nothing".to_owned(), ..Evidence::MISSING };
        let rows = |volumes: &[(Member, &Evidence)], record: Record| -> Vec<String> {
            let volumes = volumes.iter().map(|(member, evidence)| (*member, (*evidence).clone())).collect();
            let found = Found { volumes, record, backups: String::new() };
            let stages = stages(&desired, &found);
            let row = |stage: &Stage| {
                stage.objects.iter().map(|object| format!("{} {object}", stage.step)).collect::<Vec<_>>()
            };
            stages.iter().flat_map(row).collect()
        };
        let formed = Record { formed: true, uuid: None };
        let (one, two) = (Member::Node(1), Member::Node(2));
        let job = "purge job/c-galera-purge-node1-volume-job";
        assert_eq!(rows(&[(one, &full)], formed.clone()), [job]);
        assert_eq!(rows(&[(one, &full), (two, &empty)], formed), [job, "proof configmap/c-galera-record"]);
        assert_eq!(rows(&[(one, &empty), (two, &empty)], Record::default()), [""; 0]);
    }
}
