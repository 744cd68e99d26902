//! Runs the real binary.

use std::process::Command;

use galeractl::kube::client::Connection;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};

/// Name of the measured clusters.
pub(crate) const CLUSTER: &str = "bench";
/// Where a measurement happens.
pub(crate) struct Place {
    namespace: String,
    home: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_galeractl"));
        command.current_dir(self.home.path()).env("XDG_STATE_HOME", self.home.path());
        let options = super::options();
        if let Some(path) = options.kubeconfig {
            command.arg("--kubeconfig").arg(path);
        }
        if let Some(context) = options.context {
            command.args(["--context", &context]);
        }
        command.args(["--name", CLUSTER, "-n", &self.namespace, "--progress", "json"]).args(args);
        command
    }

    pub(crate) async fn teardown(&self) {
        self.run(&["teardown", "--delete-volumes", "--confirm", CLUSTER]).await;
    }

    /// Runs a verb to its end.
    pub(crate) async fn run(&self, args: &[&str]) {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Deletes a namespace that a measurement made, and waits until it is gone.
pub(crate) async fn delete_namespace(connection: &Connection, name: &str) {
    let namespaces: Api<Namespace> = Api::all(connection.client.clone());
    namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    while namespaces.get_opt(name).await.unwrap().is_some() {
        tokio::time::sleep(super::LOOK).await;
    }
}
