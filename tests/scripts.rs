//! The agent's scripts, run by bash on folders that others have prepared: what lies on a backup volume is never obeyed,
//! never followed, and never keeps good backups from being used.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

#[path = "scripts/clocks.rs"]
mod clocks;
#[path = "scripts/hostile.rs"]
mod hostile;
#[path = "scripts/links.rs"]
mod links;
#[path = "scripts/stream.rs"]
mod stream;
#[path = "scripts/world.rs"]
mod world;
