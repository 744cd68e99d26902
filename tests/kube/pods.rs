use galeractl::kube::client::Streams;
use galeractl::kube::exec::{self, exec};
use galeractl::kube::live::{Live, Snapshot};
use galeractl::kube::logs::{self, Follow};
use galeractl::kube::trouble::{Trouble, claim_trouble, pod_trouble, statefulset_trouble};
use galeractl::kube::tunnel::Tunnel;
use galeractl::kube::{delete, http};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::ApiResource;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::cluster::{IMAGE, LIMIT, Place, in_namespace, pod_spec};

const SERVER: &str = r#"
printf 'read line; printf "HTTP/1.0 200 OK\r\n\r\n"; echo "$line"' > /data/answer
exec socat TCP-LISTEN:8080,fork,reuseaddr EXEC:'bash /data/answer'
"#;

pub(crate) async fn until<T>(live: &Live, mut pass: impl FnMut(&Snapshot) -> Option<T>) -> T {
    let mut changed = live.changed();
    loop {
        if let Some(found) = pass(&live.snapshot()) {
            return found;
        }
        changed.changed().await.unwrap();
    }
}

pub(crate) async fn start(place: &Place) -> Live {
    let live = Live::start(&place.connection.streams, &place.namespace, &place.cluster);
    live.ready().await.unwrap();
    live
}

fn runs(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some())).count() == 1
}

pub(crate) async fn running(live: &Live, name: &str) {
    until(live, |view| view.pods.get(name).filter(|pod| runs(pod)).map(|_| ())).await;
}

/// Waits for this trouble; others may pass by, such as a volume that is mounted late.
async fn trouble(live: &Live, name: &str, cause: &str) -> Trouble {
    let found = |view: &Snapshot| pod_trouble(view.pods.get(name)?, view.events.values());
    until(live, |view| found(view).filter(|trouble| trouble.cause == cause)).await
}

async fn run(streams: &Streams, place: &Place, argv: &[&str], stdin: Option<&str>) -> exec::Output {
    let at = exec::Place { namespace: &place.namespace, pod: "shop-galera-p", container: "main" };
    exec(streams, at, argv, stdin, LIMIT).await.unwrap()
}

#[tokio::test]
async fn a_pod_is_reached_in_every_way() {
    in_namespace(|place| async move {
        let (live, streams, name) = (start(&place).await, &place.connection.streams, "shop-galera-p");
        place.apply(&place.pod(name, IMAGE, SERVER)).await;
        running(&live, name).await;

        let answer = loop {
            match http::get(streams, &place.namespace, name, 8080, "/x", LIMIT).await {
                Ok(answer) => break answer,
                // The container runs before the server in it listens.
                Err(error) => assert!(error.to_string().contains("the port is closed"), "{error}"),
            }
        };
        assert_eq!((answer.0, answer.1.trim()), (200, "GET /x HTTP/1.1"));
        let closed = http::get(streams, &place.namespace, name, 8081, "/", LIMIT).await.unwrap_err();
        assert!(closed.to_string().contains("the port is closed"), "{closed}");

        let output = run(streams, &place, &["bash", "-c", "cat; echo err >&2; exit 3"], Some("in")).await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.exit_code), ("in", "err\n", 3));
        let long = run(streams, &place, &["bash", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], None).await;
        assert_eq!((long.stdout.len(), long.exit_code), (3_000_000, 0));
        let unread = "x".repeat(2000);
        assert_eq!(run(streams, &place, &["true"], Some(&unread)).await.exit_code, 0);

        let tunnel = Tunnel::open(streams, &place.namespace, name, 8081).await.unwrap();
        let mut stream = TcpStream::connect(tunnel.address()).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert!(tunnel.last_error().unwrap().contains("refused"), "{:?}", tunnel.last_error());
        let address = tunnel.address();
        drop(tunnel);
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_log_is_followed_over_restarts() {
    in_namespace(|place| async move {
        let (streams, name) = (&place.connection.streams, "shop-galera-p");
        let mut follow = Follow::start(streams, &place.namespace, name, "main");
        let script = "n=$(cat /data/n || echo 0); echo $((n + 1)) > /data/n; echo life $n; sleep 0.2; echo end $n; [ $n = 0 ] || sleep 1000";
        place.apply(&place.pod(name, IMAGE, script)).await;
        for expected in ["life 0", "end 0", "life 1", "end 1"] {
            let line = loop {
                let line = follow.next().await.unwrap();
                if !line.text.contains("No such file") {
                    break line;
                }
            };
            assert_eq!(line.text, expected);
            assert!(line.at.is_some());
        }
        let tail = |lines, previous| logs::tail(streams, &place.namespace, name, "main", lines, previous);
        assert_eq!(tail(1, false).await.unwrap(), ["end 1"]);
        assert_eq!(tail(2, true).await.unwrap().last().unwrap(), "end 0");
        let none = logs::tail(streams, &place.namespace, "shop-galera-q", "main", 1, false).await.unwrap();
        assert!(none.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_live_view_sees_pods_come_and_go() {
    in_namespace(|place| async move {
        let (live, name) = (start(&place).await, "shop-galera-p");
        assert!(live.snapshot().pods.is_empty());
        place.apply(&place.pod(name, IMAGE, "sleep 1000")).await;
        running(&live, name).await;
        assert_eq!(pod_trouble(&live.snapshot().pods[name], live.snapshot().events.values()), None);
        until(&live, |view| view.events.values().any(|event| event.reason.as_deref() == Some("Started")).then_some(()))
            .await;
        let client = &place.connection.client;
        let kinds = [ApiResource::erase::<Pod>(&())];
        let found = delete::owned(client, &place.namespace, &place.cluster, &kinds, &[]).await.unwrap();
        delete::delete(client, &found[0], Some(0)).await.unwrap();
        until(&live, |view| view.pods.is_empty().then_some(())).await;
        assert_eq!(live.last_error(), None);
    })
    .await;
}

#[tokio::test]
async fn troubles_are_recognised() {
    in_namespace(|place| async move {
        let live = start(&place).await;
        place.apply(&place.pod("shop-galera-image", "registry.invalid/none:1", "true")).await;
        let mut large = pod_spec(IMAGE, "true");
        large["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
        place.apply(&place.object::<Pod>("shop-galera-large", json!({"spec": large}))).await;
        let mut mounts = pod_spec(IMAGE, "true");
        mounts["volumes"][0] = json!({"name": "data", "secret": {"secretName": "missing"}});
        place.apply(&place.object::<Pod>("shop-galera-mounts", json!({"spec": mounts}))).await;
        place.apply(&place.pod("shop-galera-crash", IMAGE, "exit 7")).await;
        let mut insecure = pod_spec(IMAGE, "true");
        insecure["securityContext"] = json!({});
        place.apply(&place.object::<StatefulSet>("shop-galera-set", json!({"spec": {"replicas": 1, "serviceName": "x",
            "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": insecure}}}))).await;
        let claim = json!({"spec": {"storageClassName": "none", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}});
        place.apply(&place.object::<PersistentVolumeClaim>("shop-galera-claim", claim)).await;

        let image = trouble(&live, "shop-galera-image", "image").await;
        assert!(image.is_fatal() && image.message.contains("registry.invalid"), "{image:?}");
        let large = trouble(&live, "shop-galera-large", "room").await;
        assert!(large.message.contains("Insufficient cpu"), "{large:?}");
        let crash = trouble(&live, "shop-galera-crash", "crash").await;
        assert!(crash.message.contains("ended with exit code 7"), "{crash:?}");
        let set = until(&live, |view| statefulset_trouble(view.statefulsets.get("shop-galera-set")?, view.events.values())).await;
        assert!(set.is_fatal() && set.message.contains("violates PodSecurity"), "{set:?}");
        let claim = until(&live, |view| claim_trouble(view.claims.get("shop-galera-claim")?, &[], view.events.values())).await;
        assert_eq!(claim.cause, "unknown-class");
        let mounts = trouble(&live, "shop-galera-mounts", "mount").await;
        assert!(!mounts.is_fatal() && mounts.message.contains("mount"), "{mounts:?}");
    })
    .await;
}
