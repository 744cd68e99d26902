//! What the verbs that restart nodes of a running cluster have in common.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::rolling::known_outdated;
use crate::cluster::world::{Choices, World};
use crate::desired::{Desired, Passwords};
use crate::engine::{Due, Finished};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::observe::{Observer, Wants};
use crate::plans::difference::differences;
use crate::plans::rolling::{may_die, order, serving, transfer};
use crate::steps::apply;
use crate::steps::up::{Found, preflight};
use crate::ui::Ui;
use crate::ui::table::{Cell, Table};

use super::frame::Run;
use super::gather;
use super::rehearsal::Planned;

/// A stop between two nodes that somebody wishes.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    /// Stop when this node is through, such as 3; the same command again goes on with those that are left
    #[arg(long = "pause-after", value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(super) after: Option<u32>,
}

impl Pause {
    /// The node, if there is one of this number.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::commands) fn among(&self, desired: &Desired) -> Result<Option<Member>> {
        self.after.map(|node| among("--pause-after", node, desired)).transpose()
    }
}

/// A node that somebody has named.
///
/// # Errors
/// There is none of this number.
pub(in crate::commands) fn among(flag: &str, node: u32, desired: &Desired) -> Result<Member> {
    if node > desired.nodes {
        return Err(Failure::message(Kind::Usage, format!("{flag}: there is no node{node} among {}", desired.nodes)));
    }
    Ok(Member::Node(node))
}

/// The last word of a run that pauses.
pub(super) fn paused(left: &[Member]) -> String {
    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
    format!("the run pauses, as asked; left: {}; the same command goes on with them", left.join(", "))
}

/// What is done when all nodes are through.
pub(super) async fn unless_paused(left: &[Member], act: impl Future<Output = Result<Finished>>) -> Result<Finished> {
    if left.is_empty() { act.await } else { Ok(Finished::skipped("the run pauses before it")) }
}

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

/// Nodes that would be restarted, in this order, and why.
pub(super) type Restarts = Vec<(Member, String)>;

/// As far as is known from what would become of the objects.
pub(super) fn restarts(world: &World, planned: &[Planned]) -> Result<Restarts> {
    let observed = world.observer.now();
    let late = known_outdated(&observed).into_iter();
    let mut why: BTreeMap<Member, String> =
        late.map(|node| (node, "its pod is of an earlier template".to_owned())).collect();
    for node in world.desired.members() {
        let set = format!("statefulset/{}", world.desired.cluster.member(node));
        let planned = planned.iter().find(|planned| planned.object == set);
        let Some(Planned { before: Some(before), after: Some(after), .. }) = planned else { continue };
        let paths = template_changes(before, after)?;
        if !paths.is_empty() {
            why.insert(node, paths.join(", "));
        }
    }
    let order = order(why.keys().copied(), &serving(&observed));
    Ok(order.into_iter().filter_map(|node| why.remove_entry(&node)).collect())
}

/// The last words of the fields in which two templates differ.
fn template_changes(before: &DynamicObject, after: &DynamicObject) -> Result<Vec<String>> {
    let template = |object: &DynamicObject| -> Result<Value> {
        let value = serde_json::to_value(object).or_fail(Kind::Bug)?;
        Ok(value.pointer("/spec/template").cloned().unwrap_or_default())
    };
    let word = |path: &str| match path {
        path if path.ends_with("[galeractl.dev/config]") => "server options or scripts".to_owned(),
        path => path.rsplit("containers").next().unwrap_or(path).trim_start_matches("[mariadb].").to_owned(),
    };
    let mut words: Vec<String> =
        differences(&template(before)?, &template(after)?).iter().map(|found| word(&found.path)).collect();
    words.dedup();
    if words.len() > 3 {
        let more = words.split_off(3).len();
        words.push(format!("{more} more"));
    }
    Ok(words)
}
