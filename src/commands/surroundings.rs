//! What settings meet in the Kubernetes cluster, looked at before a run begins.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::desired::Desired;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::kube::classes::{DEFAULT_CLASS, is_default};
use crate::kube::client::Connection;
use crate::kube::objects::Objects;
use crate::names::INSTANCE_LABEL;
use crate::observe::objects::claim_owner;
use crate::settings::{Settings, Variant, bytes};
use crate::ui::Ui;

use super::gather::storage_classes;

/// A storage class for vSphere that is the default one takes claims that are meant for other volumes. Warns of it, or
/// unsets it where the user wishes so.
pub(super) async fn default_class(
    ui: &Ui,
    connection: &Connection,
    settings: &mut Settings,
    fix: bool,
    yes: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let Some(name) = settings.desired.storage_class.as_deref().filter(|_| settings.variant == Variant::PKS) else {
        return Ok(());
    };
    let classes = storage_classes(connection).await?;
    if !classes.iter().any(|class| class.name_any() == name && is_default(class)) {
        return Ok(());
    }
    let patch = json!({"metadata": {"annotations": {DEFAULT_CLASS: "false"}}});
    if !fix {
        settings.notices.push(format!(
            "storage class {name} is the default one, and will take claims that are meant for NFS or iSCSI volumes; \
             unset it with --fix-default-class, or: kubectl patch storageclass {name} -p '{patch}'"
        ));
        return Ok(());
    }
    let question = format!("Make storage class {name} no longer the default one, for everybody on this Kubernetes?");
    ui.yes_no(&question, yes, cancel).await?;
    let all: Objects<StorageClass> = Objects::everywhere(&connection.client);
    all.merge(name, "patch", &patch, Kind::Preflight).await?;
    ui.notice(Level::Info, &format!("storage class {name} is no longer the default one"));
    Ok(())
}

/// A volume never shrinks; a size that was given in error is told before anything is done.
pub(super) async fn volume_size(connection: &Connection, settings: &Settings) -> Result<()> {
    let Some((origin, wanted)) = settings.given_volume_size() else { return Ok(()) };
    let Desired { cluster, namespace, .. } = &settings.desired;
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&connection.client, namespace);
    let found = claims.list_seen(&format!("{INSTANCE_LABEL}={cluster}"), Kind::Preflight).await?;
    // The preflight asks for this right, and names it together with all others that are missing.
    let Some(found) = found else { return Ok(()) };
    for claim in found {
        let name = claim.name_any();
        let requests = claim.spec.and_then(|spec| spec.resources?.requests);
        let size = requests.and_then(|requests| requests.get("storage").cloned());
        let (Some(_), Some(size)) = (claim_owner(&settings.desired, &name), size) else { continue };
        if bytes(&size.0).is_ok_and(|bytes| bytes > wanted) {
            let given = &settings.desired.volume_size;
            return Err(Failure::message(
                Kind::Usage,
                format!("{origin}: galera_cluster_volume_size: {given} is less than the {} of persistentvolumeclaim/{name}", size.0),
            )
            .hint("volumes cannot shrink; give the size that they have, or a larger one for volumes that are still to be made"));
        }
    }
    Ok(())
}
