//! `kube/` and `sql/` against a real cluster, the one of `GALERACTL_E2E_KUBECONFIG`, `GALERACTL_E2E_CONTEXT` or `KUBECONFIG`.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

#[path = "kube/cluster.rs"]
mod cluster;
#[path = "kube/objects.rs"]
mod objects;
#[path = "kube/options.rs"]
mod options;
#[path = "kube/pods.rs"]
mod pods;
#[path = "kube/sql.rs"]
mod sql;
