//! The rights that each verb asks of the API server, checked before anything is looked at or changed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::desired::{BackupTarget, Desired};
use crate::error::{Failure, Kind, Result};
use crate::kube::access::{Right, denied_to};
use crate::kube::client::Connection;
use crate::manifests::{seal, tls};

/// API group, resource with its subresource, and the verbs that are used on it.
pub type Need = (&'static str, &'static str, &'static [&'static str]);

/// What `up` does.
pub const UP: &[Need] = &[
    ("", "configmaps", &["get", "create", "patch"]),
    ("", "secrets", &["get", "create", "patch", "delete"]),
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

/// What `certificates` does.
pub const CERTIFICATES: &[Need] = &[
    ("", "secrets", &["get", "patch"]),
    ("", "pods", &["get", "list", "watch", "patch"]),
    ("", "pods/exec", &["get", "create"]),
    ("", "pods/portforward", &["get", "create"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update"]),
];

/// What `credentials rotate` does.
pub const CREDENTIALS: &[Need] = &[
    ("", "secrets", &["get", "patch"]),
    ("", "pods", &["get", "list", "watch"]),
    ("", "pods/portforward", &["get", "create"]),
    ("coordination.k8s.io", "leases", &["get", "create", "update"]),
];

/// What `sql` does.
pub const SQL: &[Need] = &[("", "pods/exec", &["get", "create"])];

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

/// What every verb does to find a cluster and to look at it.
pub const LOOK: &[Need] = &[
    ("", "configmaps", &["get", "list"]),
    ("", "secrets", &["get"]),
    ("", "services", &["list"]),
    ("", "pods", &["get", "list", "watch"]),
    ("", "persistentvolumeclaims", &["get", "list", "watch"]),
    ("apps", "statefulsets", &["list", "watch"]),
    ("apps", "deployments", &["list", "watch"]),
    ("coordination.k8s.io", "leases", &["get"]),
    // Without them it works, and does not say why a pod does not start.
    ("", "events", &["list", "watch"]),
    ("", "pods/log", &["get"]),
    ("", "pods/portforward", &["get", "create"]),
];

/// How the backups are looked at, where there are any.
const LOOK_AT_BACKUPS: Need = ("", "pods/exec", &["get", "create"]);

/// What they do in the whole Kubernetes cluster, where no storage class makes the volumes.
const VOLUMES: Need = ("", "persistentvolumes", &["get", "create", "patch", "delete"]);

/// What makes network policies, where they are wanted.
const POLICIES: Need = ("networking.k8s.io", "networkpolicies", &["get", "create", "patch"]);

/// Asks whether the user may do all of it, since the first act that is forbidden would name one right only.
///
/// # Errors
/// Every right that is missing.
pub async fn check(connection: &Connection, desired: &Desired, needs: &[Need]) -> Result<()> {
    let mut rights: Vec<(Right, Vec<String>)> = needs.iter().flat_map(|need| rights(Some(desired), need)).collect();
    if makes_volumes(desired, needs) {
        rights.extend(self::rights(None, &VOLUMES));
    }
    if makes_policies(desired, needs) {
        rights.extend(self::rights(Some(desired), &POLICIES));
    }
    let denied = denied_to(&connection.client, &rights).await?;
    if denied.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = denied.iter().map(ToString::to_string).collect();
    let failure = Failure::message(Kind::Preflight, format!("you may not: {}", list.join(", ")))
        .hint("ask for a Role with these rights in the namespace, or use another --context or --as");
    // The policies alone are no reason to go without a cluster.
    let (_, policies, _) = POLICIES;
    Err(if list.iter().all(|right| right.contains(policies)) {
        failure.hint("or form it without network policies: --set galera_cluster_network_policies=no")
    } else {
        failure
    })
}

fn makes_volumes(desired: &Desired, needs: &[Need]) -> bool {
    let by_hand = !desired.iscsi.is_empty() && ![EXPOSE, BACKUP, CERTIFICATES, CREDENTIALS, LOOK].contains(&needs);
    let share = desired.backup.as_ref().is_some_and(|backup| matches!(backup.target, BackupTarget::Nfs(_)));
    by_hand || (share && (needs == UP || needs == RESTORE))
}

/// Who may not make policies can have a cluster without them.
fn makes_policies(desired: &Desired, needs: &[Need]) -> bool {
    desired.network.is_some() && (needs == UP || needs == RESTORE)
}

/// The rules of a Role that is enough for all of these, and for looking at the cluster. They name their objects where the API
/// server can tell them apart by name.
#[must_use]
pub fn rules(desired: &Desired, needs: &[&[Need]]) -> Vec<PolicyRule> {
    let policies = needs.iter().any(|needs| makes_policies(desired, needs)).then_some(&POLICIES);
    let backups = desired.backup.is_some().then_some(&LOOK_AT_BACKUPS);
    let all = LOOK.iter().chain(needs.iter().copied().flatten()).chain(policies).chain(backups);
    let mut verbs: BTreeMap<(&str, &str, Vec<String>), BTreeSet<&str>> = BTreeMap::new();
    for need in all {
        let (group, resource, _) = *need;
        for (right, names) in rights(Some(desired), need) {
            verbs.entry((group, resource, names)).or_default().insert(right.verb);
        }
    }
    let mut alike: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for ((group, resource, names), verbs) in verbs {
        alike.entry((group, names, verbs)).or_default().push(resource);
    }
    alike.into_iter().map(|((group, names, verbs), resources)| rule(group, &resources, names, verbs)).collect()
}

/// Those of a `ClusterRole` that is needed as well, where no storage class makes the volumes; otherwise none.
#[must_use]
pub fn cluster_rules(desired: &Desired, needs: &[&[Need]]) -> Vec<PolicyRule> {
    let (group, resource, verbs) = VOLUMES;
    let needed = needs.iter().any(|needs| makes_volumes(desired, needs));
    needed.then(|| rule(group, &[resource], Vec::new(), verbs.iter().copied())).into_iter().collect()
}

fn rule<'a>(
    group: &str,
    resources: &[&str],
    names: Vec<String>,
    verbs: impl IntoIterator<Item = &'a str>,
) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.iter().map(|resource| (*resource).to_owned()).collect()),
        resource_names: (!names.is_empty()).then_some(names),
        verbs: verbs.into_iter().map(str::to_owned).collect(),
        ..PolicyRule::default()
    }
}

/// The rights in a cluster's namespace, or in the whole Kubernetes cluster, with the names of what they are used on.
fn rights<'a>(
    desired: Option<&'a Desired>,
    (group, resource, verbs): &'a Need,
) -> impl Iterator<Item = (Right, Vec<String>)> + 'a {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    verbs.iter().map(move |verb| {
        let namespace = desired.map(|desired| desired.namespace.to_string());
        let names = desired.map(|desired| names(desired, resource, verb)).unwrap_or_default();
        (Right { verb, group, resource, subresource, namespace }, names)
    })
}

/// All objects that a right is used on, where they are known: a Role may be limited to them. What is created has no name
/// yet for the API server. Secrets alone are listed by their names.
fn names(desired: &Desired, resource: &str, verb: &str) -> Vec<String> {
    let cluster = &desired.cluster;
    match (resource, verb) {
        // The keys of the backups outlive the cluster, as the backups do.
        ("secrets", "list" | "delete") => tls::secrets(desired),
        ("secrets", "get" | "patch") => [tls::secrets(desired), seal::secrets(desired)].concat(),
        ("leases", "get" | "update" | "delete") => vec![cluster.lock()],
        ("configmaps", "get" | "patch" | "delete") => {
            vec![cluster.config(), cluster.spec(), cluster.record(), cluster.proxy()]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tls;

    #[test]
    fn only_what_has_a_name_is_asked_by_it() {
        let mut desired = crate::gates::group::tests::desired(1);
        assert_eq!(names(&desired, "secrets", "get"), [desired.cluster.credentials()]);
        desired.tls = Some(Tls::default());
        let secrets = tls::secrets(&desired);
        assert_eq!(secrets.len(), 4, "passwords, the authority, the seed, one node");
        let asked: Vec<_> = UP.iter().chain(TEARDOWN).flat_map(|need| rights(Some(&desired), need)).collect();
        for verb in ["get", "list", "patch", "delete"] {
            let (_, names) = asked.iter().find(|(right, _)| right.resource == "secrets" && right.verb == verb).unwrap();
            assert_eq!(*names, secrets, "{verb}");
        }
        assert!(asked.iter().all(|(right, names)| !["create", "watch"].contains(&right.verb) || names.is_empty()));
        assert!(rights(None, &VOLUMES).all(|(right, names)| names.is_empty() && right.namespace.is_none()));
    }
}
