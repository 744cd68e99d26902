//! Plans: pure functions from what is wanted and what was found to what will be done.

pub mod adoption;
pub mod course;
pub mod difference;
pub mod recovery;
pub mod rotation;
pub mod stage;
