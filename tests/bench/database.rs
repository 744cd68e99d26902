//! The database's own share of a formation, from what the members print.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use galeractl::kube::client::Connection;
use galeractl::kube::logs::Follow;
use galeractl::names::{ClusterName, Member, Namespace};
use galeractl::wsrep::Report;
use tokio::task::JoinSet;

/// Spans of time in which the database worked, by what it did; seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share {
    pub(crate) parts: Vec<(String, f64)>,
    union: f64,
}

impl Share {
    /// Time in which at least one member was at work.
    pub(crate) fn total(&self) -> f64 {
        self.union
    }
}

/// Follows the logs of all members.
pub(crate) struct Watch {
    reports: Arc<Mutex<BTreeMap<Member, Vec<Report>>>>,
    followers: JoinSet<()>,
}

impl Watch {
    pub(crate) fn start(connection: &Connection, namespace: &str, nodes: u32) -> Self {
        let namespace: Namespace = namespace.parse().unwrap();
        let cluster: ClusterName = super::process::CLUSTER.parse().unwrap();
        let reports: Arc<Mutex<BTreeMap<Member, Vec<Report>>>> = Arc::default();
        let mut followers = JoinSet::new();
        for member in std::iter::once(Member::Seed).chain((1..=nodes).map(Member::Node)) {
            let mut lines = Follow::start(&connection.streams, &namespace, &cluster.pod(member), "mariadb");
            let reports = Arc::clone(&reports);
            followers.spawn(async move {
                while let Some(line) = lines.next().await {
                    if let Some(report) = Report::parse(&line.text) {
                        reports.lock().unwrap().entry(member).or_default().push(report);
                    }
                }
            });
        }
        Self { reports, followers }
    }

    /// The share, and when the seed's pod gave its first sign of life (seconds since the epoch).
    pub(crate) async fn finish(mut self) -> (Share, f64) {
        self.followers.shutdown().await;
        let reports = self.reports.lock().unwrap();
        let seed = &reports[&Member::Seed];
        let mut spans = vec![
            ("init".to_owned(), between(seed, |r| is_phase(r, "initialising"), |r| r.event == "initialised")),
            ("bootstrap".to_owned(), between(seed, |r| is_phase(r, "starting"), is_synced)),
        ];
        for (member, reports) in reports.iter().filter(|(member, _)| **member != Member::Seed) {
            spans.push((format!("join of {member}"), between(reports, |r| is_phase(r, "starting"), is_synced)));
        }
        spans
            .push(("leave of the seed".to_owned(), between(seed, |r| r.event == "stopping", |r| r.event == "stopped")));
        let known: Vec<(String, (f64, f64))> =
            spans.into_iter().filter_map(|(what, span)| Some((what, span?))).collect();
        let union = union(known.iter().map(|(_, span)| *span).collect());
        let parts = known.into_iter().map(|(what, (from, to))| (what, to - from)).collect();
        (Share { parts, union }, seed[0].at)
    }
}

fn is_phase(report: &Report, phase: &str) -> bool {
    report.event == "phase" && report.get("phase") == Some(phase)
}

fn is_synced(report: &Report) -> bool {
    report.event == "wsrep" && report.get("status") == Some("synced")
}

/// From the first report of one kind to the first of another kind after it.
fn between(reports: &[Report], from: impl Fn(&Report) -> bool, to: impl Fn(&Report) -> bool) -> Option<(f64, f64)> {
    let begin = reports.iter().position(from)?;
    let end = reports[begin..].iter().find(|report| to(report))?;
    Some((reports[begin].at, end.at))
}

fn union(mut spans: Vec<(f64, f64)>) -> f64 {
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut reached) = (0.0, f64::MIN);
    for (from, to) in spans {
        sum += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    sum
}
