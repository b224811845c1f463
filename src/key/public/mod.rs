//! Public keys as operators configure them, and signatures checked with them (SCHEMES 1 `algorithm`, SCHEMES 2).
//!
//! A key's text is read once, at load (`spelling`); what it cannot do is refused there by name. A signature is checked
//! with the algorithm that the scheme names and the type that the key has: nothing of either comes from the wire, and
//! nothing is ever fetched. What is strict about each algorithm stands in `checked`. A certificate is pinned: its key
//! and its dates count, who issued it does not. When a key is active is told here and judged by the caller.
//!
//! ECDSA lets anybody turn a signature (r, s) into a second valid one (r, n - s). A signature's bytes are therefore
//! never what a delivery is known by.

mod asn1;
mod checked;
mod jwk;
mod pem;
mod point;
mod signing_key;
mod spelling;
mod spki;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;

use sha2::{Digest as _, Sha256};

use self::checked::Key;
use super::secret::Validity;

pub use self::signing_key::SigningKey;

/// What a public key can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// Edwards curve 25519 (RFC 8032).
    Ed25519,
    /// NIST curve P-256, for ECDSA.
    EcdsaP256,
    /// RSA with a modulus of 2048 to 8192 bits.
    Rsa,
}

impl KeyType {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Rsa => "RSA",
        }
    }
}

/// Algorithms of signatures made with private keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicAlgorithm {
    /// Ed25519: 64 bytes (RFC 8032 5.1).
    Ed25519,
    /// ECDSA with P-256 and SHA-256, r and s in DER (RFC 3279 2.2.3).
    EcdsaP256Der,
    /// ECDSA with P-256 and SHA-256, r and s of 32 bytes each, one after the other (RFC 7518 3.4).
    EcdsaP256Raw,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
}

impl PublicAlgorithm {
    /// The type of the keys that verify it.
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::EcdsaP256Der | Self::EcdsaP256Raw => KeyType::EcdsaP256,
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => KeyType::Rsa,
        }
    }

    /// How long a signature can be, in bytes. Within it, an RSA signature is as long as its key's modulus.
    pub const fn signature_len(self) -> RangeInclusive<usize> {
        match self {
            Self::Ed25519 | Self::EcdsaP256Raw => 64..=64,
            Self::EcdsaP256Der => 8..=72,
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => 256..=1024,
        }
    }
}

/// A public key that can be used: of a known type, strong enough, on its curve.
#[derive(Clone)]
pub struct PublicKey {
    key: Key,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    digest: [u8; 32],
    key_id: Option<Box<str>>,
    /// A JWK's `alg`, where it leaves one of several algorithms.
    only: Option<PublicAlgorithm>,
    validity: Validity,
}

impl PublicKey {
    /// All keys that a secret's text holds, at least one. The text's shape tells its form; white space around it and
    /// within base64 does not count.
    ///
    /// - `-----BEGIN`: PEM, one certificate or any number of public keys
    /// - `{`: a JWK or a JWK Set, whose keys for other uses than signatures are left out
    /// - `whpk_`: base64 of an Ed25519 key
    /// - 64 hex digits: an Ed25519 key
    /// - base64: an Ed25519 key of 32 bytes, or the DER of a `SubjectPublicKeyInfo` or a certificate
    ///
    /// # Errors
    /// Says, without a byte of the text, why it holds no key or one that may not be used: a private or a symmetric
    /// key, an unsupported type or curve, too small an RSA modulus, a point off its curve, an unreadable form.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Self>, &'static str> {
        spelling::parse_all(text)
    }

    /// Whether the text has a shape that no symmetric secret has: PEM, a JWK or `whpk_`. It may still hold no key that
    /// [`parse_all`](Self::parse_all) takes.
    pub fn looks_public(text: &[u8]) -> bool {
        spelling::looks_public(text)
    }

    /// What it can verify.
    pub fn key_type(&self) -> KeyType {
        self.key.key_type()
    }

    /// A JWK's `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// When it is active: a certificate's dates, for other forms always.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// `SHA256:` and 64 hex digits: the digest of the key's DER `SubjectPublicKeyInfo`, the same for every form that a
    /// key is written in. `openssl pkey -pubin -outform DER | sha256sum` shows it too.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", hex::encode(self.digest))
    }

    /// Whether signatures of this algorithm can be verified with it: the type is right, and so is a JWK's `alg`.
    pub fn fits(&self, algorithm: PublicAlgorithm) -> bool {
        self.key_type() == algorithm.key_type() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` is the key's signature of `message`; `false` where the key does not
    /// [fit](Self::fits) the algorithm. Bounded work, whatever the signature.
    pub fn verify(&self, algorithm: PublicAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        self.fits(algorithm)
            && algorithm.signature_len().contains(&signature.len())
            && self.key.verify(algorithm, message, signature)
    }

    fn new(key: Key) -> Self {
        Self {
            digest: Sha256::digest(key.subject_public_key_info()).into(),
            key,
            key_id: None,
            only: None,
            validity: Validity {
                not_before: None,
                not_after: None,
            },
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PublicKey({}, {})",
            self.key_type().name(),
            self.fingerprint()
        )
    }
}
