//! What cannot be restored is refused with its reason, and what is on the volumes stays as it is.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use galeractl::names::ClusterName;

use crate::helper::Helper;
use crate::place::{Place, every_case, in_namespace};
use crate::wait::until;

/// The file of the key, in the folder where the program runs.
const KEY: &str = "shop.key";
const UP: [&str; 5] = [
    "--nodes=1",
    "--set=galera_cluster_haproxy_replicas=1",
    "--backup",
    "--set=galera_cluster_backup_log_interval=1s",
    "--set=galera_cluster_backup_incremental_interval=1h",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_is_refused() {
    in_namespace("refused", async |place| {
        place.up(&UP).await.ended(0);
        let node = place.node(1);
        place.sql(&node, "CREATE DATABASE d").await;
        place.sql(&node, "CREATE TABLE d.t (id INT PRIMARY KEY)").await;
        let full = place.backup("--full").await;
        place.sql(&node, "INSERT INTO d.t VALUES (1)").await;
        let first = place.backup("--incremental").await;
        place.sql(&node, "INSERT INTO d.t VALUES (2)").await;
        let second = place.backup("--incremental").await;
        for id in 3..=5 {
            place.sql(&node, &format!("INSERT INTO d.t VALUES ({id})")).await;
            let sequence = place.sequence(1).await;
            place.shipped(1, sequence).await;
        }
        let newest = place.sequence(1).await;
        a_gap_is_told(place, &node).await;
        let trial = place.run(&["backup", "verify"]).await.ended(0);
        assert!(trial.stderr.contains("can be restored: "), "{trial:?}");
        let list = place.run(&["backup", "list"]).await.ended(0);
        assert!(list.stdout.contains("any time until"), "{list:?}");
        let running = place.run(&["restore", "--from", "latest", "--confirm", "shop"]).await.ended(3);
        assert!(running.stderr.contains("is not down"), "{running:?}");
        copies(place, &second).await;
        the_key_is_kept_elsewhere(place).await;

        place.stop().await;
        let uuid = holds(place).await;
        let tamper = Tamper { place, uuid, helper: place.beside_backups().await };
        let root = format!("/data/{}/{}", place.namespace, place.cluster);
        // What else can be wrong with a chain is judged by the same function, and tried on it alone.
        let moved = (format!("mv {root}/{first} /data/aside"), format!("mv /data/aside {root}/{first}"));
        if every_case() {
            tamper.with(&moved, &second, &[], &format!("builds on {first}, which is not there")).await;
        }
        let manifest = format!("{root}/{second}/backup.json");
        let edit = |from: &str, to: &str| {
            (
                format!("cp {manifest} /data/aside && sed -i -E 's/{from}/{to}/' {manifest}"),
                format!("mv /data/aside {manifest}"),
            )
        };
        let beyond = ["--to-gtid", &format!("0-1-{}", newest + 2)];
        tamper.with(&no_change(), &second, &beyond, "came next, and no log has it").await;
        let across = [&["restore", "--from", &second, "--across-gaps", "--dry-run"][..], &beyond, &UP].concat();
        let across = place.run(&across).await.ended(0);
        assert!(across.stdout.contains(&format!("WITHOUT transaction 0-1-{}", newest + 1)), "{across:?}");
        let last = format!("$(ls {root}/binlog/*.json | tail -n 3 | head -n 1)");
        let gap = (format!("mv {last} /data/aside; cp /data/aside /data/name"), "true".to_owned());
        if every_case() {
            tamper.with(&gap, &second, &["--to-gtid", &format!("0-1-{newest}")], "the ones between are missing").await;
        }
        tamper.with(&no_change(), "dir:nowhere", &[], "there is no folder nowhere on the backup volume").await;
        let bad = place.run(&["restore", "--from", "latest", "--to-time", "yesterday"]).await.ended(2);
        assert!(bad.stderr.contains("`yesterday` is no time"), "{bad:?}");

        let sooner = edit("\"seqno\":", "\"seqno\":1");
        tamper.with(&sooner, &second, &[], "somebody has changed it").await;
        let signature = format!("{manifest}.sig");
        let stripped = (format!("mv {signature} /data/aside"), format!("mv /data/aside {signature}"));
        tamper.with(&stripped, &second, &[], "nobody has signed it").await;
        let file = format!("{root}/{full}/data.mb.zst");
        let flip = format!("printf 'galera' | dd of={file} bs=1 seek=3000 conv=notrunc");
        tamper.fails(&(flip, "true".to_owned()), &second, "is damaged: its checksum").await;

        tamper.helper.end().await;
        let up = place.up(&UP).await.ended(0);
        assert!(!up.changes().iter().any(|change| change.contains("seed")), "{:?}", up.changes());
        assert_eq!(place.sql(&node, "SELECT COUNT(*) FROM d.t").await, [[Some("7".to_owned())]]);
        let trial = place.run(&["backup", "verify", &full]).await.ended(1);
        assert!(trial.stderr.contains("cannot be restored: backup"), "{trial:?}");
        let list = place.run(&["backup", "list"]).await.ended(0);
        assert!(list.stdout.contains(&format!("{full} was found to be damaged")), "{list:?}");
        // Nothing is built on it any more: the agent has begun a new chain by itself, or does so now.
        let next = place.backup("--full").await;
        place.run(&["backup", "verify", &next]).await.ended(0);
        place.healthy().await;
        a_copy_under_another_name(place).await;
        a_folder_of_another_server(place).await;
    })
    .await;
}

/// A row that no binary log has: nobody says that any moment after it can be had.
async fn a_gap_is_told(place: &Place, node: &str) {
    let mut sql = place.root().await.open(node).await.unwrap();
    for statement in ["SET SESSION sql_log_bin=0", "INSERT INTO d.t VALUES (6)"] {
        sql.query(statement).await.unwrap();
    }
    let hidden = place.sequence(1).await + 1;
    place.sql(node, "INSERT INTO d.t VALUES (7)").await;
    let told = format!("transaction 0-1-{hidden}");
    until("a gap in the binary logs", Duration::from_secs(60), async || {
        let list = place.catalog().await;
        let all =
            list["chains"].as_array().unwrap().iter().flat_map(|chain| chain["members"].as_array().unwrap().clone());
        let gaps: Vec<_> = all.map(|member| member["restores_to"]["gap"].clone()).collect();
        if gaps.iter().all(|gap| *gap == told) { Ok(()) } else { Err(format!("{gaps:?}")) }
    })
    .await;
    let list = place.run(&["backup", "list"]).await.ended(0);
    assert!(list.stdout.contains(", then a gap") && list.stdout.contains(&format!("Gap: {told}, after ")), "{list:?}");
}

/// Until somebody has a copy of it, that is told; nothing is overwritten by one.
async fn the_key_is_kept_elsewhere(place: &Place) {
    let warned = async || place.run(&["verify"]).await.ended(0).stdout.contains("galeractl backup key export --name");
    assert!(warned().await);
    let told = place.run(&["backup", "key", "export", KEY]).await.ended(0);
    assert_eq!(told.stdout.trim(), KEY);
    let file = place.home.path().join(KEY);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("PRIVATE KEY"));
    assert!(!warned().await);
    let again = place.run(&["backup", "key", "export", KEY]).await.ended(2);
    assert!(again.stderr.contains("File exists"), "{again:?}");
}

/// For tests of an application: while the original runs, with passwords of its own.
async fn a_copy_under_another_name(place: &Place) {
    let source = format!("{}/{}", place.namespace, place.cluster);
    let at = ["--name", "qa", "--namespace", place.namespace.as_str(), "--progress", "json"];
    let none = place.reaching(&[&["restore", "--from", "latest"], &at[..]].concat()).end().await.ended(3);
    assert!(none.last_word().0.contains("there is no backup volume"), "{none:?}");
    let args = [&["restore", "--from", "latest", "--source", &source, "--nodes=1"], &at[..]].concat();
    let strange = place.reaching(&args).end().await.ended(3);
    assert!(strange.last_word().0.contains("is signed by another key"), "{strange:?}");
    place.reaching(&[&args[..], &["--key", KEY]].concat()).end().await.ended(0);
    let qa: ClusterName = "qa".parse().unwrap();
    let mut sql = place.door_of(&qa, "root", "root-password").await.open("qa-galera-node1-0").await.unwrap();
    assert_eq!(sql.value("SELECT COUNT(*) FROM d.t").await, "7");
    let gone = ["teardown", "--delete-volumes", "--confirm", "qa"];
    place.reaching(&[&gone[..], &at].concat()).end().await.ended(0);
    place.healthy().await;
}

/// A server that has never heard of Galera, and a backup that no agent has made.
async fn a_folder_of_another_server(place: &Place) {
    place.stop().await;
    let helper = place.beside_backups().await;
    helper
        .run(
            "mkdir -p /tmp/db /data/plain && cd /tmp && {
             mariadb-install-db --no-defaults --datadir=/tmp/db --skip-name-resolve --skip-test-db --force --auth-root-authentication-method=normal
             mariadbd --no-defaults --datadir=/tmp/db --socket=/tmp/s --skip-networking --pid-file=/tmp/pid & server=$!
             until mariadb -S /tmp/s -u root -e 'DO 0'; do sleep 0.2; done
             mariadb -S /tmp/s -u root -e 'CREATE DATABASE old; CREATE TABLE old.t (id INT PRIMARY KEY); INSERT INTO old.t VALUES (42)' &&
             mariadb-backup --no-defaults --backup --user=root --datadir=/tmp/db --socket=/tmp/s --target-dir=/data/plain; code=$?
             kill $server; wait; } >/tmp/log 2>&1; [ \"$code\" = 0 ] || { cat /tmp/log; exit 1; }",
        )
        .await;
    helper.end().await;
    let args = ["restore", "--from", "dir:plain", "--confirm", place.cluster.as_str()];
    place.run(&[&args[..], &["--to-gtid", "7"], &UP].concat()).await.ended(2);
    place.run(&[&args[..], &UP].concat()).await.ended(0);
    assert_eq!(place.sql(&place.node(1), "SELECT id FROM old.t").await, [[Some("42".to_owned())]]);
    place.healthy().await;
}

fn no_change() -> (String, String) {
    ("true".to_owned(), "true".to_owned())
}

/// A backup on this machine is what it is on the volume.
async fn copies(place: &Place, id: &str) {
    let copied = place.run(&["backup", "copy", id, "copies"]).await.ended(0);
    assert!(copied.stderr.contains("checksum as recorded"), "{copied:?}");
    let folder = place.home.path().join("copies");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "a full backup and two increments");
    assert!(folder.join(id).join("data.mb.zst").exists());
    place.run(&["backup", "copy", id, "copies"]).await.ended(3);
}

/// What the node's volume holds.
async fn holds(place: &Place) -> String {
    let shown = place.run(&["purge", "--dry-run"]).await.ended(0);
    assert!(shown.stdout.contains("Backups of it: newest"), "{shown:?}");
    let line = shown.stdout.lines().find(|line| line.contains("node1")).unwrap_or_else(|| panic!("{shown:?}"));
    let (_, data) = line.split_once(" UTC ").unwrap_or_else(|| panic!("{shown:?}"));
    // Half of what a restore was to bring may lie beside it until the next one, or `up`, removes it.
    data.split(';').next().unwrap().trim().to_owned()
}

/// Changes something on the backup volume, sees a restore refused, and puts it back.
struct Tamper<'a> {
    place: &'a Place,
    uuid: String,
    helper: Helper<'a>,
}

impl Tamper<'_> {
    async fn with(&self, (change, back): &(String, String), from: &str, more: &[&str], why: &str) {
        self.expect(change, back, from, more, (3, why)).await;
    }

    /// Found only when the volume is being filled.
    async fn fails(&self, (change, back): &(String, String), from: &str, why: &str) {
        self.expect(change, back, from, &[], (4, why)).await;
        assert_eq!(holds(self.place).await, self.uuid, "the volume was touched");
    }

    async fn expect(&self, change: &str, back: &str, from: &str, more: &[&str], (code, why): (i32, &str)) {
        let place = self.place;
        self.helper.run(change).await;
        let args = ["restore", "--from", from, "--confirm", place.cluster.as_str()];
        let refused = place.run(&[&args[..], &UP, more].concat()).await.ended(code);
        assert!(refused.stderr.contains(why), "{why}: {refused:?}");
        self.helper.run(back).await;
    }
}
