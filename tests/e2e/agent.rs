//! The agent by itself: regular backups, a new chain after a state transfer, failures that are seen, old backups that go.

use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::DeleteParams;
use serde_json::Value;

use crate::place::{Place, in_namespace};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(120);
const UP: [&str; 7] = [
    "--nodes=2",
    "--set=galera_cluster_haproxy_replicas=1",
    "--backup",
    "--set=galera_cluster_backup_incremental_interval=5s",
    "--set=galera_cluster_backup_log_interval=2s",
    "--set=galera_cluster_backup_keep=1",
    // Descriptions are changed here; that nobody can do so where they are signed is seen in `restore_refused`.
    "--set=galera_cluster_backup_encryption=off",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_takes_backups_by_itself() {
    in_namespace("agent", async |place| {
        place.up(&UP).await.ended(0);
        until("a full backup and an increment, unasked", LIMIT, async || {
            let kinds = kinds(&place.catalog().await);
            holds(kinds.starts_with(&["full".to_owned(), "inc".to_owned()]), || format!("{kinds:?}"))
        })
        .await;
        let status = place.run(&["status"]).await.ended(0);
        assert!(status.stdout.contains("Backups: newest"), "{status:?}");
        place.healthy().await;
        failures_are_seen_and_retried(place).await;
        a_state_transfer_begins_a_new_chain(place).await;
        old_chains_go(place).await;
        one_agent_at_a_time(place).await;
        moves_where_it_can(place).await;
    })
    .await;
}

fn backups(list: &Value) -> Vec<&Value> {
    let chains = list["chains"].as_array().unwrap().iter();
    chains.flat_map(|chain| chain["members"].as_array().unwrap()).map(|member| &member["backup"]).collect()
}

fn kinds(list: &Value) -> Vec<String> {
    backups(list).iter().map(|backup| backup["kind"].as_str().unwrap().to_owned()).collect()
}

/// A backup that dies leaves nothing that could be taken for one, and its node does not stay desynced.
async fn failures_are_seen_and_retried(place: &Place) {
    let before = place.catalog().await;
    // The folder cannot be written to, as on a share whose owner is another.
    place.at_agent(2, "chmod 555 .").await;
    until("the failure is seen", LIMIT, async || {
        let (_, failed) = place.verify().await;
        holds(failed.contains(&"backup-agent".to_owned()), || format!("{failed:?}"))
    })
    .await;
    place.at_agent(2, "chmod 755 .").await;
    let count = backups(&before).len();
    until("another backup", LIMIT, async || {
        let now = place.catalog().await;
        holds(backups(&now).len() > count && now["agent"]["failures"] == 0, || now["agent"].to_string())
    })
    .await;
    place.healthy().await;
}

async fn a_state_transfer_begins_a_new_chain(place: &Place) {
    let fulls = async || kinds(&place.catalog().await).iter().filter(|kind| *kind == "full").count();
    let before = fulls().await;
    let claim = place.cluster.claim(Member::Node(2));
    let volumes = place.api::<PersistentVolumeClaim>();
    let uid = volumes.get(&claim).await.unwrap().metadata.uid;
    volumes.delete(&claim, &DeleteParams::default()).await.unwrap();
    place.api::<Pod>().delete(&place.node(2), &DeleteParams::default()).await.unwrap();
    until("the old volume is gone", LIMIT, async || {
        let now = volumes.get_opt(&claim).await.unwrap();
        holds(now.as_ref().is_none_or(|now| now.metadata.uid != uid), || "it is there".to_owned())
    })
    .await;
    place.up(&UP).await.ended(0);
    until("a new chain", LIMIT, async || {
        let now = fulls().await;
        holds(now > before, || format!("{now} chains"))
    })
    .await;
    place.healthy().await;
}

/// Whole chains, and never the newest.
async fn old_chains_go(place: &Place) {
    let list = place.catalog().await;
    let all = backups(&list);
    let newest = all.last().unwrap()["chain"].as_str().unwrap();
    let old: Vec<&str> =
        all.iter().filter(|backup| backup["chain"] != newest).map(|backup| backup["id"].as_str().unwrap()).collect();
    assert!(!old.is_empty(), "{list}");
    let nothing = place.run(&["backup", "prune", "--dry-run"]).await.ended(0);
    assert!(nothing.stderr.contains("nothing is out of its time"), "{nothing:?}");
    // All of them get old, the newest chain as well; while its folder cannot be written to, the agent removes nothing itself.
    place.at_agent(2, "chmod 555 .").await;
    place.at_agent(2, "sed -i -E 's/\"ended\":[0-9]+/\"ended\":1000/' */backup.json").await;
    let planned = place.run(&["backup", "prune", "--dry-run"]).await.ended(0);
    for id in &old {
        assert!(planned.stdout.contains(id), "{planned:?}");
    }
    assert!(!planned.stdout.contains(newest), "{planned:?}");
    place.run(&["backup", "prune"]).await.ended(6);
    place.at_agent(2, "chmod 755 .").await;
    place.run(&["backup", "prune", "--confirm", place.cluster.as_str()]).await.ended(0);
    let left = place.catalog().await;
    assert!(backups(&left).iter().all(|backup| backup["chain"] == newest), "{left}");
}

async fn one_agent_at_a_time(place: &Place) {
    place.at_agent(2, "echo 'other-pod node9 other-group' >owner/who").await;
    until("it steps back, and comes again when nobody is there", LIMIT, async || {
        let pod = place.api::<Pod>().get(&place.node(2)).await.unwrap();
        let name = place.cluster.backup_agent();
        let statuses = pod.status.unwrap().container_statuses.unwrap_or_default();
        let agent = statuses.iter().find(|status| status.name == name);
        let restarts = agent.map_or(0, |agent| agent.restart_count);
        let owner = place
            .try_shell(&place.node(2), &name, &format!("cat /backups/{}/{}/owner/who", place.namespace, place.cluster))
            .await;
        let owner = owner.map(|output| output.stdout).unwrap_or_default();
        holds(restarts > 0 && owner.contains("node2"), || format!("{restarts} restarts, owner {owner}"))
    })
    .await;
    place.healthy().await;
}

/// Another node takes over with one command, where every host can use the backup volume.
async fn moves_where_it_can(place: &Place) {
    let none = place.run(&["backup", "move", "--to", "3"]).await.ended(2);
    assert!(none.stderr.contains("there is no node3 among 2"), "{none:?}");
    let moved = place.run(&["backup", "move", "--to", "1"]).await;
    if moved.code == Some(3) {
        // A volume of one host, and the other node's is on another: nothing was restarted.
        assert!(moved.stderr.contains("the backup volume can be used only where"), "{moved:?}");
        place.run(&["backup", "move", "--to", "2"]).await.ended(0);
    } else {
        moved.ended(0);
    }
    place.healthy().await;
    place.backup("--full").await;
}
