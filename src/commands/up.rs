//! `galeractl up`.

use crate::cli::Globals;
use crate::desired::Desired;
use crate::engine::Step;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::observe::{Observer, Wants};
use crate::settings::Settings;
use crate::steps::handover::Handover;
use crate::steps::leftovers::Leftovers;
use crate::steps::nodes::Nodes;
use crate::steps::preflight::Preflight;
use crate::steps::proxy::Proxy;
use crate::steps::record;
use crate::steps::rights;
use crate::steps::seed::Seed;
use crate::steps::volumes::{MakeNamespace, Volumes};
use crate::steps::world::{Choices, World};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::Frame;
use super::wish::Wish;
use super::{plan, surroundings};

/// Form a cluster, bring a stopped one back, or complete one
///
/// Runs Steps 0 to 5: namespace, volumes, a temporary seed that bootstraps the cluster, the nodes, the proxy, and the
/// removal of the seed. Each step ends on evidence from every node. Killed at any moment and run again, it goes on
/// where it was; on a healthy cluster it changes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// Where the storage class for vSphere is the default of the Kubernetes cluster, unset that, after asking
    #[arg(long)]
    fix_default_class: bool,
    /// Answer yes to that question
    #[arg(long, requires = "fix_default_class")]
    yes: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Overwrite objects of the same names that belong to somebody else
    #[arg(long)]
    take_ownership: bool,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = Connection::open(&globals.connection()).await?;
    let mut settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    connection.version().await?;
    match stored_wish(&settings, &connection).await {
        Ok(Some(stored)) => settings.desired = stored,
        Ok(None) => {}
        // The preflight meets it again, and names every right that is missing rather than the first.
        Err(failure) if failure.kind == Kind::Preflight && args.bounds.dry_run.is_none() => {}
        Err(failure) => return Err(failure),
    }
    surroundings::volume_size(&connection, &settings).await?;
    if args.bounds.dry_run.is_some() {
        for notice in &settings.notices {
            ui.notice(Level::Warning, notice);
        }
        return plan::print(&connection, &settings.desired, ui).await;
    }
    Frame::whole(ui, "up", async |frame| {
        let (fix, yes) = (args.fix_default_class, args.yes);
        surroundings::default_class(ui, &connection, &mut settings, fix, yes, &frame.cancel()).await?;
        form(args, &connection, settings, frame).await
    })
    .await
}

/// Where nobody has said what the cluster should be, it should be what it was formed as.
pub(super) async fn stored_wish(settings: &Settings, connection: &Connection) -> Result<Option<Desired>> {
    if !settings.only_names() {
        return Ok(None);
    }
    let Desired { cluster, namespace, .. } = &settings.desired;
    Ok(record::stored(&connection.client, namespace, cluster).await?.map(|(desired, _)| desired))
}

fn steps() -> Vec<Box<dyn Step<World>>> {
    vec![
        Box::new(Preflight),
        Box::new(MakeNamespace),
        Box::new(Volumes),
        Box::new(Seed),
        Box::new(Nodes),
        Box::new(Proxy),
        Box::new(Handover),
        Box::new(Leftovers),
    ]
}

async fn form(args: &Args, connection: &Connection, settings: Settings, frame: &Frame) -> Result<String> {
    let Settings { desired, passwords, notices, .. } = settings;
    let plan = steps();
    frame.announce(connection, &desired, &plan);
    for notice in notices {
        frame.notice(Level::Warning, notice);
    }
    rights::check(connection, &desired, rights::UP).await?;
    let classes = super::gather::storage_classes(connection).await?;
    let observer = Observer::start(connection, &desired, Wants { logs: true, classes }).await?;
    let choices = Choices {
        lock_wait: args.bounds.lock_wait,
        take_ownership: args.take_ownership,
        holder: frame.holder(),
        cancel: frame.cancel(),
    };
    let world = World::new(connection.clone(), desired, passwords, choices, observer);
    let result = frame.run(&plan, args.bounds.timeout, &world).await;
    let changes = world.memory().changes;
    // A run that was refused leaves nothing, its lock included.
    let released = world.release_lock(result.is_err() && changes == 0).await;
    result.map_err(|failure| continue_with(failure, &world))?;
    released?;
    Ok(summary(&world.desired, changes))
}

fn continue_with(failure: Failure, world: &World) -> Failure {
    match failure.kind {
        Kind::Step | Kind::Interrupted | Kind::Unreachable if world.memory().changes > 0 => failure
            .hint("what was created stays; the same command goes on from there")
            .hint("look at it: galeractl status"),
        _ => failure,
    }
}

fn summary(desired: &Desired, changes: usize) -> String {
    let Desired { cluster, namespace, nodes, .. } = desired;
    let address = format!("{}.{namespace}.svc:3306", cluster.proxy());
    if changes == 0 {
        format!("cluster {cluster} is up and as it should be: {nodes} nodes behind {address}; nothing was changed")
    } else {
        format!("cluster {cluster} is up: {nodes} nodes behind {address}; how to connect: galeractl credentials")
    }
}
