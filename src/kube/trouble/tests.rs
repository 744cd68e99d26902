#![expect(clippy::needless_pass_by_value, reason = "JSON literals read better without `&`")]

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn parse<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn event(second: u32, reason: &str, message: &str) -> Arc<Event> {
    event_of("u", second, reason, message)
}

fn event_of(uid: &str, second: u32, reason: &str, message: &str) -> Arc<Event> {
    Arc::new(parse(json!({"metadata": {}, "involvedObject": {"uid": uid}, "reason": reason, "message": message,
        "lastTimestamp": format!("2026-11-22T10:00:{second:02}Z")})))
}

fn pod(status: Value) -> Pod {
    parse(json!({"metadata": {"name": "p", "uid": "u"}, "status": status}))
}

fn waiting(reason: &str, message: &str) -> Pod {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(json!({"phase": "Pending", "containerStatuses": [
        {"name": "mariadb", "image": "mariadb:11.8", "imageID": "", "ready": false, "restartCount": 0, "state": state}]}))
}

fn unscheduled(message: &str) -> Pod {
    pod(json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}))
}

fn crashing(restarts: u32, last: Value) -> Pod {
    pod(
        json!({"phase": "Running", "containerStatuses": [{"name": "mariadb", "image": "i", "imageID": "", "ready": false,
        "restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": last}}]}),
    )
}

fn found(pod: &Pod, events: &[Arc<Event>]) -> Trouble {
    pod_trouble(pod, events).expect("a trouble")
}

#[test]
fn a_healthy_pod_has_none() {
    let running = pod(json!({"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "m", "image": "i", "imageID": "", "ready": true, "restartCount": 3, "state": {"running": {}}}]}));
    let overcome = [event(1, "FailedScheduling", "0/1 nodes are available"), event(2, "FailedMount", "x not found")];
    assert_eq!(pod_trouble(&running, &overcome), None);
    assert_eq!(pod_trouble(&pod(json!({"phase": "Pending"})), &[]), None);
    assert_eq!(pod_trouble(&parse::<Pod>(json!({"metadata": {"name": "p"}})), &[]), None);
}

#[test]
fn an_image_that_cannot_be_pulled_is_fatal_at_once() {
    let registry = event(5, "Failed", "Failed to pull image \"mariadb:11.8\": not found");
    let other = event(6, "Failed", "Error: ImagePullBackOff");
    let trouble = found(&waiting("ImagePullBackOff", "Back-off pulling image \"mariadb:11.8\""), &[registry, other]);
    assert!(trouble.is_fatal());
    assert_eq!(
        trouble.message,
        "pod/p cannot get image `mariadb:11.8`: Failed to pull image \"mariadb:11.8\": not found"
    );
    for reason in ["ErrImagePull", "InvalidImageName", "ErrImageNeverPull"] {
        assert!(found(&waiting(reason, "why"), &[]).is_fatal(), "{reason}");
    }
    let denied = found(&waiting("ErrImagePull", "pull access denied"), &[]);
    assert!(denied.hint.contains("image_pull_secrets"));
}

#[test]
fn init_containers_count() {
    let pod = pod(
        json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "image": "x", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}],
        "containerStatuses": [{"name": "m", "image": "y", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "PodInitializing"}}}]}),
    );
    assert_eq!(found(&pod, &[]).message, "pod/p cannot get image `x`: no");
}

#[test]
fn the_scheduler_is_understood() {
    let cases = [
        ("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: no", "volume", 120),
        ("0/3 nodes are available: persistentvolumeclaim \"x\" not found", "claim", 20),
        ("0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.", "volume-place", 30),
        ("no nodes available to schedule pods", "no-node", 60),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.", "no-node", 60),
        ("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available", "room", 10),
        ("0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity.", "volume-place", 30),
        ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", "room", 10),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: x}.", "room", 10),
    ];
    for (message, cause, patience) in cases {
        let trouble = found(&unscheduled(message), &[]);
        assert_eq!((trouble.cause, trouble.patience), (cause, seconds(patience)), "{message}");
        assert!(!trouble.message.contains("preemption"));
    }
    let cpu = found(&unscheduled("0/3 nodes are available: 3 Insufficient cpu."), &[]);
    assert_eq!(cpu.message, "pod/p fits on no node: 0/3 nodes are available: 3 Insufficient cpu.");
    assert!(cpu.hint.contains("ask for less"));
    let growing = [event(1, "TriggeredScaleUp", "pod triggered scale-up")];
    assert_eq!(found(&unscheduled("0/3 nodes are available: 3 Insufficient cpu."), &growing).patience, seconds(600));
}

#[test]
fn a_gated_pod_waits_for_its_gate() {
    let gated = pod(json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}));
    assert_eq!(pod_trouble(&gated, &[]), None);
}

#[test]
fn crash_loops_tell_how_they_end() {
    let twice = found(&crashing(1, json!({"exitCode": 1, "reason": "Error"})), &[]);
    assert_eq!(twice.patience, seconds(30));
    assert_eq!(twice.message, "pod/p crashes: container mariadb ended with exit code 1, 1 restarts so far");
    let killed = found(&crashing(2, json!({"exitCode": 137, "reason": "OOMKilled"})), &[]);
    assert!(killed.is_fatal() && killed.hint.contains("memory limit"));
    assert!(killed.message.contains("more memory than its limit"));
    let signal = found(&crashing(4, json!({"exitCode": 134, "signal": 6, "reason": "Error", "message": "a\n b"})), &[]);
    assert!(signal.message.contains("was ended by signal 6: a b"), "{}", signal.message);
}

#[test]
fn missing_configuration_may_come() {
    let missing = found(&waiting("CreateContainerConfigError", "secret \"s\" not found"), &[]);
    assert_eq!(missing.patience, seconds(15));
    let wrong =
        found(&waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"), &[]);
    assert!(wrong.is_fatal());
    assert_eq!(found(&waiting("RunContainerError", "exec: not found"), &[]).cause, "runtime");
}

#[test]
fn only_the_latest_event_of_a_start_counts() {
    let creating = waiting("ContainerCreating", "");
    let mount = event(1, "FailedMount", "MountVolume.SetUp failed for volume \"c\" : configmap \"c\" not found");
    assert_eq!(found(&creating, &[Arc::clone(&mount)]).patience, seconds(20));
    let pulling = event(2, "Pulling", "Pulling image");
    assert_eq!(pod_trouble(&creating, &[pulling, mount]), None);
    let attach = event(3, "FailedAttachVolume", "Multi-Attach error for volume");
    assert_eq!(found(&creating, &[attach]).cause, "attach");
    let earlier = event_of("another pod", 4, "FailedMount", "x");
    assert_eq!(pod_trouble(&creating, &[earlier]), None);
}

#[test]
fn an_evicted_pod_is_fatal_only_if_nobody_replaces_it() {
    let status = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let bare = found(&pod(status.clone()), &[]);
    assert!(bare.is_fatal());
    assert_eq!(bare.message, "pod/p was ended by Kubernetes (Evicted): The node was low on resource: memory.");
    let mut owned = pod(status);
    owned.metadata.owner_references = Some(vec![parse(
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "x", "controller": true}),
    )]);
    assert_eq!(found(&owned, &[]).patience, seconds(30));
}

#[test]
fn a_pod_that_is_being_replaced_is_never_fatal_at_once() {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "s", "controller": true}]);
    let going = json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"});
    let mut pod = crashing(5, json!({"exitCode": 137}));
    pod.status.as_mut().unwrap().conditions = parse(json!([going]));
    assert!(found(&pod, &[]).is_fatal(), "nobody replaces it");
    pod.metadata.owner_references = parse(owner);
    assert_eq!(found(&pod, &[]).patience, seconds(30));
    pod.status.as_mut().unwrap().conditions = None;
    assert!(found(&pod, &[]).is_fatal(), "it stays as it is");
}

#[test]
fn a_bare_pod_that_ended_tells_its_exit_code() {
    let ended =
        pod(json!({"phase": "Failed", "containerStatuses": [{"name": "m", "image": "i", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}));
    assert_eq!(found(&ended, &[]).message, "pod/p failed: container m ended with exit code 1");
}

#[test]
fn a_pod_that_is_being_deleted_is_left_alone() {
    let mut dying = waiting("ErrImagePull", "no");
    dying.metadata.deletion_timestamp = parse(json!("2026-11-22T10:00:00Z"));
    assert_eq!(pod_trouble(&dying, &[]), None);
}

fn claim(phase: &str, class: Option<&str>) -> PersistentVolumeClaim {
    parse(
        json!({"metadata": {"name": "c", "uid": "u"}, "spec": {"storageClassName": class}, "status": {"phase": phase}}),
    )
}

fn class(name: &str, default: bool) -> StorageClass {
    parse(
        json!({"metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "provisioner": "x"}),
    )
}

#[test]
fn claims_without_a_class_name_the_classes_there_are() {
    let classes = [class("slow", false), class("fast", false)];
    let none = claim_trouble(&claim("Pending", None), &classes, &[]).unwrap();
    assert_eq!(none.hint, "set the storage class to one of: slow, fast");
    assert_eq!(claim_trouble(&claim("Pending", None), &[class("slow", true)], &[]), None);
    let unknown = claim_trouble(&claim("Pending", Some("fats")), &classes, &[]).unwrap();
    assert!(unknown.message.ends_with("names storage class `fats`, which does not exist"));
    assert!(claim_trouble(&claim("Pending", Some("x")), &[], &[]).unwrap().hint.contains("no storage class at all"));
}

#[test]
fn waiting_for_the_first_consumer_is_normal() {
    let classes = [class("slow", true)];
    let normal = [event(1, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")];
    assert_eq!(claim_trouble(&claim("Pending", Some("slow")), &classes, &normal), None);
    let failed = [event(2, "ProvisioningFailed", "no space"), event(1, "ExternalProvisioning", "waiting")];
    let trouble = claim_trouble(&claim("Pending", Some("slow")), &classes, &failed).unwrap();
    assert_eq!((trouble.cause, trouble.patience), ("provisioning", seconds(60)));
    assert_eq!(claim_trouble(&claim("Bound", Some("gone")), &[], &failed), None);
}

#[test]
fn a_lost_volume_and_a_claim_without_any_volume() {
    assert!(claim_trouble(&claim("Lost", None), &[], &[]).unwrap().is_fatal());
    let none =
        [event(1, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")];
    assert_eq!(claim_trouble(&claim("Pending", Some("")), &[], &none).unwrap().cause, "binding");
}

#[test]
fn workloads_tell_why_their_pods_are_refused() {
    let set: StatefulSet = parse(json!({"metadata": {"name": "s", "uid": "u"}}));
    let refused = |why: &str| event(2, "FailedCreate", &format!("create Pod s-0 in StatefulSet s failed error: {why}"));
    let security = refused("pods \"s-0\" is forbidden: violates PodSecurity \"restricted:latest\": seccompProfile");
    let trouble = statefulset_trouble(&set, &[Arc::clone(&security)]).unwrap();
    assert!(trouble.is_fatal() && trouble.message.contains("violates PodSecurity"));
    let quota = refused("pods \"s-0\" is forbidden: exceeded quota: q");
    assert_eq!(statefulset_trouble(&set, &[quota]).unwrap().patience, seconds(10));
    let later = event(3, "SuccessfulCreate", "create Pod s-0 in StatefulSet s successful");
    assert_eq!(statefulset_trouble(&set, &[later, security]), None);

    let deployment: Deployment = parse(json!({"metadata": {"name": "d"}, "status": {"conditions": [
        {"type": "Progressing", "status": "True"},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "pods \"d-\" is forbidden: exceeded quota: q"}]}}));
    assert!(deployment_trouble(&deployment).unwrap().message.starts_with("deployment/d cannot make its pod: pods"));
}

#[test]
fn only_what_lasts_ends_a_wait() {
    let trouble = found(&unscheduled("0/3 nodes are available: 3 Insufficient cpu."), &[]);
    let mut lasting = Lasting::default();
    assert!(!lasting.ends_wait(Some(&trouble), seconds(0)));
    assert!(!lasting.ends_wait(Some(&trouble), seconds(9)));
    assert!(!lasting.ends_wait(None, seconds(9)));
    assert!(!lasting.ends_wait(Some(&trouble), seconds(12)));
    assert!(lasting.ends_wait(Some(&trouble), seconds(22)));
    let fatal = found(&waiting("ErrImagePull", "no"), &[]);
    assert!(lasting.ends_wait(Some(&fatal), seconds(22)));
}
