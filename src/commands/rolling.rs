//! What the verbs that restart nodes of a running cluster have in common.

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::{Choices, World};
use crate::desired::{Desired, Passwords};
use crate::engine::Due;
use crate::error::Result;
use crate::kube::client::Connection;
use crate::names::Member;
use crate::observe::{Observer, Wants};
use crate::plans::rolling::{may_die, transfer};
use crate::steps::apply;
use crate::steps::up::{Found, preflight};
use crate::ui::Ui;
use crate::ui::table::{Cell, Table};

use super::frame::Run;
use super::gather;

/// A running cluster, for one who may change it.
pub(super) async fn world_of(
    connection: Connection,
    desired: Desired,
    passwords: Passwords,
    choices: Choices,
) -> Result<World> {
    rights::check(&connection, &desired, rights::UP).await?;
    let access = own_access(&connection.client, &desired).await?;
    let classes = gather::storage_classes(&connection).await?;
    let observer = Observer::start(&connection, &desired, Wants { logs: true, classes }).await?;
    observer.set_access(access);
    Ok(World::new(connection, desired, passwords, choices, observer))
}

/// The look of `up`, for a cluster that has to run.
pub(super) async fn look_at_running(run: &Run<'_>, look: Due) -> Result<Found> {
    let looked = run.step(look, async |cx| {
        let found = preflight::run(cx).await?;
        apply::runs(&found.value.0.course)?;
        Ok(found)
    });
    looked.await.map(|(found, _)| found)
}

/// The nodes that would be restarted, in this order, each with the reason, what it will have to get from the others, and
/// how many of these may fail meanwhile.
pub(super) fn print(world: &World, ui: &Ui, nodes: impl Iterator<Item = (Member, String)>) -> Result<()> {
    let observed = world.observer.now();
    let left = world.desired.members().count().saturating_sub(1);
    let mut table = Table::new(["NODE", "WHY", "GETS", ">STAY", ">MAY FAIL"]);
    let mut any = false;
    for (node, why) in nodes {
        any = true;
        let gets = transfer(&observed, node).map_or("nothing: there is no other".to_owned(), |way| way.to_string());
        table.row([
            Cell::from(node.to_string()),
            Cell::from(why),
            Cell::from(gets),
            Cell::from(left.to_string()),
            Cell::from(may_die(left).to_string()),
        ]);
    }
    if any {
        ui.table(&table)?;
        ui.out("\n")?;
    }
    Ok(())
}
