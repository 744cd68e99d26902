//! Options that all verbs share.

use std::path::PathBuf;
use std::str::FromStr;

use crate::kube::client;
use crate::names::{ClusterName, InvalidName, Namespace};
use crate::ui::color::Color;
use crate::ui::hints::Meant;
use crate::ui::{self, Progress};

use super::complete;

/// Options that all verbs share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Globals {
    /// Name of the cluster
    #[arg(long, global = true, value_name = "CLUSTER", value_parser = name::<ClusterName>, help_heading = "Which cluster", add = complete::clusters())]
    pub name: Option<String>,
    /// Namespace of the cluster
    #[arg(short, long, global = true, value_name = "NAMESPACE", value_parser = name::<Namespace>, help_heading = "Which cluster", add = complete::namespaces())]
    pub namespace: Option<String>,
    /// Kubeconfig file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Which cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Which cluster", add = complete::contexts())]
    pub context: Option<String>,
    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Which cluster")]
    pub impersonate: Option<String>,
    /// Group to act as; can be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP", help_heading = "Which cluster")]
    pub impersonate_groups: Vec<String>,
    /// How progress is shown: auto, tty, plain, json or off
    #[arg(long, global = true, value_name = "MODE", default_value = "auto", help_heading = "Output", add = complete::words(Progress::NAMES))]
    pub progress: Progress,
    /// When to use colours: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output", add = complete::words(Color::NAMES))]
    pub color: Color,
    /// Only warnings and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Also every object that is created, changed or kept
    #[arg(short, long, global = true, help_heading = "Output")]
    pub verbose: bool,
    /// What has become known of the cluster that is meant.
    #[arg(skip)]
    pub meant: Meant,
}

/// A name as it was typed, if Kubernetes takes it.
fn name<T: FromStr<Err = InvalidName>>(text: &str) -> Result<String, InvalidName> {
    text.parse::<T>().map(|_| text.to_owned())
}

impl Globals {
    /// How to reach the API server.
    #[must_use]
    pub fn connection(&self) -> client::Options {
        client::Options {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            impersonate: self.impersonate.clone(),
            impersonate_groups: self.impersonate_groups.clone(),
            ..client::Options::default()
        }
    }

    /// How to show things.
    #[must_use]
    pub fn ui(&self) -> ui::Options {
        self.meant.learn(|place| {
            place.name.clone_from(&self.name);
            place.namespace.clone_from(&self.namespace);
            place.context.clone_from(&self.context);
            place.kubeconfig = self.kubeconfig.as_ref().map(|path| path.display().to_string());
            place.user.clone_from(&self.impersonate);
            place.groups.clone_from(&self.impersonate_groups);
        });
        ui::Options {
            progress: self.progress,
            color: self.color,
            quiet: self.quiet,
            verbose: self.verbose,
            meant: self.meant.clone(),
        }
    }

    /// Remembers which cluster is meant, for hints.
    pub fn learn(&self, cluster: &ClusterName, namespace: &Namespace) {
        self.meant.learn(|place| {
            place.name = Some(cluster.to_string());
            place.namespace = Some(namespace.to_string());
        });
    }
}
