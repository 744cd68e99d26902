//! Taking a cluster down: the proxy, then the nodes one at a time, then the rest.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{ApiResource, Resource};

use crate::cluster::nodes::common_view;
use crate::cluster::world::{BEAT, World};
use crate::cluster::{adopt, record, remove};
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::{Disagreement, agreement, list};
use crate::kube::delete::{Found, owned};
use crate::manifests::config::Record;
use crate::manifests::tls;
use crate::names::Member;
use crate::observe::objects::claim_owner;
use crate::observed::{MemberView, Observed};
use crate::wsrep::WsrepStatus;

/// Looks whether the nodes can be stopped without doubt about their positions.
pub const LOOK: Named = Named::new("preflight", "look before anything is stopped");

/// The proxy goes first, so that no client is connected when the nodes go.
pub const STOP_PROXY: Named = Named::new("haproxy", "remove the proxy");

/// One node after the other; each leaves with a known position, and the rest confirm that it has left.
pub const STOP_NODES: Named = Named::new("nodes", "stop the nodes one at a time");

/// Everything else, but volumes and passwords.
pub const REMOVE_REST: Named = Named::new("rest", "remove the rest");

/// Everything else, on explicit wish.
pub const REMOVE_ALL: Named = Named::new("rest", "remove the rest, volumes and passwords included");

fn kind<K: Resource<DynamicType = ()>>() -> [ApiResource; 1] {
    [ApiResource::erase::<K>(&())]
}

/// What the run asks before it stops anything.
///
/// # Errors
/// The nodes are not in order, and `force` does not say that this does not matter.
pub async fn look(cx: &StepCx<'_, World>, force: bool) -> Result<Finished> {
    let world = cx.world;
    let Desired { cluster, namespace, .. } = &world.desired;
    let recorded = record::recorded(&world.connection.client, namespace, cluster).await?.unwrap_or_default();
    let ask = || {
        let observed = world.observer.now();
        // A seed that has never led a component has taken no write, and nodes that were never let go have none.
        if recorded == Record::default() && !observed.members.values().any(MemberView::is_primary) {
            return Verdict::pass("the cluster has never been formed");
        }
        in_order(&observed, &world.desired)
    };
    if force {
        return Ok(Finished::unchanged(match ask() {
            Verdict::Pass(found) => found,
            _ => "the nodes do not agree; they are stopped all the same".to_owned(),
        }));
    }
    let waited = cx.wait(world.observer.changes(), BEAT, world.patience(), || async { ask() });
    waited.await.map(Finished::unchanged).map_err(|failure| {
        failure
            .hint("mend the cluster first, so that every node stops at a known position: galeractl verify")
            .hint("to stop the nodes as they are: add --force; bringing them back may then need your decision")
    })
}

/// Whether each node would stop at a position that the others know. A donor is waited for.
fn in_order(observed: &Observed, desired: &Desired) -> Verdict {
    let members = present(observed);
    if members.is_empty() {
        return Verdict::pass("no node runs");
    }
    let settled = |status: &WsrepStatus| status.is_primary() && status.is_settled();
    let works = |member: &Member| observed.members.get(member).and_then(MemberView::status).is_some_and(settled);
    match agreement(observed, desired, &members) {
        Ok(view) => Verdict::pass(format!("{} members agree on view {}", view.size, view.conf_id)),
        Err(Disagreement::Pending(why)) if members.iter().all(works) => Verdict::wait(format!(
            "all nodes to be Synced; a donor gives a state transfer or a backup, and will be Synced again: {why}"
        )),
        Err(Disagreement::Pending(why) | Disagreement::Diverged(why)) => {
            Verdict::Fail(Failure::message(Kind::Preflight, format!("the nodes are not in order: {why}")))
        }
    }
}

/// Members whose pods are there to stay.
fn present(observed: &Observed) -> Vec<Member> {
    observed
        .members
        .iter()
        .filter(|(_, view)| view.pod.exists && !view.pod.leaving)
        .map(|(member, _)| *member)
        .collect()
}

/// All objects that the steps go through, with the step that meets each and whether it outlives the teardown. `volumes`
/// go only on explicit wish.
///
/// # Errors
/// The API server refuses to list them.
pub async fn inventory(world: &World, volumes: bool) -> Result<Vec<(&'static str, Found, bool)>> {
    let desired = &world.desired;
    let kinds = [
        kind::<Service>(),
        kind::<Deployment>(),
        kind::<StatefulSet>(),
        kind::<Pod>(),
        kind::<PodDisruptionBudget>(),
        kind::<NetworkPolicy>(),
        kind::<ConfigMap>(),
        kind::<PersistentVolumeClaim>(),
        kind::<Secret>(),
    ];
    let Desired { namespace, cluster, .. } = desired;
    let all = owned(&world.connection.client, namespace, cluster, &kinds.concat(), &tls::secrets(desired)).await?;
    let seed = desired.cluster.pod(Member::Seed);
    // Other pods go with what has made them.
    let listed = all.into_iter().filter(|found| found.resource.kind != "Pod" || found.name == seed);
    let mut inventory: Vec<(&'static str, Found, bool)> = listed
        .map(|found| {
            let stays = stays(world, &found, volumes);
            (step_of(desired, &found), found, stays)
        })
        .collect();
    let order = [STOP_PROXY.id, STOP_NODES.id, REMOVE_REST.id];
    inventory.sort_by_key(|(step, _, _)| order.iter().position(|known| known == step));
    Ok(inventory)
}

fn step_of(desired: &Desired, found: &Found) -> &'static str {
    let cluster = &desired.cluster;
    let of_proxy = [cluster.proxy(), cluster.external_load_balancer(), cluster.external_node_port()];
    let kind = found.resource.kind.as_str();
    match kind {
        "NetworkPolicy" => REMOVE_REST.id,
        _ if of_proxy.contains(&found.name) => STOP_PROXY.id,
        "StatefulSet" | "Pod" => STOP_NODES.id,
        "PodDisruptionBudget" if found.name == cluster.nodes_budget() => STOP_NODES.id,
        _ => REMOVE_REST.id,
    }
}

/// What goes with the rest, whatever becomes of the volumes.
fn rest_kinds() -> Vec<ApiResource> {
    [kind::<Service>(), kind::<PodDisruptionBudget>(), kind::<NetworkPolicy>()].concat()
}

/// What [`remove_rest`] removes while volumes and passwords stay.
///
/// # Errors
/// The API server refuses to list it.
pub async fn rest(world: &World) -> Result<Vec<Found>> {
    let kinds = [rest_kinds(), kind::<ConfigMap>().to_vec()].concat();
    let listed = inventory(world, false).await?.into_iter().filter(|(_, _, stays)| !stays).map(|(_, found, _)| found);
    Ok(listed.filter(|found| kinds.contains(&found.resource)).collect())
}

/// Whether an object outlives the teardown. What the cluster should be, and what it was, stays for as long as its volumes
/// do: whoever comes back needs no file, and is told if something is not what it was.
fn stays(world: &World, found: &Found, volumes: bool) -> bool {
    let desired = &world.desired;
    let is_data = |name: &str| claim_owner(desired, name).is_some();
    match found.resource.kind.as_str() {
        "Secret" => !volumes,
        // Backups have a claim as well, and outlive the cluster.
        "PersistentVolumeClaim" => !volumes || !is_data(&found.name),
        "ConfigMap" if [desired.cluster.spec(), desired.cluster.record()].contains(&found.name) => {
            !volumes && world.observer.now().claims.keys().any(|name| is_data(name))
        }
        _ => false,
    }
}

/// Removes the proxy, and every way in from outside.
///
/// # Errors
/// The API server refuses, or a pod does not end.
pub async fn stop_proxy(cx: &StepCx<'_, World>) -> Result<Finished> {
    let cluster = &cx.world.desired.cluster;
    let name = cluster.proxy();
    // Whoever comes from outside is sent away first.
    let outside = [cluster.external_load_balancer(), cluster.external_node_port()];
    remove::objects(cx, &kind::<Service>(), |found| outside.iter().any(|name| name == found)).await?;
    let kinds = [kind::<Service>(), kind::<Deployment>(), kind::<ConfigMap>(), kind::<PodDisruptionBudget>()].concat();
    let removed = remove::objects(cx, &kinds, |found| found == name).await?;
    remove::gone(cx, &kind::<Pod>(), "the proxy's pods to end", |found| found.starts_with(&name)).await?;
    Ok(if removed.is_empty() { Finished::unchanged("there is none") } else { Finished::changed("removed") })
}

/// Stops the nodes; with `force`, without waiting for the others to agree.
///
/// # Errors
/// The lock was lost, a node does not end, or those that are left do not agree.
pub async fn stop_nodes(cx: &StepCx<'_, World>, force: bool) -> Result<Finished> {
    let world = cx.world;
    let cluster = &world.desired.cluster;
    let budget = cluster.nodes_budget();
    let recorded =
        record::recorded(&world.connection.client, &world.desired.namespace, cluster).await?.unwrap_or_default();
    remove::objects(cx, &kind::<PodDisruptionBudget>(), |name| name == budget).await?;
    let mut members = present(&world.observer.now());
    // The seed first, while there is somebody to take over; then the highest number first.
    let order: Vec<Member> = {
        let seed = members.iter().copied().filter(|member| *member == Member::Seed);
        seed.chain(members.iter().rev().copied().filter(|member| *member != Member::Seed)).collect()
    };
    for leaving in &order {
        cx.check_cancelled()?;
        world.confirm_lock().await?;
        let (set, pod) = (cluster.member(*leaving), cluster.pod(*leaving));
        remove::objects(cx, &kind::<StatefulSet>(), |name| name == set).await?;
        remove::objects(cx, &kind::<Pod>(), |name| name == pod).await?;
        stopped(cx, *leaving, &pod).await?;
        members.retain(|member| member != leaving);
        if !members.is_empty() && !force && recorded != Record::default() {
            common_view(cx, &members, None).await?;
        }
    }
    // StatefulSets whose pods were gone already, and pods that had begun to leave.
    let nodes = |name: &str| name.starts_with(&format!("{cluster}-galera-node")) || name == cluster.pod(Member::Seed);
    remove::objects(cx, &kind::<StatefulSet>(), nodes).await?;
    remove::gone(cx, &[kind::<StatefulSet>(), kind::<Pod>()].concat(), "the nodes to end", nodes).await?;
    Ok(match order.len() {
        0 => Finished::unchanged("none ran"),
        _ => Finished::changed(format!("{} stopped, one after the other", list(&order))),
    })
}

/// Waits until a server has ended. What is left of its pod goes while others are stopped.
async fn stopped(cx: &StepCx<'_, World>, member: Member, pod: &str) -> Result<()> {
    let world = cx.world;
    let what = format!("{member} to leave");
    let mut ended = false;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let view = observed.members.get(&member).filter(|view| view.pod.exists);
        ended = view.is_some_and(MemberView::has_stopped);
        let verdict = match view {
            Some(view) if !ended => Verdict::wait(format!("{what}: {}", view.pod.phrase)),
            _ => Verdict::pass(""),
        };
        async { verdict }
    })
    .await?;
    // A pod that is not seen may still be there.
    if ended { Ok(()) } else { remove::gone(cx, &kind::<Pod>(), &what, |name| name == pod).await }
}

/// Removes everything else; the volumes, and with them the data, and the passwords only on explicit wish.
///
/// # Errors
/// The lock was lost, or the API server refuses.
pub async fn remove_rest(cx: &StepCx<'_, World>, volumes: bool) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let mut count = remove::objects(cx, &rest_kinds(), |_| true).await?.len();
    if volumes {
        let claims = kind::<PersistentVolumeClaim>();
        let data = |name: &str| claim_owner(&world.desired, name).is_some();
        count += remove::objects(cx, &claims, data).await?.len();
        remove::gone(cx, &claims, "the volumes to be released", data).await?;
        for member in world.desired.iscsi.keys() {
            count += adopt::forget(cx, &world.desired.cluster.volume(*member)).await?;
        }
        count += remove::objects(cx, &kind::<Secret>(), |_| true).await?.len();
    }
    // A run that is cut off before this still knows what the cluster was.
    let left = inventory(world, volumes).await?;
    let goes = |name: &str| {
        left.iter().any(|(_, found, stays)| found.resource.kind == "ConfigMap" && found.name == name && !stays)
    };
    count += remove::objects(cx, &kind::<ConfigMap>(), goes).await?.len();
    Ok(if count == 0 {
        Finished::unchanged("nothing was left")
    } else {
        Finished::changed(format!("{count} objects removed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::{desired, healthy};

    const THREE: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

    fn with(change: impl FnOnce(&mut WsrepStatus)) -> Verdict {
        let mut observed = healthy(&THREE);
        let view = observed.members.get_mut(&Member::Node(3)).unwrap();
        change(view.sql.as_mut().unwrap().as_mut().unwrap());
        in_order(&observed, &desired(3))
    }

    #[test]
    fn a_donor_is_waited_for_and_a_stranger_is_not() {
        assert!(matches!(with(|_| ()), Verdict::Pass(_)));
        let donor = with(|status| status.state = 2);
        assert!(matches!(&donor, Verdict::Wait { reason, .. } if reason.contains("node3")), "{donor:?}");
        let alone = with(|status| status.cluster_status = "non-Primary".to_owned());
        assert!(matches!(&alone, Verdict::Fail(why) if why.to_string().contains("not in order")), "{alone:?}");
        let joiner = with(|status| status.state = 1);
        assert!(matches!(joiner, Verdict::Fail(_)), "{joiner:?}");
        let gone = in_order(&Observed::default(), &desired(3));
        assert!(matches!(gone, Verdict::Pass(_)), "{gone:?}");
    }
}
