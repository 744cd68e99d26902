#![expect(clippy::needless_pass_by_value, reason = "JSON literals read better without `&`")]

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::kube::fake;

fn list(items: Value) -> (u16, Value) {
    (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}))
}

async fn live(answer: impl FnMut(fake::Request) -> (u16, Value) + Send + 'static) -> Live {
    let streams = Streams(fake::client(answer).await);
    Live::start(&streams, &"n".parse().unwrap(), &"shop".parse().unwrap())
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "n", "uid": "1", "resourceVersion": "1"}})
}

#[tokio::test]
async fn the_first_view_is_complete_when_ready() {
    let live = live(|request| {
        // Events carry no labels, and a claim that has lost its own is known by its name.
        let unlabelled = ["/events", "/persistentvolumeclaims"].iter().any(|end| request.path.ends_with(end));
        assert!(unlabelled || request.query.contains("labelSelector=app.kubernetes.io%2Finstance%3Dshop"));
        let event = |name: &str, of: &str| json!({"metadata": {"name": name, "namespace": "n"}, "involvedObject": {"name": of}});
        match request.path.rsplit('/').next() {
            _ if request.query.contains("watch=true") => fake::status(500, "InternalError", "no watches today"),
            Some("pods") => list(json!([pod("shop-galera-node1-0")])),
            Some("persistentvolumeclaims") => list(json!([pod("shop-galera-node1-volume-claim"), pod("shop2-galera-x")])),
            Some("events") => list(json!([event("a", "shop-galera-node1"), event("b", "shop-web")])),
            _ => list(json!([])),
        }
    })
    .await;
    live.ready().await.unwrap();
    let mut changed = live.changed();
    while live.snapshot().events.is_empty() || live.last_error().is_none() {
        changed.changed().await.unwrap();
    }
    let view = live.snapshot();
    assert_eq!(view.pods.keys().collect::<Vec<_>>(), ["shop-galera-node1-0"]);
    assert_eq!(view.claims.keys().collect::<Vec<_>>(), ["shop-galera-node1-volume-claim"]);
    assert_eq!(view.events.keys().collect::<Vec<_>>(), ["a"]);
    assert!(live.last_error().unwrap().contains("no watches today"), "{:?}", live.last_error());
}

#[tokio::test]
async fn an_error_is_never_an_empty_view() {
    let down = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&down);
    let live = live(move |_| {
        if switch.load(Ordering::SeqCst) { fake::status(500, "InternalError", "etcd is down") } else { list(json!([])) }
    })
    .await;
    let mut changed = live.changed();
    while live.last_error().is_none() {
        changed.changed().await.unwrap();
    }
    assert!(!live.is_ready());
    down.store(false, Ordering::SeqCst);
    live.ready().await.unwrap();
}

#[tokio::test]
async fn a_refusal_ends_the_wait() {
    let refused = "pods is forbidden: User \"bob\" cannot list resource \"pods\"";
    let live = live(move |_| fake::status(403, "Forbidden", refused)).await;
    let failure = live.ready().await.unwrap_err();
    assert_eq!(failure.kind, Kind::Preflight);
    assert!(failure.to_string().contains(refused), "{failure}");
    assert!(!failure.hints.is_empty());
}

#[test]
fn the_oldest_events_go_first() {
    let event =
        |second: i64| Event { last_timestamp: Some(Time(Timestamp::from_second(second).unwrap())), ..Event::default() };
    let count = i64::try_from(MAX_EVENTS).unwrap();
    let mut events: ByName<Event> =
        (0..count + 2).map(|second| (format!("{}", count + 2 - second), Arc::new(event(second)))).collect();
    trim(&mut events);
    assert_eq!(events.len(), MAX_EVENTS);
    let oldest = events.values().filter_map(|event| event_time(event)).min().unwrap();
    assert_eq!(oldest.as_second(), 2);
}

#[test]
fn pauses_grow_to_four_seconds() {
    let mut steps = Steps::default();
    let pauses: Vec<_> = steps.by_ref().take(7).map(|pause| pause.as_millis()).collect();
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000]);
    steps.reset();
    assert_eq!(steps.next(), Some(Duration::from_millis(250)));
}
