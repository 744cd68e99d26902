//! The example for `CoreOS`: volumes that are made by hand, emptied when the cluster is gone, and used again. Hosts of
//! tests have no iSCSI, so the volumes of these names lie on the hosts.

use std::path::Path;
use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::place::{Place, beside_others, parse};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coreos_example_forms_a_cluster_on_volumes_made_by_hand() {
    beside_others("web", "tier1", async |place| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/coreos.conf");
        let file = file.to_str().unwrap();
        let members = [Member::Seed, Member::Node(1), Member::Node(2), Member::Node(3)];
        let sources = places_on_hosts(place, &members).await;
        make_volumes(place, &members, &sources).await;
        make_share(place).await;

        let refused = place.reaching(&["up", "-f", file]).end().await.ended(3);
        assert!(refused.stderr.contains("tier1-galera-seed-volume exists and is not what"), "{refused:?}");
        assert!(refused.stderr.contains("spec.iscsi"), "{refused:?}");

        let up = ["up", "--progress", "json", "--take-ownership", "-f", file];
        place.reaching(&up).end().await.ended(0);
        place.healthy().await;
        let table = ["SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'drupaldb'"];
        assert_eq!(place.sql(&place.node(3), table[0]).await, [[Some("1".to_owned())]]);

        // The backups lie where every host reaches them, so another node can take them over.
        place.backup("--full").await;
        let to_one = ["backup", "move", "--to", "1", "--progress", "json"];
        let planned = place.run(&[&to_one[..], &["--dry-run"]].concat()).await.ended(0).rehearsed();
        assert_eq!(place.run(&to_one).await.ended(0).acts(), planned);
        place.healthy().await;
        // Its data is another copy, so nothing of before is a base.
        place.backup("--full").await;
        place.backup("--incremental").await;

        let busy = place.reaching(&["purge", "-f", file, "--confirm", "tier1"]).end().await.ended(3);
        assert!(busy.stderr.contains("is not down"), "{busy:?}");
        place.sql(&place.node(1), "CREATE TABLE drupaldb.node (nid INT PRIMARY KEY)").await;
        place.sql(&place.node(1), "INSERT INTO drupaldb.node VALUES (7)").await;
        let uuid = status_uuid(place).await;
        place.reaching(&["teardown", "--name", "tier1", "-n", "web"]).end().await.ended(0);
        // The seed's claim went when the cluster was formed, and its volume, made by hand, waits for somebody to decide.
        let released = place.reaching(&["purge", "-f", file, "--take-ownership", "--dry-run"]).end().await.ended(3);
        assert!(released.stderr.contains("tier1-galera-seed-volume is Released"), "{released:?}");
        let shown =
            place.reaching(&["purge", "-f", file, "--take-ownership", "--released", "--dry-run"]).end().await.ended(0);
        for member in members {
            assert!(shown.stdout.contains(&place.cluster.claim(member)), "{shown:?}");
        }

        forget_volumes(place, &members).await;
        make_volumes(place, &members, &sources).await;
        // Nothing in Kubernetes knows any more that there is data, and yet it is found.
        let back = place.reaching(&up).end().await.ended(0);
        assert!(!back.changes().iter().any(|change| change.contains("pod/tier1-galera-seed")), "{:?}", back.changes());
        place.healthy().await;
        assert_eq!(status_uuid(place).await, uuid);
        assert_eq!(place.sql(&place.node(3), "SELECT nid FROM drupaldb.node").await, [[Some("7".to_owned())]]);

        place.reaching(&["teardown", "--name", "tier1", "-n", "web"]).end().await.ended(0);
        let purge = ["purge", "-f", file, "--take-ownership"];
        place.reaching(&purge).end().await.ended(6);
        place.reaching(&[&purge[..], &["--confirm", "tier2"]].concat()).end().await.ended(6);
        let purged = place.reaching(&[&purge[..], &["--confirm", "tier1"]].concat()).end().await.ended(0);
        assert!(purged.stderr.contains("emptied and looked at again: 4 volumes"), "{purged:?}");
        let again = place.reaching(&purge).end().await.ended(0);
        assert!(again.stderr.contains("nothing to do"), "{again:?}");
    })
    .await;
}

/// The volume of the backups: a folder that all hosts of the tests have, in place of a share.
async fn make_share(place: &Place) {
    let source = place_on_host(place, "backup").await;
    let name = place.cluster.backup_volume();
    let volume = json!({
        "metadata": {"name": name, "labels": {"volume": name, "app.kubernetes.io/instance": place.cluster}},
        "spec": {
            "capacity": {"storage": "50Gi"}, "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "claimRef": {"namespace": place.namespace, "name": place.cluster.backup_claim()},
            "hostPath": {"path": source["local"]["path"]},
        },
    });
    let all: Api<PersistentVolume> = Api::all(place.connection.client.clone());
    all.create(&PostParams::default(), &parse(volume)).await.unwrap();
}

async fn status_uuid(place: &Place) -> String {
    let status = place.run(&["status", "-o", "json"]).await.ended(0).json();
    status["uuid"].as_str().unwrap().to_owned()
}

/// Claims and volumes go; what they hold stays on the hosts.
async fn forget_volumes(place: &Place, members: &[Member]) {
    let (claims, all) =
        (place.api::<PersistentVolumeClaim>(), Api::<PersistentVolume>::all(place.connection.client.clone()));
    for member in members {
        let (claim, volume) = (place.cluster.claim(*member), place.cluster.volume(*member));
        if claims.get_opt(&claim).await.unwrap().is_some() {
            claims.delete(&claim, &DeleteParams::default()).await.unwrap();
        }
        all.delete(&volume, &DeleteParams::default()).await.unwrap();
        until(&format!("the end of {volume}"), LIMIT, async || {
            let (claim, volume) = (claims.get_opt(&claim).await.unwrap(), all.get_opt(&volume).await.unwrap());
            holds(claim.is_none() && volume.is_none(), || format!("{:?}", volume.and_then(|volume| volume.status)))
        })
        .await;
    }
}

/// Lets the cluster's own storage find a place for each volume.
async fn places_on_hosts(place: &Place, members: &[Member]) -> Vec<Value> {
    let places = members.iter().map(|member| async move { place_on_host(place, &member.to_string()).await });
    futures::future::join_all(places).await
}

async fn place_on_host(place: &Place, noun: &str) -> Value {
    let claims: Api<PersistentVolumeClaim> = place.api();
    let name = format!("place-{noun}");
    let claim = parse(json!({
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }));
    claims.create(&PostParams::default(), &claim).await.unwrap();
    let pod: Pod = parse(json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main", "image": "mariadb:11.8", "command": ["true"],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        },
    }));
    let pods = place.api::<Pod>();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    until(&format!("the end of pod {name}"), LIMIT, async || {
        let status = pods.get(&name).await.unwrap().status.unwrap_or_default();
        holds(status.phase.as_deref() == Some("Succeeded"), || format!("{status:?}"))
    })
    .await;
    let volume = claims.get(&name).await.unwrap().spec.unwrap().volume_name.unwrap();
    let all: Api<PersistentVolume> = Api::all(place.connection.client.clone());
    pods.delete(&name, &DeleteParams::default()).await.unwrap();
    serde_json::to_value(all.get(&volume).await.unwrap().spec.unwrap()).unwrap()
}

/// Volumes of the names that the example asks for, at these places.
async fn make_volumes(place: &Place, members: &[Member], sources: &[Value]) {
    let all: Api<PersistentVolume> = Api::all(place.connection.client.clone());
    for (member, source) in members.iter().zip(sources) {
        let name = place.cluster.volume(*member);
        let mut volume = json!({
            "metadata": {"name": name, "labels": {"volume": name, "app.kubernetes.io/instance": place.cluster}},
            "spec": {
                "capacity": {"storage": "50Gi"}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
                "claimRef": {"namespace": place.namespace, "name": place.cluster.claim(*member)},
            },
        });
        for field in ["local", "hostPath", "csi", "nodeAffinity"] {
            if let Some(value) = source.get(field) {
                volume["spec"][field] = value.clone();
            }
        }
        all.create(&PostParams::default(), &parse(volume)).await.unwrap();
    }
}
