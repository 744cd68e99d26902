//! The only hands on the Kubernetes API.
//!
//! Everything here talks to the API server or explains what it said. What should exist and what an answer means
//! for a cluster is decided elsewhere.

pub mod access;
pub mod apply;
pub mod classes;
pub mod client;
pub mod delete;
pub mod denial;
pub mod errors;
pub mod exec;
pub mod handshake;
pub mod http;
pub mod lease;
pub mod live;
pub mod logs;
mod object;
pub mod objects;
mod proxy;
pub mod session;
pub mod trouble;
pub mod tunnel;

#[cfg(test)]
pub(crate) mod fake;
