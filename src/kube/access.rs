//! What the user may do, asked before anything is done.

use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};

use crate::error::{Kind, Result};

use super::errors::explain;

/// Requests under way at once.
const PARALLEL: usize = 16;

/// One right that a verb needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Such as `create`.
    pub verb: &'static str,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural, such as `statefulsets`.
    pub resource: &'static str,
    /// Such as `exec` of `pods`; empty for the resource itself.
    pub subresource: &'static str,
    /// Where; `None` for cluster-wide resources.
    pub namespace: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

/// The rights that the user does not have, in the order asked.
///
/// # Errors
/// [`Kind::Preflight`] if the API server does not answer the question; [`Kind::Unreachable`].
pub async fn denied(client: &Client, rights: &[Right]) -> Result<Vec<Right>> {
    let rights: Vec<_> = rights.iter().map(|right| (right.clone(), Vec::new())).collect();
    denied_to(client, &rights).await
}

/// As [`denied`], where all objects that a right is used on may be known by their names: a right to these is enough.
///
/// # Errors
/// As [`denied`].
pub async fn denied_to(client: &Client, rights: &[(Right, Vec<String>)]) -> Result<Vec<Right>> {
    let unlimited = unlimited(client, rights).await?;
    let rights: Vec<_> = rights.iter().filter(|(right, _)| !unlimited.contains(&right.namespace)).collect();
    let asked = rights.iter().map(|(right, names)| held(client, right, names));
    let answers: Vec<bool> = stream::iter(asked).buffered(PARALLEL).try_collect().await?;
    Ok(rights.iter().zip(answers).filter(|(_, held)| !held).map(|((right, _), _)| right.clone()).collect())
}

/// Where the user may do everything, as owners of a namespace may: one question in place of forty.
async fn unlimited(client: &Client, rights: &[(Right, Vec<String>)]) -> Result<BTreeSet<Option<String>>> {
    let places: BTreeSet<&Option<String>> = rights.iter().map(|(right, _)| &right.namespace).collect();
    let mut unlimited = BTreeSet::new();
    for namespace in places {
        let namespace = namespace.clone();
        let all = Right { verb: "*", group: "*", resource: "*", subresource: "*", namespace };
        if allowed(client, &all, None).await? {
            unlimited.insert(all.namespace);
        }
    }
    Ok(unlimited)
}

async fn held(client: &Client, right: &Right, names: &[String]) -> Result<bool> {
    if allowed(client, right, None).await? {
        return Ok(true);
    }
    for name in names {
        if !allowed(client, right, Some(name)).await? {
            return Ok(false);
        }
    }
    Ok(!names.is_empty())
}

async fn allowed(client: &Client, right: &Right, name: Option<&String>) -> Result<bool> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: given(right.verb),
                group: given(right.group),
                resource: given(right.resource),
                subresource: given(right.subresource),
                namespace: right.namespace.clone(),
                name: name.cloned(),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| explain(Kind::Preflight, format!("ask for the right to {right}"), error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kube::fake;

    fn right(verb: &'static str, subresource: &'static str) -> Right {
        Right { verb, group: "", resource: "pods", subresource, namespace: Some("n".into()) }
    }

    #[tokio::test]
    async fn the_denied_ones_are_answered_in_order() {
        let client = fake::client(|request| {
            let asked = &request.body["spec"]["resourceAttributes"];
            let allowed = asked["verb"] == "get";
            (201, json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}, "status": {"allowed": allowed}}))
        })
        .await;
        let rights = [right("create", "exec"), right("get", ""), right("delete", "")];
        let denied = denied(&client, &rights).await.unwrap();
        let names: Vec<String> = denied.iter().map(Right::to_string).collect();
        assert_eq!(names, ["create pods/exec in namespace n", "delete pods in namespace n"]);
    }

    #[tokio::test]
    async fn who_may_do_everything_in_a_namespace_is_asked_once() {
        let client = fake::client(|request| {
            let asked = &request.body["spec"]["resourceAttributes"];
            let all = ["verb", "group", "resource", "subresource"].iter().all(|key| asked[*key] == "*");
            let allowed = all && asked["namespace"] == "n";
            (201, json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}, "status": {"allowed": allowed}}))
        })
        .await;
        let elsewhere = Right { namespace: None, ..right("get", "") };
        let rights = [right("create", "exec"), elsewhere.clone(), right("delete", "")];
        assert_eq!(denied(&client, &rights).await.unwrap(), [elsewhere]);
    }

    #[tokio::test]
    async fn a_right_to_the_objects_that_are_meant_is_enough() {
        let client = fake::client(|request| {
            let asked = &request.body["spec"]["resourceAttributes"];
            let allowed = asked["name"] == "a" || asked["name"] == "b";
            (201, json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}, "status": {"allowed": allowed}}))
        })
        .await;
        let to = |verb, names: &[&str]| (right(verb, ""), names.iter().map(|&name| name.to_owned()).collect());
        let rights = [to("get", &["a", "b"]), to("patch", &["a", "c"]), to("delete", &[])];
        assert_eq!(denied_to(&client, &rights).await.unwrap(), [right("patch", ""), right("delete", "")]);
    }
}
