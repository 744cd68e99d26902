//! galeractl: forms, proves and removes `MariaDB` Galera clusters on Kubernetes.
//!
//! Data flows one way: settings → desired → plan → steps → events → what the user sees.

pub mod checks;
pub mod desired;
pub mod engine;
pub mod error;
pub mod exit;
pub mod gates;
pub mod manifests;
pub mod names;
pub mod observed;
pub mod settings;
pub mod wsrep;
