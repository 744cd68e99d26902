//! Filling volumes from a backup, all at once, beside what is on them.

use futures::future::{FutureExt, LocalBoxFuture};
use jiff::Timestamp;

use crate::engine::{Finished, Step, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::manifests::restore::{self, CONTAINER};
use crate::manifests::{Object, config};
use crate::names::Member;
use crate::steps::record::{keep_secret, write_spec};
use crate::steps::world::World;
use crate::steps::{job, reader};
use crate::wsrep::volume::Evidence;
use crate::wsrep::{Position, Report};

use super::{Prepared, near};

/// The step.
pub struct Fill {
    /// Whether what is on the volumes goes first.
    pub discard: bool,
}

impl Step<World> for Fill {
    fn id(&self) -> &'static str {
        "fill"
    }

    fn title(&self) -> String {
        "fill the volumes from the backup, beside what is on them".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        run(cx, self.discard).boxed_local()
    }
}

async fn run(cx: &StepCx<'_, World>, discard: bool) -> Result<Finished> {
    let world = cx.world;
    let prepared = world.memory().restore.clone();
    let prepared = prepared.ok_or_else(|| Failure::message(Kind::Bug, "nothing was prepared"))?;
    keep_secret(cx).await?;
    write_spec(cx).await?;
    world.apply(cx, &[Object::of(&config::config_map(&world.desired))]).await?;
    reader::write(world, &prepared.reader, "/tmp/plan", &prepared.plan).await?;
    world.confirm_lock().await?;
    let (at, volumes) = (Timestamp::now().as_second(), world.memory().volumes.clone());
    let job = |member: &Member| {
        let fill = restore::Fill {
            source: prepared.reader.address.clone(),
            token: prepared.reader.token.clone(),
            uuid: prepared.uuid.to_string(),
            at,
            needed: prepared.needed,
            discard,
            expected: expected(volumes.get(member)),
        };
        Object::of(&restore::fill(&world.desired, &fill, *member, near(world, *member, Some(&prepared.reader.claim))))
    };
    let jobs: Vec<Object> = prepared.filled.iter().map(job).collect();
    world.apply(cx, &jobs).await?;
    let position = filled(cx, &prepared).await?;
    reader::remove_jobs(cx).await?;
    reader::close(cx).await?;
    Ok(Finished::changed(format!("{} filled, at {position}", list(&prepared.filled))))
}

/// What was shown to the user; a volume that was not there yet, or not bound, has nothing on it.
pub(super) fn expected(evidence: Option<&Evidence>) -> String {
    match evidence.map(|evidence| evidence.found.as_str()) {
        None | Some("") => "nothing".to_owned(),
        Some(found) => found.to_owned(),
    }
}

/// Waits for the Jobs. All volumes have to come to one position: they become one cluster without a state transfer.
async fn filled(cx: &StepCx<'_, World>, prepared: &Prepared) -> Result<Position> {
    let cluster = &cx.world.desired.cluster;
    let names: Vec<(String, String)> =
        prepared.filled.iter().map(|member| (cluster.restore_job(*member), member.to_string())).collect();
    let said = job::all(cx, &names, CONTAINER, "filled volumes", phrase).await.map_err(|failure| {
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
        // What the volume holds from here on, as the Job that turns it will have to find it.
        let word = said.get(name).and_then(|reports| reports.iter().rev().find_map(|report| report.get("found")));
        let mut memory = cx.world.memory();
        let volume = memory.volumes.entry(*member).or_insert(Evidence::MISSING);
        word.unwrap_or_default().clone_into(&mut volume.found);
    }
    let (_, first) = *found.first().ok_or_else(|| Failure::message(Kind::Bug, "no volume was to be filled"))?;
    if let Some((member, other)) = found.iter().find(|(_, position)| *position != first) {
        let (one, _) = found[0];
        return Err(Failure::message(Kind::Step, format!("{one} came to {first}, but {member} to {other}")));
    }
    Ok(first)
}

/// Where a Job stands.
pub(in crate::steps) fn phrase(reports: &[Report]) -> String {
    let last = |key: &str| reports.iter().rev().find_map(|report| report.get(key).map(str::to_owned));
    let phase = reports.iter().rev().find_map(|report| report.get("phase"));
    let detail = last("detail").map(|detail| format!(" {detail}")).unwrap_or_default();
    let bytes = reports.iter().rev().find_map(|report| report.parsed::<u64>("bytes"));
    let size = bytes.map(|bytes| format!(", {} MiB", bytes >> 20)).unwrap_or_default();
    match phase {
        Some("discard") => "removes what is on the volume".to_owned(),
        Some("copy") => format!("copies{detail}{size}"),
        Some("prepare") => format!("makes it consistent{size}"),
        Some("start") => "starts a server on it".to_owned(),
        Some("replay") => format!("replays{detail}"),
        Some("check") => "checks its tables".to_owned(),
        Some("accounts") => "sets the passwords".to_owned(),
        Some("identity") => "gives it a new identity".to_owned(),
        _ => format!("works{size}"),
    }
}
