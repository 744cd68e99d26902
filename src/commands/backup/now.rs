//! `galeractl backup now`.

use crate::cluster::reader;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::engine::{Named, StepCx};
use crate::error::{Kind, Result};
use crate::steps::backup::agent;
use crate::ui::Ui;

use super::{connect, desired, world};

/// Let the agent take a backup now, and wait until it is complete
///
/// Takes an incremental backup where there is one to build on, else a full one, and copies the binary logs after it.
/// The backup goes on when this command is interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A full backup, which begins a new chain
    #[arg(long, conflicts_with = "incremental")]
    full: bool,
    /// An incremental backup; fails where there is nothing to build on
    #[arg(long)]
    incremental: bool,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let wanted = desired(&connection, globals, None, Kind::Preflight).await?;
    let kind = match (args.full, args.incremental) {
        (true, _) => "full",
        (_, true) => "inc",
        _ => "next",
    };
    Frame::whole(ui, "backup", async |frame| {
        let world = world(&connection, wanted, &args.bounds, frame).await?;
        reader::present(&world)?;
        if args.bounds.dry_run.is_some() {
            ui.out(&format!("the agent would be asked for a backup ({kind})"))?;
            return Ok("nothing was changed".to_owned());
        }
        let step = Named::new("backup", "let the agent take a backup");
        let ask = async |cx: &StepCx<'_, World>| agent::ask(cx, &format!("backup {kind}")).await;
        frame.run([step], args.bounds.timeout, &world, async |run, [step]| run.step(step, ask).await).await?;
        Ok(format!("a backup of cluster {} was taken", world.desired.cluster))
    })
    .await
}
