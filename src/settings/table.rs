//! The one table of settings: validation, `galeractl config`, the example files and the reference page read it.

use super::keys;
use super::kind::Kind;
use super::topic::Topic;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key; `node{i}` in it stands for `node1`, `node2`, ….
    pub key: &'static str,
    /// What values are right.
    pub kind: Kind,
    /// The value that holds when nothing sets it.
    pub default: Option<&'static str>,
    /// Where it is listed.
    pub topic: Topic,
    /// What it does.
    pub doc: &'static str,
    /// A value for example files.
    pub example: &'static str,
}

impl Setting {
    /// Whether values must not be shown.
    #[must_use]
    pub fn secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Name of the environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        self.key.to_uppercase().replace("NODE{I}", "NODE{i}")
    }
}

/// What stands for a node's number in a key.
pub(super) const NODE: &str = "node{i}";
/// Most nodes: their names have two digits at most.
pub(super) const MAX_NODES: u32 = 99;

const fn setting(
    topic: Topic,
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    example: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, kind, default, topic, doc, example }
}

const fn count(min: u32, max: u32, what: &'static str) -> Kind {
    Kind::Int { min, max, what }
}

/// All settings, in the order in which they are listed.
pub const SETTINGS: &[Setting] = &[
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
        Topic::Database,
        keys::BACKUP_PASSWORD,
        Kind::Secret,
        None,
        "change-me",
        "Password of the backup user; generated if it is missing.",
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
    setting(Topic::Pods, keys::CPU_REQUEST, Kind::Cpu, Some("250m"), "2", "Processors set aside for each node."),
    setting(
        Topic::Pods,
        keys::CPU_LIMIT,
        Kind::Cpu,
        None,
        "4",
        "Most processors that a node may use. Best left unset: a throttled node looks dead to its peers.",
    ),
    setting(Topic::Pods, keys::MEMORY_REQUEST, Kind::Bytes, Some("512Mi"), "4Gi", "Memory set aside for each node."),
    setting(
        Topic::Pods,
        keys::MEMORY_LIMIT,
        Kind::Bytes,
        None,
        "4Gi",
        "Memory at which a node is killed; leave room above `innodb_buffer_pool_size`.",
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
        Topic::Backup,
        keys::NFS_SERVER,
        Kind::Host,
        None,
        "192.168.100.40",
        "NFS server that takes the backups. Turns backups on.",
    ),
    setting(Topic::Backup, keys::NFS_PATH, Kind::Path, None, "/data/shared/backups", "Exported path on that server."),
    setting(Topic::Backup, keys::BACKUP_SIZE, Kind::Bytes, Some("10Gi"), "50Gi", "Size of the backup volume."),
    setting(
        Topic::Backup,
        keys::RETENTION,
        count(1, 3650, "a number of days"),
        Some("7"),
        "7",
        "Days for which backups are kept.",
    ),
    setting(Topic::Backup, keys::INTERVAL, Kind::Duration, Some("15m"), "60m", "Time between incremental backups."),
    setting(
        Topic::Backup,
        keys::BACKUP_USER,
        Kind::User,
        Some("backup"),
        "backup",
        "Database user that takes backups.",
    ),
    setting(
        Topic::Unused,
        "galera_target_datastore",
        Kind::Unused,
        None,
        "san",
        "Read by nothing, in the old templates as well.",
    ),
    setting(
        Topic::Unused,
        "galera_cluster_backup_log_volume_size",
        Kind::Unused,
        None,
        "50Gi",
        "Read by nothing, in the old templates as well.",
    ),
];

/// The setting that a key belongs to, with the node's number where the key has one.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    let pattern = pattern_of(key);
    let wanted = pattern.as_deref().unwrap_or(key);
    SETTINGS.iter().find(|setting| setting.key == wanted && setting.key.contains(NODE) == pattern.is_some())
}

/// `galera_cluster_node7_iscsi_lun` → `galera_cluster_node{i}_iscsi_lun`, for nodes that can exist.
fn pattern_of(key: &str) -> Option<String> {
    let (head, rest) = key.split_once("_node").filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let (number, tail) = rest.split_once('_')?;
    let index: u32 = number.parse().ok().filter(|index| (1..=MAX_NODES).contains(index))?;
    (index.to_string() == number).then(|| format!("{head}_{NODE}_{tail}"))
}

/// The known key that a misspelt one resembles most.
#[must_use]
pub fn nearest(key: &str) -> Option<String> {
    let candidates = SETTINGS.iter().flat_map(|setting| {
        let nodes = if setting.key.contains(NODE) { 1..=9 } else { 1..=1 };
        nodes.map(|index| setting.key.replace(NODE, &format!("node{index}")))
    });
    candidates
        .map(|candidate| (strsim::osa_distance(key, &candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 3.max(candidate.len() / 3))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_once() {
        for setting in SETTINGS {
            let key = setting.key.replace(NODE, "node12");
            assert!(find(&key).is_some_and(|found| found.key == setting.key), "{key}");
            assert_eq!(nearest(&key.replace("node12", "node2")), Some(key.replace("node12", "node2")));
            assert_eq!(SETTINGS.iter().filter(|other| other.key == setting.key).count(), 1);
        }
        assert!(find("galera_cluster_node{i}_iscsi_lun").is_none());
    }
}
