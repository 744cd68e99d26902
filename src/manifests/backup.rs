//! The agent that takes backups, in the pod of one node.

use k8s_openapi::api::core::v1::{Container, Volume, VolumeMount};

use super::pod::{claimed, confined, env, env_field, mount, requirements, scratch};
use super::seal;
use crate::desired::{Backup, Desired};
use crate::names::Member;

/// What the agent runs, by key of the ConfigMap with the scripts.
pub const SCRIPTS: [(&str, &str); 6] = [
    ("agent.sh", include_str!("scripts/backup/agent.sh")),
    ("common.sh", include_str!("scripts/backup/common.sh")),
    ("seal.sh", include_str!("scripts/backup/seal.sh")),
    ("keep.sh", include_str!("scripts/backup/keep.sh")),
    ("gaps.pl", include_str!("scripts/backup/gaps.pl")),
    ("position.pl", include_str!("scripts/backup/position.pl")),
];

/// Where the backup volume appears in every pod that uses it.
pub const BACKUPS: &str = "/backups";

/// The agent's container. It shares the server's volume, which it only reads, and the folder of its socket.
#[must_use]
pub fn agent(desired: &Desired, backup: &Backup, member: Member) -> Container {
    Container {
        name: desired.cluster.backup_agent(),
        image: Some(backup.image.clone()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        command: Some(vec!["/bin/bash".to_owned(), "/galeractl/scripts/agent.sh".to_owned()]),
        env: Some(vec![
            env("GALERA_MEMBER", member.to_string()),
            env("GALERA_CLUSTER", desired.cluster.to_string()),
            env("GALERA_NAMESPACE", desired.namespace.to_string()),
            env("FULL_SECONDS", backup.full_interval_seconds.to_string()),
            env("INCREMENTAL_SECONDS", backup.incremental_interval_seconds.to_string()),
            env("LOG_SECONDS", backup.log_interval_seconds.to_string()),
            env("RETENTION_DAYS", backup.retention_days.to_string()),
            env("KEEP", backup.keep.to_string()),
            env("ENCRYPTION", if backup.encrypted { "own" } else { "off" }),
            env_field("POD_UID", "metadata.uid"),
        ]),
        volume_mounts: Some(mounts(desired)),
        // It does nothing most of the time; while it works, it takes what the host has left.
        resources: requirements(&desired.agent_resources),
        security_context: Some(confined()),
        ..Container::default()
    }
}

fn mounts(desired: &Desired) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("data", "/var/lib/mysql", true),
        mount("scripts", "/galeractl/scripts", true),
        mount("state", "/galeractl/state", true),
        mount("run", "/run/galeractl", true),
        mount("backups", BACKUPS, false),
        mount("agent", "/run/agent", false),
        mount("agent-tmp", "/tmp", false),
    ];
    mounts.extend(seal::agent_mount(desired));
    mounts
}

/// What the agent's container mounts beside the volumes of its node.
#[must_use]
pub fn agent_volumes(desired: &Desired) -> Vec<Volume> {
    let mut volumes = vec![claimed("backups", desired.cluster.backup_claim()), scratch("agent"), scratch("agent-tmp")];
    volumes.extend(seal::agent_volume(desired));
    volumes
}
