//! Runs steps in the order in which they were announced, with their waits, and the stream of events that says what
//! happens.
//!
//! The engine knows neither the command line nor the terminal nor Kubernetes: steps bring their own world,
//! and whatever becomes visible is a [`Sink`] of one stream.

pub mod account;
pub mod cancel;
pub mod event;
mod events;
pub mod journal;
mod run;
pub mod units;
mod wait;

pub use events::{Events, Sink};
pub use run::{Cx, Deadline, Due, Finished, Named, Slot, StepCx};
pub use wait::{Changes, Never, Patience, Verdict};
