//! `galeractl hold`, `galeractl release` and `galeractl rebuild`.

use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::Passwords;
use crate::engine::{Due, StepCx};
use crate::error::{Kind, Result};
use crate::names::Member;
use crate::steps::hold::{self, LOOK};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rolling::{among, world_of};
use super::target::{connect, find, running};

/// Take one node's server down and keep it down, for people who must look
///
/// The server leaves in good order, the proxy leads nobody there any more, and the container stays up without a server,
/// also when its pod is made anew: a file on its volume says so. The others have to be in order before, and go on. Until
/// `galeractl release`, no verb that needs all nodes goes on; each of them says who holds the node, and since when.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl hold --node 3
  galeractl release --node 3")]
pub struct Args {
    #[command(flatten)]
    one: One,
}

/// Let a server come back that was kept down
///
/// It gets what was written meanwhile from the others. The verb ends when it serves clients again.
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    one: One,
}

/// Give one node a fresh copy of the data of the others
///
/// Its server leaves in good order, as with `galeractl hold`; then its data is put aside, on its own volume, and it takes a
/// copy from a node that has everything. Nothing is deleted. It is refused where another node is not in order, where
/// fewer than two others would be left, and where only this node has the newest writes.
#[derive(Debug, clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    one: One,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The node, such as 3
    #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99))]
    node: u32,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let act = async |run: &Run<'_>, node: Member, [look, hold]: [Due; 2]| {
        if run.step(look, async |cx| hold::run_look(cx, node, 1).await).await? {
            return Ok(format!("{node} was held already; nothing was changed"));
        }
        run.step(hold, async |cx| hold::hold(cx, node, "").await).await?;
        Ok(format!("{node} is held; let its server come back: galeractl release --node {}", node.number()))
    };
    on_one(&args.one, globals, ui, "hold", hold::holding, 1, act).await
}

pub(crate) async fn release(args: &ReleaseArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let act = async |run: &Run<'_>, node: Member, [look, release]: [Due; 2]| {
        run.step(look, async |cx| hold::run_look_at_held(cx, node).await).await?;
        run.step(release, async |cx| hold::release(cx, node).await).await?;
        Ok(format!("{node} serves"))
    };
    on_one(&args.one, globals, ui, "release", hold::releasing, 0, act).await
}

pub(crate) async fn rebuild(args: &RebuildArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let act = async |run: &Run<'_>, node: Member, [look, rebuild]: [Due; 2]| {
        let is_held = run.step(look, async |cx| hold::run_look(cx, node, 2).await).await?;
        let whole = async |cx: &StepCx<'_, World>| {
            if !is_held {
                hold::hold(cx, node, "-rebuild").await?;
            }
            hold::rebuild(cx, node).await
        };
        run.step(rebuild, whole).await?;
        Ok(format!("{node} has a fresh copy of the data; what it had is kept on its volume, as aside.TIME"))
    };
    on_one(&args.one, globals, ui, "rebuild", hold::rebuilding, 2, act).await
}

/// Runs a verb about one node: a look, and one step.
async fn on_one(
    one: &One,
    globals: &Globals,
    ui: &Ui,
    verb: &'static str,
    step: impl Fn(Member) -> crate::engine::Named,
    others_at_least: usize,
    act: impl AsyncFnOnce(&Run<'_>, Member, [Due; 2]) -> Result<String>,
) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::Preflight).await?.desired;
    let node = among("--node", one.node, &desired)?;
    Frame::whole(ui, verb, async |frame| {
        let world = world_of(connection, desired, Passwords::default(), frame.choices(&one.bounds)).await?;
        if one.bounds.dry_run.is_some() {
            let look = async |cx: &StepCx<'_, World>| match verb {
                "release" => hold::look_at_held(cx, node).await,
                _ => hold::look(cx, node, others_at_least).await.map(|found| found.detail),
            };
            let found = frame.act(LOOK, one.bounds.timeout, &world, look, async |_| Ok(())).await?;
            return Ok(format!("{found}; {} would follow; nothing was changed", step(node).title));
        }
        frame.run([LOOK, step(node)], one.bounds.timeout, &world, async |run, due| act(run, node, due).await).await
    })
    .await
    .map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted => failure.hint("no data was removed; the same command goes on from there"),
        _ => failure,
    })
}
