//! `galeractl backup prune`.

use crate::cli::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::Frame;
use crate::error::{Failure, Kind, Result};
use crate::steps::agent::{Ask, present};
use crate::steps::reader;
use crate::ui::Ui;
use crate::ui::plural::plural;

use super::{connect, desired, go, world};

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

/// What the agent would remove, by its own rules.
const EXPIRED: &str = "export TZ=UTC LC_ALL=C; ROOT=/backups/$GALERA_NAMESPACE/$GALERA_CLUSTER SERVER=/run/galeractl
    . /galeractl/scripts/common.sh; . /galeractl/scripts/keep.sh
    expired";

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let wanted = desired(&connection, globals).await?;
    let frame = Frame::begin(ui, "backup")?;
    let world = world(&connection, wanted, &args.bounds, (frame.holder(), frame.cancel())).await?;
    let agent = present(&world)?;
    let output =
        reader::run(&world.connection, &world.desired.namespace, &agent, &["/bin/bash", "-c", EXPIRED], None).await?;
    if output.exit_code != 0 {
        let why = output.stderr.trim();
        return Err(Failure::message(
            Kind::Preflight,
            format!("the agent does not tell what is out of its time: {why}"),
        ));
    }
    let (logs, backups): (Vec<&str>, Vec<&str>) = output.stdout.lines().partition(|line| line.starts_with("binlog "));
    if backups.is_empty() && logs.is_empty() {
        return frame.end(Ok("nothing is out of its time".to_owned())).await;
    }
    let what = format!(
        "This deletes {} and {} of cluster {}:\n  {}",
        plural(backups.len(), "backup"),
        plural(logs.len(), "binary log"),
        world.desired.cluster,
        backups.join("\n  ")
    );
    if args.bounds.dry_run.is_some() {
        ui.out(&what)?;
        return frame.end(Ok("nothing was deleted".to_owned())).await;
    }
    let cluster = world.desired.cluster.clone();
    let confirmed = ui.confirm_name(cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await;
    if let Err(failure) = confirmed {
        return frame.end(Err(failure)).await;
    }
    let ask = Ask { id: "prune", title: "let the agent remove them", request: "tidy -".to_owned() };
    go(&world, frame, vec![Box::new(ask)], args.bounds.timeout, || {
        format!("{} removed", plural(backups.len(), "backup"))
    })
    .await
}
