//! Namespace, claims and disruption budgets.

use k8s_openapi::api::core::v1::{
    Namespace, PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{matching, member_meta, meta, selector};
use crate::desired::Desired;
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

/// Claim of a member's data volume.
#[must_use]
pub fn claim(desired: &Desired, member: Member) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: member_meta(desired, desired.cluster.claim(member), member),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: desired.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(desired.volume_size.clone()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
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
