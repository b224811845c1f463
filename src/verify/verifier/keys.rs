//! Secrets made ready: every key that a secret's text can stand for under its scheme (SCHEMES 1 and 2).
//!
//! A secret of a scheme with several algorithms belongs to those that its form fits: a `whpk_` one verifies Ed25519 and
//! nothing else. The text itself is held only where a plain hash needs it as part of its content.

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

/// A secret, made ready.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) name: Arc<str>,
    pub(super) validity: Validity,
    pub(super) keys: Vec<Key>,
}

/// One key.
#[derive(Debug)]
pub(super) enum Key {
    /// A MAC's, or none where a plain hash takes the secret as content.
    Digest {
        algorithm: DigestAlgorithm,
        mac: Mac,
        secret: Option<Hidden>,
    },
    /// The sender's public key.
    Public {
        algorithm: PublicAlgorithm,
        key: PublicKey,
    },
    /// A shared token, hashed.
    Token([u8; 32]),
}

/// The secret as content: wiped on drop, shown by nothing.
pub(super) struct Hidden(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Keyed {
    /// The keys that a secret stands for under a scheme; at least one.
    pub(super) fn new(scheme: &Scheme, secret: &Secret) -> Result<Self, Cow<'static, str>> {
        let mut keys = Vec::new();
        let mut why = Cow::Borrowed("the secret is no key of this scheme");
        let mut take = |made: Result<Vec<Key>, Cow<'static, str>>| match made {
            Ok(made) => keys.extend(made),
            Err(reason) => why = reason,
        };
        let text = secret.text.expose();
        if let Some(code) = scheme
            .code()
            .filter(|code| matches!(code.algorithm().kind(), Kind::Digest(_)))
        {
            take(code.keys(&secret.text).map_err(Cow::Borrowed).map(|keys| {
                let digests = keys
                    .iter()
                    .filter_map(|(algorithm, key)| match algorithm.kind() {
                        Kind::Digest(digest) => Some(Key::digest(digest, key)),
                        _ => None,
                    });
                digests.collect()
            }));
        } else {
            let kinds = scheme.proof.key_kinds();
            let takes_both = kinds.iter().any(|kind| matches!(kind, Kind::Public(_)))
                && kinds.iter().any(|kind| matches!(kind, Kind::Digest(_)));
            let is_public = PublicKey::looks_public(text);
            for kind in kinds {
                match kind {
                    Kind::Digest(_) if takes_both && is_public => {}
                    Kind::Public(_) if takes_both && !is_public => {}
                    Kind::Digest(algorithm) => {
                        for form in scheme.proof.key_forms() {
                            take(
                                form.key(&secret.text)
                                    .map(|key| vec![Key::digest(algorithm, &key)]),
                            );
                        }
                    }
                    Kind::Public(algorithm) => take(public(algorithm, text).map_err(Cow::Borrowed)),
                    Kind::Token => {
                        for form in scheme.proof.key_forms() {
                            take(
                                form.key(&secret.text)
                                    .map(|key| vec![Key::Token(Sha256::digest(&*key).into())]),
                            );
                        }
                    }
                    Kind::Jwt => {}
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

    /// Its keys that are active: those of a secret that is not have none.
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
    fn digest(algorithm: DigestAlgorithm, key: &[u8]) -> Self {
        let is_plain = matches!(algorithm, DigestAlgorithm::Sha256 | DigestAlgorithm::Sha1);
        let secret = is_plain.then(|| Hidden(Zeroizing::new(key.to_vec())));
        Self::Digest {
            algorithm,
            mac: algorithm.mac(key),
            secret,
        }
    }

    fn is_active(&self, wall: UnixMillis) -> bool {
        match self {
            Self::Public { key, .. } => key.validity().includes(wall),
            Self::Digest { .. } | Self::Token(_) => true,
        }
    }

    /// The name by which a token may ask for it; `None` where it has none.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Public { key, .. } => key.key_id(),
            Self::Digest { .. } | Self::Token(_) => None,
        }
    }

    /// The MAC of a text, where this is a key of that very MAC.
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

    /// A digest under way, with what stands before the body taken in; `None` where this key makes none.
    pub(super) fn begin(&self, content: &SignedContent) -> Option<Mac> {
        let Self::Digest { mac, secret, .. } = self else {
            return None;
        };
        let mut mac = mac.clone();
        absorb(&mut mac, secret.as_ref(), content, false);
        Some(mac)
    }

    /// Whether the signatures hold under this key for content that was hashed up to the end of the body.
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
            digest.as_bytes().ct_eq(signature)
        })
    }

    /// Whether the signatures hold under this key for content and body.
    pub(super) fn holds(
        &self,
        content: &SignedContent,
        body: &[u8],
        signatures: &Signatures,
    ) -> bool {
        match self {
            Self::Digest { .. } => self.begin(content).is_some_and(|mut mac| {
                mac.update(body);
                self.holds_for(mac, content, signatures)
            }),
            Self::Public { algorithm, key } => {
                let message = [content.before(), body, content.after()].concat();
                let verify = |signature: &[u8]| {
                    Choice::from(u8::from(key.verify(*algorithm, &message, signature)))
                };
                decide(signatures, Kind::Public(*algorithm), verify)
            }
            Self::Token(token) => decide(signatures, Kind::Token, |signature| {
                token.as_slice().ct_eq(signature)
            }),
        }
    }
}

fn absorb(mac: &mut Mac, secret: Option<&Hidden>, content: &SignedContent, behind_body: bool) {
    for piece in content.pieces(behind_body) {
        match (piece, secret) {
            (Piece::Bytes(bytes), _) => mac.update(bytes),
            (Piece::Secret, Some(Hidden(secret))) => mac.update(secret),
            (Piece::Secret, None) => {}
        }
    }
}

/// Whether one of the signatures of this kind holds, or all of them where all must; every one is looked at.
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
