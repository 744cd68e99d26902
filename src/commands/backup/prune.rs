//! `galeractl backup prune`.

use crate::cluster::reader;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::engine::{Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::manifests::scripts;
use crate::steps::backup::agent;
use crate::ui::Ui;
use crate::ui::plural::plural;

use super::{connect, desired, world};

/// Remove backups that are out of their time, as the agent does after each backup
///
/// Whole chains only; never the newest ones that are kept in any case, and never the newest that was verified. Binary
/// logs go with the chains that they follow. What goes follows from galera_cluster_backup_retention_days and
/// galera_cluster_backup_keep as the agent knows them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The cluster's name, to confirm in scripts that they may go
    #[arg(long, value_name = "CLUSTER")]
    confirm: Option<String>,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let wanted = desired(&connection, globals, None, Kind::Preflight).await?;
    Frame::whole(ui, "backup", async |frame| {
        let world = world(&connection, wanted, &args.bounds, frame).await?;
        prune(args, ui, frame, &world).await
    })
    .await
}

async fn prune(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let reader = reader::present(world)?;
    let output =
        reader::run(&world.connection, &world.desired.namespace, &reader, &scripts::bash(scripts::EXPIRED), None)
            .await?;
    if output.exit_code != 0 {
        let why = output.stderr.trim();
        return Err(Failure::message(
            Kind::Preflight,
            format!("the agent does not tell what is out of its time: {why}"),
        ));
    }
    let (logs, backups): (Vec<&str>, Vec<&str>) = output.stdout.lines().partition(|line| line.starts_with("binlog "));
    if backups.is_empty() && logs.is_empty() {
        return Ok("nothing is out of its time".to_owned());
    }
    let cluster = &world.desired.cluster;
    let what = format!(
        "This deletes {} and {} of cluster {cluster}:\n  {}",
        plural(backups.len(), "backup"),
        plural(logs.len(), "binary log"),
        backups.join("\n  ")
    );
    if args.bounds.dry_run.is_some() {
        ui.out(&what)?;
        return Ok("nothing was deleted".to_owned());
    }
    ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    let step = Named::new("prune", "let the agent remove them");
    let ask = async |cx: &StepCx<'_, World>| agent::ask(cx, "tidy -").await;
    frame.run([step], args.bounds.timeout, world, async |run, [step]| run.step(step, ask).await).await?;
    Ok(format!("{} removed", plural(backups.len(), "backup")))
}
