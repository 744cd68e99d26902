//! Bringing a backup back: looking for it, filling volumes beside what is on them, and turning to the new data.

mod fill;
mod look;
mod turn;

pub use fill::{FILL, Filled, fill};
pub use look::{Found, Origin, Wish, look};
pub use turn::{FORGET, RESUME, SWITCH, UNDO, close, forget, resume, switch, trace, undo};

use crate::backups::Source;
use crate::cluster::reader::Reader;
use crate::cluster::world::World;
use crate::manifests::restore::Near;
use crate::names::Member;
use crate::wsrep::Uuid;
use crate::wsrep::volume::Evidence;

/// What a restore has found and decided, for its later steps.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The pod that gives the data.
    pub reader: Reader,
    /// What is restored; `None` for a folder that no agent has made.
    pub source: Option<Source>,
    /// Lines for `restore.sh`.
    pub plan: String,
    /// Bytes that every volume needs.
    pub needed: u64,
    /// Identity of the history that begins with it.
    pub uuid: Uuid,
    /// Nodes whose volumes are filled; the others get a state transfer.
    pub filled: Vec<Member>,
    /// What it is, in words.
    pub what: String,
}

/// What the volume of the node with the agent must be near, as long as it has no place; `reading` is the claim that the
/// reader uses.
fn near(world: &World, member: Member, reading: Option<&str>) -> Option<Near> {
    let desired = &world.desired;
    desired.backup_at(member)?;
    let observed = world.observer.now();
    let has_place = observed.claims.get(&desired.cluster.claim(member)).is_some_and(|claim| claim.phase == "Bound");
    let near = if reading == Some(desired.cluster.backup_claim().as_str()) { Near::Reader } else { Near::Backups };
    (!has_place).then_some(near)
}

/// What was shown to the user; a volume that was not there yet, or not bound, has nothing on it.
fn expected(evidence: Option<&Evidence>) -> String {
    match evidence.map(|evidence| evidence.found.as_str()) {
        None | Some("") => "nothing".to_owned(),
        Some(found) => found.to_owned(),
    }
}
