//! `galeractl port-forward`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Pod;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::proxies;
use crate::cluster::reach::writer;
use crate::cluster::world::BEAT;
use crate::commands::Globals;
use crate::desired::{Desired, ProxyMode};
use crate::engine::event::Level;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::tunnel::{Choose, Tunnel};
use crate::manifests::services::SQL_PORT;
use crate::names::Member;
use crate::observe::Observer;
use crate::ui::Ui;

use super::credentials::forms::Login;
use super::rolling::among;
use super::target::{connect, find, running};
use super::{complete, gather};

/// Open a local port that leads to the node that takes the writes
///
/// Connections go through the API server to a proxy, and from there as those of applications do: to the node that takes the
/// writes. When that moves, new connections go to the new one, and open ones end as far as the proxy ends them. With --node
/// they go to that node, past the proxies. The first line on stdout is an address for clients, without a password. Runs
/// until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl port-forward
  galeractl port-forward --port 13306
  galeractl port-forward --node 2 --port 0")]
pub struct Args {
    /// This node, such as 2
    #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99), add = complete::numbers())]
    node: Option<u32>,
    /// Local port; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = SQL_PORT)]
    port: u16,
    /// Local address; whoever reaches it gets as far as the login
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(Kind::Bug)?;
    let mut terminate = signal(SignalKind::terminate()).or_fail(Kind::Bug)?;
    tokio::select! {
        ended = forward(args, globals, ui) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn forward(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::No).await?.desired;
    let node = args.node.map(|node| among("--node", node, &desired)).transpose()?;
    let observer = Arc::new(gather::look(&connection, &desired, None).await?);
    let chosen: Choose = match node {
        Some(node) => {
            let pod = desired.cluster.pod(node);
            Arc::new(move || vec![pod.clone()])
        }
        None => in_turn(Arc::clone(&observer)),
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let at = SocketAddr::new(args.address, args.port);
    let tunnel = Tunnel::open_at(&connection.streams, &desired.namespace, at, SQL_PORT, chosen, Some(tell)).await;
    let tunnel = tunnel.map_err(|error| {
        Failure::new(Kind::Usage, error)
            .context(format!("cannot listen on {at}"))
            .hint("choose another port with --port, or 0 for any that is free")
    })?;
    let login = Login::of(&desired, None)?;
    if !ui.line(&Login { host: args.address.to_string(), port: tunnel.address().port(), ..login }.uri())? {
        return Ok(());
    }
    if !args.address.is_loopback() {
        ui.notice(Level::Warning, &format!("whoever reaches {} gets as far as the login", args.address));
    }
    ui.notice(Level::Info, "the password: galeractl credentials --env --show; Ctrl-C closes the port");
    let mut seen = Seen::default();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(why) = told.recv() => ui.notice(Level::Warning, &format!("a connection was not forwarded: {why}")),
            _ = beat.tick(), if node.is_none() => {
                if let Some((level, news)) = seen.take(&desired, look(&connection, &desired, &observer).await) {
                    ui.notice(level, &news);
                }
            }
        }
    }
}

/// The proxies that are ready, each in its turn the first; where none is, those that are there.
fn in_turn(observer: Arc<Observer>) -> Choose {
    let turn = AtomicUsize::new(0);
    Arc::new(move || {
        let (snapshot, mut pods) = (observer.live().snapshot(), observer.now().proxy.pods.clone());
        let ready = |name: &String| snapshot.pods.get(name).is_some_and(|pod| is_ready(pod));
        if pods.iter().any(ready) {
            pods.retain(ready);
        }
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        if !pods.is_empty() {
            let first = turn % pods.len();
            pods.rotate_left(first);
        }
        pods
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn look(connection: &Connection, desired: &Desired, observer: &Observer) -> Result<Option<Member>, String> {
    writer(&proxies::backends(connection, desired, &observer.now()).await)
}

/// What was last known of where connections go.
#[derive(Debug, Default)]
struct Seen {
    writer: Option<Member>,
    told: Option<String>,
}

impl Seen {
    /// What is new in an answer of the proxies.
    fn take(&mut self, desired: &Desired, answer: Result<Option<Member>, String>) -> Option<(Level, String)> {
        let several = desired.proxy_mode == ProxyMode::MultiWriter;
        let (level, news) = match answer {
            Ok(Some(_)) if several => (Level::Info, "each connection goes to the node that has the fewest".to_owned()),
            Ok(Some(node)) => {
                let news = match self.writer.replace(node).filter(|before| *before != node) {
                    Some(before) => format!("the writer moves from {before} to {node}: new connections go there"),
                    // As it was before the proxies were silent.
                    None => format!("connections go to {node}"),
                };
                let same = self
                    .told
                    .as_ref()
                    .is_some_and(|told| told.ends_with(&format!("to {node}: new connections go there")));
                if same {
                    return None;
                }
                (Level::Info, news)
            }
            Ok(None) => (Level::Warning, "the proxies send nobody to any node: no node takes writes".to_owned()),
            Err(why) => (Level::Warning, why),
        };
        if self.told.as_ref() == Some(&news) {
            return None;
        }
        self.told = Some(news.clone());
        Some((level, news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_of_the_writer_is_told_once() {
        let desired = crate::desired::tests::desired("c", 3);
        let mut seen = Seen::default();
        let mut take = |answer| seen.take(&desired, answer).map(|(_, news)| news);
        let node = |index| Ok(Some(Member::Node(index)));
        assert_eq!(take(node(1)).unwrap(), "connections go to node1");
        assert_eq!(take(node(1)), None);
        assert!(take(Ok(None)).unwrap().contains("no node takes writes"));
        assert_eq!(take(Ok(None)), None);
        assert_eq!(take(node(2)).unwrap(), "the writer moves from node1 to node2: new connections go there");
        assert_eq!(take(node(2)), None);
        assert_eq!(take(Err("no proxy runs".to_owned())).unwrap(), "no proxy runs");
        assert_eq!(take(node(2)).unwrap(), "connections go to node2");
    }
}
