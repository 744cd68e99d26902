//! Jobs that empty the volumes of a cluster that is down.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Container;

use super::labels::meta;
use super::pod::{MARIADB_UID, base, bash, claimed, confined, env, mount, requirements};
use crate::desired::Desired;
use crate::names::{MEMBER_LABEL, Member, Role};

/// Container of the Job's pod.
pub const CONTAINER: &str = "purge";

/// A Job that empties one member's volume if it holds what is expected, as the inspector says it (`found=`). Expecting
/// nothing known, the Job does nothing.
#[must_use]
pub fn job(desired: &Desired, member: Member, expected: &str) -> Job {
    let mut metadata = meta(desired, desired.cluster.purge_job(member), Role::Purge);
    metadata.labels.get_or_insert_default().insert(MEMBER_LABEL.to_owned(), member.to_string());
    let mut spec = base(desired, MARIADB_UID);
    spec.restart_policy = Some("Never".to_owned());
    spec.termination_grace_period_seconds = Some(5);
    spec.volumes = Some(vec![claimed("data", desired.cluster.claim(member))]);
    spec.containers = vec![Container {
        name: CONTAINER.to_owned(),
        image: Some(desired.mariadb_image.clone()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        command: Some(bash(super::scripts::PURGE)),
        env: Some(vec![env("GALERA_MEMBER", member.to_string()), env("EXPECT", expected)]),
        volume_mounts: Some(vec![mount("data", "/var/lib/mysql", false)]),
        resources: requirements(&desired.helper_resources),
        security_context: Some(confined()),
        ..Container::default()
    }];
    super::pod::job(desired, metadata, spec)
}
