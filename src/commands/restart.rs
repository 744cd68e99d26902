//! `galeractl restart`.

use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::Passwords;
use crate::engine::event::Change;
use crate::engine::{Due, StepCx};
use crate::error::{Kind, Result};
use crate::names::Member;
use crate::steps::rolling::{self, LOOK, RESTART, Wish};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned};
use super::rolling::{Pause, among, paused, print, world_of};
use super::target::{connect, find, running};

/// Restart the nodes of a running cluster one after the other, or one of them
///
/// While a node is away the others go on, and each goes only when all others have everything. The node that takes the
/// writes is the last. A node counts as back when it has all that was written meanwhile, and when every proxy sends
/// clients to it again. Ctrl-C stops between two nodes; the same command goes on with those that are left.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this node, such as 2
    #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99))]
    node: Option<u32>,
    #[command(flatten)]
    pause: Pause,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::Preflight).await?.desired;
    let nodes: Vec<Member> = match args.node {
        Some(node) => vec![among("--node", node, &desired)?],
        None => desired.members().collect(),
    };
    let pause = args.pause.among(&desired)?;
    Frame::whole(ui, "restart", async |frame| {
        let world = world_of(connection, desired, Passwords::default(), frame.choices(&args.bounds)).await?;
        if args.bounds.dry_run.is_some() {
            return rehearse(args, frame, &world, ui, &nodes).await;
        }
        let act = async |run: &Run<'_>, [look, restart]: [Due; 2]| {
            let wish = run.step(look, async |cx| rolling::run_look(cx, &nodes).await).await?;
            run.step(restart, async |cx| rolling::restart(cx, &wish, pause).await).await
        };
        let left = frame.run([LOOK, RESTART], args.bounds.timeout, &world, act).await?;
        Ok(match args.node {
            _ if !left.is_empty() => paused(&left),
            Some(node) => format!("node{node} is restarted"),
            None => format!("all nodes of cluster {} are restarted", world.desired.cluster),
        })
    })
    .await
    .map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted => failure.hint("the others still run; the same command goes on from there"),
        _ => failure,
    })
}

/// Asks what the run asks, and shows each node and each object.
async fn rehearse(args: &Args, frame: &Frame, world: &World, ui: &Ui, nodes: &[Member]) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| rolling::look(cx, nodes).await;
    let wish = frame.act(LOOK, args.bounds.timeout, world, look, async |_| Ok(())).await?;
    let cluster = &world.desired.cluster;
    print(world, ui, wish.order.iter().map(|node| (*node, "somebody has asked for it".to_owned())))?;
    let planned = planned(&wish, |node| (cluster.member(node), cluster.pod(node)));
    rehearsal::print(&planned, ui)?;
    Ok(rehearsal::outcome(format_args!("nodes of cluster {cluster} would be restarted"), &planned))
}

fn planned(wish: &Wish, names: impl Fn(Member) -> (String, String)) -> Vec<Planned> {
    let asked = wish.named.iter().filter(|_| !wish.goes_on);
    let sets = asked.map(|node| Planned::new(RESTART.id, format!("statefulset/{}", names(*node).0), Change::Changed));
    let pods =
        wish.order.iter().map(|node| Planned::new(RESTART.id, format!("pod/{}", names(*node).1), Change::Deleted));
    sets.chain(pods).collect()
}
