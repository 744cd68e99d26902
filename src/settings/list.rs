//! The one table of settings: validation, `galeractl config`, the example files and the reference page read it.
//! Those of the network, of backups and of resources have files of their own.

use super::keys;
use super::kind::Kind;
use super::list_backup::BACKUP;
use super::list_network::NETWORK;
use super::list_resources::RESOURCES;
use super::table::{MAX_NODES, Setting};
use super::topic::Topic;

pub(super) const fn setting(
    topic: Topic,
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, kind, default, topic, doc, example }
}

pub(super) const fn count(min: u32, max: u32, what: &'static str) -> Kind {
    Kind::Int { min, max, what }
}

/// All settings, in the order in which they are listed.
pub const SETTINGS: &[Setting] = &{
    let parts = [GENERAL, NETWORK, RESOURCES, BACKUP];
    let mut all = [GENERAL[0]; GENERAL.len() + NETWORK.len() + RESOURCES.len() + BACKUP.len()];
    let (mut at, mut part, mut place) = (0, 0, 0);
    while at < all.len() {
        if place == parts[part].len() {
            (part, place) = (part + 1, 0);
        }
        all[at] = parts[part][place];
        (at, place) = (at + 1, place + 1);
    }
    all
};

const GENERAL: &[Setting] = &[
    setting(
        Topic::Cluster,
        keys::NAME,
        Kind::ClusterName,
        Some("galera"),
        "shop",
        "Prefix of every object's name. Flag: `--name`.",
    ),
    setting(
        Topic::Cluster,
        keys::NAMESPACE,
        Kind::Namespace,
        None,
        "web",
        "Namespace of every object; without it, that of the kubeconfig context. Flag: `-n`, `--namespace`.",
    ),
    setting(
        Topic::Cluster,
        keys::NODES,
        count(1, MAX_NODES, "a number of nodes"),
        Some("3"),
        "3",
        "Number of permanent nodes, best 3 or 5. Where iSCSI targets are listed for more than 3 nodes, their \
         number is the default. Flag: `--nodes`.",
    ),
    setting(
        Topic::Images,
        keys::IMAGE,
        Kind::Image,
        Some("mariadb:11.8"),
        "mariadb:11.8",
        "Image of the nodes and the seed: a stock MariaDB image with Galera in it.",
    ),
    setting(
        Topic::Images,
        keys::HAPROXY_IMAGE,
        Kind::Image,
        Some("haproxy:3.0"),
        "haproxy:3.0",
        "Image of the proxy: a stock HAProxy image.",
    ),
    setting(
        Topic::Images,
        keys::BACKUP_IMAGE,
        Kind::Image,
        None,
        "mariadb:11.8",
        "Image of the backup agent; without it, that of the nodes.",
    ),
    setting(
        Topic::Images,
        keys::PULL_POLICY,
        Kind::Choice(&["IfNotPresent", "Always", "Never"]),
        Some("IfNotPresent"),
        "IfNotPresent",
        "When the hosts fetch images.",
    ),
    setting(
        Topic::Images,
        keys::PULL_SECRETS,
        Kind::Names,
        None,
        "registry-login",
        "Secrets in the namespace that hold registry credentials.",
    ),
    setting(
        Topic::Storage,
        keys::STORAGE_CLASS,
        Kind::ObjectName,
        None,
        "fast-ssd",
        "Storage class of the data volumes; without it, the Kubernetes cluster's default class.",
    ),
    setting(
        Topic::Storage,
        keys::SEED_CLASS,
        Kind::ObjectName,
        None,
        "scratch",
        "Storage class of the seed's volume, which is deleted when the cluster is formed; without it, that of the data \
         volumes.",
    ),
    setting(
        Topic::Storage,
        keys::VSPHERE_CLASS,
        Kind::ObjectName,
        None,
        "vmware-thin",
        "Storage class of the data volumes on vSphere. Makes the variant `pks`.",
    ),
    setting(
        Topic::Storage,
        keys::ISCSI_CLASS,
        Kind::ObjectName,
        None,
        "iscsi-targetd",
        "Storage class of the data volumes that a targetd provisioner makes. Makes the variant `targetd`.",
    ),
    setting(Topic::Storage, keys::VOLUME_SIZE, Kind::Bytes, Some("10Gi"), "10Gi", "Size of each data volume."),
    setting(
        Topic::Storage,
        keys::GCACHE,
        Kind::ServerBytes,
        Some("256M"),
        "1G",
        "Size of Galera's write cache, a file on each data volume. A node that was away for fewer writes than \
         this catches up without a full copy.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_seed_iscsi_targetportal",
        Kind::Portal,
        None,
        "192.168.100.40:3260",
        "Portal of the seed's volume. Makes the variant `coreos`.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_seed_iscsi_iqn",
        Kind::Iqn,
        None,
        "iqn.2018-04.org.example:target0",
        "Name of the target of the seed's volume.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_seed_iscsi_lun",
        count(0, 255, "a LUN"),
        None,
        "1",
        "Number of the seed's volume in its target.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_node{i}_iscsi_targetportal",
        Kind::Portal,
        None,
        "192.168.100.40:3260",
        "Portal of a node's volume. Makes the variant `coreos`.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_node{i}_iscsi_iqn",
        Kind::Iqn,
        None,
        "iqn.2018-04.org.example:galera",
        "Name of the target of a node's volume.",
    ),
    setting(
        Topic::Iscsi,
        "galera_cluster_node{i}_iscsi_lun",
        count(0, 255, "a LUN"),
        None,
        "{i}",
        "Number of a node's volume in its target.",
    ),
    setting(Topic::Database, keys::DATABASE, Kind::Database, None, "drupaldb", "Database that the seed creates."),
    setting(
        Topic::Database,
        keys::USER,
        Kind::User,
        None,
        "drupal",
        "User with all rights on that database, created by the seed.",
    ),
    setting(
        Topic::Database,
        keys::PASSWORD,
        Kind::Secret,
        None,
        "change-me",
        "Password of that user; generated if it is missing.",
    ),
    setting(
        Topic::Database,
        keys::ROOT_PASSWORD,
        Kind::Secret,
        None,
        "change-me",
        "Password of `root`; generated if it is missing.",
    ),
    setting(
        Topic::Access,
        keys::PROXY_MODE,
        Kind::Choice(&["single-writer", "multi-writer"]),
        Some("single-writer"),
        "single-writer",
        "How port 3306 spreads connections: all to one node, or over all of them. Transactions that write the \
         same rows on two nodes fail with a deadlock error, so one writer is the default.",
    ),
    setting(
        Topic::Access,
        keys::PROXY_REPLICAS,
        count(1, 20, "a number of proxies"),
        Some("2"),
        "2",
        "Number of proxy pods.",
    ),
    setting(
        Topic::Access,
        keys::ACCESS,
        Kind::Choice(&["load-balancer", "node-port"]),
        Some("load-balancer"),
        "load-balancer",
        "What `galeractl expose` creates. Where only `galera_cluster_nodeport` is set, `node-port`.",
    ),
    setting(
        Topic::Access,
        keys::NODE_PORT,
        count(30000, 32767, "a port"),
        None,
        "30306",
        "Port on every host when the cluster is exposed by `node-port`; without it, Kubernetes chooses one.",
    ),
    setting(
        Topic::Access,
        keys::SERVICE_ANNOTATIONS,
        Kind::Annotations,
        None,
        "service.beta.kubernetes.io/aws-load-balancer-internal=true",
        "Annotations of the Service that `galeractl expose` makes, by which clouds choose the kind of load balancer.",
    ),
    setting(
        Topic::Access,
        keys::TLS,
        Kind::Choice(&["own", "off"]),
        Some("own"),
        "own",
        "Certificates for the servers: `own` for those of an authority that galeractl makes for this cluster, `off` for \
         none. With them nobody without such a certificate becomes a member, what members send to each other is \
         encrypted, and clients can verify the server. Once the cluster is formed, it is changed while all nodes are \
         stopped.",
    ),
    setting(
        Topic::Access,
        keys::TLS_NAMES,
        Kind::Hosts,
        None,
        "db.example.org,192.0.2.7",
        "Names and addresses by which clients reach the cluster from outside, for the certificates that are made from \
         then on. Those of the Services are in them anyway.",
    ),
    setting(
        Topic::Pods,
        keys::NODE_SELECTOR,
        Kind::Labels,
        None,
        "disk=ssd",
        "Labels that a host must have to run a node.",
    ),
    setting(
        Topic::Pods,
        keys::TOLERATIONS,
        Kind::Tolerations,
        None,
        "dedicated=database:NoSchedule",
        "Taints of hosts that the pods put up with, each as `key=value:effect`, `key:effect` or `key`.",
    ),
    setting(
        Topic::Pods,
        keys::PRIORITY_CLASS,
        Kind::ObjectName,
        None,
        "database-critical",
        "Priority class of the pods.",
    ),
    setting(
        Topic::Pods,
        keys::LABELS,
        Kind::Labels,
        None,
        "team=shop",
        "Labels that every pod gets beside those that galeractl needs.",
    ),
    setting(
        Topic::Pods,
        keys::ANNOTATIONS,
        Kind::Annotations,
        None,
        "prometheus.io/scrape=true",
        "Annotations that every pod gets.",
    ),
    setting(
        Topic::Pods,
        keys::DOMAIN,
        Kind::Host,
        None,
        "cluster.local",
        "Domain of the Kubernetes cluster; without it, each pod finds it in its own `/etc/resolv.conf`.",
    ),
];
