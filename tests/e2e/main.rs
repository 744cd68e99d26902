//! The binary against a real cluster: real MariaDB, real HAProxy, real kills.
//!
//! `cargo test --test e2e -- --test-threads=2`, on the cluster of `make cluster` or on the one that
//! `GALERACTL_E2E_KUBECONFIG` and `GALERACTL_E2E_CONTEXT` name. Without a cluster the tests fail.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]
#![expect(clippy::print_stderr, reason = "figures, and what is left of a failed test")]

mod access;
mod agent;
mod alone;
mod applied;
mod backups;
mod by_hand;
mod certificates;
mod checker;
mod crashes;
mod facts;
mod formation;
mod full;
mod helper;
mod hold;
mod iscsi;
mod killed;
mod larger;
mod least;
mod live;
mod logins;
mod mended;
mod outlived;
mod passwords;
mod pks;
mod place;
mod pods;
mod policies;
mod post_mortem;
mod process;
mod purge;
mod reach;
mod refusals;
mod restore;
mod restore_killed;
mod restore_refused;
mod rolling;
mod rows;
mod scale;
mod settings_in_pods;
mod sql;
mod stopped;
mod terminal;
mod tls;
mod upgrade;
mod verify;
mod volume;
mod wait;
mod writers;
