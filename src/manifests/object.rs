//! One Kubernetes object, ready to be applied: its address and its content.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

/// An object with its address in the API. Content is plain JSON, so that all kinds travel in one list.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Group, empty for the core group.
    pub group: &'static str,
    /// Version, such as `v1`.
    pub version: &'static str,
    /// Kind, such as `StatefulSet`.
    pub kind: &'static str,
    /// Plural resource name, such as `statefulsets`.
    pub plural: &'static str,
    /// Name of the object.
    pub name: String,
    /// Namespace; `None` for cluster-wide objects.
    pub namespace: Option<String>,
    /// The whole object.
    pub value: serde_json::Value,
}

impl Object {
    /// Wraps a typed object.
    ///
    /// # Panics
    /// Never for types of k8s-openapi: all of them can be written as JSON.
    #[must_use]
    pub fn of<K>(object: &K) -> Self
    where
        K: k8s_openapi::Metadata<Ty = ObjectMeta> + Serialize,
    {
        let value = serde_json::to_value(object).unwrap_or_else(|error| unreachable!("{} as JSON: {error}", K::KIND));
        Self {
            group: K::GROUP,
            version: K::VERSION,
            kind: K::KIND,
            plural: K::URL_PATH_SEGMENT,
            name: object.metadata().name.clone().unwrap_or_default(),
            namespace: object.metadata().namespace.clone(),
            value,
        }
    }

    /// How people write it: `statefulset/shop-galera-node1`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}
