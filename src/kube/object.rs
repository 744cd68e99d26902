//! One Kubernetes object of any kind, ready to be applied.

use kube::api::{Api, ApiResource, DynamicObject, Resource};
use kube::{Client, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Failure, Kind, Result};

/// An object as it should be, whatever its type.
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
    /// Takes a typed object.
    ///
    /// # Errors
    /// [`Kind::Bug`] if the object has no name or cannot be written as JSON.
    pub fn of<K>(object: &K) -> Result<Self>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let resource = ApiResource::erase::<K>(&());
        let name = object
            .meta()
            .name
            .clone()
            .ok_or_else(|| Failure::message(Kind::Bug, format!("a {} was made without a name", resource.kind)))?;
        let value = serde_json::to_value(object).map_err(|error| {
            Failure::new(Kind::Bug, error).context(format!("{} `{name}` cannot be written as JSON", resource.kind))
        })?;
        Ok(Self { resource, name, namespace: object.namespace(), value })
    }

    /// Such as `statefulset/shop-galera-node1`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.resource.kind.to_lowercase(), self.name)
    }

    /// The API endpoint of objects of this kind in this object's namespace.
    #[must_use]
    pub fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display())
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use k8s_openapi::api::networking::v1::NetworkPolicy;
    use serde_json::json;

    use super::*;

    fn parse<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_typed_object_keeps_its_type() {
        let policy: NetworkPolicy = parse(json!({"metadata": {"name": "a", "namespace": "n"}}));
        let object = Object::of(&policy).unwrap();
        assert_eq!(object.display(), "networkpolicy/a");
        assert_eq!(object.namespace.as_deref(), Some("n"));
        assert_eq!(object.value["apiVersion"], "networking.k8s.io/v1");
        assert_eq!(object.value["kind"], "NetworkPolicy");
        assert_eq!(object.resource.plural, "networkpolicies");
    }

    #[test]
    fn a_nameless_object_is_a_bug() {
        assert_eq!(Object::of(&Namespace::default()).unwrap_err().kind, Kind::Bug);
    }
}
