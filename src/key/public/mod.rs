//! Public keys as operators configure them, and the signatures that they verify (schemes:
//! Algorithms, Keys and secrets).
//!
//! The text of a key is read once, at load (`spelling`), and a key that cannot be used is refused
//! there with the reason. A signature is verified with the algorithm that the scheme names and a
//! key of that algorithm's type: the wire chooses neither, and nothing is ever fetched. The checks
//! of each algorithm are listed in `checked`. A certificate is pinned: its key and its dates count,
//! its issuer does not. A key knows when it is active; the caller compares that with the clock.
//!
//! ECDSA lets anybody turn a signature (r, s) into a second valid signature (r, n - s). So the
//! bytes of a signature never identify a delivery.

mod asn1;
mod checked;
mod jwk;
mod pem;
mod point;
mod shape;
mod signing_key;
mod spelling;
mod spki;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::ops::RangeInclusive;

use sha2::{Digest as _, Sha256};

use self::checked::Key;
use super::secret::Validity;
use crate::notation::encoding::Encoding;

pub use self::signing_key::SigningKey;

/// The types of public keys.
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
    /// The type's usual name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::EcdsaP256 => "ECDSA P-256",
            Self::Rsa => "RSA",
        }
    }
}

/// The algorithms whose signatures a private key makes and a public key verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicAlgorithm {
    /// Ed25519: 64 bytes (RFC 8032 5.1).
    Ed25519,
    /// ECDSA with P-256 and SHA-256, r and s in DER (RFC 3279 2.2.3).
    EcdsaP256Der,
    /// ECDSA with P-256 and SHA-256, r followed by s, 32 bytes each (RFC 7518 3.4).
    EcdsaP256Raw,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
}

impl PublicAlgorithm {
    /// The type of the keys that verify the algorithm's signatures.
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::EcdsaP256Der | Self::EcdsaP256Raw => KeyType::EcdsaP256,
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => KeyType::Rsa,
        }
    }

    /// The possible lengths of a signature in bytes. Within this range, an RSA signature must be
    /// exactly as long as the modulus of its key.
    pub const fn signature_len(self) -> RangeInclusive<usize> {
        match self {
            Self::Ed25519 | Self::EcdsaP256Raw => 64..=64,
            Self::EcdsaP256Der => 8..=72,
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => 256..=1024,
        }
    }
}

/// A public key that has passed every check: its type is known, it is strong enough, and it lies on
/// its curve.
#[derive(Clone)]
pub struct PublicKey {
    key: Key,
    /// The SHA-256 of the key's `SubjectPublicKeyInfo`.
    digest: [u8; 32],
    key_id: Option<Box<str>>,
    /// The only algorithm that the key may verify, if `alg` of its JWK narrows the choice.
    only: Option<PublicAlgorithm>,
    validity: Validity,
}

impl PublicKey {
    /// All keys that the text of a secret holds, at least one. The beginning of the text decides
    /// how it is read. White space around it and within base64 is ignored.
    ///
    /// - `-----BEGIN`: PEM, either one certificate or any number of public keys
    /// - `{`: a JWK or a JWK Set, whose keys for other uses than signatures are left out
    /// - `whpk_`: base64 of an Ed25519 key
    /// - 64 hex digits: an Ed25519 key
    /// - base64: an Ed25519 key of 32 bytes, or the DER of a `SubjectPublicKeyInfo` or a
    ///   certificate
    ///
    /// # Errors
    /// The reason why the text holds no key or a key that is refused, without a byte of the text: a
    /// private or symmetric key, an unsupported type or curve, an RSA modulus of the wrong size, a
    /// point off its curve, an unreadable text.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Self>, &'static str> {
        spelling::parse_all(text)
    }

    /// Whether the text begins like a public key and like no symmetric secret: PEM, a JWK or
    /// `whpk_`. [`parse_all`](Self::parse_all) may still refuse it.
    pub fn looks_public(text: &[u8]) -> bool {
        spelling::looks_public(text)
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        self.key.key_type()
    }

    /// The name of the key: a JWK's `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The period in which the key is active: the dates of a certificate, and no bounds for other
    /// keys.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// `SHA256:` and 64 hex digits: the digest of the key's DER `SubjectPublicKeyInfo`. It is the
    /// same however the key is written, and `openssl pkey -pubin -outform DER | sha256sum` prints
    /// it too.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", hex::encode(self.digest))
    }

    /// Whether the key may verify signatures of this algorithm: its type is right, and a JWK's
    /// `alg` allows it.
    pub fn fits(&self, algorithm: PublicAlgorithm) -> bool {
        self.key_type() == algorithm.key_type() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` can be the key's signature of any message at all; `false` if the key
    /// does not [fit](Self::fits) the algorithm. A signature for which this is `false` never
    /// verifies, so nothing has to be hashed for it.
    pub fn could_have_made(&self, algorithm: PublicAlgorithm, signature: &[u8]) -> bool {
        self.fits(algorithm)
            && algorithm.signature_len().contains(&signature.len())
            && shape::is_possible(algorithm, self.key.modulus(), signature)
    }

    /// Whether `signature` is the key's signature of `message`; `false` if the key does not
    /// [fit](Self::fits) the algorithm. The work is bounded for every signature.
    pub fn verify(&self, algorithm: PublicAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        self.fits(algorithm)
            && algorithm.signature_len().contains(&signature.len())
            && self.key.verify(algorithm, message, signature)
    }

    /// Base64 of the key's DER `SubjectPublicKeyInfo`, which [`parse_all`](Self::parse_all) reads.
    pub fn text(&self) -> String {
        Encoding::Base64.encode(&self.key.subject_public_key_info())
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
