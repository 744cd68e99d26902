//! Manifests that are applied by hand, with nobody who looks after the nodes.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use galeractl::names::Member;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;

use crate::applied::{apply, delete, documents, ready, steps};
use crate::place::{Place, in_namespace};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_applied_one_after_the_other_form_a_cluster() {
    in_namespace("hand", async |place| {
        let folder = place.home.path().join("manifests");
        let folder_text = folder.to_str().unwrap();
        place.run(&["render", "--out", folder_text]).await.ended(0);
        assert!(!holds_secret(&folder));
        place.run(&["render", "--out", folder_text, "--show-secrets"]).await.ended(2);
        place.run(&["render", "--out", folder_text, "--show-secrets", "--force"]).await.ended(0);
        assert!(holds_secret(&folder));

        // The seed begins when all nodes have said that their volumes are empty.
        apply(place, &steps(&folder, 3, &["volumes", "seed", "nodes"])).await;
        ready(place, &[place.cluster.pod(Member::Seed)]).await;
        let nodes: Vec<String> = (1..=3).map(|index| place.node(index)).collect();
        ready(place, &nodes).await;
        apply(place, &steps(&folder, 3, &["haproxy"])).await;
        delete(place, &steps(&folder, 3, &["seed"])).await;
        agree(place, &nodes).await;

        // Nobody has told them that the group is formed, and yet they come back.
        replaced(place, &nodes[1]).await;
        ready(place, &nodes).await;
        agree(place, &nodes).await;
        join_all(nodes.iter().map(|node| kill(place, node))).await;
        agree(place, &nodes).await;

        // And galeractl takes over what it has not formed.
        place.up(&["--nodes", "3", "--take-ownership"]).await.ended(0);
        place.healthy().await;
    })
    .await;
}

fn holds_secret(folder: &Path) -> bool {
    documents(&folder.join("galera-3-volumes.yml")).iter().any(|document| document["kind"] == "Secret")
}

/// Waits until each node sees a group of exactly these.
async fn agree(place: &Place, nodes: &[String]) {
    let door = place.root().await;
    until("all nodes Synced without the seed", LIMIT, async || {
        for pod in nodes {
            let mut sql = door.open(pod).await.map_err(|error| format!("{pod}: {error}"))?;
            for (name, wanted) in [
                ("wsrep_cluster_size", "3"),
                ("wsrep_local_state_comment", "Synced"),
                ("wsrep_cluster_status", "Primary"),
            ] {
                let rows = sql.query(&format!("SHOW GLOBAL STATUS LIKE '{name}'")).await;
                let rows = rows.map_err(|error| format!("{pod}: {error}"))?;
                let value = rows.first().and_then(|row| row[1].clone()).unwrap_or_default();
                holds(value == wanted, || format!("{pod}: {name} is {value}"))?;
            }
        }
        Ok(())
    })
    .await;
}

/// Deletes a pod and waits for the next one of its name.
async fn replaced(place: &Place, pod: &str) {
    let pods = place.api::<Pod>();
    let before = pods.get(pod).await.unwrap().uid();
    pods.delete(pod, &DeleteParams::default()).await.unwrap();
    until(&format!("another {pod}"), LIMIT, async || {
        let now = pods.get_opt(pod).await.unwrap().and_then(|pod| pod.uid());
        holds(now.is_some() && now != before, || format!("{now:?}"))
    })
    .await;
}

async fn kill(place: &Place, pod: &str) {
    let output = place.shell(pod, "mariadb", "kill -9 $(cat /run/galeractl/mysqld.pid)").await;
    assert_eq!(output.exit_code, 0, "{output:?}");
}
