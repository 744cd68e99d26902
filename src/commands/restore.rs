//! `galeractl restore`.

mod rehearse;
mod which;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checks::{Check, Mark, passed};
use crate::cluster::inspect::Volumes;
use crate::cluster::record::{self, Secrets};
use crate::cluster::rights;
use crate::cluster::volumes::table;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::Due;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::config::Record;
use crate::observe::{Observer, Wants};
use crate::plans::course::Course;
use crate::steps::restore::{self as steps, FILL, FORGET, RESUME, SWITCH, UNDO, Wish};
use crate::steps::teardown::{self, REMOVE_REST, STOP_NODES, STOP_PROXY};
use crate::steps::up::nodes::{self, NODES};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::steps::up::volumes::{self, VOLUMES};
use crate::steps::up::{Found, preflight};
use crate::ui::Ui;
use crate::wsrep::volume::Contents;

use super::backup::Where;
use super::bounds::Bounds;
use super::frame::{Frame, Run, silently};
use super::gather;
use super::up::stored_wish;
use super::verify;
use super::wish;
use which::Which;

/// How long a restored cluster may take until every check passes.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// Bring a backup back, into a stopped cluster or a new one
///
/// Fills the volumes of all nodes at once, beside what is on them, replays binary logs where a moment is asked for, then
/// starts the nodes. What was on the volumes is kept aside until the restored cluster has passed every check of verify,
/// and comes back if it does not. The backup is only read. The restored cluster has an identity of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl restore --from latest
  galeractl restore --from latest --to-time 2026-11-25T10:00:00Z
  galeractl restore --from latest --source web/shop --name copy
  galeractl restore --undo")]
pub struct Args {
    #[command(flatten)]
    wish: wish::Wish,
    #[command(flatten)]
    which: Which,
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

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = Connection::open(&globals.connection()).await?;
    let mut settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    connection.version().await?;
    if let Some(stored) = stored_wish(&settings, &connection).await? {
        settings.desired = stored;
    }
    let (desired, passwords) = (settings.desired, settings.passwords);
    args.place.folder(&desired)?;
    if args.which.is_named() {
        args.which.origin()?;
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
    // A lock that was taken for a look would be all that is left of it.
    let released = world.release_lock(args.bounds.dry_run.is_some()).await;
    frame.end(result.and_then(|message| released.map(|()| message))).await
}

/// Finds the backup, and what is on the volumes, before the question. Makes the namespace where it does not exist.
async fn look(args: &Args, frame: &Frame, world: &World) -> Result<steps::Found> {
    let exists = preflight::namespace(world).await?;
    let wish = Wish {
        origin: args.which.origin()?,
        folder: args.place.source.clone(),
        claim: args.place.claim.clone(),
        word: args.place.word(),
        alone: args.fill == "one" && world.desired.nodes > 1,
        dry: args.bounds.dry_run.is_some(),
    };
    if wish.dry && !exists {
        let namespace = &world.desired.namespace;
        return Err(Failure::message(
            Kind::Preflight,
            format!("namespace {namespace} does not exist, so nothing can be looked at yet"),
        ));
    }
    let looked = async {
        frame.silently("namespace", world, async |cx| volumes::namespace(cx, exists).await).await?;
        frame.silently("preflight", world, async |cx| steps::look(cx, &wish).await).await
    };
    or_close(world, looked.await).await
}

async fn restore(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    ui.notice(Level::Info, "looking for the backup, and what is on the volumes");
    let found = look(args, frame, world).await?;
    let what = &found.prepared.what;
    let Desired { cluster, namespace, .. } = &world.desired;
    let held = found.volumes.values().any(|evidence| !matches!(evidence.contents, Contents::Missing | Contents::Empty));
    let question = format!(
        "This restores {what}\nto cluster {cluster} in namespace {namespace}. On its volumes now:\n{}\n{}",
        table(world, &found.volumes),
        if args.discard_current {
            "It is REMOVED BEFORE, and cannot come back."
        } else {
            "It is kept aside until the restored cluster is healthy, and is then REMOVED."
        }
    );
    if args.bounds.dry_run.is_some() {
        let told = rehearse::restore(world, &found, args.discard_current, &question, ui).await;
        let told = or_close(world, told).await?;
        // What is left of a look is removed by the next one.
        drop(close(world, Failure::message(Kind::Declined, "")).await);
        return Ok(told);
    }
    if held {
        let confirmed = ui.confirm_name(cluster.as_str(), &question, args.confirm.as_deref(), &frame.cancel()).await;
        or_close(world, confirmed).await?;
    } else {
        frame.notice(Level::Info, format!("restoring {what}"));
    }
    let steps = [VOLUMES, FILL, SWITCH, NODES, PROXY];
    let [volumes, fill, switch, nodes, proxy] = frame.announce(&world.connection, &world.desired, steps);
    let filled = fill_all(args, &frame.within(args.bounds.timeout, world), (volumes, fill), found).await;
    let filled = or_close(world, filled).await?;
    let run = frame.within(args.bounds.timeout, world);
    // What is on record when the restored cluster fails, by which the way back is judged.
    let mut record = Record::default();
    let started = async {
        let stands = run.step(switch, async |cx| steps::switch(cx, &filled).await).await?;
        record = stands.1.clone();
        start(&run, world, (nodes, proxy), stands, Some(filled.secrets)).await
    };
    match started.await {
        Ok(record) => done(args, frame, world, &record).await,
        Err(failure) if failure.kind == Kind::Step && held && !args.discard_current => {
            Err(take_back(frame, world, failure, &record).await)
        }
        Err(failure) => Err(failure
            .hint("the restored data is on the volumes; finish: galeractl restore --continue")
            .hint("or take it back, while the cluster is down: galeractl restore --undo")),
    }
}

/// Fills the volumes. Until they are switched, the cluster is what it was.
async fn fill_all(
    args: &Args,
    run: &Run<'_>,
    (volumes, fill): (Due, Due),
    mut found: steps::Found,
) -> Result<steps::Filled> {
    let known = Found { course: Course::Keep, record: Record::default(), secrets: found.secrets.clone() };
    if let Some((_, anew)) = run.step(volumes, async |cx| volumes::claims(cx, &known).await).await? {
        found.volumes = anew;
    }
    run.step(fill, async |cx| steps::fill(cx, found, args.discard_current).await).await
}

/// Starts the nodes on the new data, and judges the result.
async fn start(
    run: &Run<'_>,
    world: &World,
    (nodes, proxy): (Due, Due),
    (course, record): (Course, Record),
    secrets: Option<Secrets>,
) -> Result<Record> {
    let found = Found { course, record, secrets };
    let (record, kept) = run.step(nodes, async |cx| nodes::run(cx, &found, None).await).await?;
    run.step(proxy, async |cx| proxy::run(cx, &kept, Accounts::AsTheyAre).await).await?;
    let checks = healthy(world, &record).await?;
    if passed(&checks) {
        return Ok(record);
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| check.mark == Mark::Fail)
        .map(|check| format!("{} ({})", check.title, check.evidence))
        .collect();
    Err(Failure::message(Kind::Step, format!("the restored cluster is not healthy: {}", failed.join("; "))))
}

/// The restored cluster is healthy: what was kept aside goes. From here on there is no way back.
async fn done(args: &Args, frame: &Frame, world: &World, record: &Record) -> Result<String> {
    let [forget] = Due::in_order([FORGET]);
    let Desired { cluster, namespace, nodes, .. } = &world.desired;
    frame.within(args.bounds.timeout, world).step(forget, steps::forget).await.map_err(|failure| {
        failure.hint(format!(
            "cluster {cluster} is restored and healthy; only the folders restore.old and restore.gone on its volumes are left"
        ))
    })?;
    let uuid = record.uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
    Ok(format!(
        "cluster {cluster} is restored and healthy: {nodes} nodes, uuid {uuid}; how to connect: galeractl credentials --name {cluster} -n {namespace}"
    ))
}

/// The checks of `verify`, until all of them pass or the time is over.
async fn healthy(world: &World, record: &Record) -> Result<Vec<Check>> {
    let deadline = Instant::now() + HEALTHY_WITHIN;
    loop {
        let checks = verify::judge_once(&world.connection, &world.desired, record, &world.observer).await?;
        if passed(&checks) || Instant::now() >= deadline {
            return Ok(checks);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What was started does not stay when the restore comes to nothing.
async fn or_close<T>(world: &World, result: Result<T>) -> Result<T> {
    match result {
        Err(failure) => Err(close(world, failure).await),
        done => done,
    }
}

/// Removes the pods of the restore after it has failed or was declined; also when the run was interrupted.
async fn close(world: &World, failure: Failure) -> Failure {
    match silently(CancellationToken::new(), "close", world, steps::close).await {
        Ok(()) => failure,
        Err(other) => failure.hint(format!("what was started for the restore could not be removed: {other}")),
    }
}

/// Brings the old data back after the restored cluster has failed.
async fn take_back(frame: &Frame, world: &World, failure: Failure, record: &Record) -> Failure {
    frame.notice(Level::Warning, format!("{failure}; what was on the volumes is brought back"));
    let [proxy, nodes, undo, rest] = Due::in_order([STOP_PROXY, STOP_NODES, UNDO, REMOVE_REST]);
    let run = frame.within(None, world);
    let back = async {
        run.step(proxy, teardown::stop_proxy).await?;
        run.step(nodes, async |cx| teardown::stop_nodes(cx, true).await).await?;
        // What was looked at has been changed since.
        run.step(undo, async |cx| steps::undo(cx, None, record).await).await?;
        run.step(rest, async |cx| teardown::remove_rest(cx, false).await).await
    };
    match back.await {
        Ok(()) => {
            failure.hint("what was on the volumes before is back, and the cluster is stopped; start it: galeractl up")
        }
        Err(other) => failure
            .hint(format!("what was on the volumes could not be brought back: {other}"))
            .hint("try again: galeractl restore --undo"),
    }
}

/// What is recorded, and on the volumes, for a question about a restore that was broken off.
async fn trace(frame: &Frame, world: &World, forward: bool) -> Result<(Record, Option<Secrets>, Volumes)> {
    let Desired { cluster, namespace, .. } = &world.desired;
    let client = &world.connection.client;
    let stored = record::stored(client, namespace, cluster).await?;
    let secrets = record::stored_passwords(client, namespace, cluster).await?;
    let record = stored.map(|(_, record)| record).unwrap_or_default();
    let traced = frame.silently("preflight", world, async |cx| steps::trace(cx, &record, forward).await).await;
    let volumes = or_close(world, traced).await?;
    Ok((record, secrets, volumes))
}

async fn finish(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let (record, secrets, volumes) = trace(frame, world, true).await?;
    let Desired { cluster, namespace, .. } = &world.desired;
    let what = format!(
        "This finishes a restore of cluster {cluster} in namespace {namespace}. On its volumes now:\n{}\nThe restored \
         data takes its place. What was there before the restore is kept aside until the restored cluster is healthy, and is \
         then REMOVED.",
        table(world, &volumes)
    );
    if args.bounds.dry_run.is_some() {
        return rehearse::finish(world, &volumes, &what, ui).await;
    }
    ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    let [resume, nodes, proxy] = frame.announce(&world.connection, &world.desired, [RESUME, NODES, PROXY]);
    let run = frame.within(args.bounds.timeout, world);
    let stands = run.step(resume, async |cx| steps::resume(cx, &volumes, &record).await).await?;
    let record = start(&run, world, (nodes, proxy), stands, secrets).await?;
    done(args, frame, world, &record).await
}

async fn undo(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let (record, _, volumes) = trace(frame, world, false).await?;
    let cluster = &world.desired.cluster;
    let what = format!(
        "This takes back a restore of cluster {cluster} in namespace {}. On its volumes now:\n{}\nWhat was kept from \
         before the restore comes back, and what is in its place is REMOVED, with all that was written since. What was only \
         prepared is REMOVED; the data beside it stays.",
        world.desired.namespace,
        table(world, &volumes)
    );
    if args.bounds.dry_run.is_some() {
        return rehearse::undo(world, &volumes, &what, ui).await;
    }
    ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    let [undo, rest] = frame.announce(&world.connection, &world.desired, [UNDO, REMOVE_REST]);
    let run = frame.within(args.bounds.timeout, world);
    run.step(undo, async |cx| steps::undo(cx, Some(&volumes), &record).await).await?;
    run.step(rest, async |cx| teardown::remove_rest(cx, false).await).await?;
    Ok(format!("the volumes of cluster {cluster} are as they were; start it: galeractl up"))
}
