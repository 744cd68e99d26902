//! Metadata that all objects share.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::desired::Desired;
use crate::names::{
    APP, COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, MEMBER_LABEL, Member, NAME_LABEL, Role,
};

/// Labels that select the objects of one role.
#[must_use]
pub fn selector(desired: &Desired, role: Role) -> BTreeMap<String, String> {
    [(NAME_LABEL, APP), (INSTANCE_LABEL, desired.cluster.as_str()), (COMPONENT_LABEL, role.label())]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Labels of every object of a role.
#[must_use]
pub fn labels(desired: &Desired, role: Role) -> BTreeMap<String, String> {
    let mut labels = selector(desired, role);
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    labels
}

/// Labels that select one member's pod.
#[must_use]
pub fn member_selector(desired: &Desired, member: Member) -> BTreeMap<String, String> {
    let mut labels = selector(desired, role_of(member));
    labels.insert(MEMBER_LABEL.to_owned(), member.to_string());
    labels
}

/// The role of a member.
#[must_use]
pub fn role_of(member: Member) -> Role {
    match member {
        Member::Seed => Role::Seed,
        Member::Node(_) => Role::Node,
    }
}

/// Name, namespace and labels of an object of the whole cluster or of a role.
#[must_use]
pub fn meta(desired: &Desired, name: String, role: Role) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(desired.namespace.to_string()),
        labels: Some(labels(desired, role)),
        ..ObjectMeta::default()
    }
}

/// Name, namespace and labels of an object of one member.
#[must_use]
pub fn member_meta(desired: &Desired, name: String, member: Member) -> ObjectMeta {
    let mut meta = meta(desired, name, role_of(member));
    meta.labels.get_or_insert_default().insert(MEMBER_LABEL.to_owned(), member.to_string());
    meta
}

/// What a pod reads only when it starts is not part of its template; this annotation lets a change of it make another one.
pub const CONFIG_ANNOTATION: &str = "galeractl.dev/config";

/// A selector that matches these labels. An empty list is left out: the API server keeps none, and whoever applies the
/// same again would be told of a conflict.
#[must_use]
pub fn matching(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: (!labels.is_empty()).then_some(labels), ..LabelSelector::default() }
}
