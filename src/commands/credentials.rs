//! `galeractl credentials`.

pub(super) mod forms;
mod rotate;

use clap::Subcommand;
use serde_json::json;

use crate::cluster::record;
use crate::commands::Globals;
use crate::desired::{Desired, Hidden, Peer};
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::config::{ROOT_PASSWORD, USER_PASSWORD};
use crate::manifests::services::{READ_PORT, SQL_PORT};
use crate::manifests::tls::CA_CERTIFICATE;
use crate::ui::Ui;

use super::Format;
use forms::Login;

use super::target::{connect, find, running};

/// Show where the passwords are and how to connect, and replace them
///
/// Prints the address, the users and the commands that read their passwords from the Secret. In the forms that programs
/// read (--env, --uri, --my-cnf) it is one login, as the user of the application where there is one. Passwords are printed
/// only in these forms, and only with --show. Without a verb: show.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  galeractl credentials --name shop -n web
  galeractl credentials -o json
  eval \"$(galeractl credentials --env --show)\"
  galeractl credentials --my-cnf --show --user root >my.cnf
  galeractl credentials rotate root"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(ShowArgs),
    Rotate(rotate::RotateArgs),
}

/// Show where the passwords are and how to connect
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// As variables for a shell
    #[arg(long, group = "form", conflicts_with = "output")]
    env: bool,
    /// As an address: mysql://USER@HOST:PORT/DATABASE
    #[arg(long, group = "form", conflicts_with = "output")]
    uri: bool,
    /// As a file of options for MariaDB's clients
    #[arg(long, group = "form", conflicts_with = "output")]
    my_cnf: bool,
    /// With the password
    #[arg(long, requires = "form")]
    show: bool,
    /// As this user
    #[arg(long, value_name = "USER", requires = "form")]
    user: Option<String>,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    match &args.verb {
        None => show(&args.show, globals, ui).await,
        Some(Verb::Show(args)) => show(args, globals, ui).await,
        Some(Verb::Rotate(args)) => rotate::run(args, globals, ui).await,
    }
}

async fn show(args: &ShowArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let stored = running(&connection, &target, Kind::No).await?;
    if args.env || args.uri || args.my_cnf {
        return one_login(args, &connection, &stored.desired, ui).await;
    }
    match Format::of(&args.output) {
        Format::Json => ui.json(&as_json(&stored.desired)),
        _ => ui.out(&ui.complete(&text(&stored.desired))),
    }
}

/// One login in the form that is wanted.
async fn one_login(args: &ShowArgs, connection: &Connection, desired: &Desired, ui: &Ui) -> Result<()> {
    let mut login = Login::of(desired, args.user.as_deref())?;
    if args.show {
        let (secret, key) = (desired.cluster.credentials(), login.key());
        let all = record::stored_passwords(&connection.client, &desired.namespace, &desired.cluster).await?;
        let password = all.as_ref().and_then(|all| all.get(key)).ok_or_else(|| {
            Failure::message(Kind::Preflight, format!("secret/{secret} is missing or has no key `{key}`"))
                .hint("was it deleted or changed by hand?")
        })?;
        login.password = Some(Hidden::new(password));
    } else {
        ui.notice(Level::Info, "this is without the password; with it: --show");
    }
    if login.verifies && args.my_cnf {
        ui.notice(Level::Info, &format!("the certificate of the authority: {} >ca.crt", authority_command(desired)));
    }
    ui.out(&match (args.env, args.uri) {
        (true, _) => login.env(),
        (_, true) => login.uri(),
        _ => login.my_cnf(),
    })
}

fn users(desired: &Desired) -> Vec<(String, &'static str, String)> {
    let mut users = vec![("root".to_owned(), ROOT_PASSWORD, "everything".to_owned())];
    if let Some(user) = &desired.user {
        let rights = desired.database.as_ref().map_or("nothing yet".to_owned(), |name| format!("database {name}"));
        users.push((user.clone(), USER_PASSWORD, rights));
    }
    users
}

fn read_command(desired: &Desired, key: &str) -> String {
    let Desired { cluster, namespace, .. } = desired;
    format!("kubectl get secret -n {namespace} {} -o jsonpath='{{.data.{key}}}' | base64 -d", cluster.credentials())
}

/// What a client is told so that it talks to nobody else.
const VERIFYING: &str = " --ssl-ca=ca.crt --ssl-verify-server-cert";

fn authority_command(desired: &Desired) -> String {
    let Desired { cluster, namespace, .. } = desired;
    format!("kubectl get secret -n {namespace} {} -o jsonpath='{{.data.ca\\.crt}}' | base64 -d", cluster.authority())
}

fn text(desired: &Desired) -> String {
    let host = format!("{}.{}.svc", desired.cluster.proxy(), desired.namespace);
    let mut text = format!(
        "Address inside Kubernetes:\n  {host}:{SQL_PORT}  reading and writing\n  {host}:{READ_PORT}  reading, spread over all nodes\n"
    );
    if let Some(network) = &desired.network {
        let from = [desired.namespace.to_string()].into_iter().chain(network.clients.iter().map(Peer::to_string));
        text.push_str(&format!(
            "  Network policies let in: {}. For others: galeractl up --set galera_cluster_allow_from=…\n",
            from.collect::<Vec<_>>().join(", ")
        ));
    }
    text.push_str(&format!(
        "\nPasswords: secret/{} in namespace {}\n",
        desired.cluster.credentials(),
        desired.namespace
    ));
    for (user, key, rights) in users(desired) {
        text.push_str(&format!("\nUser {user} ({rights}); read the password:\n  {}\n", read_command(desired, key)));
    }
    let mut verifying = "";
    if desired.tls.is_some() {
        verifying = VERIFYING;
        text.push_str(&format!(
            "\nThe servers prove who they are. Get the certificate of their authority, and add{VERIFYING} to every client:\n  {} >ca.crt\n",
            authority_command(desired)
        ));
    }
    text.push_str(&format!(
        "\nFrom this machine:\n  galeractl sql\nor with a client of your own:\n  galeractl port-forward\n  mariadb -h 127.0.0.1 -P {SQL_PORT} -u root -p{verifying}\n"
    ));
    text
}

fn as_json(desired: &Desired) -> serde_json::Value {
    let user = |(user, key, rights): (String, &str, String)| json!({"user": user, "secretKey": key, "rights": rights});
    let mut json = json!({
        "host": format!("{}.{}.svc", desired.cluster.proxy(), desired.namespace),
        "port": SQL_PORT, "readPort": READ_PORT, "namespace": desired.namespace,
        "secret": desired.cluster.credentials(), "users": users(desired).into_iter().map(user).collect::<Vec<_>>(),
    });
    if desired.tls.is_some() {
        json["tls"] = json!({"authoritySecret": desired.cluster.authority(), "authorityKey": CA_CERTIFICATE});
    }
    if let Some(network) = &desired.network {
        json["allowFrom"] = network.clients.iter().map(Peer::to_string).collect();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Network, Tls};

    #[test]
    fn with_network_policies_it_says_who_gets_in() {
        let mut desired = crate::desired::tests::desired("c", 1);
        assert!(!text(&desired).contains("let in") && as_json(&desired)["allowFrom"].is_null());
        let clients = vec![Peer::Namespace("shop".to_owned()), Peer::Range("10.1.0.0/16".to_owned()), Peer::Anyone];
        desired.network = Some(Network { clients, metrics: Vec::new() });
        let shown = text(&desired);
        assert!(shown.contains("Network policies let in: data, shop, 10.1.0.0/16, *. For others: "), "{shown}");
        assert_eq!(as_json(&desired)["allowFrom"], json!(["shop", "10.1.0.0/16", "*"]));
    }

    #[test]
    fn with_certificates_a_client_is_told_how_to_verify_them() {
        let mut desired = crate::desired::tests::desired("c", 1);
        assert!(!text(&desired).contains("ssl") && as_json(&desired)["tls"].is_null());
        desired.tls = Some(Tls::default());
        let shown = text(&desired);
        assert!(
            shown.contains("kubectl get secret -n data c-galera-ca -o jsonpath='{.data.ca\\.crt}' | base64 -d >ca.crt"),
            "{shown}"
        );
        assert!(shown.ends_with("-u root -p --ssl-ca=ca.crt --ssl-verify-server-cert\n"), "{shown}");
        assert_eq!(as_json(&desired)["tls"]["authoritySecret"], "c-galera-ca");
    }
}
