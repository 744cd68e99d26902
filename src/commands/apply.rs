//! `galeractl apply`.

use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::{Change, Level};
use crate::engine::{Due, Finished, StepCx};
use crate::error::{Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::plans::change::rebased;
use crate::plans::rolling::risk;
use crate::settings::Settings;
use crate::steps::apply::{self, SETTINGS};
use crate::steps::grow::{self, GROW};
use crate::steps::live::{self, OPTIONS};
use crate::steps::rolling::{self, RESTART};
use crate::steps::up::Found;
use crate::steps::up::preflight::{self, PREFLIGHT};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::steps::up::volumes::{self, VOLUMES};
use crate::ui::Ui;
use crate::ui::table::{Cell, Table};

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned, Rehearsal};
use super::rolling::{Pause, Restarts, paused, print, restarts, unless_paused, world_of};
use super::target;
use super::target::Target;
use super::wish::Wish;

/// Change a running cluster to what the settings say, node by node
///
/// Writes the new settings. Where all that is new are server options that the servers can take while they run, they are set
/// and read back, and nobody is restarted. Otherwise the nodes that run with other settings are restarted one after the
/// other, as `galeractl restart` does: each goes only when all others have everything, and the one that takes the writes
/// is the last. What cannot be changed while the cluster runs is refused before anything is written.
///
/// With a settings file or a profile, the cluster becomes what these say; with options alone, such as --set, everything
/// else stays as it is. Ctrl-C stops between two nodes; the same command goes on with those that are left.
///
/// --dry-run shows each server option that would change, and whether live or by a restart; and each node that would be
/// restarted and why, what it will have to get from the others, and how many of these may fail meanwhile.
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
    let act = async |run: &Run<'_>, [look, claims, grow, settings, options, restart, proxy]: [Due; 7]| {
        let (found, plan, smaller) = look_and_plan(run, look).await?;
        run.step(claims, async |cx| volumes::claims(cx, &found).await).await?;
        run.step(grow, async |cx| grow::run(cx, &smaller).await).await?;
        let write = async |cx: &StepCx<'_, World>| {
            live::announce(cx, &plan).await?;
            apply::settings(cx, found.secrets.as_ref(), true).await
        };
        let kept = run.step(settings, write).await?;
        run.step(options, async |cx| live::set(cx, &plan, &kept).await).await?;
        let left = run.step(restart, async |cx| rolling::catch_up(cx, pause).await).await?;
        run.step(proxy, async |cx| unless_paused(&left, proxy::run(cx, &kept, Accounts::AsTheyAre)).await).await?;
        Ok(left)
    };
    let steps = [PREFLIGHT, VOLUMES, GROW, SETTINGS, OPTIONS, RESTART, PROXY];
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

/// The look of `up`, and which way each change goes.
async fn look_and_plan(run: &Run<'_>, look: Due) -> Result<(Found, live::Plan, Vec<Member>)> {
    run.step(look, async |cx| {
        let found = preflight::run(cx).await?;
        apply::runs(&found.value.0.course)?;
        let smaller = grow::smaller(cx.world).await?;
        let plan = live::plan(cx).await?;
        let Finished { outcome, detail, value: (found, _) } = found;
        Ok(Finished { outcome, detail, value: (found, plan, smaller) })
    })
    .await
}

/// Asks what the run asks, and shows each node that would be restarted, and what would become of each object.
async fn rehearse(args: &Args, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<(live::Plan, Restarts, Vec<Planned>)> {
        apply::runs(&preflight::look(cx).await?.value.0.course)?;
        let smaller = grow::smaller(world).await?;
        let plan = live::plan(cx).await?;
        let desired = &world.desired;
        let stages = [volumes::stage(desired, false), apply::stage(desired, true), proxy::stage(desired)];
        let mut planned = Rehearsal::on(world).of(&stages).await?;
        let claim = |node| format!("persistentvolumeclaim/{}", desired.cluster.claim(node));
        planned.extend(smaller.into_iter().map(|node| Planned::new(GROW.id, claim(node), Change::Changed)));
        let mut nodes = restarts(world, &planned)?;
        nodes.retain(|(node, _)| !plan.live.contains_key(node));
        let pod = |node: &Member| format!("pod/{}", world.desired.cluster.pod(*node));
        planned.extend(nodes.iter().map(|(node, _)| Planned::new(RESTART.id, pod(node), Change::Deleted)));
        Ok((plan, nodes, planned))
    };
    let (plan, nodes, planned) = frame.act(PREFLIGHT, args.bounds.timeout, world, look, async |_| Ok(())).await?;
    if let Some(risk) = risk(world.desired.nodes).filter(|_| !nodes.is_empty()) {
        frame.notice(Level::Warning, risk);
    }
    let way = match nodes.len() {
        0 if !plan.live.is_empty() => {
            let (takers, all) = (plan.live.len(), world.desired.nodes);
            format!("{takers} of {all} nodes would take what is new while they run; no node would be restarted")
        }
        0 => "no node would be restarted".to_owned(),
        some => format!("{some} of {} nodes would be restarted, one after the other", world.desired.nodes),
    };
    print_settings(&plan, ui)?;
    print(world, ui, nodes.into_iter())?;
    rehearsal::print(&planned, ui)?;
    Ok(rehearsal::outcome(way, &planned))
}

/// Each variable that would become another, and how the servers come to it.
fn print_settings(plan: &live::Plan, ui: &Ui) -> Result<()> {
    let mut table = Table::new(["NODE", "VARIABLE", "FROM", "TO", "WAY"]);
    let mut any = false;
    for (node, settings) in &plan.settings {
        for setting in settings {
            any = true;
            table.row([
                Cell::from(node.to_string()),
                Cell::from(setting.name.as_str()),
                Cell::from(short(&setting.from)),
                Cell::from(short(&setting.to)),
                Cell::from(setting.way.to_string()),
            ]);
        }
    }
    if any {
        ui.table(&table)?;
        ui.out("\n")?;
    }
    Ok(())
}

/// The beginning of a long value.
fn short(value: &str) -> String {
    const MOST: usize = 40;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
