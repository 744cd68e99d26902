//! galeractl: forms, proves and removes `MariaDB` Galera clusters on Kubernetes.
//!
//! Data flows one way: settings → desired → plan → steps → events → what the user sees.

pub mod desired;
pub mod engine;
pub mod error;
pub mod exit;
pub mod kube;
pub mod names;
pub mod sql;
