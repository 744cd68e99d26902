//! Verbs: each reads its arguments, gathers what it needs and says what came out.

#![expect(clippy::doc_markdown, reason = "doc comments of arguments are help texts, and no terminal shows backticks")]

pub mod apply;
pub mod backup;
mod bounds;
pub mod certificates;
mod complete;
pub mod completion;
pub mod config;
pub mod credentials;
pub mod diff;
pub mod expose;
mod frame;
mod gather;
mod globals;
pub mod hold;
pub mod list;
pub mod logs;
pub mod man;
pub mod permissions;
pub mod port_forward;
pub mod purge;
pub mod recover;
mod rehearsal;
pub mod render;
pub mod restart;
pub mod restore;
mod rolling;
pub mod runs;
pub mod scale;
pub mod sql;
pub mod status;
mod surroundings;
mod target;
pub mod teardown;
pub mod up;
pub mod upgrade;
pub mod verify;
pub mod version;
mod wish;

pub(crate) use crate::kube::tunnel::settle;
pub use globals::Globals;

/// How a reading verb writes its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    Short,
    Json,
}

impl Format {
    /// The format of this name; the command line lets nothing else through.
    fn of(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "short" => Self::Short,
            _ => Self::Table,
        }
    }
}
