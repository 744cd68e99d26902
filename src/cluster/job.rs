//! Jobs that work on volumes: waiting for them, and what they say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::backups::KeyFile;
use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::live::Snapshot;
use crate::kube::logs;
use crate::kube::objects::Objects;
use crate::kube::trouble::pod_trouble;
use crate::manifests::restore::TOKEN;
use crate::manifests::seal;
use crate::wsrep::Report;

use super::reader;
use super::world::{BEAT, World};

/// Lines of a Job's log that are looked at: the newest say where it stands.
const NEWEST: u32 = 20;

enum State {
    Works(String, u64),
    Done(Vec<Report>),
    Failed(Failure),
}

/// Waits until all Jobs have succeeded. `what` is what is waited for, `phrase` puts a Job's newest lines into words.
/// Answers with what each of them has said last, by its name.
///
/// # Errors
/// A Job that failed, with its own reason.
pub async fn all(
    cx: &StepCx<'_, World>,
    jobs: &[(String, String)],
    container: &str,
    what: &str,
    phrase: impl Fn(&[Report]) -> String + Sync,
) -> Result<BTreeMap<String, Vec<Report>>> {
    let said = Mutex::new(BTreeMap::new());
    let phrase = &phrase;
    cx.wait(cx.world.observer.changes(), BEAT / 2, cx.world.patience(), || {
        let states = join_all(jobs.iter().map(|(name, _)| state(cx.world, name, container, phrase)));
        let said = &said;
        async move {
            let (mut left, mut alive) = (Vec::new(), 0);
            for ((name, who), state) in jobs.iter().zip(states.await) {
                match state {
                    State::Done(reports) => drop(lock(said).insert(name.clone(), reports)),
                    State::Failed(failure) => return Verdict::Fail(failure),
                    State::Works(phrase, sign) => {
                        left.push(format!("{who} {phrase}"));
                        alive += sign;
                    }
                }
            }
            if left.is_empty() {
                Verdict::pass("")
            } else {
                Verdict::moving(format!("{what}: {}", left.join(", ")), alive)
            }
        }
    })
    .await?;
    Ok(said.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Writes a file in the memory of each Job's pod as soon as it runs: what only this run may know stands in no spec. A pod
/// that has ended needs it no more; why it did is told by [`all`].
///
/// # Errors
/// As long as nothing runs, the patience of the run is over.
async fn give(
    cx: &StepCx<'_, World>,
    jobs: &[(String, String)],
    container: &str,
    path: &str,
    text: &str,
) -> Result<()> {
    let world = cx.world;
    let all = jobs.iter().map(|(name, who)| {
        cx.wait(world.observer.changes(), BEAT / 2, world.patience(), move || async move {
            let snapshot = world.observer.live().snapshot();
            let Some(pod) = pod_of(&snapshot, name) else {
                return Verdict::wait(format!("filled volumes: {who} waits for its pod"));
            };
            match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
                Some("Succeeded" | "Failed") => Verdict::pass(""),
                Some("Running") => match reader::put(world, (&pod.name_any(), container), path, text).await {
                    Ok(()) => Verdict::pass(""),
                    Err(failure) => Verdict::wait(format!("{who}: {failure}")),
                },
                _ => Verdict::wait(format!("filled volumes: {who} starts")),
            }
        })
    });
    try_join_all(all).await.map(drop)
}

/// Gives each Job's pod what it needs to begin: the key of the backups, where there is one, and then the token for which it
/// waits.
///
/// # Errors
/// As [`give`].
pub async fn equip(
    cx: &StepCx<'_, World>,
    jobs: &[(String, String)],
    container: &str,
    key: Option<&KeyFile>,
    token: &str,
) -> Result<()> {
    if let Some(key) = key {
        for (name, text) in [(seal::DECRYPT, &key.private), (seal::VERIFY, &key.public)] {
            give(cx, jobs, container, &format!("{}/{name}", seal::PLACE), text).await?;
        }
    }
    give(cx, jobs, container, TOKEN, token).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A Job's pod runs once and is not replaced, so its end is that of the Job, which says so a second later.
async fn state(world: &World, name: &str, container: &str, phrase: impl Fn(&[Report]) -> String) -> State {
    let snapshot = world.observer.live().snapshot();
    let Some(pod) = pod_of(&snapshot, name) else { return without_pod(world, name).await };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let (streams, namespace) = (&world.connection.streams, &world.desired.namespace);
    let lines = match logs::tail(streams, namespace, &pod.name_any(), container, NEWEST, false).await {
        Ok(lines) => lines,
        Err(failure) => return State::Works(failure.to_string(), 0),
    };
    let reports: Vec<Report> = lines.iter().filter_map(|line| Report::parse(line)).collect();
    if matches!(phase, "Succeeded" | "Failed")
        && let Err(doubt) = is_of_this_job(world, name, pod).await
    {
        return State::Works(doubt, 0);
    }
    if phase == "Succeeded" {
        return State::Done(reports);
    }
    if phase == "Failed" {
        let reason = reports.iter().rev().find_map(|report| report.get("reason").map(str::to_owned));
        let last = lines.last().map(|line| line.trim().to_owned());
        let why = reason.or(last).unwrap_or_else(|| "its pod ended without a word".to_owned());
        return State::Failed(Failure::message(Kind::Step, format!("{why} (job/{name})")));
    }
    match pod_trouble(pod, snapshot.events.values()) {
        Some(trouble) if trouble.is_fatal() => {
            State::Failed(Failure::message(Kind::Step, trouble.message).hint(trouble.hint))
        }
        Some(trouble) => State::Works(trouble.message, 0),
        None if reports.is_empty() => State::Works("starts".to_owned(), 0),
        None => {
            let last = reports.iter().map(|report| report.at).fold(0.0, f64::max);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since the epoch")]
            let sign = last as u64;
            State::Works(phrase(&reports), sign)
        }
    }
}

/// The pod of a Job, unless it is that of an earlier Job of this name on its way out.
fn pod_of<'a>(snapshot: &'a Snapshot, job: &str) -> Option<&'a Arc<Pod>> {
    let is_of_job = |pod: &&Arc<Pod>| {
        pod.labels().get("job-name").is_some_and(|name| name == job) && pod.metadata.deletion_timestamp.is_none()
    };
    snapshot.pods.values().find(is_of_job)
}

/// A watch that lags may still show how an earlier Job of this name has ended.
async fn is_of_this_job(world: &World, name: &str, pod: &Pod) -> std::result::Result<(), String> {
    let jobs: Objects<Job> = Objects::within(&world.connection.client, &world.desired.namespace);
    let job = jobs.get(name, Kind::Step).await.map_err(|failure| failure.to_string())?;
    let uid = job.and_then(|job| job.uid());
    let owned = uid.is_some() && pod.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref());
    if owned { Ok(()) } else { Err("waits for its pod".to_owned()) }
}

async fn without_pod(world: &World, name: &str) -> State {
    let jobs: Objects<Job> = Objects::within(&world.connection.client, &world.desired.namespace);
    let status = match jobs.get(name, Kind::Step).await {
        Ok(Some(job)) => job.status.unwrap_or_default(),
        Ok(None) => return State::Works(format!("job/{name} is not there"), 0),
        Err(failure) => return State::Works(failure.to_string(), 0),
    };
    let ended = |count: Option<i32>| count.unwrap_or(0) > 0;
    match (ended(status.succeeded), ended(status.failed)) {
        (true, _) => State::Done(Vec::new()),
        (_, true) => State::Failed(Failure::message(Kind::Step, format!("job/{name} failed, and its pod is gone"))),
        _ => State::Works("waits for its pod".to_owned(), 0),
    }
}

/// Where a Job that restores stands.
#[must_use]
pub fn restoring(reports: &[Report]) -> String {
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
