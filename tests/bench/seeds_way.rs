//! The same cluster formed the way of the document that galeractl implements: apply, sleep, apply, sleep.

use std::time::Duration;

use galeractl::cluster::record::choose_passwords;
use galeractl::gates::group::agreement;
use galeractl::kube::apply::{Applier, Strategy};
use galeractl::kube::client::Connection;
use galeractl::manifests::config::{config_map, credentials, spec_map};
use galeractl::manifests::{self, Object, volumes};
use galeractl::names::Member;
use galeractl::observe::{Observer, Wants};
use galeractl::settings::{Flag, Input, load_from};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use tokio::time::{Instant, sleep};

/// What the document sleeps after it has applied the seed.
const AFTER_SEED: Duration = Duration::from_secs(45);
/// What the document sleeps after it has applied the nodes.
const AFTER_NODES: Duration = Duration::from_secs(30);

/// Time until all nodes agree on a group without the seed.
pub(crate) async fn measure(connection: &Connection, nodes: u32) -> Duration {
    let name = format!("bench-seed-{nodes}-{}", std::process::id());
    let flags = vec![
        Flag::name("--name", super::process::CLUSTER),
        Flag::namespace("-n", &name),
        Flag::nodes("--nodes", nodes.to_string()),
    ];
    let settings = load_from(&Input { flags, ..Input::default() }, None).unwrap();
    let desired = settings.desired;
    let applier = Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::Apply);
    let begun = Instant::now();
    let namespaces = Api::all(connection.client.clone());
    namespaces.create(&PostParams::default(), &volumes::namespace(&desired)).await.unwrap();
    applier.apply_all(&manifests::claims(&desired, true)).await.unwrap();
    let passwords = choose_passwords(&desired, &settings.passwords);
    let own = passwords["galeractl-password"].clone();
    let shared = [
        Object::of(&credentials(&desired, &passwords)),
        Object::of(&config_map(&desired)),
        Object::of(&spec_map(&desired)),
    ];
    applier.apply_all(&shared).await.unwrap();
    applier.apply_all(&manifests::seed(&desired)).await.unwrap();
    sleep(AFTER_SEED).await;
    applier.apply_all(&manifests::nodes(&desired)).await.unwrap();
    sleep(AFTER_NODES).await;
    applier.apply_all(&manifests::proxy(&desired)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(connection.client.clone(), &name);
    pods.delete(&desired.cluster.pod(Member::Seed), &DeleteParams::default()).await.unwrap();
    let observer = Observer::start(connection, &desired, Wants { logs: false, classes: Vec::new() }).await.unwrap();
    let password = galeractl::desired::Hidden::new(own);
    observer.set_access(galeractl::desired::Access { password, authority: None });
    let members: Vec<Member> = desired.members().collect();
    let mut changes = observer.changes();
    while agreement(&observer.now(), &desired, &members).is_err() {
        changes.changed().await.unwrap();
    }
    let whole = begun.elapsed();
    super::process::delete_namespace(connection, &name).await;
    whole
}
