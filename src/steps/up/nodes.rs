//! Step 3: the permanent nodes join, or come back from their volumes.

use crate::cluster::course::newest;
use crate::cluster::nodes::{common_view, judge, make, objects, order, seed_takes_part, stand_by};
use crate::cluster::record::{Kept, blank_secrets, mark_claims, write_record};
use crate::cluster::rolling::outdated;
use crate::cluster::world::{BEAT, World};
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::Result;
use crate::gates::group::list;
use crate::gates::hopeless::hopeless;
use crate::gates::standing::{Standing, Stillness};
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::{MemberView, Observed};
use crate::plans::course::Course;
use crate::plans::stage::Stage;
use crate::wsrep::Position;

use super::Found;

/// The step.
pub const NODES: Named = Named::new("nodes", "let the nodes join until all are Synced");

/// What the step makes, or puts right, beside the record.
#[must_use]
pub fn stage(desired: &Desired, with_proxy: bool) -> Stage {
    Stage::makes(NODES.id, [blank_secrets(desired, false), objects(desired, with_proxy)].concat())
}

/// Makes the nodes, unless a seed was `seeded` and they with it, and waits until all of them agree. Answers with what is
/// on record then, and the passwords.
///
/// # Errors
/// The nodes do not come together, or follow another history than the one on record.
pub async fn run(cx: &StepCx<'_, World>, found: &Found, seeded: Option<Kept>) -> Result<Finished<(Record, Kept)>> {
    let world = cx.world;
    let before = world.changes();
    let nodes: Vec<Member> = world.desired.members().collect();
    let keeps = found.course == Course::Keep;
    let kept = match seeded {
        Some(kept) => kept,
        None => make(cx, found.secrets.as_ref(), !keeps).await?,
    };
    let mut expected = nodes.clone();
    // A seed that was not removed yet is a member as well.
    if (keeps || found.course == Course::Form) && seed_takes_part(&world.observer.now()) {
        expected.insert(0, Member::Seed);
    }
    match &found.course {
        Course::Form => {}
        Course::BringBack { from, position, without } => bring_back(cx, *from, *position, without).await?,
        Course::Compare | Course::Keep => compare(cx, &expected, &found.record).await?,
    }
    let reach = seed_position(&world.observer.now());
    let view = common_view(cx, &expected, reach).await?;
    let mut record = Record { formed: true, uuid: Some(view.uuid) };
    if found.record != record {
        record = write_record(cx, &found.record, record).await?;
    }
    mark_claims(cx, &nodes, view.uuid).await?;
    if keeps {
        tell_outdated(cx).await?;
    }
    let detail = format!("{} members Synced in view {}, uuid {}", view.size, view.conf_id, view.uuid);
    Ok(Finished::which(world.changes() > before || !keeps, detail).with((record, kept)))
}

/// A node goes on with the settings that it was started with until somebody restarts it.
async fn tell_outdated(cx: &StepCx<'_, World>) -> Result<()> {
    let outdated: Vec<Member> = outdated(cx).await?.into_iter().collect();
    if !outdated.is_empty() {
        let who = list(&outdated);
        cx.notice(
            Level::Warning,
            format!("{who} run with earlier settings; to restart them with the present ones, one after the other: galeractl apply"),
        );
    }
    Ok(())
}

/// Waits until the members agree. Where none of them is part of a component and they do not come together by
/// themselves, all are made to wait with their positions, and the one with the newest starts first: only when every one
/// of them has answered, and none may still be a majority.
async fn compare(cx: &StepCx<'_, World>, expected: &[Member], record: &Record) -> Result<()> {
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
                let (from, position, without) = newest(cx, record).await?;
                return bring_back(cx, from, position, &without).await;
            }
        }
    }
}

/// What the seed had committed when the nodes were asked to follow.
fn seed_position(observed: &Observed) -> Option<u64> {
    observed.members.get(&Member::Seed)?.status()?.last_committed
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
