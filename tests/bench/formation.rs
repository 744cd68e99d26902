//! Measures how long clusters take to form: `make bench`. Prints medians; asserts nothing.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

mod database;
mod process;
mod seeds_way;
mod up;

use std::time::Duration;

use galeractl::kube::client::{Connection, Options};

use database::Share;
use up::Up;

/// One formation, in seconds.
#[derive(Debug, Clone)]
struct Figures {
    whole: f64,
    steps: Vec<(String, f64)>,
    share: Share,
    pod_start: f64,
    cpu: f64,
    peak_mib: f64,
}

impl Figures {
    /// The whole against what the database itself needs and one start of a pod.
    fn ratio(&self) -> f64 {
        self.whole / (self.share.total() + self.pod_start)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let runs: usize = std::env::var("BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3);
    let connection = Connection::open(&options()).await.unwrap();
    println!("Kubernetes {} at {}", connection.version().await.unwrap(), connection.server);
    let mut fastest = Vec::new();
    for nodes in [3, 5] {
        let mut all = Vec::new();
        for run in 1..=runs {
            let figures = measure(&connection, nodes).await;
            println!("up --nodes {nodes}, run {run} of {runs}: {:.1} s", figures.whole);
            all.push(figures);
        }
        fastest.push((nodes, report(nodes, &mut all)));
    }
    for (nodes, ours) in fastest {
        let whole = seeds_way::measure(&connection, nodes).await.as_secs_f64();
        println!(
            "the seed's way, {nodes} nodes (same manifests, its sleeps of 45 s and 30 s): {whole:.1} s, {:.1} times ours",
            whole / ours
        );
    }
}

/// The cluster that the tests use.
fn options() -> Options {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Options {
        kubeconfig: variable("GALERACTL_E2E_KUBECONFIG").map(Into::into),
        context: variable("GALERACTL_E2E_CONTEXT"),
        ..Options::default()
    }
}

async fn measure(connection: &Connection, nodes: u32) -> Figures {
    let namespace = format!("bench-{nodes}-{}", std::process::id());
    let place = process::Place::new(&namespace);
    let watch = database::Watch::start(connection, &namespace, nodes);
    let up: Up = place.up(nodes).await;
    let (share, first_sign) = watch.finish().await;
    place.teardown().await;
    process::delete_namespace(connection, &namespace).await;
    Figures {
        whole: up.whole.as_secs_f64(),
        steps: up.steps,
        share,
        pod_start: first_sign - up.seed_created,
        cpu: up.cpu.as_secs_f64(),
        peak_mib: f64::from(u32::try_from(up.peak_kib).unwrap()) / 1024.0,
    }
}

/// Prints the run with the median time in detail; returns that time.
fn report(nodes: u32, all: &mut [Figures]) -> f64 {
    all.sort_by(|a, b| a.whole.total_cmp(&b.whole));
    let median = &all[all.len() / 2];
    let (least, most) = (all[0].whole, all[all.len() - 1].whole);
    println!("\nup --nodes {nodes}: median {:.1} s (from {least:.1} to {most:.1})", median.whole);
    for (step, seconds) in &median.steps {
        println!("  step {step:10} {seconds:6.2} s");
    }
    for (what, seconds) in &median.share.parts {
        println!("  database: {what:22} {seconds:6.2} s");
    }
    println!("  database's own share            {:6.2} s", median.share.total());
    println!("  start of the seed's pod         {:6.2} s", median.pod_start);
    println!("  whole / (share + pod start)     {:6.2}", median.ratio());
    println!("  galeractl itself                {:6.2} s of CPU, {:.0} MiB at most\n", median.cpu, median.peak_mib);
    median.whole
}

/// A fact is looked for this often.
const LOOK: Duration = Duration::from_millis(50);
