//! What is kept in the cluster: the spec ConfigMap, the Secret, the uuid at the claims.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rand::RngExt;
use serde_json::json;

use crate::desired::{Desired, Hidden, Passwords};
use crate::engine::StepCx;
use crate::engine::event::Change;
use crate::error::{Failure, Kind, Result};
use crate::kube::errors::explain;
use crate::manifests::Object;
use crate::manifests::config::{
    OWN_PASSWORD, ROOT_PASSWORD, Record, USER_PASSWORD, credentials, read_spec_map, spec_map,
};
use crate::names::{ClusterName, Member, Namespace, UUID_ANNOTATION};
use crate::wsrep::Uuid;

use super::world::World;

/// Field manager of annotations that are found out, so that applying a claim does not remove them.
const RECORDER: &str = "galeractl-record";

/// Reads the stored desired state and record of a cluster.
///
/// # Errors
/// [`Kind::Unreachable`], or [`Kind::Preflight`] where the API server refuses or the ConfigMap cannot be understood.
pub async fn stored(
    client: &Client,
    namespace: &Namespace,
    cluster: &ClusterName,
) -> Result<Option<(Desired, Record)>> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace.as_str());
    let name = cluster.spec();
    let found =
        maps.get_opt(&name).await.map_err(|error| explain(Kind::Preflight, format!("read configmap/{name}"), error))?;
    found.map(|map| read_spec_map(&map)).transpose().map_err(|message| Failure::message(Kind::Preflight, message))
}

/// Reads the passwords of a cluster.
///
/// # Errors
/// As [`stored`].
pub async fn stored_passwords(
    client: &Client,
    namespace: &Namespace,
    cluster: &ClusterName,
) -> Result<Option<BTreeMap<String, String>>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace.as_str());
    let name = cluster.credentials();
    let found =
        secrets.get_opt(&name).await.map_err(|error| explain(Kind::Preflight, format!("read secret/{name}"), error))?;
    let text = |(key, value): (String, k8s_openapi::ByteString)| Some((key, String::from_utf8(value.0).ok()?));
    Ok(found.map(|secret| secret.data.unwrap_or_default().into_iter().filter_map(text).collect()))
}

/// The password of galeractl's own user.
///
/// # Errors
/// The Secret is missing or has no such key.
pub async fn own_password(client: &Client, namespace: &Namespace, cluster: &ClusterName) -> Result<Hidden> {
    let missing = || {
        let name = cluster.credentials();
        Failure::message(
            Kind::Preflight,
            format!("secret/{name} in namespace {namespace} is missing or has no `{OWN_PASSWORD}`"),
        )
        .hint("without it the servers cannot be asked; was the Secret deleted or changed by hand?")
    };
    let passwords = stored_passwords(client, namespace, cluster).await?.ok_or_else(missing)?;
    passwords.get(OWN_PASSWORD).map(Hidden::new).ok_or_else(missing)
}

/// Passwords that a cluster is formed with: those that are given, and random ones for the rest.
#[must_use]
pub fn choose_passwords(desired: &Desired, given: &Passwords) -> BTreeMap<&'static str, String> {
    let or_random =
        |password: &Option<Hidden>| password.as_ref().map_or_else(random_password, |known| known.reveal().to_owned());
    let mut chosen = BTreeMap::from([(ROOT_PASSWORD, or_random(&given.root)), (OWN_PASSWORD, random_password())]);
    if desired.user.is_some() {
        chosen.insert(USER_PASSWORD, or_random(&given.user));
    }
    chosen
}

/// Letters and digits only: such a password survives every shell and every configuration file.
pub(super) fn random_password() -> String {
    const ALPHABET: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    (0..24).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// Makes the Secret unless there is one. An existing one is never changed: the database has its passwords.
///
/// # Errors
/// The API server refuses.
pub async fn keep_secret(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let known = world.memory().secrets.clone();
    let name = world.desired.cluster.credentials();
    let own = if let Some(known) = known {
        world.tell(cx, &format!("secret/{name}"), Change::Kept);
        known.get(OWN_PASSWORD).cloned()
    } else {
        let chosen = choose_passwords(&world.desired, &world.passwords);
        world.apply(cx, &[Object::of(&credentials(&world.desired, &chosen))]).await?;
        let own = chosen.get(OWN_PASSWORD).cloned();
        world.memory().secrets = Some(chosen.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        own
    };
    let missing = || Failure::message(Kind::Preflight, format!("secret/{name} has no key `{OWN_PASSWORD}`"));
    world.observer.set_password(Hidden::new(own.ok_or_else(missing)?));
    Ok(())
}

/// Writes desired state and record to the spec ConfigMap.
///
/// # Errors
/// The API server refuses.
pub async fn write_spec(cx: &StepCx<'_, World>, change: impl FnOnce(&mut Record)) -> Result<()> {
    let world = cx.world;
    let record = {
        let mut memory = world.memory();
        change(&mut memory.record);
        memory.record.clone()
    };
    world.apply(cx, &[Object::of(&spec_map(&world.desired, &record))]).await
}

/// Writes the cluster's uuid to the claims of these members, so that a volume can be told from another cluster's.
///
/// # Errors
/// The API server refuses.
pub async fn mark_claims(cx: &StepCx<'_, World>, members: &[Member], uuid: Uuid) -> Result<()> {
    let world = cx.world;
    let observed = world.observer.now();
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(world.connection.client.clone(), world.desired.namespace.as_str());
    for member in members {
        let name = world.desired.cluster.claim(*member);
        if observed.claims.get(&name).is_some_and(|claim| claim.recorded == Some(uuid)) {
            continue;
        }
        let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: uuid.to_string()}}});
        let params = PatchParams { field_manager: Some(RECORDER.to_owned()), ..PatchParams::default() };
        let marked = claims.patch(&name, &params, &Patch::Merge(&patch)).await;
        marked.map_err(|error| explain(Kind::Step, format!("annotate persistentvolumeclaim/{name}"), error))?;
    }
    Ok(())
}
