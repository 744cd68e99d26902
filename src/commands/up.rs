//! `galeractl up`.

use crate::cluster::world::{Choices, World};
use crate::cluster::{formation, record, rights};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Due, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::{self, Object};
use crate::observe::{Observer, Wants};
use crate::plans::course::Course;
use crate::plans::stage::Fate;
use crate::settings::Settings;
use crate::steps::up::preflight::{self, PREFLIGHT};
use crate::steps::up::proxy::{self, Accounts};
use crate::steps::up::{Found, STEPS, handover, leftovers, nodes, seed, stages, volumes};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned, Rehearsal};
use super::surroundings;
use super::wish::Wish;

/// Form a cluster, bring a stopped one back, or complete one
///
/// Runs Steps 0 to 5: namespace, volumes, a temporary seed that bootstraps the cluster, the nodes, the proxy, and the
/// removal of the seed. Each step ends on evidence from every node. Killed at any moment and run again, it goes on
/// where it was; on a healthy cluster it changes nothing.
///
/// --dry-run asks everything that the run would ask, refuses what it would refuse, and shows each step with its
/// objects. To see what stopped volumes hold, it starts pods that mount them read-only, and removes them again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl up
  galeractl up --name shop -n web --dry-run
  galeractl up --name shop -n web --nodes 5 --backup
  galeractl up -f shop.conf --timeout 10m")]
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

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = Connection::open(&globals.connection()).await?;
    let mut settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    connection.version().await?;
    match stored_wish(&settings, &connection).await {
        Ok(Some(stored)) => settings.desired = stored,
        Ok(None) => {}
        // The preflight meets it again, and names every right that is missing rather than the first.
        Err(failure) if failure.kind == Kind::Preflight => {}
        Err(failure) => return Err(failure),
    }
    surroundings::volume_size(&connection, &settings).await?;
    Frame::whole(ui, "up", async |frame| {
        if args.bounds.dry_run.is_some() {
            return rehearse(args, &connection, settings, frame, ui).await;
        }
        let (fix, yes) = (args.fix_default_class, args.yes);
        surroundings::default_class(ui, &connection, &mut settings, fix, yes, &frame.cancel()).await?;
        form(args, &connection, settings, frame).await
    })
    .await
}

/// Where nobody has said what the cluster should be, it should be what it was formed as. What else was said leaves it its
/// certificates, or none.
pub(super) async fn stored_wish(settings: &Settings, connection: &Connection) -> Result<Option<Desired>> {
    let Desired { cluster, namespace, .. } = &settings.desired;
    let stored = record::stored(&connection.client, namespace, cluster).await?.map(|(desired, _)| desired);
    Ok(stored.map(|stored| if settings.only_names() { stored } else { settings.beside(&stored) }))
}

async fn form(args: &Args, connection: &Connection, settings: Settings, frame: &Frame) -> Result<String> {
    let steps = frame.announce(connection, &settings.desired, STEPS);
    let world = world(args, connection, settings, frame).await?;
    let result = formed(&frame.within(args.bounds.timeout, &world), steps).await;
    let changes = world.changes();
    // A run that was refused leaves nothing, its lock included.
    let released = world.release_lock(result.is_err() && changes == 0).await;
    result.map_err(|failure| continue_with(failure, &world))?;
    released?;
    Ok(summary(&world.desired, changes))
}

/// Runs the steps: each takes what those before it have found out.
async fn formed(
    run: &Run<'_>,
    [preflight, namespace, claims, seed, nodes, proxy, handover, leftovers]: [Due; 8],
) -> Result<()> {
    let (mut found, exists) = run.step(preflight, preflight::run).await?;
    run.step(namespace, async |cx| volumes::namespace(cx, exists).await).await?;
    if let Some((course, _)) = run.step(claims, async |cx| volumes::claims(cx, &found).await).await? {
        found.course = course;
    }
    let (found, seeded) = run.step(seed, async |cx| seed::run(cx, found).await).await?;
    let (record, kept) = run.step(nodes, async |cx| nodes::run(cx, &found, seeded).await).await?;
    // Whoever uses a database that was there before may have changed its accounts.
    let accounts = if found.course == Course::Form { Accounts::AsInSettings } else { Accounts::AsTheyAre };
    run.step(proxy, async |cx| proxy::run(cx, &kept, accounts).await).await?;
    run.step(handover, async |cx| handover::run(cx, &record).await).await?;
    run.step(leftovers, leftovers::run).await
}

/// One who may do it, looks at what there is.
async fn world(args: &Args, connection: &Connection, settings: Settings, frame: &Frame) -> Result<World> {
    let Settings { desired, passwords, notices, .. } = settings;
    for notice in notices {
        frame.notice(Level::Warning, notice);
    }
    rights::check(connection, &desired, rights::UP).await?;
    let classes = super::gather::storage_classes(connection).await?;
    let observer = Observer::start(connection, &desired, Wants { logs: true, classes }).await?;
    let choices = Choices { take_ownership: args.take_ownership, ..frame.choices(&args.bounds) };
    Ok(World::new(connection.clone(), desired, passwords, choices, observer))
}

/// Asks all that a run asks before it changes anything, and shows what it would do then.
async fn rehearse(args: &Args, connection: &Connection, settings: Settings, frame: &Frame, ui: &Ui) -> Result<String> {
    let world = world(args, connection, settings, frame).await?;
    let look = async |cx: &StepCx<'_, World>| -> Result<(Course, Vec<Planned>)> {
        let (Found { course, record, .. }, exists) = preflight::look(cx).await?.value;
        let mut stages = stages(&world.desired, &course, &record);
        if formation::has_done_its_work(&world, &record) {
            let comes: Vec<String> = manifests::seed(&world.desired).iter().map(Object::display).collect();
            for stage in stages.iter_mut().filter(|stage| stage.fate == Fate::Made) {
                stage.objects.retain(|object| !comes.contains(&object.display()));
            }
        }
        let (pods, sets) = formation::failed(&world, &course, &record);
        let named = |kind: &'static str| move |name: &String| format!("{kind}/{name}");
        let goes_first = pods.iter().map(named("pod")).chain(sets.iter().map(named("statefulset"))).collect();
        let planned = Rehearsal::on(&world).in_namespace(exists).without(goes_first).of(&stages).await?;
        Ok((course, planned))
    };
    // A lock that was taken for a look into volumes would be all that is left of it.
    let tidy = async |_: &StepCx<'_, World>| world.release_lock(true).await;
    let (course, planned) = frame.act(PREFLIGHT, args.bounds.timeout, &world, look, tidy).await?;
    rehearsal::print(&planned, ui)?;
    let cluster = &world.desired.cluster;
    let way = match course {
        Course::Form => format!("cluster {cluster} would be formed"),
        Course::BringBack { from, position, .. } => {
            format!("cluster {cluster} would be brought back from its volumes; {from} starts first, at {position}")
        }
        Course::Compare => format!("cluster {cluster} would be brought back; its servers say first where they stand"),
        Course::Keep => format!("cluster {cluster} runs, and would be completed"),
    };
    Ok(rehearsal::outcome(way, &planned))
}

fn continue_with(failure: Failure, world: &World) -> Failure {
    match failure.kind {
        Kind::Step | Kind::Interrupted | Kind::Unreachable if world.changes() > 0 => failure
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
