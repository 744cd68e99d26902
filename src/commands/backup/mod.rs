//! `galeractl backup`.

mod copy;
mod key;
mod list;
mod now;
mod prune;
mod relocate;
mod trial;

use std::time::Duration;

use clap::Subcommand;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::backups::KeyFile;
use crate::cluster::backup_keys::Word;
use crate::cluster::reader::{self, Reader};
use crate::cluster::rights;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::{Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::kube::objects::Objects;
use crate::settings;
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::Frame;
use super::gather;
use super::target::{connect, find, input, must_exist, stored};

/// How a cluster gets backups.
const TURN_ON: &str = "turn them on: galeractl up --backup, with the settings that the cluster was formed with";

/// Take, list, check, copy and remove backups
///
/// An agent beside one node takes backups on its own: full ones, incremental ones in between, and copies of the binary
/// logs, by which a restore reaches any moment. These verbs ask the agent, or read the backup volume themselves where
/// no agent runs. `galeractl restore` brings a backup back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl up --backup
  galeractl backup now --full
  galeractl backup list
  galeractl backup verify --latest")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Now(now::Args),
    List(list::Args),
    Verify(trial::Args),
    Prune(prune::Args),
    Copy(copy::Args),
    Move(relocate::Args),
    Key(key::Args),
}

/// Where the backups are.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// Backups of another cluster on the same volume, as NAMESPACE/CLUSTER
    #[arg(long, value_name = "NAMESPACE/CLUSTER")]
    pub(super) source: Option<String>,
    /// Claim of the backup volume; without it, the cluster's own
    #[arg(long, value_name = "CLAIM")]
    pub(super) claim: Option<String>,
    /// File with the key that the backups were made with, of `backup key export`; without it, the cluster's own
    #[arg(long, value_name = "FILE", value_parser = key_file, value_hint = clap::ValueHint::FilePath)]
    pub(super) key: Option<Box<KeyFile>>,
    /// Take backups as well that nobody has signed; whoever can write to the volume may have made them
    #[arg(long)]
    pub(super) unsigned: bool,
}

fn key_file(path: &str) -> std::result::Result<Box<KeyFile>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    KeyFile::parse(&text).map(Box::new)
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    match &args.verb {
        Verb::Now(args) => now::run(args, globals, ui).await,
        Verb::List(args) => list::run(args, globals, ui).await,
        Verb::Verify(args) => trial::run(args, globals, ui).await,
        Verb::Prune(args) => prune::run(args, globals, ui).await,
        Verb::Copy(args) => copy::run(args, globals, ui).await,
        Verb::Move(args) => relocate::run(args, globals, ui).await,
        Verb::Key(args) => key::run(args, globals, ui).await,
    }
}

impl Where {
    /// Whose backups are believed.
    pub(super) fn word(&self) -> Word {
        Word { file: self.key.as_deref().cloned(), unsigned: self.unsigned }
    }

    /// Folder of the backups on the volume.
    pub(super) fn folder(&self, desired: &Desired) -> Result<String> {
        let own = || format!("{}/{}", desired.namespace, desired.cluster);
        let folder = self.source.clone().unwrap_or_else(own);
        let parts: Vec<&str> = folder.split('/').collect();
        match parts.as_slice() {
            [namespace, cluster] if !namespace.is_empty() && !cluster.is_empty() && !folder.contains("..") => {
                Ok(folder)
            }
            _ => Err(Failure::message(
                Kind::Usage,
                format!("--source: `{}` is not NAMESPACE/CLUSTER", folder.escape_default()),
            )),
        }
    }

    /// Claim of the volume.
    fn claim(&self, desired: &Desired) -> String {
        self.claim.clone().unwrap_or_else(|| desired.cluster.backup_claim())
    }
}

/// A cluster that may be gone, of which there may be backups. `missing` is the kind of failure where nothing of it
/// exists; nothing has to exist for backups on a volume that is named.
async fn desired(connection: &Connection, globals: &Globals, place: Option<&Where>, missing: Kind) -> Result<Desired> {
    let target = find(globals, connection).await?;
    if place.is_none_or(|place| place.claim.is_none()) {
        must_exist(connection, &target, missing).await?;
    }
    if let Some(stored) = stored(connection, &target).await? {
        return Ok(stored.desired);
    }
    // What is left of it is named by the target; its images may be named by galera.conf.
    let settings = settings::load(&input(globals, Some(connection.default_namespace.clone())))?;
    Ok(Desired { cluster: target.cluster, namespace: target.namespace, ..settings.desired })
}

/// Whether there is a volume that may hold backups. Without one there are none, and no pod has to look.
///
/// # Errors
/// A volume that is named does not exist.
async fn has_volume(connection: &Connection, desired: &Desired, place: &Where) -> Result<bool> {
    let (name, namespace) = (place.claim(desired), &desired.namespace);
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&connection.client, namespace);
    let found = claims.get(&name, Kind::Preflight).await?;
    match (found, &place.claim) {
        (None, Some(claim)) => Err(Failure::message(
            Kind::Preflight,
            format!("--claim: there is no persistentvolumeclaim/{claim} in namespace {namespace}"),
        )),
        (found, _) => Ok(found.is_some()),
    }
}

/// Why there are no backups, for verbs that need one.
fn none(desired: &Desired) -> Failure {
    Failure::message(Kind::Preflight, format!("there are no backups: cluster {} has no backup volume", desired.cluster))
        .hint(TURN_ON)
}

/// A world for a run that asks the agent or reads the volume.
async fn world(connection: &Connection, desired: Desired, bounds: &Bounds, frame: &Frame) -> Result<World> {
    rights::check(connection, &desired, rights::BACKUP).await?;
    let observer = gather::look(connection, &desired, None).await?;
    let choices = frame.choices(bounds);
    Ok(World::new(connection.clone(), desired, Passwords::default(), choices, observer))
}

/// Looks at a backup volume through a pod of its own. The pod and the lock are gone when this returns.
async fn with_reader<T>(
    world: &World,
    frame: &Frame,
    claim: &str,
    limit: Option<Duration>,
    look: impl AsyncFnOnce(&StepCx<'_, World>, &Reader) -> Result<T>,
) -> Result<T> {
    let act = async |cx: &StepCx<'_, World>| {
        world.take_lock(cx).await?;
        look(cx, &reader::open(cx, claim).await?).await
    };
    frame
        .act(Named::new("look", "look at the backup volume"), limit, world, act, async |cx| reader::close(cx).await)
        .await
}
