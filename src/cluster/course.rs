//! The course that is taken with a cluster, decided from everything that can be found out now.

use std::time::Duration;

use crate::engine::{Patience, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::MemberView;
use crate::plans::course::{Course, Found, Refusal, course};
use crate::wsrep::Position;

use super::inspect::{self, Volumes};
use super::record::Secrets;
use super::volumes::table;
use super::world::{BEAT, World};

/// Looks at everything that holds evidence, and decides the course by it and by what is on record.
///
/// # Errors
/// A volume cannot be looked into, or what there is does not fit together.
pub async fn decide(cx: &StepCx<'_, World>, record: Option<&Record>) -> Result<(Course, Volumes)> {
    let world = cx.world;
    let volumes = inspect::volumes(cx, record).await?;
    let observed = world.observer.now();
    let found = Found { desired: &world.desired, record, observed: &observed, volumes: &volumes };
    let way = course(&found).map_err(|refusal| refused(world, &refusal, &volumes))?;
    Ok((way, volumes))
}

/// Decides once more, when volumes that have just been bound turn out to be old ones: what lies on a target outlives its
/// volume and its claim.
///
/// # Errors
/// The volumes hold something that does not fit together.
pub async fn reconsider(
    cx: &StepCx<'_, World>,
    record: &Record,
    secrets: Option<&Secrets>,
) -> Result<(Course, Volumes)> {
    let decided = decide(cx, Some(record)).await.map_err(|failure| Failure { kind: Kind::Step, ..failure })?;
    if decided.0 != Course::Form {
        secret_is_there(cx.world, secrets)?;
    }
    Ok(decided)
}

/// A new Secret would hold passwords that the database does not have.
///
/// # Errors
/// There are no passwords.
pub fn secret_is_there(world: &World, secrets: Option<&Secrets>) -> Result<()> {
    if secrets.is_some() {
        return Ok(());
    }
    let name = world.desired.cluster.credentials();
    Err(Failure::message(Kind::Preflight, format!("there is a database, but secret/{name} is missing"))
        .hint("restore the Secret: without its passwords nobody could use or check the database"))
}

/// The node with the newest position, when all nodes of a formed cluster have been found to wait.
///
/// # Errors
/// The evidence is not complete or not consistent.
pub async fn newest(cx: &StepCx<'_, World>, record: &Record) -> Result<(Member, Position, Vec<Member>)> {
    match decide(cx, Some(record)).await?.0 {
        Course::BringBack { from, position, without } => Ok((from, position, without)),
        Course::Form | Course::Keep | Course::Compare => {
            Err(Failure::message(Kind::Step, "the nodes have begun to move; run again"))
        }
    }
}

/// How long a pod that starts or is being replaced may take to say where it stands.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// Some time for pods that run, start or are being replaced to say where they stand: an unanswered question is not an
/// answer. `is_asked` where the servers can be, since their password is known.
///
/// # Errors
/// An interruption.
pub async fn settle(cx: &StepCx<'_, World>, is_asked: bool) -> Result<()> {
    let world = cx.world;
    let patience = Patience::new(SETTLES_WITHIN);
    let settled = cx.wait(world.observer.changes(), BEAT, patience, || async {
        let observed = world.observer.now();
        let of_nodes =
            observed.members.iter().filter(|(_, view)| !has_spoken(view, is_asked)).map(|(member, _)| *member);
        let awaited = world.desired.members().filter(|member| inspect::is_awaited(world, *member));
        let silent: Vec<String> = of_nodes.chain(awaited).map(|member| member.to_string()).collect();
        if silent.is_empty() {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("a sign of life: {}", silent.join(", ")))
        }
    });
    match settled.await {
        Err(failure) if failure.kind == Kind::Interrupted => Err(failure),
        // Nobody spoke: the decision is made from what is known, and refuses where that is too little.
        _ => Ok(()),
    }
}

/// A log alone does not count where the server has not been asked yet: while it is read, it tells of the past. A node
/// that still looks for its position is about to say more.
fn has_spoken(view: &MemberView, is_asked: bool) -> bool {
    if view.pod.ended || view.pod.trouble.is_some() {
        return true;
    }
    if view.pod.leaving || !view.pod.running {
        return false;
    }
    match &view.sql {
        // Without its password nobody asks a server.
        None => !is_asked && matches!(view.log.phase.as_deref(), Some("waiting" | "refused" | "held")),
        Some(Ok(_)) => true,
        Some(Err(_)) => view.log.phase.as_deref().is_some_and(|phase| phase != "recovering"),
    }
}

fn refused(world: &World, refusal: &Refusal, volumes: &Volumes) -> Failure {
    let mut text = refusal.reasons.join("; ");
    if refusal.about_volumes && !volumes.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(world, volumes));
    }
    refusal.hints.iter().fold(Failure::message(Kind::Preflight, text), Failure::hint)
}
