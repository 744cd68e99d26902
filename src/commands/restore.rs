//! `galeractl restore`.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backups::{From, Gaps, To, Wanted};
use crate::checks::{Check, Mark, passed};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Cx, Events, Step, run as run_steps};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::observe::{Observer, Wants};
use crate::plans::course::Course;
use crate::steps::nodes::Nodes;
use crate::steps::preflight::{self, table};
use crate::steps::proxy::Proxy;
use crate::steps::record;
use crate::steps::restore::{Close, Fill, Forget, Look, Origin, Resume, Switch, Trace, Undo};
use crate::steps::rights;
use crate::steps::teardown::{RemoveRest, StopNodes, StopProxy};
use crate::steps::volumes::{MakeNamespace, Volumes};
use crate::steps::world::World;
use crate::ui::Ui;
use crate::wsrep::volume::Contents;

use super::backup::Where;
use super::bounds::Bounds;
use super::frame::Frame;
use super::gather;
use super::up::stored_wish;
use super::verify;
use super::wish::Wish;

/// How long a restored cluster may take until every check passes.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// Bring a backup back, into a stopped cluster or a new one
///
/// Fills the volumes of all nodes at once, beside what is on them, replays binary logs where a moment is asked for, then
/// starts the nodes. What was on the volumes is kept aside until the restored cluster has passed every check of verify,
/// and comes back if it does not. The backup is only read. The restored cluster has an identity of its own.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// The backup: latest, its name, or dir:PATH for a folder of mariadb-backup on the backup volume
    #[arg(long, value_name = "BACKUP", required_unless_present_any = ["finish", "undo"])]
    from: Option<String>,
    /// How many increments of the chain: a number, or latest for all
    #[arg(long, value_name = "K", requires = "from", value_parser = increment)]
    increment: Option<Increment>,
    #[command(flatten)]
    point: Point,
    #[command(flatten)]
    place: Where,
    /// all fills every volume from the backup; one fills that of node1, and the others get a state transfer from it
    #[arg(long, value_name = "WHICH", default_value = "all", value_parser = ["all", "one"])]
    fill: String,
    /// Remove what is on the volumes before they are filled, where both have no room; it cannot come back then
    #[arg(long)]
    discard_current: bool,
    /// Finish a restore that was broken off after its volumes had been filled
    #[arg(long = "continue", conflicts_with_all = ["from", "undo"])]
    finish: bool,
    /// Take back a restore that was broken off: what was on the volumes before returns
    #[arg(long, conflicts_with = "from")]
    undo: bool,
    /// The cluster's name, to confirm in scripts that the data on its volumes may be replaced
    #[arg(long, value_name = "CLUSTER")]
    confirm: Option<String>,
    #[command(flatten)]
    bounds: Bounds,
}

#[derive(Debug, clap::Args)]
struct Point {
    /// Replay binary logs: everything before this moment, such as 2026-11-25T10:00:00Z
    #[arg(long, value_name = "TIME", requires = "from", group = "moment", value_parser = To::time)]
    to_time: Option<To>,
    /// Replay binary logs: everything up to this transaction, such as 1-1-4711
    #[arg(long, value_name = "GTID", requires = "from", group = "moment", value_parser = To::gtid)]
    to_gtid: Option<To>,
    /// Go on where transactions are missing in the binary logs; what was in them is lost
    #[arg(long, requires = "moment")]
    across_gaps: bool,
}

impl Point {
    fn to(&self) -> Option<To> {
        self.to_time.or(self.to_gtid)
    }
}

#[derive(Debug, Clone, Copy)]
enum Increment {
    Latest,
    Count(usize),
}

fn increment(text: &str) -> Result<Increment, String> {
    match text {
        "latest" => Ok(Increment::Latest),
        _ => text.parse().map(Increment::Count).map_err(|_| format!("`{text}` is neither a number nor latest")),
    }
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = Connection::open(&globals.connection()).await?;
    let mut settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    connection.version().await?;
    if let Some(stored) = stored_wish(&settings, &connection).await? {
        settings.desired = stored;
    }
    let (desired, passwords) = (settings.desired, settings.passwords);
    args.place.folder(&desired)?;
    if args.from.is_some() {
        origin(args)?;
    }
    rights::check(&connection, &desired, rights::RESTORE).await?;
    let classes = gather::storage_classes(&connection).await?;
    let observer = Observer::start(&connection, &desired, Wants { logs: true, classes }).await?;
    let frame = Frame::begin(ui, "restore")?;
    let choices = frame.choices(&args.bounds);
    let world = World::new(connection, desired, passwords, choices, observer);
    let result = if args.undo {
        undo(args, ui, &frame, &world).await
    } else if args.finish {
        finish(args, ui, &frame, &world).await
    } else {
        restore(args, ui, &frame, &world).await
    };
    let released = world.release_lock(false).await;
    frame.end(result.and_then(|message| released.map(|()| message))).await
}

fn origin(args: &Args) -> Result<Origin> {
    let from = args.from.as_deref().unwrap_or("latest");
    if let Some(path) = from.strip_prefix("dir:") {
        if args.point.to().is_some() || args.increment.is_some() {
            let why = "--increment, --to-time and --to-gtid do not go with dir:, which has neither increments nor binary logs";
            return Err(Failure::message(Kind::Usage, why));
        }
        let path = path.trim_matches('/');
        if path.is_empty() || path.split('/').any(|part| part == "..") {
            return Err(Failure::message(
                Kind::Usage,
                format!("--from: `dir:{}` names no folder of the backup volume", path.escape_default()),
            ));
        }
        return Ok(Origin::Directory(path.to_owned()));
    }
    let increment = match args.increment {
        Some(Increment::Count(count)) => Some(count),
        Some(Increment::Latest) | None => None,
    };
    let from = if from == "latest" { From::Latest } else { From::Id(from.to_owned()) };
    let gaps = if args.point.across_gaps { Gaps::Crossed } else { Gaps::Refused };
    Ok(Origin::Backup(Wanted { from, increment, to: args.point.to(), gaps }))
}

/// Runs steps without showing them: nothing may move on the screen before a question.
async fn silently(frame: &Frame, world: &World, steps: &[Box<dyn Step<World>>]) -> Result<()> {
    let silent = Cx { events: Events::start(Vec::new()), cancel: frame.cancel(), deadline: None };
    run_steps(steps, &silent, world).await
}

async fn restore(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    ui.notice(Level::Info, "looking for the backup, and what is on the volumes");
    world.memory().namespace_exists = preflight::namespace(world).await?;
    let look = Look {
        origin: origin(args)?,
        folder: args.place.source.clone(),
        claim: args.place.claim.clone(),
        alone: args.fill == "one" && world.desired.nodes > 1,
        dry: args.bounds.dry_run.is_some(),
    };
    if look.dry && !world.memory().namespace_exists {
        let namespace = &world.desired.namespace;
        return Err(Failure::message(
            Kind::Preflight,
            format!("namespace {namespace} does not exist, so nothing can be looked at yet"),
        ));
    }
    let looked = silently(frame, world, &[Box::new(MakeNamespace), Box::new(look)]).await;
    if let Err(failure) = looked {
        return Err(close(world, failure).await);
    }
    let (volumes, prepared) = {
        let memory = world.memory();
        (memory.volumes.clone(), memory.restore.clone())
    };
    let what = prepared.map(|prepared| prepared.what).unwrap_or_default();
    let Desired { cluster, namespace, .. } = &world.desired;
    let held = volumes.values().any(|evidence| !matches!(evidence.contents, Contents::Missing | Contents::Empty));
    let question = format!(
        "This restores {what}\nto cluster {cluster} in namespace {namespace}. On its volumes now:\n{}\n{}",
        table(world, &volumes),
        if args.discard_current {
            "It is REMOVED BEFORE, and cannot come back."
        } else {
            "It is kept aside until the restored cluster is healthy, and is then REMOVED."
        }
    );
    if args.bounds.dry_run.is_some() {
        ui.out(&question)?;
        return Err(close(world, Failure::message(Kind::Declined, "")).await).or_else(|failure| match failure.kind {
            Kind::Declined => Ok("nothing was changed".to_owned()),
            _ => Err(failure),
        });
    }
    if held {
        let confirmed = ui.confirm_name(cluster.as_str(), &question, args.confirm.as_deref(), &frame.cancel()).await;
        if let Err(failure) = confirmed {
            return Err(close(world, failure).await);
        }
    } else {
        frame.notice(Level::Info, format!("restoring {what}"));
    }
    world.memory().course = Some(Course::Keep);
    let fill: Vec<Box<dyn Step<World>>> = vec![
        Box::new(Volumes),
        Box::new(Fill { discard: args.discard_current }),
        Box::new(Switch),
        Box::new(Nodes),
        Box::new(Proxy),
    ];
    frame.announce(&world.connection, &world.desired, &fill);
    let filled = frame.run(&fill[..2], args.bounds.timeout, world).await;
    if let Err(failure) = filled {
        return Err(close(world, failure).await);
    }
    match start(args, frame, world, &fill[2..]).await {
        Ok(()) => done(args, frame, world).await,
        Err(failure) if failure.kind == Kind::Step && held && !args.discard_current => {
            Err(take_back(frame, world, failure).await)
        }
        Err(failure) => Err(failure
            .hint("the restored data is on the volumes; finish: galeractl restore --continue")
            .hint("or take it back, while the cluster is down: galeractl restore --undo")),
    }
}

/// Switches, starts the nodes, and judges the result.
async fn start(args: &Args, frame: &Frame, world: &World, steps: &[Box<dyn Step<World>>]) -> Result<()> {
    frame.run(steps, args.bounds.timeout, world).await?;
    let checks = healthy(world).await?;
    if passed(&checks) {
        return Ok(());
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| check.mark == Mark::Fail)
        .map(|check| format!("{} ({})", check.title, check.evidence))
        .collect();
    Err(Failure::message(Kind::Step, format!("the restored cluster is not healthy: {}", failed.join("; "))))
}

/// The restored cluster is healthy: what was kept aside goes. From here on there is no way back.
async fn done(args: &Args, frame: &Frame, world: &World) -> Result<String> {
    let forget: [Box<dyn Step<World>>; 1] = [Box::new(Forget)];
    let Desired { cluster, namespace, nodes, .. } = &world.desired;
    frame.run(&forget, args.bounds.timeout, world).await.map_err(|failure| {
        failure.hint(format!(
            "cluster {cluster} is restored and healthy; only the folders restore.old and restore.gone on its volumes are left"
        ))
    })?;
    let uuid = world.memory().record.uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
    Ok(format!(
        "cluster {cluster} is restored and healthy: {nodes} nodes, uuid {uuid}; how to connect: galeractl credentials --name {cluster} -n {namespace}"
    ))
}

/// The checks of `verify`, until all of them pass or the time is over.
async fn healthy(world: &World) -> Result<Vec<Check>> {
    let deadline = Instant::now() + HEALTHY_WITHIN;
    loop {
        let record = world.memory().record.clone();
        let checks = verify::judge_once(&world.connection, &world.desired, &record, &world.observer).await?;
        if passed(&checks) || Instant::now() >= deadline {
            return Ok(checks);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Removes the pods of the restore after it has failed or was declined; also when the run was interrupted.
async fn close(world: &World, failure: Failure) -> Failure {
    let silent = Cx { events: Events::start(Vec::new()), cancel: CancellationToken::new(), deadline: None };
    let steps: [Box<dyn Step<World>>; 1] = [Box::new(Close)];
    match run_steps(&steps, &silent, world).await {
        Ok(()) => failure,
        Err(other) => failure.hint(format!("what was started for the restore could not be removed: {other}")),
    }
}

/// Brings the old data back after the restored cluster has failed.
async fn take_back(frame: &Frame, world: &World, failure: Failure) -> Failure {
    frame.notice(Level::Warning, format!("{failure}; what was on the volumes is brought back"));
    let steps = back();
    match frame.run(&steps, None, world).await {
        Ok(()) => {
            failure.hint("what was on the volumes before is back, and the cluster is stopped; start it: galeractl up")
        }
        Err(other) => failure
            .hint(format!("what was on the volumes could not be brought back: {other}"))
            .hint("try again: galeractl restore --undo"),
    }
}

fn back() -> Vec<Box<dyn Step<World>>> {
    vec![
        Box::new(StopProxy),
        Box::new(StopNodes { force: true }),
        Box::new(Undo),
        Box::new(RemoveRest { volumes: false }),
    ]
}

/// What is on the volumes, for a question about a restore that was broken off.
async fn trace(frame: &Frame, world: &World, forward: bool) -> Result<String> {
    known(world).await?;
    if let Err(failure) = silently(frame, world, &[Box::new(Trace { forward })]).await {
        return Err(close(world, failure).await);
    }
    let volumes = world.memory().volumes.clone();
    Ok(table(world, &volumes))
}

async fn finish(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let table = trace(frame, world, true).await?;
    let Desired { cluster, namespace, .. } = &world.desired;
    let what = format!(
        "This finishes a restore of cluster {cluster} in namespace {namespace}. On its volumes now:\n{table}\nThe restored \
         data takes its place. What was there before the restore is kept aside until the restored cluster is healthy, and is \
         then REMOVED."
    );
    if args.bounds.dry_run.is_some() {
        ui.out(&what)?;
        return Ok("nothing was changed".to_owned());
    }
    ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    let steps: Vec<Box<dyn Step<World>>> = vec![Box::new(Resume), Box::new(Nodes), Box::new(Proxy)];
    frame.announce(&world.connection, &world.desired, &steps);
    start(args, frame, world, &steps).await?;
    done(args, frame, world).await
}

async fn undo(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let table = trace(frame, world, false).await?;
    let cluster = world.desired.cluster.clone();
    let what = format!(
        "This takes back a restore of cluster {cluster} in namespace {}. On its volumes now:\n{table}\nWhat was kept from \
         before the restore comes back, and what is in its place is REMOVED, with all that was written since. What was only \
         prepared is REMOVED; the data beside it stays.",
        world.desired.namespace
    );
    if args.bounds.dry_run.is_some() {
        ui.out(&what)?;
        return Ok("nothing was changed".to_owned());
    }
    ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    let steps: Vec<Box<dyn Step<World>>> = vec![Box::new(Undo), Box::new(RemoveRest { volumes: false })];
    frame.announce(&world.connection, &world.desired, &steps);
    frame.run(&steps, args.bounds.timeout, world).await?;
    Ok(format!("the volumes of cluster {cluster} are as they were; start it: galeractl up"))
}

/// What is recorded, for runs that go on where another one was broken off.
async fn known(world: &World) -> Result<()> {
    let Desired { cluster, namespace, .. } = &world.desired;
    let client = &world.connection.client;
    let stored = record::stored(client, namespace, cluster).await?;
    let secrets = record::stored_passwords(client, namespace, cluster).await?;
    let mut memory = world.memory();
    memory.namespace_exists = true;
    memory.secrets = secrets;
    memory.record = stored.map(|(_, record)| record).unwrap_or_default();
    Ok(())
}
