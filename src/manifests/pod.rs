//! Building blocks of pods that a namespace with the `restricted` Pod Security Standard accepts.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapVolumeSource, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    HTTPGetAction, KeyToPath, LocalObjectReference, ObjectFieldSelector, PersistentVolumeClaimVolumeSource,
    PodAffinity, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{matching, selector};
use crate::desired::{Desired, Resources};
use crate::names::Role;

/// Numeric user of the mariadb image (and group, and owner of volumes).
pub const MARIADB_UID: i64 = 999;
/// Numeric user of the haproxy image.
pub const HAPROXY_UID: i64 = 99;

/// What every pod has in common: an unprivileged user, no service account token, the user's scheduling wishes.
#[must_use]
pub fn base(desired: &Desired, uid: i64) -> PodSpec {
    let some_map = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone());
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_user: Some(uid),
            run_as_group: Some(uid),
            run_as_non_root: Some(true),
            fs_group: Some(uid),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        node_selector: some_map(&desired.node_selector),
        tolerations: (!desired.tolerations.is_empty()).then(|| desired.tolerations.iter().map(tolerated).collect()),
        priority_class_name: desired.priority_class.clone(),
        image_pull_secrets: (!desired.image_pull_secrets.is_empty()).then(|| {
            desired.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()
        }),
        ..PodSpec::default()
    }
}

fn tolerated(toleration: &crate::desired::Toleration) -> Toleration {
    Toleration {
        key: Some(toleration.key.clone()),
        operator: Some(if toleration.value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: toleration.value.clone(),
        effect: toleration.effect.clone(),
        ..Toleration::default()
    }
}

/// A Job whose pod runs once: what failed is looked at by somebody before it is tried again.
#[must_use]
pub fn job(desired: &Desired, metadata: ObjectMeta, spec: PodSpec) -> Job {
    let mut pod_metadata = ObjectMeta { labels: metadata.labels.clone(), ..ObjectMeta::default() };
    dress(desired, &mut pod_metadata);
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            template: PodTemplateSpec { metadata: Some(pod_metadata), spec: Some(spec) },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// What the user wants on pods, beside the labels by which they are found.
pub fn dress(desired: &Desired, metadata: &mut ObjectMeta) {
    let labels = metadata.labels.get_or_insert_default();
    for (key, value) in &desired.pod_labels {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if !desired.pod_annotations.is_empty() {
        metadata.annotations.get_or_insert_default().extend(desired.pod_annotations.clone());
    }
}

/// No privileges, no capabilities, a root file system that cannot be written.
#[must_use]
pub fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

/// Requests and limits as Kubernetes writes them.
#[must_use]
pub fn requirements(resources: &Resources) -> Option<ResourceRequirements> {
    let quantities = |map: &BTreeMap<String, String>| {
        (!map.is_empty()).then(|| map.iter().map(|(key, value)| (key.clone(), Quantity(value.clone()))).collect())
    };
    let (requests, limits) = (quantities(&resources.requests), quantities(&resources.limits));
    (requests.is_some() || limits.is_some()).then(|| ResourceRequirements {
        requests,
        limits,
        ..ResourceRequirements::default()
    })
}

/// A plain environment variable.
#[must_use]
pub fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), ..EnvVar::default() }
}

/// The domain of the pods' names, where the user gives it.
#[must_use]
pub fn domain(desired: &Desired) -> Option<EnvVar> {
    let domain = desired.cluster_domain.as_ref()?;
    Some(env("GALERA_DOMAIN", format!("{}.svc.{domain}", desired.namespace)))
}

/// An environment variable taken from a field of the pod, such as `status.podIP`.
#[must_use]
pub fn env_field(name: &str, path: &str) -> EnvVar {
    // Written out although it is the default: what a server adds by itself is a conflict for whoever applies the same again.
    let field_ref = Some(ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() });
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource { field_ref, ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

/// A named TCP port.
#[must_use]
pub fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: number, ..ContainerPort::default() }
}

/// Where a volume appears in a container.
#[must_use]
pub fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// Scratch space that lives as long as the pod.
#[must_use]
pub fn scratch(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// A ConfigMap as files; `keys` empty takes all of them.
#[must_use]
pub fn config_files(name: &str, config_map: String, mode: i32, keys: &[&str]) -> Volume {
    let item = |key: &&str| KeyToPath { key: (*key).to_owned(), path: (*key).to_owned(), mode: None };
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map,
            default_mode: Some(mode),
            items: (!keys.is_empty()).then(|| keys.iter().map(item).collect()),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A Secret as files that only the pod's user and group can read.
#[must_use]
pub fn secret_files(name: &str, secret: String) -> Volume {
    let source =
        SecretVolumeSource { secret_name: Some(secret), default_mode: Some(0o440), ..SecretVolumeSource::default() };
    Volume { name: name.to_owned(), secret: Some(source), ..Volume::default() }
}

/// A persistent volume by its claim.
#[must_use]
pub fn claimed(name: &str, claim_name: String) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// The command of a container that needs nothing but this script.
#[must_use]
pub fn bash(script: &str) -> Vec<String> {
    super::scripts::bash(script).map(str::to_owned).into()
}

/// An HTTP probe; times in seconds.
#[must_use]
pub fn http_probe(path: &str, port: i32, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(port),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// Prefers hosts without pods of these roles; preferred, not required, so that a small cluster works as well.
#[must_use]
pub fn apart(desired: &Desired, roles: &[Role]) -> Affinity {
    let term = |role: &Role| WeightedPodAffinityTerm { weight: 100, pod_affinity_term: same_host(desired, *role) };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(roles.iter().map(term).collect()),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// On the host where a pod of this role is, and nowhere else.
#[must_use]
pub fn beside(desired: &Desired, role: Role) -> PodAffinity {
    PodAffinity {
        required_during_scheduling_ignored_during_execution: Some(vec![same_host(desired, role)]),
        ..PodAffinity::default()
    }
}

fn same_host(desired: &Desired, role: Role) -> PodAffinityTerm {
    PodAffinityTerm {
        topology_key: "kubernetes.io/hostname".to_owned(),
        label_selector: Some(matching(selector(desired, role))),
        ..PodAffinityTerm::default()
    }
}
