//! `galeractl backup`.

mod copy;
mod list;
mod now;
mod prune;
mod relocate;
mod trial;

use std::time::Duration;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use crate::backups::Catalog;
use crate::cli::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::{Cx, Events, Step, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::kube::lease::holder::user_at_host;
use crate::settings;
use crate::steps::reader::{self, Reader};
use crate::steps::rights;
use crate::steps::world::{Choices, World};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::Frame;
use super::gather;
use super::target::{connect, find, input, stored};

/// Take, list, check, copy and remove backups
///
/// An agent beside one node takes backups on its own: full ones, incremental ones in between, and copies of the binary
/// logs, by which a restore reaches any moment. These verbs ask the agent, or read the backup volume themselves where
/// no agent runs. `galeractl restore` brings a backup back.
#[derive(Debug, clap::Args)]
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
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    match &args.verb {
        Verb::Now(args) => now::run(args, globals, ui).await,
        Verb::List(args) => list::run(args, globals, ui).await,
        Verb::Verify(args) => trial::run(args, globals, ui).await,
        Verb::Prune(args) => prune::run(args, globals, ui).await,
        Verb::Copy(args) => copy::run(args, globals, ui).await,
        Verb::Move(args) => relocate::run(args, globals, ui).await,
    }
}

impl Where {
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

/// A cluster that may be gone, of which there may be backups.
async fn desired(connection: &Connection, globals: &Globals) -> Result<Desired> {
    let target = find(globals, connection).await?;
    if let Some(stored) = stored(connection, &target).await? {
        return Ok(stored.desired);
    }
    // What is left of it is named by the target; its images may be named by galera.conf.
    let settings = settings::load(&input(globals, Some(connection.default_namespace.clone())))?;
    Ok(Desired { cluster: target.cluster, namespace: target.namespace, ..settings.desired })
}

/// A world for verbs that ask the agent or read the volume.
async fn world(
    connection: &Connection,
    desired: Desired,
    bounds: &Bounds,
    (holder, cancel): (String, CancellationToken),
) -> Result<World> {
    rights::check(connection, &desired, rights::BACKUP).await?;
    let observer = gather::look(connection, &desired, None).await?;
    let choices = Choices { lock_wait: bounds.lock_wait, take_ownership: false, holder, cancel };
    Ok(World::new(connection.clone(), desired, Passwords::default(), choices, observer))
}

/// A world for verbs that only look.
async fn looking(globals: &Globals, bounds: &Bounds) -> Result<World> {
    let connection = connect(globals).await?;
    let desired = desired(&connection, globals).await?;
    let holder = format!("{} backup", user_at_host());
    world(&connection, desired, bounds, (holder, CancellationToken::new())).await
}

/// Runs steps of a verb to its end.
async fn go(
    world: &World,
    frame: Frame,
    steps: Vec<Box<dyn Step<World>>>,
    limit: Option<Duration>,
    done: impl FnOnce() -> String,
) -> Result<()> {
    frame.announce(&world.connection, &world.desired, &steps);
    let result = frame.run(&steps, limit, world).await;
    let released = world.release_lock(false).await;
    frame.end(result.and(released).map(|()| done())).await
}

/// Looks at a backup volume through the agent, or through a pod of its own where there is none or `own_pod` says so.
/// Nothing is shown of that.
async fn at<T>(world: &World, claim: &str, own_pod: bool, look: impl AsyncFnOnce(&Reader) -> Result<T>) -> Result<T> {
    if let Some(agent) = reader::agent(&world.desired, &world.observer.live().snapshot())
        .filter(|_| !own_pod && claim == world.desired.cluster.backup_claim())
    {
        return look(&agent).await;
    }
    let cx = Cx { events: Events::start(Vec::new()), cancel: world.choices.cancel.clone(), deadline: None };
    let cx = StepCx::new("look", &cx, world);
    world.take_lock(&cx).await?;
    let looked = match reader::open(&cx, claim).await {
        Ok(reader) => look(&reader).await,
        Err(failure) => Err(failure),
    };
    let closed = reader::close(&cx).await;
    let released = world.release_lock(false).await;
    looked.and_then(|found| closed.and(released).map(|()| found))
}

/// Everything that is known of the backups in a folder.
async fn catalog(world: &World, place: &Where) -> Result<(String, Catalog)> {
    let folder = place.folder(&world.desired)?;
    let claim = place.claim(&world.desired);
    let catalog = at(world, &claim, false, async |reader| {
        reader::catalog(&world.connection, &world.desired.namespace, reader, &folder).await
    })
    .await?;
    Ok((folder, catalog))
}
