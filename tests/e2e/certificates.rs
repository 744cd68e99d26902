//! Certificates and their authority are replaced while servers run: no client notices, and everybody finds each other after.

use std::collections::BTreeSet;

use galeractl::desired::Authority;
use galeractl::engine::event::Event;
use galeractl::names::Member;
use galeractl::sql::Identity;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::checker::check;
use crate::place::{Place, in_namespace};
use crate::pods::gets_a_copy;
use crate::writers::Writers;

const NODES: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load() {
    in_namespace("certificates", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "3"]).await.ended(0);
        place.healthy().await;
        let (uuid, pods) = (place.uuid().await, starts(place).await);

        let writers = writers(place).await;
        one_is_renewed(place).await;
        all_are_renewed(place).await;
        a_broken_secret_is_named(place).await;
        assert_eq!(starts(place).await, pods, "nobody was restarted");
        let first = writers.stop().await;
        assert!(first.unknown.is_empty() && first.refused.is_empty(), "{first:?}");
        a_node_joins(place).await;

        let pods = starts(place).await;
        let writers = self::writers(place).await;
        the_authority_is_replaced(place).await;
        assert_eq!(starts(place).await, pods, "nobody was restarted");
        let second = writers.stop().await;
        assert!(second.unknown.is_empty() && second.refused.is_empty(), "{second:?}");
        a_node_joins(place).await;
        gets_a_copy(place, 3).await;
        check(place, 3, &uuid, &[&first, &second]).await;
    })
    .await;
}

/// A writer that comes through the proxy and verifies the server.
async fn writers(place: &Place) -> Writers {
    let secret = place.api::<Secret>().get(&place.cluster.authority()).await.unwrap();
    let authority = Authority(String::from_utf8(secret.data.unwrap()["ca.crt"].0.clone()).unwrap());
    let door = place.root().await.proved(Identity { authority, name: place.cluster.proxy() });
    let writers = Writers::through(place, door, vec![place.proxy_pods().await]).await;
    crate::wait::until("the first row", std::time::Duration::from_secs(20), async || {
        crate::wait::holds(writers.acknowledged() > 0, || "none yet".to_owned())
    })
    .await;
    writers
}

/// Which servers run, since when.
async fn starts(place: &Place) -> Vec<String> {
    let mut starts = Vec::new();
    for node in NODES {
        let pod = place.api::<Pod>().get(&place.cluster.pod(node)).await.unwrap();
        let state = pod.status.unwrap().container_statuses.unwrap();
        starts.push(format!(
            "{:?} {:?}",
            pod.metadata.uid,
            state.iter().map(|state| (&state.state, state.restart_count)).collect::<Vec<_>>()
        ));
    }
    starts
}

async fn shown(place: &Place) -> Value {
    place.run(&["certificates", "-o", "json"]).await.ended(0).json()
}

/// Fingerprints of what the servers show, after each has loaded what its Secret holds.
fn loaded(shown: &Value) -> Vec<String> {
    let servers = shown["servers"].as_array().unwrap();
    assert!(servers.len() == 3 && servers.iter().all(|server| server["loaded"] == true), "{shown}");
    servers.iter().map(|server| server["shown"]["fingerprint"].as_str().unwrap().to_owned()).collect()
}

async fn one_is_renewed(place: &Place) {
    let before = loaded(&shown(place).await);
    let planned = place.run(&["certificates", "renew", "--node", "2", "--dry-run"]).await.ended(0);
    assert_eq!(loaded(&shown(place).await), before);
    let renewed = place.run(&["certificates", "renew", "--node", "2", "--progress", "json"]).await.ended(0);
    assert_eq!(planned.rehearsed(), renewed.acts());
    let after = loaded(&shown(place).await);
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_ne!(after[1], before[1]);
    place.run(&["certificates", "renew", "--node", "4"]).await.ended(2);
}

async fn all_are_renewed(place: &Place) {
    let before = loaded(&shown(place).await);
    // Killed after the first Secret was written, which the next run finds.
    let mut killed = place.start(&["certificates", "renew", "--progress", "json"]);
    assert!(
        killed.reaches(|event| matches!(event, Event::Object { object, .. } if object.contains("node1-tls"))).await
    );
    killed.kill().await;
    place.run(&["certificates", "renew", "--lock-wait", "60s"]).await.ended(0);
    let after = loaded(&shown(place).await);
    assert!(before.iter().all(|old| !after.contains(old)), "{before:?} {after:?}");
    assert!(!place.run(&["certificates"]).await.ended(0).stdout.contains("not loaded"));
    place.healthy().await;
}

async fn a_broken_secret_is_named(place: &Place) {
    let name = place.cluster.certificate(Member::Node(3));
    let secrets = place.api::<Secret>();
    let good = secrets.get(&name).await.unwrap().data.unwrap()["tls.crt"].clone();
    let set = async |value: Value| {
        let patch = json!({"data": {"tls.crt": value}});
        secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    };
    set(json!("eA==")).await;
    for verb in [&["renew"][..], &["rotate"], &["rotate", "--dry-run"]] {
        let refused = place.run(&[&["certificates"], verb].concat()).await.ended(3);
        assert!(refused.stderr.contains(&name), "{refused:?}");
    }
    set(json!(good)).await;
}

/// Killed in every part, and run again: it goes on with what is there. One of the Secrets was repaired by hand before.
async fn the_authority_is_replaced(place: &Place) {
    let before = shown(place).await;
    let planned = place.run(&["certificates", "rotate", "--dry-run"]).await.ended(0);
    assert_eq!(planned.rehearsed().len(), 4, "{planned:?}");
    place.run(&["certificates", "rotate", "--begin", "--take-ownership"]).await.ended(0);
    let begun = shown(place).await;
    assert_eq!(begun["authorities"].as_array().unwrap().len(), 2, "{begun}");
    assert_eq!(loaded(&begun), loaded(&before), "nobody has another certificate yet");
    place.run(&["certificates", "renew"]).await.ended(3);
    place.up(&["--nodes", "3"]).await.ended(0);
    for step in ["trust", "sign", "retire"] {
        let mut killed =
            place.start(&["certificates", "rotate", "--take-ownership", "--progress", "json", "--lock-wait", "60s"]);
        let at = |event: &Event| matches!(event, Event::StepStarted { step: begun, .. } if begun == step);
        assert!(killed.reaches(at).await, "{step}: {:?}", killed.end().await);
        if step != "trust" {
            killed
                .reaches(|event| matches!(event, Event::Object { object, .. } if object.ends_with("node2-tls")))
                .await;
        }
        killed.kill().await;
        place.healthy().await;
    }
    place.run(&["certificates", "rotate", "--take-ownership", "--lock-wait", "60s"]).await.ended(0);
    let after = shown(place).await;
    let (old, new): (BTreeSet<_>, BTreeSet<_>) =
        (loaded(&before).into_iter().collect(), loaded(&after).into_iter().collect());
    assert!(old.is_disjoint(&new));
    let authorities = after["authorities"].as_array().unwrap();
    assert_eq!(authorities.len(), 1, "{after}");
    assert_ne!(authorities[0]["fingerprint"], before["authorities"][0]["fingerprint"]);
    let signer = &authorities[0]["fingerprint"];
    assert!(after["servers"].as_array().unwrap().iter().all(|server| server["signedBy"] == *signer), "{after}");
    place.healthy().await;
}

async fn a_node_joins(place: &Place) {
    place.api::<Pod>().delete(&place.node(1), &DeleteParams::default()).await.unwrap();
    place.healthy().await;
    loaded(&shown(place).await);
}
