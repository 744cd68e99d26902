//! `galeractl purge`.

use crate::cluster::rights;
use crate::cluster::volumes::table;
use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::event::Level;
use crate::error::{Kind, Result};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::steps::purge::{EMPTY, Found, PROVE, empty, look, prove, stages};
use crate::ui::Ui;
use crate::ui::plural::plural;
use crate::wsrep::volume::Contents;

use super::bounds::Bounds;
use super::frame::Frame;
use super::rehearsal::{self, Rehearsal};
use super::target::{connect, find, must_exist, stored};
use super::wish::Wish;
use super::{complete, gather};

/// Empty the volumes of a cluster that is down
///
/// Deletes all data on the volumes and keeps the volumes themselves, so that a new cluster can be formed on them; meant
/// for volumes that are made by hand, such as iSCSI targets. Refuses while a pod uses one of them, shows what each
/// volume holds, asks for the cluster's name, and looks afterwards whether every volume is empty. To look, pods mount
/// the volumes read-only for a moment, with --dry-run as well; volumes on targets are claimed for that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl purge --dry-run
  galeractl purge --node 2
  galeractl purge --confirm shop")]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// Only the volume of the seed
    #[arg(long, conflicts_with = "node")]
    seed_only: bool,
    /// Only the volume of this node, such as 2; can be repeated
    #[arg(long, value_name = "I", value_parser = clap::value_parser!(u32).range(1..=99), add = complete::numbers())]
    node: Vec<u32>,
    /// Also take back iSCSI volumes that are Released because their claims were deleted
    #[arg(long)]
    released: bool,
    /// Also empty volumes that are not what the settings describe, such as another target of the same name
    #[arg(long)]
    take_ownership: bool,
    /// The cluster's name, to confirm in scripts that its data may go
    #[arg(long, value_name = "CLUSTER")]
    confirm: Option<String>,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let desired = desired(args, globals, &connection).await?;
    rights::check(&connection, &desired, rights::PURGE).await?;
    let observer = gather::look(&connection, &desired, None).await?;
    let frame = Frame::begin(ui, "purge")?;
    let choices = Choices { take_ownership: args.take_ownership, ..frame.choices(&args.bounds) };
    let world = World::new(connection.clone(), desired, Passwords::default(), choices, observer);
    let result = purge(args, ui, &frame, &world).await;
    let released = world.release_lock(true).await;
    frame.end(result.and_then(|message| released.map(|()| message))).await
}

/// What is known about the cluster: from the settings, from its record, or only its name.
async fn desired(args: &Args, globals: &Globals, connection: &Connection) -> Result<Desired> {
    let settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    if !settings.only_names() {
        return Ok(settings.desired);
    }
    let target = find(globals, connection).await?;
    must_exist(connection, &target, Kind::Preflight).await?;
    match stored(connection, &target).await? {
        Some(stored) => Ok(stored.desired),
        None => target.with_defaults(),
    }
}

async fn purge(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let members: Vec<Member> =
        if args.seed_only { vec![Member::Seed] } else { args.node.iter().copied().map(Member::Node).collect() };
    // Nothing may move on the screen while a question is asked, so the look is not part of the run that is shown.
    ui.notice(Level::Info, "looking what the volumes hold");
    let looked = frame.silently("preflight", world, async |cx| look(cx, &members, args.released).await).await?;
    let Found { volumes, backups, .. } = &looked;
    let cluster = world.desired.cluster.clone();
    if volumes.is_empty() {
        return Ok(format!("cluster {cluster} has no volumes"));
    }
    let what = format!(
        "This deletes ALL DATA on {} of cluster {cluster} in namespace {}:\n{}\n",
        plural(volumes.len(), "volume"),
        world.desired.namespace,
        table(world, volumes)
    ) + backups;
    let dry = args.bounds.dry_run.is_some();
    if dry {
        ui.out(&format!("{what}\n"))?;
    }
    let blank = volumes.values().all(|evidence| evidence.contents == Contents::Empty);
    // A run that was cut off after the last file leaves what is recorded at the claims.
    if blank && volumes.values().all(|evidence| evidence.recorded.is_none() && evidence.owner.is_none()) {
        return Ok(format!("nothing to do: all volumes of cluster {cluster} are empty"));
    }
    if dry {
        let planned = Rehearsal::on(world).of(&stages(&world.desired, &looked)).await?;
        rehearsal::print(&planned, ui)?;
        let way = format!("{} of cluster {cluster} would be emptied", plural(volumes.len(), "volume"));
        return Ok(rehearsal::outcome(way, &planned));
    }
    if !blank {
        ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    }
    let [empties, proves] = frame.announce(&world.connection, &world.desired, [EMPTY, PROVE]);
    let run = frame.within(args.bounds.timeout, world);
    let result = async {
        run.step(empties, async |cx| empty(cx, volumes).await).await?;
        run.step(proves, async |cx| prove(cx, &looked).await).await
    };
    let result = result.await;
    result.map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted => failure.hint("data may be gone already; the same command goes on from there"),
        _ => failure,
    })?;
    Ok(format!("emptied and looked at again: {} of cluster {cluster}", plural(volumes.len(), "volume")))
}
