//! Finding and deleting what belongs to a cluster.

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Preconditions};
use kube::{Client, ResourceExt};

use crate::error::{Failure, Kind, Result};
use crate::manifests::tls::is_secret;
use crate::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Namespace};

use super::errors::{explain, is_conflict, is_forbidden, is_not_found};

/// An object that was seen, identified for good by its uid.
#[derive(Debug, Clone)]
pub struct Found {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// Namespace that it is in; `None` for objects of the whole Kubernetes cluster.
    pub namespace: Option<Namespace>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

impl Found {
    /// Such as `persistentvolumeclaim/shop-galera-node1-volume-claim`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.resource.kind.to_lowercase(), self.name)
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace.as_str(), &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }
}

/// What a deletion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The API server accepted it; the object may need time to end.
    Requested,
    /// That object was gone already.
    Gone,
}

/// All objects of these kinds that carry the labels of the cluster. Where all Secrets may not be listed, those of the names
/// in `secrets` are.
///
/// # Errors
/// [`Kind::Step`] if the API server refuses; [`Kind::Unreachable`].
pub async fn owned(
    client: &Client,
    namespace: &Namespace,
    cluster: &ClusterName,
    kinds: &[ApiResource],
    secrets: &[String],
) -> Result<Vec<Found>> {
    let params = ListParams::default().labels(&format!("{INSTANCE_LABEL}={cluster},{MANAGED_BY_LABEL}={MANAGER}"));
    let list = async |kind: &ApiResource| {
        let found = list(client, namespace, kind, &params).await;
        let found = match found {
            // Asked for by its name, a right to this one is enough.
            Err(error) if kind.kind == "Secret" && is_forbidden(&error) => {
                let by_name = secrets.iter().map(|name| params.clone().fields(&format!("metadata.name={name}")));
                let lists: Result<Vec<Vec<Found>>, kube::Error> = stream::iter(by_name)
                    .then(async |params| self::list(client, namespace, kind, &params).await)
                    .try_collect()
                    .await;
                lists.map(|lists| lists.concat())
            }
            found => found,
        };
        let found = found.map(|mut found| {
            found.retain(|found| kind.kind != "Secret" || is_secret(cluster, &found.name));
            found
        });
        found.map_err(|error| explain(Kind::Step, format!("list {} in namespace {namespace}", kind.plural), error))
    };
    let lists: Vec<Vec<Found>> =
        stream::iter(kinds.iter().map(list)).buffered(kinds.len().max(1)).try_collect().await?;
    Ok(lists.into_iter().flatten().collect())
}

async fn list(
    client: &Client,
    namespace: &Namespace,
    kind: &ApiResource,
    params: &ListParams,
) -> Result<Vec<Found>, kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace.as_str(), kind);
    let found = api.list_metadata(params).await?;
    let identify = |metadata: PartialObjectMeta<DynamicObject>| {
        Some(Found {
            resource: kind.clone(),
            namespace: Some(namespace.clone()),
            name: metadata.name_any(),
            uid: metadata.uid()?,
        })
    };
    Ok(found.items.into_iter().filter_map(identify).collect())
}

/// Deletes exactly the object that was seen, not one of the same name that replaced it. Does not wait for its end.
/// `grace` limits, in seconds, how long a pod may take to end; `None` leaves it to the pod.
///
/// # Errors
/// [`Kind::Step`] if the API server refuses or the object was replaced; [`Kind::Unreachable`].
pub async fn delete(client: &Client, found: &Found, grace: Option<u32>) -> Result<Deletion> {
    let mut params = DeleteParams::background()
        .preconditions(Preconditions { uid: Some(found.uid.clone()), resource_version: None });
    params.grace_period_seconds = grace;
    match found.api(client).delete(&found.name, &params).await {
        Ok(_) => Ok(Deletion::Requested),
        Err(error) if is_not_found(&error) => Ok(Deletion::Gone),
        Err(error) if is_conflict(&error) => {
            Err(Failure::message(Kind::Step, format!("{} was replaced by somebody in the meantime", found.display()))
                .hint("nothing was deleted; look at it, and run again"))
        }
        Err(error) => Err(explain(Kind::Step, format!("delete {}", found.display()), error)),
    }
}
