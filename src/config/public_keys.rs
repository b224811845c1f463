//! Public keys among a route's secrets: which schemes take them, and what counts as one (SCHEMES 2).
//!
//! Such an entry may stand in the file as it is, since it is no secret. Reading the keys themselves is `verify`'s.

use crate::key::public::PublicKey;
use crate::key::secret::Secret;
use crate::scheme::{Kind, Scheme};

/// What the secrets of a scheme are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Shared secrets alone.
    Shared,
    /// Of both kinds; the form tells.
    Either,
    /// Public keys alone.
    Public,
}

impl Taken {
    /// By what a scheme verifies with.
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

    /// Whether a text is meant as a public key: by its shape, or because nothing else would do. Where shared secrets are
    /// taken too, a text that could be one is never called public.
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

/// The public keys that a secret of this scheme holds, for showing; none where it is a shared secret.
pub fn public_keys(scheme: &Scheme, secret: &Secret) -> Vec<PublicKey> {
    let text = secret.text.expose();
    if Taken::by(scheme).is_public(text) {
        PublicKey::parse_all(text).unwrap_or_default()
    } else {
        Vec::new()
    }
}
