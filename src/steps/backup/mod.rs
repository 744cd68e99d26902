//! What `backup` does: asking the agent, moving it, and trying a backup.

pub mod agent;
pub mod relocate;
pub mod trial;
