//! Volumes that no storage class makes: those that exist are used if they are the ones that are meant.

use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::DynamicObject;
use kube::core::ApiResource;

use crate::engine::StepCx;
use crate::engine::event::Change;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::apply::is_ours;
use crate::kube::delete::{Deletion, Found, delete};
use crate::kube::objects::raw;
use crate::manifests::{self, Object};
use crate::plans::adoption::{Misfit, fits};

use super::world::World;

/// Volumes that have to be made; all others exist and fit.
///
/// # Errors
/// [`Kind::Preflight`] for a volume that exists and is not the one that is meant.
pub async fn missing(world: &World, with_seed: bool) -> Result<Vec<Object>> {
    let desired = &world.desired;
    let mut missing = Vec::new();
    let backup =
        manifests::backup_volumes(desired).into_iter().filter(|object| object.resource.kind == "PersistentVolume");
    for volume in manifests::volumes(desired, with_seed).into_iter().chain(backup) {
        match world.applier.find(&volume).await? {
            None => missing.push(volume),
            Some(live) => judge(world, &volume, live)?,
        }
    }
    Ok(missing)
}

fn judge(world: &World, wanted: &Object, live: DynamicObject) -> Result<()> {
    let parse = |value: serde_json::Value| serde_json::from_value::<PersistentVolume>(value).or_fail(Kind::Bug);
    let live = parse(serde_json::to_value(live).or_fail(Kind::Bug)?)?;
    let Err(misfit) = fits(&parse(wanted.value.clone())?, &live) else { return Ok(()) };
    let name = &wanted.name;
    Err(match misfit {
        Misfit::Different(_) if world.choices.take_ownership => return Ok(()),
        Misfit::Different(fields) => Failure::message(
            Kind::Preflight,
            format!("persistentvolume/{name} exists and is not what the settings describe:\n  {}", fields.join("\n  ")),
        )
        .hint("correct galera.conf, or delete the volume if nobody needs it (what lies on its target stays)")
        .hint("or use it as it is: --take-ownership"),
        Misfit::Taken(claim) => {
            Failure::message(Kind::Preflight, format!("persistentvolume/{name} belongs to the claim {claim}"))
                .hint("choose another cluster name: volumes are named after the cluster, in all namespaces alike")
        }
        Misfit::Released => released(name).hint(if *name == world.desired.cluster.backup_volume() {
            "to go without these backups: delete the volume, and galeractl makes another one on the same share"
        } else {
            "to empty it and use it again: galeractl purge --released -f galera.conf"
        }),
    })
}

/// A volume that was kept when its claim was deleted, and that nobody can claim again yet.
#[must_use]
pub fn released(name: &str) -> Failure {
    Failure::message(
        Kind::Preflight,
        format!("persistentvolume/{name} is Released: its claim was deleted, its data is still there"),
    )
    .hint(format!(
        "to use it with what is on it: kubectl patch pv {name} --type json -p \
         '[{{\"op\":\"remove\",\"path\":\"/spec/claimRef/uid\"}}]'"
    ))
}

/// Deletes a volume object of this cluster; what lies on its target stays. Volumes of others are left alone.
///
/// # Errors
/// The API server refuses.
pub async fn forget(cx: &StepCx<'_, World>, name: &str) -> Result<usize> {
    let world = cx.world;
    let client = &world.connection.client;
    let resource = ApiResource::erase::<PersistentVolume>(&());
    let found = raw(client, &resource, name, Kind::Step).await?;
    let Some(live) = found.filter(|live| is_ours(live, &world.desired.cluster) && is_for(live, world)) else {
        return Ok(0);
    };
    let Some(uid) = live.metadata.uid else { return Ok(0) };
    let found = Found { resource, namespace: None, name: name.to_owned(), uid };
    if delete(client, &found, None).await? == Deletion::Requested {
        world.tell(cx, &found.display(), Change::Deleted);
    }
    Ok(1)
}

/// Clusters of the same name may live in several namespaces.
fn is_for(volume: &DynamicObject, world: &World) -> bool {
    volume.data["spec"]["claimRef"]["namespace"].as_str() == Some(world.desired.namespace.as_str())
}
