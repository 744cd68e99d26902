//! Step 4: the proxy, and the proof that a row written through it is on every node.

use futures::future::{FutureExt, LocalBoxFuture};

use crate::checks::NoLogin;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::manifests;
use crate::names::Member;
use crate::plans::course::Course;

use super::accounts;
use super::proof::prove;
use super::world::{BEAT, World};

/// The step.
pub struct Proxy;

impl Step<World> for Proxy {
    fn id(&self) -> &'static str {
        "haproxy"
    }

    fn title(&self) -> String {
        "start the proxy and prove a write through it".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        run(cx).boxed_local()
    }
}

async fn run(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let before = world.memory().changes;
    world.apply(cx, &manifests::proxy(&world.desired)).await?;
    let available = available(cx).await?;
    if world.memory().changes == 0 && before == 0 {
        return Ok(Finished::unchanged(available));
    }
    let slowest = proven(cx).await?;
    Ok(Finished::changed(format!("{available}; {slowest}")))
}

async fn available(cx: &StepCx<'_, World>) -> Result<String> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
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

async fn proven(cx: &StepCx<'_, World>) -> Result<String> {
    let world = cx.world;
    let own = world.own_password("haproxy")?;
    let nodes: Vec<Member> = world.desired.members().collect();
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let Some(pod) = observed.proxy.pods.first() else {
            return Verdict::wait("a write through the proxy: no pod runs");
        };
        let proof = prove(&world.connection, &world.desired, &own, Some(pod), &nodes).await;
        if let Some(Err(error)) = &proof.through_proxy {
            return Verdict::wait(format!("a write through the proxy: {error}"));
        }
        for (node, read) in &proof.read {
            if let Err(error) = read {
                return Verdict::wait(format!("the row on every node: {node} {error}"));
            }
        }
        if world.course() == Course::Form
            && let Err(verdict) = accounts_are_made(world, pod).await
        {
            return verdict;
        }
        Verdict::pass(format!("a row written through it is on all {} nodes", nodes.len()))
    })
    .await
}

/// Whether each account that the formation was to make can log in, with exactly the rights that the settings promise.
async fn accounts_are_made(world: &World, pod: &str) -> Result<(), Verdict> {
    let secrets = world.memory().secrets.clone().unwrap_or_default();
    for (user, grants) in accounts::grants(&world.connection, &world.desired, &secrets, pod).await {
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
