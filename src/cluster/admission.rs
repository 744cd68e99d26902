//! What quotas, limits, policies and webhooks would refuse is refused before anything is made.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::error::{Kind, OrFail, Result};
use crate::kube::apply::{Applier, Strategy};
use crate::manifests::Object;

use super::world::World;

/// A webhook that has effects of its own cannot be asked.
const CANNOT_BE_ASKED: &str = "does not support dry run";

/// Has the API server judge those of these objects that are missing, and the pods that it would make of them. What counts
/// all of them together, as a quota does, is asked about each alone.
///
/// # Errors
/// [`Kind::Preflight`] with the reason of the first refusal.
pub async fn admitted(world: &World, objects: impl Iterator<Item = Object>) -> Result<()> {
    let cluster = world.desired.cluster.clone();
    let applier = Applier::new(world.connection.client.clone(), cluster, Strategy::ServerDryRun);
    let mut all: Vec<Object> = objects.filter(|object| object.resource.kind != "Namespace").collect();
    let pods = all.iter().filter_map(|object| pod_of(object).transpose()).collect::<Result<Vec<Object>>>()?;
    all.extend(pods);
    let exist = join_all(all.iter().map(|object| applier.exists(object))).await;
    let mut asked = Vec::new();
    for (object, exists) in all.into_iter().zip(exist) {
        if !exists? {
            asked.push(object);
        }
    }
    for answer in join_all(asked.iter().map(|object| applier.apply(object))).await {
        match answer {
            Err(failure) if failure.to_string().contains(CANNOT_BE_ASKED) => {}
            answer => drop(answer?),
        }
    }
    Ok(())
}

/// The pod that a controller would make of this object, under a name of its own.
fn pod_of(object: &Object) -> Result<Option<Object>> {
    if !["StatefulSet", "Deployment"].contains(&object.resource.kind.as_str()) {
        return Ok(None);
    }
    let mut pod = object.value["spec"]["template"].clone();
    pod["metadata"]["name"] = json!(format!("{}-0", object.name));
    pod["metadata"]["namespace"] = json!(object.namespace);
    Ok(Some(Object::of(&serde_json::from_value::<Pod>(pod).or_fail(Kind::Bug)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests;

    #[test]
    fn every_controller_has_a_pod_that_can_be_asked_about() {
        let desired = crate::desired::tests::desired("c", 2);
        let objects = [manifests::nodes(&desired), manifests::proxy(&desired)].concat();
        let pods: Vec<Object> = objects.iter().filter_map(|object| pod_of(object).unwrap()).collect();
        let names: Vec<String> = pods.iter().map(Object::display).collect();
        assert_eq!(names, ["pod/c-galera-node1-0", "pod/c-galera-node2-0", "pod/c-galera-haproxy-0"]);
        for pod in pods {
            assert_eq!(pod.namespace.as_deref(), Some("data"));
            assert!(
                pod.value["spec"]["containers"][0]["image"].is_string() && pod.value["metadata"]["labels"].is_object()
            );
        }
    }
}
