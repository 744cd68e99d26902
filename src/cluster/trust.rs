//! Whom the servers of a cluster trust, as their Secrets have it, and what the servers themselves show of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Secret};
use serde_json::json;

use crate::desired::{Access, Authority, Desired};
use crate::error::{Failure, Kind, Result};
use crate::kube::apply::Applier;
use crate::kube::client::Connection;
use crate::kube::exec::{Output, Place, exec};
use crate::kube::handshake::handshake;
use crate::kube::objects::Objects;
use crate::manifests::member::{CONTAINER, SOCKET};
use crate::manifests::services::GROUP_PORT;
use crate::manifests::tls::{self, CA_CERTIFICATE, CA_KEY, CERTIFICATE, KEY, Pair};
use crate::names::{LOOK_ANNOTATION, Member};
use crate::plans::rotation::{Authorities, Id, Server, State};

use super::authority::{Signer, verify};
use super::certificates::{Kept, fit, incomplete, look, new_signer, next, pair, value};
use super::validity::shown_by;
use super::x509::{Certificate, hex, texts};

/// A command in a pod that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// Under this name galeractl asks the servers; it stands for no server.
const VISITOR: &str = "galeractl";

/// What the Secret of one server holds.
#[derive(Debug, Clone)]
pub struct Leaf {
    pair: Pair,
    trusted: String,
    /// What its certificate says.
    pub certificate: Certificate,
    /// The authority that has signed it, if any of those that are known has.
    pub signed_by: Option<Id>,
    /// The authorities that the server is to trust.
    pub trusts: BTreeSet<Id>,
}

/// All certificates of a cluster, as its Secrets have them.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The authorities that are trusted, that which signs in front.
    pub authorities: Vec<Certificate>,
    /// Each of the nodes.
    pub leaves: BTreeMap<Member, Leaf>,
    texts: BTreeMap<Id, String>,
    authority: Pair,
    next: Option<Pair>,
}

/// What a server showed when it was asked.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The certificate that it shows to the group.
    pub certificate: Certificate,
    /// Whether it trusts the newest authority, or how it has turned a certificate of it away.
    pub takes: Result<(), String>,
}

/// Reads all of them. Nothing is changed.
///
/// # Errors
/// One is missing, somebody else's, cannot be understood, or does not fit to the others.
pub async fn read(applier: &Applier, desired: &Desired) -> Result<Trust> {
    let found = look(applier, desired, false).await?;
    fit(&desired.cluster, &found)?;
    let missing = |name: String| {
        Failure::message(Kind::Preflight, format!("secret/{name} is missing"))
            .hint("galeractl up makes what is missing of a cluster that runs")
    };
    let name = desired.cluster.authority();
    let data = found.authority.ok_or_else(|| missing(name.clone()))?.data;
    value(Some(&data), CA_KEY).ok_or_else(|| incomplete(&name, CA_KEY))?;
    let authority = pair(&data, CA_CERTIFICATE, CA_KEY);
    let broken = |name: &str, key: &str, why: String| {
        Failure::message(Kind::Preflight, format!("secret/{name}: `{key}` cannot be understood: {why}"))
    };
    let authorities = Certificate::all_of(&authority.certificate);
    let authorities = authorities.map_err(|why| broken(&name, CA_CERTIFICATE, why))?;
    let ids = authorities.iter().map(|certificate| certificate.fingerprint.clone());
    let texts: BTreeMap<Id, String> = ids.zip(texts(&authority.certificate)).collect();
    let mut leaves = BTreeMap::new();
    for (member, kept) in found.servers {
        let name = desired.cluster.certificate(member);
        let Kept { data, .. } = kept.ok_or_else(|| missing(name.clone()))?;
        let trusted = value(Some(&data), CA_CERTIFICATE).unwrap_or_default();
        let pair = pair(&data, CERTIFICATE, KEY);
        let certificate = Certificate::first_of(&pair.certificate).map_err(|why| broken(&name, CERTIFICATE, why))?;
        let trusts = Certificate::all_of(&trusted).map_err(|why| broken(&name, CA_CERTIFICATE, why))?;
        let trusts = trusts.into_iter().map(|certificate| certificate.fingerprint).collect();
        // Whether it has ended since is another question.
        let at = certificate.not_before.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let own = desired.cluster.member(member);
        let signed = |text: &String| verify(text, &pair.certificate, &own, at).is_ok();
        let signed_by = texts.iter().find(|(_, text)| signed(text)).map(|(id, _)| id.clone());
        leaves.insert(member, Leaf { pair, trusted, certificate, signed_by, trusts });
    }
    Ok(Trust { authorities, leaves, texts, authority, next: next(&data) })
}

impl Trust {
    /// What is to be decided on, where these servers have loaded what their Secrets hold.
    #[must_use]
    pub fn state(&self, loaded: &BTreeSet<Member>) -> State {
        let server = |(member, leaf): (&Member, &Leaf)| {
            let Leaf { signed_by, trusts, .. } = leaf.clone();
            (*member, Server { signed_by, trusts, loaded: loaded.contains(member) })
        };
        let next = self.next.as_ref().and_then(|next| Certificate::first_of(&next.certificate).ok());
        State {
            authorities: Authorities {
                trusted: self.texts.keys().cloned().collect(),
                signs: self.authorities[0].fingerprint.clone(),
                next: next.map(|next| next.fingerprint),
            },
            servers: self.leaves.iter().map(server).collect(),
        }
    }

    /// By whose word servers are believed meanwhile.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority(self.authority.certificate.clone())
    }

    /// The text of these authorities, that which signs in front.
    fn bundle(&self, ids: &BTreeSet<Id>) -> String {
        let meant = self.authorities.iter().filter(|certificate| ids.contains(&certificate.fingerprint));
        meant.filter_map(|certificate| self.texts.get(&certificate.fingerprint)).cloned().collect()
    }

    /// The Secret of a server that is to trust these authorities, and `anew` gets a certificate from the one that signs.
    ///
    /// # Errors
    /// The authority cannot sign.
    pub fn give(&self, desired: &Desired, member: Member, anew: bool, trusts: &BTreeSet<Id>) -> Result<Secret> {
        let pair = if anew {
            Self::sign(desired, &self.authority, &tls::names(desired, member))?
        } else {
            self.leaves.get(&member).map(|leaf| leaf.pair.clone()).unwrap_or_default()
        };
        Ok(tls::certificate(desired, member, &pair, &self.bundle(trusts)))
    }

    /// The Secret of the authority with another one beside it, which signs nothing yet.
    ///
    /// # Errors
    /// None can be made.
    pub fn introduced(&self, desired: &Desired) -> Result<Secret> {
        let next = new_signer(desired, Timestamp::now())?.pair().clone();
        let Pair { certificate, key } = &self.authority;
        let both = Pair { certificate: format!("{}\n{}", certificate.trim_end(), next.certificate), key: key.clone() };
        Ok(tls::authority(desired, &both, Some(&next)))
    }

    /// The Secret of the authority where the next one signs from now on. All stay trusted.
    #[must_use]
    pub fn promoted(&self, desired: &Desired) -> Secret {
        let Some(next) = &self.next else { return tls::authority(desired, &self.authority, None) };
        let others = self.texts.values().filter(|text| text.trim() != next.certificate.trim()).cloned();
        let certificate = std::iter::once(format!("{}\n", next.certificate.trim_end())).chain(others).collect();
        tls::authority(desired, &Pair { certificate, key: next.key.clone() }, None)
    }

    /// The Secret of the authority that signs, alone.
    #[must_use]
    pub fn retired(&self, desired: &Desired) -> Secret {
        let certificate = self.bundle(&BTreeSet::from([self.authorities[0].fingerprint.clone()]));
        tls::authority(desired, &Pair { certificate, key: self.authority.key.clone() }, None)
    }

    /// A certificate of the newest authority for galeractl itself, by which it finds out whether servers trust that.
    ///
    /// # Errors
    /// The authority cannot sign.
    pub fn visitor(&self, desired: &Desired) -> Result<Pair> {
        Self::sign(desired, self.next.as_ref().unwrap_or(&self.authority), &[VISITOR.to_owned()])
    }

    fn sign(desired: &Desired, authority: &Pair, names: &[String]) -> Result<Pair> {
        let signer = Signer::of(authority.clone()).and_then(|signer| signer.sign(names, Timestamp::now()));
        let name = desired.cluster.authority();
        signer
            .map_err(|why| Failure::message(Kind::Preflight, format!("secret/{name} cannot sign a certificate: {why}")))
    }

    /// Whether a server is one that trusts the newest authority by its Secret.
    #[must_use]
    pub fn is_told_of_the_newest(&self, leaf: &Leaf) -> bool {
        let newest = self.next.as_ref().and_then(|next| Certificate::first_of(&next.certificate).ok());
        let newest = newest.map_or_else(|| self.authorities[0].fingerprint.clone(), |next| next.fingerprint);
        leaf.trusts.contains(&newest)
    }
}

/// Asks a server by the port of the group what it shows, and whether it takes the visitor.
///
/// # Errors
/// It does not answer.
pub async fn shown(
    connection: &Connection,
    desired: &Desired,
    member: Member,
    visitor: &Pair,
) -> Result<Shown, String> {
    let pod = desired.cluster.pod(member);
    let answer = handshake(&connection.streams, &desired.namespace, &pod, GROUP_PORT, visitor).await?;
    Ok(Shown { certificate: Certificate::of_der(&answer.shown)?, takes: answer.takes })
}

/// What a server lacks of having loaded what its Secret holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// kubelet has not brought it yet.
    #[error("its files are on their way")]
    Files,
    /// Its group still knows another.
    #[error("the group still sees the old one")]
    InGroup,
    /// It turns those away who have one of the newest authority.
    #[error("it does not trust the new authority yet")]
    Trust,
    /// Its clients still get another.
    #[error("clients still get the old one")]
    ToClients,
}

/// Whether a server has loaded what its Secret holds, on all its ports.
///
/// # Errors
/// It does not answer.
pub async fn lacks(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    (member, leaf): (Member, &Leaf),
    visitor: &Pair,
) -> Result<Option<Lack>, String> {
    if !is_mounted(connection, desired, member, leaf).await.map_err(|failure| failure.to_string())? {
        return Ok(Some(Lack::Files));
    }
    let shown = shown(connection, desired, member, visitor).await?;
    if shown.certificate.fingerprint != leaf.certificate.fingerprint {
        return Ok(Some(Lack::InGroup));
    }
    if shown.takes.is_err() {
        return Ok(Some(Lack::Trust));
    }
    let end = shown_by(connection, desired, access, member).await?;
    Ok((end != leaf.certificate.not_after).then_some(Lack::ToClients))
}

/// Whether the files in a server's container are those of its Secret.
///
/// # Errors
/// Nothing can be run there.
pub async fn is_mounted(connection: &Connection, desired: &Desired, member: Member, leaf: &Leaf) -> Result<bool> {
    let files = [CERTIFICATE, CA_CERTIFICATE].map(|key| format!("{}/{key}", tls::PLACE));
    let output = run(connection, desired, member, &["sha256sum", &files[0], &files[1]]).await?;
    let sums: Vec<&str> = output.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    Ok(sums == [hex(leaf.pair.certificate.as_bytes()), hex(leaf.trusted.as_bytes())])
}

/// Asks kubelet to look at a pod's Secrets and ConfigMaps now: it does so for a pod that has changed, and otherwise once in a minute or two.
///
/// # Errors
/// The API server refuses.
pub async fn nudge(connection: &Connection, desired: &Desired, member: Member) -> Result<()> {
    let pods: Objects<Pod> = Objects::within(&connection.client, &desired.namespace);
    let patch = json!({"metadata": {"annotations": {LOOK_ANNOTATION: Timestamp::now().to_string()}}});
    pods.merge(&desired.cluster.pod(member), "annotate", &patch, Kind::Step).await
}

/// Has a server read its files again, for clients and for the group. No connection ends. The statement stays out of the
/// binary log, since it is about this server alone; its account is that of the server's own scripts.
///
/// # Errors
/// The server does not do it.
pub async fn reload(connection: &Connection, desired: &Desired, member: Member) -> Result<()> {
    let socket = format!("--socket={SOCKET}");
    // A client that is to verify the server would refuse it on a socket.
    let argv = ["mariadb", "--no-defaults", "--skip-ssl", &socket, "-e", "FLUSH LOCAL SSL"];
    let Output { exit_code, stderr, .. } = run(connection, desired, member, &argv).await?;
    if exit_code == 0 {
        return Ok(());
    }
    let why = stderr.trim().lines().last().unwrap_or_default().to_owned();
    Err(Failure::message(Kind::Step, format!("{member} cannot reload its certificate: {why}")))
}

async fn run(connection: &Connection, desired: &Desired, member: Member, argv: &[&str]) -> Result<Output> {
    let pod = desired.cluster.pod(member);
    let place = Place { namespace: &desired.namespace, pod: &pod, container: CONTAINER };
    exec(&connection.streams, place, argv, None, LIMIT).await
}
