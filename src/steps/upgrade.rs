//! Other images for a running cluster: what is judged before, and what is left to do when every node runs its own.

use std::time::Duration;

use crate::backups::chains;
use crate::cluster::backup_keys::Word;
use crate::cluster::nodes::common_view;
use crate::cluster::reader;
use crate::cluster::record::{Kept, own_access};
use crate::cluster::software::{self, Running, Wanted};
use crate::cluster::world::World;
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx, units};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::names::Member;
use crate::plans::rolling::{Transfer, serving, transfer};
use crate::plans::upgrade::{Barred, Software, Way, way};

/// Looks into the images.
pub const IMAGES: Named = Named::new("images", "look into the new images, and judge the way to them");

/// What a newer server expects of the tables that it keeps for itself.
pub const TABLES: Named = Named::new("tables", "bring the system tables of every node to its version");

/// Whether the images are what they should be, and can be reached from what runs. A backup has to be no older than
/// `backup_within` where backups are taken, and where the nodes get another version; `None` goes without.
///
/// # Errors
/// What stands in the way. Nothing of the cluster was changed.
pub async fn images(cx: &StepCx<'_, World>, before: &Desired, backup_within: Option<Duration>) -> Result<Finished> {
    let (world, desired) = (cx.world, &cx.world.desired);
    let others = runs_another(world);
    let wanted = Wanted {
        servers: before.mariadb_image != desired.mariadb_image || !others.is_empty(),
        proxy: before.haproxy_image != desired.haproxy_image,
    };
    if !wanted.servers && !wanted.proxy {
        return Ok(Finished::unchanged("nodes and proxies have them already"));
    }
    let access = own_access(&world.connection.client, desired).await?;
    let running = if wanted.servers { software::running(world, &access).await? } else { Running::default() };
    let images = software::images(cx, wanted, &running.plugins).await?;
    let mut said = Vec::new();
    if let Some(target) = images.server {
        let way = way(&running.software, target)
            .map_err(|Barred { why, hint }| Failure::message(Kind::Preflight, why).hint(hint))?;
        said.push(told(way, target));
        if let Way::Series(from) = way {
            no_full_copy(world, target, &from.to_string())?;
        }
        if before.mariadb_image != desired.mariadb_image {
            if way != Way::Same {
                backed_up(cx, backup_within).await?;
            }
            cx.notice(Level::Info, way_back(way, target, before));
        }
    }
    said.extend(images.proxy.map(|version| format!("HAProxy {version}")));
    Ok(Finished::unchanged(said.join("; ")))
}

/// Nodes whose pods have another image than the wanted one.
#[must_use]
pub fn runs_another(world: &World) -> Vec<Member> {
    let observed = world.observer.now();
    let wanted = Some(&world.desired.mariadb_image);
    let other = |node: &Member| observed.members.get(node).is_some_and(|view| view.pod.image.as_ref() != wanted);
    world.desired.members().filter(other).collect()
}

fn told(way: Way, target: Software) -> String {
    match way {
        Way::Same => format!("{target}, as they run"),
        Way::Release(from) | Way::Series(from) => format!("from MariaDB {from} to {target}"),
    }
}

fn way_back(way: Way, target: Software, before: &Desired) -> String {
    let back = format!("galeractl upgrade --image {}", before.mariadb_image);
    match way {
        Way::Same => format!("the version stays the same, so this leads back at any time: {back}"),
        Way::Release(_) | Way::Series(_) => format!(
            "until a node serves with MariaDB {}, this leads back: {back}; after that only a backup does",
            target.server
        ),
    }
}

/// A server takes no copy of all data from one of an earlier series.
fn no_full_copy(world: &World, target: Software, from: &str) -> Result<()> {
    let observed = world.observer.now();
    let needs = |node: &Member| transfer(&observed, *node) == Some(Transfer::Full);
    let others = runs_another(world);
    let needy: Vec<Member> =
        serving(&observed).into_iter().filter(|node| others.contains(node)).filter(needs).collect();
    if needy.is_empty() {
        return Ok(());
    }
    let why = format!(
        "{} would need a copy of all data from a server of MariaDB {from}, which one of {} cannot take",
        list(&needy),
        target.server
    );
    Err(Failure::message(Kind::Preflight, why)
        .hint("let the nodes keep more writes first: galeractl apply --set galera_cluster_gcache_size=1G"))
}

/// The newest backup is not too old. Its age is told by the clock that it was taken by.
async fn backed_up(cx: &StepCx<'_, World>, within: Option<Duration>) -> Result<()> {
    let world = cx.world;
    if world.desired.backup.is_none() {
        cx.notice(Level::Warning, "this cluster takes no backups: nothing will lead back from the new version");
        return Ok(());
    }
    let Some(within) = within else {
        cx.notice(Level::Warning, "no backup was asked for: nothing may lead back from the new version");
        return Ok(());
    };
    let (connection, desired) = (&world.connection, &world.desired);
    let folder = format!("{}/{}", desired.namespace, desired.cluster);
    let catalog = reader::catalog(connection, desired, &reader::present(world)?, &folder, &Word::default()).await?;
    let usable = chains(&catalog).into_iter().filter(|chain| chain.broken.is_none());
    let newest = usable.filter_map(|chain| chain.members.last().map(|backup| backup.ended)).max();
    let age = newest.map(|ended| Duration::from_secs(u64::try_from(catalog.now - ended).unwrap_or(0)));
    let why = match age {
        Some(age) if age <= within => return Ok(()),
        Some(age) => format!(
            "the newest backup is {} old, and only a backup leads back from another version; it may be {} old",
            units::duration(age),
            units::duration(within)
        ),
        None => {
            "there is no backup that could be restored, and only a backup leads back from another version".to_owned()
        }
    };
    Err(Failure::message(Kind::Preflight, why)
        .hint("take one: galeractl backup now")
        .hint("or go without one: the same command with --without-backup"))
}

/// Has every node's server bring its own tables to its version, where that is needed: what one does here reaches no other.
/// An interruption ends it between two nodes.
///
/// # Errors
/// The lock was lost, or a server refuses.
pub async fn tables(cx: &StepCx<'_, World>, kept: &Kept) -> Result<Finished> {
    let world = cx.world;
    let nodes: Vec<Member> = world.desired.members().collect();
    // One that an earlier run has restarted may be on its way back.
    common_view(cx, &nodes, None).await?;
    let mut upgraded = Vec::new();
    for node in nodes {
        cx.check_cancelled()?;
        world.confirm_lock().await?;
        let slot = cx.waiting(&format!("the system tables of {node} to be of the version of its server"));
        if software::upgrade_tables(world, kept, node).await? {
            world.count_change();
            upgraded.push(node);
        }
        drop(slot);
    }
    Ok(match upgraded.len() {
        0 => Finished::unchanged("they are of the version of their servers"),
        _ => Finished::changed(format!("upgraded on {}", list(&upgraded))),
    })
}
