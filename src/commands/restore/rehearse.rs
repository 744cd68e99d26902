//! What a restore would do, after the question that it would ask.

use crate::cluster::inspect::Volumes;
use crate::cluster::world::World;
use crate::commands::rehearsal::{Planned, Rehearsal, outcome, print, removals};
use crate::error::Result;
use crate::plans::stage::Stage;
use crate::steps::restore::{Found, stages, stages_back, stages_left};
use crate::steps::teardown::{self, REMOVE_REST};
use crate::steps::up::{nodes, proxy, volumes};
use crate::ui::Ui;

/// Fills the volumes, turns to the new data, and starts the nodes.
pub(super) async fn restore(world: &World, found: &Found, discard: bool, question: &str, ui: &Ui) -> Result<String> {
    let claims = vec![volumes::stage(&world.desired, false)];
    let planned = asked(world, [claims, stages(world, found, discard), start(world)].concat()).await?;
    let way = format!("cluster {} would be restored", world.desired.cluster);
    shown(question, &way, &planned, ui)
}

/// Turns the volumes that are left, and starts the nodes.
pub(super) async fn finish(world: &World, volumes: &Volumes, question: &str, ui: &Ui) -> Result<String> {
    let planned = asked(world, [stages_left(world, volumes), start(world)].concat()).await?;
    let way = format!("the restore of cluster {} would be finished", world.desired.cluster);
    shown(question, &way, &planned, ui)
}

/// Turns the volumes back, and removes the rest.
pub(super) async fn undo(world: &World, volumes: &Volumes, question: &str, ui: &Ui) -> Result<String> {
    let mut planned = asked(world, stages_back(world, volumes)).await?;
    planned.extend(removals(REMOVE_REST.id, &teardown::rest(world).await?));
    let way = format!("the restore of cluster {} would be taken back", world.desired.cluster);
    shown(question, &way, &planned, ui)
}

/// How a cluster starts on restored data.
fn start(world: &World) -> Vec<Stage> {
    vec![nodes::stage(&world.desired, true), proxy::stage(&world.desired)]
}

async fn asked(world: &World, stages: Vec<Stage>) -> Result<Vec<Planned>> {
    Rehearsal::on(world).of(&stages).await
}

fn shown(question: &str, way: &str, planned: &[Planned], ui: &Ui) -> Result<String> {
    ui.out(&format!("{question}\n"))?;
    print(planned, ui)?;
    Ok(outcome(way, planned))
}
