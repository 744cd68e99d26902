//! What Galera says of itself, and what follows from it: pure, no I/O.

pub mod decision;
pub mod position;
pub mod report;
pub mod status;
pub mod volume;
pub mod words;

pub use position::{Position, Uuid};
pub use report::Report;
pub use status::WsrepStatus;
