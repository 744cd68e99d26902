//! Bringing a backup back: looking for it, filling volumes beside what is on them, and turning to the new data.

mod fill;
mod look;
mod turn;

pub use fill::Fill;
pub(super) use fill::phrase;
pub use look::{Look, Origin};
pub use turn::{Close, Forget, Resume, Switch, Undo};

use crate::backups::Source;
use crate::names::Member;
use crate::wsrep::Uuid;

use super::reader::Reader;

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
