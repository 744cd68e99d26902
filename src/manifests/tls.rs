//! Certificates as Secrets, and what servers are told of them. The authority's key is in a Secret that no pod mounts.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, Volume, VolumeMount};

use super::labels::{member_meta, meta};
use super::pod::{mount, secret_files};
use crate::desired::Desired;
use crate::names::{ClusterName, Member, Role};

/// The certificates of all authorities that are trusted, that of the one that signs in front: in its own Secret, where clients
/// read it, and beside every certificate that it has signed.
pub const CA_CERTIFICATE: &str = "ca.crt";
/// The authority's key.
pub const CA_KEY: &str = "ca.key";
/// The certificate of an authority that is to sign once all servers trust it.
pub const NEXT_CERTIFICATE: &str = "next.crt";
/// The key of that authority.
pub const NEXT_KEY: &str = "next.key";
/// A server's certificate.
pub const CERTIFICATE: &str = "tls.crt";
/// A server's key.
pub const KEY: &str = "tls.key";

const VOLUME: &str = "tls";
/// Where a server's container has these files, by the keys of its Secret.
pub const PLACE: &str = "/galeractl/tls";

/// A key with its certificate, both in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// All names under which clients and peers reach a member: its own, the proxy's, those of the pod itself, and what the
/// settings name.
#[must_use]
pub fn names(desired: &Desired, member: Member) -> Vec<String> {
    let Desired { cluster, namespace, .. } = desired;
    let mut names = Vec::new();
    for service in [cluster.member(member), cluster.proxy()] {
        names.extend([service.clone(), format!("{service}.{namespace}"), format!("{service}.{namespace}.svc")]);
        names.extend(desired.cluster_domain.iter().map(|domain| format!("{service}.{namespace}.svc.{domain}")));
    }
    names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
    for name in desired.tls.iter().flat_map(|tls| &tls.names) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Members that have certificates: the nodes, and the seed where there is one.
pub fn members(desired: &Desired, with_seed: bool) -> impl Iterator<Item = Member> + use<> {
    with_seed.then_some(Member::Seed).into_iter().chain(desired.members())
}

/// The names of all Secrets of a cluster.
#[must_use]
pub fn secrets(desired: &Desired) -> Vec<String> {
    let cluster = &desired.cluster;
    let certificates = desired.tls.iter().flat_map(|_| {
        let leaves = members(desired, true).map(|member| cluster.certificate(member));
        std::iter::once(cluster.authority()).chain(leaves)
    });
    std::iter::once(cluster.credentials()).chain(certificates).collect()
}

/// Whether a Secret of this name is one of those that are made for a cluster, with whatever settings.
#[must_use]
pub fn is_secret(cluster: &ClusterName, name: &str) -> bool {
    let of_member = |member: &str| member.parse().is_ok_and(|member| cluster.certificate(member) == name);
    let member = name.strip_prefix(&format!("{cluster}-galera-")).and_then(|rest| rest.strip_suffix("-tls"));
    [cluster.credentials(), cluster.authority()].iter().any(|known| known == name) || member.is_some_and(of_member)
}

fn bytes<'a>(data: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, ByteString> {
    data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec()))).collect()
}

/// Secret of the authority, and of the next one where it is being replaced.
#[must_use]
pub fn authority(desired: &Desired, pair: &Pair, next: Option<&Pair>) -> Secret {
    let own = [(CA_CERTIFICATE, pair.certificate.as_str()), (CA_KEY, &pair.key)];
    let next = next.map(|next| [(NEXT_CERTIFICATE, next.certificate.as_str()), (NEXT_KEY, &next.key)]);
    Secret {
        metadata: meta(desired, desired.cluster.authority(), Role::Cluster),
        type_: Some("Opaque".to_owned()),
        data: Some(bytes(own.into_iter().chain(next.into_iter().flatten()))),
        ..Secret::default()
    }
}

/// Secret of one member, with the certificates of the authorities that it trusts.
#[must_use]
pub fn certificate(desired: &Desired, member: Member, pair: &Pair, authority: &str) -> Secret {
    Secret {
        metadata: member_meta(desired, desired.cluster.certificate(member), member),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(bytes([(CERTIFICATE, pair.certificate.as_str()), (KEY, &pair.key), (CA_CERTIFICATE, authority)])),
        ..Secret::default()
    }
}

/// What a server is told of its certificate, as lines of `[mysqld]`. A user's `skip_ssl` stands before them.
pub(super) fn server_lines(desired: &Desired) -> String {
    lines(desired, "ssl=ON\n")
}

/// What a state transfer is told of it, as lines of `[sst]`. The donor looks whether the joiner has the name that it
/// claims to have.
pub(super) fn transfer_lines(desired: &Desired) -> String {
    lines(desired, "ssl-mode=VERIFY_IDENTITY\n")
}

fn lines(desired: &Desired, first: &str) -> String {
    if desired.tls.is_none() {
        return String::new();
    }
    format!("{first}ssl-ca={PLACE}/{CA_CERTIFICATE}\nssl-cert={PLACE}/{CERTIFICATE}\nssl-key={PLACE}/{KEY}\n")
}

/// What the provider is told of it, to be appended to its other options: members talk to those only who have a certificate
/// of the same authority.
pub(super) fn provider_options(desired: &Desired) -> String {
    if desired.tls.is_none() {
        return String::new();
    }
    format!(
        ";socket.ssl=yes;socket.ssl_ca={PLACE}/{CA_CERTIFICATE};socket.ssl_cert={PLACE}/{CERTIFICATE};\
         socket.ssl_key={PLACE}/{KEY}"
    )
}

/// A member's certificate as files.
pub(super) fn volume(desired: &Desired, member: Member) -> Option<Volume> {
    desired.tls.as_ref().map(|_| secret_files(VOLUME, desired.cluster.certificate(member)))
}

/// Where these files appear.
pub(super) fn volume_mount(desired: &Desired) -> Option<VolumeMount> {
    desired.tls.as_ref().map(|_| mount(VOLUME, PLACE, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tls;
    use crate::manifests::config::server_options;

    #[test]
    fn a_cluster_knows_its_secrets_whatever_its_settings_are_now() {
        let mut desired = crate::desired::tests::desired("c", 2);
        desired.tls = Some(Tls::default());
        let all = secrets(&desired);
        assert_eq!(
            all,
            ["credentials", "ca", "seed-tls", "node1-tls", "node2-tls"].map(|name| format!("c-galera-{name}"))
        );
        assert!(all.iter().all(|name| is_secret(&desired.cluster, name)));
        for other in ["d-galera-ca", "c-galera-x-tls", "c-galera-node01-tls", "c-galera-tls", "registry"] {
            assert!(!is_secret(&desired.cluster, other), "{other}");
        }
        desired.tls = None;
        assert_eq!(secrets(&desired), ["c-galera-credentials"]);
    }

    #[test]
    fn a_name_that_the_settings_repeat_stands_once() {
        let mut desired = crate::desired::tests::desired("c", 1);
        desired.tls = Some(Tls { names: ["localhost", "db.example.org", "db.example.org"].map(str::to_owned).into() });
        let names = names(&desired, Member::Seed);
        assert_eq!(names[0], "c-galera-seed");
        for once in ["localhost", "db.example.org"] {
            assert_eq!(names.iter().filter(|name| *name == once).count(), 1, "{once}");
        }
    }

    #[test]
    fn options_are_those_of_before_without_tls_and_users_cannot_turn_it_off() {
        let mut desired = crate::desired::tests::desired("c", 1);
        let without = server_options(&desired);
        assert!(!without.contains("ssl"), "{without}");
        desired.tls = Some(Tls::default());
        desired.mysqld.insert("skip_ssl".to_owned(), String::new());
        let with = server_options(&desired);
        assert!(with.find("skip_ssl\n").unwrap() < with.find("\nssl=ON\n").unwrap(), "{with}");
        let rest: Vec<&str> = with.lines().filter(|line| !line.contains("ssl")).collect();
        let before: Vec<&str> = without.lines().filter(|line| !line.starts_with("wsrep_provider_options")).collect();
        assert_eq!(rest, before);
    }
}
