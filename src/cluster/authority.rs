//! An authority of one cluster, which signs the certificates of its servers and of nobody else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};

use crate::manifests::tls::Pair;

use super::x509::ders;

const DAY: u64 = 24 * 60 * 60;
/// How long an authority holds.
const AUTHORITY_DAYS: u64 = 3650;
/// How long the certificate of a server holds.
const SERVER_DAYS: u64 = 365;
/// Clocks of hosts may be behind the one that makes a certificate.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// An authority that can sign.
pub struct Signer {
    pair: Pair,
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    /// A new one for the cluster of this name.
    ///
    /// # Errors
    /// What the library says.
    pub fn new(cluster: &str, now: Timestamp) -> Result<Self, String> {
        let mut params = dated(Vec::new(), &format!("{cluster} Galera CA"), now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key()?;
        let certificate = params.self_signed(&key).map_err(|error| error.to_string())?.pem();
        Self::of(Pair { certificate, key: key.serialize_pem() })
    }

    /// One that has been made before.
    ///
    /// # Errors
    /// What is wrong with its key or its certificate.
    pub fn of(pair: Pair) -> Result<Self, String> {
        let key = KeyPair::from_pem(&pair.key).map_err(|error| format!("the key cannot be read: {error}"))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key);
        let issuer = issuer.map_err(|error| format!("the certificate cannot be read: {error}"))?;
        // Without any purposes it is for all of them.
        if !issuer.key_usages().is_empty() && !issuer.key_usages().contains(&KeyUsagePurpose::KeyCertSign) {
            return Err("the certificate is none of an authority".to_owned());
        }
        Ok(Self { pair, issuer })
    }

    /// Its key and its certificate.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// A key and a certificate for a server of these names; the first of them is the one that it calls itself. It
    /// also proves who it is where it is the client, as peers do.
    ///
    /// # Errors
    /// A name is none, or nobody could verify a certificate of this authority, since its key is another's.
    pub fn sign(&self, names: &[String], now: Timestamp) -> Result<Pair, String> {
        let own = names.first().ok_or("a certificate needs a name")?;
        let mut params = dated(names.to_vec(), own, now, SERVER_DAYS)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| error.to_string())?.pem();
        verify(&self.pair.certificate, &certificate, own, now)?;
        Ok(Pair { certificate, key: key.serialize_pem() })
    }
}

fn new_key() -> Result<KeyPair, String> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| error.to_string())
}

fn dated(names: Vec<String>, common_name: &str, now: Timestamp, days: u64) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new(names).map_err(|error| error.to_string())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = date_time_ymd(1970, 1, 1) + since_epoch(now);
    params.not_before = now - BEFORE;
    params.not_after = now + Duration::from_secs(days * DAY);
    Ok(params)
}

fn since_epoch(now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default())
}

/// Whether somebody who knows these authorities and no other believes that a certificate belongs to a server of this name.
///
/// # Errors
/// Why not.
pub fn verify(authority: &str, certificate: &str, name: &str, now: Timestamp) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for authority in ders(authority)? {
        roots.add(authority).map_err(|error| format!("the authority cannot be trusted: {error}"))?;
    }
    let certificate = ders(certificate)?.swap_remove(0);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| format!("`{name}`: {error}"))?;
    let verifier = verifier.map_err(|error| error.to_string())?;
    let now = UnixTime::since_unix_epoch(since_epoch(now));
    let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], now);
    verified.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::desired::Tls;
    use crate::manifests::tls::names;
    use crate::names::Member;

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    fn leaf(signer: &Signer) -> (Vec<String>, Pair) {
        let mut desired = crate::desired::tests::desired("c", 1);
        desired.cluster_domain = Some("cluster.local".to_owned());
        desired.tls = Some(Tls { names: vec!["db.example.org".to_owned(), "192.0.2.7".to_owned()] });
        let names = names(&desired, Member::Node(1));
        let pair = signer.sign(&names, now()).unwrap();
        (names, pair)
    }

    #[test]
    fn a_server_is_believed_by_each_of_its_names_and_by_no_other() {
        let signer = Signer::new("data/c", now()).unwrap();
        let (names, leaf) = leaf(&signer);
        for name in ["c-galera-node1", "c-galera-haproxy.data.svc.cluster.local", "127.0.0.1", "192.0.2.7"] {
            assert!(names.iter().any(|known| known == name), "{name} of {names:?}");
        }
        let ask = |name: &str, authority: &Signer, at| verify(&authority.pair.certificate, &leaf.certificate, name, at);
        for name in &names {
            assert_eq!(ask(name, &signer, now()), Ok(()), "{name}");
        }
        for name in ["c-galera-node2", "galera-node1", "127.0.0.2"] {
            assert!(ask(name, &signer, now()).unwrap_err().contains("not valid for name"), "{name}");
        }
        let other = Signer::new("data/c", now()).unwrap();
        assert!(ask(&names[0], &other, now()).is_err(), "an authority of the same name");
    }

    #[test]
    fn a_certificate_holds_from_an_hour_ago_for_a_year() {
        let signer = Signer::new("data/c", now()).unwrap();
        let (names, leaf) = leaf(&signer);
        let at = |time: Timestamp| verify(&signer.pair.certificate, &leaf.certificate, &names[0], time);
        for good in [now() - 59.minutes(), now() + (364 * 24).hours()] {
            assert_eq!(at(good), Ok(()), "{good}");
        }
        for bad in [now() - 61.minutes(), now() + (366 * 24).hours()] {
            assert!(at(bad).unwrap_err().contains("certificate"), "{bad}");
        }
    }

    #[test]
    fn an_authority_that_is_read_back_goes_on_signing() {
        let first = Signer::new("data/c", now()).unwrap();
        let again = Signer::of(first.pair.clone()).unwrap();
        let (names, leaf) = leaf(&again);
        assert_eq!(verify(&first.pair.certificate, &leaf.certificate, &names[0], now()), Ok(()));
    }

    #[test]
    fn what_is_no_authority_signs_nothing() {
        let signer = Signer::new("data/c", now()).unwrap();
        let (names, leaf) = leaf(&signer);
        let of_two = Pair { key: leaf.key.clone(), ..signer.pair.clone() };
        assert!(Signer::of(of_two).unwrap().sign(&names, now()).is_err(), "a key of another");
        assert!(Signer::of(leaf).is_err(), "a server's own certificate");
        assert!(Signer::of(Pair { key: "x".to_owned(), ..signer.pair.clone() }).is_err());
        assert!(signer.sign(&[], now()).is_err());
    }

    #[test]
    fn keys_are_not_shown() {
        let signer = Signer::new("data/c", now()).unwrap();
        assert!(!format!("{:?}", signer.pair).contains("PRIVATE"));
    }
}
