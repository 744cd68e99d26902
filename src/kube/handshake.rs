//! Asking a port that speaks TLS from its first byte, as that of the group does, who it is and whom it takes.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::manifests::tls::Pair;
use crate::names::Namespace;

use super::client::Streams;
use super::tunnel::stream;

/// A server that does not answer by then hangs.
const LIMIT: Duration = Duration::from_secs(5);

/// What a port has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The certificate that it shows, whose key it has.
    pub shown: Vec<u8>,
    /// Whether it goes on talking to whoever shows it this certificate, or why not.
    pub takes: Result<(), String>,
}

/// Shows a certificate to a port of a pod, and looks at what it shows. Nothing else is sent, and nothing is believed of it
/// but that it has the key to its certificate; whether that is the right one is for the caller to tell.
///
/// # Errors
/// Nobody answers there, or not in TLS.
pub async fn handshake(
    streams: &Streams,
    namespace: &Namespace,
    pod: &str,
    port: u16,
    client: &Pair,
) -> Result<Answer, String> {
    let config = Arc::new(config(client)?);
    let asked = async {
        let stream = stream(streams, namespace, pod, port).await.map_err(|failure| failure.to_string())?;
        let name = ServerName::try_from("server").map_err(|error| error.to_string())?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        let mut tls = connected.map_err(|error| error.to_string())?;
        let shown = tls.get_ref().1.peer_certificates().and_then(|all| all.first()).map(|der| der.to_vec());
        // Whom it does not take it tells so after the handshake; to a member it speaks first.
        let takes = match tls.read_u8().await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        Ok(Answer { shown: shown.ok_or("it shows no certificate")?, takes })
    };
    timeout(LIMIT, asked).await.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
}

fn config(client: &Pair) -> Result<ClientConfig, String> {
    let provider = Arc::new(default_provider());
    let chain = CertificateDer::pem_slice_iter(client.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).map_err(|error| error.to_string())?;
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_client_auth_cert(chain, key)
        .map_err(|error| error.to_string())
}

/// Takes any certificate, for it is only looked at; but its key has to be there.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
