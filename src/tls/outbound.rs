//! TLS towards an upstream: whose certificates are trusted, which certificate the gateway shows, and
//! what went wrong in words for the operator (contract: TLS to upstreams).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    crypto,
};
use sha2::{Digest as _, Sha256};

use super::identity::{Authorities, Identity};

/// The most characters of a certificate's names that are shown.
const SHOWN: usize = 200;

/// Whose certificates an upstream may show.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that one of these authorities signed, for the upstream's name, and that are in force.
    Signed(Authorities),
    /// Any certificate. Whoever stands between gateway and upstream can read and change everything.
    Anyone,
}

/// The settings of connections to upstreams. Two values are equal if they trust the same certificates
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

/// What failed in a handshake with an upstream that is called `name`, in words that follow its
/// address.
pub fn words(error: &rustls::Error, name: &ServerName<'_>) -> String {
    let name = name.to_str();
    let about = match error {
        rustls::Error::InvalidCertificate(fault) => return certificate_words(fault, &name),
        rustls::Error::AlertReceived(alert) => return alert_words(*alert, &name),
        rustls::Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: `http://` may be meant, or another port".to_owned()
        }
        rustls::Error::PeerIncompatible(_) => {
            format!("it speaks no TLS that the gateway takes (1.2 or 1.3): {error}")
        }
        other => other.to_string(),
    };
    format!("TLS failed: {about}")
}

fn certificate_words(fault: &CertificateError, name: &str) -> String {
    match fault {
        CertificateError::UnknownIssuer => "its certificate is not trusted: no authority that the \
             gateway knows signed it (`upstream_tls.ca` names yours)"
            .to_owned(),
        CertificateError::BadSignature => {
            "its certificate is not trusted: the authority of that name \
             that the gateway knows did not sign it (was the authority made anew?)"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            format!(
                "its certificate is not for the name {name} (`upstream_tls.server_name` sets another)"
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = match presented.as_slice() {
                [] => "for no name at all".to_owned(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
                    let names: String = names.join(", ").chars().take(SHOWN).collect();
                    format!("for {}", names.escape_debug())
                }
            };
            format!(
                "its certificate is not for the name {name} but {names} \
                 (`upstream_tls.server_name` sets another)"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks of both machines".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers".to_owned()
        }
        CertificateError::Other(_) if fault_is_of_authority(fault) => {
            "it shows the certificate of an authority (CA) as its own: make one for the server, \
             signed by that authority"
                .to_owned()
        }
        other => format!("its certificate cannot be verified: {other}"),
    }
}

/// The name alone of `DnsName("app.internal")` or `IpAddress(10.0.0.1)`.
fn plain(presented: &str) -> &str {
    let inner = presented.split_once('(').map(|(_, inner)| inner);
    let inner = inner.and_then(|inner| inner.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// Whether a server uses the certificate of an authority. The verifier has no variant of its own for
/// this, and its words name it.
fn fault_is_of_authority(fault: &CertificateError) -> bool {
    fault.to_string().contains("CaUsedAsEndEntity")
}

fn alert_words(alert: AlertDescription, name: &str) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it asks for a client certificate (`upstream_tls.certificate` and `key`)".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!("it refused the gateway's client certificate ({alert:?})")
        }
        AlertDescription::UnrecognisedName => format!("it does not know the name {name}"),
        AlertDescription::HandshakeFailure => {
            "it refused the handshake: it may ask for a client certificate, or take no algorithm \
             of the gateway"
                .to_owned()
        }
        other => format!("it ended the handshake: {other:?}"),
    }
}

/// Why an upstream may have ended a connection with TLS after the handshake, in fixed words.
pub fn ended_by(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a client certificate (`upstream_tls.certificate` and `key`)"
        }
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => "it refused the gateway's client certificate",
        _ => "it ended TLS without an answer",
    }
}
