//! The certificates around an order: the request for one, the judgement of the one that came, and
//! the one that answers a challenge over TLS.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::challenges::PROTOCOL;
use super::plan::Held;
use crate::clock::UnixMillis;
use crate::tls::Identity;

/// The largest certificate with its chain, in bytes of PEM.
pub const MAX_PEM: usize = 256 * 1024;

/// A request for a certificate.
pub struct Request {
    /// The request in DER (PKCS #10).
    pub der: Vec<u8>,
    /// The private key, which only the gateway has, in PEM.
    pub key: Zeroizing<String>,
}

/// A request for a certificate of this name, with a new key on P-256.
///
/// # Errors
/// The system gives no random bytes, or the name is none.
pub fn request(name: &str) -> Result<Request, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    Ok(Request {
        der: request.der().to_vec(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// The settings of a handshake that answers a challenge for this name (RFC 8737): a certificate that
/// nobody trusts, with the digest of the challenge in it, and no other protocol.
///
/// # Errors
/// The system gives no random bytes, or the name is none.
pub fn for_challenge(name: &str, digest: &[u8; 32]) -> Result<Arc<ServerConfig>, ChallengeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(default_provider());
    let key = provider.key_provider.load_private_key(key)?;
    // Not checked against each other: rustls does not know the extension that a challenge needs.
    let own = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The reason why there is no certificate for a challenge.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The certificate cannot be made.
    #[error("the certificate of a challenge cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The handshake cannot be prepared.
    #[error("the handshake of a challenge cannot be prepared: {0}")]
    Tls(#[from] rustls::Error),
}

/// Reads a certificate that was proved before, from its file (see [`file()`]). Whether it counts now is
/// not judged: the machine's clock may be wrong at its start, and clients have theirs.
///
/// # Errors
/// Words that complete "the certificate …".
pub fn read(whole: &[u8], name: &str) -> Result<Identity, String> {
    if whole.len() > MAX_PEM {
        return Err("is larger than any certificate".to_owned());
    }
    let identity = Identity::read(whole, whole).map_err(|fault| fault.message.to_owned())?;
    if identity.names.iter().any(|own| own == name) {
        Ok(identity)
    } else {
        Err(format!("is not for {name}"))
    }
}

/// Judges a certificate for this name as an authority has sent it, in the form of its [`file()`].
///
/// # Errors
/// Words that complete "the certificate …": it is not that of the key, is not for the name, does not
/// count now, or is not signed by the rest of its chain. Whether clients trust the end of the chain
/// only they know.
pub fn prove(whole: &[u8], name: &str, now: UnixMillis) -> Result<Identity, String> {
    let identity = read(whole, name)?;
    if identity.not_after <= now {
        return Err("has expired".to_owned());
    }
    let chain: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(whole).collect();
    let chain = chain.map_err(|_| "cannot be read".to_owned())?;
    if let [own, between @ .., last] = chain.as_slice() {
        let mut roots = RootCertStore::empty();
        let is_authority = roots.add(last.clone()).is_ok();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(default_provider()))
                .build();
        let (true, Ok(verifier)) = (is_authority, verifier) else {
            return Err("has a chain that ends with no authority".to_owned());
        };
        let server = ServerName::try_from(name).map_err(|_| format!("is not for {name}"))?;
        let seconds = u64::try_from(now.0.div_euclid(1000)).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier
            .verify_server_cert(own, between, &server, &[], now)
            .map_err(|why| format!("does not stand its proof: {why}"))?;
    }
    Ok(identity)
}

/// The file of a certificate: its key, and below it the chain as the authority has sent it.
pub fn file(key: &str, chain: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(key.len() + chain.len() + 2));
    for part in [key, chain] {
        whole.push_str(part.trim_end());
        whole.push('\n');
    }
    whole
}

/// The times of a certificate.
pub fn held(identity: &Identity) -> Held {
    let digest = Sha256::digest(identity.leaf());
    let spread = match digest.as_slice() {
        [high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    Held {
        not_before: identity.not_before,
        not_after: identity.not_after,
        spread,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertifiedIssuer, IsCa};
    use x509_parser::prelude::FromDer as _;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_392_000_000);
    const NAME: &str = "hooks.example.com";

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// The chain for these names, signed by this authority, with years of its validity.
    fn signed(
        names: &[&str],
        key: &KeyPair,
        by: &CertifiedIssuer<'_, KeyPair>,
        years: (i32, i32),
    ) -> String {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.signed_by(key, by).unwrap().pem()
    }

    #[test]
    fn tl_11_a_certificate_is_taken_only_if_it_serves() {
        let (own, other) = (authority(), authority());
        let [key, foreign] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let good = signed(&[NAME], &key, &own, (2026, 2027));
        let past = signed(&[NAME], &key, &own, (2020, 2021));
        let ahead = signed(&[NAME], &key, &own, (2030, 2031));
        let elsewhere = signed(&["a.example.com"], &key, &own, (2026, 2027));
        let (root, wrong) = (own.pem(), other.pem());
        let rows = [
            (&key, format!("{good}{root}"), ""),
            (&key, good.clone(), ""),
            (&foreign, good.clone(), "is not the key"),
            (&key, format!("{good}{wrong}"), "does not stand its proof"),
            (&key, format!("{good}{good}"), "does not stand its proof"),
            (&key, format!("{past}{root}"), "has expired"),
            (&key, format!("{ahead}{root}"), "does not stand its proof"),
            (&key, format!("{elsewhere}{root}"), "is not for hooks"),
            (&key, String::new(), "holds"),
            (&key, "<html>busy</html>".to_owned(), "holds"),
            (&key, "x".repeat(MAX_PEM), "is larger"),
        ];
        let mut failures = Vec::new();
        for (key, chain, expected) in rows {
            let whole = file(&key.serialize_pem(), &chain);
            let found = prove(whole.as_bytes(), NAME, NOW).err().unwrap_or_default();
            if found.is_empty() != expected.is_empty() || !found.contains(expected) {
                failures.push((expected, found));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    }

    #[test]
    fn what_was_proved_serves_whatever_the_clock_says_as_long_as_it_is_whole() {
        let own = authority();
        let key = KeyPair::generate().unwrap();
        let foreign = KeyPair::generate().unwrap().serialize_pem();
        let past = signed(&[NAME], &key, &own, (2020, 2021));
        let whole = file(&key.serialize_pem(), &past);
        assert!(read(whole.as_bytes(), NAME).is_ok());
        assert!(read(whole.as_bytes(), "a.example.com").is_err());
        assert!(read(file(&foreign, &past).as_bytes(), NAME).is_err());
        let (half, _) = whole.split_at(whole.len() / 2);
        assert!(read(half.as_bytes(), NAME).is_err());
    }

    #[test]
    fn a_request_is_for_its_name_and_has_a_key_of_its_own() {
        let (one, other) = (request(NAME).unwrap(), request(NAME).unwrap());
        assert_ne!(one.key, other.key);
        let parsed =
            x509_parser::certification_request::X509CertificationRequest::from_der(&one.der);
        let (_, parsed) = parsed.unwrap();
        let names: Vec<_> = parsed
            .requested_extensions()
            .unwrap()
            .map(|extension| format!("{extension:?}"))
            .collect();
        assert!(names.iter().any(|found| found.contains(NAME)), "{names:?}");
        assert!(
            parsed
                .certification_request_info
                .subject
                .iter()
                .next()
                .is_none()
        );
    }

    #[test]
    fn two_certificates_are_renewed_at_moments_of_their_own() {
        let own = authority();
        let held = || {
            let key = KeyPair::generate().unwrap();
            let chain = signed(&[NAME], &key, &own, (2026, 2027));
            let whole = file(&key.serialize_pem(), &chain);
            held(&prove(whole.as_bytes(), NAME, NOW).unwrap())
        };
        let spreads: std::collections::BTreeSet<_> = (0..4).map(|_| held().spread).collect();
        assert!(spreads.len() > 1, "{spreads:?}");
    }

    #[test]
    fn tl_08_a_challenge_speaks_its_own_protocol_alone_and_keeps_no_session() {
        let config = for_challenge(NAME, &[1; 32]).unwrap();
        assert_eq!(config.alpn_protocols, [PROTOCOL.to_vec()]);
        assert_eq!(config.send_tls13_tickets, 0);
        assert_eq!(config.max_early_data_size, 0);
    }
}
