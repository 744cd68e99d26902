//! A cluster that has been formed needs nobody: pods and hosts go, servers are killed, and it comes back by itself.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use galeractl::kube::logs;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, EvictParams, ListParams};

use crate::checker::check;
use crate::place::{Place, every_case, without_others};
use crate::pods::KILL;
use crate::wait::{holds, until};
use crate::writers::Writers;

const LIMIT: Duration = Duration::from_secs(120);
/// How often all servers are killed: each time they have to grow up first.
fn rounds() -> u32 {
    if every_case() { 10 } else { 2 }
}
/// A server that dies younger than ten seconds is left to Kubernetes.
const GROWN_UP: u64 = 11;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_formed_cluster_comes_back_by_itself() {
    without_others(&format!("e2e-alone-{}", std::process::id()), "shop", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "3"]).await.ended(0);
        let uuid = place.uuid().await;
        let nodes: Vec<String> = (1..=3).map(|index| place.node(index)).collect();
        let writers = Writers::start(place, nodes.iter().chain(&nodes).map(|pod| vec![pod.clone()]).collect()).await;

        a_deleted_pod_rejoins_without_a_full_transfer(place, &nodes[1]).await;
        all_synced(place, &nodes, &uuid).await;
        a_drained_host(place, &nodes[2]).await;
        all_synced(place, &nodes, &uuid).await;

        grown_up(place, &nodes).await;
        let begun = Instant::now();
        place.shell(&nodes[0], "mariadb", KILL).await;
        restarted(place, &nodes[..1], begun).await;
        all_synced(place, &nodes, &uuid).await;
        for round in 1..=rounds() {
            grown_up(place, &nodes).await;
            let before = writers.acknowledged();
            let begun = Instant::now();
            join_all(nodes.iter().map(|pod| place.shell(pod, "mariadb", KILL))).await;
            restarted(place, &nodes, begun).await;
            all_synced(place, &nodes, &uuid).await;
            eprintln!("all killed, round {round}: all Synced after {:.1} s", begun.elapsed().as_secs_f32());
            until("writes go on", LIMIT, async || {
                let now = writers.acknowledged();
                holds(now > before + 10, || format!("{before} rows before the kill, {now} now"))
            })
            .await;
        }
        let journal = writers.stop().await;
        place.healthy().await;
        assert_eq!(place.uuid().await, uuid);
        check(place, 3, &uuid, &[&journal]).await;
        for pod in &nodes {
            let pod = place.api::<Pod>().get(pod).await.unwrap();
            let statuses = pod.status.unwrap().container_statuses.unwrap();
            assert_eq!(statuses[0].restart_count, 0, "servers are restarted inside of their containers");
        }
    })
    .await;
}

async fn uid(place: &Place, pod: &str) -> Option<String> {
    place.api::<Pod>().get_opt(pod).await.unwrap().and_then(|pod| pod.uid())
}

/// Waits until all nodes are Synced members of one group of the right size and history.
async fn all_synced(place: &Place, nodes: &[String], uuid: &str) {
    let door = place.root().await;
    until("all nodes Synced", LIMIT, async || {
        for pod in nodes {
            let mut sql = door.open(pod).await.map_err(|error| format!("{pod}: {error}"))?;
            let rows = sql
                .query(
                    "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN \
                     ('wsrep_cluster_size', 'wsrep_cluster_state_uuid', 'wsrep_cluster_status', \
                     'wsrep_local_state_comment') ORDER BY VARIABLE_NAME",
                )
                .await
                .map_err(|error| format!("{pod}: {error}"))?;
            let values: Vec<&str> = rows.iter().filter_map(|row| row[0].as_deref()).collect();
            let wanted = [nodes.len().to_string(), uuid.to_owned(), "Primary".to_owned(), "Synced".to_owned()];
            holds(values == wanted, || format!("{pod}: {values:?}"))?;
        }
        Ok(())
    })
    .await;
}

/// Waits until the servers of these pods are younger than those that were killed, which had been grown up at `begun`.
async fn restarted(place: &Place, pods: &[String], begun: Instant) {
    let door = place.root().await;
    until("the servers are started again", LIMIT, async || {
        for pod in pods {
            let mut sql = door.open(pod).await.map_err(|error| format!("{pod}: {error}"))?;
            let uptime = uptime(&mut sql).await.map_err(|error| format!("{pod}: {error}"))?;
            holds(uptime < GROWN_UP + begun.elapsed().as_secs(), || format!("{pod} has been up for {uptime} s"))?;
        }
        Ok(())
    })
    .await;
}

async fn grown_up(place: &Place, pods: &[String]) {
    let door = place.root().await;
    until("the servers have been up for a while", LIMIT, async || {
        for pod in pods {
            let mut sql = door.open(pod).await.map_err(|error| format!("{pod}: {error}"))?;
            let uptime = uptime(&mut sql).await.map_err(|error| format!("{pod}: {error}"))?;
            holds(uptime > GROWN_UP, || format!("{pod} has been up for {uptime} s"))?;
        }
        Ok(())
    })
    .await;
}

async fn uptime(sql: &mut crate::sql::Sql) -> Result<u64, galeractl::sql::SqlError> {
    let rows = sql.query("SHOW GLOBAL STATUS LIKE 'Uptime'").await?;
    Ok(rows[0][1].as_deref().unwrap().parse().unwrap())
}

async fn a_deleted_pod_rejoins_without_a_full_transfer(place: &Place, pod: &str) {
    let before = uid(place, pod).await;
    place.api::<Pod>().delete(pod, &DeleteParams::default()).await.unwrap();
    until(&format!("another {pod}"), LIMIT, async || {
        let now = uid(place, pod).await;
        holds(now.is_some() && now != before, || format!("{now:?}"))
    })
    .await;
    let (streams, lines) = (&place.connection.streams, 4000);
    until(&format!("{pod} is Synced"), LIMIT, async || {
        let log = logs::tail(streams, &place.namespace, pod, "mariadb", lines, false).await;
        let log = log.map_err(|failure| failure.to_string())?;
        let synced = log.iter().any(|line| line.contains("event=wsrep status=synced"));
        holds(synced, || log.last().cloned().unwrap_or_default())
    })
    .await;
    let log = logs::tail(streams, &place.namespace, pod, "mariadb", lines, false).await.unwrap();
    let said = |what: &str| log.iter().any(|line| line.contains(what));
    assert!(said("event=position position="), "{pod} did not find its position");
    let increment = said("IST completed on joiner") && !said("SST completed on joiner");
    assert!(increment, "{pod} took a full transfer:\n{}", log.join("\n"));
}

/// Cordons a host, evicts what the cluster has there as far as the disruption budgets allow, and lets it come back.
async fn a_drained_host(place: &Place, pod: &str) {
    let pods = place.api::<Pod>();
    let host = pods.get(pod).await.unwrap().spec.unwrap().node_name.unwrap();
    let hosts: Api<Node> = Api::all(place.connection.client.clone());
    hosts.cordon(&host).await.unwrap();
    let drained = AssertUnwindSafe(drain(place, &host)).catch_unwind().await;
    hosts.uncordon(&host).await.unwrap();
    if let Err(panic) = drained {
        std::panic::resume_unwind(panic);
    }
}

async fn drain(place: &Place, host: &str) {
    let pods = place.api::<Pod>();
    let on_host = ListParams::default().fields(&format!("spec.nodeName={host}"));
    let evicted = pods.list(&on_host).await.unwrap();
    for pod in &evicted {
        let name = pod.name_any();
        until(&format!("the eviction of {name}"), LIMIT, async || {
            pods.evict(&name, &EvictParams::default()).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }
    until(&format!("{host} is empty"), LIMIT, async || {
        let uids: Vec<Option<String>> = pods.list(&on_host).await.unwrap().iter().map(ResourceExt::uid).collect();
        let left: Vec<String> =
            evicted.iter().filter(|pod| uids.contains(&pod.uid())).map(ResourceExt::name_any).collect();
        holds(left.is_empty(), || format!("{left:?} are still there"))
    })
    .await;
}
