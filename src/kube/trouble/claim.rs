//! What keeps a claim from getting its volume.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;

use crate::kube::classes::is_default;

use super::{Trouble, events_about, reason, seconds, text};

/// What is wrong with a claim; `None` if it is bound, or waits for its pod as it should.
#[must_use]
pub fn claim_trouble<'a>(
    claim: &PersistentVolumeClaim,
    classes: &[StorageClass],
    events: impl IntoIterator<Item = &'a Arc<Event>>,
) -> Option<Trouble> {
    let name = claim.name_any();
    let trouble = |cause, patience, what: String, hint: String| {
        Some(Trouble { cause, patience, message: format!("persistentvolumeclaim/{name} {what}"), hint })
    };
    match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Bound") => return None,
        Some("Lost") => {
            let hint =
                "its data is gone or in a volume that was released; do not delete anything before you know where it is";
            return trouble("lost", Duration::ZERO, "has lost its volume".to_owned(), hint.to_owned());
        }
        _ if claim.metadata.deletion_timestamp.is_some() => return None,
        _ => {}
    }
    match claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()) {
        // A volume without class, made by hand, may still be found for it.
        None if !classes.iter().any(is_default) => trouble(
            "no-class",
            seconds(5),
            "names no storage class, and this cluster has no default one".to_owned(),
            known(classes),
        ),
        // Volumes made by hand may carry a class that exists nowhere else.
        Some(class) if !class.is_empty() && !classes.iter().any(|known| known.name_any() == class) => trouble(
            "unknown-class",
            seconds(10),
            format!("names storage class `{class}`, which does not exist"),
            known(classes),
        ),
        _ => provisioning(&name, &events_about(claim.uid().as_deref(), events)),
    }
}

/// What the provisioner says; "waiting for first consumer" and the like are as they should be.
fn provisioning(name: &str, events: &[&Event]) -> Option<Trouble> {
    let latest = events.last()?;
    let (cause, patience, hint) = match reason(latest) {
        "ProvisioningFailed" => ("provisioning", seconds(60), "the provisioner's own log says more; it keeps trying"),
        "FailedBinding" => {
            ("binding", seconds(30), "make a PersistentVolume that fits, or name a storage class that provisions one")
        }
        _ => return None,
    };
    let message = format!("persistentvolumeclaim/{name} gets no volume: {}", text(latest.message.as_deref()));
    Some(Trouble { cause, patience, message, hint: hint.to_owned() })
}

fn known(classes: &[StorageClass]) -> String {
    let names: Vec<String> = classes.iter().map(ResourceExt::name_any).collect();
    match names.as_slice() {
        [] => "this cluster has no storage class at all; its administrator has to install one".to_owned(),
        names => format!("set the storage class to one of: {}", names.join(", ")),
    }
}
