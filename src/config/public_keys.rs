//! Public keys among a route's secrets: which schemes take them, and how they differ from shared
//! secrets (schemes: Keys and secrets).
//!
//! A public key may be written in the file as it is, since it is no secret. `key` reads the keys
//! themselves.

use crate::key::public::PublicKey;
use crate::key::secret::Secret;
use crate::scheme::{Kind, Scheme};

/// The kinds of secrets that a scheme takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Shared secrets alone.
    Shared,
    /// Both kinds; a secret's form says which it is.
    Either,
    /// Public keys alone.
    Public,
}

impl Taken {
    /// The kinds that the algorithms of a scheme verify with.
    pub(super) fn by(scheme: &Scheme) -> Self {
        let kinds = scheme.proof.key_kinds();
        let public = kinds
            .iter()
            .filter(|kind| matches!(kind, Kind::Public(_)))
            .count();
        match public {
            0 => Self::Shared,
            _ if public == kinds.len() => Self::Public,
            _ => Self::Either,
        }
    }

    /// Whether a text is meant as a public key: it looks like a public key, or the scheme takes
    /// nothing else and the text can be read as one. Where shared secrets are taken too, a text
    /// that could be a shared secret is never called public.
    pub(super) fn is_public(self, text: &[u8]) -> bool {
        match self {
            Self::Shared => false,
            Self::Either => PublicKey::looks_public(text),
            Self::Public => PublicKey::looks_public(text) || PublicKey::parse_all(text).is_ok(),
        }
    }
}

/// Whether all secrets of a scheme are public keys.
pub fn takes_public_keys(scheme: &Scheme) -> bool {
    Taken::by(scheme) == Taken::Public
}

/// The public keys that a secret of this scheme holds, for showing; empty for a shared secret.
pub fn public_keys(scheme: &Scheme, secret: &Secret) -> Vec<PublicKey> {
    let text = secret.text.expose();
    if Taken::by(scheme).is_public(text) {
        PublicKey::parse_all(text).unwrap_or_default()
    } else {
        Vec::new()
    }
}
