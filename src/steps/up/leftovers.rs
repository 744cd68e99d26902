//! What broken restores have left beside the data of a running cluster.

use crate::cluster::nodes::order;
use crate::cluster::world::World;
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx};
use crate::error::Result;
use crate::gates::group::list;
use crate::names::Member;
use crate::wsrep::volume::Aside;

/// The step.
pub const LEFTOVERS: Named = Named::new("leftovers", "look what a restore has left beside the data");

/// What was prepared beside data that has moved on can never take its place any more: it goes. What was kept from before
/// a restore is the only copy of it: it stays until somebody decides.
///
/// # Errors
/// The lock was lost, or something cannot be removed.
pub async fn run(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let observed = world.observer.now();
    let with = |wanted: &[Aside]| -> Vec<Member> {
        let has = |member: &Member| {
            let volume = observed.members.get(member).and_then(|view| view.log.volume.as_ref());
            volume.is_some_and(|volume| wanted.contains(&volume.aside))
        };
        world.desired.members().filter(has).collect()
    };
    let (prepared, kept) = (with(&[Aside::Filling, Aside::Filled]), with(&[Aside::Kept]));
    if !kept.is_empty() {
        cx.notice(
            Level::Warning,
            format!(
                "a restore was broken off: {} still keep what was there before it. The cluster runs on the restored data; \
                 galeractl restore --continue removes the old, --undo brings it back, while the cluster is down",
                list(&kept)
            ),
        );
    }
    if prepared.is_empty() {
        return Ok(if kept.is_empty() {
            Finished::unchanged("nothing")
        } else {
            Finished::unchanged(format!("kept on {}", list(&kept)))
        });
    }
    cx.notice(
        Level::Warning,
        format!(
            "a restore was broken off, and the cluster has moved on: what was prepared from a backup beside the data of {} \
             is removed",
            list(&prepared)
        ),
    );
    world.confirm_lock().await?;
    for member in &prepared {
        order(cx, *member, &["forget.sh", "--prepared"], "what a restore has prepared cannot be removed").await?;
    }
    Ok(Finished::changed(format!("removed from {}", list(&prepared))))
}
