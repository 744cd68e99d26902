//! `galeractl backup now`.

use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::error::{Kind, Result};
use crate::steps::agent::{Ask, present};
use crate::ui::Ui;

use super::{connect, desired, go, world};

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
        present(&world)?;
        if args.bounds.dry_run.is_some() {
            ui.out(&format!("the agent would be asked for a backup ({kind})"))?;
            return Ok("nothing was changed".to_owned());
        }
        let ask = Ask { id: "backup", title: "let the agent take a backup", request: format!("backup {kind}") };
        let cluster = &world.desired.cluster;
        go(&world, frame, vec![Box::new(ask)], args.bounds.timeout, || {
            format!("a backup of cluster {cluster} was taken")
        })
        .await
    })
    .await
}
