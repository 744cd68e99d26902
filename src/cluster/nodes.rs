//! The servers of a cluster: making them, giving them orders, and waiting until they agree.

use std::time::Duration;

use crate::desired::Desired;
use crate::engine::{Patience, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::{Disagreement, View, agreement, list};
use crate::gates::hopeless::hopeless;
use crate::kube::exec::{Place, exec};
use crate::manifests::member::CONTAINER;
use crate::manifests::{self, Object, scripts};
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::wsrep::WsrepStatus;

use super::record::{Kept, Secrets, keep_secrets};
use super::world::{BEAT, World};

/// Makes what a cluster that has been formed consists of, without a seed; `known` are the passwords of its Secret, where
/// there is one. The proxy of a cluster that runs has its own step.
///
/// # Errors
/// An object is somebody else's, or the API server refuses it.
pub async fn make(cx: &StepCx<'_, World>, known: Option<&Secrets>, with_proxy: bool) -> Result<Kept> {
    let world = cx.world;
    let kept = keep_secrets(cx, known, false).await?;
    world.apply(cx, &objects(&world.desired, with_proxy)).await?;
    Ok(kept)
}

/// What a cluster that has been formed consists of beside its Secrets.
#[must_use]
pub fn objects(desired: &Desired, with_proxy: bool) -> Vec<Object> {
    let proxy = if with_proxy { manifests::proxy(desired) } else { Vec::new() };
    [manifests::shared(desired), manifests::nodes(desired), proxy].concat()
}

/// Ends servers that are part of no component, so that their start scripts wait with their positions.
///
/// # Errors
/// The lock was lost, or one of them cannot be made to wait.
pub async fn stand_by(cx: &StepCx<'_, World>, members: &[Member]) -> Result<()> {
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
///
/// # Errors
/// It cannot be run, or fails, with `otherwise` in front of the reason.
pub async fn order(cx: &StepCx<'_, World>, member: Member, argv: &[&str], otherwise: &str) -> Result<()> {
    let world = cx.world;
    let pod = world.desired.cluster.pod(member);
    let place = Place { namespace: &world.desired.namespace, pod: &pod, container: CONTAINER };
    let script = format!("{}/{}", scripts::PLACE, argv[0]);
    let argv = [&["/bin/bash", script.as_str()], &argv[1..]].concat();
    let output = exec(&world.connection.streams, place, &argv, None, Duration::from_secs(20)).await?;
    if output.exit_code == 0 {
        world.count_change();
        return Ok(());
    }
    Err(Failure::message(Kind::Step, format!("{member}: {otherwise}: {}", output.stderr.trim())))
}

/// Whether the seed is a member of the group, or is about to say so: a question that it has not answered yet does not
/// make it a stranger.
#[must_use]
pub fn seed_takes_part(observed: &Observed) -> bool {
    let takes_part = |view: &MemberView| {
        view.pod.exists && !view.pod.leaving && !view.pod.ended && view.log.phase.as_deref() != Some("refused")
    };
    observed.members.get(&Member::Seed).is_some_and(takes_part)
}

/// Waits until these members form one group and each has what the seed had.
///
/// # Errors
/// One of them can never be part of it, they follow different histories, or nothing moves any more.
pub async fn common_view(cx: &StepCx<'_, World>, expected: &[Member], reach: Option<u64>) -> Result<View> {
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

/// Nodes that are well agree sooner than this.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Waits a moment until all nodes are Synced in one view, before anything is changed.
///
/// # Errors
/// [`Kind::Preflight`]: they are not.
pub async fn in_one_view(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let nodes: Vec<Member> = world.desired.members().collect();
    // A server that is busy answers a moment later, and a run that was killed may have left one that joins.
    let agreed = cx.wait(world.observer.changes(), BEAT, Patience::new(ANSWER_PATIENCE), || async {
        match agreement(&world.observer.now(), &world.desired, &nodes) {
            Ok(_) => Verdict::pass(""),
            Err(Disagreement::Pending(why)) => Verdict::wait(format!("all nodes to be Synced in one view: {why}")),
            Err(Disagreement::Diverged(why)) => Verdict::fail(why),
        }
    });
    agreed.await.map(drop).map_err(|failure| match failure.kind {
        Kind::Step => Failure { kind: Kind::Preflight, ..failure }
            .hint("see what is wrong: galeractl verify; then run this again"),
        _ => failure,
    })
}

/// Whether these members form one group now, and each has committed as much as `reach`.
///
/// # Errors
/// The wait that goes on, or why it is hopeless.
pub fn judge(world: &World, expected: &[Member], reach: Option<u64>) -> Result<View, Verdict> {
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
