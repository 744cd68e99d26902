//! Options of all verbs that change something.

use std::time::Duration;

use crate::settings::span;

/// How far a run may go, and how long.
#[derive(Debug, clap::Args)]
pub(super) struct Bounds {
    /// Print what would be done, and change nothing; the API server checks each object
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "server", value_parser = ["server"])]
    pub(super) dry_run: Option<String>,
    /// Limit for the whole run, such as 10m; without it only a standstill ends a wait
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(super) timeout: Option<Duration>,
    /// How long to wait for another run that holds the cluster's lock, such as 5m
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "0s")]
    pub(super) lock_wait: Duration,
}
