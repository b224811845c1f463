//! What `check` shows of public keys, and of the time in which a secret or a key counts.

use super::shown::shown;
use crate::clock::UnixMillis;
use crate::config;
use crate::config::Route;
use crate::key::public::{KeyType, PublicKey};
use crate::key::secret::{Secret, Validity};

/// The public keys of a route's secrets.
pub(super) fn key_rows(route: &Route) -> Vec<[String; 5]> {
    let row = |secret: &Secret, key: PublicKey| {
        let kind = key_kind(&key);
        let kind = key.key_id().map_or(kind.to_owned(), |id| {
            format!("{kind} ({})", shown(&id.escape_default().to_string()))
        });
        let valid = written_validity(key.validity());
        [
            shown(&route.name),
            shown(&secret.name),
            kind,
            key.fingerprint(),
            valid,
        ]
    };
    let of = |secret| {
        config::public_keys(&route.scheme, secret)
            .into_iter()
            .map(move |key| row(secret, key))
    };
    route.secrets.iter().flat_map(of).collect()
}

/// The algorithm of a public key.
pub(super) fn key_kind(key: &PublicKey) -> &'static str {
    match key.key_type() {
        KeyType::Ed25519 => "Ed25519",
        KeyType::EcdsaP256 => "ECDSA P-256",
        KeyType::Rsa => "RSA",
    }
}

/// The time in which a secret or a key counts, in words.
pub(super) fn written_validity(validity: Validity) -> String {
    match (validity.not_before, validity.not_after) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {}", written_time(from)),
        (None, Some(end)) => format!("until {}", written_time(end)),
        (Some(from), Some(end)) => {
            format!("from {} until {}", written_time(from), written_time(end))
        }
    }
}

/// A moment as RFC 3339.
pub(super) fn written_time(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}
