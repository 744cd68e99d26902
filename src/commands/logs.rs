//! `galeractl logs`.

mod order;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::live::{Live, Snapshot};
use crate::kube::logs::{Entry as News, Follow, Line, history};
use crate::manifests::member::CONTAINER;
use crate::manifests::proxy;
use crate::names::{COMPONENT_LABEL, MEMBER_LABEL, Member, Role};
use crate::settings::span;
use crate::ui::Ui;

use super::complete;
use super::target::{connect, find, running};
use order::{Entry, Window, is_trouble, merged, readable, timed};

/// Show what the members have printed, in one stream
///
/// Lines of all members in the order of their times, each with its time and the name of its member. Lines with `*` are
/// galeractl's own start scripts, in words. With -f the stream goes on, also when pods restart or new ones come, until
/// Ctrl-C.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl logs --since 10m
  galeractl logs -f node2 --agent
  galeractl logs --errors --proxy
  galeractl logs --previous node1 | less")]
pub struct Args {
    /// Only these members, such as node2; without any, all nodes and the seed
    #[arg(value_name = "NODE", value_parser = member, add = complete::members())]
    nodes: Vec<Member>,
    /// Go on with what comes
    #[arg(short, long, conflicts_with = "previous")]
    follow: bool,
    /// Only what is not older than this, such as 10m
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,
    /// Only errors and warnings of servers, and refusals of the start scripts
    #[arg(long)]
    errors: bool,
    /// Of the containers before the latest restart
    #[arg(long)]
    previous: bool,
    /// The proxies as well
    #[arg(long)]
    proxy: bool,
    /// The backup agent as well
    #[arg(long)]
    agent: bool,
}

/// `node2`, or `2` as other verbs have it.
fn member(text: &str) -> std::result::Result<Member, String> {
    let named = if text.starts_with(|c: char| c.is_ascii_digit()) { format!("node{text}") } else { text.to_owned() };
    named.parse().map_err(|error: crate::names::InvalidName| error.to_string())
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    /// Its name before each line.
    label: String,
    pod: String,
    container: String,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, Kind::No).await?.desired;
    if let Some(Member::Node(node)) = args.nodes.iter().find(|node| **node > Member::Node(desired.nodes)) {
        return Err(Failure::message(Kind::Usage, format!("there is no node{node} among {}", desired.nodes)));
    }
    if args.agent && desired.backup.is_none() {
        return Err(Failure::message(Kind::Usage, format!("--agent: cluster {} takes no backups", desired.cluster)));
    }
    let live = Live::start(&connection.streams, &desired.namespace, &desired.cluster);
    live.ready().await?;
    let begin = Timestamp::now();
    // What is older than time itself is everything.
    let since = args.since.and_then(|span| begin.checked_sub(span).ok());
    let stream = Stream { ui, errors: args.errors, sources: sources(args, &desired, &live.snapshot()) };
    let read = stream.sources.iter().map(async |source| {
        let Source { pod, container, .. } = source;
        history(&connection.streams, &desired.namespace, pod, container, since, args.previous).await
    });
    let read = try_join_all(read).await?;
    stream.tell_of_the_silent(&read, args.previous);
    let seen: Vec<Option<Timestamp>> =
        read.iter().map(|lines| lines.iter().flatten().filter_map(|line| line.at).next_back().or(since)).collect();
    let logs = read
        .into_iter()
        .enumerate()
        .map(|(from, lines)| timed(from, lines.unwrap_or_default(), since.unwrap_or_default()));
    if !stream.show(merged(logs.collect()))? || !args.follow {
        return Ok(());
    }
    follow(args, &connection, &desired, &live, stream, seen).await
}

/// Goes on until nobody reads any more, or somebody presses Ctrl-C.
async fn follow(
    args: &Args,
    connection: &Connection,
    desired: &Desired,
    live: &Live,
    mut stream: Stream<'_>,
    mut seen: Vec<Option<Timestamp>>,
) -> Result<()> {
    let (tell, mut told) = mpsc::channel(1024);
    let mut followed: BTreeMap<Source, AbortOnDropHandle<()>> = BTreeMap::new();
    let (mut window, mut changed) = (Window::default(), live.changed());
    let mut interrupt = signal(SignalKind::interrupt()).or_fail(Kind::Bug)?;
    loop {
        changed.mark_unchanged();
        let present = sources(args, desired, &live.snapshot());
        // A proxy has another name when it comes back; what is left of its log has been read by then.
        followed.retain(|source, task| present.contains(source) || !task.is_finished());
        for source in present {
            if followed.contains_key(&source) {
                continue;
            }
            let from = stream.number(&source);
            seen.resize(stream.sources.len(), None);
            let follow =
                Follow::after(&connection.streams, &desired.namespace, &source.pod, &source.container, seen[from]);
            let hear = hear(follow, from, tell.clone());
            followed.insert(source, AbortOnDropHandle::new(tokio::spawn(hear)));
        }
        let due = window.due();
        tokio::select! {
            news = told.recv() => match news {
                Some((from, Ok(line))) => {
                    for entry in timed(from, [line], seen[from].unwrap_or_else(Timestamp::now)) {
                        seen[from] = Some(entry.at);
                        window.push(Instant::now(), entry);
                    }
                }
                Some((from, Err(why))) => stream.warn(from, &why),
                None => return Err(Failure::message(Kind::Bug, "the logs have ended")),
            },
            _ = changed.changed() => {}
            _ = interrupt.recv() => return Ok(()),
            () = async { match due { Some(due) => sleep_until(due).await, None => std::future::pending().await } } => {}
        }
        if !stream.show(window.ready(Instant::now()))? {
            return Ok(());
        }
    }
}

/// Passes on lines, and each new reason why there are none. That a container is not there yet is none.
async fn hear(mut follow: Follow, from: usize, tell: mpsc::Sender<(usize, Result<Line, String>)>) {
    let mut last = None;
    while let Some(news) = follow.entry().await {
        let told = match news {
            News::Line(line) => Ok(line),
            News::End => {
                let why = follow
                    .last_error()
                    .filter(|why| !["not found", "waiting to start"].iter().any(|usual| why.contains(usual)));
                if why == last {
                    continue;
                }
                last.clone_from(&why);
                let Some(why) = why else { continue };
                Err(why)
            }
        };
        if tell.send((from, told)).await.is_err() {
            return;
        }
    }
}

/// The logs that are wanted, of pods that are there.
fn sources(args: &Args, desired: &Desired, snapshot: &Snapshot) -> Vec<Source> {
    let mut found: Vec<Source> = Vec::new();
    let prefix = format!("{}-galera-", desired.cluster);
    for (name, pod) in &snapshot.pods {
        let source =
            |label: String, container: &str| Source { label, pod: name.clone(), container: container.to_owned() };
        match member_of(pod) {
            Some(member) if args.nodes.is_empty() || args.nodes.contains(&member) => {
                found.push(source(member.to_string(), CONTAINER));
            }
            None if args.proxy && label(pod, COMPONENT_LABEL) == Some(Role::Proxy.label()) => {
                found.push(source(name.strip_prefix(&prefix).unwrap_or(name).to_owned(), proxy::CONTAINER));
            }
            _ => {}
        }
        if args.agent && member_of(pod).is_some_and(|member| desired.backup_at(member).is_some()) {
            found.push(source("agent".to_owned(), &desired.cluster.backup_agent()));
        }
    }
    found.sort();
    found
}

fn label<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.labels().get(key).map(String::as_str)
}

fn member_of(pod: &Pod) -> Option<Member> {
    let role = label(pod, COMPONENT_LABEL)?;
    [Role::Seed.label(), Role::Node.label()].contains(&role).then(|| label(pod, MEMBER_LABEL)?.parse().ok())?
}

/// The one stream.
struct Stream<'a> {
    ui: &'a Ui,
    errors: bool,
    sources: Vec<Source>,
}

impl Stream<'_> {
    /// The number of a log, old or new.
    fn number(&mut self, source: &Source) -> usize {
        if let Some(known) = self.sources.iter().position(|known| known == source) {
            return known;
        }
        self.sources.push(source.clone());
        self.sources.len() - 1
    }

    /// Shows lines; `false` when nobody reads them any more.
    fn show(&self, entries: Vec<Entry>) -> Result<bool> {
        let width = self.sources.iter().map(|source| source.label.len()).max().unwrap_or(0);
        let wanted = entries.into_iter().filter(|entry| !self.errors || is_trouble(&entry.text));
        let lines: Vec<String> = wanted.map(|entry| self.line(&entry, width)).collect();
        if lines.is_empty() { Ok(true) } else { self.ui.line(&lines.join("\n")) }
    }

    fn line(&self, Entry { at, from, text }: &Entry, width: usize) -> String {
        let name = self.ui.paint().numbered(*from, &format!("{:width$}", self.sources[*from].label));
        // In its log a line is one line, whatever else is in it.
        format!("{} {name} {}", at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"), readable(text).replace('\n', " "))
    }

    fn tell_of_the_silent(&self, read: &[Option<Vec<Line>>], previous: bool) {
        let silent = self.sources.iter().zip(read).filter(|(_, lines)| lines.is_none());
        let silent: Vec<&str> = silent.map(|(source, _)| source.label.as_str()).collect();
        let what = if previous { "no container before the present one" } else { "nothing printed yet" };
        if !silent.is_empty() {
            self.ui.notice(Level::Info, &format!("{}: {what}", silent.join(", ")));
        }
        if self.sources.is_empty() {
            self.ui.notice(Level::Info, "none of these has a pod; see what there is: galeractl status");
        }
    }

    fn warn(&self, from: usize, why: &str) {
        self.ui.notice(Level::Warning, &format!("{}: {why}", self.sources[from].label));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::desired::tests::{backed_up, desired};

    fn pod(name: &str, role: Role, member: &str) -> (String, Arc<Pod>) {
        let labels = serde_json::json!({COMPONENT_LABEL: role.label(), MEMBER_LABEL: member});
        let pod = serde_json::json!({"metadata": {"name": name, "labels": labels}});
        (name.to_owned(), Arc::new(serde_json::from_value(pod).unwrap()))
    }

    fn labels(nodes: &[&str], proxy: bool, agent: bool, desired: &Desired) -> String {
        let pods = [
            pod("c-galera-node1-0", Role::Node, "node1"),
            pod("c-galera-node2-0", Role::Node, "node2"),
            pod("c-galera-haproxy-5-x", Role::Proxy, ""),
            pod("c-galera-inspect-node1", Role::Inspector, "node1"),
        ];
        let snapshot = Snapshot { pods: pods.into(), ..Snapshot::default() };
        let nodes = nodes.iter().map(|node| member(node).unwrap()).collect();
        let args = Args { nodes, follow: false, since: None, errors: false, previous: false, proxy, agent };
        sources(&args, desired, &snapshot).iter().map(|source| source.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_logs_that_are_wanted_are_read() {
        let plain = desired("c", 2);
        assert_eq!(labels(&[], false, false, &plain), "node1 node2");
        assert_eq!(labels(&["2"], true, false, &plain), "haproxy-5-x node2");
        assert_eq!(labels(&["node2"], false, true, &backed_up("c")), "agent node2");
        for bad in ["0", "node", "x", "node-1"] {
            assert!(member(bad).is_err(), "{bad}");
        }
    }
}
