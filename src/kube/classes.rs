//! Storage classes.

use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Client, ResourceExt};

use crate::error::{Kind, Result};

use super::objects::Objects;

/// Annotation that makes a storage class the default one.
pub const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// All storage classes; `None` for a user who may not look at them.
///
/// # Errors
/// A failure of `kind` if the API server refuses for another reason; [`Kind::Unreachable`].
pub async fn list(client: &Client, kind: Kind) -> Result<Option<Vec<StorageClass>>> {
    Objects::everywhere(client).list_seen("", kind).await
}

/// Whether claims that name no class get this one.
#[must_use]
pub fn is_default(class: &StorageClass) -> bool {
    class.annotations().get(DEFAULT_CLASS).is_some_and(|value| value == "true")
}
