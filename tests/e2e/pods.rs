//! Pods of members that come and go by somebody else's hand.

use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::place::Place;
use crate::volume::visit;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);

/// Ends the server of a member without warning.
pub(crate) const KILL: &str = "kill -9 $(cat /run/galeractl/mysqld.pid)";

/// Takes a node's pod away, or lets it come again.
pub(crate) async fn scale(place: &Place, member: Member, replicas: u32) {
    let (name, patch) = (place.cluster.member(member), json!({"spec": {"replicas": replicas}}));
    place.api::<StatefulSet>().patch_scale(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    if replicas == 0 {
        gone(place, &place.cluster.pod(member)).await;
    }
}

/// Half a copy is all that a node has: it gets another by a state transfer.
pub(crate) async fn gets_a_copy(place: &Place, node: u32) {
    let (member, pod) = (Member::Node(node), place.node(node));
    scale(place, member, 0).await;
    visit(place, member, "touch /data/data/sst_in_progress && rm /data/data/ibdata1").await;
    scale(place, member, 1).await;
    place.says(&pod, &["GALERACTL", "event=wsrep", "status=synced"]).await;
    place.healthy().await;
    place.says(&pod, &["SST completed on joiner"]).await;
}

pub(crate) async fn gone(place: &Place, pod: &str) {
    until(&format!("the end of {pod}"), LIMIT, async || {
        let pod = place.api::<Pod>().get_opt(pod).await.unwrap();
        holds(pod.is_none(), || format!("{:?}", pod.and_then(|pod| pod.status)))
    })
    .await;
}
