//! Manifests as people apply them: from files, under another name than galeractl's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, TypeMeta};
use serde_json::Value;

use crate::place::Place;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(180);

impl Place {
    /// Writes manifests of this many nodes into a new folder of this name.
    pub(crate) async fn render(&self, folder: &str, nodes: &str, more: &[&str]) -> PathBuf {
        let folder = self.home.path().join(folder);
        let args = ["render", "--nodes", nodes, "--out", folder.to_str().unwrap()];
        self.run(&[&args[..], more].concat()).await.ended(0);
        folder
    }
}

/// The objects of a file, in its order.
pub(crate) fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// The objects of several files of a folder; the names leave out what is common to all.
pub(crate) fn steps(folder: &Path, nodes: u32, names: &[&str]) -> Vec<Value> {
    names.iter().flat_map(|name| documents(&folder.join(format!("galera-{nodes}-{name}.yml")))).collect()
}

fn api(place: &Place, document: &Value) -> (Api<DynamicObject>, String) {
    let types: TypeMeta = serde_json::from_value(document.clone()).unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    let api = Api::namespaced_with(place.connection.client.clone(), place.namespace.as_str(), &resource);
    (api, document["metadata"]["name"].as_str().unwrap().to_owned())
}

/// Applies them one after the other, without waiting and without taking fields from anybody.
pub(crate) async fn apply(place: &Place, documents: &[Value]) {
    for document in documents {
        let (api, name) = api(place, document);
        let applied = api.patch(&name, &PatchParams::apply("kubectl"), &Patch::Apply(document)).await;
        applied.unwrap_or_else(|error| panic!("{} {name}: {error}", document["kind"]));
    }
}

pub(crate) async fn delete(place: &Place, documents: &[Value]) {
    for document in documents {
        let (api, name) = api(place, document);
        // Jobs would leave their pods.
        api.delete(&name, &DeleteParams::background()).await.unwrap();
    }
}

/// Gives the seed a certificate, which its pod needs before its script can say anything: that of node1.
pub(crate) async fn certify_seed(place: &Place) {
    let secrets = place.api::<Secret>();
    let Secret { data, type_, metadata, .. } = secrets.get(&place.cluster.certificate(Member::Node(1))).await.unwrap();
    let mut labels = metadata.labels.unwrap();
    labels.values_mut().filter(|value| *value == "node1").for_each(|value| *value = Member::Seed.to_string());
    let name = Some(place.cluster.certificate(Member::Seed));
    let metadata = ObjectMeta { name, labels: Some(labels), ..ObjectMeta::default() };
    secrets.create(&PostParams::default(), &Secret { metadata, data, type_, ..Secret::default() }).await.unwrap();
}

/// Waits until Kubernetes calls all of these pods ready.
pub(crate) async fn ready(place: &Place, pods: &[String]) {
    until(&format!("{pods:?} to be ready"), LIMIT, async || {
        for name in pods {
            let pod = place.api::<Pod>().get_opt(name).await.unwrap();
            let status = pod.and_then(|pod| pod.status).unwrap_or_default();
            let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
            holds(ready, || format!("{name}: {:?}", status.phase))?;
        }
        Ok(())
    })
    .await;
}
