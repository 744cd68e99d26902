//! `verify` says no to every way in which a cluster can be ill, and names the right check.

use std::time::Duration;

use futures::future::join_all;
use galeractl::names::Member;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::place::{Place, in_namespace, parse};
use crate::pods::scale;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_is_wrong() {
    in_namespace("verify", async |place| {
        place.up(&["--nodes", "3"]).await.ended(0);
        place.healthy().await;
        let uuid = place.uuid().await;
        what_does_not_follow(place).await;
        a_node_that_is_down(place).await;
        a_proxy_that_is_wrong(place).await;
        a_split(place).await;
        a_stranger(place).await;
        assert_eq!(place.uuid().await, uuid);
        a_zero_uuid(place).await;
    })
    .await;
}

/// Waits until `verify` fails by this check.
async fn fails(place: &Place, check: &str) -> Vec<String> {
    until(&format!("verify fails by {check}"), LIMIT, async || {
        let (code, failed) = place.verify().await;
        assert_eq!(code == Some(0), failed.is_empty(), "exit code {code:?}, failed: {failed:?}");
        if failed.iter().any(|id| id == check) { Ok(failed) } else { Err(format!("failed: {failed:?}")) }
    })
    .await
}

/// Databases with what people bring from a single server.
async fn what_does_not_follow(place: &Place) {
    let node2 = place.node(2);
    for statement in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.log (id INT PRIMARY KEY) ENGINE=MyISAM",
        "CREATE TABLE shop.bare (a INT)",
        "CREATE EVENT shop.clean ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.bare",
    ] {
        place.sql(&node2, statement).await;
    }
    let checks = async || {
        let report = place.run(&["verify", "-o", "json"]).await.ended(0).json();
        let check =
            |id: &str| report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap().clone();
        (check("tables"), check("events"))
    };
    let (tables, events) = checks().await;
    assert_eq!(tables["mark"], "warning");
    assert_eq!(tables["evidence"], "not replicated: shop.log (MyISAM); without a primary key: shop.bare");
    assert_eq!((&events["mark"], &events["evidence"]), (&json!("pass"), &json!("1 of them")));
    // As all nodes have it after a restore from a node that did not run it.
    place.sql(&node2, "ALTER EVENT shop.clean DISABLE ON SLAVE").await;
    let (_, events) = checks().await;
    assert_eq!(
        (&events["mark"], &events["evidence"]),
        (&json!("warning"), &json!("run nowhere, as after a restore: shop.clean"))
    );
    place.sql(&node2, "DROP DATABASE shop").await;
}

async fn a_node_that_is_down(place: &Place) {
    scale(place, Member::Node(3), 0).await;
    let failed = fails(place, "pods-running").await;
    assert!(!failed.contains(&"primary".to_owned()) && !failed.contains(&"state-uuid".to_owned()), "{failed:?}");
}

/// Where node3 should be, the proxy sees node1.
async fn a_proxy_that_is_wrong(place: &Place) {
    let (name, maps) = (place.cluster.proxy(), place.api::<ConfigMap>());
    let mut data = maps.get(&name).await.unwrap().data.unwrap();
    let address = place.api::<Pod>().get(&place.node(1)).await.unwrap().status.unwrap().pod_ip.unwrap();
    let node3 = format!("\"{}.${{GALERA_DOMAIN}}:3306\"", place.cluster.member(Member::Node(3)));
    let right = data["haproxy.cfg"].clone();
    let wrong = right.replace(&node3, &format!("{address}:3306"));
    assert_ne!(wrong, right);
    data.insert("haproxy.cfg".to_owned(), wrong);
    let map: ConfigMap = parse(json!({"metadata": {"name": "wrong"}, "data": data}));
    maps.create(&PostParams::default(), &map).await.unwrap();
    configure_proxy(place, "wrong").await;
    fails(place, "proxy-backends").await;
    configure_proxy(place, &name).await;
    scale(place, Member::Node(3), 1).await;
    place.healthy().await;
}

async fn configure_proxy(place: &Place, map: &str) {
    let volume = json!({"name": "config", "configMap": {"name": map}});
    let patch = json!({"spec": {"template": {"spec": {"volumes": [volume]}}}});
    let (name, proxies) = (place.cluster.proxy(), place.api::<Deployment>());
    proxies.patch(&name, &PatchParams::default(), &Patch::Strategic(&patch)).await.unwrap();
    until(&format!("the proxy uses configmap/{map}"), LIMIT, async || {
        let proxy = proxies.get(&name).await.unwrap();
        let (generation, status) = (proxy.metadata.generation, proxy.status.unwrap_or_default());
        let counts = [status.replicas, status.updated_replicas, status.available_replicas];
        let wanted = proxy.spec.unwrap().replicas;
        let done = status.observed_generation == generation && counts.iter().all(|count| *count == wanted);
        holds(done, || format!("{counts:?}, wanted {wanted:?}"))
    })
    .await;
}

/// One node alone, first without and then with a Primary component of its own. Its data has to go.
async fn a_split(place: &Place) {
    let node3 = place.node(3);
    place.sql(&node3, "SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'").await;
    let failed = fails(place, "primary").await;
    assert!(!failed.contains(&"one-component".to_owned()), "{failed:?}");

    place.sql(&node3, "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'").await;
    fails(place, "one-component").await;
    let before = place.objects().await;
    let refused = place.up(&[]).await.ended(3);
    assert!(refused.last_word().0.contains("2 Primary components"), "{refused:?}");
    assert_eq!(place.objects().await, before);

    let claim = place.cluster.claim(Member::Node(3));
    let now = DeleteParams::default().grace_period(1);
    place.api::<PersistentVolumeClaim>().delete(&claim, &now).await.unwrap();
    fails(place, "volumes").await;
    place.api::<Pod>().delete(&node3, &now).await.unwrap();
    until(&format!("the end of {claim}"), LIMIT, async || {
        let claim = place.api::<PersistentVolumeClaim>().get_opt(&claim).await.unwrap();
        holds(claim.is_none(), || format!("{:?}", claim.and_then(|claim| claim.status)))
    })
    .await;
    // The claim is the only thing that it needs; a new volume is filled by the others.
    let mended = place.up(&[]).await.ended(0);
    assert!(mended.changes().contains(&format!("Created persistentvolumeclaim/{claim}")), "{:?}", mended.changes());
    place.healthy().await;
}

async fn a_stranger(place: &Place) {
    let node2 = place.node(2);
    place.sql(&node2, "SET GLOBAL wsrep_cluster_address = ''").await;
    fails(place, "members").await;
    place.api::<Pod>().delete(&node2, &DeleteParams::default().grace_period(1)).await.unwrap();
    place.healthy().await;
}

/// Servers that are started by hand after a crash of all, without their positions.
async fn a_zero_uuid(place: &Place) {
    let pods: Vec<String> = (1..=3).map(|index| place.node(index)).collect();
    let held = "touch /run/galeractl/HOLD && kill -9 $(cat /run/galeractl/mysqld.pid)";
    join_all(pods.iter().map(|pod| place.shell(pod, "mariadb", held))).await;
    for pod in &pods {
        until(&format!("{pod} is held"), LIMIT, async || {
            // A server that was killed young is left to Kubernetes, which restarts the container.
            let phase = place.try_shell(pod, "mariadb", "cat /run/galeractl/phase").await?.stdout;
            holds(phase.trim() == "held", || phase)
        })
        .await;
    }
    let by_hand = "PATH=/run/galeractl/bin:$PATH setsid mariadbd --defaults-file=/run/galeractl/my.cnf \
        </dev/null >/tmp/by-hand.log 2>&1 &";
    join_all(pods.iter().map(|pod| place.shell(pod, "mariadb", by_hand))).await;
    let failed = fails(place, "state-uuid").await;
    assert!(failed.contains(&"one-component".to_owned()), "{failed:?}");
}
