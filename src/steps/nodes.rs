//! Step 3: the permanent nodes join, or come back from their volumes.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};

use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::{Disagreement, View, agreement, list};
use crate::gates::hopeless::hopeless;
use crate::gates::standing::{Standing, Stillness};
use crate::kube::exec::{Place, exec};
use crate::manifests::config::Record;
use crate::manifests::member::CONTAINER;
use crate::manifests::{self, scripts};
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::plans::course::Course;
use crate::wsrep::{Position, WsrepStatus};

use super::preflight;
use super::record::{keep_secret, mark_claims, write_record};
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
        Course::BringBack { from, position, without } => {
            make(cx, true).await?;
            bring_back(cx, from, position, &without).await?;
        }
        Course::Compare => {
            make(cx, true).await?;
            compare(cx, &expected).await?;
        }
        Course::Keep => {
            make(cx, false).await?;
            // A seed that was not removed yet is a member as well.
            if seed_takes_part(&world.observer.now()) {
                expected.insert(0, Member::Seed);
            }
            compare(cx, &expected).await?;
        }
    }
    let reach = seed_position(&world.observer.now());
    let view = common_view(cx, &expected, reach).await?;
    let record = Record { formed: true, uuid: Some(view.uuid) };
    if world.memory().record != record {
        write_record(cx, record).await?;
    }
    mark_claims(cx, &nodes, view.uuid).await?;
    let detail = format!("{} members Synced in view {}, uuid {}", view.size, view.conf_id, view.uuid);
    Ok(if world.memory().changes > before || world.course() != Course::Keep {
        Finished::changed(detail)
    } else {
        Finished::unchanged(detail)
    })
}

/// What a cluster that has been formed consists of, without a seed. The proxy of one that runs has its own step.
pub(super) async fn make(cx: &StepCx<'_, World>, with_proxy: bool) -> Result<()> {
    let world = cx.world;
    keep_secret(cx).await?;
    let proxy = if with_proxy { manifests::proxy(&world.desired) } else { Vec::new() };
    let objects = [manifests::shared(&world.desired), manifests::nodes(&world.desired), proxy];
    world.apply(cx, &objects.concat()).await
}

/// Waits until the members agree. Where none of them is part of a component and they do not come together by
/// themselves, all are made to wait with their positions, and the one with the newest starts first: only when every one
/// of them has answered, and none may still be a majority.
async fn compare(cx: &StepCx<'_, World>, expected: &[Member]) -> Result<()> {
    let world = cx.world;
    let mut stillness = Stillness::default();
    loop {
        let mut standing = Standing::Moving;
        cx.wait(world.observer.changes(), BEAT, world.patience(), || {
            let observed = world.observer.now();
            let verdict = match judge(world, expected, None) {
                Ok(_) => {
                    standing = Standing::Together;
                    Verdict::pass("")
                }
                Err(verdict) => {
                    standing = stillness.judge(&observed, expected, std::time::Instant::now());
                    if standing == Standing::Moving { verdict } else { Verdict::pass("") }
                }
            };
            async { verdict }
        })
        .await?;
        match standing {
            Standing::Moving | Standing::Together => return Ok(()),
            Standing::Apart(members) => {
                let who = list(&members);
                cx.notice(
                    Level::Warning,
                    format!(
                        "no node is part of a majority; {who} waits with its position, so that all can be compared"
                    ),
                );
                stand_by(cx, &members).await?;
            }
            Standing::Waiting => {
                let (from, position, without) = preflight::newest(cx).await?;
                return bring_back(cx, from, position, &without).await;
            }
        }
    }
}

/// Ends servers that are part of no component, so that their start scripts wait with their positions.
pub(super) async fn stand_by(cx: &StepCx<'_, World>, members: &[Member]) -> Result<()> {
    let world = cx.world;
    world.confirm_lock().await?;
    let observed = world.observer.now();
    for member in members {
        let Some(uid) = observed.members.get(member).and_then(|view| view.pod.uid.clone()) else { continue };
        order(cx, *member, &["standby.sh", &uid], "it cannot be made to wait").await?;
    }
    Ok(())
}

/// Runs one of its scripts in a member's container.
pub(super) async fn order(cx: &StepCx<'_, World>, member: Member, argv: &[&str], otherwise: &str) -> Result<()> {
    let world = cx.world;
    let pod = world.desired.cluster.pod(member);
    let place = Place { namespace: &world.desired.namespace, pod: &pod, container: CONTAINER };
    let script = format!("{}/{}", scripts::PLACE, argv[0]);
    let argv = [&["/bin/bash", script.as_str()], &argv[1..]].concat();
    let output = exec(&world.connection.streams, place, &argv, None, Duration::from_secs(20)).await?;
    if output.exit_code == 0 {
        world.memory().changes += 1;
        return Ok(());
    }
    Err(Failure::message(Kind::Step, format!("{member}: {otherwise}: {}", output.stderr.trim())))
}

/// Whether the seed is a member of the group, or is about to say so: a question that it has not answered yet does not
/// make it a stranger.
pub(super) fn seed_takes_part(observed: &Observed) -> bool {
    let takes_part = |view: &MemberView| {
        view.pod.exists && !view.pod.leaving && !view.pod.ended && view.log.phase.as_deref() != Some("refused")
    };
    observed.members.get(&Member::Seed).is_some_and(takes_part)
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

/// Starts a stopped cluster: all pods wait and print where they stand; the one with the newest position bootstraps, the
/// others follow it by themselves.
async fn bring_back(cx: &StepCx<'_, World>, from: Member, position: Position, without: &[Member]) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    let members: Vec<Member> = desired.members().collect();
    let uid = cx
        .wait(world.observer.changes(), BEAT, world.patience(), || async {
            let observed = world.observer.now();
            hopeless(&observed, desired, &members)
                .map_or_else(|| waits_to_start(&observed, desired, (from, position), without), Verdict::Fail)
        })
        .await?;
    if uid.is_empty() {
        return Ok(());
    }
    world.confirm_lock().await?;
    let position = position.to_string();
    order(cx, from, &["order.sh", "bootstrap", &uid, &position], "it cannot be told to start first").await?;
    cx.notice(Level::Info, format!("{from} has the newest position and starts first"));
    Ok(())
}

/// Passes with the uid of the pod that is to start first once every node waits on the volume it was judged by; with
/// nothing when the group is up already.
fn waits_to_start(
    observed: &Observed,
    desired: &Desired,
    (from, position): (Member, Position),
    without: &[Member],
) -> Verdict {
    if observed.members.values().any(MemberView::is_primary) {
        return Verdict::pass("");
    }
    for member in desired.members() {
        let Some(view) = observed.members.get(&member).filter(|view| view.pod.running) else {
            let phrase = observed.members.get(&member).map_or("has no pod".to_owned(), MemberView::phrase);
            return Verdict::wait(format!("all nodes to wait on their volumes: {member} {phrase}"));
        };
        if !view.waits() {
            return Verdict::wait(format!("all nodes to wait on their volumes: {member} {}", view.phrase()));
        }
        if without.contains(&member) {
            if let Some(found) = view.log.position {
                return Verdict::fail(format!("{member} was to have no copy, but stands at {found}"));
            }
            continue;
        }
        let Some(found) = view.log.position else {
            return Verdict::fail(format!("{member} finds no position on its volume, although one was seen"));
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
