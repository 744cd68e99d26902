//! `galeractl backup now`.

use crate::cli::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::error::Result;
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
    let wanted = desired(&connection, globals).await?;
    let frame = Frame::begin(ui, "backup")?;
    let world = world(&connection, wanted, &args.bounds, (frame.holder(), frame.cancel())).await?;
    present(&world)?;
    let kind = match (args.full, args.incremental) {
        (true, _) => "full",
        (_, true) => "inc",
        _ => "next",
    };
    if args.bounds.dry_run.is_some() {
        return ui.out(&format!("the agent would be asked for a backup ({kind})"));
    }
    let ask = Ask { id: "backup", title: "let the agent take a backup", request: format!("backup {kind}") };
    let cluster = world.desired.cluster.clone();
    go(&world, frame, vec![Box::new(ask)], args.bounds.timeout, || format!("a backup of cluster {cluster} was taken"))
        .await
}
