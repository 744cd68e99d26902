//! galeractl: forms, proves and removes `MariaDB` Galera clusters on Kubernetes.
//!
//! Data flows one way: settings → desired → plan → steps → events → what the user sees.

pub mod backups;
pub mod checks;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod desired;
pub mod engine;
pub mod error;
pub mod exit;
pub mod gates;
pub mod kube;
pub mod manifests;
pub mod names;
pub mod observe;
pub mod observed;
pub mod plans;
pub mod settings;
pub mod sql;
pub mod steps;
pub mod ui;
pub mod wsrep;
