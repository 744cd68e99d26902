//! What certificates say.

use std::fmt::Write as _;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is asked of a certificate. Its names are text from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// What it calls itself.
    pub subject: String,
    /// The names and addresses for which it stands; none for an authority.
    pub names: Vec<String>,
    /// SHA-256 of the whole, by which it is told from all others.
    pub fingerprint: String,
    /// From when it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Of its bytes, as they are sent to others.
    ///
    /// # Errors
    /// It is none.
    pub fn of_der(der: &[u8]) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let alternatives = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
        let common = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let time = |seconds| Timestamp::from_second(seconds).map_err(|error| error.to_string());
        Ok(Self {
            subject: common.unwrap_or_default().to_owned(),
            names,
            fingerprint: hex(der),
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
        })
    }

    /// All in a text of PEM, in their order; there is at least one.
    ///
    /// # Errors
    /// There is none, or one of them cannot be read.
    pub fn all_of(pem: &str) -> Result<Vec<Self>, String> {
        ders(pem)?.iter().map(|der| Self::of_der(der)).collect()
    }

    /// The first in a text of PEM.
    ///
    /// # Errors
    /// As [`Certificate::all_of`].
    pub fn first_of(pem: &str) -> Result<Self, String> {
        Self::all_of(pem).map(|mut all| all.swap_remove(0))
    }
}

/// The bytes of all certificates in a text of PEM; there is at least one.
///
/// # Errors
/// There is none, or the text is broken.
pub(super) fn ders(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(all) }
}

/// Each of the certificates in a text of PEM as a text of its own.
pub(super) fn texts(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let one = |text: &str| {
        let begin = text.find("-----BEGIN CERTIFICATE-----").filter(|_| text.ends_with(END))?;
        Some(format!("{}\n", &text[begin..]))
    };
    pem.split_inclusive(END).filter_map(one).collect()
}

/// SHA-256 in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::cluster::authority::Signer;

    #[test]
    fn certificates_say_whose_they_are_and_until_when() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let signer = Signer::new("data/c", now).unwrap();
        let names = ["c-galera-node1", "127.0.0.1", "::1"].map(str::to_owned);
        let pair = signer.sign(&names, now).unwrap();
        let leaf = Certificate::first_of(&pair.certificate).unwrap();
        assert_eq!((leaf.subject.as_str(), &leaf.names[..]), ("c-galera-node1", &names[..]));
        assert_eq!((leaf.not_before, leaf.not_after), (now - 1.hour(), now + (365 * 24).hours()));
        let both = format!("{}\n{}", signer.pair().certificate.trim_end(), pair.certificate);
        let all = Certificate::all_of(&both).unwrap();
        assert_eq!(all[1], leaf);
        assert_eq!((all[0].subject.as_str(), all[0].fingerprint.len()), ("data/c Galera CA", 64));
        assert_eq!(texts(&both).concat().trim_end(), both.trim_end());
        assert_eq!(texts(&both).len(), 2);
        for bad in ["", "x", &pair.key, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Certificate::all_of(bad).is_err(), "{bad}");
        }
    }
}
