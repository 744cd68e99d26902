//! Plans: pure functions from what is wanted and what was found to what will be done.

pub mod adoption;
pub mod change;
pub mod course;
pub mod difference;
pub mod live;
pub mod passwords;
pub mod quantity;
pub mod rebuild;
pub mod recovery;
pub mod rolling;
pub mod rotation;
pub mod stage;
pub mod upgrade;
