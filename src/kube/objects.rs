//! Objects of one kind: single questions and small changes, with errors that say what was asked.

use std::fmt::Debug;

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::errors::{explain, is_conflict, is_forbidden};
use crate::error::{Failure, Kind, Result};
use crate::names::Namespace;

/// What a user gets to see of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<K> {
    /// It is there.
    There(K),
    /// It is not there.
    Missing,
    /// The user may not look, which says nothing about the object.
    Hidden,
}

impl<K> Seen<K> {
    /// The object, if it can be seen.
    pub fn there(self) -> Option<K> {
        match self {
            Self::There(object) => Some(object),
            Self::Missing | Self::Hidden => None,
        }
    }
}

/// Objects of one kind, in a namespace or everywhere.
#[derive(Debug, Clone)]
pub struct Objects<K>(Api<K>);

impl<K> Objects<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    /// In the whole Kubernetes cluster.
    #[must_use]
    pub fn everywhere(client: &Client) -> Self {
        Self(Api::all(client.clone()))
    }

    /// In one namespace.
    #[must_use]
    pub fn within(client: &Client, namespace: &Namespace) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        Self(Api::namespaced(client.clone(), namespace.as_str()))
    }

    /// One object by its name.
    ///
    /// # Errors
    /// A failure of `kind` if the API server refuses; [`Kind::Unreachable`].
    pub async fn get(&self, name: &str, kind: Kind) -> Result<Option<K>> {
        self.0.get_opt(name).await.map_err(with_one::<K>("read", name, kind))
    }

    /// As [`Objects::get`], for a user who may not be allowed to look.
    ///
    /// # Errors
    /// As [`Objects::get`], except for missing rights.
    pub async fn look(&self, name: &str, kind: Kind) -> Result<Seen<K>> {
        match self.0.get_opt(name).await {
            Err(error) if is_forbidden(&error) => Ok(Seen::Hidden),
            found => {
                found.map(|found| found.map_or(Seen::Missing, Seen::There)).map_err(with_one::<K>("read", name, kind))
            }
        }
    }

    /// All with these labels, such as `a=b,c=d`; all without any for an empty text.
    ///
    /// # Errors
    /// As [`Objects::get`].
    pub async fn list(&self, labels: &str, kind: Kind) -> Result<Vec<K>> {
        self.select(&ListParams::default().labels(labels)).await.map_err(with_all::<K>(kind))
    }

    /// As [`Objects::list`]; `None` for a user who may not look.
    ///
    /// # Errors
    /// As [`Objects::get`], except for missing rights.
    pub async fn list_seen(&self, labels: &str, kind: Kind) -> Result<Option<Vec<K>>> {
        match self.select(&ListParams::default().labels(labels)).await {
            Err(error) if is_forbidden(&error) => Ok(None),
            found => found.map(Some).map_err(with_all::<K>(kind)),
        }
    }

    /// All with these values in their fields, such as `involvedObject.name=x`.
    ///
    /// # Errors
    /// As [`Objects::get`].
    pub async fn list_by(&self, fields: &str, kind: Kind) -> Result<Vec<K>> {
        self.select(&ListParams::default().fields(fields)).await.map_err(with_all::<K>(kind))
    }

    async fn select(&self, params: &ListParams) -> Result<Vec<K>, kube::Error> {
        self.0.list(params).await.map(|list| list.items)
    }

    /// Makes an object; `false` if somebody was faster.
    ///
    /// # Errors
    /// As [`Objects::get`].
    pub async fn create(&self, object: &K, kind: Kind) -> Result<bool>
    where
        K: Serialize,
    {
        let name = object.meta().name.clone().unwrap_or_default();
        match self.0.create(&PostParams::default(), object).await {
            Err(error) if is_conflict(&error) => Ok(false),
            made => made.map(|_| true).map_err(with_one::<K>("create", &name, kind)),
        }
    }

    /// Merges a patch into an object. `doing` is what an error names, such as `annotate`.
    ///
    /// # Errors
    /// As [`Objects::get`]; the object does not exist.
    pub async fn merge(&self, name: &str, doing: &str, patch: &Value, kind: Kind) -> Result<()> {
        self.merge_with(name, doing, patch, &PatchParams::default(), kind).await
    }

    /// As [`Objects::merge`], under the name of a field manager of its own.
    ///
    /// # Errors
    /// As [`Objects::merge`].
    pub async fn merge_as(&self, manager: &str, name: &str, doing: &str, patch: &Value, kind: Kind) -> Result<()> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.merge_with(name, doing, patch, &params, kind).await
    }

    async fn merge_with(&self, name: &str, doing: &str, patch: &Value, params: &PatchParams, kind: Kind) -> Result<()> {
        let merged = self.0.patch(name, params, &Patch::Merge(patch)).await;
        merged.map(drop).map_err(with_one::<K>(doing, name, kind))
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As [`Objects::get`]; the object does not exist.
    pub async fn delete(&self, name: &str, kind: Kind) -> Result<()> {
        let deleted = self.0.delete(name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(with_one::<K>("delete", name, kind))
    }
}

/// An object of a kind that belongs to no namespace, as the API server has it.
///
/// # Errors
/// As [`Objects::get`].
pub async fn raw(client: &Client, resource: &ApiResource, name: &str, kind: Kind) -> Result<Option<DynamicObject>> {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let doing = format!("read {}/{name}", resource.kind.to_lowercase());
    all.get_opt(name).await.map_err(|error| explain(kind, doing, error))
}

/// Names and labels of all objects of a kind in a namespace.
///
/// # Errors
/// As the API server answers, so that a lack of rights can be told from the rest.
pub async fn metadata(
    client: &Client,
    namespace: &Namespace,
    resource: &ApiResource,
    labels: &str,
) -> Result<Vec<ObjectMeta>, kube::Error> {
    let all: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace.as_str(), resource);
    let found = all.list_metadata(&ListParams::default().labels(labels)).await?;
    Ok(found.items.into_iter().map(|object| object.metadata).collect())
}

/// Says what could not be done to one object, such as "cannot read pod/shop-galera-node1-0".
fn with_one<K: Resource<DynamicType = ()>>(doing: &str, name: &str, kind: Kind) -> impl FnOnce(kube::Error) -> Failure {
    let doing = format!("{doing} {}/{name}", K::kind(&()).to_lowercase());
    move |error| explain(kind, doing, error)
}

/// Says that all objects of a kind cannot be listed.
fn with_all<K: Resource<DynamicType = ()>>(kind: Kind) -> impl FnOnce(kube::Error) -> Failure {
    move |error| explain(kind, format!("list {}", K::plural(&())), error)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace as Place, Pod};
    use serde_json::json;

    use super::*;
    use crate::kube::fake;

    async fn answered(code: u16) -> Client {
        let reason = match code {
            403 => "Forbidden",
            404 => "NotFound",
            _ => "Conflict",
        };
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []});
        let one = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}});
        let refused = json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": reason});
        fake::client(move |request| match code {
            200 if request.path.ends_with("/pods") => (200, list.clone()),
            200 => (200, one.clone()),
            code => (code, refused.clone()),
        })
        .await
    }

    #[tokio::test]
    async fn errors_say_what_was_asked_and_a_lack_of_rights_can_be_told_from_nothing() {
        let namespace: Namespace = "data".parse().unwrap();
        let pods = |client: &Client| Objects::<Pod>::within(client, &namespace);
        let there = pods(&answered(200).await);
        assert!(
            there.get("a", Kind::Step).await.unwrap().is_some()
                && there.list("x=y", Kind::Step).await.unwrap().is_empty()
        );
        let missing = pods(&answered(404).await);
        assert_eq!(missing.get("a", Kind::Step).await.unwrap(), None);
        assert_eq!(missing.look("a", Kind::Step).await.unwrap(), Seen::Missing);
        assert!(missing.delete("a", Kind::Step).await.unwrap_err().to_string().starts_with("cannot delete pod/a"));
        let hidden = pods(&answered(403).await);
        assert_eq!(hidden.look("a", Kind::Step).await.unwrap(), Seen::Hidden);
        assert_eq!(hidden.list_seen("", Kind::Step).await.unwrap(), None);
        let refused = hidden.get("a", Kind::Preflight).await.unwrap_err();
        assert!(refused.kind == Kind::Preflight && refused.to_string().starts_with("cannot read pod/a"), "{refused}");
        assert!(hidden.list("", Kind::Step).await.unwrap_err().to_string().starts_with("cannot list pods"));
        let patched = hidden.merge("a", "annotate", &json!({}), Kind::Step).await.unwrap_err();
        assert!(patched.to_string().starts_with("cannot annotate pod/a"), "{patched}");
        let taken = Objects::<Place>::everywhere(&answered(409).await);
        assert!(!taken.create(&Place::default(), Kind::Step).await.unwrap());
    }
}
