//! From Kubernetes objects to what a cluster looks like. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DeploymentStatus, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;

use crate::desired::Desired;
use crate::kube::live::Snapshot;
use crate::kube::trouble::{self, Lasting, claim_trouble, deployment_trouble, pod_trouble, statefulset_trouble};
use crate::manifests::labels::CONFIG_ANNOTATION;
use crate::manifests::member::CONTAINER;
use crate::manifests::proxy;
use crate::names::{
    COMPONENT_LABEL, LEFT_ANNOTATION, MEMBER_LABEL, Member, RUNS_AS_ANNOTATION, Role, UUID_ANNOTATION, fingerprint,
};
use crate::observed::{ClaimView, Observed, PodView, ProxyView, Trouble};

/// Kubernetes' own label with the version of the template that a pod was made from.
const REVISION_LABEL: &str = "controller-revision-hash";

/// Turns snapshots into views, and remembers how long each trouble has lasted.
#[derive(Default)]
pub struct Reader {
    lasting: BTreeMap<String, Lasting>,
}

impl Reader {
    /// Pods, claims and proxy of a cluster. `now` is the time since the first look. Answers of servers and logs are
    /// not in a snapshot; they are left as `into` has them.
    pub fn read(
        &mut self,
        snapshot: &Snapshot,
        classes: &[StorageClass],
        desired: &Desired,
        now: Duration,
        into: &mut Observed,
    ) {
        for view in into.members.values_mut() {
            view.pod = PodView { phrase: "no pod".to_owned(), ..PodView::default() };
        }
        for pod in snapshot.pods.values() {
            let Some(member) = member_of(pod) else { continue };
            let trouble = pod_trouble(pod, snapshot.events.values());
            // Another pod of the same name has its own time.
            let key = format!("pod/{}/{}", pod.name_any(), pod.uid().unwrap_or_default());
            let trouble = self.judge(&key, trouble, now);
            let set = snapshot.statefulsets.get(&desired.cluster.member(member));
            let outdated = set.and_then(|set| is_outdated(pod, set));
            into.members.entry(member).or_default().pod = PodView { outdated, ..pod_view(pod, trouble) };
        }
        into.claims.clear();
        // The claim of the backups is of another kind.
        let of_members = snapshot.claims.iter().filter(|(name, _)| claim_owner(desired, name).is_some());
        for (name, claim) in of_members {
            let trouble = claim_trouble(claim, classes, snapshot.events.values());
            let trouble = self.judge(&format!("claim/{name}"), trouble, now);
            into.claims.insert(name.clone(), claim_view(claim, trouble));
        }
        into.trouble = None;
        for (name, set) in &snapshot.statefulsets {
            let trouble = statefulset_trouble(set, snapshot.events.values());
            let trouble = self.judge(&format!("statefulset/{name}"), trouble, now);
            into.trouble = into.trouble.take().or(trouble);
        }
        into.proxy = self.proxy(snapshot, desired, now);
    }

    fn proxy(&mut self, snapshot: &Snapshot, desired: &Desired, now: Duration) -> ProxyView {
        let Some(deployment) = snapshot.deployments.get(&desired.cluster.proxy()) else { return ProxyView::default() };
        let pods: Vec<_> = snapshot.pods.values().filter(|pod| has_role(pod, Role::Proxy)).collect();
        let mut trouble = deployment_trouble(deployment);
        for pod in &pods {
            trouble = trouble.or_else(|| pod_trouble(pod, snapshot.events.values()));
        }
        let count = |value: Option<i32>| value.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let status = deployment.status.as_ref();
        let number = |which: fn(&DeploymentStatus) -> Option<i32>| count(status.and_then(which));
        let serving: Vec<_> = pods.iter().filter(|pod| running(pod).is_some()).collect();
        let sum = proxy::config_sum(desired);
        let is_other = |pod: &Pod| {
            image(pod, proxy::CONTAINER).is_some_and(|image| image != desired.haproxy_image)
                || pod.annotations().get(CONFIG_ANNOTATION).is_some_and(|config| *config != sum)
        };
        // Until its controller has seen the newest version, the numbers are those of an older one.
        let current = status.and_then(|status| status.observed_generation) == deployment.metadata.generation;
        ProxyView {
            exists: true,
            wanted: count(deployment.spec.as_ref().and_then(|spec| spec.replicas)),
            // One of an earlier template serves with an earlier configuration.
            available: if current {
                number(|status| status.available_replicas).min(number(|status| status.updated_replicas))
            } else {
                0
            },
            outdated: serving.iter().filter(|pod| is_other(pod)).map(|pod| pod.name_any()).collect(),
            pods: serving.iter().map(|pod| pod.name_any()).collect(),
            trouble: self.judge("proxy", trouble, now),
        }
    }

    fn judge(&mut self, key: &str, trouble: Option<trouble::Trouble>, now: Duration) -> Option<Trouble> {
        let fatal = self.lasting.entry(key.to_owned()).or_default().ends_wait(trouble.as_ref(), now);
        trouble.map(|trouble| Trouble { fatal, message: trouble.message, hint: trouble.hint })
    }
}

fn label<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn has_role(pod: &Pod, role: Role) -> bool {
    label(pod, COMPONENT_LABEL) == Some(role.label())
}

fn member_of(pod: &Pod) -> Option<Member> {
    (has_role(pod, Role::Seed) || has_role(pod, Role::Node)).then(|| label(pod, MEMBER_LABEL)?.parse().ok())?
}

/// The server's container; beside it there may be an agent, whose state says nothing about the member.
fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER).or(statuses.first())
}

fn running(pod: &Pod) -> Option<&ContainerStatus> {
    container(pod).filter(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// As which template a pod runs that was made from an earlier one. It is written at the pod, so it goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// Its server has taken what is new in the template of this sum.
    Taken(String),
    /// It is to take it.
    ToTake(String),
}

impl std::fmt::Display for RunsAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(sum) => f.write_str(sum),
            Self::ToTake(sum) => write!(f, "not-yet-{sum}"),
        }
    }
}

/// What is written at a pod about it.
#[must_use]
pub fn runs_as(pod: &Pod) -> Option<RunsAs> {
    let text = pod.annotations().get(RUNS_AS_ANNOTATION)?;
    Some(
        text.strip_prefix("not-yet-").map_or_else(|| RunsAs::Taken(text.clone()), |sum| RunsAs::ToTake(sum.to_owned())),
    )
}

/// Differs where the templates of two sets, as the API server has completed them, differ.
#[must_use]
pub fn template_sum(set: &StatefulSet) -> Option<String> {
    serde_json::to_string(&set.spec.as_ref()?.template).ok().map(|text| fingerprint(&text))
}

/// Whether a pod was made from an earlier template of its set, and its server has not taken what is new meanwhile; not
/// known until the controller has seen the newest one.
#[must_use]
pub fn is_outdated(pod: &Pod, set: &StatefulSet) -> Option<bool> {
    let status = set.status.as_ref().filter(|status| status.observed_generation == set.metadata.generation)?;
    match runs_as(pod) {
        Some(RunsAs::Taken(sum)) => Some(sum != template_sum(set)?),
        Some(RunsAs::ToTake(_)) => Some(true),
        None => Some(label(pod, REVISION_LABEL)? != status.update_revision.as_deref()?),
    }
}

fn pod_view(pod: &Pod, trouble: Option<Trouble>) -> PodView {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    let leaving = pod.metadata.deletion_timestamp.is_some();
    PodView {
        exists: true,
        leaving,
        running: running(pod).is_some(),
        ended: matches!(phase, "Failed" | "Succeeded"),
        ready: container(pod).is_some_and(|status| status.ready),
        restarts: container(pod).and_then(|status| u32::try_from(status.restart_count).ok()).unwrap_or(0),
        host: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        address: status.and_then(|status| status.pod_ip.clone()),
        uid: pod.metadata.uid.clone(),
        image: image(pod, CONTAINER),
        config: pod.annotations().get(CONFIG_ANNOTATION).cloned(),
        outdated: None,
        phrase: phrase(pod, phase, leaving),
        trouble,
    }
}

fn image(pod: &Pod, of: &str) -> Option<String> {
    pod.spec.as_ref()?.containers.iter().find(|container| container.name == of)?.image.clone()
}

fn phrase(pod: &Pod, phase: &str, leaving: bool) -> String {
    if leaving {
        return "leaves".to_owned();
    }
    if running(pod).is_some() {
        return "container runs".to_owned();
    }
    let waiting = container(pod).and_then(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    match (waiting, phase) {
        (Some("ContainerCreating"), _) => "its container is created".to_owned(),
        (Some("CrashLoopBackOff"), _) => "its container waits to be restarted".to_owned(),
        (Some(reason), _) => reason.to_owned(),
        (None, "Failed" | "Succeeded") => "its pod has ended".to_owned(),
        (None, _) if pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_none() => {
            "waits for a host".to_owned()
        }
        (None, _) => "its container is created".to_owned(),
    }
}

fn claim_view(claim: &PersistentVolumeClaim, trouble: Option<Trouble>) -> ClaimView {
    let status = claim.status.as_ref();
    let capacity = status.and_then(|status| status.capacity.as_ref()?.get("storage").cloned());
    ClaimView {
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "Pending".to_owned()),
        capacity: capacity.map(|quantity| quantity.0),
        class: claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()),
        volume: claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()),
        recorded: claim.annotations().get(UUID_ANNOTATION).and_then(|text| text.parse().ok()),
        leaving: claim.metadata.deletion_timestamp.is_some(),
        left: claim.annotations().contains_key(LEFT_ANNOTATION),
        trouble,
    }
}

/// Which member's data a claim of this name holds.
#[must_use]
pub fn claim_owner(desired: &Desired, name: &str) -> Option<Member> {
    let member: Member =
        name.strip_prefix(&format!("{}-galera-", desired.cluster))?.strip_suffix("-volume-claim")?.parse().ok()?;
    (desired.cluster.claim(member) == name).then_some(member)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::{from_value, json};

    fn set(option: &str) -> StatefulSet {
        let template =
            json!({"metadata": {"annotations": {"galeractl.dev/config": option}}, "spec": {"containers": []}});
        from_value(json!({
            "metadata": {"generation": 2},
            "spec": {"selector": {}, "serviceName": "s", "template": template},
            "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "new"},
        }))
        .unwrap()
    }

    fn pod(revision: &str, runs_as: Option<RunsAs>) -> Pod {
        let annotations = runs_as.map(|runs_as| [(RUNS_AS_ANNOTATION.to_owned(), runs_as.to_string())].into());
        let labels = Some([(REVISION_LABEL.to_owned(), revision.to_owned())].into());
        Pod { metadata: ObjectMeta { labels, annotations, ..ObjectMeta::default() }, ..Pod::default() }
    }

    #[test]
    fn a_pod_is_current_by_its_template_or_by_what_its_server_has_taken() {
        let sum = |option: &str| template_sum(&set(option)).unwrap();
        assert_ne!(sum("1"), sum("2"));
        let outdated = |revision: &str, runs_as| is_outdated(&pod(revision, runs_as), &set("2"));
        assert_eq!((outdated("new", None), outdated("old", None)), (Some(false), Some(true)));
        assert_eq!(outdated("old", Some(RunsAs::Taken(sum("2")))), Some(false));
        assert_eq!(outdated("old", Some(RunsAs::Taken(sum("1")))), Some(true), "it was changed once more");
        // Who took what is wished no more has it, whatever Kubernetes says of its template.
        assert_eq!(outdated("new", Some(RunsAs::Taken(sum("1")))), Some(true));
        assert_eq!(outdated("new", Some(RunsAs::ToTake(sum("2")))), Some(true), "it may have half of it");
        for mark in [RunsAs::Taken(sum("1")), RunsAs::ToTake(sum("1"))] {
            assert_eq!(runs_as(&pod("old", Some(mark.clone()))), Some(mark));
        }
        let unseen = StatefulSet { metadata: ObjectMeta { generation: Some(3), ..ObjectMeta::default() }, ..set("2") };
        assert_eq!(is_outdated(&pod("old", None), &unseen), None);
    }
}
