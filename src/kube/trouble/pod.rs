//! What keeps a pod from running.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod, PodStatus};
use kube::ResourceExt;

use super::{Trouble, events_about, reason, seconds, text};

/// Until then whoever controls a pod that ends has made another one.
const REPLACED_WITHIN: Duration = Duration::from_secs(30);

/// What is wrong with a pod; `None` if nothing is, as far as Kubernetes says. What happens to a pod that is about to go
/// says nothing about the one that comes in its place.
#[must_use]
pub fn pod_trouble<'a>(pod: &Pod, events: impl IntoIterator<Item = &'a Arc<Event>>) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let case =
        Case { name: format!("pod/{}", pod.name_any()), pod, events: events_about(pod.uid().as_deref(), events) };
    let trouble = case.failed(status).or_else(|| case.unscheduled(status)).or_else(|| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten()).find_map(|container| case.container(container))
    })?;
    let going = is_replaced(pod) && is_evicted(status);
    Some(if going { Trouble { patience: trouble.patience.max(REPLACED_WITHIN), ..trouble } } else { trouble })
}

/// Whether somebody makes another pod when this one goes; a bare pod stays gone.
fn is_replaced(pod: &Pod) -> bool {
    pod.owner_references().iter().any(|owner| owner.controller == Some(true))
}

/// Whether Kubernetes is about to take the pod from its host: an eviction, a drain, a more important pod.
fn is_evicted(status: &PodStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")
}

struct Case<'a> {
    name: String,
    pod: &'a Pod,
    events: Vec<&'a Event>,
}

impl Case<'_> {
    fn trouble(&self, cause: &'static str, patience: Duration, what: impl AsRef<str>, hint: &str) -> Trouble {
        Trouble { cause, patience, message: format!("{} {}", self.name, what.as_ref()), hint: hint.to_owned() }
    }

    /// The pod as a whole came to an end.
    fn failed(&self, status: &PodStatus) -> Option<Trouble> {
        if status.phase.as_deref() != Some("Failed") {
            return None;
        }
        // Whoever controls the pod makes a new one; a bare pod stays as it is.
        let patience = if is_replaced(self.pod) { REPLACED_WITHIN } else { Duration::ZERO };
        let why = text(status.message.as_deref());
        if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
            let hint = "the node ran short of something or is going down; see `kubectl describe node`";
            return Some(self.trouble("ended", patience, format!("was ended by Kubernetes ({reason}): {why}"), hint));
        }
        let ended = status.container_statuses.iter().flatten().find_map(|container| {
            let ended = container.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
            Some((container, ended))
        });
        let (container, ended) = ended?;
        let what = format!("failed: container {} {}", container.name, ending(ended));
        Some(self.trouble("failed", patience, what, ending_hint(ended)))
    }

    fn unscheduled(&self, status: &PodStatus) -> Option<Trouble> {
        let condition = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
            .filter(|condition| condition.reason.as_deref() != Some("SchedulingGated"))?;
        let why = text(condition.message.as_deref());
        // What could be evicted for it adds nothing.
        let why = why.split(" preemption:").next().unwrap_or_default();
        let growing = self.events.iter().any(|event| reason(event) == "TriggeredScaleUp");
        let (cause, patience, hint) = unschedulable(why, growing);
        Some(self.trouble(cause, patience, format!("fits on no node: {why}"), hint))
    }

    fn container(&self, container: &ContainerStatus) -> Option<Trouble> {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = text(waiting.message.as_deref());
        let name = &container.name;
        match waiting.reason.as_deref()? {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => Some(self.image(container, why)),
            "CreateContainerConfigError" => {
                // What it refers to may be about to be created.
                let patience = if why.contains("not found") { seconds(15) } else { Duration::ZERO };
                let hint = "the pod refers to something that does not exist or forbids this image's user";
                Some(self.trouble("config", patience, format!("cannot start container {name}: {why}"), hint))
            }
            "CreateContainerError" | "RunContainerError" | "PreStartHookError" | "PostStartHookError" => {
                let hint = "the container runtime refuses; does the image contain what the command needs?";
                Some(self.trouble("runtime", seconds(20), format!("cannot start container {name}: {why}"), hint))
            }
            "CrashLoopBackOff" => Some(self.crash_loop(container)),
            "ContainerCreating" | "PodInitializing" => self.creating(),
            _ => None,
        }
    }

    fn image(&self, container: &ContainerStatus, why: String) -> Trouble {
        // The event has the registry's answer; the state often has only "Back-off pulling image".
        let answer = self.events.iter().rev().find(|event| {
            reason(event) == "Failed" && event.message.as_deref().is_some_and(|text| text.contains("pull image"))
        });
        let why = answer.map_or(why, |event| text(event.message.as_deref()));
        let hint = if why.contains("unauthorized") || why.contains("authorization failed") || why.contains("denied") {
            "the registry wants credentials: name a Secret in image_pull_secrets"
        } else {
            "check the image's name and tag, and that the nodes reach its registry"
        };
        let what = format!("cannot get image `{}`: {why}", container.image);
        self.trouble("image", Duration::ZERO, what, hint)
    }

    fn crash_loop(&self, container: &ContainerStatus) -> Trouble {
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let how = ended.map_or_else(|| "ends again and again".to_owned(), ending);
        let hint = ended.map_or("see its log", ending_hint);
        let restarts = container.restart_count;
        // Two ends may be one piece of bad luck, such as a donor that left; three are a habit.
        let patience = if restarts >= 2 { Duration::ZERO } else { seconds(30) };
        let what = format!("crashes: container {} {how}, {restarts} restarts so far", container.name);
        self.trouble("crash", patience, what, hint)
    }

    /// What an ordinary start is stuck in, by the latest event: earlier ones are overcome.
    fn creating(&self) -> Option<Trouble> {
        let latest = self.events.last()?;
        let why = text(latest.message.as_deref());
        match reason(latest) {
            "FailedMount" if why.contains("not found") => {
                let hint = "a ConfigMap, Secret or claim that the pod mounts does not exist";
                Some(self.trouble("mount", seconds(20), format!("waits for what it mounts: {why}"), hint))
            }
            "FailedMount" | "FailedMapVolume" => {
                let hint = "the node cannot mount the volume; see the storage driver's log on that node";
                Some(self.trouble("mount", seconds(90), format!("cannot mount a volume: {why}"), hint))
            }
            "FailedAttachVolume" => {
                let hint = "the volume may still be attached to another node; it is freed when that node answers or is removed";
                Some(self.trouble("attach", seconds(120), format!("cannot attach its volume: {why}"), hint))
            }
            "FailedCreatePodSandBox" => {
                let hint = "the node's container runtime or network plugin has a problem";
                Some(self.trouble("sandbox", seconds(60), format!("cannot be set up on its node: {why}"), hint))
            }
            _ => None,
        }
    }
}

/// Kind, patience and hint for the scheduler's message.
fn unschedulable(why: &str, growing: bool) -> (&'static str, Duration, &'static str) {
    let has = |part: &str| why.contains(part);
    if growing {
        return ("scale-up", seconds(600), "the cluster autoscaler is adding a node");
    }
    if has("unbound immediate PersistentVolumeClaims") || has("waiting for a volume") {
        return ("volume", seconds(120), "its volume is not provisioned yet; see the events of its claim");
    }
    if has("persistentvolumeclaim") && has("not found") {
        return ("claim", seconds(20), "the claim of its volume does not exist");
    }
    if has("find available persistent volumes to bind")
        || has("volume node affinity conflict")
        || has("PersistentVolume's node affinity")
    {
        return (
            "volume-place",
            seconds(30),
            "no host can have all volumes of the pod; see the storage class, and `kubectl describe pv` for where they are",
        );
    }
    if has("no nodes available") || has("node.kubernetes.io/not-ready") || has("node.kubernetes.io/unreachable") {
        return ("no-node", seconds(60), "the cluster has no ready node; see `kubectl get nodes`");
    }
    let hint = if has("Insufficient") {
        "ask for less (resources), free some, or add a node"
    } else if has("affinity") || has("selector") {
        "no node carries the wanted labels; see node_selector and `kubectl get nodes --show-labels`"
    } else if has("taint") {
        "every node is reserved by a taint; add a node for this work, or remove a taint"
    } else {
        "see `kubectl describe pod` and `kubectl get nodes`"
    };
    // Something that is just ending may make room.
    ("room", seconds(10), hint)
}

fn ending(ended: &ContainerStateTerminated) -> String {
    let message = text(ended.message.as_deref());
    let message = if message.is_empty() { message } else { format!(": {message}") };
    match (ended.reason.as_deref(), ended.signal) {
        (Some("OOMKilled"), _) => format!("was killed for using more memory than its limit{message}"),
        (_, Some(signal)) if signal != 0 => format!("was ended by signal {signal}{message}"),
        (Some(reason), _) if reason != "Error" => {
            format!("ended with exit code {} ({reason}){message}", ended.exit_code)
        }
        _ => format!("ended with exit code {}{message}", ended.exit_code),
    }
}

fn ending_hint(ended: &ContainerStateTerminated) -> &'static str {
    match ended.reason.as_deref() {
        Some("OOMKilled") => "raise the memory limit, or lower innodb_buffer_pool_size to at most 60 % of it",
        _ => "its log says why (`kubectl logs --previous` after a restart)",
    }
}
