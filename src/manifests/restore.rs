//! Pods that read backups, and Jobs that bring them back.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EphemeralVolumeSource, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate, Pod, PodSpec,
    Volume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::backup::BACKUPS;
use super::config::server_options;
use super::labels::meta;
use super::pod::{
    MARIADB_UID, apart, base, bash, beside, claimed, confined, dress, env, env_field, mount, requirements, scratch,
    secret_files,
};
use crate::desired::Desired;
use crate::names::{MEMBER_LABEL, Member, Role};

/// Container of the pods and Jobs here.
pub const CONTAINER: &str = "restore";
/// Port on which a reader gives files to pods that know its token.
pub const SERVE_PORT: u16 = 4445;
/// Where a pod that copies from a reader waits for its token: a spec may be read by many.
pub const TOKEN: &str = "/run/galeractl/token";

/// What one Job fills a volume with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Address of the reader.
    pub source: String,
    /// Uuid of the history that begins with the restored data.
    pub uuid: String,
    /// Seconds since the epoch, the same for every volume.
    pub at: i64,
    /// Bytes that must be free on the volume.
    pub needed: u64,
    /// Whether what is on the volume goes before it is filled, because both have no room.
    pub discard: bool,
    /// Whether every backup and every binary log has to be signed.
    pub signed: bool,
    /// What the volume was found to hold when the user was asked, as the inspector says it.
    pub expected: String,
}

/// What becomes of a volume that was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The new data takes the place of the old, which is kept aside.
    Switch,
    /// As [`Turn::Switch`], without new data: the node will get a state transfer.
    Clear,
    /// The old data comes back.
    Undo,
    /// The new data goes; the old has never left its place.
    Drop,
}

impl Turn {
    /// The word that the script knows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Clear => "clear",
            Self::Undo => "undo",
            Self::Drop => "drop",
        }
    }
}

/// What a volume that has no place yet must be near, because its node will use both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// The backup volume, which nobody uses now.
    Backups,
    /// The backup volume, which the reader uses: it may be had on one host only.
    Reader,
}

/// A pod that has the backup volume, on the host where it is mounted already, if it is.
#[must_use]
pub fn reader(desired: &Desired, claim: &str, host: Option<&str>) -> Pod {
    let mut metadata = meta(desired, desired.cluster.backup_reader(), Role::Reader);
    dress(desired, &mut metadata);
    let container = Container {
        command: Some(bash(super::scripts::READER)),
        env: Some(vec![env("SERVE", super::scripts::SERVE), env_field("POD_IP", "status.podIP")]),
        volume_mounts: Some(vec![mount("backups", BACKUPS, false), mount("tmp", "/tmp", false)]),
        resources: requirements(&desired.helper_resources),
        ..container(desired)
    };
    let spec = PodSpec {
        node_name: host.map(str::to_owned),
        volumes: Some(vec![claimed("backups", claim.to_owned()), scratch("tmp")]),
        ..pod(desired, container)
    };
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

fn container(desired: &Desired) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(desired.mariadb_image.clone()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        security_context: Some(confined()),
        ..Container::default()
    }
}

fn pod(desired: &Desired, container: Container) -> PodSpec {
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(5),
        containers: vec![container],
        ..base(desired, MARIADB_UID)
    }
}

fn job(desired: &Desired, name: String, member: Option<Member>, spec: PodSpec) -> Job {
    let mut metadata = meta(desired, name, Role::Restore);
    if let Some(member) = member {
        metadata.labels.get_or_insert_default().insert(MEMBER_LABEL.to_owned(), member.to_string());
    }
    super::pod::job(desired, metadata, spec)
}

fn filling(desired: &Desired, fill: &Fill, member: Member, mode: &str, target: Volume) -> PodSpec {
    let verify = mode == "verify";
    let mut mounts =
        vec![mount("target", "/target", false), mount("run", "/run/galeractl", false), mount("tmp", "/tmp", false)];
    let (keys, keys_mount) = super::seal::memory();
    let mut volumes = vec![target, scratch("run"), scratch("tmp"), keys];
    mounts.push(keys_mount);
    if !verify {
        mounts.push(mount("secrets", "/galeractl/secrets", true));
        volumes.push(secret_files("secrets", desired.cluster.credentials()));
    }
    let container = Container {
        command: Some(bash(super::scripts::RESTORE)),
        env: Some(vec![
            env("VOLUME", "/target"),
            env("MODE", mode),
            env("EXPECT", fill.expected.clone()),
            env("GALERA_GROUP", desired.cluster.group(&desired.namespace)),
            env("GALERA_MEMBER", member.to_string()),
            env("GALERA_DATABASE", desired.database.clone().unwrap_or_default()),
            env("GALERA_USER", desired.user.clone().unwrap_or_default()),
            // The server of a Job talks to nobody, and has no certificate.
            env("SERVER_OPTIONS", server_options(&Desired { tls: None, ..desired.clone() })),
            env("SOURCE", fill.source.clone()),
            env("NEW_UUID", fill.uuid.clone()),
            env("RESTORED_AT", fill.at.to_string()),
            env("NEEDED", fill.needed.to_string()),
            env("SIGNED", if fill.signed { "yes" } else { "no" }),
            env("DISCARD", if fill.discard { "yes" } else { "no" }),
        ]),
        volume_mounts: Some(mounts),
        resources: requirements(&desired.resources),
        ..container(desired)
    };
    PodSpec { volumes: Some(volumes), ..pod(desired, container) }
}

/// A Job that fills one member's volume beside what is on it.
#[must_use]
pub fn fill(desired: &Desired, fill: &Fill, member: Member, near: Option<Near>) -> Job {
    let target = claimed("target", desired.cluster.claim(member));
    let spec = placed(desired, filling(desired, fill, member, "fill", target), near);
    job(desired, desired.cluster.restore_job(member), Some(member), spec)
}

/// The first pod on a volume may decide for good where the volume is, and with it where its node runs.
fn placed(desired: &Desired, mut spec: PodSpec, near: Option<Near>) -> PodSpec {
    let apart_from_jobs = apart(desired, &[Role::Restore]);
    let affinity = match near {
        // The place beside the reader is for the one that needs it.
        None => apart(desired, &[Role::Restore, Role::Reader]),
        Some(Near::Backups) => {
            spec.volumes.get_or_insert_default().push(claimed("backups", desired.cluster.backup_claim()));
            apart_from_jobs
        }
        Some(Near::Reader) => Affinity { pod_affinity: Some(beside(desired, Role::Reader)), ..apart_from_jobs },
    };
    PodSpec { affinity: Some(affinity), ..spec }
}

/// A Job that restores to a volume of its own, which goes with it.
#[must_use]
pub fn verify(desired: &Desired, fill: &Fill) -> Job {
    let size = Quantity(fill.needed.saturating_mul(5).div_euclid(4).max(1 << 30).to_string());
    let target = Volume {
        name: "target".to_owned(),
        ephemeral: Some(EphemeralVolumeSource {
            volume_claim_template: Some(PersistentVolumeClaimTemplate {
                metadata: None,
                spec: PersistentVolumeClaimSpec {
                    access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                    storage_class_name: desired.storage_class.clone(),
                    resources: Some(VolumeResourceRequirements {
                        requests: Some([("storage".to_owned(), size)].into()),
                        ..VolumeResourceRequirements::default()
                    }),
                    ..PersistentVolumeClaimSpec::default()
                },
            }),
        }),
        ..Volume::default()
    };
    job(desired, desired.cluster.backup_verify_job(), None, filling(desired, fill, Member::Node(1), "verify", target))
}

/// A Job that turns one member's volume to the new data, or back to the old, if it holds what is expected, as the
/// inspector says it.
#[must_use]
pub fn turn(desired: &Desired, member: Member, turn: Turn, expected: &str, near: Option<Near>) -> Job {
    let container = Container {
        command: Some(bash(super::scripts::TURN)),
        env: Some(vec![
            env("VOLUME", "/target"),
            env("GALERA_MEMBER", member.to_string()),
            env("TURN", turn.word()),
            env("EXPECT", expected),
        ]),
        volume_mounts: Some(vec![mount("target", "/target", false)]),
        resources: requirements(&desired.helper_resources),
        ..container(desired)
    };
    let spec =
        PodSpec { volumes: Some(vec![claimed("target", desired.cluster.claim(member))]), ..pod(desired, container) };
    job(desired, desired.cluster.restore_job(member), Some(member), placed(desired, spec, near))
}
