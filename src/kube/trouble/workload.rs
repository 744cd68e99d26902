//! What keeps a StatefulSet or Deployment from making its pods.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;

use super::{Trouble, events_about, reason, seconds, text};
use crate::kube::denial::Denial;

/// What keeps a StatefulSet from making its pod.
#[must_use]
pub fn statefulset_trouble<'a>(set: &StatefulSet, events: impl IntoIterator<Item = &'a Arc<Event>>) -> Option<Trouble> {
    let events = events_about(set.uid().as_deref(), events);
    let latest = events.into_iter().rfind(|event| matches!(reason(event), "FailedCreate" | "SuccessfulCreate"))?;
    let status = set.status.as_ref();
    if reason(latest) == "SuccessfulCreate" || status.is_some_and(|status| status.replicas > 0) {
        return None;
    }
    Some(refused(&format!("statefulset/{}", set.name_any()), &text(latest.message.as_deref())))
}

/// What keeps a Deployment from making its pods.
#[must_use]
pub fn deployment_trouble(deployment: &Deployment) -> Option<Trouble> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|one| one.type_ == "ReplicaFailure" && one.status == "True")?;
    Some(refused(&format!("deployment/{}", deployment.name_any()), &text(failure.message.as_deref())))
}

fn refused(name: &str, why: &str) -> Trouble {
    let denial = Denial::recognise(why);
    let patience = match denial {
        // A pod that is just ending may give back what it used; an unknown reason may pass.
        Some(Denial::Quota) => seconds(10),
        None => seconds(30),
        Some(_) => Duration::ZERO,
    };
    let hint = denial.map_or("see its events with `kubectl describe`", Denial::hint);
    Trouble { cause: "refused", patience, message: format!("{name} cannot make its pod: {why}"), hint: hint.to_owned() }
}
