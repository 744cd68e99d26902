//! Server-side apply, and who owns what.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::time::Instant;

use crate::engine::event::Change;
use crate::error::{Failure, Kind, Result};
use crate::manifests::Object;
use crate::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER};

use super::errors::explain;
use super::object::api;

/// A namespace gets its service account a moment after it was made, and no pod can be made before.
const ACCOUNT_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries.
const ACCOUNT_AGAIN: Duration = Duration::from_millis(200);
/// Requests under way at once.
const PARALLEL: usize = 16;

/// What happens to objects that are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// They are written.
    Apply,
    /// The API server checks and completes them, and forgets them.
    ServerDryRun,
}

/// What became of one object.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What was done, or would be.
    pub change: Change,
    /// The object as it was; `None` if it did not exist.
    pub before: Option<DynamicObject>,
    /// The object as it is now, or would be.
    pub after: DynamicObject,
}

/// Applies the objects of one cluster.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    cluster: ClusterName,
    strategy: Strategy,
    take_ownership: bool,
}

impl Applier {
    /// An applier that refuses what belongs to others.
    #[must_use]
    pub fn new(client: Client, cluster: ClusterName, strategy: Strategy) -> Self {
        Self { client, cluster, strategy, take_ownership: false }
    }

    /// Also overwrites objects and fields that belong to others (`--take-ownership`).
    #[must_use]
    pub fn take_ownership(mut self, take: bool) -> Self {
        self.take_ownership = take;
        self
    }

    /// Applies objects that do not depend on each other: all are read first, and if one is refused none is written.
    /// The answers are in the order of the objects.
    ///
    /// # Errors
    /// [`Kind::Preflight`] for an object of somebody else or one that is being deleted, with nothing written;
    /// [`Kind::Step`] when the API server refuses one, while others may have been written; in a dry run
    /// always [`Kind::Preflight`]; [`Kind::Unreachable`].
    pub async fn apply_all(&self, objects: &[Object]) -> Result<Vec<Applied>> {
        let before: Vec<Option<DynamicObject>> = self.read_all(objects).await?;
        stream::iter(objects.iter().zip(before).map(|(object, before)| self.write(object, before)))
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// Applies one object.
    ///
    /// # Errors
    /// As [`Applier::apply_all`].
    pub async fn apply(&self, object: &Object) -> Result<Applied> {
        let before = self.read(object).await?;
        self.write(object, before).await
    }

    /// Reads what exists of these objects, and refuses what belongs to others, as [`Applier::apply_all`] does.
    ///
    /// # Errors
    /// [`Kind::Preflight`] for an object of somebody else or one that is being deleted; [`Kind::Unreachable`].
    pub async fn read_all(&self, objects: &[Object]) -> Result<Vec<Option<DynamicObject>>> {
        stream::iter(objects.iter().map(|object| self.read(object))).buffered(PARALLEL).try_collect().await
    }

    /// Whether an object of this kind and name exists, whosever it is.
    ///
    /// # Errors
    /// [`Kind::Preflight`] if the API server refuses; [`Kind::Unreachable`].
    pub async fn exists(&self, object: &Object) -> Result<bool> {
        Ok(self.find(object).await?.is_some())
    }

    /// An object of this kind and name, whosever it is.
    ///
    /// # Errors
    /// As [`Applier::exists`].
    pub async fn find(&self, object: &Object) -> Result<Option<DynamicObject>> {
        let found = api(object, &self.client).get_opt(&object.name).await;
        found.map_err(|error| explain(Kind::Preflight, format!("read {object}"), error))
    }

    async fn read(&self, object: &Object) -> Result<Option<DynamicObject>> {
        let Some(live) = self.find(object).await? else { return Ok(None) };
        if !self.take_ownership && !is_ours(&live, &self.cluster) {
            return Err(foreign(object, &live, &self.cluster));
        }
        if live.metadata.deletion_timestamp.is_some() {
            return Err(Failure::message(Kind::Preflight, format!("{object} is being deleted"))
                .hint("wait until it is gone, and run again"));
        }
        Ok(Some(live))
    }

    async fn write(&self, object: &Object, before: Option<DynamicObject>) -> Result<Applied> {
        let mut params = PatchParams::apply(MANAGER);
        params.force = self.take_ownership;
        params.dry_run = self.strategy == Strategy::ServerDryRun;
        let mut value = object.value.clone();
        if let Some(uid) = before.as_ref().and_then(ResourceExt::uid) {
            // Makes the request fail if the object that was looked at is replaced in the meantime.
            value["metadata"]["uid"] = Value::String(uid);
        }
        let api = api(object, &self.client);
        let deadline = Instant::now() + ACCOUNT_WITHIN;
        let answer = loop {
            let answer = api.patch(&object.name, &params, &Patch::Apply(&value)).await;
            if !matches!(&answer, Err(error) if lacks_account(error)) || Instant::now() >= deadline {
                break answer;
            }
            tokio::time::sleep(ACCOUNT_AGAIN).await;
        };
        let after = answer.map_err(|error| self.refused(object, error))?;
        let change = match &before {
            None => Change::Created,
            Some(before) if same(before, &after) => Change::Kept,
            Some(_) => Change::Changed,
        };
        Ok(Applied { change, before, after })
    }

    fn refused(&self, object: &Object, error: kube::Error) -> Failure {
        let (kind, doing) = match self.strategy {
            Strategy::Apply => (Kind::Step, format!("apply {object}")),
            Strategy::ServerDryRun => (Kind::Preflight, format!("apply {object} (dry run)")),
        };
        match &error {
            kube::Error::Api(status) if status.is_conflict() => {
                conflict(kind, status).context(format!("cannot {doing}"))
            }
            _ => explain(kind, doing, error),
        }
    }
}

/// Whether a pod was refused because its namespace, which is new, has no service account yet.
fn lacks_account(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.message.contains("error looking up service account"))
}

/// Whether an object carries the labels of this cluster.
#[must_use]
pub fn is_ours(object: &DynamicObject, cluster: &ClusterName) -> bool {
    let label = |key: &str| object.labels().get(key).map(String::as_str);
    label(MANAGED_BY_LABEL) == Some(MANAGER) && label(INSTANCE_LABEL) == Some(cluster.as_str())
}

/// Whether an apply changed nothing. The version alone does not tell: a controller may write the status in between, and
/// a dry run answers with the old one whatever it would do.
fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    let content = |object: &DynamicObject| {
        let mut content = object.clone();
        content.metadata.managed_fields = None;
        content.metadata.resource_version = None;
        content.metadata.generation = None;
        if let Some(fields) = content.data.as_object_mut() {
            fields.shift_remove("status");
        }
        content
    };
    content(before) == content(after)
}

fn foreign(object: &Object, live: &DynamicObject, cluster: &ClusterName) -> Failure {
    let label = |key: &str| live.labels().get(key);
    let owner = match (label(MANAGED_BY_LABEL), label(INSTANCE_LABEL)) {
        (Some(by), Some(instance)) if by == MANAGER => format!("it belongs to cluster `{instance}`"),
        (Some(by), _) => format!("it is managed by {by}"),
        (None, _) => match writers(live).as_slice() {
            [] => "it carries no label that says whose it is".to_owned(),
            writers => format!("it was written by {}", writers.join(", ")),
        },
    };
    let place = object.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
    Failure::message(Kind::Preflight, format!("{object}{place} exists and is not part of cluster `{cluster}`: {owner}"))
        .hint("choose another cluster name or namespace, or overwrite it with --take-ownership")
}

/// Field managers in the order of `managedFields`, without the controllers that only write status.
fn writers(live: &DynamicObject) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in live.managed_fields().iter().filter(|entry| entry.subresource.is_none()) {
        let name = entry.manager.as_deref().unwrap_or("(unnamed)");
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn conflict(kind: Kind, status: &Status) -> Failure {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let fields: Vec<String> = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let manager = cause.message.split('"').nth(1).unwrap_or("another manager");
            format!("{} was set by {manager}", cause.field)
        })
        .collect();
    if fields.is_empty() {
        return Failure::message(kind, status.message.clone())
            .hint("somebody changed it at the same moment; run again");
    }
    Failure::message(kind, fields.join("; "))
        .hint("put the wanted value into galera.conf, or overwrite theirs with --take-ownership")
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
