//! The rights that each verb asks of the API server, checked before anything is looked at or changed.

use crate::desired::{BackupTarget, Desired};
use crate::error::{Failure, Kind, Result};
use crate::kube::access::{Right, denied};
use crate::kube::client::Connection;
use crate::names::Namespace;

/// API group, resource with its subresource, and the verbs that are used on it.
pub type Need = (&'static str, &'static str, &'static [&'static str]);

/// What `up` does.
pub const UP: &[Need] = &[
    ("", "configmaps", &["get", "create", "patch"]),
    ("", "secrets", &["get", "list", "create", "patch", "delete"]),
    ("", "services", &["get", "list", "create", "patch", "delete"]),
    ("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "persistentvolumeclaims", &["get", "list", "watch", "create", "patch", "delete"]),
    ("apps", "statefulsets", &["get", "list", "watch", "create", "patch", "delete"]),
    ("apps", "deployments", &["get", "list", "watch", "create", "patch"]),
    ("policy", "poddisruptionbudgets", &["get", "create", "patch"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
    ("", "pods/portforward", &["get", "create"]),
    ("", "pods/exec", &["get", "create"]),
    ("", "pods/log", &["get"]),
];

/// What `teardown` does.
pub const TEARDOWN: &[Need] = &[
    ("", "configmaps", &["get", "list", "delete"]),
    ("", "secrets", &["get", "list", "delete"]),
    ("", "services", &["list", "delete"]),
    ("", "pods", &["list", "watch", "delete"]),
    ("", "persistentvolumeclaims", &["list", "watch", "delete"]),
    ("apps", "statefulsets", &["list", "watch", "delete"]),
    ("apps", "deployments", &["list", "watch", "delete"]),
    ("policy", "poddisruptionbudgets", &["list", "delete"]),
    ("networking.k8s.io", "networkpolicies", &["list", "delete"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
    ("", "pods/portforward", &["get", "create"]),
];

/// What `expose` and `unexpose` do.
pub const EXPOSE: &[Need] = &[
    ("", "services", &["get", "list", "create", "patch", "delete"]),
    ("networking.k8s.io", "networkpolicies", &["get", "list", "create", "patch", "delete"]),
    ("", "pods", &["list", "watch"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update"]),
];

/// What `purge` does.
pub const PURGE: &[Need] = &[
    ("", "pods/exec", &["get", "create"]),
    ("batch", "jobs", &["get", "list", "create", "patch", "delete"]),
    ("", "configmaps", &["get", "create", "patch"]),
    ("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "pods/log", &["get"]),
    ("", "persistentvolumeclaims", &["get", "list", "watch", "create", "patch"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
];

/// What `backup` does.
pub const BACKUP: &[Need] = &[
    ("batch", "jobs", &["get", "list", "create", "patch", "delete"]),
    ("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "pods/exec", &["get", "create"]),
    ("", "pods/portforward", &["get", "create"]),
    ("", "pods/log", &["get"]),
    ("", "persistentvolumeclaims", &["get", "list", "watch"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
];

/// What `restore` does, beside what `up` does.
pub const RESTORE: &[Need] = &[
    ("batch", "jobs", &["get", "list", "create", "patch", "delete"]),
    ("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "configmaps", &["get", "list", "create", "patch", "delete"]),
    ("", "secrets", &["get", "list", "create", "patch", "delete"]),
    ("", "services", &["get", "list", "create", "patch", "delete"]),
    ("", "persistentvolumeclaims", &["get", "list", "watch", "create", "patch", "delete"]),
    ("apps", "statefulsets", &["get", "list", "watch", "create", "patch", "delete"]),
    ("apps", "deployments", &["get", "list", "watch", "create", "patch", "delete"]),
    ("policy", "poddisruptionbudgets", &["get", "list", "create", "patch", "delete"]),
    ("networking.k8s.io", "networkpolicies", &["list", "delete"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update", "delete"]),
    ("", "pods/portforward", &["get", "create"]),
    ("", "pods/exec", &["get", "create"]),
    ("", "pods/log", &["get"]),
];

/// What they do in the whole Kubernetes cluster, where no storage class makes the volumes.
const VOLUMES: Need = ("", "persistentvolumes", &["get", "create", "patch", "delete"]);

/// Asks whether the user may do all of it, since the first act that is forbidden would name one right only.
///
/// # Errors
/// Every right that is missing.
pub async fn check(connection: &Connection, desired: &Desired, needs: &[Need]) -> Result<()> {
    let mut rights: Vec<Right> = needs.iter().flat_map(|need| rights(Some(&desired.namespace), need)).collect();
    let by_hand = !desired.iscsi.is_empty() && needs != EXPOSE && needs != BACKUP;
    let share = desired.backup.as_ref().is_some_and(|backup| matches!(backup.target, BackupTarget::Nfs(_)));
    if by_hand || (share && (needs == UP || needs == RESTORE)) {
        rights.extend(self::rights(None, &VOLUMES));
    }
    let denied = denied(&connection.client, &rights).await?;
    if denied.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = denied.iter().map(ToString::to_string).collect();
    Err(Failure::message(Kind::Preflight, format!("you may not: {}", list.join(", ")))
        .hint("ask for a Role with these rights in the namespace, or use another --context or --as"))
}

fn rights<'a>(
    namespace: Option<&'a Namespace>,
    (group, resource, verbs): &'a Need,
) -> impl Iterator<Item = Right> + 'a {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    verbs.iter().map(move |verb| Right {
        verb,
        group,
        resource,
        subresource,
        namespace: namespace.map(Namespace::to_string),
    })
}
