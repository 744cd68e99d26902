#![expect(clippy::needless_pass_by_value, reason = "JSON literals read better without `&`")]

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::kube::fake;

fn object(name: &str) -> Object {
    let map: k8s_openapi::api::core::v1::ConfigMap = serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "n", "labels": {MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "shop"}}}))
    .unwrap();
    Object::of(&map)
}

fn live(version: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", "uid": "u1",
        "resourceVersion": version, "labels": labels,
        "managedFields": [{"manager": "helm", "operation": "Update"}, {"manager": "kcm", "operation": "Update", "subresource": "status"}]}})
}

fn ours() -> Value {
    json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "shop"})
}

/// Applies `a`, of which GET finds `before` and PATCH makes `after`; also tells how often was patched.
async fn run(before: (u16, Value), after: (u16, Value), take: bool) -> (Result<Change>, Vec<(String, Value)>) {
    let patches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&patches);
    let client = fake::client(move |request| {
        if request.method == "GET" {
            return before.clone();
        }
        seen.lock().unwrap().push((request.query, request.body));
        after.clone()
    })
    .await;
    let applier = Applier::new(client, "shop".parse().unwrap(), Strategy::Apply).take_ownership(take);
    let result = applier.apply_all(&[object("a")]).await.map(|applied| applied[0].change);
    let patches = patches.lock().unwrap().clone();
    (result, patches)
}

#[tokio::test]
async fn the_content_tells_what_was_done() {
    let absent = || fake::status(404, "NotFound", "not found");
    let (created, patches) = run(absent(), (201, live("1", ours())), false).await;
    assert_eq!(created.unwrap(), Change::Created);
    assert!(patches[0].1["metadata"].get("uid").is_none());
    let (kept, patches) = run((200, live("1", ours())), (200, live("1", ours())), false).await;
    assert_eq!(kept.unwrap(), Change::Kept);
    assert_eq!(patches[0].1["metadata"]["uid"], "u1");
    assert!(!patches[0].0.contains("force=true"), "{}", patches[0].0);
    let mut status = live("2", ours());
    status["status"] = json!({"replicas": 1});
    let (kept, _) = run((200, live("1", ours())), (200, status), false).await;
    assert_eq!(kept.unwrap(), Change::Kept, "a controller wrote the status in between");
    let mut after = live("2", ours());
    after["data"] = json!({"k": "v"});
    let (changed, _) = run((200, live("1", ours())), (200, after), false).await;
    assert_eq!(changed.unwrap(), Change::Changed);
}

#[tokio::test]
async fn what_belongs_to_others_is_refused_and_named() {
    let labels = [
        (json!({MANAGED_BY_LABEL: "Helm"}), "it is managed by Helm"),
        (json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "other"}), "it belongs to cluster `other`"),
        (json!({}), "it was written by helm"),
    ];
    for (labels, owner) in labels {
        let (refused, patches) = run((200, live("1", labels)), (200, live("2", ours())), false).await;
        let failure = refused.unwrap_err();
        assert_eq!(failure.kind, Kind::Preflight);
        let text = format!("configmap/a in namespace n exists and is not part of cluster `shop`: {owner}");
        assert_eq!(failure.to_string(), text);
        assert!(patches.is_empty());
    }
    let (taken, patches) = run((200, live("1", json!({}))), (200, live("2", ours())), true).await;
    assert_eq!(taken.unwrap(), Change::Changed);
    assert!(patches[0].0.contains("force=true"), "{}", patches[0].0);
}

#[tokio::test]
async fn what_is_being_deleted_is_left_alone() {
    let mut dying = live("1", ours());
    dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let (refused, patches) = run((200, dying), (200, live("2", ours())), false).await;
    assert_eq!(refused.unwrap_err().to_string(), "configmap/a is being deleted");
    assert!(patches.is_empty());
}

#[tokio::test]
async fn conflicts_name_field_and_manager() {
    let (code, mut body) = fake::status(409, "Conflict", "Apply failed with 1 conflict");
    body["details"] = json!({"causes": [
        {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using apps/v1", "field": ".spec.replicas"}]});
    let (refused, _) = run((200, live("1", ours())), (code, body), false).await;
    let failure = refused.unwrap_err();
    assert_eq!(failure.to_string(), "cannot apply configmap/a: .spec.replicas was set by kubectl-edit");
    assert_eq!(failure.kind, Kind::Step);
}

#[tokio::test]
async fn nothing_is_written_when_one_of_many_is_refused() {
    let client = fake::client(|request| match (request.method.as_str(), request.path.ends_with("/b")) {
        ("GET", true) => (200, live("1", json!({}))),
        ("GET", false) => fake::status(404, "NotFound", "not found"),
        _ => panic!("{} {}", request.method, request.path),
    })
    .await;
    let applier = Applier::new(client, "shop".parse().unwrap(), Strategy::Apply);
    let failure = applier.apply_all(&[object("a"), object("b"), object("c")]).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Preflight);
}

#[tokio::test]
async fn a_pod_waits_for_the_service_account_of_a_new_namespace() {
    let tries = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&tries);
    let client = fake::client(move |request| {
        if request.method == "GET" {
            return fake::status(404, "NotFound", "not found");
        }
        let mut tries = seen.lock().unwrap();
        *tries += 1;
        match *tries {
            1 | 2 => fake::status(403, "Forbidden", "error looking up service account n/default: not found"),
            _ => (201, live("1", ours())),
        }
    })
    .await;
    let applier = Applier::new(client, "shop".parse().unwrap(), Strategy::Apply);
    assert_eq!(applier.apply(&object("a")).await.unwrap().change, Change::Created);
    assert_eq!(*tries.lock().unwrap(), 3);
}
