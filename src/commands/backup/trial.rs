//! `galeractl backup verify`.

use crate::backups::{From, Gaps, Wanted};
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::complete;
use crate::commands::frame::Frame;
use crate::engine::StepCx;
use crate::error::{Kind, Result};
use crate::steps::backup::trial::{self, TRIAL, Trial};
use crate::ui::Ui;

use super::{Where, connect, desired, has_volume, none, world};

/// Restore a backup to scratch space, start a server on it, and check its tables
///
/// The result is written beside the backup. A damaged one is not built upon any more: the agent begins a new chain.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup; without it, the newest
    #[arg(value_name = "BACKUP", add = complete::backups())]
    id: Option<String>,
    /// The newest backup
    #[arg(long, conflicts_with = "id")]
    latest: bool,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let desired = desired(&connection, globals, Some(&args.place), Kind::Preflight).await?;
    if !has_volume(&connection, &desired, &args.place).await? {
        return Err(none(&desired));
    }
    // A full backup that is named stands for itself, not for its chain.
    let increment = args.id.as_ref().is_some_and(|id| id.ends_with("-full")).then_some(0);
    let from = args.id.clone().map_or(From::Latest, From::Id);
    let wish = Trial {
        wanted: Wanted { from, increment, to: None, gaps: Gaps::Refused },
        folder: args.place.folder(&desired)?,
        claim: args.place.claim(&desired),
        word: args.place.word(),
    };
    if args.bounds.dry_run.is_some() {
        return ui.out(&format!(
            "a Job would restore {} of {} to scratch space",
            args.id.as_deref().unwrap_or("the newest backup"),
            wish.folder
        ));
    }
    Frame::whole(ui, "backup", async |frame| {
        let world = world(&connection, desired, &args.bounds, frame).await?;
        let act = async |cx: &StepCx<'_, World>| trial::run(cx, &wish).await;
        frame.run([TRIAL], args.bounds.timeout, &world, async |run, [step]| run.step(step, act).await).await?;
        Ok("the backup can be restored".to_owned())
    })
    .await
}
