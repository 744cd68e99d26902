//! What a cluster should be: the merged, validated settings, without passwords.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{ClusterName, Member, Namespace};

/// One cluster as its user wants it. Stored in the spec ConfigMap, so that later verbs need no local file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Prefix of every object's name.
    pub cluster: ClusterName,
    /// Namespace of every object.
    pub namespace: Namespace,
    /// Number of permanent nodes, at least 1.
    pub nodes: u32,
    /// Image of the Galera nodes and the seed.
    pub mariadb_image: String,
    /// Image of the proxy.
    pub haproxy_image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Names of Secrets with registry credentials.
    pub image_pull_secrets: Vec<String>,
    /// Storage class of the data volumes; `None` takes the cluster's default class.
    pub storage_class: Option<String>,
    /// Storage class of the seed's volume; `None` takes that of the data volumes.
    #[serde(default)]
    pub seed_storage_class: Option<String>,
    /// Size of each data volume, a Kubernetes quantity.
    pub volume_size: String,
    /// Database that the seed creates.
    pub database: Option<String>,
    /// User with all rights on `database`, created by the seed.
    pub user: Option<String>,
    /// How the proxy spreads connections.
    pub proxy_mode: ProxyMode,
    /// Number of proxy pods.
    pub proxy_replicas: u32,
    /// Size of `gcache`, in Galera's notation (`256M`): the writes that an absent node can catch up by IST.
    pub gcache_size: String,
    /// Requests and limits of the mariadbd container, such as `cpu` → `500m`.
    pub resources: Resources,
    /// Those of the proxy's containers.
    #[serde(default)]
    pub proxy_resources: Resources,
    /// Those of the agent that takes backups.
    #[serde(default)]
    pub agent_resources: Resources,
    /// Those of pods that look into volumes, empty them, or read backups.
    #[serde(default)]
    pub helper_resources: Resources,
    /// Node labels that the pods' hosts must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of hosts that the pods put up with.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
    /// Priority class of the pods.
    #[serde(default)]
    pub priority_class: Option<String>,
    /// Labels of every pod, beside those that galeractl needs.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of every pod.
    #[serde(default)]
    pub pod_annotations: BTreeMap<String, String>,
    /// Annotations of the Service that exposes the cluster.
    #[serde(default)]
    pub service_annotations: BTreeMap<String, String>,
    /// Domain of the Kubernetes cluster; `None` where each pod is to find it by itself.
    #[serde(default)]
    pub cluster_domain: Option<String>,
    /// Options for `[mysqld]`, beside those that galeractl owns: names spelt with `_`, values verbatim as in an
    /// option file, empty for a bare flag.
    pub mysqld: BTreeMap<String, String>,
    /// Existing iSCSI targets of the data volumes, the seed's included; empty where a storage class makes volumes.
    #[serde(default)]
    pub iscsi: BTreeMap<Member, IscsiTarget>,
    /// What exposing the cluster creates.
    #[serde(default)]
    pub external_access: ExternalAccess,
    /// Port on every host when exposed by [`ExternalAccess::NodePort`]; `None` lets Kubernetes choose.
    #[serde(default)]
    pub node_port: Option<u16>,
    /// Where backups go; `None` without backups.
    #[serde(default)]
    pub backup: Option<Backup>,
    /// Who may reach the cluster, by network policies; `None` where none are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Certificates of the cluster's own authority for all that servers send and receive; `None` without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Who may reach the proxy from elsewhere. The cluster's own namespace may send it queries anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Clients of the database.
    pub clients: Vec<Peer>,
    /// Readers of the proxy's metrics.
    pub metrics: Vec<Peer>,
}

/// The other end of a connection that is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Whoever comes.
    Anyone,
    /// Every pod of a namespace.
    Namespace(String),
    /// Every address of a range, such as `10.1.0.0/16`.
    Range(String),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anyone => "*",
            Self::Namespace(name) | Self::Range(name) => name,
        })
    }
}

/// Certificates that galeractl makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Names and addresses by which clients reach the cluster, beside those that Kubernetes gives it.
    pub names: Vec<String>,
}

/// A taint that pods put up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// Its value; `None` for any.
    pub value: Option<String>,
    /// Its effect; `None` for all.
    pub effect: Option<String>,
}

/// A volume on an iSCSI target that exists already.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IscsiTarget {
    /// `host:port` of the target's portal.
    pub portal: String,
    /// The target's name.
    pub iqn: String,
    /// Number of the volume in the target.
    pub lun: u32,
}

/// The way into the cluster from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExternalAccess {
    /// A Service of type `LoadBalancer`.
    #[default]
    LoadBalancer,
    /// A Service of type `NodePort`.
    NodePort,
}

/// A directory of an NFS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfsShare {
    /// Name or address of the server.
    pub server: String,
    /// Exported path on that server.
    pub path: String,
}

/// Where backups go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupTarget {
    /// A share, through a volume that is made for it.
    Nfs(NfsShare),
    /// A volume of this storage class; `None` takes the Kubernetes cluster's default class.
    Class(Option<String>),
}

/// Backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Image of the agent.
    pub image: String,
    /// Where they go.
    pub target: BackupTarget,
    /// Size of the backup volume, a Kubernetes quantity.
    pub volume_size: String,
    /// Days for which backups are kept, at least 1.
    pub retention_days: u32,
    /// Newest chains that are kept in any case, at least 1.
    pub keep: u32,
    /// Seconds between full backups, at least 1.
    pub full_interval_seconds: u64,
    /// Seconds between incremental backups, at least 1.
    pub incremental_interval_seconds: u64,
    /// Seconds between copies of the binary logs, at least 1.
    pub log_interval_seconds: u64,
    /// Number of the node beside which the agent runs.
    pub node: u32,
    /// Whether they are encrypted and signed, with keys of the cluster's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
}

/// Requests and limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// What the scheduler sets aside.
    pub requests: BTreeMap<String, String>,
    /// What the kernel enforces.
    pub limits: BTreeMap<String, String>,
}

/// How the proxy's port 3306 chooses a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyMode {
    /// All connections go to one healthy node, the others stand by: no certification conflicts.
    SingleWriter,
    /// Connections go to the node with the fewest.
    MultiWriter,
}

impl Desired {
    /// The permanent nodes in order.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = Member> + use<> {
        (1..=self.nodes).map(Member::Node)
    }

    /// The backup settings, if the agent belongs into the pod of this member.
    #[must_use]
    pub fn backup_at(&self, member: Member) -> Option<&Backup> {
        self.backup.as_ref().filter(|backup| member == Member::Node(backup.node))
    }
}

/// A password or other text that must not be shown: `Debug` and `Display` print stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; every caller is a place to look at in a review.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The certificate, in PEM, of the authority that has signed those of a cluster's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(pub String);

/// How galeractl gets into the servers of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Password of galeractl's own user.
    pub password: Hidden,
    /// By whose word a server is the one that is meant; `None` for a cluster without TLS.
    pub authority: Option<Authority>,
}

/// Passwords that the settings give; those that are missing are generated when the Secret is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwords {
    /// Of `root`.
    pub root: Option<Hidden>,
    /// Of [`Desired::user`].
    pub user: Option<Hidden>,
}

/// A server option's value, without the quotes that it may have in an option file.
#[must_use]
pub fn unquoted(value: &str) -> &str {
    value.trim_matches(['"', '\''])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cluster of one node with backups that are encrypted.
    pub(crate) fn backed_up(cluster: &str) -> Desired {
        let backup = Backup {
            image: "mariadb:11.8".to_owned(),
            target: BackupTarget::Class(None),
            volume_size: "10Gi".to_owned(),
            retention_days: 7,
            keep: 2,
            full_interval_seconds: 86400,
            incremental_interval_seconds: 900,
            log_interval_seconds: 60,
            node: 1,
            encrypted: true,
        };
        Desired { backup: Some(backup), ..desired(cluster, 1) }
    }

    /// A small cluster of this name, with nothing special about it.
    pub(crate) fn desired(cluster: &str, nodes: u32) -> Desired {
        Desired {
            cluster: cluster.parse().unwrap(),
            namespace: "data".parse().unwrap(),
            nodes,
            mariadb_image: "mariadb:11.8".to_owned(),
            haproxy_image: "haproxy:3.0".to_owned(),
            image_pull_policy: "IfNotPresent".to_owned(),
            image_pull_secrets: Vec::new(),
            storage_class: None,
            volume_size: "10Gi".to_owned(),
            database: None,
            user: None,
            proxy_mode: ProxyMode::SingleWriter,
            proxy_replicas: 2,
            gcache_size: "256M".to_owned(),
            resources: Resources::default(),
            proxy_resources: Resources::default(),
            agent_resources: Resources::default(),
            helper_resources: Resources::default(),
            seed_storage_class: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            priority_class: None,
            pod_labels: BTreeMap::new(),
            pod_annotations: BTreeMap::new(),
            service_annotations: BTreeMap::new(),
            cluster_domain: None,
            mysqld: BTreeMap::new(),
            iscsi: BTreeMap::new(),
            external_access: ExternalAccess::default(),
            node_port: None,
            backup: None,
            network: None,
            tls: None,
        }
    }
}
