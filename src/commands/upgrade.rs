//! `galeractl upgrade`.

use std::time::Duration;

use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::event::{Change, Level};
use crate::engine::{Due, StepCx};
use crate::error::{Kind, Result};
use crate::plans::rolling::risk;
use crate::settings::{self, DEFAULT_FILE, image, span};
use crate::steps::apply::{self, SETTINGS};
use crate::steps::rolling::{self, RESTART};
use crate::steps::up::preflight::{self, PREFLIGHT};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::steps::upgrade::{self, IMAGES, TABLES};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned, Rehearsal};
use super::rolling::{Pause, Restarts, look_at_running, paused, print, restarts, unless_paused, world_of};
use super::target::{self, connect, find, running};

/// Give a running cluster another image of MariaDB or of the proxy, node by node
///
/// Before anything is changed, the new image is fetched on every host that will need it, and says which version it has;
/// its server has to take the present options. The way has to lead up, and may not leave out a long-term series: from
/// 10.11 to 11.8 it goes by way of 11.4. Then the nodes are restarted with it one after the other, as `galeractl
/// restart` does, and the one that takes the writes is the last. When all run the new version, the system tables of
/// each are brought to it, and the proxies are replaced last.
///
/// Data that a newer version has opened is opened by no older one, so a backup has to be there where backups are taken.
/// Ctrl-C stops between two nodes; the same command goes on with those that are left.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl upgrade --image mariadb:11.8.6 --dry-run
  galeractl upgrade --image mariadb:11.8.6 --pause-after 3
  galeractl upgrade --proxy-image haproxy:3.2")]
#[group(id = "images", required = true, multiple = true, args = ["image", "proxy_image"])]
pub struct Args {
    /// Image of the nodes, by tag or digest
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    image: Option<String>,
    /// Image of the proxy, by tag or digest
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    proxy_image: Option<String>,
    /// How old the newest backup may be, where backups are taken and the version becomes another
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "24h")]
    backup_within: Duration,
    /// Go without a backup: nothing may lead back then
    #[arg(long, conflicts_with = "backup_within")]
    without_backup: bool,
    #[command(flatten)]
    pause: Pause,
    #[command(flatten)]
    bounds: Bounds,
    /// Overwrite fields that somebody else has set, such as an image by kubectl
    #[arg(long)]
    take_ownership: bool,
}

impl Args {
    fn backup_within(&self) -> Option<Duration> {
        (!self.without_backup).then_some(self.backup_within)
    }

    /// The cluster with the images that are named. An agent of the nodes' own image goes with them.
    fn wanted(&self, before: &Desired) -> Desired {
        let mut wanted = before.clone();
        if let Some(image) = &self.image {
            wanted.mariadb_image.clone_from(image);
            let follows = |image: &String| *image == before.mariadb_image;
            if let Some(backup) = wanted.backup.as_mut().filter(|backup| follows(&backup.image)) {
                backup.image.clone_from(image);
            }
        }
        if let Some(image) = &self.proxy_image {
            wanted.haproxy_image.clone_from(image);
        }
        wanted
    }
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let before = running(&connection, &target, Kind::Preflight).await?.desired;
    args.pause.among(&before)?;
    let wanted = args.wanted(&before);
    Frame::whole(ui, "upgrade", async |frame| {
        if let Some(warning) = agent_stays(&wanted) {
            frame.notice(Level::Warning, warning);
        }
        let choices = Choices { upgrades: true, take_ownership: args.take_ownership, ..frame.choices(&args.bounds) };
        let world = world_of(connection, wanted, Passwords::default(), choices).await?;
        let said = if args.bounds.dry_run.is_some() {
            rehearse(args, frame, &world, &before, ui).await?
        } else {
            change(args, frame, &world, &before).await?
        };
        if let Some(warning) = file_says_otherwise(globals, &world.desired) {
            frame.notice(Level::Warning, warning);
        }
        Ok(said)
    })
    .await
}

/// Only mariadb-backup of the server's own version reads its data.
fn agent_stays(wanted: &Desired) -> Option<String> {
    let backup = wanted.backup.as_ref().filter(|backup| backup.image != wanted.mariadb_image)?;
    Some(format!(
        "the agent that takes backups stays with its own image {}; it has to be of the servers' version: galeractl apply \
         --set galera_cluster_backup_agent_image={}",
        backup.image, wanted.mariadb_image
    ))
}

/// Whoever has a settings file runs `up` with it one day.
fn file_says_otherwise(globals: &Globals, wanted: &Desired) -> Option<String> {
    if !std::path::Path::new(DEFAULT_FILE).exists() {
        return None;
    }
    let said = settings::load(&target::input(globals, None)).ok()?.desired;
    let lines = [
        ("galera_cluster_docker_image", &said.mariadb_image, &wanted.mariadb_image),
        ("galera_cluster_haproxy_docker_image", &said.haproxy_image, &wanted.haproxy_image),
    ];
    let others: Vec<String> = lines
        .into_iter()
        .filter(|(_, said, wanted)| said != wanted)
        .map(|(key, _, wanted)| format!("{key}={wanted}"))
        .collect();
    (!others.is_empty()).then(|| format!("{DEFAULT_FILE} says otherwise; write there: {}", others.join(", ")))
}

async fn change(args: &Args, frame: &Frame, world: &World, before: &Desired) -> Result<String> {
    let pause = args.pause.among(before)?;
    let act = async |run: &Run<'_>, [look, images, settings, restart, tables, proxy]: [Due; 6]| {
        let found = look_at_running(run, look).await?;
        run.step(images, async |cx| upgrade::images(cx, before, args.backup_within()).await).await?;
        let kept = run.step(settings, async |cx| apply::settings(cx, found.secrets.as_ref(), false).await).await?;
        let left = run.step(restart, async |cx| rolling::catch_up(cx, pause).await).await?;
        run.step(tables, async |cx| unless_paused(&left, upgrade::tables(cx, &kept)).await).await?;
        run.step(proxy, async |cx| unless_paused(&left, proxy::run(cx, &kept, Accounts::AsTheyAre)).await).await?;
        Ok(left)
    };
    let steps = [PREFLIGHT, IMAGES, SETTINGS, RESTART, TABLES, PROXY];
    let left = frame.run(steps, args.bounds.timeout, world, act).await.map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted if world.changes() > 0 => {
            let failure =
                failure.hint("the nodes that were not restarted run as before; the same command goes on from there");
            if before.mariadb_image == world.desired.mariadb_image {
                return failure;
            }
            failure.hint(format!(
                "while no node serves with a newer version, this leads back: galeractl upgrade --image {}",
                before.mariadb_image
            ))
        }
        _ => failure,
    })?;
    let cluster = &world.desired.cluster;
    Ok(match world.changes() {
        _ if !left.is_empty() => paused(&left),
        0 => format!("cluster {cluster} has these images already; nothing was changed"),
        _ => format!("every node and every proxy of cluster {cluster} runs the images that were named"),
    })
}

/// Asks what the run asks, looks into the images as well, and shows each node and each object.
async fn rehearse(args: &Args, frame: &Frame, world: &World, before: &Desired, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<(Restarts, Vec<Planned>, String)> {
        apply::runs(&preflight::look(cx).await?.value.0.course)?;
        let said = upgrade::images(cx, before, args.backup_within()).await?.detail;
        let mut planned =
            Rehearsal::on(world).of(&[apply::stage(&world.desired, false), proxy::stage(&world.desired)]).await?;
        let nodes = restarts(world, &planned)?;
        let pod = |node| format!("pod/{}", world.desired.cluster.pod(node));
        planned.extend(nodes.iter().map(|(node, _)| Planned::new(RESTART.id, pod(*node), Change::Deleted)));
        Ok((nodes, planned, said))
    };
    let (nodes, planned, said) = frame.act(PREFLIGHT, args.bounds.timeout, world, look, async |_| Ok(())).await?;
    if let Some(risk) = risk(world.desired.nodes).filter(|_| !nodes.is_empty()) {
        frame.notice(Level::Warning, risk);
    }
    let way = match nodes.len() {
        0 => format!("{said}; no node would be restarted"),
        some => format!("{said}; {some} of {} nodes would be restarted, one after the other", world.desired.nodes),
    };
    print(world, ui, nodes.into_iter())?;
    rehearsal::print(&planned, ui)?;
    Ok(rehearsal::outcome(way, &planned))
}
