//! Where the network enforces policies, a port is closed to whoever has no business there, and open to all others.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::DeleteParams;

use crate::helper::Helper;
use crate::place::{Place, in_namespace, within};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(30);
const UP: [&str; 4] =
    ["--nodes=2", "--backup", "--set=galera_cluster_haproxy_replicas=1", "--set=galera_cluster_tls=off"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_closed_to_strangers() {
    in_namespace("policies", async |place| {
        place.up(&UP).await.ended(0);
        place.healthy().await;
        // What a trial needs: its Job gets the backup from the reader.
        let backup = place.backup("--full").await;
        place.run(&["backup", "verify", &backup]).await.ended(0);

        let (node, proxy) = (address(place, &place.node(1)).await, address(place, &place.proxy_pods().await[0]).await);
        let inside = Helper::start(place, "inside", None).await;
        reaches(&inside, &proxy, 3306, true).await;
        for (host, port) in [(&node, 3306), (&node, 4567), (&node, 9200), (&proxy, 8404)] {
            reaches(&inside, host, port, false).await;
        }
        // It is the policy that closes it, and not something else.
        let policies = place.api::<NetworkPolicy>();
        policies.delete(&place.cluster.members_policy(), &DeleteParams::default()).await.unwrap();
        reaches(&inside, &node, 4567, true).await;
        assert_eq!(holds_policies(place).await, "warning");
        place.up(&UP).await.ended(0);
        reaches(&inside, &node, 4567, false).await;
        assert_eq!(holds_policies(place).await, "pass");

        within(&format!("{}-far", place.namespace), "far", async |far| {
            let outside = Helper::start(far, "outside", None).await;
            reaches(&outside, &proxy, 3306, false).await;
            place.run(&["expose", "--coreos"]).await.ended(0);
            reaches(&outside, &proxy, 3306, true).await;
            reaches(&outside, &node, 3306, false).await;
            place.run(&["unexpose"]).await.ended(0);
            reaches(&outside, &proxy, 3306, false).await;
            let allowed = format!("--set=galera_cluster_allow_from={}", far.namespace);
            let metrics = format!("--set=galera_cluster_metrics_from={}", far.namespace);
            place.up(&[&UP[..], &[&allowed, &metrics]].concat()).await.ended(0);
            reaches(&outside, &proxy, 3306, true).await;
            reaches(&outside, &proxy, 8404, true).await;
            reaches(&outside, &node, 4567, false).await;
        })
        .await;
        place.healthy().await;
    })
    .await;
}

/// What `verify` says of the network.
async fn holds_policies(place: &Place) -> String {
    let report = place.run(&["verify", "-o", "json"]).await.json();
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "network-policies").unwrap();
    check["mark"].as_str().unwrap().to_owned()
}

async fn address(place: &Place, pod: &str) -> String {
    place.api::<Pod>().get(pod).await.unwrap().status.unwrap().pod_ip.unwrap()
}

/// Waits until a connection from there comes to be, or comes to nothing.
async fn reaches(from: &Helper<'_>, host: &str, port: u16, expected: bool) {
    let knock = format!("timeout 1 bash -c '</dev/tcp/{host}/{port}' 2>/dev/null && echo open || echo closed");
    until(&format!("{host}:{port} is open: {expected}"), LIMIT, async || {
        let said = from.run(&knock).await;
        holds((said.trim() == "open") == expected, || said.trim().to_owned())
    })
    .await;
}
