//! The keys of a secret: every key that the secret's text can mean under its scheme (schemes: Keys
//! and secrets).
//!
//! In a scheme with several algorithms, a secret makes keys only for the algorithms that its form
//! fits: a secret that begins with `whpk_` verifies Ed25519 signatures and no others. The text
//! itself is kept only where a plain hash needs it as part of its content.

use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::signatures::Signatures;
use crate::clock::UnixMillis;
use crate::key::digest::{Digest, DigestAlgorithm, Mac};
use crate::key::public::{PublicAlgorithm, PublicKey};
use crate::key::secret::{Secret, Validity};
use crate::scheme::content::{Piece, SignedContent};
use crate::scheme::{Kind, Scheme};

/// A secret with its keys.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) name: Arc<str>,
    pub(super) validity: Validity,
    pub(super) keys: Vec<Key>,
}

/// A key that can judge signatures.
#[derive(Debug)]
pub(super) enum Key {
    /// The key of a MAC. For a plain hash, `secret` is the text that is hashed as content.
    Digest {
        algorithm: DigestAlgorithm,
        mac: Mac,
        secret: Option<Hidden>,
    },
    /// The public key of the sender.
    Public {
        algorithm: PublicAlgorithm,
        key: PublicKey,
    },
    /// The SHA-256 of a shared token.
    Token([u8; 32]),
}

/// The secret as content of a plain hash: wiped on drop, never printed.
pub(super) struct Hidden(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Keyed {
    /// The keys of a secret under a scheme. An error if there is no key, so there is at least one.
    pub(super) fn new(scheme: &Scheme, secret: &Secret) -> Result<Self, Cow<'static, str>> {
        let shared = scheme.shared_keys(&secret.text)?;
        let mut keys: Vec<Key> = shared
            .into_iter()
            .filter_map(|(kind, key)| Key::shared(kind, &key))
            .collect();
        let text = secret.text.expose();
        let takes_shared = scheme.wanted().shared;
        let mut why = Cow::Borrowed("the secret is no key of this scheme");
        if !takes_shared || PublicKey::looks_public(text) {
            for kind in scheme.proof.key_kinds() {
                let Kind::Public(algorithm) = kind else {
                    continue;
                };
                match public(algorithm, text) {
                    Ok(made) => keys.extend(made),
                    Err(reason) => why = reason.into(),
                }
            }
        }
        if keys.is_empty() {
            return Err(why);
        }
        Ok(Self {
            name: secret.name.as_str().into(),
            validity: secret.validity(),
            keys,
        })
    }

    /// The keys usable at `wall`, each with its place; none if the secret itself is outside its
    /// validity.
    pub(super) fn active(&self, wall: UnixMillis) -> impl Iterator<Item = (usize, &Key)> {
        let keys = if self.validity.includes(wall) {
            self.keys.as_slice()
        } else {
            &[]
        };
        keys.iter()
            .enumerate()
            .filter(move |(_, key)| key.is_active(wall))
    }
}

fn public(algorithm: PublicAlgorithm, text: &[u8]) -> Result<Vec<Key>, &'static str> {
    let keys = PublicKey::parse_all(text)?;
    let fit: Vec<Key> = keys
        .into_iter()
        .filter(|key| key.fits(algorithm))
        .map(|key| Key::Public { algorithm, key })
        .collect();
    if fit.is_empty() {
        Err("the public key is of another type than the algorithm of this scheme")
    } else {
        Ok(fit)
    }
}

impl Key {
    fn shared(kind: Kind, key: &[u8]) -> Option<Self> {
        match kind {
            Kind::Digest(algorithm) => Some(Self::digest(algorithm, key)),
            Kind::Token => Some(Self::Token(Sha256::digest(key).into())),
            Kind::Public(_) | Kind::Jwt => None,
        }
    }

    fn digest(algorithm: DigestAlgorithm, key: &[u8]) -> Self {
        let is_plain = matches!(algorithm, DigestAlgorithm::Sha256 | DigestAlgorithm::Sha1);
        let secret = is_plain.then(|| Hidden(Zeroizing::new(key.to_vec())));
        Self::Digest {
            algorithm,
            mac: algorithm.mac(key),
            secret,
        }
    }

    /// The number of `signatures` that this key has to check, each of which costs a hash if the key
    /// is public. If the count is to be exact, signatures that cannot be one are left out.
    pub(super) fn checks(&self, signatures: &Signatures, exactly: bool) -> u64 {
        let own = |kind| signatures.iter().filter(move |own| own.kind == kind);
        match self {
            Self::Digest { algorithm, .. } => {
                u64::from(own(Kind::Digest(*algorithm)).next().is_some())
            }
            Self::Public { algorithm, key } => {
                let could = |bytes: &[u8]| !exactly || key.could_have_made(*algorithm, bytes);
                let own = own(Kind::Public(*algorithm));
                own.filter(|signature| could(signature.bytes())).count() as u64
            }
            Self::Token(_) => u64::from(own(Kind::Token).next().is_some()),
        }
    }

    /// Whether this is a public key, which hashes the content for each signature.
    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Public { .. })
    }

    fn is_active(&self, wall: UnixMillis) -> bool {
        match self {
            Self::Public { key, .. } => key.validity().includes(wall),
            Self::Digest { .. } | Self::Token(_) => true,
        }
    }

    /// The name by which a token may ask for this key; `None` if the key has no name.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Public { key, .. } => key.key_id(),
            Self::Digest { .. } | Self::Token(_) => None,
        }
    }

    /// The MAC of `text`; `None` unless this is a key of the wanted MAC.
    pub(super) fn answer(&self, wanted: DigestAlgorithm, text: &[u8]) -> Option<Digest> {
        let Self::Digest {
            algorithm,
            mac,
            secret: None,
        } = self
        else {
            return None;
        };
        let mut mac = (*algorithm == wanted).then(|| mac.clone())?;
        mac.update(text);
        Some(mac.finalize())
    }

    /// A digest that has absorbed the signed content before the body; `None` if this key makes no
    /// digest.
    pub(super) fn begin(&self, content: &SignedContent) -> Option<Mac> {
        let Self::Digest { mac, secret, .. } = self else {
            return None;
        };
        let mut mac = mac.clone();
        absorb(&mut mac, secret.as_ref(), content, false);
        Some(mac)
    }

    /// Whether the signatures hold under this key. `mac` has hashed the content up to the end of
    /// the body.
    pub(super) fn holds_for(
        &self,
        mut mac: Mac,
        content: &SignedContent,
        signatures: &Signatures,
    ) -> bool {
        let Self::Digest {
            algorithm, secret, ..
        } = self
        else {
            return false;
        };
        absorb(&mut mac, secret.as_ref(), content, true);
        let digest = mac.finalize();
        decide(signatures, Kind::Digest(*algorithm), |signature| {
            digest.is(signature)
        })
    }

    /// Whether the signatures hold under this key for `content` and `body`. Nothing is hashed where
    /// no signature can be this key's.
    pub(super) fn holds(
        &self,
        content: &SignedContent,
        body: &[u8],
        signatures: &Signatures,
    ) -> bool {
        // A library refuses most of the impossible signatures before it hashes, so for a short
        // content the check would only be made twice.
        let is_long = body.len() > SHORT;
        if self.checks(signatures, is_long) == 0 {
            return false;
        }
        match self {
            Self::Digest { .. } => self.begin(content).is_some_and(|mut mac| {
                mac.update(body);
                self.holds_for(mac, content, signatures)
            }),
            Self::Public { algorithm, key } => {
                let message = message(content, body);
                let verify = |signature: &[u8]| {
                    let holds = (!is_long || key.could_have_made(*algorithm, signature))
                        && key.verify(*algorithm, &message, signature);
                    Choice::from(u8::from(holds))
                };
                decide(signatures, Kind::Public(*algorithm), verify)
            }
            Self::Token(token) => decide(signatures, Kind::Token, |signature| {
                token.as_slice().ct_eq(signature)
            }),
        }
    }
}

/// The longest body that is short, in bytes.
const SHORT: usize = 4096;

/// The content that a public key's signature is over. Only content around the body makes a copy.
fn message<'b>(content: &SignedContent, body: &'b [u8]) -> Cow<'b, [u8]> {
    if content.surrounds_body() {
        Cow::Owned([content.before(), body, content.after()].concat())
    } else {
        Cow::Borrowed(body)
    }
}

fn absorb(mac: &mut Mac, secret: Option<&Hidden>, content: &SignedContent, behind_body: bool) {
    // Only a plain hash has the secret in its content.
    let Some(Hidden(secret)) = secret else {
        return mac.update(content.side(behind_body));
    };
    for piece in content.pieces(behind_body) {
        match piece {
            Piece::Bytes(bytes) => mac.update(bytes),
            Piece::Secret => mac.update(secret),
        }
    }
}

/// Whether a signature of this kind holds, or, if all must hold, whether all signatures do. Every
/// signature is looked at, so the time taken does not tell which of them holds.
fn decide(signatures: &Signatures, kind: Kind, holds: impl Fn(&[u8]) -> Choice) -> bool {
    let (mut any, mut all) = (Choice::from(0), Choice::from(1));
    for candidate in signatures.iter() {
        let one = if candidate.kind == kind {
            holds(candidate.bytes())
        } else {
            Choice::from(0)
        };
        any |= one;
        all &= one;
    }
    if signatures.all {
        (any & all).into()
    } else {
        any.into()
    }
}
