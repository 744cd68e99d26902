//! Step 3: the permanent nodes join, or come back from their volumes.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};

use crate::engine::event::Level;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::{Disagreement, View, agreement, list};
use crate::gates::hopeless::hopeless;
use crate::kube::exec::{Place, exec};
use crate::manifests::member::CONTAINER;
use crate::manifests::{self, Object, config};
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::plans::course::Course;
use crate::wsrep::{Position, WsrepStatus};

use super::preflight;
use super::record::{keep_secret, mark_claims, write_spec};
use super::world::{BEAT, World};

/// The step.
pub struct Nodes;

impl Step<World> for Nodes {
    fn id(&self) -> &'static str {
        "nodes"
    }

    fn title(&self) -> String {
        "let the nodes join until all are Synced".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        run(cx).boxed_local()
    }
}

async fn run(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let before = world.memory().changes;
    let nodes: Vec<Member> = world.desired.members().collect();
    let mut expected = nodes.clone();
    match world.course() {
        Course::Form => {
            if seed_takes_part(&world.observer.now()) {
                expected.insert(0, Member::Seed);
            }
        }
        Course::BringBack { from, position, alone } => bring_back(cx, from, position, alone).await?,
        Course::Keep => {
            keep(cx, &mut expected).await?;
            if all_stopped(cx, &expected).await? {
                let (from, position) = preflight::newest(cx).await?;
                bring_back(cx, from, position, false).await?;
            }
        }
    }
    let reach = seed_position(&world.observer.now());
    let view = common_view(cx, &expected, reach).await?;
    if !world.memory().record.formed || world.memory().record.uuid != Some(view.uuid) {
        write_spec(cx, |record| {
            record.uuid = Some(view.uuid);
            record.formed = true;
        })
        .await?;
    }
    mark_claims(cx, &nodes, view.uuid).await?;
    let detail = format!("{} members Synced in view {}, uuid {}", view.size, view.conf_id, view.uuid);
    Ok(if world.memory().changes > before || world.course() != Course::Keep {
        Finished::changed(detail)
    } else {
        Finished::unchanged(detail)
    })
}

/// A running cluster gets back what is missing around it.
async fn keep(cx: &StepCx<'_, World>, expected: &mut Vec<Member>) -> Result<()> {
    let world = cx.world;
    keep_secret(cx).await?;
    write_spec(cx, |_| ()).await?;
    let objects = [vec![Object::of(&config::config_map(&world.desired))], manifests::nodes(&world.desired)].concat();
    world.apply(cx, &objects).await?;
    // A seed that was not removed yet is a member as well.
    if seed_takes_part(&world.observer.now()) {
        expected.insert(0, Member::Seed);
    }
    Ok(())
}

/// Waits until the nodes agree, or all of them wait: when all were stopped cleanly at once, none remembers a view, and
/// none may start the group by itself.
async fn all_stopped(cx: &StepCx<'_, World>, expected: &[Member]) -> Result<bool> {
    const STOPPED: &str = "stopped";
    let world = cx.world;
    let outcome = cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let waits = |member: &Member| observed.members.get(member).is_some_and(MemberView::waits);
        let verdict = if expected.iter().all(waits) {
            Verdict::pass(STOPPED)
        } else {
            judge(world, expected, None).map_or_else(|verdict| verdict, |_| Verdict::pass(""))
        };
        async { verdict }
    });
    Ok(outcome.await? == STOPPED)
}

/// Whether the seed is a member of the group, or is about to say so: a question that it has not answered yet does not
/// make it a stranger.
pub(super) fn seed_takes_part(observed: &Observed) -> bool {
    observed.members.get(&Member::Seed).is_some_and(|view| view.pod.exists && !view.pod.leaving && !view.pod.ended)
}

/// What the seed had committed when the nodes were asked to follow.
fn seed_position(observed: &Observed) -> Option<u64> {
    observed.members.get(&Member::Seed)?.status()?.last_committed
}

/// Waits until these members form one group and each has what the seed had.
pub(super) async fn common_view(cx: &StepCx<'_, World>, expected: &[Member], reach: Option<u64>) -> Result<View> {
    let world = cx.world;
    let mut found = None;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let verdict = judge(world, expected, reach);
        let verdict = match verdict {
            Ok(view) => {
                found = Some(view);
                Verdict::pass("")
            }
            Err(verdict) => verdict,
        };
        async { verdict }
    })
    .await?;
    found.ok_or_else(|| Failure::message(Kind::Bug, "a wait passed without a view"))
}

fn judge(world: &World, expected: &[Member], reach: Option<u64>) -> Result<View, Verdict> {
    let observed = world.observer.now();
    if let Some(failure) = hopeless(&observed, &world.desired, expected) {
        return Err(Verdict::Fail(failure));
    }
    let view = agreement(&observed, &world.desired, expected).map_err(|disagreement| match disagreement {
        Disagreement::Pending(why) => {
            Verdict::moving(format!("{}: {why}", awaited(&observed, expected)), signs_of_life(&observed))
        }
        Disagreement::Diverged(why) => Verdict::fail(why),
    })?;
    for member in expected {
        let has = observed.members.get(member).and_then(|view| view.status()?.last_committed);
        if has < reach {
            return Err(Verdict::wait(format!("what the seed has: {member} has applied {has:?} of {reach:?}")));
        }
    }
    Ok(view)
}

/// What is waited for; it changes as members arrive, so that the account of a run tells how long each wave took.
fn awaited(observed: &Observed, expected: &[Member]) -> String {
    // A donor will be Synced again by itself; it is not what is waited for.
    let there = |view: &MemberView| view.is_synced() || view.status().is_some_and(WsrepStatus::is_donor);
    let missing = expected.iter().copied().filter(|member| !observed.members.get(member).is_some_and(there));
    let missing: Vec<Member> = missing.collect();
    if missing.is_empty() { "a common view".to_owned() } else { format!("{} to be Synced", list(&missing)) }
}

/// Grows while anything happens: lines in logs, and through them the bytes of transfers.
fn signs_of_life(observed: &Observed) -> u64 {
    observed.members.values().map(|view| view.log.lines).sum()
}

/// Starts a cleanly stopped cluster: all pods wait and print where they stand; the one with the newest position
/// bootstraps, the others follow it by themselves.
async fn bring_back(cx: &StepCx<'_, World>, from: Member, position: Position, alone: bool) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    keep_secret(cx).await?;
    // As long as this says that the group is not formed, every pod waits before it starts its server.
    write_spec(cx, |record| {
        record.formed = false;
        record.uuid = Some(position.uuid);
    })
    .await?;
    let objects =
        [vec![Object::of(&config::config_map(desired))], manifests::nodes(desired), manifests::proxy(desired)].concat();
    world.apply(cx, &objects).await?;
    let members: Vec<Member> = desired.members().collect();
    let uid = cx
        .wait(world.observer.changes(), BEAT, world.patience(), || async {
            let observed = world.observer.now();
            hopeless(&observed, desired, &members)
                .map_or_else(|| waits_to_start(&observed, desired, (from, position), alone), Verdict::Fail)
        })
        .await?;
    if uid.is_empty() {
        return Ok(());
    }
    world.confirm_lock().await?;
    let pod = desired.cluster.pod(from);
    let place = Place { namespace: &desired.namespace, pod: &pod, container: CONTAINER };
    // Written under another name first: a token that is read half would be refused and stay.
    let script = "cat >/run/galeractl/bootstrap.new && mv /run/galeractl/bootstrap.new /run/galeractl/bootstrap";
    let output =
        exec(&world.connection.streams, place, &["/bin/bash", "-c", script], Some(&uid), Duration::from_secs(20))
            .await?;
    if output.exit_code != 0 {
        return Err(Failure::message(
            Kind::Step,
            format!("{from} cannot be told to start first: {}", output.stderr.trim()),
        ));
    }
    world.memory().changes += 1;
    cx.notice(Level::Info, format!("{from} has the newest position and starts first"));
    Ok(())
}

/// Passes with the uid of the pod that is to start first once every node waits on the volume it was judged by; with
/// nothing when the group is up already.
fn waits_to_start(
    observed: &Observed,
    desired: &crate::desired::Desired,
    (from, position): (Member, Position),
    alone: bool,
) -> Verdict {
    if observed.members.values().any(|view| view.status().is_some_and(|status| status.cluster_status == "Primary")) {
        return Verdict::pass("");
    }
    for member in desired.members() {
        let Some(view) = observed.members.get(&member).filter(|view| view.pod.running) else {
            let phrase = observed
                .members
                .get(&member)
                .map_or("has no pod".to_owned(), super::super::observed::MemberView::phrase);
            return Verdict::wait(format!("all nodes to wait on their volumes: {member} {phrase}"));
        };
        if !view.waits() {
            return Verdict::wait(format!("all nodes to wait on their volumes: {member} {}", view.phrase()));
        }
        if alone && member != from && view.log.position.is_none() && !view.log.undefined {
            continue;
        }
        let Some(found) = view.log.position else {
            return Verdict::fail(format!("{member} finds no position on its volume, although it was stopped cleanly"));
        };
        if found.uuid != position.uuid || found.seqno > position.seqno {
            return Verdict::fail(format!(
                "{member} finds {found} on its volume, but {from} was to be the newest with {position}"
            ));
        }
    }
    let first = observed.members.get(&from);
    if first.and_then(|view| view.log.position) != Some(position) {
        return Verdict::fail(format!("{from} no longer stands at {position}"));
    }
    first.and_then(|view| view.pod.uid.clone()).map_or_else(|| Verdict::wait(format!("{from}: its pod")), Verdict::pass)
}
