//! One Kubernetes object, ready to be applied: its address and its content.

use kube::core::{ApiResource, Resource};
use serde::Serialize;
use serde_json::Value;

/// An object as it should be. Content is plain JSON, so that all kinds travel in one list.
#[derive(Debug, Clone)]
pub struct Object {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`; `None` for cluster-wide objects.
    pub namespace: Option<String>,
    /// The whole object, with `apiVersion` and `kind`.
    pub value: Value,
}

impl Object {
    /// Wraps a typed object.
    #[must_use]
    pub fn of<K>(object: &K) -> Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let resource = ApiResource::erase::<K>(&());
        let value = serde_json::to_value(object);
        let value = value.unwrap_or_else(|error| unreachable!("a {} is always JSON: {error}", resource.kind));
        let meta = object.meta();
        Self { resource, name: meta.name.clone().unwrap_or_default(), namespace: meta.namespace.clone(), value }
    }

    /// How people write it: `statefulset/shop-galera-node1`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.resource.kind.to_lowercase(), self.name)
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display())
    }
}
