//! Steps: each looks, acts and waits for its gates; run again after any interruption, it arrives at the same end.

pub mod accounts;
pub mod adopt;
pub mod agent;
pub mod expose;
pub mod handover;
pub mod inspect;
pub mod job;
pub mod leftovers;
pub mod nodes;
pub mod preflight;
pub mod proof;
pub mod proxy;
pub mod purge;
pub mod reader;
pub mod record;
pub mod recover;
pub mod relocate;
pub mod remove;
pub mod restore;
pub mod rights;
pub mod seed;
pub mod stages;
pub mod teardown;
pub mod trial;
pub mod volumes;
pub mod world;
