//! A namespace of its own for each test.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use galeractl::kube::apply::{Applier, Strategy};
use galeractl::kube::client::{Connection, Options};
use galeractl::manifests::Object;
use galeractl::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Namespace};
use k8s_openapi::api::core::v1;
use kube::Resource;
use kube::api::{Api, DeleteParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// No single thing on a test cluster takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
pub(crate) const IMAGE: &str = "mariadb:11.8";

pub(crate) struct Place {
    pub(crate) connection: Connection,
    pub(crate) namespace: Namespace,
    pub(crate) cluster: ClusterName,
}

/// # Panics
/// If no cluster is named: a test without its cluster has not passed.
pub(crate) fn options() -> Options {
    let variable = |name| std::env::var_os(name).filter(|path| !path.is_empty());
    let context = std::env::var("GALERACTL_E2E_CONTEXT").ok().filter(|name| !name.is_empty());
    let named = variable("GALERACTL_E2E_KUBECONFIG").or_else(|| variable("KUBECONFIG").filter(|_| context.is_none()));
    assert!(
        named.is_some() || context.is_some(),
        "no cluster: start one with `make cluster` and set GALERACTL_E2E_KUBECONFIG to what `make -s kubeconfig` prints, \
         or name a context of your kubeconfig by GALERACTL_E2E_CONTEXT"
    );
    Options { kubeconfig: named.map(Into::into), context, ..Options::default() }
}

/// Runs a test in a new namespace that enforces the `restricted` standard, and removes the namespace in any case.
pub(crate) async fn in_namespace<F>(test: impl FnOnce(std::sync::Arc<Place>) -> F)
where
    F: Future<Output = ()>,
{
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let connection = Connection::open(&options()).await.expect("a kubeconfig");
    let name = format!("test-kube-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let namespaces: Api<v1::Namespace> = Api::all(connection.client.clone());
    let namespace =
        parse(json!({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
    namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace");
    let place = Place { connection, namespace: name.parse().unwrap(), cluster: "shop".parse().unwrap() };
    let place = std::sync::Arc::new(place);
    let result = AssertUnwindSafe(tokio::time::timeout(LIMIT, test(place))).catch_unwind().await;
    namespaces.delete(&name, &DeleteParams::background()).await.expect("the namespace goes");
    match result {
        Ok(in_time) => in_time.expect("the test ends in time"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(crate) fn parse<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Place {
    pub(crate) fn applier(&self, strategy: Strategy) -> Applier {
        Applier::new(self.connection.client.clone(), self.cluster.clone(), strategy)
    }

    /// An object of the cluster.
    pub(crate) fn object<K>(&self, name: &str, mut rest: Value) -> Object
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        rest["metadata"] = json!({"name": name, "namespace": self.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: self.cluster}});
        Object::of(&parse::<K>(rest))
    }

    pub(crate) async fn apply(&self, object: &Object) {
        self.applier(Strategy::Apply).apply(object).await.unwrap();
    }

    /// A pod that the `restricted` standard accepts and that runs a shell script.
    pub(crate) fn pod(&self, name: &str, image: &str, script: &str) -> Object {
        self.object::<v1::Pod>(name, json!({"spec": pod_spec(image, script)}))
    }
}

pub(crate) fn pod_spec(image: &str, script: &str) -> Value {
    json!({
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Always",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "main", "image": image, "command": ["bash", "-c", script],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }],
        "volumes": [{"name": "data", "emptyDir": {}}],
    })
}
