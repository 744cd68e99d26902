//! Keeping one node's server down for people who must look, letting it go on, and giving it a fresh copy of the data.

use crate::cluster::course::settle;
use crate::cluster::nodes::{common_view, order};
use crate::cluster::record::remark_claims;
use crate::cluster::rolling::{until_may_leave, until_serves};
use crate::cluster::world::{BEAT, World};
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::lease::holder::user_at_host;
use crate::names::Member;
use crate::observed::MemberView;
use crate::plans::rebuild::objection;
use crate::plans::rolling::risk;
use crate::wsrep::volume::Held;

/// Looks whether the others can do without a node.
pub const LOOK: Named = Named::new("preflight", "look before anything is changed");

/// The server of one node leaves.
#[must_use]
pub fn holding(node: Member) -> Named {
    Named::titled("hold", format!("let the server of {node} leave, and keep it down"))
}

/// The server of one node comes back.
#[must_use]
pub fn releasing(node: Member) -> Named {
    Named::titled("release", format!("let the server of {node} come back"))
}

/// One node gets a copy of the others' data.
#[must_use]
pub fn rebuilding(node: Member) -> Named {
    Named::titled("rebuild", format!("let {node} put its data aside and take a copy"))
}

/// What a run asks before a server is held, under the lock. Answers whether it is held already.
///
/// # Errors
/// Another run holds the lock, the node has no pod, or the others are not in order.
pub async fn run_look(cx: &StepCx<'_, World>, node: Member, others_at_least: usize) -> Result<Finished<bool>> {
    cx.world.take_lock(cx).await?;
    look(cx, node, others_at_least).await
}

/// As [`run_look`], without the lock.
///
/// # Errors
/// As [`run_look`].
pub async fn look(cx: &StepCx<'_, World>, node: Member, others_at_least: usize) -> Result<Finished<bool>> {
    let world = cx.world;
    settle(cx, true).await?;
    let others = world.desired.members().count() - 1;
    if others < others_at_least {
        let why = format!("{others} other node would be left, and {others_at_least} are needed");
        return Err(
            Failure::message(Kind::Preflight, why).hint("give the cluster more nodes first: galeractl scale --nodes 3")
        );
    }
    if let Some(held) = held(world, node) {
        return Ok(Finished::unchanged(format!("{node} {held}")).with(true));
    }
    until_may_leave(cx, node).await.map_err(|failure| match failure.kind {
        Kind::Step => Failure { kind: Kind::Preflight, ..failure }
            .hint("no server leaves while another is not in order; see what is wrong: galeractl verify"),
        _ => failure,
    })?;
    if let Some(risk) = risk(world.desired.nodes) {
        cx.notice(Level::Warning, risk.replace("restarted", "held"));
    }
    Ok(Finished::unchanged(format!("all others can do without {node}")).with(false))
}

/// What a run asks before a server is let go, under the lock.
///
/// # Errors
/// Another run holds the lock.
pub async fn run_look_at_held(cx: &StepCx<'_, World>, node: Member) -> Result<Finished> {
    cx.world.take_lock(cx).await?;
    Ok(Finished::unchanged(look_at_held(cx, node).await?))
}

/// As [`run_look_at_held`], without the lock.
///
/// # Errors
/// An interruption.
pub async fn look_at_held(cx: &StepCx<'_, World>, node: Member) -> Result<String> {
    settle(cx, true).await?;
    Ok(held(cx.world, node).map_or_else(|| format!("{node} is not held"), |held| format!("{node} {held}")))
}

fn held(world: &World, node: Member) -> Option<Held> {
    world.observer.now().members.get(&node).and_then(|view| view.held().cloned())
}

fn uid(world: &World, node: Member) -> Result<String> {
    let uid = world.observer.now().members.get(&node).and_then(|view| view.pod.uid.clone());
    uid.ok_or_else(|| Failure::message(Kind::Step, format!("{node} has no pod")))
}

/// Has a node's server leave and stay away, and waits until the others have confirmed it.
///
/// # Errors
/// The script in its container sees that the others cannot do without it, or it does not end.
pub async fn hold(cx: &StepCx<'_, World>, node: Member, for_what: &str) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let by: String =
        format!("{}{for_what}", user_at_host()).chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    order(cx, node, &["hold.sh", &uid(world, node)?, &by], "its server is not held").await.map_err(|failure| {
        failure.hint("a node with the scripts of an earlier galeractl gets the present ones by galeractl apply")
    })?;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let view = observed.members.get(&node);
        let verdict = match view.and_then(MemberView::held) {
            Some(_) => Verdict::pass(""),
            None => {
                Verdict::wait(format!("{node} to be held: {}", view.map_or("no pod".to_owned(), MemberView::phrase)))
            }
        };
        async { verdict }
    })
    .await?;
    let others: Vec<Member> = world.desired.members().filter(|member| *member != node).collect();
    let view = common_view(cx, &others, None).await?;
    Ok(Finished::changed(format!("{node} is held, and {} members go on in view {}", view.size, view.conf_id)))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | '-')
}

/// Lets a held server come back, and waits until it serves.
///
/// # Errors
/// It does not come back.
pub async fn release(cx: &StepCx<'_, World>, node: Member) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    if held(world, node).is_none() {
        return Ok(Finished::unchanged(format!("{node} is not held")));
    }
    order(cx, node, &["hold.sh", &uid(world, node)?, "--release"], "it is not released").await?;
    goes_on(cx, node, u32::MAX).await?;
    back(cx, node).await
}

/// Waits until a node is not held any more, or has refused another rebuild than the first `before`.
async fn goes_on(cx: &StepCx<'_, World>, node: Member, before: u32) -> Result<()> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let answer = rebuilt(world, node).filter(|(count, _)| *count > before).map(|(_, answer)| answer);
        let verdict = match (held(world, node), answer) {
            (_, Some(Err(why))) => Verdict::fail(format!("{node} does not put its data aside: {why}")),
            (Some(_), _) => Verdict::wait(format!("{node} to go on: it is held")),
            (None, _) => Verdict::pass(""),
        };
        async { verdict }
    })
    .await
    .map(drop)
}

async fn back(cx: &StepCx<'_, World>, node: Member) -> Result<Finished> {
    let world = cx.world;
    let all: Vec<Member> = world.desired.members().collect();
    let view = common_view(cx, &all, None).await?;
    until_serves(cx, node).await?;
    remark_claims(cx, &[node], view.uuid).await?;
    Ok(Finished::changed(format!("{node} serves; {} members Synced in view {}", view.size, view.conf_id)))
}

/// How often a node was asked to put its data aside, and its last answer.
fn rebuilt(world: &World, node: Member) -> Option<(u32, Result<String, String>)> {
    let observed = world.observer.now();
    let log = &observed.members.get(&node)?.log;
    Some((log.rebuilds, log.rebuilt.clone()?))
}

/// Has a held node put its data aside and take a copy of the others', and waits until it serves.
///
/// # Errors
/// It has what no other has, its volume holds something else by now, or it does not come back.
pub async fn rebuild(cx: &StepCx<'_, World>, node: Member) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    let observed = world.observer.now();
    let volume = observed.members.get(&node).and_then(|view| view.held().and(view.log.volume.clone()));
    let Some(volume) = volume else {
        return Err(Failure::message(Kind::Step, format!("{node} does not say what its volume holds")));
    };
    if let Some(why) = objection(&observed, node, &volume) {
        return Err(Failure::message(Kind::Step, why).hint(format!(
            "{node} is held, and nothing was moved; let it come back with its data: galeractl release --node {}",
            node.number()
        )));
    }
    order(cx, node, &["order.sh", "rebuild", &uid(world, node)?, &volume.found], "it cannot be told to make room")
        .await?;
    goes_on(cx, node, observed.members.get(&node).map_or(0, |view| view.log.rebuilds)).await?;
    if let Some((_, Ok(aside))) = rebuilt(world, node) {
        cx.notice(Level::Info, format!("the data of {node} is kept on its volume, as {aside}"));
    }
    back(cx, node).await
}
