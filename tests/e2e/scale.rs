//! More nodes and fewer while clients write, and a killed run that is run again.

use std::time::Duration;

use galeractl::engine::event::Event;
use galeractl::names::Member;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::checker::check;
use crate::place::{Place, in_namespace, parse};
use crate::wait::{holds, until};
use crate::writers::Writers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_and_shrinks_while_clients_write() {
    in_namespace("scale", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "2"]).await.ended(0);
        let uuid = place.uuid().await;
        let writers = Writers::start(place, vec![vec![place.node(1)], vec![place.node(2)]]).await;
        let before = uid(place, 1).await;

        too_many(place).await;

        // Killed when the new members are written down; `up` refuses another number, and the second run goes on.
        let scale = |nodes: &'static str| ["scale", "--progress", "json", "--nodes", nodes];
        let rehearsed = place.run(&[&scale("4")[..], &["--dry-run"]].concat()).await.ended(0);
        let mut run = place.start(&scale("4"));
        assert!(run.reaches(|event| matches!(event, Event::StepFinished { step, .. } if step == "record")).await);
        run.kill().await;
        place.up(&["--nodes", "2"]).await.ended(3);
        let ran = place.run(&scale("4")).await.ended(0);
        assert!(rehearsed.rehearsed().is_superset(&ran.acts()), "{rehearsed:?} {ran:?}");
        assert_eq!(uid(place, 1).await, before, "nobody is restarted");
        place.healthy().await;
        check_now(place, 4, &uuid).await;

        // Killed when the first has left; the other follows, and both volumes stay.
        let mut run = place.start(&scale("2"));
        let left =
            |event: &Event| matches!(event, Event::Notice { message, .. } if message.starts_with("node4 has left"));
        assert!(run.reaches(left).await);
        run.kill().await;
        let ran = place.run(&scale("2")).await.ended(0);
        assert!(ran.changes().contains(&format!("Deleted pod/{}", place.node(3))), "{ran:?}");
        let claims = place.api::<PersistentVolumeClaim>();
        for node in [3, 4] {
            assert!(claims.get_opt(&place.cluster.claim(Member::Node(node))).await.unwrap().is_some());
            let service = place.cluster.member(Member::Node(node));
            assert!(place.api::<Service>().get_opt(&service).await.unwrap().is_none());
        }
        assert!(place.run(&scale("2")).await.ended(0).changes().is_empty());
        place.healthy().await;
        let journal = writers.stop().await;
        eprintln!("{} statements without an answer", journal.unknown.len());
        check(place, 2, &uuid, &[&journal]).await;

        // What has left in good order is missed by nobody, and its node starts from what it had.
        place.run(&["teardown"]).await.ended(0);
        place.up(&["--nodes", "2"]).await.ended(0);
        place.run(&scale("3")).await.ended(0);
        check(place, 3, &uuid, &[&journal]).await;

        // On wish the volumes go.
        let gone = ["scale", "--nodes", "2", "--delete-volumes"];
        place.run(&gone).await.ended(6);
        place.run(&[&gone[..], &["--confirm", place.cluster.as_str()]].concat()).await.ended(0);
        for node in [3, 4] {
            assert!(claims.get_opt(&place.cluster.claim(Member::Node(node))).await.unwrap().is_none());
        }
        place.healthy().await;
    })
    .await;
}

/// What a quota has room for is judged for all new nodes together, and nothing is made.
async fn too_many(place: &Place) {
    let quotas = place.api::<ResourceQuota>();
    let quota = parse(json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "4"}}}));
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    until("the quota to be counted", Duration::from_secs(60), async || {
        let used = quotas.get("few").await.map_err(|error| error.to_string())?.status.and_then(|status| status.used);
        holds(used.is_some_and(|used| used["pods"].0 == "3"), || "not yet".to_owned())
    })
    .await;
    let refused = place.run(&["scale", "--nodes", "4", "--progress", "json"]).await.ended(3);
    assert!(refused.stderr.contains("pods: 2 asked, 1 left of 4 (3 used)"), "{refused:?}");
    assert!(refused.changes().is_empty(), "{refused:?}");
    quotas.delete("few", &DeleteParams::default()).await.unwrap();
}

async fn uid(place: &Place, node: u32) -> Option<String> {
    place.api::<Pod>().get(&place.node(node)).await.unwrap().uid()
}

/// Whether each node is one of a group of so many.
async fn check_now(place: &Place, nodes: u32, uuid: &str) {
    for node in 1..=nodes {
        let size = place.sql(&place.node(node), "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'").await;
        assert_eq!(size[0][1].as_deref(), Some(nodes.to_string().as_str()), "node{node}");
    }
    assert_eq!(place.uuid().await, uuid);
}
