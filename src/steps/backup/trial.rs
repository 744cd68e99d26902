//! Restoring a backup to scratch space, to see whether it can be restored.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::backups::{Backup, Source, Verified, Wanted, choose};
use crate::cluster::backup_keys::{self, Word};
use crate::cluster::world::World;
use crate::cluster::{job, reader};
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::manifests::Object;
use crate::manifests::restore::{self, CONTAINER};
use crate::wsrep::{Position, Report, Uuid};

/// The step.
pub const TRIAL: Named = Named::new("verify", "restore the backup to scratch space, and check its tables");

/// What is tried.
#[derive(Debug)]
pub struct Trial {
    /// Which backup.
    pub wanted: Wanted,
    /// Whose backups, as `namespace/cluster`.
    pub folder: String,
    /// Claim of the backup volume.
    pub claim: String,
    /// Whose backups are believed.
    pub word: Word,
}

/// Restores a backup to scratch space, and writes the result beside it.
///
/// # Errors
/// It cannot be restored, or cannot be tried.
pub async fn run(cx: &StepCx<'_, World>, trial: &Trial) -> Result<Finished> {
    let world = cx.world;
    world.take_lock(cx).await?;
    let result = async {
        reader::remove_jobs(cx).await?;
        tried(cx, trial, &reader::open(cx, &trial.claim).await?).await
    }
    .await;
    // Also after a failure or an interruption: they hold volumes.
    let never = CancellationToken::new();
    let tidy = cx.tidying(&never);
    let (jobs, reader) = (reader::remove_jobs(&tidy).await, reader::close(&tidy).await);
    result.and_then(|done| jobs.and(reader).map(|()| done))
}

async fn tried(cx: &StepCx<'_, World>, trial: &Trial, reader: &reader::Reader) -> Result<Finished> {
    let world = cx.world;
    let catalog = reader::catalog(&world.connection, &world.desired, reader, &trial.folder, &trial.word).await?;
    let source = choose(&catalog, &trial.wanted).map_err(|why| Failure::message(Kind::Preflight, why))?;
    let opening = backup_keys::opening(&world.connection.client, &world.desired, &trial.word, &source).await?;
    reader::write(world, reader, "/tmp/plan", &source.plan()).await?;
    let fill = restore::Fill {
        source: reader.address.clone(),
        uuid: Uuid::ZERO.to_string(),
        at: Timestamp::now().as_second(),
        needed: source.needed(),
        discard: false,
        signed: opening.signed,
        expected: String::new(),
    };
    let name = world.desired.cluster.backup_verify_job();
    world.apply(cx, &[Object::of(&restore::verify(&world.desired, &fill))]).await?;
    let jobs = [(name.clone(), source.last().id.clone())];
    let ended = job::all(cx, &jobs, CONTAINER, "the trial", job::restoring);
    let (said, ()) = tokio::try_join!(ended, job::equip(cx, &jobs, CONTAINER, opening.key.as_ref(), &reader.token))?;
    let reports = said.get(&name).map(Vec::as_slice).unwrap_or_default();
    let verdict = judge(&source, reports)?;
    record(world, reader, &source, &verdict).await?;
    if verdict.ok {
        return Ok(Finished::changed(format!("{} can be restored: {}", verdict.id, verdict.detail)));
    }
    Err(Failure::message(Kind::No, format!("{} cannot be restored: {}", source.last().id, verdict.detail))
        .hint("this is recorded: the agent begins a new chain with its next backup")
        .hint("begin it now: galeractl backup now --full"))
}

/// What the trial has shown. The position that was found in the data has to be the one that was recorded.
fn judge(source: &Source, reports: &[Report]) -> Result<Verified> {
    let last = source.last();
    let find = |key: &str| reports.iter().rev().find_map(|report| report.get(key).map(str::to_owned));
    let about = |backup: &Backup, ok: bool, detail: String| {
        Ok(Verified { id: backup.id.clone(), ok, at: Timestamp::now().as_second(), detail })
    };
    if let Some(flaw) = find("flaw") {
        // What is wrong with a backup that this one builds on is written down there.
        let blamed = source.backups.iter().find(|backup| flaw.contains(&backup.id)).unwrap_or(last);
        return about(blamed, false, flaw);
    }
    let verdict = |ok: bool, detail: String| about(last, ok, detail);
    let position: Option<Position> = find("position").and_then(|text| text.parse().ok());
    let tables: u64 = find("tables").and_then(|text| text.parse().ok()).unwrap_or(0);
    match position {
        None => Err(Failure::message(Kind::Step, "the trial has ended without a result")),
        Some(found) if found != last.position() => {
            verdict(false, format!("it holds {found}, but was recorded as {}", last.position()))
        }
        Some(found) => verdict(true, format!("{tables} tables are whole, at {found}")),
    }
}

/// Writes the result beside the backup that it is about; all members of a chain lie side by side.
async fn record(world: &World, reader: &reader::Reader, chain: &Source, verdict: &Verified) -> Result<()> {
    let text = serde_json::to_string(verdict).map_err(|error| Failure::new(Kind::Bug, error))?;
    let about = chain.backups.iter().find(|backup| backup.id == verdict.id).unwrap_or(chain.last());
    reader::write(world, reader, &format!("/backups/{}/verified.json", about.path()), &text).await
}
