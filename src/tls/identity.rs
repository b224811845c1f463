//! A certificate with its chain and its private key, read from PEM and checked against each other;
//! and the certificates of those that sign clients' certificates.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

use crate::clock::UnixMillis;

/// The file in which a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate with its chain.
    Certificate,
    /// The private key.
    Key,
}

/// The reason why PEM is no certificate or no key, in words that follow the name of the file, and
/// the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file that is wrong.
    pub part: Part,
    /// Words that complete "FILE …".
    pub message: &'static str,
    /// The correction.
    pub help: &'static str,
}

impl Fault {
    const fn certificate(message: &'static str, help: &'static str) -> Self {
        Self {
            part: Part::Certificate,
            message,
            help,
        }
    }

    const fn key(message: &'static str, help: &'static str) -> Self {
        Self {
            part: Part::Key,
            message,
            help,
        }
    }
}

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The DNS names of the certificate, in lower case; a wildcard begins with `*.`.
    pub names: Vec<String>,
    /// The addresses of the certificate. No client asks for an address by name.
    pub addresses: Vec<IpAddr>,
    /// The moment from which the certificate counts.
    pub not_before: UnixMillis,
    /// The first moment at which it counts no more.
    pub not_after: UnixMillis,
    pub(super) certified: Arc<CertifiedKey>,
}

const CHAIN: &str =
    "write the certificate first and the certificates that lead to its root below it, all in PEM";

impl Identity {
    /// Reads a certificate with its chain, and its private key; both are PEM.
    ///
    /// # Errors
    /// [`Fault`] if either cannot be read, if the key is not the key of the first certificate, or if
    /// it is of a kind that TLS here cannot sign with.
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain = certificates(certificate)?;
        let key = private_key(key)?;
        let Some(own) = chain.first() else {
            return Err(missing_certificate(certificate));
        };
        let (_, parsed) = X509Certificate::from_der(own)
            .map_err(|_| Fault::certificate("holds a certificate that cannot be read", CHAIN))?;
        let (names, addresses) = names(&parsed);
        let second = |time: x509_parser::time::ASN1Time, more| {
            UnixMillis::from_secs(time.timestamp().saturating_add(more))
        };
        let not_before = second(parsed.validity().not_before, 0);
        // The last second belongs to the validity (RFC 5280 4.1.2.5).
        let not_after = second(parsed.validity().not_after, 1);
        let signing = default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| {
                Fault::key(
                    "holds a key that TLS cannot sign with",
                    "use an RSA key of at least 2048 bits, an ECDSA key on P-256 or P-384, or an \
                     Ed25519 key",
                )
            })?;
        let public = signing.public_key();
        let is_of = |certificate: &CertificateDer<'_>| {
            let parsed = rustls::server::ParsedCertificate::try_from(certificate);
            parsed.is_ok_and(|parsed| Some(parsed.subject_public_key_info()) == public)
        };
        if !is_of(own) {
            return Err(if chain.iter().any(is_of) {
                Fault::certificate("does not begin with the certificate of the key", CHAIN)
            } else {
                Fault::key(
                    "is not the key of the certificate",
                    "name the key that was made together with the certificate",
                )
            });
        }
        Ok(Self {
            names,
            addresses,
            not_before,
            not_after,
            certified: Arc::new(CertifiedKey::new(chain, signing)),
        })
    }
}

impl Identity {
    /// The certificate itself, in DER, without its chain.
    pub fn leaf(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |own| own.as_ref())
    }
}

/// The DNS names and the addresses of a certificate.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    let Ok(Some(listed)) = certificate.subject_alternative_name() else {
        return (names, addresses);
    };
    for name in &listed.value.general_names {
        match name {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => {
                if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                    addresses.push(IpAddr::from(bytes));
                } else if let Ok(bytes) = <[u8; 16]>::try_from(*bytes) {
                    addresses.push(IpAddr::from(bytes));
                }
            }
            _ => {}
        }
    }
    (names, addresses)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| Fault::certificate("holds PEM that is broken", CHAIN))?;
    if chain.is_empty() {
        return Err(missing_certificate(pem));
    }
    Ok(chain)
}

fn missing_certificate(pem: &[u8]) -> Fault {
    if contains(pem, "PRIVATE KEY-----") {
        let help = "`certificate` names the file of the certificate and `key` that of the key";
        Fault::certificate("holds a private key and no certificate", help)
    } else if is_der(pem) {
        let help = "convert it, as in `openssl x509 -inform der -in FILE -out FILE.pem`";
        Fault::certificate("is DER, not PEM", help)
    } else {
        Fault::certificate("holds no certificate", CHAIN)
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    const HELP: &str = "name the file that begins with `-----BEGIN PRIVATE KEY-----`, `-----BEGIN EC PRIVATE KEY-----` \
                        or `-----BEGIN RSA PRIVATE KEY-----`";
    if contains(pem, "ENCRYPTED") {
        let help = "take its passphrase away, as in `openssl pkey -in FILE -out FILE.plain`, and \
                    let nobody else read the file";
        return Err(Fault::key("is encrypted with a passphrase", help));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|why| match why {
        PemError::NoItemsFound if contains(pem, "CERTIFICATE-----") => {
            Fault::key("holds a certificate and no private key", HELP)
        }
        PemError::NoItemsFound if is_der(pem) => {
            let help = "convert it, as in `openssl pkey -inform der -in FILE -out FILE.pem`";
            Fault::key("is DER, not PEM", help)
        }
        PemError::NoItemsFound => Fault::key("holds no private key", HELP),
        _ => Fault::key("holds PEM that is broken", HELP),
    })
}

fn contains(pem: &[u8], text: &str) -> bool {
    memchr::memmem::find(pem, text.as_bytes()).is_some()
}

/// Whether bytes begin as a SEQUENCE of DER does, which text never does.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, length, ..] if *length >= 0x80)
}

const LEAF: Fault = Fault::certificate(
    "holds a certificate that cannot sign others",
    "name the certificate of the authority (CA), not one that it has signed",
);

/// The certificates of those that sign clients' certificates (`client_ca`), or those of upstreams.
#[derive(Clone, Debug)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

impl Authorities {
    /// Takes the certificates that the system trusts, as far as they can be used; `None` if none can.
    pub fn of_system(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates);
        (usable > 0).then(|| Self(Arc::new(roots)))
    }

    /// Reads one or more certificates in PEM.
    ///
    /// # Errors
    /// [`Fault`] if there is none, or one cannot be used.
    pub fn read(pem: &[u8]) -> Result<Self, Fault> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            if is_signed_leaf(&certificate) {
                return Err(LEAF);
            }
            roots.add(certificate).map_err(|_| LEAF)?;
        }
        Ok(Self(Arc::new(roots)))
    }
}

/// Whether a certificate is one that an authority has signed and that signs no other. Nothing would
/// lead to it as a root. A certificate that has signed itself leads to itself.
fn is_signed_leaf(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    // Older versions cannot say whether they are an authority's.
    parsed.version() == X509Version::V3 && !parsed.is_ca() && parsed.issuer() != parsed.subject()
}
