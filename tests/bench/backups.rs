//! Measures backups and restores: `make bench`. Prints figures; asserts nothing about them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

mod process;

use std::time::{Duration, Instant};

use galeractl::kube::client::{Connection, Options};
use galeractl::kube::exec::{Place as At, exec};
use galeractl::kube::logs;
use galeractl::names::{ClusterName, Member, Namespace};
use galeractl::wsrep::Report;

/// A fact is looked for this often.
const LOOK: Duration = Duration::from_millis(50);
const UP: [&str; 5] = [
    "--nodes=3",
    "--backup",
    "--set=galera_cluster_backup_incremental_interval=12h",
    "--set=galera_cluster_volume_size=8Gi",
    "--set=galera_cluster_backup_volume_size=20Gi",
];
/// What somebody would type who has no tool.
const PLAIN: &str = "set -o pipefail; mariadb-backup --defaults-file=/run/galeractl/my.cnf --backup --stream=mbstream \
    --galera-info --extra-lsndir=/tmp/lsn 2>/dev/null | zstd -q -T0 -3 >/backups/plain.zst && sync -f /backups/plain.zst";
const LIMIT: Duration = Duration::from_secs(1800);

struct Bench {
    connection: Connection,
    namespace: Namespace,
    cluster: ClusterName,
    place: process::Place,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let number =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (runs, megabytes) = (number("BENCH_RUNS", 3), number("BENCH_MEGABYTES", 1000));
    let connection = Connection::open(&options()).await.unwrap();
    let namespace = format!("bench-backups-{}", std::process::id());
    let bench = Bench {
        connection: connection.clone(),
        namespace: namespace.parse().unwrap(),
        cluster: process::CLUSTER.parse().unwrap(),
        place: process::Place::new(&namespace),
    };
    bench.place.run(&[&["up"], &UP[..]].concat()).await;
    bench.fill(megabytes).await;
    let (mut ours, mut plain, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first pair meets a server that still writes out what it was filled with.
    for run in 0..=runs {
        // By turns: whoever goes second finds the disk busy with what the first has left.
        let (our, their) = if run % 2 == 0 {
            let our = bench.backup().await;
            (our, bench.plain().await)
        } else {
            let their = bench.plain().await;
            (bench.backup().await, their)
        };
        let counts = if run == 0 { "before the runs".to_owned() } else { format!("run {run} of {runs}") };
        println!("{counts}: backup now --full {our:.1} s, plain command {their:.1} s");
        if run > 0 {
            ours.push(our);
            plain.push(their);
            ratios.push(their / our);
        }
    }
    let (ours, plain) = (median(&mut ours), median(&mut plain));
    println!("\nfull backup of {megabytes} MB of random rows: median {ours:.1} s; mariadb-backup | zstd: {plain:.1} s");
    println!("  speed against the plain command {:.2}, the median of the pairs", median(&mut ratios));
    for fill in ["all", "one"] {
        bench.place.run(&["teardown"]).await;
        let begun = Instant::now();
        let args = ["restore", "--from", "latest", "--fill", fill, "--confirm", process::CLUSTER];
        bench.place.run(&[&args[..], &UP].concat()).await;
        println!("restore --fill {fill}: {:.1} s until healthy", begun.elapsed().as_secs_f64());
    }
    bench.place.teardown().await;
    process::delete_namespace(&connection, &namespace).await;
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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

impl Bench {
    async fn shell(&self, container: &str, script: &str) {
        let pod = self.cluster.pod(Member::Node(3));
        let at = At { namespace: &self.namespace, pod: &pod, container };
        let output = exec(&self.connection.streams, at, &["/bin/bash", "-c", script], None, LIMIT).await.unwrap();
        assert_eq!(output.exit_code, 0, "{script}: {output:?}");
    }

    /// Rows that cannot be compressed, in transactions of 20 MB.
    async fn fill(&self, megabytes: usize) {
        let secret: k8s_openapi::api::core::v1::Secret =
            kube::Api::namespaced(self.connection.client.clone(), self.namespace.as_str())
                .get(&self.cluster.credentials())
                .await
                .unwrap();
        let password = String::from_utf8(secret.data.unwrap()["root-password"].0.clone()).unwrap();
        let script = format!(
            "export MYSQL_PWD='{password}'; sql() {{ mariadb -S /run/galeractl/mysqld.sock -u root -e \"$1\"; }}
             sql 'CREATE DATABASE b; CREATE TABLE b.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARBINARY(1000))' &&
             for i in $(seq {}); do sql 'INSERT INTO b.t (v) SELECT RANDOM_BYTES(1000) FROM b.seq_1_to_20000' || exit 1; done",
            megabytes.div_ceil(20)
        );
        self.shell("mariadb", &script).await;
    }

    /// Seconds from the beginning of the agent's work to its end, by its own clock.
    async fn backup(&self) -> f64 {
        self.place.run(&["backup", "now", "--full"]).await;
        let (pod, container) = (self.cluster.pod(Member::Node(3)), self.cluster.backup_agent());
        let lines = logs::tail(&self.connection.streams, &self.namespace, &pod, &container, 2000, false).await.unwrap();
        let reports: Vec<Report> = lines.iter().filter_map(|line| Report::parse(line)).collect();
        let at = |state: &str| reports.iter().rev().find(|report| report.get("state") == Some(state)).unwrap().at;
        at("done") - at("begun")
    }

    async fn plain(&self) -> f64 {
        let begun = Instant::now();
        self.shell(&self.cluster.backup_agent(), PLAIN).await;
        begun.elapsed().as_secs_f64()
    }
}
