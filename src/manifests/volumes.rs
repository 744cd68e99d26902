//! Namespace, volumes, claims and disruption budgets.

use k8s_openapi::api::core::v1::{
    ISCSIPersistentVolumeSource, NFSVolumeSource, Namespace, ObjectReference, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, PersistentVolumeSpec, VolumeResourceRequirements,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{matching, member_meta, meta, selector};
use crate::desired::{Backup, BackupTarget, Desired, IscsiTarget, NfsShare};
use crate::names::{MANAGED_BY_LABEL, MANAGER, Member, Role};

/// The namespace. Only made where it is missing: it may hold much that is not ours.
#[must_use]
pub fn namespace(desired: &Desired) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(desired.namespace.to_string()),
            labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Label by which a claim finds the one volume that was made for it.
const VOLUME_LABEL: &str = "volume";

/// Claim of a member's data volume.
#[must_use]
pub fn claim(desired: &Desired, member: Member) -> PersistentVolumeClaim {
    let metadata = member_meta(desired, desired.cluster.claim(member), member);
    if desired.iscsi.contains_key(&member) {
        let volume = desired.cluster.volume(member);
        return claim_of(metadata, "ReadWriteOnce", &desired.volume_size, &volume);
    }
    let own = desired.seed_storage_class.as_ref().filter(|_| member == Member::Seed);
    claim_of_class(metadata, own.or(desired.storage_class.as_ref()), &desired.volume_size)
}

fn claim_of_class(metadata: ObjectMeta, class: Option<&String>, size: &str) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: class.cloned(),
            resources: Some(requests(size)),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn requests(size: &str) -> VolumeResourceRequirements {
    VolumeResourceRequirements {
        requests: Some([("storage".to_owned(), Quantity(size.to_owned()))].into()),
        ..VolumeResourceRequirements::default()
    }
}

/// A claim of exactly one volume. The empty class keeps the default class from making another one.
fn claim_of(metadata: ObjectMeta, mode: &str, size: &str, volume: &str) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![mode.to_owned()]),
            storage_class_name: Some(String::new()),
            selector: Some(matching([(VOLUME_LABEL.to_owned(), volume.to_owned())].into())),
            resources: Some(requests(size)),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// A volume for exactly one claim: no other may take it, and releasing it wipes nothing.
fn volume_for(
    mut metadata: ObjectMeta,
    desired: &Desired,
    claim: String,
    spec: PersistentVolumeSpec,
) -> PersistentVolume {
    metadata.namespace = None;
    metadata
        .labels
        .get_or_insert_default()
        .extend(metadata.name.iter().map(|name| (VOLUME_LABEL.to_owned(), name.clone())).collect::<Vec<_>>());
    PersistentVolume {
        metadata,
        spec: Some(PersistentVolumeSpec {
            claim_ref: Some(ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("PersistentVolumeClaim".to_owned()),
                namespace: Some(desired.namespace.to_string()),
                name: Some(claim),
                ..ObjectReference::default()
            }),
            persistent_volume_reclaim_policy: Some("Retain".to_owned()),
            ..spec
        }),
        ..PersistentVolume::default()
    }
}

/// Volume of a member on its iSCSI target.
#[must_use]
pub fn iscsi_volume(desired: &Desired, member: Member, target: &IscsiTarget) -> PersistentVolume {
    let metadata = member_meta(desired, desired.cluster.volume(member), member);
    let source = ISCSIPersistentVolumeSource {
        target_portal: target.portal.clone(),
        iqn: target.iqn.clone(),
        lun: i32::try_from(target.lun).unwrap_or_default(),
        fs_type: Some("ext4".to_owned()),
        read_only: Some(false),
        ..ISCSIPersistentVolumeSource::default()
    };
    let spec = PersistentVolumeSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        capacity: requests(&desired.volume_size).requests,
        iscsi: Some(source),
        ..PersistentVolumeSpec::default()
    };
    volume_for(metadata, desired, desired.cluster.claim(member), spec)
}

/// Volume of the backups on an NFS share.
#[must_use]
pub fn backup_volume(desired: &Desired, backup: &Backup, share: &NfsShare) -> PersistentVolume {
    let metadata = meta(desired, desired.cluster.backup_volume(), Role::Backup);
    let source =
        NFSVolumeSource { server: share.server.clone(), path: share.path.clone(), ..NFSVolumeSource::default() };
    let spec = PersistentVolumeSpec {
        access_modes: Some(vec!["ReadWriteMany".to_owned()]),
        capacity: requests(&backup.volume_size).requests,
        mount_options: Some(vec!["vers=3".to_owned(), "nolock".to_owned()]),
        nfs: Some(source),
        ..PersistentVolumeSpec::default()
    };
    volume_for(metadata, desired, desired.cluster.backup_claim(), spec)
}

/// Claim of the volume of the backups.
#[must_use]
pub fn backup_claim(desired: &Desired, backup: &Backup) -> PersistentVolumeClaim {
    let metadata = meta(desired, desired.cluster.backup_claim(), Role::Backup);
    match &backup.target {
        BackupTarget::Nfs(_) => {
            claim_of(metadata, "ReadWriteMany", &backup.volume_size, &desired.cluster.backup_volume())
        }
        BackupTarget::Class(class) => claim_of_class(metadata, class.as_ref(), &backup.volume_size),
    }
}

/// Drains and upgrades take one pod of this role at a time.
#[must_use]
pub fn budget(desired: &Desired, name: String, role: Role) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta(desired, name, role),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(matching(selector(desired, role))),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
