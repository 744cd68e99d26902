//! `galeractl permissions`.

use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::cluster::rights::{
    BACKUP, CERTIFICATES, CREDENTIALS, EXPOSE, Need, PURGE, RESTORE, SQL, TEARDOWN, UP, cluster_rules, rules,
};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::error::Result;
use crate::manifests::Object;
use crate::ui::Ui;

use super::render::yaml;
use super::wish::Wish;

/// Print the Role that somebody needs to run verbs on a cluster
///
/// Verbs act with the rights of whoever runs them, in the namespace of the cluster. The Role is enough for the verbs that are
/// named, and for looking at the cluster; without any, for all of them. It names the objects of this cluster where
/// Kubernetes can limit a right to names. Where volumes lie on iSCSI targets or NFS shares, a ClusterRole follows. Give both
/// to somebody with `kubectl create rolebinding`. Needs no cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl permissions
  galeractl permissions up verify --role dba -n web")]
pub struct Args {
    /// What the Role is for
    #[arg(value_name = "VERB")]
    verbs: Vec<Verb>,
    #[command(flatten)]
    wish: Wish,
    /// Name of the Role; without it, that of the cluster with `-galeractl` behind it
    #[arg(long, value_name = "NAME", value_parser = role_name)]
    role: Option<String>,
}

/// Roles may have any name that can be part of a path.
fn role_name(text: &str) -> std::result::Result<String, String> {
    let fine = |c: char| !c.is_control() && !c.is_whitespace() && c != '/' && c != '%';
    if text.is_empty() || matches!(text, "." | "..") || !text.chars().all(fine) {
        return Err("a Role's name is one word without `/` and `%`".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    Up,
    Recover,
    Diff,
    Verify,
    Status,
    Apply,
    Restart,
    Upgrade,
    Hold,
    Release,
    Rebuild,
    Scale,
    Teardown,
    Expose,
    Unexpose,
    Backup,
    Restore,
    Purge,
    Certificates,
    Sql,
    Logs,
    PortForward,
    Credentials,
    CredentialsRotate,
    List,
}

impl Verb {
    fn needs(self) -> &'static [Need] {
        match self {
            // What exists is compared by an apply that changes nothing, which takes the rights of one that does.
            Self::Up
            | Self::Recover
            | Self::Diff
            | Self::Apply
            | Self::Restart
            | Self::Upgrade
            | Self::Scale
            | Self::Hold
            | Self::Release
            | Self::Rebuild => UP,
            Self::Verify | Self::Status | Self::Logs | Self::PortForward | Self::Credentials | Self::List => &[],
            Self::Sql => SQL,
            Self::Teardown => TEARDOWN,
            Self::Expose | Self::Unexpose => EXPOSE,
            Self::Backup => BACKUP,
            Self::Restore => RESTORE,
            Self::Purge => PURGE,
            Self::Certificates => CERTIFICATES,
            Self::CredentialsRotate => CREDENTIALS,
        }
    }
}

pub(crate) fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let desired = args.wish.settings(globals, None)?.desired;
    let all = [
        Verb::Up,
        Verb::Teardown,
        Verb::Expose,
        Verb::Backup,
        Verb::Restore,
        Verb::Purge,
        Verb::Certificates,
        Verb::CredentialsRotate,
    ];
    let verbs = if args.verbs.is_empty() { &all[..] } else { &args.verbs[..] };
    let needs: Vec<&[Need]> = verbs.iter().map(|verb| verb.needs()).collect();
    let name = args.role.clone().unwrap_or_else(|| format!("{}-galeractl", desired.cluster));
    let texts: Result<Vec<String>> = roles(&desired, &name, &needs).iter().map(yaml).collect();
    ui.out(texts?.join("---\n").trim_end())
}

fn roles(desired: &Desired, name: &str, needs: &[&[Need]]) -> Vec<Object> {
    let metadata =
        |namespace: Option<String>| ObjectMeta { name: Some(name.to_owned()), namespace, ..ObjectMeta::default() };
    let role = Role { metadata: metadata(Some(desired.namespace.to_string())), rules: Some(rules(desired, needs)) };
    let wide = Some(cluster_rules(desired, needs)).filter(|rules| !rules.is_empty());
    let wide = wide.map(|rules| ClusterRole { metadata: metadata(None), rules: Some(rules), ..ClusterRole::default() });
    std::iter::once(Object::of(&role)).chain(wide.as_ref().map(Object::of)).collect()
}
