//! Step 4: the proxy, and the proof that a row written through it is on every node.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;

use crate::checks::NoLogin;
use crate::cluster::accounts;
use crate::cluster::proof::prove;
use crate::cluster::proxies;
use crate::cluster::record::Kept;
use crate::cluster::world::{BEAT, World};
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::objects::Objects;
use crate::manifests;
use crate::names::Member;
use crate::plans::stage::Stage;

/// The step.
pub const PROXY: Named = Named::new("haproxy", "start the proxy and prove a write through it");

/// How often the proxies are asked; they look at each node every second, and more often while it changes.
const LOOK: Duration = Duration::from_millis(300);

/// Whether a proof is not complete without the accounts that the settings name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounts {
    /// Each has to be able to log in, with exactly the rights that the settings promise.
    AsInSettings,
    /// They are what the database says, whatever the settings do.
    AsTheyAre,
}

/// What the step makes, or puts right.
#[must_use]
pub fn stage(desired: &Desired) -> Stage {
    Stage::makes(PROXY.id, manifests::proxy(desired))
}

/// Starts the proxy, and proves a write through it where this run has changed anything.
///
/// # Errors
/// No pod of the proxy becomes available or finds every node, a row does not arrive, or an account is not what it should be.
pub async fn run(cx: &StepCx<'_, World>, kept: &Kept, accounts: Accounts) -> Result<Finished> {
    let world = cx.world;
    world.apply(cx, &manifests::proxy(&world.desired)).await?;
    let available = available(cx).await?;
    leads_to_all(cx).await?;
    if world.changes() == 0 {
        return Ok(Finished::unchanged(available));
    }
    let slowest = proven(cx, kept, accounts).await?;
    Ok(Finished::changed(format!("{available}; {slowest}")))
}

/// Waits until all pods of the proxy that are wanted are available.
///
/// # Errors
/// One of them cannot be.
pub async fn available(cx: &StepCx<'_, World>) -> Result<String> {
    let world = cx.world;
    let name = world.desired.cluster.proxy();
    let deployments: Objects<Deployment> = Objects::within(&world.connection.client, &world.desired.namespace);
    // What is watched may be older than what was just written.
    let written = deployments.get(&name, Kind::Step).await?.and_then(|proxy| proxy.metadata.generation);
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let snapshot = world.observer.live().snapshot();
        if !snapshot.deployments.get(&name).is_some_and(|seen| is_rolled_out(seen, written)) {
            return Verdict::wait("proxy: its pods are replaced by those of the present configuration");
        }
        let proxy = world.observer.now().proxy.clone();
        if let Some(trouble) = proxy.trouble.filter(|trouble| trouble.fatal) {
            return Verdict::Fail(Failure::message(Kind::Step, trouble.message).hint(trouble.hint));
        }
        let state = format!("{} of {} pods available", proxy.available.min(proxy.wanted), proxy.wanted);
        if proxy.exists && proxy.available >= proxy.wanted {
            Verdict::pass(state)
        } else {
            Verdict::wait(format!("proxy: {state}"))
        }
    })
    .await
}

/// Waits until each pod leads clients to every node: one alone may have found a node before the others do.
async fn leads_to_all(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let nodes: Vec<Member> = world.desired.members().collect();
    let waited = cx.wait(world.observer.changes(), LOOK, world.patience(), || async {
        match proxies::lead_to(&world.connection, &world.desired, &world.observer.now(), &nodes).await {
            Ok(()) => Verdict::pass(""),
            Err(why) => Verdict::wait(why),
        }
    });
    waited.await.map(drop).map_err(|failure| {
        failure
            .hint("a network policy of somebody else may close port 9200 of the nodes to the proxy: galeractl verify")
    })
}

/// Whether all pods are of this version of the template, or of a newer one: none of an older one is left.
fn is_rolled_out(seen: &Deployment, written: Option<i64>) -> bool {
    seen.metadata.generation >= written
        && seen.status.as_ref().is_some_and(|status| {
            status.observed_generation == seen.metadata.generation && status.updated_replicas == status.replicas
        })
}

async fn proven(cx: &StepCx<'_, World>, kept: &Kept, accounts: Accounts) -> Result<String> {
    let world = cx.world;
    let nodes: Vec<Member> = world.desired.members().collect();
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let Some(pod) = observed.proxy.pods.first() else {
            return Verdict::wait("a write through the proxy: no pod runs");
        };
        let proof = prove(&world.connection, &world.desired, &kept.own, Some(pod), &nodes).await;
        if let Some(Err(error)) = &proof.through_proxy {
            return Verdict::wait(format!("a write through the proxy: {error}"));
        }
        for (node, read) in &proof.read {
            if let Err(error) = read {
                return Verdict::wait(format!("the row on every node: {node} {error}"));
            }
        }
        if accounts == Accounts::AsInSettings
            && let Err(verdict) = accounts_are_made(world, kept, pod).await
        {
            return verdict;
        }
        Verdict::pass(format!("a row written through it is on all {} nodes", nodes.len()))
    })
    .await
}

/// Whether each account that the formation was to make can log in, with exactly the rights that the settings promise.
async fn accounts_are_made(world: &World, kept: &Kept, pod: &str) -> Result<(), Verdict> {
    for (user, grants) in accounts::grants(&world.connection, &world.desired, kept, pod).await {
        let wrong = match grants {
            Err(NoLogin::Silent(why)) => return Err(Verdict::wait(format!("a login of {user}: {why}"))),
            Err(NoLogin::Denied(why)) => Some(format!("cannot log in: {why}")),
            Ok(grants) => accounts::lacks(&world.desired, &user, &grants).map(|what| format!("has {what}")),
        };
        if let Some(wrong) = wrong {
            let message = format!("the account {user} is not as the settings say: it {wrong}");
            return Err(Verdict::Fail(
                Failure::message(Kind::Step, message)
                    .hint("the cluster runs; look at the account, or begin anew: galeractl teardown --delete-volumes"),
            ));
        }
    }
    Ok(())
}
