//! What is kept in the cluster: the spec ConfigMap, the Secret, the uuid at the claims.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::Client;
use rand::RngExt;
use serde_json::json;

use crate::desired::{Access, Desired, Hidden, Passwords};
use crate::engine::StepCx;
use crate::engine::event::Change;
use crate::error::{Failure, Kind, Result};
use crate::kube::apply::{Applier, is_ours};
use crate::kube::objects::Objects;
use crate::manifests::Object;
use crate::manifests::config::{
    OWN_PASSWORD, ROOT_PASSWORD, Record, USER_PASSWORD, credentials, read_record_map, read_spec_map, record_map,
};
use crate::manifests::tls::CA_CERTIFICATE;
use crate::names::{
    ClusterName, INSTANCE_LABEL, LEFT_ANNOTATION, MANAGED_BY_LABEL, MANAGER, Member, Namespace, UUID_ANNOTATION,
};
use crate::wsrep::Uuid;

use super::{backup_keys, certificates};

use super::world::World;

/// Passwords by key of the Secret.
pub type Secrets = BTreeMap<String, String>;

/// What is needed to get into the servers, from Secrets that are there.
#[derive(Debug, Clone)]
pub struct Kept {
    /// For galeractl's own user.
    pub own: Access,
    /// All passwords.
    pub all: Secrets,
}

/// Field manager of annotations that are found out, so that applying a claim does not remove them.
const RECORDER: &str = "galeractl-record";

/// Reads the stored desired state and record of a cluster. Nothing recorded is an empty record.
///
/// # Errors
/// [`Kind::Unreachable`], or [`Kind::Preflight`] where the API server refuses or a ConfigMap cannot be understood.
pub async fn stored(
    client: &Client,
    namespace: &Namespace,
    cluster: &ClusterName,
) -> Result<Option<(Desired, Record)>> {
    let (spec, record) =
        tokio::try_join!(map(client, namespace, cluster.spec()), recorded(client, namespace, cluster),)?;
    let desired = spec.map(|map| read_spec_map(&map)).transpose();
    let desired = desired.map_err(|message| Failure::message(Kind::Preflight, message))?;
    Ok(desired.map(|desired| (desired, record.unwrap_or_default())))
}

/// What is recorded about a cluster, whether or not it is known what it should be.
///
/// # Errors
/// As [`stored`].
pub async fn recorded(client: &Client, namespace: &Namespace, cluster: &ClusterName) -> Result<Option<Record>> {
    let found = map(client, namespace, cluster.record()).await?;
    found.map(|map| read_record_map(&map)).transpose().map_err(|message| Failure::message(Kind::Preflight, message))
}

async fn map(client: &Client, namespace: &Namespace, name: String) -> Result<Option<ConfigMap>> {
    Objects::within(client, namespace).get(&name, Kind::Preflight).await
}

/// Reads the passwords of a cluster.
///
/// # Errors
/// As [`stored`].
pub async fn stored_passwords(
    client: &Client,
    namespace: &Namespace,
    cluster: &ClusterName,
) -> Result<Option<Secrets>> {
    let secrets: Objects<Secret> = Objects::within(client, namespace);
    let found = secrets.get(&cluster.credentials(), Kind::Preflight).await?;
    let text = |(key, value): (String, k8s_openapi::ByteString)| Some((key, String::from_utf8(value.0).ok()?));
    Ok(found.map(|secret| secret.data.unwrap_or_default().into_iter().filter_map(text).collect()))
}

/// How galeractl's own user gets into the servers.
///
/// # Errors
/// As [`keys`].
pub async fn own_access(client: &Client, desired: &Desired) -> Result<Access> {
    keys(client, desired).await.map(|kept| kept.own)
}

/// How galeractl's own user gets into the servers, and all passwords.
///
/// # Errors
/// A Secret is missing, or has no password for galeractl.
pub async fn keys(client: &Client, desired: &Desired) -> Result<Kept> {
    let Desired { cluster, namespace, .. } = desired;
    let missing = |name: String, key: &str| {
        Failure::message(
            Kind::Preflight,
            format!("secret/{name} in namespace {namespace} is missing or has no `{key}`"),
        )
        .hint("without it the servers cannot be asked; was the Secret deleted or changed by hand?")
    };
    let no_password = || missing(cluster.credentials(), OWN_PASSWORD);
    let all = stored_passwords(client, namespace, cluster).await?.ok_or_else(no_password)?;
    let password = all.get(OWN_PASSWORD).map(Hidden::new).ok_or_else(no_password)?;
    let authority = certificates::stored(client, desired).await?;
    if desired.tls.is_some() && authority.is_none() {
        return Err(missing(cluster.authority(), CA_CERTIFICATE));
    }
    Ok(Kept { own: Access { password, authority }, all })
}

/// As [`own_access`], where Secrets may be missing because they have not been made yet.
///
/// # Errors
/// As [`certificates::stored`].
pub async fn access_so_far(client: &Client, desired: &Desired, known: Option<&Secrets>) -> Result<Option<Access>> {
    let Some(password) = known.and_then(|known| known.get(OWN_PASSWORD)).map(Hidden::new) else { return Ok(None) };
    let authority = certificates::stored(client, desired).await?;
    let complete = desired.tls.is_none() || authority.is_some();
    Ok(complete.then_some(Access { password, authority }))
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
#[must_use]
pub fn random_password() -> String {
    const ALPHABET: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    (0..24).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// Makes the Secrets that are missing: certificates, that of the seed where there is one, keys of the backups, and passwords unless they are
/// `known`. The passwords of an existing Secret are never changed, since the database has them; but it has to be this
/// cluster's, or whoever made it first would know the password of root.
///
/// # Errors
/// A Secret is somebody else's, or the API server refuses.
pub async fn keep_secrets(cx: &StepCx<'_, World>, known: Option<&Secrets>, with_seed: bool) -> Result<Kept> {
    let world = cx.world;
    let authority = certificates::keep(cx, with_seed).await?;
    backup_keys::keep(cx).await?;
    let name = world.desired.cluster.credentials();
    let all = if let Some(known) = known {
        match whose_secret(&world.applier, &world.desired).await? {
            Owner::Us => world.tell(cx, &format!("secret/{name}"), Change::Kept),
            Owner::SomebodyElse => {
                let passwords = known.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
                world.apply(cx, &[Object::of(&credentials(&world.desired, &passwords))]).await?;
            }
        }
        known.clone()
    } else {
        let chosen = choose_passwords(&world.desired, &world.passwords);
        world.apply(cx, &[Object::of(&credentials(&world.desired, &chosen))]).await?;
        chosen.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    let missing = || Failure::message(Kind::Preflight, format!("secret/{name} has no key `{OWN_PASSWORD}`"));
    let password = all.get(OWN_PASSWORD).map(Hidden::new).ok_or_else(missing)?;
    let own = Access { password, authority };
    world.observer.set_access(own.clone());
    Ok(Kept { own, all })
}

/// Passwords in the settings that the database does not have would lock everybody out of what they think they set.
///
/// # Errors
/// The settings give another one than the Secret.
pub fn same_passwords(world: &World, stored: &Secrets) -> Result<()> {
    for (key, given) in [(ROOT_PASSWORD, &world.passwords.root), (USER_PASSWORD, &world.passwords.user)] {
        let (Some(given), Some(stored)) = (given, stored.get(key)) else { continue };
        if given.reveal() != stored {
            let name = world.desired.cluster.credentials();
            return Err(Failure::message(
                Kind::Preflight,
                format!("the settings give another `{key}` than secret/{name}"),
            )
            .hint(
                "the database has the one in the Secret; change it in the database and the Secret, or leave it out",
            ));
        }
    }
    Ok(())
}

/// Whose an object is that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It carries this cluster's labels, or does not exist.
    Us,
    /// The user has said that it is taken over.
    SomebodyElse,
}

/// The Secret without its passwords, for questions about it.
fn blank_secret(desired: &Desired) -> Object {
    Object::of(&credentials(desired, &BTreeMap::new()))
}

/// All Secrets that a cluster is made with, without what is in them.
#[must_use]
pub fn blank_secrets(desired: &Desired, with_seed: bool) -> Vec<Object> {
    [certificates::blank(desired, with_seed), backup_keys::blank(desired), vec![blank_secret(desired)]].concat()
}

/// Whose the Secret is, by the rule that holds for all objects.
///
/// # Errors
/// It is somebody else's, and nobody has said that it is taken over.
pub async fn whose_secret(applier: &Applier, desired: &Desired) -> Result<Owner> {
    let (cluster, namespace) = (&desired.cluster, &desired.namespace);
    let live = applier.read_all(&[blank_secret(desired)]).await.map_err(|failure| {
        failure.hint(format!(
            "if you have made it for this cluster: kubectl label secret -n {namespace} {} {MANAGED_BY_LABEL}={MANAGER} \
             {INSTANCE_LABEL}={cluster}",
            cluster.credentials()
        ))
    })?;
    let ours = live.into_iter().flatten().all(|live| is_ours(&live, cluster));
    Ok(if ours { Owner::Us } else { Owner::SomebodyElse })
}

/// Writes what the cluster has been found to be. The history that is on record, as it was `before`, is never overwritten
/// with another.
///
/// # Errors
/// Another history is on record, or the API server refuses.
pub async fn write_record(cx: &StepCx<'_, World>, before: &Record, record: Record) -> Result<Record> {
    if let (Some(old), Some(new)) = (before.uuid, record.uuid)
        && old != new
    {
        return Err(Failure::message(Kind::Step, format!("the nodes follow {new}, but {old} is on record"))
            .hint("nothing was recorded; look which data is whose: galeractl recover --plan"));
    }
    replace_record(cx, record).await
}

/// As [`write_record`], where somebody has asked for another history: after a restore, or when all data was removed.
///
/// # Errors
/// The API server refuses.
pub async fn replace_record(cx: &StepCx<'_, World>, record: Record) -> Result<Record> {
    cx.world.apply(cx, &[Object::of(&record_map(&cx.world.desired, &record))]).await?;
    Ok(record)
}

/// Writes the cluster's uuid to the claims of these members, so that a volume can be told from another cluster's. What
/// is recorded there is never overwritten with another.
///
/// # Errors
/// Another uuid is recorded there, or the API server refuses.
pub async fn mark_claims(cx: &StepCx<'_, World>, members: &[Member], uuid: Uuid) -> Result<()> {
    let observed = cx.world.observer.now();
    for member in members {
        let name = cx.world.desired.cluster.claim(*member);
        let other = observed.claims.get(&name).and_then(|claim| claim.recorded).filter(|recorded| *recorded != uuid);
        if let Some(other) = other {
            return Err(Failure::message(
                Kind::Step,
                format!("{member} follows {uuid}, but persistentvolumeclaim/{name} was recorded for {other}"),
            )
            .hint("nothing was recorded; look which data is whose: galeractl recover --plan"));
        }
    }
    remark_claims(cx, members, uuid).await
}

/// As [`mark_claims`], where somebody has asked for another history.
///
/// # Errors
/// The API server refuses.
pub async fn remark_claims(cx: &StepCx<'_, World>, members: &[Member], uuid: Uuid) -> Result<()> {
    let world = cx.world;
    let observed = world.observer.now();
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    for member in members {
        let name = world.desired.cluster.claim(*member);
        if observed.claims.get(&name).is_some_and(|claim| claim.recorded == Some(uuid)) {
            continue;
        }
        let patch = json!({"metadata": {"annotations": {UUID_ANNOTATION: uuid.to_string()}}});
        claims.merge_as(RECORDER, &name, "annotate", &patch, Kind::Step).await?;
    }
    Ok(())
}

/// Writes to the claims of these members that they have left in good order, or that they are there again.
///
/// # Errors
/// The API server refuses.
pub async fn mark_left(cx: &StepCx<'_, World>, members: &[Member], left: bool) -> Result<()> {
    let world = cx.world;
    let observed = world.observer.now();
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &world.desired.namespace);
    for member in members {
        let name = world.desired.cluster.claim(*member);
        if observed.claims.get(&name).is_none_or(|claim| claim.left == left) {
            continue;
        }
        let at = left.then(|| jiff::Timestamp::now().to_string());
        let patch = json!({"metadata": {"annotations": {LEFT_ANNOTATION: at}}});
        claims.merge_as(RECORDER, &name, "annotate", &patch, Kind::Step).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::apply::Strategy;
    use crate::kube::fake;

    async fn owner(labels: serde_json::Value, take: bool) -> Result<Owner> {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": "galera-galera-credentials", "namespace": "n", "uid": "u", "labels": labels}});
        let client = fake::client(move |_| (200, live.clone())).await;
        let desired = crate::gates::group::tests::desired(1);
        let applier = Applier::new(client, desired.cluster.clone(), Strategy::Apply).take_ownership(take);
        whose_secret(&applier, &desired).await
    }

    #[tokio::test]
    async fn a_secret_that_somebody_has_made_first_is_not_adopted_in_silence() {
        let ours =
            json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: crate::gates::group::tests::desired(1).cluster.as_str()});
        for take in [false, true] {
            assert_eq!(owner(ours.clone(), take).await.unwrap(), Owner::Us);
        }
        for labels in
            [json!(null), json!({MANAGED_BY_LABEL: "helm"}), json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "x"})]
        {
            let failure = owner(labels.clone(), false).await.unwrap_err();
            assert_eq!(failure.kind, Kind::Preflight);
            assert!(failure.hints.iter().any(|hint| hint.contains("kubectl label secret")), "{:?}", failure.hints);
            assert_eq!(owner(labels, true).await.unwrap(), Owner::SomebodyElse);
        }
    }
}
