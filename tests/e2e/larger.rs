//! Volumes that grow while their servers run. The test itself is what makes them larger: that is the storage's part.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use galeractl::engine::event::Event;
use galeractl::names::Member;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::place::{Place, in_namespace, parse};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_grow_under_their_servers() {
    in_namespace("larger", async |place| {
        let classes: Api<StorageClass> = Api::all(place.connection.client.clone());
        let known = classes.list(&ListParams::default()).await.unwrap().items;
        let default = known.into_iter().find(galeractl::kube::classes::is_default).expect("a default class");
        let name = format!("e2e-larger-{}", std::process::id());
        let class: StorageClass = parse(json!({
            "metadata": {"name": name}, "provisioner": default.provisioner, "allowVolumeExpansion": true,
            "volumeBindingMode": default.volume_binding_mode, "reclaimPolicy": default.reclaim_policy,
        }));
        classes.create(&PostParams::default(), &class).await.unwrap();
        let grown = AssertUnwindSafe(grow(place, &name)).catch_unwind().await;
        classes.delete(&name, &DeleteParams::default()).await.unwrap();
        if let Err(panic) = grown {
            std::panic::resume_unwind(panic);
        }
    })
    .await;
}

async fn grow(place: &Place, class: &str) {
    place.has_one_proxy();
    let class = format!("galera_cluster_storage_class={class}");
    let wish = |size| ["--nodes", "1", "--set", &class, "--set", size].map(str::to_owned);
    let run = |verb: &str, size| -> Vec<String> {
        [&[verb, "--progress", "json"].map(str::to_owned)[..], &wish(size)].concat()
    };
    let small = wish("galera_cluster_volume_size=1Gi");
    place.up(&small.iter().map(String::as_str).collect::<Vec<_>>()).await.ended(0);
    let uid = place.api::<Pod>().get(&place.node(1)).await.unwrap().uid();

    // Killed while it waits for the storage; the second run asks for nothing again, and waits on.
    let larger = run("apply", "galera_cluster_volume_size=2Gi");
    let larger: Vec<&str> = larger.iter().map(String::as_str).collect();
    let rehearsed = place.run(&[&larger[..], &["--dry-run"]].concat()).await.ended(0);
    let name = place.cluster.claim(Member::Node(1));
    let row = |line: &str| line.starts_with("grow ") && line.contains(&name) && line.ends_with("change");
    assert!(rehearsed.stdout.lines().any(row), "{rehearsed:?}");
    let mut first = place.start(&larger);
    let waits = |event: &Event| serde_json::to_string(event).unwrap().contains("the volume of node1 to have 2Gi");
    assert!(first.reaches(waits).await);
    first.kill().await;
    enlarge(place, &name, "2Gi").await;
    place.run(&larger).await.ended(0);
    let claim = place.api::<PersistentVolumeClaim>().get(&name).await.unwrap();
    assert_eq!(claim.spec.unwrap().resources.unwrap().requests.unwrap()["storage"].0, "2Gi");
    assert!(place.run(&larger).await.ended(0).changes().is_empty());
    assert_eq!(place.api::<Pod>().get(&place.node(1)).await.unwrap().uid(), uid, "nobody was restarted");

    let smaller = run("apply", "galera_cluster_volume_size=1Gi");
    let smaller: Vec<&str> = smaller.iter().map(String::as_str).collect();
    let refused = place.run(&smaller).await.ended(3);
    assert!(refused.stderr.contains("no volume becomes smaller"), "{refused:?}");
    place.healthy().await;
}

/// What a storage does that makes a volume larger.
async fn enlarge(place: &Place, claim: &str, size: &str) {
    let claims = place.api::<PersistentVolumeClaim>();
    let volume = claims.get(claim).await.unwrap().spec.unwrap().volume_name.unwrap();
    let volumes: Api<PersistentVolume> = Api::all(place.connection.client.clone());
    let (params, capacity) = (PatchParams::default(), json!({"capacity": {"storage": size}}));
    volumes.patch(&volume, &params, &Patch::Merge(json!({"spec": capacity}))).await.unwrap();
    claims.patch_status(claim, &params, &Patch::Merge(json!({"status": capacity}))).await.unwrap();
}
