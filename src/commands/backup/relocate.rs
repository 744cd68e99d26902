//! `galeractl backup move`.

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::commands::rehearsal::{self, Rehearsal};
use crate::commands::rolling::among;
use crate::commands::target::running;
use crate::commands::{complete, gather};
use crate::desired::{Backup, Passwords};
use crate::engine::StepCx;
use crate::error::{Failure, Kind, Result};
use crate::names::Member;
use crate::observe::{Observer, Wants};
use crate::steps::backup::relocate::{look, pods, relocate, stage, step};
use crate::ui::Ui;

use super::{TURN_ON, connect, find};

/// Let the agent run beside another node, or restart the node that is to have it
///
/// Restarts the pods of the old and of the new node, one after the other, each only while all others are Synced. Also
/// brings the agent to a node that ran already when backups were turned on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Number of the node, such as 2
    #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99), add = complete::numbers())]
    to: u32,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let mut desired = running(&connection, &target, Kind::Preflight).await?.desired;
    let Some(backup) = desired.backup.clone() else {
        return Err(
            Failure::message(Kind::Preflight, format!("cluster {} takes no backups", desired.cluster)).hint(TURN_ON)
        );
    };
    let (from, to) = (Member::Node(backup.node), among("--to", args.to, &desired)?);
    rights::check(&connection, &desired, rights::UP).await?;
    desired.backup = Some(Backup { node: args.to, ..backup });
    let access = own_access(&connection.client, &desired).await?;
    let classes = gather::storage_classes(&connection).await?;
    let observer = Observer::start(&connection, &desired, Wants { logs: true, classes }).await?;
    observer.set_access(access);
    Frame::whole(ui, "backup", async |frame| {
        let choices = frame.choices(&args.bounds);
        let world = World::new(connection, desired, Passwords::default(), choices, observer);
        if args.bounds.dry_run.is_some() {
            return rehearse(args, frame, &world, ui, (from, to)).await;
        }
        let act = async |cx: &StepCx<'_, World>| relocate(cx, from, to).await;
        frame.run([step(to)], args.bounds.timeout, &world, async |run, [step]| run.step(step, act).await).await?;
        Ok(format!("the agent runs beside {to}"))
    })
    .await
}

/// Asks what the run asks, and shows what would become of each object.
async fn rehearse(args: &Args, frame: &Frame, world: &World, ui: &Ui, (from, to): (Member, Member)) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| {
        let way = look(cx, from, to).await?;
        let stage = stage(&world.desired);
        let mut planned = Rehearsal::on(world).of(std::slice::from_ref(&stage)).await?;
        planned.extend(rehearsal::removals(stage.step, &pods(world, &way).await?));
        Ok(planned)
    };
    let planned = rehearsal::show(frame, ui, args.bounds.timeout, world, look).await?;
    Ok(rehearsal::outcome(format_args!("the agent would run beside {to}"), &planned))
}
