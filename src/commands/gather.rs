//! Gathers what `verify` and `status` show: one look with everything around it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::core::ApiResource;
use tokio::time::Instant;

use crate::backups::Catalog;
use crate::cluster::backup_keys::Word;
use crate::cluster::reader;
use crate::desired::{Access, Desired};
use crate::error::{Kind, Result};
use crate::kube::classes;
use crate::kube::client::Connection;
use crate::kube::delete::{Found, owned};
use crate::kube::http;
use crate::manifests::member::HEALTH_PORT;
use crate::names::Member;
use crate::observe::{Observer, Wants};
use crate::observed::Observed;
use crate::wsrep::volume::Held;

/// A server that has not answered by then is shown as silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// Storage classes; none where one may not look at them.
pub(super) async fn storage_classes(connection: &Connection) -> Result<Vec<StorageClass>> {
    Ok(classes::list(&connection.client, Kind::Unreachable).await?.unwrap_or_default())
}

/// Starts to look and waits until every running server has answered, or has had time to.
pub(super) async fn look(connection: &Connection, desired: &Desired, access: Option<Access>) -> Result<Observer> {
    let observer =
        Observer::start(connection, desired, Wants { logs: false, classes: storage_classes(connection).await? })
            .await?;
    let Some(access) = access else { return Ok(observer) };
    observer.set_access(access);
    let mut changes = observer.changes();
    let deadline = Instant::now() + ANSWER_LIMIT;
    let answered = |observed: &Observed| {
        observed.members.values().all(|view| !view.pod.running || matches!(view.sql, Some(Ok(_))))
    };
    while !answered(&observer.now()) {
        // A sender that is gone would have been dropped with the observer.
        if !matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            break;
        }
    }
    Ok(observer)
}

/// The present look, with the crashes that each member's own health endpoint counts.
pub(super) async fn with_crashes(connection: &Connection, desired: &Desired, observer: &Observer) -> Observed {
    let mut observed = Observed::clone(&observer.now());
    let running: Vec<Member> =
        observed.members.iter().filter(|(_, view)| view.pod.running).map(|(member, _)| *member).collect();
    let states = join_all(running.iter().map(|member| state(connection, desired, *member))).await;
    for (member, state) in running.iter().zip(states) {
        let (Some(view), Some(state)) = (observed.members.get_mut(member), state) else { continue };
        view.log.phase = state.get("phase").cloned();
        view.log.held = (view.log.phase.as_deref() == Some("held")).then(|| Held {
            by: state.get("by").cloned(),
            since: state.get("since").and_then(|since| since.parse().ok()),
        });
        let left =
            state.get("left").map(|left| left.split(',').filter(|word| *word != "none").map(str::to_owned).collect());
        view.left = left.unwrap_or_default();
        view.log.crashes = state.get("crashes").and_then(|count| count.parse().ok()).unwrap_or(0);
    }
    observed
}

/// What a member's health endpoint says; nothing where it does not answer, which other checks report.
async fn state(connection: &Connection, desired: &Desired, member: Member) -> Option<BTreeMap<String, String>> {
    let pod = desired.cluster.pod(member);
    let answer = http::get(&connection.streams, &desired.namespace, &pod, HEALTH_PORT, "/state", ANSWER_LIMIT).await;
    let (_, body) = answer.ok()?;
    let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Some(body.split_whitespace().filter_map(pair).collect())
}

/// Objects that should be gone once a cluster is formed.
pub(super) async fn leftovers(connection: &Connection, desired: &Desired) -> Result<Vec<String>> {
    let kinds = [
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<PersistentVolumeClaim>(&()),
        ApiResource::erase::<StatefulSet>(&()),
    ];
    let cluster = &desired.cluster;
    let inspectors = cluster.inspector_prefix();
    let seed: BTreeSet<String> =
        [cluster.pod(Member::Seed), cluster.member(Member::Seed), cluster.claim(Member::Seed)].into();
    let found = owned(&connection.client, &desired.namespace, cluster, &kinds, &[]).await?;
    let left = found.iter().filter(|found| seed.contains(&found.name) || found.name.starts_with(&inspectors));
    Ok(left.map(Found::display).collect())
}

/// What lies on the backup volume, as the agent sees it; `None` for a cluster without backups.
pub(super) async fn backups(
    connection: &Connection,
    desired: &Desired,
    observer: &Observer,
) -> Option<Result<Catalog, String>> {
    let backup = desired.backup.as_ref()?;
    let Some(agent) = reader::agent(desired, &observer.live().snapshot()) else {
        return Some(Err(format!("the agent does not run in the pod of node{}", backup.node)));
    };
    let folder = format!("{}/{}", desired.namespace, desired.cluster);
    let catalog = reader::catalog(connection, desired, &agent, &folder, &Word::default()).await;
    Some(catalog.map_err(|failure| failure.to_string()))
}
