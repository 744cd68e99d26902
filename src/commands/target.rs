//! Which cluster a verb means when no file says it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::{ApiResource, ObjectMeta};

use crate::cluster::record;
use crate::commands::Globals;
use crate::desired::Desired;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::delete::owned;
use crate::kube::errors::{explain, is_forbidden};
use crate::kube::objects::{self, Objects, Seen};
use crate::manifests::config::Record;
use crate::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Member, Namespace};
use crate::settings::{self, Flag, Input};

/// More places than this are only counted.
const NAMED: usize = 5;

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

/// The cluster that is meant: by flags, else by `./galera.conf`, else the only one in the namespace. Hints name it from
/// then on.
pub(super) async fn find(globals: &Globals, connection: &Connection) -> Result<Target> {
    let named_by_file = std::path::Path::new(settings::DEFAULT_FILE).exists();
    let target = if named_by_file || globals.name.is_some() {
        let settings = settings::load(&input(globals, Some(connection.default_namespace.clone())))?;
        Target { cluster: settings.desired.cluster, namespace: settings.desired.namespace }
    } else {
        let namespace = globals.namespace.as_ref().unwrap_or(&connection.default_namespace);
        only(connection, namespace.parse().or_fail(Kind::Usage)?).await?
    };
    globals.learn(&target.cluster, &target.namespace);
    Ok(target)
}

/// The only cluster in a namespace.
async fn only(connection: &Connection, namespace: Namespace) -> Result<Target> {
    let (mut clusters, hidden) = clusters(connection, &namespace).await?;
    match (clusters.len(), hidden) {
        (0, Some(failure)) => Err(failure),
        (1, _) => Ok(Target { cluster: clusters.remove(0), namespace }),
        (0, None) => {
            let none = format!("there is no cluster of galeractl in namespace {namespace}");
            let failure = elsewhere(connection, Failure::message(Kind::Usage, none)).await;
            Err(failure.hint("name another namespace with -n, or form a cluster: galeractl up"))
        }
        _ => Err(Failure::message(
            Kind::Usage,
            format!("namespace {namespace} has several clusters: {}", names(&clusters)),
        )
        .hint(format!("choose one: --name {}", clusters[0]))),
    }
}

fn names(clusters: &[ClusterName]) -> String {
    clusters.iter().map(ClusterName::as_str).collect::<Vec<_>>().join(", ")
}

/// What is left of a cluster, be it only its volumes or passwords.
fn parts() -> [ApiResource; 5] {
    [
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Secret>(&()),
    ]
}

/// Clusters of which something exists in the namespace, by its labels or, for a claim, by its name alone; and why some
/// kinds could not be looked at.
pub(super) async fn clusters(
    connection: &Connection,
    namespace: &Namespace,
) -> Result<(Vec<ClusterName>, Option<Failure>)> {
    let list = async |kind: ApiResource| {
        // A claim that has lost its labels still holds data.
        let labels = match kind.kind.as_str() {
            "PersistentVolumeClaim" => String::new(),
            _ => format!("{MANAGED_BY_LABEL}={MANAGER}"),
        };
        objects::metadata(&connection.client, namespace, &kind, &labels).await
    };
    let (mut names, mut hidden) = (Vec::new(), None);
    for answer in futures::future::join_all(parts().map(list)).await {
        let forbidden = answer.as_ref().is_err_and(is_forbidden);
        match answer
            .map_err(|error| explain(Kind::Preflight, format!("look for clusters in namespace {namespace}"), error))
        {
            Ok(list) => names.extend(list.iter().filter_map(cluster_of)),
            Err(failure) if forbidden => hidden = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    names.sort();
    names.dedup();
    Ok((names, hidden))
}

/// Which cluster an object belongs to.
fn cluster_of(object: &ObjectMeta) -> Option<ClusterName> {
    let label = |key: &str| object.labels.as_ref()?.get(key).map(String::as_str);
    if label(MANAGED_BY_LABEL) == Some(MANAGER) {
        return label(INSTANCE_LABEL)?.parse().ok();
    }
    let (cluster, of) = object.name.as_deref()?.strip_suffix("-volume-claim")?.rsplit_once("-galera-")?;
    (of == "backup" || of.parse::<Member>().is_ok()).then(|| cluster.parse().ok())?
}

/// Makes sure that something of the cluster exists. `kind` is [`Kind::No`] for verbs that only tell, and
/// [`Kind::Preflight`] for those that change something.
///
/// # Errors
/// Nothing of it does, and what is there instead.
pub(super) async fn must_exist(connection: &Connection, target: &Target, kind: Kind) -> Result<()> {
    let Target { cluster, namespace } = target;
    let (others, hidden) = clusters(connection, namespace).await?;
    // What may not be looked at may exist; the verb itself meets it, and says which right is missing.
    if others.contains(cluster) || hidden.is_some() {
        return Ok(());
    }
    let failure = |end: String| Failure::message(kind, format!("there is no cluster {cluster} {end}"));
    if !others.is_empty() {
        return Err(failure(format!("in namespace {namespace}; there is: {}", names(&others))));
    }
    let namespaces: Objects<k8s_openapi::api::core::v1::Namespace> = Objects::everywhere(&connection.client);
    let failure = match namespaces.look(namespace.as_str(), kind).await? {
        Seen::Missing => failure(format!("in namespace {namespace}: that namespace does not exist")),
        // Someone who may work in a namespace need not be allowed to look at it.
        Seen::Hidden => failure(format!("in namespace {namespace}")),
        Seen::There(_) => failure(format!("in namespace {namespace}, nor any other")),
    };
    Err(elsewhere(connection, failure).await)
}

/// A failure that names the clusters of other namespaces, for one who may look there. Nothing follows from silence.
async fn elsewhere(connection: &Connection, failure: Failure) -> Failure {
    let maps: Objects<ConfigMap> = Objects::everywhere(&connection.client);
    let found = maps.list_seen(&format!("{MANAGED_BY_LABEL}={MANAGER}"), Kind::Preflight).await;
    let places = found.ok().flatten().map(|maps| places(&maps)).unwrap_or_default();
    match places.as_slice() {
        [] => failure,
        few if few.len() <= NAMED => failure.hint(format!("there is: {}", few.join(", "))),
        many => failure.hint(format!("there are {} elsewhere: galeractl list -A", many.len())),
    }
}

/// Clusters that have settings, with their namespaces.
fn places(maps: &[ConfigMap]) -> Vec<String> {
    let place = |map: &ConfigMap| {
        let cluster = cluster_of(&map.metadata).filter(|cluster| map.metadata.name == Some(cluster.spec()))?;
        Some(format!("{cluster} in namespace {}", map.metadata.namespace.as_deref()?))
    };
    maps.iter().filter_map(place).collect()
}

/// What is recorded about the target.
pub(super) async fn stored(connection: &Connection, target: &Target) -> Result<Option<Stored>> {
    let found = record::stored(&connection.client, &target.namespace, &target.cluster).await?;
    Ok(found.map(|(desired, record)| Stored { desired, record }))
}

/// Whether the cluster is meant to run: it has a StatefulSet, or a pod of a member. Its record outlives it.
pub(super) async fn is_running(connection: &Connection, target: &Target) -> Result<bool> {
    let kinds = [ApiResource::erase::<StatefulSet>(&()), ApiResource::erase::<Pod>(&())];
    let Target { cluster, namespace } = target;
    let found = owned(&connection.client, namespace, cluster, &kinds, &[]).await?;
    let seed = cluster.pod(Member::Seed);
    Ok(found.iter().any(|found| found.resource.kind == "StatefulSet" || is_member(cluster, &found.name, &seed)))
}

/// Whether a pod of this name is that of a member, and not of a proxy or of something that looks at volumes.
fn is_member(cluster: &ClusterName, pod: &str, seed: &str) -> bool {
    let node = || {
        let node: Member = pod.strip_prefix(&format!("{cluster}-galera-"))?.strip_suffix("-0")?.parse().ok()?;
        Some(cluster.pod(node) == pod)
    };
    pod == seed || node().unwrap_or(false)
}

/// As [`stored`], for verbs that make no sense without a running cluster. `missing` is the kind of failure where there
/// is no such cluster, as for [`must_exist`].
pub(super) async fn running(connection: &Connection, target: &Target, missing: Kind) -> Result<Stored> {
    let Target { cluster, namespace } = target;
    must_exist(connection, target, missing).await?;
    if !is_running(connection, target).await? {
        return Err(Failure::message(Kind::No, format!("cluster {cluster} in namespace {namespace} is stopped"))
            .hint("bring it back: galeractl up"));
    }
    stored(connection, target).await?.ok_or_else(|| {
        Failure::message(
            Kind::No,
            format!(
                "cluster {cluster} runs in namespace {namespace}, but configmap/{} with its settings is missing",
                cluster.spec()
            ),
        )
        .hint("see what is left: galeractl status")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() }
    }

    #[test]
    fn objects_are_known_by_their_labels_and_claims_by_their_names() {
        let of = |name: &str, labels: &[(&str, &str)]| cluster_of(&object(name, labels)).map(|name| name.to_string());
        let own = [(MANAGED_BY_LABEL, MANAGER), (INSTANCE_LABEL, "shop")];
        assert_eq!(of("anything", &own).as_deref(), Some("shop"));
        assert_eq!(of("anything", &[(INSTANCE_LABEL, "shop")]), None);
        for name in
            ["shop-galera-node1-volume-claim", "shop-galera-seed-volume-claim", "shop-galera-backup-volume-claim"]
        {
            assert_eq!(of(name, &[]).as_deref(), Some("shop"), "{name}");
        }
        assert_eq!(of("a-galera-b-galera-node12-volume-claim", &[]).as_deref(), Some("a-galera-b"));
        for name in
            ["shop-galera-node0-volume-claim", "shop-galera-x-volume-claim", "data-volume-claim", "shop-galera-node1"]
        {
            assert_eq!(of(name, &[]), None, "{name}");
        }
    }

    #[test]
    fn clusters_elsewhere_are_named_once_each() {
        let map = |name: &str| {
            let own = object(name, &[(MANAGED_BY_LABEL, MANAGER), (INSTANCE_LABEL, "shop")]);
            ConfigMap { metadata: ObjectMeta { namespace: Some("web".to_owned()), ..own }, ..ConfigMap::default() }
        };
        let maps = ["shop-galera-spec", "shop-galera-config", "shop-galera-record"].map(map);
        assert_eq!(places(&maps), ["shop in namespace web"]);
    }

    #[test]
    fn pods_of_members_are_told_from_those_of_helpers() {
        let shop: ClusterName = "shop".parse().unwrap();
        let member = |pod: &str| is_member(&shop, pod, &shop.pod(Member::Seed));
        assert!(member("shop-galera-seed") && member("shop-galera-node2-0"));
        for pod in [
            "shop-galera-haproxy-abc-0",
            "shop-galera-inspect-node1",
            "shop-galera-backup-reader",
            "shop-galera-node02-0",
        ] {
            assert!(!member(pod), "{pod}");
        }
    }
}
