//! Which cluster a verb means when no file says it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cli::Globals;
use crate::desired::Desired;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::errors::explain;
use crate::manifests::config::Record;
use crate::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Namespace};
use crate::settings::{self, Flag, Input};
use crate::steps::record;

/// A cluster by name.
pub(super) struct Target {
    pub(super) cluster: ClusterName,
    pub(super) namespace: Namespace,
}

impl Target {
    /// A cluster of which only the name is known: everything else as if nobody had said anything.
    pub(super) fn with_defaults(&self) -> Result<Desired> {
        let defaults = settings::load_from(&Input::default(), None)?.desired;
        Ok(Desired { cluster: self.cluster.clone(), namespace: self.namespace.clone(), ..defaults })
    }
}

/// What a cluster is recorded to be.
pub(super) struct Stored {
    pub(super) desired: Desired,
    pub(super) record: Record,
}

/// Connects, and proves that somebody answers.
pub(super) async fn connect(globals: &Globals) -> Result<Connection> {
    let connection = Connection::open(&globals.connection()).await?;
    connection.version().await?;
    Ok(connection)
}

/// Settings from the flags that all verbs share, and from `./galera.conf` where it exists.
pub(super) fn input(globals: &Globals, fallback_namespace: Option<String>) -> Input {
    let name = globals.name.iter().map(|name| Flag::name("--name", name));
    let namespace = globals.namespace.iter().map(|namespace| Flag::namespace("--namespace", namespace));
    Input {
        use_default_file: true,
        environment: std::env::vars().collect(),
        flags: name.chain(namespace).collect(),
        fallback_namespace,
        ..Input::default()
    }
}

/// The cluster that is meant: by flags, else by `./galera.conf`, else the only one in the namespace.
pub(super) async fn find(globals: &Globals, connection: &Connection) -> Result<Target> {
    let named_by_file = std::path::Path::new(settings::DEFAULT_FILE).exists();
    if named_by_file || globals.name.is_some() {
        let settings = settings::load(&input(globals, Some(connection.default_namespace.clone())))?;
        return Ok(Target { cluster: settings.desired.cluster, namespace: settings.desired.namespace });
    }
    let namespace = globals.namespace.as_ref().unwrap_or(&connection.default_namespace);
    let namespace: Namespace = namespace.parse().or_fail(Kind::Usage)?;
    let mut clusters = managed(connection, &namespace).await?;
    match clusters.len() {
        1 => Ok(Target { cluster: clusters.remove(0), namespace }),
        0 => Err(Failure::message(Kind::Usage, format!("there is no cluster of galeractl in namespace {namespace}"))
            .hint("name another namespace with -n, or form a cluster: galeractl up")),
        _ => {
            let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
            Err(Failure::message(
                Kind::Usage,
                format!("namespace {namespace} has several clusters: {}", names.join(", ")),
            )
            .hint(format!("choose one: --name {}", names[0])))
        }
    }
}

/// Clusters of which something is left in the namespace, be it only their volumes.
async fn managed(connection: &Connection, namespace: &Namespace) -> Result<Vec<ClusterName>> {
    let params = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
    let maps: Api<ConfigMap> = Api::namespaced(connection.client.clone(), namespace.as_str());
    let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::namespaced(connection.client.clone(), namespace.as_str());
    let refused = |error| explain(Kind::Unreachable, format!("look for clusters in namespace {namespace}"), error);
    let (maps, claims) =
        tokio::try_join!(maps.list_metadata(&params), claims.list_metadata(&params)).map_err(refused)?;
    let labels = maps.items.iter().map(ResourceExt::labels).chain(claims.items.iter().map(ResourceExt::labels));
    let mut names: Vec<ClusterName> = labels.filter_map(|labels| labels.get(INSTANCE_LABEL)?.parse().ok()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// What is recorded about the target.
pub(super) async fn stored(connection: &Connection, target: &Target) -> Result<Option<Stored>> {
    let found = record::stored(&connection.client, &target.namespace, &target.cluster).await?;
    Ok(found.map(|(desired, record)| Stored { desired, record }))
}

/// As [`stored`], for verbs that make no sense without a running cluster.
pub(super) async fn running(connection: &Connection, target: &Target) -> Result<Stored> {
    stored(connection, target).await?.ok_or_else(|| {
        let Target { cluster, namespace } = target;
        Failure::message(Kind::No, format!("cluster {cluster} is not running in namespace {namespace}"))
            .hint(format!("form it, or bring it back: galeractl up --name {cluster} -n {namespace}"))
    })
}
