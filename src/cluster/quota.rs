//! What the quotas of the namespace have left for new nodes, all of them together.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, ResourceQuota, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use crate::desired::Desired;
use crate::error::{Failure, Kind, Result};
use crate::kube::objects::Objects;
use crate::manifests::member;
use crate::names::Member;
use crate::plans::quantity::{lacks, thousandths};

use super::world::World;

/// Whether the quotas have room for all that these nodes lack. Each object alone is judged by the API server beforehand;
/// this is about their sum. Quotas for some pods only are left to it, and so are those that nobody may look at.
///
/// # Errors
/// [`Kind::Preflight`] with the figures of everything of which there is too little.
pub async fn room(world: &World) -> Result<()> {
    let desired = &world.desired;
    let quotas: Objects<ResourceQuota> = Objects::within(&world.connection.client, &desired.namespace);
    let Some(quotas) = quotas.list_seen("", Kind::Preflight).await? else { return Ok(()) };
    let snapshot = world.observer.live().snapshot();
    let new: Vec<Member> =
        desired.members().filter(|node| !snapshot.statefulsets.contains_key(&desired.cluster.member(*node))).collect();
    let claims = desired.members().filter(|node| !snapshot.claims.contains_key(&desired.cluster.claim(*node))).count();
    let asked = asked(desired, &new, claims);
    let mut wrong = Vec::new();
    for quota in quotas {
        let name = quota.name_any();
        let is_for_some = quota.spec.is_none_or(|spec| spec.scopes.is_some() || spec.scope_selector.is_some());
        let Some(status) = quota.status.filter(|_| !is_for_some) else { continue };
        let text = |map: Option<BTreeMap<String, Quantity>>| -> BTreeMap<String, String> {
            map.unwrap_or_default().into_iter().map(|(what, quantity)| (what, quantity.0)).collect()
        };
        let lacking = lacks(&text(status.hard), &text(status.used), &asked);
        wrong.extend(lacking.iter().map(|lack| format!("resourcequota/{name} has too little {lack}")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::message(Kind::Preflight, format!("{} new nodes do not fit: {}", new.len(), wrong.join("; ")))
        .hint("ask whoever owns the namespace for more, or for fewer nodes; nothing was changed"))
}

/// What nodes need that are new, and claims that are missing, by the names that quotas have for it, in thousandths.
fn asked(desired: &Desired, new: &[Member], claims: usize) -> BTreeMap<String, u128> {
    let mut sum: BTreeMap<String, u128> = BTreeMap::new();
    let mut add = |what: &str, amount: u128| *sum.entry(what.to_owned()).or_default() += amount;
    for node in new {
        for what in ["pods", "count/pods", "services", "count/services", "count/statefulsets.apps"] {
            add(what, 1000);
        }
        if desired.tls.is_some() {
            add("secrets", 1000);
            add("count/secrets", 1000);
        }
        let template = member::node(desired, *node).spec.and_then(|spec| spec.template.spec);
        for (what, amount) in template.iter().flat_map(of_pod) {
            add(&what, amount);
        }
    }
    let count = u128::try_from(claims).unwrap_or(u128::MAX);
    let storage = thousandths(&desired.volume_size).unwrap_or(0).saturating_mul(count);
    let class = desired.storage_class.as_ref().map(|class| format!("{class}.storageclass.storage.k8s.io/"));
    for prefix in std::iter::once(String::new()).chain(class) {
        add(&format!("{prefix}persistentvolumeclaims"), count * 1000);
        add(&format!("{prefix}requests.storage"), storage);
    }
    add("count/persistentvolumeclaims", count * 1000);
    sum
}

/// What all containers of a pod ask for. A bare name means a request.
fn of_pod(pod: &PodSpec) -> Vec<(String, u128)> {
    let mut all = Vec::new();
    for resources in pod.containers.iter().filter_map(|container| container.resources.as_ref()) {
        let ResourceRequirements { requests, limits, .. } = resources;
        for (prefixes, amounts) in [(&["", "requests."][..], requests), (&["limits."][..], limits)] {
            for (what, quantity) in amounts.iter().flatten() {
                let amount = thousandths(&quantity.0).unwrap_or(0);
                all.extend(prefixes.iter().map(|prefix| (format!("{prefix}{what}"), amount)));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Resources, Tls};

    #[test]
    fn what_new_nodes_ask_for_is_summed_up() {
        let resources = |pairs: [(&str, &str); 2]| pairs.map(|(what, much)| (what.to_owned(), much.to_owned())).into();
        let desired = Desired {
            resources: Resources {
                requests: resources([("cpu", "250m"), ("memory", "512Mi")]),
                limits: resources([("cpu", "1"), ("memory", "1Gi")]),
            },
            storage_class: Some("fast".to_owned()),
            tls: Some(Tls::default()),
            ..crate::desired::tests::desired("c", 5)
        };
        let asked = asked(&desired, &[Member::Node(4), Member::Node(5)], 1);
        for (what, amount) in [
            ("pods", 2000),
            ("count/secrets", 2000),
            ("cpu", 500),
            ("requests.cpu", 500),
            ("limits.cpu", 2000),
            ("requests.memory", 1000 << 30),
            ("persistentvolumeclaims", 1000),
            ("requests.storage", 10_000 << 30),
            ("fast.storageclass.storage.k8s.io/requests.storage", 10_000 << 30),
        ] {
            assert_eq!(asked.get(what), Some(&amount), "{what}");
        }
        assert!(super::asked(&desired, &[], 0).values().all(|amount| *amount == 0));
    }
}
