//! TLS towards an upstream or an authority that issues certificates: whose certificates are trusted,
//! and which certificate the gateway shows (contract: TLS to upstreams, The edge).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, crypto};
use sha2::{Digest as _, Sha256};

use super::identity::{Authorities, Identity};

/// Whose certificates the other side may show.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that one of these authorities signed, for the upstream's name, and that are in force.
    Signed(Authorities),
    /// Any certificate. Whoever stands between gateway and upstream can read and change everything.
    Anyone,
}

/// The settings of connections that the gateway makes. Two values are equal if they trust the same certificates
/// and show the same one, so that their connections may be used for each other.
#[derive(Clone, Debug)]
pub struct Outbound {
    config: Arc<ClientConfig>,
    fingerprint: [u8; 32],
}

impl Outbound {
    /// Settings for HTTP/1.1 over TLS 1.2 or 1.3. Sessions are resumed among connections with the
    /// same settings.
    ///
    /// # Errors
    /// The authorities cannot be used.
    pub fn new(trust: &Trust, identity: Option<&Identity>) -> Result<Self, rustls::Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::Signed(Authorities(roots)) => {
                for root in &roots.roots {
                    add(&root.subject);
                    add(&root.subject_public_key_info);
                    add(root.name_constraints.as_deref().unwrap_or_default());
                }
                let builder = WebPkiServerVerifier::builder_with_provider(
                    Arc::clone(roots),
                    Arc::clone(&provider),
                );
                builder
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?
            }
            Trust::Anyone => {
                add(b"anyone");
                Arc::new(AnyCertificate(Arc::clone(&provider)))
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                // The certificate holds the public half of its key.
                identity
                    .certified
                    .cert
                    .iter()
                    .for_each(|certificate| add(certificate));
                let own = SingleCertAndKey::from(Arc::clone(&identity.certified));
                builder.with_client_cert_resolver(Arc::new(own))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            fingerprint: digest.finalize().into(),
        })
    }

    /// The settings with which a handshake begins.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl PartialEq for Outbound {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Outbound {}

impl Hash for Outbound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

/// Takes any certificate, as long as the upstream has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
