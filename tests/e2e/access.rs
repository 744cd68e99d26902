//! Access from outside: open, limited, over its time, closed; and what differs from the settings.

use std::collections::BTreeSet;
use std::time::Duration;

use galeractl::sql::greeting;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::place::{Place, in_namespace, parse};
use crate::process::Ran;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_opened_to_the_outside_and_closed_again() {
    in_namespace("access", async |place| {
        place.run(&["expose"]).await.ended(3);
        // Doors have a policy of their own where the cluster has none.
        place.up(&["--nodes", "1", "--set=galera_cluster_network_policies=no"]).await.ended(0);
        a_port_on_every_host(place).await;
        an_address_of_a_load_balancer(place).await;
        what_differs_is_told(place).await;
        place.run(&["expose", "--type", "nodeport"]).await.ended(0);
        place.run(&["teardown", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
        assert_eq!(place.leftovers().await, Vec::<String>::new());
    })
    .await;
}

/// Where `mariadb -h HOST -P PORT …` leads to.
fn address(printed: &str) -> (String, u16) {
    let words: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!((words[0], words[1], words[3]), ("mariadb", "-h", "-P"), "{printed}");
    (words[2].to_owned(), words[4].parse().unwrap())
}

/// A run that does something, and exactly what its dry run has said.
async fn as_rehearsed(place: &Place, args: &[&str]) -> Ran {
    let plan = place.run(&[args, &["--dry-run"]].concat()).await.ended(0);
    let ran = place.run(&[args, &["--progress", "json"]].concat()).await.ended(0);
    assert_eq!(ran.acts(), plan.rehearsed());
    assert_ne!(ran.acts(), BTreeSet::new());
    ran
}

async fn a_port_on_every_host(place: &Place) {
    let planned = place.run(&["expose", "--coreos", "--dry-run"]).await.ended(0);
    assert!(planned.stdout.contains("create"), "{planned:?}");
    assert_eq!(place.api::<Service>().list(&ListParams::default()).await.unwrap().items.len(), 2, "node and proxy");

    let opened = place.run(&["expose", "--coreos", "--for", "1s", "--progress", "json"]).await.ended(0);
    assert_eq!(opened.acts(), planned.rehearsed());
    assert!(opened.stderr.contains("open to everybody"), "{opened:?}");
    let (host, port) = address(&opened.stdout);
    assert!(greeting(&host, port).await.unwrap().contains("MariaDB"));

    let taken = format!("--node-port={port}");
    let other: Service = parse(json!({
        "metadata": {"name": "other"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "none"}},
    }));
    let other = place.api::<Service>().create(&PostParams::default(), &other).await.unwrap();
    let theirs = other.spec.unwrap().ports.unwrap()[0].node_port.unwrap();
    let busy = format!("--node-port={theirs}");
    for args in [&["expose", "--coreos", &busy][..], &["expose", "--coreos", &busy, "--dry-run"]] {
        let refused = place.run(args).await.ended(3);
        assert!(refused.stderr.contains("is taken by service/other in namespace"), "{refused:?}");
        assert!(refused.stderr.contains("--node-port "), "{refused:?}");
    }

    until("its time is over", LIMIT, async || {
        let (_, failed) = place.verify().await;
        holds(failed == ["exposure"], || format!("{failed:?}"))
    })
    .await;
    let status = place.run(&["status"]).await.ended(0);
    assert!(status.stdout.contains("over since"), "{status:?}");

    let closed = as_rehearsed(place, &["unexpose", "--expired"]).await;
    assert!(closed.stderr.contains("nobody answers at"), "{closed:?}");
    assert!(greeting(&host, port).await.is_err());
    place.healthy().await;
    let limited = ["expose", "--coreos", &taken, "--allow", "10.0.0.0/8,127.0.0.1"];
    let reopened = as_rehearsed(place, &limited).await;
    assert_eq!(address(&reopened.stdout).1, port);
    assert_eq!(place.api::<NetworkPolicy>().list(&ListParams::default()).await.unwrap().items.len(), 1);
    as_rehearsed(place, &["expose", "--coreos", &taken]).await;
    assert_eq!(place.api::<NetworkPolicy>().list(&ListParams::default()).await.unwrap().items.len(), 0);
    place.run(&limited).await.ended(0);
    as_rehearsed(place, &["unexpose"]).await;
    assert_eq!(place.api::<NetworkPolicy>().list(&ListParams::default()).await.unwrap().items.len(), 0);
    let nothing = place.run(&["unexpose"]).await.ended(0);
    assert!(nothing.stderr.contains("none is open"), "{nothing:?}");
    let plan = place.run(&["unexpose", "--dry-run"]).await.ended(0);
    assert!(plan.stdout.is_empty() && plan.stderr.contains("nothing to close"), "{plan:?}");
}

/// Plays the controller that a cloud has, unless there is one.
async fn an_address_of_a_load_balancer(place: &Place) {
    let pending = place.run(&["expose", "--pks", "--timeout", "4s"]).await;
    let name = place.cluster.external_load_balancer();
    let services: Api<Service> = place.api();
    if pending.code != Some(0) {
        let pending = pending.ended(4);
        assert!(pending.stderr.contains("none is assigned yet"), "{pending:?}");
        assert!(pending.stderr.contains("--type nodeport"), "{pending:?}");
        let proxy = place.proxy_pods().await.remove(0);
        let host = place.api::<Pod>().get(&proxy).await.unwrap().status.unwrap().host_ip.unwrap();
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": host}]}}});
        services.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }
    let opened = place.run(&["expose", "--pks"]).await.ended(0);
    let (host, port) = address(&opened.stdout);
    assert_eq!(port, 3306);
    assert!(greeting(&host, port).await.unwrap().contains("MariaDB"));
    place.run(&["unexpose"]).await.ended(0);
    assert!(services.get_opt(&name).await.unwrap().is_none());
    assert!(greeting(&host, port).await.is_err());
}

async fn what_differs_is_told(place: &Place) {
    let same = place.run(&["diff"]).await.ended(0);
    assert_eq!(same.stdout, "");
    let before = place.objects().await;
    let changed = ["diff", "--nodes", "1", "--set", "galera_cluster_haproxy_replicas=3"];
    let told = place.run(&changed).await.ended(1);
    assert!(told.stdout.contains("spec.replicas: 2 → 3"), "{told:?}");
    let json = place.run(&[&changed[..], &["-o", "json"]].concat()).await.ended(1).json();
    let objects: Vec<&str> = json.as_array().unwrap().iter().map(|entry| entry["object"].as_str().unwrap()).collect();
    assert!(objects.contains(&format!("deployment/{}", place.cluster.proxy()).as_str()), "{objects:?}");
    assert_eq!(place.objects().await, before);
}
