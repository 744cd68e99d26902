//! A pod that reads backups: it tells what there is, and gives the data to Jobs that restore it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;
use tokio::time::Instant;

use crate::backups::Catalog;
use crate::desired::Desired;
use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::kube::exec::{Output, Place, exec};
use crate::kube::live::Snapshot;
use crate::kube::objects::Objects;
use crate::kube::trouble::{Lasting, pod_trouble};
use crate::manifests::Object;
use crate::manifests::restore::{self, CONTAINER};
use crate::manifests::scripts;
use crate::names::{Member, Namespace};

use super::backup_keys::{self, Word};
use super::record::random_password;
use super::remove;
use super::world::{BEAT, World};

/// Looking through a large backup volume takes a moment.
const LOOK_LIMIT: Duration = Duration::from_secs(120);

/// A running pod with the backup volume.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Claim of the backup volume.
    pub claim: String,
    /// The pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// Its address.
    pub address: String,
    /// What has to be said to get a file.
    pub token: String,
}

/// Starts a reader on this claim, in place of one that an earlier run left.
///
/// # Errors
/// The claim does not exist, or the pod does not start.
pub async fn open(cx: &StepCx<'_, World>, claim: &str) -> Result<Reader> {
    let world = cx.world;
    close(cx).await?;
    let host = host_of(world, claim).await?;
    let name = world.desired.cluster.backup_reader();
    world.applier.apply_all(&[Object::of(&restore::reader(&world.desired, claim, host.as_deref()))]).await?;
    let (begun, lasting) = (Instant::now(), Mutex::new(Lasting::default()));
    let address = cx
        .wait(world.observer.changes(), BEAT.min(Duration::from_millis(300)), world.patience(), || async {
            let snapshot = world.observer.live().snapshot();
            let pod = match world.pod(&name).await {
                Ok(Some(pod)) => pod,
                Ok(None) => return Verdict::wait("the backup volume: its reader is created"),
                Err(failure) => return Verdict::wait(failure.to_string()),
            };
            let status = pod.status.clone().unwrap_or_default();
            if let (Some("Running"), Some(address)) = (status.phase.as_deref(), status.pod_ip) {
                return Verdict::pass(address);
            }
            let trouble = pod_trouble(&pod, snapshot.events.values());
            let mut lasting = lasting.lock().unwrap_or_else(PoisonError::into_inner);
            let over = lasting.ends_wait(trouble.as_ref(), begun.elapsed());
            match trouble {
                Some(trouble) if over => {
                    Verdict::Fail(Failure::message(Kind::Preflight, trouble.message).hint(trouble.hint))
                }
                Some(trouble) => Verdict::wait(format!("the backup volume: {}", trouble.message)),
                None => Verdict::wait("the backup volume: it is mounted"),
            }
        })
        .await?;
    let reader = Reader {
        claim: claim.to_owned(),
        pod: name,
        container: CONTAINER.to_owned(),
        address,
        token: random_password(),
    };
    write(world, &reader, "/tmp/token", &reader.token).await?;
    Ok(reader)
}

/// Removes the reader, if there is one.
///
/// # Errors
/// The API server refuses.
pub async fn close(cx: &StepCx<'_, World>) -> Result<()> {
    let (kinds, name) = ([ApiResource::erase::<Pod>(&())], cx.world.desired.cluster.backup_reader());
    if remove::helpers(cx, &kinds, |found| found == name).await?.is_empty() {
        return Ok(());
    }
    remove::gone(cx, &kinds, "the reader to end", |found| found == name).await
}

/// The host of a pod that has the volume mounted: a volume for one host can be had only there.
async fn host_of(world: &World, claim: &str) -> Result<Option<String>> {
    let pods: Objects<Pod> = Objects::within(&world.connection.client, &world.desired.namespace);
    let pods = pods.list("", Kind::Preflight).await?;
    let mounts = |pod: &&Pod| {
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let ended = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        !matches!(ended, Some("Succeeded" | "Failed"))
            && volumes
                .iter()
                .filter_map(|volume| volume.persistent_volume_claim.as_ref())
                .any(|source| source.claim_name == claim)
    };
    Ok(pods.iter().find(mounts).and_then(|pod| pod.spec.as_ref()?.node_name.clone()))
}

/// Writes a file in the reader's own memory.
///
/// # Errors
/// The pod cannot be reached, or has no room.
pub async fn write(world: &World, reader: &Reader, path: &str, text: &str) -> Result<()> {
    put(world, (&reader.pod, &reader.container), path, text).await
}

/// Writes a file in a pod's own memory.
///
/// # Errors
/// As [`write`].
pub async fn put(world: &World, (pod, container): (&str, &str), path: &str, text: &str) -> Result<()> {
    let place = Place { namespace: &world.desired.namespace, pod, container };
    let argv = [&scripts::bash(scripts::PUT)[..], &["put", path]].concat();
    let output = exec(&world.connection.streams, place, &argv, Some(text), LOOK_LIMIT).await?;
    if output.exit_code == 0 {
        return Ok(());
    }
    Err(Failure::message(Kind::Step, format!("pod/{pod} cannot be written to: {}", output.stderr.trim())))
}

/// Runs a command where the backups are.
///
/// # Errors
/// It cannot be run. That it fails is not an error here.
pub async fn run(
    connection: &Connection,
    namespace: &Namespace,
    reader: &Reader,
    argv: &[&str],
    stdin: Option<&str>,
) -> Result<Output> {
    let place = Place { namespace, pod: &reader.pod, container: &reader.container };
    exec(&connection.streams, place, argv, stdin, LOOK_LIMIT).await
}

/// What lies on the volume for one cluster.
///
/// # Errors
/// It cannot be looked at. What on it cannot be understood, or is not believed, is in the answer as such.
pub async fn catalog(
    connection: &Connection,
    desired: &Desired,
    reader: &Reader,
    folder: &str,
    word: &Word,
) -> Result<Catalog> {
    let trust = backup_keys::trust(&connection.client, desired, folder, word).await?;
    let argv = ["/bin/bash", "-s", "--", folder];
    let output = run(connection, &desired.namespace, reader, &argv, Some(scripts::CATALOG)).await?;
    if output.exit_code != 0 {
        let why = output.stderr.trim();
        return Err(Failure::message(Kind::Preflight, format!("the backup volume cannot be looked at: {why}")));
    }
    Ok(Catalog::parse(folder, &output.stdout, &trust))
}

/// The agent as a place to look from, where it runs.
#[must_use]
pub fn agent(desired: &Desired, snapshot: &Snapshot) -> Option<Reader> {
    let node = Member::Node(desired.backup.as_ref()?.node);
    let (pod, name) = (desired.cluster.pod(node), desired.cluster.backup_agent());
    let live = snapshot.pods.get(&pod)?;
    let status = live.status.as_ref()?.container_statuses.as_ref()?.iter().find(|status| status.name == name)?;
    let runs = status.state.as_ref()?.running.is_some() && live.metadata.deletion_timestamp.is_none();
    let claim = desired.cluster.backup_claim();
    runs.then(|| Reader { claim, pod, container: name, address: String::new(), token: String::new() })
}

/// The agent, or why it cannot be asked.
///
/// # Errors
/// There are no backups, or the agent does not run.
pub fn present(world: &World) -> Result<Reader> {
    let desired = &world.desired;
    let Some(backup) = &desired.backup else {
        return Err(Failure::message(Kind::Preflight, format!("cluster {} takes no backups", desired.cluster))
            .hint("turn them on: galeractl up --backup, with the settings that the cluster was formed with"));
    };
    agent(desired, &world.observer.live().snapshot()).ok_or_else(|| {
        let why = format!("the backup agent does not run: it belongs into the pod of node{}", backup.node);
        Failure::message(Kind::Preflight, why)
            .hint(format!("is that node up? galeractl status --name {} -n {}", desired.cluster, desired.namespace))
            .hint("a node that ran before backups were turned on gets the agent when its pod is restarted, or: galeractl backup move --to NODE")
    })
}

/// Deletes Jobs of earlier restores with their pods, and waits until they are gone.
///
/// # Errors
/// The API server refuses.
pub async fn remove_jobs(cx: &StepCx<'_, World>) -> Result<()> {
    let cluster = &cx.world.desired.cluster;
    let (kinds, prefixes) = (
        [ApiResource::erase::<Job>(&()), ApiResource::erase::<Pod>(&())],
        [cluster.restore_prefix(), cluster.backup_verify_job()],
    );
    let ours = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if !remove::objects(cx, &kinds[..1], ours).await?.is_empty() {
        remove::gone(cx, &kinds, "the Jobs to end", ours).await?;
    }
    Ok(())
}
