//! `galeractl version`.

use std::env::consts;
use std::time::Duration;

use serde_json::json;

use crate::commands::Globals;
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::settings::{self, Input};
use crate::ui::Ui;

use super::Format;

/// A server that is slower is told as one that does not answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Show the version of galeractl, of the API server, and the images that clusters get
///
/// A server that cannot be reached is told, and is no failure. Needs no cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl version
  galeractl version -o json")]
pub struct Args {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// Only galeractl itself; asks no server
    #[arg(long)]
    client: bool,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let server = if args.client { None } else { Some(server(globals).await) };
    let images = settings::load_from(&Input::default(), None)?.desired;
    let commit = option_env!("GALERACTL_COMMIT").filter(|commit| !commit.is_empty());
    let (version, target) = (env!("CARGO_PKG_VERSION"), target());
    if Format::of(&args.output) == Format::Json {
        let server = server.map(|answer| match answer {
            Ok((version, context)) => json!({"version": version, "context": context}),
            Err(failure) => json!({"error": failure.to_string()}),
        });
        return ui.json(&json!({
            "galeractl": {"version": version, "commit": commit, "target": target},
            "kubernetes": server,
            "images": {"mariadb": images.mariadb_image, "haproxy": images.haproxy_image},
        }));
    }
    let commit = commit.map_or_else(String::new, |commit| format!(", commit {commit}"));
    let server = match server {
        Some(Ok((version, context))) => {
            let context = context.map_or_else(String::new, |context| format!(", context {context}"));
            format!("Kubernetes  {version}{context}\n")
        }
        Some(Err(failure)) => format!("Kubernetes  unknown: {failure}\n"),
        None => String::new(),
    };
    ui.out(&format!(
        "galeractl   {version} for {target}{commit}\n{server}Images      {} and {}, unless settings say otherwise\n",
        images.mariadb_image, images.haproxy_image
    ))
}

/// Version of the API server, and the context that leads to it.
async fn server(globals: &Globals) -> Result<(String, Option<String>)> {
    let ask = async {
        let connection = Connection::open(&globals.connection()).await?;
        Ok((connection.version().await?, connection.context))
    };
    let late =
        || Failure::message(Kind::Unreachable, format!("the API server did not answer in {} s", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, ask).await.unwrap_or_else(|_| Err(late()))
}

/// What this program was built for.
fn target() -> String {
    let libc = if cfg!(target_env = "musl") { "-musl" } else { "" };
    format!("{}-{}{libc}", consts::ARCH, consts::OS)
}
