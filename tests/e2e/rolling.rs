//! Nodes that are restarted while clients write through the proxy, and a restart that is killed between two nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use galeractl::engine::event::Event;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::checker::check;
use crate::place::{Place, in_namespace};
use crate::writers::Writers;

/// A member that is killed keeps all others waiting for longer than five seconds; one that says goodbye does not, however busy
/// the machine is.
const PAUSE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_one_by_one_while_clients_write() {
    in_namespace("rolling", async |place| {
        place.up(&["--nodes", "3"]).await.ended(0);
        let uuid = place.uuid().await;
        let proxies = place.proxy_pods().await;
        let backwards = proxies.iter().rev().cloned().collect();
        let writers = Writers::start(place, vec![proxies.clone(), backwards]).await;
        let first = uids(place).await;

        let rehearsed = place.run(&["restart", "--dry-run"]).await.ended(0);
        assert!(rehearsed.stdout.contains("missing writes (IST)"), "{rehearsed:?}");

        // Killed when the first node is back; the second run restarts the others, and not that one again.
        let option = ["--set", "galera_cluster_gcache_size=200M"];
        let apply = |more: &[&'static str]| [&["apply", "--progress", "json"][..], &option, more].concat();
        let all = place.run(&apply(&["--dry-run"])).await.ended(0).rehearsed();
        let goes =
            |node| all.iter().any(|[_, object, how]| *object == format!("pod/{}", place.node(node)) && how == "delete");
        assert!((1..=3).all(goes), "{all:?}");
        let mut run = place.start(&apply(&[]));
        let back =
            |event: &Event| matches!(event, Event::Notice { message, .. } if message.starts_with("node3 serves"));
        assert!(run.reaches(back).await);
        run.kill().await;
        let between = uids(place).await;
        let rehearsed = place.run(&apply(&["--dry-run"])).await.ended(0);
        let ran = place.run(&apply(&[])).await.ended(0);
        assert_eq!(rehearsed.rehearsed(), ran.acts(), "{rehearsed:?} {ran:?}");
        assert_eq!(deleted(&ran.changes()), [place.node(2), place.node(1)], "{ran:?}");
        let second = uids(place).await;
        assert_ne!(first[&place.node(3)], between[&place.node(3)]);
        assert_eq!(between[&place.node(3)], second[&place.node(3)]);
        assert!(first.iter().all(|(pod, uid)| second[pod] != *uid), "{first:?} {second:?}");
        assert!(place.run(&apply(&[])).await.ended(0).changes().is_empty());
        place.run(&["apply", "--set", "galera_cluster_volume_size=1Gi"]).await.ended(3);
        let size = place.sql(&place.node(2), "SELECT @@wsrep_provider_options").await;
        assert!(size[0][0].as_deref().unwrap().contains("gcache.size = 200M"), "{size:?}");

        // `up` writes and names; one node that came anew by itself is not restarted again.
        let said = place.up(&["--set", "galera_cluster_gcache_size=128M"]).await.ended(0);
        assert!(said.stderr.contains("node1, node2, node3 run with earlier settings"), "{}", said.stderr);
        let ran = place.run(&["restart", "--node", "1", "--progress", "json"]).await.ended(0);
        assert_eq!(deleted(&ran.changes()), [place.node(1)]);

        let pause = writers.longest();
        let journal = writers.stop().await;
        eprintln!("longest pause {pause:?}, {} statements without an answer", journal.unknown.len());
        check(place, 3, &uuid, &[&journal]).await;
        assert!(pause < PAUSE, "{pause:?}");
        place.healthy().await;
    })
    .await;
}

async fn uids(place: &Place) -> BTreeMap<String, String> {
    let pods = place.api::<Pod>();
    let mut uids = BTreeMap::new();
    for index in 1..=3 {
        let pod = pods.get(&place.node(index)).await.unwrap();
        uids.insert(pod.name_any(), pod.uid().unwrap());
    }
    uids
}

/// Pods that were deleted, in this order.
fn deleted(changes: &[String]) -> Vec<String> {
    changes.iter().filter_map(|change| change.strip_prefix("Deleted pod/")).map(str::to_owned).collect()
}
