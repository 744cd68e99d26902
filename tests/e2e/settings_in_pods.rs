//! What the settings say about pods is true of the pods that run.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::helper::Helper;
use crate::place::{Place, in_namespace, parse};

const PRIORITY: i32 = 1000;
/// As the hosts name them.
const IMAGES: [&str; 2] = ["/mariadb:11.8", "/haproxy:3.0"];

/// What depends on the Kubernetes that the tests run on.
struct Surroundings {
    class: String,
    domain: String,
    policy: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_pods_reach_the_pods_that_run() {
    in_namespace("settings", async |place| {
        let around = Surroundings {
            class: format!("e2e-priority-{}", std::process::id()),
            domain: domain(place).await,
            policy: pull_policy(place).await,
        };
        let classes: Api<PriorityClass> = Api::all(place.connection.client.clone());
        let class: PriorityClass =
            parse(json!({"metadata": {"name": around.class}, "value": PRIORITY, "preemptionPolicy": "Never"}));
        classes.create(&PostParams::default(), &class).await.unwrap();
        let formed = AssertUnwindSafe(form(place, &around)).catch_unwind().await;
        classes.delete(&around.class, &DeleteParams::default()).await.unwrap();
        if let Err(panic) = formed {
            std::panic::resume_unwind(panic);
        }
    })
    .await;
}

/// The domain that every pod finds by itself.
async fn domain(place: &Place) -> String {
    let helper = Helper::start(place, "resolver", None).await;
    let text = helper.run("cat /etc/resolv.conf").await;
    helper.end().await;
    let prefix = format!("{}.svc.", place.namespace);
    let mut words = text.split_whitespace();
    let domain = words.find_map(|word| word.strip_prefix(&prefix));
    domain.unwrap_or_else(|| panic!("no search list: {text}")).to_owned()
}

/// `Never` where every host has the images already; elsewhere it would end in a pod without an image.
async fn pull_policy(place: &Place) -> &'static str {
    let hosts: Api<Node> = Api::all(place.connection.client.clone());
    let hosts = hosts.list(&ListParams::default()).await.unwrap();
    let has = |host: &Node, image: &str| {
        let images = host.status.iter().flat_map(|status| status.images.iter().flatten());
        images.flat_map(|found| found.names.iter().flatten()).any(|name| name.ends_with(image))
    };
    let everywhere = IMAGES.into_iter().all(|image| hosts.iter().all(|host| has(host, image)));
    if everywhere { "Never" } else { "IfNotPresent" }
}

async fn form(place: &Place, around: &Surroundings) {
    let registry: Secret = parse(json!({
        "metadata": {"name": "registry-login"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "{\"auths\": {}}"},
    }));
    place.api::<Secret>().create(&PostParams::default(), &registry).await.unwrap();
    let settings = [
        "galera_cluster_labels=team=shop,example.org/tier=data".to_owned(),
        "galera_cluster_annotations=example.org/note=a = b".to_owned(),
        "galera_cluster_tolerations=dedicated=database:NoSchedule,example.org/spot".to_owned(),
        "galera_cluster_node_selector=kubernetes.io/os=linux".to_owned(),
        "galera_cluster_image_pull_secrets=registry-login".to_owned(),
        format!("galera_cluster_image_pull_policy={}", around.policy),
        format!("galera_cluster_priority_class={}", around.class),
        format!("galera_cluster_domain={}", around.domain),
    ];
    let sets = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
    let args: Vec<&str> = ["--nodes", "1"].into_iter().chain(sets).collect();
    place.up(&args).await.ended(0);
    place.healthy().await;
    let proxies = place.proxy_pods().await;
    assert!(!proxies.is_empty());
    for pod in proxies.into_iter().chain([place.node(1)]) {
        carries(place, &pod, around).await;
    }
}

async fn carries(place: &Place, name: &str, around: &Surroundings) {
    let pod = serde_json::to_value(place.api::<Pod>().get(name).await.unwrap()).unwrap();
    let (metadata, spec, container) = (&pod["metadata"], &pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(metadata["labels"]["team"], "shop", "{name}: {metadata}");
    assert_eq!(metadata["labels"]["example.org/tier"], "data", "{name}: {metadata}");
    assert_eq!(metadata["annotations"]["example.org/note"], "a = b", "{name}: {metadata}");
    assert_eq!(spec["nodeSelector"]["kubernetes.io/os"], "linux", "{name}: {spec}");
    assert_eq!(spec["priorityClassName"], around.class.as_str(), "{name}: {spec}");
    assert_eq!(spec["priority"], PRIORITY, "{name}: {spec}");
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "registry-login"}]), "{name}: {spec}");
    for toleration in [
        json!({"key": "dedicated", "operator": "Equal", "value": "database", "effect": "NoSchedule"}),
        json!({"key": "example.org/spot", "operator": "Exists"}),
    ] {
        assert!(spec["tolerations"].as_array().unwrap().contains(&toleration), "{name}: {spec}");
    }
    assert_eq!(container["imagePullPolicy"], around.policy, "{name}: {container}");
    let domain = json!({"name": "GALERA_DOMAIN", "value": format!("{}.svc.{}", place.namespace, around.domain)});
    assert!(container["env"].as_array().unwrap().contains(&domain), "{name}: {container}");
}
