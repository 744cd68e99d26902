//! Server options that change while clients write: nobody is restarted, and nobody notices.

use std::collections::BTreeMap;

use galeractl::engine::event::Event;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::checker::check;
use crate::place::{Place, in_namespace};
use crate::writers::Writers;

const APPLY: [&str; 3] = ["apply", "--progress", "json"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_change_while_the_servers_run() {
    in_namespace("live", async |place| {
        wish(place, "max_connections=200");
        place.up(&[]).await.ended(0);
        let uuid = place.uuid().await;
        let pods = pods(place).await;
        let writers = Writers::start(place, vec![vec![place.node(1)], vec![place.node(2)]]).await;

        // Killed when all is written and nothing is set; whoever looks sees it, and the second run goes on.
        wish(place, "max_connections=321\nlong_query_time=1.5\nsort_buffer_size=512K\ninnodb_buffer_pool_size=160M");
        let all = place.run(&[&APPLY[..], &["--dry-run"]].concat()).await.ended(0);
        assert!(all.stdout.contains("live, for new connections") && !all.stdout.contains("delete"), "{all:?}");
        let mut run = place.start(&APPLY);
        assert!(run.reaches(|event| matches!(event, Event::StepFinished { step, .. } if step == "settings")).await);
        run.kill().await;
        let late = place.run(&["verify", "-o", "json"]).await.stdout;
        assert!(late.contains("its pod is of an earlier template"), "{late}");
        let ran = place.run(&APPLY).await.ended(0);
        assert!(ran.changes().iter().all(|change| !change.contains(" pod/")), "{ran:?}");
        has(place, "321 1.500000 524288 167772160").await;
        is_current(place).await;
        assert!(place.run(&APPLY).await.ended(0).changes().is_empty());

        // What is no longer wished goes back to what a start would give; what a server refuses changes nothing.
        wish(place, "long_query_time=2");
        let rehearsed = place.run(&[&APPLY[..], &["--dry-run"]].concat()).await.ended(0);
        let ran = place.run(&APPLY).await.ended(0);
        assert_eq!(rehearsed.rehearsed(), ran.acts(), "{rehearsed:?} {ran:?}");
        has(place, "151 2.000000 2097152 134217728").await;
        is_current(place).await;
        wish(place, "long_query_time=2\nsql_mode=FOO");
        let refused = place.run(&APPLY).await.ended(3);
        assert!(refused.stderr.contains("FOO") && refused.changes().is_empty(), "{refused:?}");
        wish(place, "long_query_time=2");
        let refused = place.run(&["apply", "--set", "galera_cluster_volume_size=20Gi"]).await.ended(3);
        assert!(refused.stderr.contains("does not let its volumes grow"), "{refused:?}");
        assert_eq!(self::pods(place).await, pods, "nobody was restarted");
        let journal = writers.stop().await;
        assert!(journal.unknown.is_empty(), "{journal:?}");

        // Whoever starts anew has it from the file.
        place.run(&["restart", "--node", "2"]).await.ended(0);
        has(place, "151 2.000000 2097152 134217728").await;
        is_current(place).await;
        check(place, 2, &uuid, &[&journal]).await;
    })
    .await;
}

/// A cluster of two nodes with these server options.
fn wish(place: &Place, options: &str) {
    let vars = "[all:vars]\ngalera_cluster_nodes=2\ngalera_cluster_haproxy_replicas=1";
    std::fs::write(place.home.path().join("galera.conf"), format!("{vars}\n[mysqld]\n{options}\n")).unwrap();
}

/// What every server has.
async fn has(place: &Place, wanted: &str) {
    let asked = "SELECT CONCAT_WS(' ', @@GLOBAL.max_connections, @@GLOBAL.long_query_time, @@GLOBAL.sort_buffer_size, \
        @@GLOBAL.innodb_buffer_pool_size)";
    for index in 1..=2 {
        let row = place.sql(&place.node(index), asked).await;
        assert_eq!(row[0][0].as_deref(), Some(wanted), "node{index}");
    }
}

async fn is_current(place: &Place) {
    let report = place.run(&["verify", "-o", "json", "--wait", "150s"]).await.ended(0).json();
    let checks = report["checks"].as_array().unwrap();
    let current = checks.iter().find(|check| check["id"] == "settings-current").unwrap();
    assert_eq!(current["mark"], "pass", "{current}");
}

async fn pods(place: &Place) -> BTreeMap<String, (Option<String>, Option<i32>)> {
    let mut pods = BTreeMap::new();
    for index in 1..=2 {
        let pod = place.api::<Pod>().get(&place.node(index)).await.unwrap();
        let restarts =
            pod.status.as_ref().and_then(|status| Some(status.container_statuses.as_ref()?[0].restart_count));
        pods.insert(pod.name_any(), (pod.uid(), restarts));
    }
    pods
}
