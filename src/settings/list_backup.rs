//! Settings of backups, and keys of old files that nothing reads.

use super::keys;
use super::kind::Kind;
use super::list::{count, setting};
use super::table::{MAX_NODES, Setting};
use super::topic::Topic;

pub(super) const BACKUP: &[Setting] = &[
    setting(
        Topic::Backup,
        keys::BACKUP,
        Kind::Choice(&["yes", "no"]),
        None,
        "yes",
        "Whether an agent beside the last node takes backups. Without this, it does where an NFS server or a storage \
         class for backups is named. Flag: `--backup`.",
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
    setting(
        Topic::Backup,
        keys::BACKUP_CLASS,
        Kind::ObjectName,
        None,
        "archive",
        "Storage class of the backup volume, in place of an NFS server. Turns backups on. Where backups are on and \
         neither is named, the Kubernetes cluster's default class.",
    ),
    setting(Topic::Backup, keys::BACKUP_SIZE, Kind::Bytes, Some("10Gi"), "50Gi", "Size of the backup volume."),
    setting(
        Topic::Backup,
        keys::FULL_INTERVAL,
        Kind::Duration,
        Some("24h"),
        "12h",
        "Time between full backups. Each begins a chain, on which the incremental ones build.",
    ),
    setting(Topic::Backup, keys::INTERVAL, Kind::Duration, Some("15m"), "60m", "Time between incremental backups."),
    setting(
        Topic::Backup,
        keys::LOG_INTERVAL,
        Kind::Duration,
        Some("60s"),
        "30s",
        "Time between copies of the binary logs to the backup volume: how much of the newest writes the loss of all \
         nodes may cost.",
    ),
    setting(
        Topic::Backup,
        keys::RETENTION,
        count(1, 3650, "a number of days"),
        Some("7"),
        "7",
        "Days for which backups are kept. A chain goes as a whole, when its newest backup is older than this.",
    ),
    setting(
        Topic::Backup,
        keys::KEEP,
        count(1, 1000, "a number of chains"),
        Some("2"),
        "2",
        "Newest chains that are kept however old they are.",
    ),
    setting(
        Topic::Backup,
        keys::BACKUP_NODE,
        count(1, MAX_NODES, "the number of a node"),
        None,
        "2",
        "Node beside which the agent runs; without it, the last one. `galeractl backup move` changes it.",
    ),
    setting(
        Topic::Backup,
        keys::BACKUP_ENCRYPTION,
        Kind::Choice(&["own", "off"]),
        Some("own"),
        "off",
        "Whether backups and binary logs are encrypted and signed: `own` with keys that galeractl makes for this \
         cluster, `off` for neither. Without the private key nobody can read them: keep a copy elsewhere with \
         `galeractl backup key export`. A cluster that takes backups keeps what it has until this is named; it holds \
         when the pod of the agent's node has been restarted.",
    ),
    setting(
        Topic::Unused,
        keys::BACKUP_USER,
        Kind::Unused,
        None,
        "root",
        "The agent logs in through the server's socket, as the user that it runs as.",
    ),
    setting(
        Topic::Unused,
        keys::BACKUP_PASSWORD,
        Kind::Secret,
        None,
        "change-me",
        "The agent logs in through the server's socket, without a password.",
    ),
    setting(
        Topic::Unused,
        "galera_cluster_backup_temp_nfs_server",
        Kind::Unused,
        None,
        "192.168.100.40",
        "The agent works on the volume of the backups itself, and needs no share for what is half done.",
    ),
    setting(
        Topic::Unused,
        "galera_cluster_backup_temp_path",
        Kind::Unused,
        None,
        "/data/shared/tmp",
        "The agent works on the volume of the backups itself, and needs no share for what is half done.",
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
