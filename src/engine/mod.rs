//! Runs plans: steps in order, their waits, and the stream of events that says what happens.

pub mod event;
