//! Gates: pure questions about one look at a cluster. Each passes, waits with a reason, or fails with one.

pub mod group;
pub mod hopeless;
pub mod standing;
