//! Claims of members, and what lies on their volumes while no server runs on them.

use std::time::Duration;

use galeractl::names::Member;
use galeractl::settings::{self, Flag, Input};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::helper::Helper;
use crate::place::Place;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);

/// What a shell script prints that has a member's volume under `/data`.
pub(crate) async fn visit(place: &Place, member: Member, script: &str) -> String {
    let claim = place.cluster.claim(member);
    let visitor = Helper::start(place, &format!("visitor-{member}"), Some(&claim)).await;
    let said = visitor.run(script).await;
    visitor.end().await;
    said
}

/// Makes a member's claim as galeractl makes it.
pub(crate) async fn make_claim(place: &Place, member: Member) {
    let flags =
        vec![Flag::name("--name", place.cluster.as_str()), Flag::namespace("--namespace", place.namespace.as_str())];
    let desired = settings::load(&Input { flags, ..Input::default() }).unwrap().desired;
    let claim = galeractl::manifests::volumes::claim(&desired, member);
    place.api::<PersistentVolumeClaim>().create(&PostParams::default(), &claim).await.unwrap();
}

/// Deletes a member's claim, and waits until it is gone.
pub(crate) async fn delete_claim(place: &Place, member: Member) {
    let (name, claims) = (place.cluster.claim(member), place.api::<PersistentVolumeClaim>());
    claims.delete(&name, &DeleteParams::default()).await.unwrap();
    until(&format!("the end of {name}"), LIMIT, async || {
        let claim = claims.get_opt(&name).await.unwrap();
        holds(claim.is_none(), || format!("{:?}", claim.and_then(|claim| claim.status)))
    })
    .await;
}

fn volumes(place: &Place) -> Api<PersistentVolume> {
    Api::all(place.connection.client.clone())
}

async fn change(place: &Place, volume: &str, patch: Value) {
    volumes(place).patch(volume, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Deletes a member's claim and keeps its volume, whose name is the answer.
pub(crate) async fn release(place: &Place, member: Member) -> String {
    let claim = place.api::<PersistentVolumeClaim>().get(&place.cluster.claim(member)).await.unwrap();
    let volume = claim.spec.unwrap().volume_name.unwrap();
    change(place, &volume, json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}})).await;
    delete_claim(place, member).await;
    until(&format!("{volume} is released"), LIMIT, async || {
        let status = volumes(place).get(&volume).await.unwrap().status;
        let phase = status.as_ref().and_then(|status| status.phase.as_deref());
        holds(phase == Some("Released"), || format!("{phase:?}"))
    })
    .await;
    volume
}

/// Lets a claim of the same name have a released volume again.
pub(crate) async fn offer(place: &Place, volume: &str) {
    change(place, volume, json!({"spec": {"claimRef": {"uid": null, "resourceVersion": null}}})).await;
}

/// Volumes of storage classes that a test has kept must go with its claims, also those that nobody has claimed again.
pub(crate) async fn let_go(place: &Place) {
    for volume in volumes(place).list(&ListParams::default()).await.unwrap() {
        let spec = volume.spec.as_ref().unwrap();
        let Some(claim) = spec.claim_ref.as_ref() else { continue };
        let kept = spec.persistent_volume_reclaim_policy.as_deref() == Some("Retain");
        let of_class = spec.storage_class_name.as_deref().is_some_and(|class| !class.is_empty());
        if kept && of_class && claim.namespace.as_deref() == Some(place.namespace.as_str()) {
            // A volume is removed when its claim is known and gone.
            let uid = claim.uid.as_deref().unwrap_or("gone");
            let patch = json!({"spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": {"uid": uid}}});
            change(place, &volume.name_any(), patch).await;
        }
    }
}
