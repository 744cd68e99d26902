//! What cannot work ends at once, with the reason and what to do about it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::place::{Place, in_namespace, parse};
use crate::process::Ran;

/// Pods and their troubles have to be seen by Kubernetes first.
const SOON: Duration = Duration::from_secs(60);

/// Asserts the exit code, the pace, and what the last word contains.
fn refuses(begun: Instant, ran: Ran, code: i32, reason: &str) -> Vec<String> {
    let (message, hints) = ran.ended(code).last_word();
    assert!(message.contains(reason), "{message}");
    assert!(!hints.is_empty(), "no hint after: {message}");
    assert!(begun.elapsed() < SOON, "{:?} until: {message}", begun.elapsed());
    eprintln!("after {:.1} s: {message}", begun.elapsed().as_secs_f32());
    hints
}

async fn up_refuses(place: &Place, args: &[&str], code: i32, reason: &str) -> Vec<String> {
    let begun = Instant::now();
    let ran = place.up(args).await;
    refuses(begun, ran, code, reason)
}

async fn clean(place: &Place) {
    place.run(&["teardown", "--force", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
    assert_eq!(place.leftovers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_ends_at_once() {
    in_namespace("refusals", async |place| {
        before_anything_is_made(place).await;
        let image = ["--set", "galera_cluster_docker_image=registry.invalid/mariadb:0"];
        up_refuses(place, &image, 4, "registry.invalid/mariadb:0").await;
        clean(place).await;
        up_refuses(place, &["--set", "galera_cluster_cpu_request=1000"], 4, "Insufficient cpu").await;
        clean(place).await;

        let quota: ResourceQuota = parse(json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}));
        let quotas = place.api::<ResourceQuota>();
        quotas.create(&PostParams::default(), &quota).await.unwrap();
        crate::wait::until("the quota holds", SOON, async || {
            let status = quotas.get("none").await.unwrap().status;
            let hard = status.as_ref().and_then(|status| status.hard.as_ref());
            crate::wait::holds(hard.is_some(), || format!("{status:?}"))
        })
        .await;
        up_refuses(place, &[], 3, "quota").await;
        assert_eq!(place.leftovers().await, Vec::<String>::new());
        quotas.delete("none", &DeleteParams::default()).await.unwrap();

        a_changed_password(place).await;
    })
    .await;
}

async fn before_anything_is_made(place: &Place) {
    let hints =
        up_refuses(place, &["--set", "galera_cluster_storage_class=golden"], 3, "`golden` does not exist").await;
    assert!(hints.iter().any(|hint| hint.contains("galera_cluster_storage_class")), "{hints:?}");
    let rehearsed = place.run(&["up", "--dry-run", "--set", "galera_cluster_storage_class=golden"]).await.ended(3);
    assert!(rehearsed.stderr.contains("`golden` does not exist") && rehearsed.stdout.is_empty(), "{rehearsed:?}");
    assert_eq!(place.leftovers().await, Vec::<String>::new());

    passwords_that_cannot_be_used(place).await;

    let begun = Instant::now();
    let nowhere = format!("{}-nowhere", place.namespace);
    let up = ["up", "--progress", "json"];
    let stranger = [&up[..], &["--as", "stranger", "--namespace", &nowhere]].concat();
    let ran = place.reaching(&stranger).end().await;
    for right in ["create", "statefulsets", "secrets"] {
        assert!(ran.last_word().0.contains(right), "{ran:?}");
    }
    refuses(begun, ran, 3, "you may not");

    // A kubeconfig without these has no other contexts, and nobody listens on port 1.
    let file = place.home.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n\
        users: [{name: u, user: {token: t}}]\ncontexts: [{name: here, context: {cluster: c, user: u}}]\n";
    std::fs::write(&file, text).unwrap();
    let with_file = [&up[..], &["--kubeconfig", file.to_str().unwrap()]].concat();
    let hints = refuses(
        Instant::now(),
        place.bare(&[&with_file[..], &["--context", "there"]].concat()).end().await,
        2,
        "no context `there`",
    );
    assert!(hints[0].contains("here"), "{hints:?}");
    let begun = Instant::now();
    let ran = place.bare(&with_file).end().await.ended(7);
    assert!(ran.last_word().0.contains("https://127.0.0.1:1"), "{ran:?}");
    assert!(begun.elapsed() < SOON);
}

/// A Secret that somebody has made before is judged before anything else is made.
async fn passwords_that_cannot_be_used(place: &Place) {
    let secrets = place.api::<Secret>();
    let name = place.cluster.credentials();
    for (root, labels, reason) in [
        ("from a file\n", true, "`root-password` holds a line break"),
        ("", true, "`root-password` is empty"),
        ("fine", true, "`galeractl-password` is missing"),
        ("fine", false, "is not part of cluster"),
    ] {
        let labels = if labels {
            json!({"app.kubernetes.io/managed-by": "galeractl", "app.kubernetes.io/instance": place.cluster})
        } else {
            json!({})
        };
        let secret = json!({"metadata": {"name": name, "labels": labels}, "stringData": {"root-password": root}});
        secrets.create(&PostParams::default(), &parse(secret)).await.unwrap();
        up_refuses(place, &[], 3, reason).await;
        secrets.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(place.leftovers().await, Vec::<String>::new());
}

/// On a cluster of one node: a Secret that does not fit the database is named as the reason.
async fn a_changed_password(place: &Place) {
    place.up(&["--nodes", "1"]).await.ended(0);
    place.healthy().await;
    let change = json!({"stringData": {"galeractl-password": "something else"}});
    let name = place.cluster.credentials();
    place.api::<Secret>().patch(&name, &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();

    let begun = Instant::now();
    let verify = place.run(&["verify", "-o", "json"]).await.ended(1);
    let report = verify.json();
    let answers = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "sql-answers").unwrap();
    assert_eq!(answers["mark"], "fail", "{answers}");
    assert!(answers["evidence"].as_str().unwrap().to_lowercase().contains("access denied"), "{answers}");
    assert!(begun.elapsed() < SOON);

    let before = place.objects().await;
    let begun = Instant::now();
    let ran = place.up(&["--nodes", "1"]).await;
    let hints = refuses(begun, ran, 4, "denies access");
    assert!(hints.iter().any(|hint| hint.contains(&name)), "{hints:?}");
    assert_eq!(place.objects().await, before);
}
