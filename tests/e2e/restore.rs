//! A database of half a gigabyte under continuous writes is backed up, destroyed, and comes back to the transaction.

use std::time::{Duration, Instant};

use galeractl::backups::utc;

use crate::checker::check;
use crate::place::{Place, every_case, in_namespace};
use crate::wait::{holds, until};
use crate::writers::{Journal, Writers};

const LIMIT: Duration = Duration::from_secs(60);
const UP: [&str; 7] = [
    "--nodes=3",
    "--set=galera_cluster_haproxy_replicas=1",
    "--backup",
    "--set=galera_cluster_backup_log_interval=2s",
    "--set=galera_cluster_backup_incremental_interval=1h",
    "--set=galera_cluster_volume_size=4Gi",
    "--set=galera_mysql_database=app",
];
const TABLES: &str = "e2e.big, e2e.acks, app.t";
/// Rows of 1000 random bytes in each of so many transactions: 80 MB, or half a gigabyte.
fn chunks() -> usize {
    if every_case() { 26 } else { 4 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_back_to_the_transaction() {
    in_namespace("restore", async |place| {
        place.up(&UP).await.ended(0);
        let (backup, sums, moment, sums_then) = back_up_under_load(place).await;
        let lost = place.uuid().await;
        // Objects, passwords and volumes go; the backups have a volume of their own, and keys.
        place.run(&["teardown", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
        let claim = format!("persistentvolumeclaim/{}", place.cluster.backup_claim());
        let keys = [place.cluster.backup_key(), place.cluster.backup_signer()].map(|name| format!("secret/{name}"));
        assert_eq!(place.leftovers().await, [vec![claim], keys.to_vec()].concat());

        let begun = Instant::now();
        let args = [&["restore", "--from", &backup.0, "--progress", "json"], &UP[..]].concat();
        let restored = place.run(&args).await.ended(0);
        eprintln!("restored to three nodes in {:.1} s", begun.elapsed().as_secs_f64());
        assert!(restored.last_word().0.contains("is restored and healthy"), "{restored:?}");
        place.healthy().await;
        let uuid = place.uuid().await;
        assert_ne!(uuid, lost, "a history that was cut off must not go on under its old name");
        for node in 1..=3 {
            assert_eq!(place.sums(node, TABLES).await, sums, "node{node}");
        }
        place.run(&["sql", "-e", "SELECT COUNT(*) FROM app.t"]).await.ended(0);
        check(place, 3, &uuid, &backup.1.each_ref()).await;
        place.sql(&place.node(2), "INSERT INTO app.t VALUES (1000, 'after the restore')").await;

        place.stop().await;
        let to_time = ["restore", "--from", "latest", "--to-time", &moment, "--progress", "json"];
        let to_time = [&to_time, &UP[..]].concat();
        place.run(&to_time).await.ended(6);
        let confirmed = [&to_time[..], &["--confirm", place.cluster.as_str()]].concat();
        let plan = place.run(&[&to_time[..], &["--dry-run"]].concat()).await.ended(0);
        assert!(plan.last_word().0.ends_with("nothing was changed"), "{plan:?}");
        assert_eq!(place.run(&confirmed).await.ended(0).acts(), plan.rehearsed());
        for node in 1..=3 {
            assert_eq!(place.sums(node, TABLES).await, sums_then, "node{node}");
        }
        place.healthy().await;
    })
    .await;
}

type Sums = Vec<Option<String>>;

/// A full backup and increments while three writers write. Answers with the newest backup whose content is known, and
/// the writers' journal; and with a moment between that and the next one.
async fn back_up_under_load(place: &Place) -> ((String, [Journal; 2]), Sums, String, Sums) {
    let node = place.node(1);
    place.sql(&node, "CREATE DATABASE IF NOT EXISTS e2e").await;
    place.sql(&node, "CREATE TABLE e2e.big (id INT AUTO_INCREMENT PRIMARY KEY, v VARBINARY(1000))").await;
    place.sql(&node, "CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(40))").await;
    for _ in 0..chunks() {
        place.sql(&node, "INSERT INTO e2e.big (v) SELECT RANDOM_BYTES(1000) FROM app.seq_1_to_20000").await;
    }
    let proxy = place.proxy_pods().await.remove(0);
    let writers = Writers::start(place, vec![vec![proxy]; 3]).await;
    // One more where the backup is taken from.
    let beside = Writers::start(place, vec![vec![place.node(3)]]).await;
    let full = backup_beside(place, &writers, "--full").await;
    place.sql(&node, "UPDATE e2e.big SET v = RANDOM_BYTES(1000) WHERE id % 50 = 0").await;
    backup_beside(place, &writers, "--incremental").await;
    let journals = [writers.stop().await, beside.stop().await];
    assert!(journals.iter().all(|journal| journal.unknown.is_empty()), "a backup has cost connections");
    place.sql(&node, "DELETE FROM e2e.big WHERE id % 7 = 0").await;
    place.sql(&node, "INSERT INTO app.t VALUES (1, 'before the backup')").await;
    let sums = place.sums(1, TABLES).await;
    let backup = place.backup("--incremental").await;
    assert!(backup > full, "{backup}");

    place.sql(&node, "INSERT INTO app.t VALUES (2, 'before the moment')").await;
    place.sql(&node, "CREATE TABLE e2e.late (id INT PRIMARY KEY)").await;
    let sums_then = place.sums(1, TABLES).await;
    // A moment is a second: nothing may happen in it.
    let clock = async || -> i64 {
        place.sql(&node, "SELECT UNIX_TIMESTAMP()").await[0][0].as_deref().unwrap().parse().unwrap()
    };
    let moment = clock().await + 1;
    until("the moment is over", LIMIT, async || {
        let now = clock().await;
        holds(now > moment, || now.to_string())
    })
    .await;
    place.sql(&node, "INSERT INTO app.t VALUES (3, 'after the moment')").await;
    place.sql(&node, "DROP TABLE e2e.late").await;
    let sequence = place.sequence(1).await;
    place.shipped(3, sequence).await;
    place.backup("--incremental").await;
    ((backup, journals), sums, utc(moment), sums_then)
}

/// A backup, and how long writers through the proxy waited meanwhile, and without one.
async fn backup_beside(place: &Place, writers: &Writers, kind: &str) -> String {
    until("all nodes have caught up", LIMIT, async || {
        let mut queues = Vec::new();
        for index in 1..=3 {
            let rows = place.sql(&place.node(index), "SHOW GLOBAL STATUS LIKE 'wsrep_local_recv_queue'").await;
            queues.push(rows[0][1].clone().unwrap());
        }
        holds(queues.iter().all(|queue| queue.len() == 1), || format!("{queues:?}"))
    })
    .await;
    writers.longest();
    let before = writers.acknowledged();
    until("writes without a backup", LIMIT, async || {
        let count = writers.acknowledged() - before;
        holds(count > 150, || count.to_string())
    })
    .await;
    let (quiet, begun) = (writers.longest(), Instant::now());
    let id = place.backup(kind).await;
    let (took, longest) = (begun.elapsed(), writers.longest());
    eprintln!(
        "{kind} in {took:.1?}: the longest that a writer waited through the proxy: {longest:?}; without it {quiet:?}"
    );
    id
}
