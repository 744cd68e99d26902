//! A storage class for vSphere that is the default one takes claims that are meant for other volumes.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::engine::event::Level;
use crate::error::{Kind, Result};
use crate::kube::classes::{DEFAULT_CLASS, is_default};
use crate::kube::client::Connection;
use crate::kube::errors::explain;
use crate::settings::{Settings, Variant};
use crate::ui::Ui;

use super::gather::storage_classes;

/// Warns of it, or unsets it where the user wishes so.
pub(super) async fn look(
    ui: &Ui,
    connection: &Connection,
    settings: &mut Settings,
    fix: bool,
    yes: bool,
    cancel: &CancellationToken,
) -> Result<()> {
    let Some(name) = settings.desired.storage_class.as_deref().filter(|_| settings.variant == Variant::Pks) else {
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
    let all: Api<StorageClass> = Api::all(connection.client.clone());
    let patched = all.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.map_err(|error| explain(Kind::Preflight, format!("patch storageclass/{name}"), error))?;
    ui.notice(Level::Info, &format!("storage class {name} is no longer the default one"));
    Ok(())
}
