//! A namespace of its own for each test.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt;
use galeractl::kube::client::{Connection, Options};
use galeractl::names::{ClusterName, INSTANCE_LABEL, Member, Namespace};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::RwLock;

use crate::post_mortem;
use crate::volume;
use crate::wait::{holds, until};

/// Where a test works: a namespace, a cluster name, a home directory.
pub(crate) struct Place {
    pub(crate) connection: Connection,
    pub(crate) namespace: Namespace,
    pub(crate) cluster: ClusterName,
    /// Home and working directory of every process that is started.
    pub(crate) home: TempDir,
    /// Everything that these processes have printed.
    pub(crate) said: Mutex<String>,
}

/// The kubeconfig: named by the environment, or that of the cluster which this repository can start.
pub(crate) fn options() -> Options {
    let context = std::env::var("GALERACTL_E2E_CONTEXT").ok();
    let kubeconfig = std::env::var_os("GALERACTL_E2E_KUBECONFIG").map(PathBuf::from).or_else(|| {
        let named = std::env::var_os("KUBECONFIG").filter(|_| context.is_some()).map(PathBuf::from);
        named.or_else(|| context.is_none().then(local_cluster))
    });
    Options { kubeconfig, context, ..Options::default() }
}

fn local_cluster() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/cluster");
    let output = Command::new(script).arg("kubeconfig").output().expect("tests/cluster/cluster can be run");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

async fn connect() -> Connection {
    let missing =
        "start a cluster with `make cluster`, or name one by GALERACTL_E2E_KUBECONFIG or GALERACTL_E2E_CONTEXT";
    let connection = match Connection::open(&options()).await {
        Ok(connection) => connection,
        Err(failure) => panic!("there is no cluster to test on ({failure}): {missing}"),
    };
    if let Err(failure) = connection.version().await {
        panic!("the cluster to test on does not answer ({failure}): {missing}");
    }
    connection
}

/// Held by every test: together with others, or alone.
static CLUSTER: RwLock<()> = RwLock::const_new(());

/// Runs a test in a new namespace that enforces the `restricted` standard, and removes the namespace in any case. Other
/// tests may run at the same time.
pub(crate) async fn in_namespace(noun: &str, test: impl AsyncFnOnce(&Place)) {
    beside_others(&format!("e2e-{noun}-{}", std::process::id()), "shop", test).await;
}

/// As [`in_namespace`], with the names of the namespace and of the cluster.
pub(crate) async fn beside_others(name: &str, cluster: &str, test: impl AsyncFnOnce(&Place)) {
    let _others_may_run = CLUSTER.read().await;
    within(name, cluster, test).await;
}

/// Runs a test that changes what belongs to all: hosts, the default class, volumes and a namespace of fixed names.
pub(crate) async fn without_others(name: &str, cluster: &str, test: impl AsyncFnOnce(&Place)) {
    let _no_other_runs = CLUSTER.write().await;
    within(name, cluster, test).await;
}

/// Whether tests take all of their cases, also those that are judged by a function that has tests of its own.
pub(crate) fn every_case() -> bool {
    std::env::var_os("EVERY_CASE").is_some()
}

/// A place of its own for a test that has one of these already, or for a part of it.
///
/// # Panics
/// If the namespace exists already: it is somebody else's.
pub(crate) async fn within(name: &str, cluster: &str, test: impl AsyncFnOnce(&Place)) {
    let connection = connect().await;
    let namespaces: Api<v1::Namespace> = Api::all(connection.client.clone());
    let namespace =
        parse(json!({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
    if let Err(error) = namespaces.create(&PostParams::default(), &namespace).await {
        panic!("the test needs a namespace {name} of its own: {error}");
    }
    let place = Place {
        connection,
        namespace: name.parse().unwrap(),
        cluster: cluster.parse().unwrap(),
        home: TempDir::new().unwrap(),
        said: Mutex::default(),
    };
    let result = AssertUnwindSafe(async {
        // Pods need it, and it is made a moment after its namespace.
        let accounts = place.api::<v1::ServiceAccount>();
        until("the namespace's service account", Duration::from_secs(60), async || {
            let account = accounts.get_opt("default").await.map_err(|error| error.to_string())?;
            holds(account.is_some(), || "none yet".to_owned())
        })
        .await;
        test(&place).await;
    });
    let result = result.catch_unwind().await;
    if let Err(panic) = &result {
        post_mortem::tell(name, panic.as_ref());
        post_mortem::print(&place).await;
    }
    let removed = AssertUnwindSafe(remove(&place)).catch_unwind().await;
    match result.and(removed) {
        Ok(()) => {}
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What is left need not say goodbye. Volumes belong to no namespace; those that were made for this one go as well.
async fn remove(place: &Place) {
    let name = place.namespace.as_str();
    let volumes: Api<v1::PersistentVolume> = Api::all(place.connection.client.clone());
    let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={}", place.cluster));
    let namespaces: Api<v1::Namespace> = Api::all(place.connection.client.clone());
    volume::let_go(place).await;
    // Controllers would make new pods where none may be made any more, and a namespace that still has pods is looked at
    // again only after a pause.
    let all = ListParams::default();
    let with_them = DeleteParams::background();
    place.api::<StatefulSet>().delete_collection(&with_them, &all).await.unwrap();
    place.api::<Deployment>().delete_collection(&with_them, &all).await.unwrap();
    place.api::<Job>().delete_collection(&with_them, &all).await.unwrap();
    let pods: Api<v1::Pod> = place.api();
    until(&format!("the end of all pods in {name}"), Duration::from_secs(120), async || {
        let now = DeleteParams::default().grace_period(1);
        pods.delete_collection(&now, &all).await.map_err(|error| error.to_string())?;
        let left = pods.list(&all).await.map_err(|error| error.to_string())?.items;
        holds(left.is_empty(), || format!("{:?}", left.iter().map(ResourceExt::name_any).collect::<Vec<_>>()))
    })
    .await;
    namespaces.delete(name, &DeleteParams::background()).await.expect("the namespace can be deleted");
    until(&format!("the end of namespace {name}"), Duration::from_secs(60), async || {
        let left = namespaces.get_opt(name).await.map_err(|error| error.to_string())?;
        holds(left.is_none(), || format!("{:?}", left.and_then(|left| left.status)))
    })
    .await;
    for volume in volumes.list(&ours).await.unwrap() {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        if claim.and_then(|claim| claim.namespace.as_deref()) == Some(name) {
            volumes.delete(&volume.name_any(), &DeleteParams::default()).await.unwrap();
        }
    }
}

pub(crate) fn parse<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

impl Place {
    /// Objects of this kind in the test's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.connection.client.clone(), self.namespace.as_str())
    }

    /// Where nobody looks at the proxies one is enough: each of them asks every node every second. This is the file
    /// that every process finds in its working directory.
    pub(crate) fn has_one_proxy(&self) {
        let file = self.home.path().join("galera.conf");
        std::fs::write(file, "[all:vars]\ngalera_cluster_haproxy_replicas=1\n").unwrap();
    }

    /// The pod of a permanent node.
    pub(crate) fn node(&self, index: u32) -> String {
        self.cluster.pod(Member::Node(index))
    }
}
