//! The certificates of a cluster's servers: those that are there are kept, those that are missing are made.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use crate::desired::{Authority, Desired};
use crate::engine::StepCx;
use crate::engine::event::Change;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::apply::{Applier, is_ours};
use crate::kube::delete::{Deletion, Found as Seen, delete};
use crate::kube::objects::Objects;
use crate::manifests::Object;
use crate::manifests::tls::{
    CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY, NEXT_CERTIFICATE, NEXT_KEY, Pair, authority, certificate, members, names,
};
use crate::names::{ClusterName, Member};

use super::authority::Signer;
use super::world::World;
use super::x509::Certificate;

/// A Secret of certificates that exists.
pub(super) struct Kept {
    pub(super) data: BTreeMap<String, ByteString>,
    /// It carries this cluster's labels; otherwise somebody has said that it is taken over.
    ours: bool,
}

/// Certificates as the API server has them, in the order of [`blank`].
pub(super) struct Found {
    pub(super) authority: Option<Kept>,
    pub(super) servers: Vec<(Member, Option<Kept>)>,
}

/// The Secrets of certificates without what is in them, for questions about them; none without TLS.
#[must_use]
pub fn blank(desired: &Desired, with_seed: bool) -> Vec<Object> {
    if desired.tls.is_none() {
        return Vec::new();
    }
    let servers = members(desired, with_seed).filter_map(|member| blank_of(desired, member));
    std::iter::once(Object::of(&authority(desired, &Pair::default(), None))).chain(servers).collect()
}

/// The Secret of one member without what is in it; `None` without TLS.
#[must_use]
pub fn blank_of(desired: &Desired, member: Member) -> Option<Object> {
    desired.tls.as_ref().map(|_| Object::of(&certificate(desired, member, &Pair::default(), "")))
}

/// A whole set for a cluster that has none, for whoever applies manifests by hand; none without TLS.
///
/// # Errors
/// A name in the settings cannot stand in a certificate.
pub fn fresh(desired: &Desired, now: Timestamp) -> Result<Vec<Object>> {
    if desired.tls.is_none() {
        return Ok(Vec::new());
    }
    let signer = new_signer(desired, now)?;
    let mut objects = vec![Object::of(&authority(desired, signer.pair(), None))];
    for member in members(desired, true) {
        objects.push(Object::of(&signed(desired, member, &signer, now)?));
    }
    Ok(objects)
}

/// The certificate of the authority that has signed those of the servers; `None` without TLS, or where there is none yet.
///
/// # Errors
/// [`Kind::Unreachable`], or [`Kind::Preflight`] where the API server refuses or the Secret has no such certificate.
pub async fn stored(client: &kube::Client, desired: &Desired) -> Result<Option<Authority>> {
    if desired.tls.is_none() {
        return Ok(None);
    }
    let secrets: Objects<Secret> = Objects::within(client, &desired.namespace);
    let Some(secret) = secrets.get(&desired.cluster.authority(), Kind::Preflight).await? else { return Ok(None) };
    let text = value(secret.data.as_ref(), CA_CERTIFICATE);
    text.map(|text| Some(Authority(text))).ok_or_else(|| incomplete(&desired.cluster.authority(), CA_CERTIFICATE))
}

/// Looks at the certificates without changing anything. Others than the cluster's are refused, as all its objects are.
///
/// # Errors
/// A Secret is somebody else's, is not complete, or does not fit to the others.
pub async fn judge(applier: &Applier, desired: &Desired) -> Result<()> {
    let found = look(applier, desired, false).await?;
    fit(&desired.cluster, &found)
}

pub(super) async fn look(applier: &Applier, desired: &Desired, with_seed: bool) -> Result<Found> {
    let live = applier.read_all(&blank(desired, with_seed)).await?;
    let mut kept = live.into_iter().map(|live| {
        live.map(|live| {
            let ours = is_ours(&live, &desired.cluster);
            let secret: Secret = live.try_parse().or_fail(Kind::Preflight)?;
            Ok::<_, Failure>(Kept { data: secret.data.unwrap_or_default(), ours })
        })
        .transpose()
    });
    let authority = kept.next().transpose()?.flatten();
    let servers = members(desired, with_seed).zip(kept).map(|(member, kept)| Ok((member, kept?)));
    Ok(Found { authority, servers: servers.collect::<Result<_>>()? })
}

/// A server whose certificate another authority has signed would be a stranger to the others, and so would all that get
/// theirs from a new authority.
pub(super) fn fit(cluster: &ClusterName, found: &Found) -> Result<()> {
    let name = cluster.authority();
    let there = found.servers.iter().filter_map(|(member, kept)| Some((cluster.certificate(*member), kept.as_ref()?)));
    let Some(authority) = &found.authority else {
        let Some((server, _)) = there.into_iter().next() else { return Ok(()) };
        return Err(Failure::message(
            Kind::Preflight,
            format!("secret/{name} is missing, but secret/{server}, which it has signed, is there"),
        )
        .hint("restore the Secret; a new authority would make strangers of the servers that run")
        .hint("or, with the cluster stopped (galeractl teardown keeps the volumes), delete the other Secrets: all are made anew"));
    };
    let certificate = value(Some(&authority.data), CA_CERTIFICATE).ok_or_else(|| incomplete(&name, CA_CERTIFICATE))?;
    for (server, kept) in there {
        for key in [CERTIFICATE, KEY, CA_CERTIFICATE] {
            value(Some(&kept.data), key).ok_or_else(|| incomplete(&server, key))?;
        }
        let trusted = value(Some(&kept.data), CA_CERTIFICATE).unwrap_or_default();
        if trusted != certificate && !is_part(&name, &certificate, &server, &trusted)? {
            return Err(Failure::message(
                Kind::Preflight,
                format!("secret/{server} names another authority than the one in secret/{name}"),
            )
            .hint("restore the one that belongs to the other, or delete the server's Secret, and it is made anew"));
        }
    }
    Ok(())
}

/// While an authority is being replaced, a server may trust one of the two.
fn is_part(authority: &str, all: &str, server: &str, some: &str) -> Result<bool> {
    let (all, some) = (ids(authority, all)?, ids(server, some)?);
    Ok(some.is_subset(&all))
}

fn ids(secret: &str, certificates: &str) -> Result<BTreeSet<String>> {
    let all = Certificate::all_of(certificates);
    let all =
        all.map_err(|why| Failure::message(Kind::Preflight, format!("secret/{secret}: `{CA_CERTIFICATE}`: {why}")));
    Ok(all?.into_iter().map(|certificate| certificate.fingerprint).collect())
}

/// Makes the certificates that are missing. One that exists is never changed, since servers that run use it. Answers with
/// the authority's certificate; `None` without TLS.
///
/// # Errors
/// As [`judge`]; the authority's key or certificate cannot be used; the API server refuses.
pub async fn keep(cx: &StepCx<'_, World>, with_seed: bool) -> Result<Option<Authority>> {
    let world = cx.world;
    let desired = &world.desired;
    if desired.tls.is_none() {
        return Ok(None);
    }
    let found = look(&world.applier, desired, with_seed).await?;
    fit(&desired.cluster, &found)?;
    let now = Timestamp::now();
    let missing = found.servers.iter().any(|(_, kept)| kept.is_none());
    let signer = match &found.authority {
        None => Some(new_signer(desired, now)?),
        Some(kept) if missing => Some(signer_of(&desired.cluster.authority(), &kept.data)?),
        Some(_) => None,
    };
    let pair = found.authority.as_ref().map(|kept| pair(&kept.data, CA_CERTIFICATE, CA_KEY));
    let pair = pair.or_else(|| signer.as_ref().map(|signer| signer.pair().clone())).unwrap_or_default();
    // The authority goes first: what it has signed is of no use without it.
    let next = found.authority.as_ref().and_then(|kept| next(&kept.data));
    world
        .keep_or_make(
            cx,
            found.authority.as_ref().is_some_and(|kept| kept.ours),
            &authority(desired, &pair, next.as_ref()),
        )
        .await?;
    for (member, kept) in &found.servers {
        let secret = match (kept, &signer) {
            (None, Some(signer)) => signed(desired, *member, signer, now)?,
            (kept, _) => {
                let data = kept.as_ref().map(|kept| kept.data.clone()).unwrap_or_default();
                certificate(desired, *member, &self::pair(&data, CERTIFICATE, KEY), &pair.certificate)
            }
        };
        world.keep_or_make(cx, kept.as_ref().is_some_and(|kept| kept.ours), &secret).await?;
    }
    Ok(Some(Authority(pair.certificate)))
}

/// Deletes the certificate of a member that is there no more; one of somebody else's is left alone. Answers with the number
/// of objects that are gone.
///
/// # Errors
/// The API server refuses.
pub async fn forget(cx: &StepCx<'_, World>, member: Member) -> Result<usize> {
    let world = cx.world;
    let Desired { cluster, namespace, .. } = &world.desired;
    let Some(object) = blank_of(&world.desired, member) else { return Ok(0) };
    let live = world.applier.find(&object).await?.filter(|live| is_ours(live, cluster));
    let Some(uid) = live.and_then(|live| live.metadata.uid) else { return Ok(0) };
    let Object { resource, name, .. } = object;
    let found = Seen { resource, namespace: Some(namespace.clone()), name, uid };
    if delete(&world.connection.client, &found, None).await? == Deletion::Requested {
        world.tell(cx, &found.display(), Change::Deleted);
    }
    Ok(1)
}

pub(super) fn new_signer(desired: &Desired, now: Timestamp) -> Result<Signer> {
    Signer::new(&format!("{}/{}", desired.namespace, desired.cluster), now)
        .map_err(|why| Failure::message(Kind::Step, format!("no authority can be made: {why}")))
}

fn signer_of(name: &str, data: &BTreeMap<String, ByteString>) -> Result<Signer> {
    value(Some(data), CA_KEY).ok_or_else(|| incomplete(name, CA_KEY))?;
    Signer::of(pair(data, CA_CERTIFICATE, CA_KEY))
        .map_err(|why| Failure::message(Kind::Preflight, format!("secret/{name}: {why}")))
}

fn signed(desired: &Desired, member: Member, signer: &Signer, now: Timestamp) -> Result<Secret> {
    let pair = signer.sign(&names(desired, member), now).map_err(|why| {
        let name = desired.cluster.authority();
        Failure::message(Kind::Step, format!("secret/{name} cannot sign a certificate for {member}: {why}"))
    })?;
    Ok(certificate(desired, member, &pair, &signer.pair().certificate))
}

pub(super) fn value(data: Option<&BTreeMap<String, ByteString>>, key: &str) -> Option<String> {
    let text = String::from_utf8(data?.get(key)?.0.clone()).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The authority that is to sign once it is trusted everywhere.
pub(super) fn next(data: &BTreeMap<String, ByteString>) -> Option<Pair> {
    let pair = pair(data, NEXT_CERTIFICATE, NEXT_KEY);
    (!pair.certificate.is_empty() && !pair.key.is_empty()).then_some(pair)
}

pub(super) fn pair(data: &BTreeMap<String, ByteString>, certificate: &str, key: &str) -> Pair {
    let text = |key| value(Some(data), key).unwrap_or_default();
    Pair { certificate: text(certificate), key: text(key) }
}

pub(super) fn incomplete(secret: &str, key: &str) -> Failure {
    Failure::message(Kind::Preflight, format!("secret/{secret} has no `{key}`, or one that is no text"))
        .hint("restore it; or delete it, where galeractl is to make a new one")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::Tls;
    use crate::kube::apply::Strategy;
    use crate::kube::fake;
    use crate::names::{INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER};

    fn desired() -> Desired {
        Desired { tls: Some(Tls::default()), ..crate::desired::tests::desired("c", 2) }
    }

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    /// The Secrets of a whole set without the seed's, some of which are missing.
    fn found(missing: &[&str]) -> Found {
        let mut kept: Vec<Option<Kept>> = fresh(&desired(), now())
            .unwrap()
            .into_iter()
            .filter(|object| !object.name.contains("-seed-"))
            .map(|object| {
                let secret: Secret = serde_json::from_value(object.value).unwrap();
                let there = !missing.iter().any(|end| object.name.ends_with(end));
                there.then(|| Kept { data: secret.data.unwrap(), ours: true })
            })
            .collect();
        let authority = kept.remove(0);
        Found { authority, servers: members(&desired(), false).zip(kept).collect() }
    }

    fn why(found: &Found) -> String {
        let failure = fit(&desired().cluster, found).unwrap_err();
        assert_eq!(failure.kind, Kind::Preflight);
        failure.to_string()
    }

    #[test]
    fn a_set_is_one_authority_and_a_certificate_for_every_member() {
        let names: Vec<String> = fresh(&desired(), now()).unwrap().iter().map(Object::display).collect();
        let expected = ["c-galera-ca", "c-galera-seed-tls", "c-galera-node1-tls", "c-galera-node2-tls"]
            .map(|name| format!("secret/{name}"));
        assert_eq!(names, expected);
        assert_eq!(blank(&desired(), true).iter().map(Object::display).collect::<Vec<_>>(), expected);
        let without = crate::desired::tests::desired("c", 2);
        assert!(fresh(&without, now()).unwrap().is_empty() && blank(&without, true).is_empty());
    }

    #[test]
    fn whole_sets_and_those_that_can_be_completed_fit() {
        for missing in [&[][..], &["node2-tls"], &["node1-tls", "node2-tls"], &["-ca", "node1-tls", "node2-tls"]] {
            assert!(fit(&desired().cluster, &found(missing)).is_ok(), "{missing:?}");
        }
    }

    #[test]
    fn an_authority_that_is_gone_or_another_is_not_replaced() {
        assert!(why(&found(&["-ca"])).contains("secret/c-galera-ca is missing"));
        let mixed = Found { authority: found(&[]).authority, ..found(&[]) };
        assert!(why(&mixed).contains("names another authority"));
        let mut broken = found(&[]);
        broken.servers[1].1.as_mut().unwrap().data.remove(KEY);
        assert_eq!(why(&broken), "secret/c-galera-node2-tls has no `tls.key`, or one that is no text");
    }

    async fn judged(labels: serde_json::Value, take: bool) -> Result<()> {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": "c-galera-ca", "namespace": "data", "uid": "u", "labels": labels}, "data": {CA_CERTIFICATE: "eA=="}});
        let missing =
            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
        let client = fake::client(move |request| {
            if request.path.contains("c-galera-ca") { (200, live.clone()) } else { (404, missing.clone()) }
        })
        .await;
        let applier = Applier::new(client, desired().cluster, Strategy::Apply).take_ownership(take);
        judge(&applier, &desired()).await
    }

    #[tokio::test]
    async fn an_authority_that_somebody_has_made_first_is_not_adopted_in_silence() {
        let strange = json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "x"});
        for labels in [json!(null), strange] {
            let failure = judged(labels.clone(), false).await.unwrap_err();
            assert_eq!(failure.kind, Kind::Preflight);
            assert!(failure.to_string().contains("secret/c-galera-ca"), "{failure}");
            assert!(judged(labels, true).await.is_ok());
        }
        assert!(judged(json!({MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: "c"}), false).await.is_ok());
    }
}
