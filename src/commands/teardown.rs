//! `galeractl teardown`.

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::event::Change;
use crate::engine::{Due, StepCx};
use crate::error::{Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::{seal, tls};
use crate::observe::objects::claim_owner;
use crate::observed::Observed;
use crate::steps::teardown::{self, LOOK, REMOVE_ALL, REMOVE_REST, STOP_NODES, STOP_PROXY};
use crate::ui::Ui;
use crate::ui::plural::plural;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::gather;
use super::rehearsal::{self, Planned};
use super::target::{Target, connect, find, must_exist, stored};

/// Stop a cluster; its volumes and passwords stay unless told otherwise
///
/// Removes the proxy, then the nodes one at a time, each only after the others have confirmed that the one before it
/// has left, then the rest. `galeractl up` brings the cluster back with every row.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl teardown --name shop -n web
  galeractl teardown --delete-volumes --confirm shop")]
pub struct Args {
    /// Also delete the volumes with all data, and the passwords; asks for the cluster's name
    #[arg(long)]
    delete_volumes: bool,
    /// The cluster's name, to confirm in scripts that its data may go
    #[arg(long, value_name = "CLUSTER", requires = "delete_volumes")]
    confirm: Option<String>,
    /// Stop the nodes even if they do not agree with each other
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    must_exist(&connection, &target, Kind::Preflight).await?;
    let desired = desired(&connection, &target).await?;
    rights::check(&connection, &desired, rights::TEARDOWN).await?;
    let access = match own_access(&connection.client, &desired).await {
        Ok(access) => Some(access),
        // Without the Secret the nodes cannot be asked, which `--force` is for.
        Err(failure) if failure.kind == Kind::Preflight => None,
        Err(failure) => return Err(failure),
    };
    let observer = gather::look(&connection, &desired, access).await?;
    Frame::whole(ui, "teardown", async |frame| {
        let choices = frame.choices(&args.bounds);
        let world = World::new(connection, desired, Passwords::default(), choices, observer);
        if args.bounds.dry_run.is_some() {
            return rehearse(args, &world, frame, ui).await;
        }
        if args.delete_volumes {
            let what = losses(&world.desired, &world.observer.now());
            ui.confirm_name(world.desired.cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
        }
        take_down(args, &world, frame).await
    })
    .await
}

/// What the cluster was; where nothing is recorded any more, only its name and its volumes matter.
async fn desired(connection: &Connection, target: &Target) -> Result<Desired> {
    if let Some(stored) = stored(connection, target).await? {
        return Ok(stored.desired);
    }
    target.with_defaults()
}

/// Asks what the run asks, and shows what would become of each object.
async fn rehearse(args: &Args, world: &World, frame: &Frame, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<Vec<Planned>> {
        teardown::look(cx, args.force).await?;
        let planned = teardown::inventory(world, args.delete_volumes).await?.into_iter();
        Ok(planned
            .map(|(step, found, stays)| {
                Planned::new(step, found.display(), if stays { Change::Kept } else { Change::Deleted })
            })
            .collect())
    };
    let planned = frame.act(LOOK, args.bounds.timeout, world, look, async |_| Ok(())).await?;
    rehearsal::print(&planned, ui)?;
    let cluster = &world.desired.cluster;
    let way = if args.delete_volumes { "removed with all its data" } else { "stopped" };
    Ok(rehearsal::outcome(format_args!("cluster {cluster} would be {way}"), &planned))
}

fn losses(desired: &Desired, observed: &Observed) -> String {
    let mut text = format!("This deletes cluster {} with all its data, and its passwords:\n", desired.cluster);
    for (name, claim) in &observed.claims {
        let owner = claim_owner(desired, name).map_or("?".to_owned(), |member| member.to_string());
        let size = claim.capacity.as_deref().unwrap_or("not bound");
        let class = claim.class.as_deref().unwrap_or("-");
        text.push_str(&format!("  {owner:6} persistentvolumeclaim/{name}  {size}  class {class}\n"));
    }
    let secrets: Vec<String> = tls::secrets(desired).into_iter().map(|name| format!("secret/{name}")).collect();
    text.push_str(&format!("  {}", secrets.join(", ")));
    let keys: Vec<String> = seal::secrets(desired).into_iter().map(|name| format!("secret/{name}")).collect();
    if !keys.is_empty() {
        text.push_str(&format!(
            "\nIts backups stay, and with them {}, without which nobody can read them.",
            keys.join(", ")
        ));
    }
    if !desired.iscsi.is_empty() {
        text.push_str(
            "\nWhat lies on the iSCSI targets stays there: `galeractl purge` empties them, while their volumes exist.",
        );
    }
    text
}

async fn take_down(args: &Args, world: &World, frame: &Frame) -> Result<String> {
    let rest = if args.delete_volumes { REMOVE_ALL } else { REMOVE_REST };
    let steps = frame.announce(&world.connection, &world.desired, [LOOK, STOP_PROXY, STOP_NODES, rest]);
    let result = stopped(args, &frame.within(args.bounds.timeout, world), steps).await;
    let released = world.release_lock(result.is_ok()).await;
    result.map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted => failure.hint("what is left still runs; the same command goes on from there"),
        _ => failure,
    })?;
    released?;
    let Desired { cluster, namespace, .. } = &world.desired;
    let volumes = plural(world.observer.now().claims.len(), "volume");
    Ok(if args.delete_volumes {
        format!("cluster {cluster} is gone with all its data; namespace {namespace} stays")
    } else {
        format!(
            "cluster {cluster} is stopped; {volumes} and secret/{} stay. To bring it back: galeractl up",
            world.desired.cluster.credentials()
        )
    })
}

async fn stopped(args: &Args, run: &Run<'_>, [look, proxy, nodes, rest]: [Due; 4]) -> Result<()> {
    let locked = async |cx: &StepCx<'_, World>| {
        cx.world.take_lock(cx).await?;
        teardown::look(cx, args.force).await
    };
    run.step(look, locked).await?;
    run.step(proxy, teardown::stop_proxy).await?;
    run.step(nodes, async |cx| teardown::stop_nodes(cx, args.force).await).await?;
    run.step(rest, async |cx| teardown::remove_rest(cx, args.delete_volumes).await).await
}
