//! Claims of members, and what lies on their volumes while no server runs on them.

use std::time::Duration;

use galeractl::names::Member;
use galeractl::settings::{self, Flag, Input};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, PostParams};

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
