//! `galeractl apply`.

use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::{Change, Level};
use crate::engine::{Due, StepCx};
use crate::error::{Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::plans::change::rebased;
use crate::plans::rolling::risk;
use crate::settings::Settings;
use crate::steps::apply::{self, SETTINGS};
use crate::steps::rolling::{self, RESTART};
use crate::steps::up::preflight::{self, PREFLIGHT};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::steps::up::volumes::{self, VOLUMES};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned, Rehearsal};
use super::rolling::{Pause, Restarts, look_at_running, paused, print, restarts, unless_paused, world_of};
use super::target;
use super::target::Target;
use super::wish::Wish;

/// Change a running cluster to what the settings say, node by node
///
/// Writes the new settings, and restarts the nodes that run with others, one after the other, as `galeractl restart`
/// does: each goes only when all others have everything, and the one that takes the writes is the last. Nothing is
/// restarted without need. What cannot be changed while the cluster runs is refused before anything is written.
///
/// With a settings file or a profile, the cluster becomes what these say; with options alone, such as --set, everything
/// else stays as it is. Ctrl-C stops between two nodes; the same command goes on with those that are left.
///
/// --dry-run shows each node that would be restarted and why, what it will have to get from the others, and how many of
/// these may fail meanwhile.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    pause: Pause,
    #[command(flatten)]
    bounds: Bounds,
    /// Overwrite objects of the same names that belong to somebody else
    #[arg(long)]
    take_ownership: bool,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = Connection::open(&globals.connection()).await?;
    let settings = args.wish.settings(globals, Some(&connection.default_namespace))?;
    connection.version().await?;
    let Desired { cluster, namespace, .. } = settings.desired.clone();
    let target = Target { cluster, namespace };
    let stored = target::running(&connection, &target, Kind::Preflight).await?.desired;
    let wanted = wanted(args, &settings, &stored, &target)?;
    apply::can_change(&stored, &wanted)?;
    Frame::whole(ui, "apply", async |frame| {
        for notice in &settings.notices {
            frame.notice(Level::Warning, notice);
        }
        let choices = Choices { take_ownership: args.take_ownership, ..frame.choices(&args.bounds) };
        let world = world_of(connection, wanted, settings.passwords, choices).await?;
        if args.bounds.dry_run.is_some() {
            rehearse(args, frame, &world, ui).await
        } else {
            change(args, frame, &world).await
        }
    })
    .await
}

/// What the cluster should be. Who has said it all, in a file or by a profile, has it so; otherwise only what was said
/// becomes another.
fn wanted(args: &Args, settings: &Settings, stored: &Desired, target: &Target) -> Result<Desired> {
    if args.wish.says_all() {
        return Ok(settings.beside(stored));
    }
    let value = |desired: &Desired| serde_json::to_value(desired).or_fail(Kind::Bug);
    let rebased = rebased(&value(stored)?, &value(&target.with_defaults()?)?, &value(&settings.desired)?);
    serde_json::from_value(rebased).or_fail(Kind::Bug)
}

async fn change(args: &Args, frame: &Frame, world: &World) -> Result<String> {
    let pause = args.pause.among(&world.desired)?;
    let act = async |run: &Run<'_>, [look, claims, settings, restart, proxy]: [Due; 5]| {
        let found = look_at_running(run, look).await?;
        run.step(claims, async |cx| volumes::claims(cx, &found).await).await?;
        let kept = run.step(settings, async |cx| apply::settings(cx, found.secrets.as_ref(), true).await).await?;
        let left = run.step(restart, async |cx| rolling::catch_up(cx, pause).await).await?;
        run.step(proxy, async |cx| unless_paused(&left, proxy::run(cx, &kept, Accounts::AsTheyAre)).await).await?;
        Ok(left)
    };
    let steps = [PREFLIGHT, VOLUMES, SETTINGS, RESTART, PROXY];
    let left = frame.run(steps, args.bounds.timeout, world, act).await.map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted if world.changes() > 0 => {
            failure.hint("the nodes that were not restarted run as before; the same command goes on from there")
        }
        _ => failure,
    })?;
    let cluster = &world.desired.cluster;
    Ok(match world.changes() {
        _ if !left.is_empty() => paused(&left),
        0 => format!("cluster {cluster} is as it should be; nothing was changed"),
        _ => format!("cluster {cluster} is what the settings say, and every node runs with them"),
    })
}

/// Asks what the run asks, and shows each node that would be restarted, and what would become of each object.
async fn rehearse(args: &Args, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<(Restarts, Vec<Planned>)> {
        apply::runs(&preflight::look(cx).await?.value.0.course)?;
        let desired = &world.desired;
        let stages = [volumes::stage(desired, false), apply::stage(desired, true), proxy::stage(desired)];
        let mut planned = Rehearsal::on(world).of(&stages).await?;
        let nodes = restarts(world, &planned)?;
        let pod = |node: &Member| format!("pod/{}", world.desired.cluster.pod(*node));
        planned.extend(nodes.iter().map(|(node, _)| Planned::new(RESTART.id, pod(node), Change::Deleted)));
        Ok((nodes, planned))
    };
    let (nodes, planned) = frame.act(PREFLIGHT, args.bounds.timeout, world, look, async |_| Ok(())).await?;
    if let Some(risk) = risk(world.desired.nodes).filter(|_| !nodes.is_empty()) {
        frame.notice(Level::Warning, risk);
    }
    let way = match nodes.len() {
        0 => "no node would be restarted".to_owned(),
        some => format!("{some} of {} nodes would be restarted, one after the other", world.desired.nodes),
    };
    print(world, ui, nodes.into_iter())?;
    rehearsal::print(&planned, ui)?;
    Ok(rehearsal::outcome(way, &planned))
}
