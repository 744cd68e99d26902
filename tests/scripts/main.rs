//! The scripts that run in pods, really run: a temporary folder is the volume, and small programs on PATH stand for the
//! server and its tools. What they do with data is the point: no state of a volume may lead to a loss.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

mod client;
mod clocks;
mod config;
mod contract;
mod first;
mod gaps;
mod health;
mod holds;
mod hostile;
mod image;
mod links;
mod lint;
mod notify;
mod options;
mod orders;
mod overwrite;
mod purge;
mod restore;
mod sealed;
mod seed;
mod server;
mod stage;
mod starts;
mod states;
mod stream;
mod turn;
mod turn_killed;
mod values;
mod volumes;
mod world;
