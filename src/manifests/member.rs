//! Pods of Galera members: the one-shot seed, the permanent nodes, and the inspector of a stopped member's volume.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, EnvVar, KeyToPath, Pod, PodSpec, PodTemplateSpec, ProjectedVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::config::{MEMBERS_KEY, RECORD_KEYS, config_sum};
use super::labels::{CONFIG_ANNOTATION, matching, member_meta, member_selector, meta};
use super::pod::{
    MARIADB_UID, apart, base, bash, claimed, config_files, confined, domain, dress, env, env_field, http_probe, mount,
    port, requirements, scratch, secret_files,
};
use crate::desired::Desired;
use crate::names::{MEMBER_LABEL, Member, Role};

/// Container in which mariadbd runs, in every member's pod.
pub const CONTAINER: &str = "mariadb";
/// Where whoever is in the container reaches the server.
pub const SOCKET: &str = "/run/galeractl/mysqld.sock";
/// Port of a member's health endpoint (`/ready`, `/live`, `/state`).
pub const HEALTH_PORT: u16 = 9200;
/// A mariadb donor may need minutes to finish a transfer before it can leave.
const GRACE_SECONDS: i64 = 300;

/// The seed: a bare Pod that is never restarted, so it bootstraps at most once.
#[must_use]
pub fn seed(desired: &Desired) -> Pod {
    let mut spec = member_pod(desired, Member::Seed);
    spec.restart_policy = Some("Never".to_owned());
    spec.volumes.get_or_insert_default().push(secret_files("secrets", desired.cluster.credentials()));
    for container in &mut spec.containers {
        container.volume_mounts.get_or_insert_default().push(mount("secrets", "/galeractl/secrets", true));
        container.env.get_or_insert_default().extend([
            env("GALERA_DATABASE", desired.database.clone().unwrap_or_default()),
            env("GALERA_USER", desired.user.clone().unwrap_or_default()),
        ]);
        container.liveness_probe = None;
    }
    let mut metadata = member_meta(desired, desired.cluster.pod(Member::Seed), Member::Seed);
    dress(desired, &mut metadata);
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

/// A permanent node: a StatefulSet of one, whose pod needs nothing but its volume and its peers to come back.
#[must_use]
pub fn node(desired: &Desired, member: Member) -> StatefulSet {
    let name = desired.cluster.member(member);
    let metadata = member_meta(desired, name.clone(), member);
    let mut pod_metadata = ObjectMeta {
        labels: metadata.labels.clone(),
        annotations: Some([(CONFIG_ANNOTATION.to_owned(), config_sum(desired))].into()),
        ..ObjectMeta::default()
    };
    dress(desired, &mut pod_metadata);
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(name),
            selector: matching(member_selector(desired, member)),
            // Restarts are ordered by someone who looks at the group, never by a change of the template.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..Default::default()
            }),
            template: PodTemplateSpec { metadata: Some(pod_metadata), spec: Some(with_agent(desired, member)) },
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The pod of a node; beside one of them the agent takes backups.
fn with_agent(desired: &Desired, member: Member) -> PodSpec {
    let mut spec = PodSpec { affinity: Some(apart(desired, &[Role::Node])), ..member_pod(desired, member) };
    if let Some(backup) = desired.backup_at(member) {
        spec.containers.push(super::backup::agent(desired, backup, member));
        spec.volumes.get_or_insert_default().extend(super::backup::agent_volumes(desired));
    }
    spec
}

/// A pod that prints what a member's volume holds.
#[must_use]
pub fn inspector(desired: &Desired, member: Member) -> Pod {
    let mut metadata = meta(desired, desired.cluster.inspector(member), Role::Inspector);
    metadata.labels.get_or_insert_default().insert(MEMBER_LABEL.to_owned(), member.to_string());
    dress(desired, &mut metadata);
    let mut spec = base(desired, MARIADB_UID);
    spec.restart_policy = Some("Never".to_owned());
    spec.termination_grace_period_seconds = Some(5);
    spec.volumes = Some(vec![claimed("data", desired.cluster.claim(member))]);
    spec.containers = vec![Container {
        name: "inspect".to_owned(),
        image: Some(desired.mariadb_image.clone()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        // Nothing else of the cluster need exist for this.
        command: Some(bash(super::scripts::INSPECT)),
        env: Some(vec![env("GALERA_MEMBER", member.to_string())]),
        volume_mounts: Some(vec![mount("data", "/var/lib/mysql", true)]),
        resources: requirements(&desired.helper_resources),
        security_context: Some(confined()),
        ..Container::default()
    }];
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

fn member_pod(desired: &Desired, member: Member) -> PodSpec {
    PodSpec {
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        volumes: Some(volumes(desired, member)),
        containers: vec![Container {
            name: CONTAINER.to_owned(),
            image: Some(desired.mariadb_image.clone()),
            image_pull_policy: Some(desired.image_pull_policy.clone()),
            command: Some(vec!["/bin/bash".to_owned(), format!("{}/start.sh", super::scripts::PLACE)]),
            env: Some(environment(desired, member)),
            ports: Some(vec![
                port("mysql", 3306),
                port("galera", 4567),
                port("ist", 4568),
                port("sst", 4444),
                port("health", i32::from(HEALTH_PORT)),
            ]),
            volume_mounts: Some(mounts(desired)),
            resources: requirements(&desired.resources),
            security_context: Some(confined()),
            readiness_probe: Some(http_probe("/ready", i32::from(HEALTH_PORT), 5, 3, 2)),
            // Two minutes of having left the group for good; a transfer, however long, never counts.
            liveness_probe: Some(http_probe("/live", i32::from(HEALTH_PORT), 10, 5, 12)),
            ..Container::default()
        }],
        ..base(desired, MARIADB_UID)
    }
}

fn environment(desired: &Desired, member: Member) -> Vec<EnvVar> {
    let mut environment = vec![
        env("GALERA_MEMBER", member.to_string()),
        env("GALERA_NODE_NAME", desired.cluster.member(member)),
        env("GALERA_SEED_NAME", desired.cluster.member(Member::Seed)),
        env("GALERA_GROUP", desired.cluster.group(&desired.namespace)),
        env_field("POD_IP", "status.podIP"),
        env_field("POD_UID", "metadata.uid"),
    ];
    environment.extend(domain(desired));
    environment
}

fn volumes(desired: &Desired, member: Member) -> Vec<Volume> {
    let mut volumes = vec![
        claimed("data", desired.cluster.claim(member)),
        config_files("scripts", desired.cluster.config(), 0o555, &[]),
        state(desired),
        scratch("run"),
        scratch("tmp"),
    ];
    volumes.extend(super::tls::volume(desired, member));
    volumes
}

/// What the pod knows of its cluster: who is wanted, and, once that is recorded, who has become a member and which
/// history they follow.
fn state(desired: &Desired) -> Volume {
    let item = |key: &str, path: &str| KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None };
    let from = |name: String, items: Vec<KeyToPath>, optional: bool| VolumeProjection {
        config_map: Some(ConfigMapProjection { name, items: Some(items), optional: optional.then_some(true) }),
        ..VolumeProjection::default()
    };
    let recorded = RECORD_KEYS.iter().map(|key| item(key, key)).collect();
    let sources = vec![
        from(desired.cluster.spec(), vec![item(MEMBERS_KEY, "wanted")], false),
        from(desired.cluster.record(), recorded, true),
    ];
    Volume {
        name: "state".to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(0o444), sources: Some(sources) }),
        ..Volume::default()
    }
}

fn mounts(desired: &Desired) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount("data", "/var/lib/mysql", false),
        mount("scripts", "/galeractl/scripts", true),
        mount("state", "/galeractl/state", true),
        mount("run", "/run/galeractl", false),
        mount("tmp", "/tmp", false),
    ];
    mounts.extend(super::tls::volume_mount(desired));
    mounts
}
