//! Filling volumes from a backup, all at once, beside what is on them.

use jiff::Timestamp;

use crate::cluster::inspect::Volumes;
use crate::cluster::record::{Secrets, keep_secrets};
use crate::cluster::world::World;
use crate::cluster::{job, reader};
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::manifests::restore::{self, CONTAINER, Near};
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::wsrep::Position;
use crate::wsrep::volume::Evidence;

use super::{Found, Prepared, expected, near};

/// The step.
pub const FILL: Named = Named::new("fill", "fill the volumes from the backup, beside what is on them");

/// What there is when the volumes are filled.
#[derive(Debug)]
pub struct Filled {
    /// Nodes whose volumes are filled; the others get a state transfer.
    pub members: Vec<Member>,
    /// What the volumes hold from here on, as the Jobs that turn them will have to find it.
    pub volumes: Volumes,
    /// The passwords that the new data has.
    pub secrets: Secrets,
}

/// Fills the volumes; `discard` says whether what is on them goes first.
///
/// # Errors
/// A volume holds something else than what was found, or cannot be filled.
pub async fn fill(cx: &StepCx<'_, World>, found: Found, discard: bool) -> Result<Finished<Filled>> {
    let world = cx.world;
    let Found { prepared, mut volumes, secrets } = found;
    let kept = keep_secrets(cx, secrets.as_ref(), false).await?;
    world.apply(cx, &manifests::shared(&world.desired)).await?;
    reader::write(world, &prepared.reader, "/tmp/plan", &prepared.plan).await?;
    world.confirm_lock().await?;
    let near = |member| near(world, member, Some(&prepared.reader.claim));
    world.apply(cx, &jobs(&world.desired, &prepared, &volumes, discard, near)).await?;
    let position = filled(cx, &prepared, &mut volumes).await?;
    reader::remove_jobs(cx).await?;
    reader::close(cx).await?;
    let done = Finished::changed(format!("{} filled, at {position}", list(&prepared.filled)));
    Ok(done.with(Filled { members: prepared.filled, volumes, secrets: kept.all }))
}

/// The Jobs, one for each volume that is filled; `near` says what a volume must be near.
pub(super) fn jobs(
    desired: &Desired,
    prepared: &Prepared,
    volumes: &Volumes,
    discard: bool,
    near: impl Fn(Member) -> Option<Near>,
) -> Vec<Object> {
    let at = Timestamp::now().as_second();
    let job = |member: &Member| {
        let fill = restore::Fill {
            source: prepared.reader.address.clone(),
            uuid: prepared.uuid.to_string(),
            at,
            needed: prepared.needed,
            discard,
            signed: prepared.opening.signed,
            expected: expected(volumes.get(member)),
        };
        Object::of(&restore::fill(desired, &fill, *member, near(*member)))
    };
    prepared.filled.iter().map(job).collect()
}

/// Waits for the Jobs. All volumes have to come to one position: they become one cluster without a state transfer.
async fn filled(cx: &StepCx<'_, World>, prepared: &Prepared, volumes: &mut Volumes) -> Result<Position> {
    let cluster = &cx.world.desired.cluster;
    let names: Vec<(String, String)> =
        prepared.filled.iter().map(|member| (cluster.restore_job(*member), member.to_string())).collect();
    let ended = job::all(cx, &names, CONTAINER, "filled volumes", job::restoring);
    let given = job::equip(cx, &names, CONTAINER, prepared.opening.key.as_ref(), &prepared.reader.token);
    let (said, ()) = tokio::try_join!(ended, given).map_err(|failure| {
        failure.hint("what was on the volumes is as it was; look at the backup: galeractl backup verify")
    })?;
    let mut found: Vec<(Member, Position)> = Vec::new();
    for (member, (name, _)) in prepared.filled.iter().zip(&names) {
        let position =
            said.get(name).and_then(|reports| reports.iter().rev().find_map(|report| report.parsed("position")));
        let position = position.ok_or_else(|| {
            Failure::message(Kind::Step, format!("job/{name} has ended without saying where the data stands"))
        })?;
        found.push((*member, position));
        let word = said.get(name).and_then(|reports| reports.iter().rev().find_map(|report| report.get("found")));
        let volume = volumes.entry(*member).or_insert(Evidence::MISSING);
        word.unwrap_or_default().clone_into(&mut volume.found);
    }
    let (_, first) = *found.first().ok_or_else(|| Failure::message(Kind::Bug, "no volume was to be filled"))?;
    if let Some((member, other)) = found.iter().find(|(_, position)| *position != first) {
        let (one, _) = found[0];
        return Err(Failure::message(Kind::Step, format!("{one} came to {first}, but {member} to {other}")));
    }
    Ok(first)
}
