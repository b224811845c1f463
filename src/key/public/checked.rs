//! The keys themselves: the checks that a key passes when it is made, and a signature when it is
//! verified (AU-10).
//!
//! - Ed25519: the key must be the canonical encoding of a point whose order is not small. Of a
//!   signature, s must be less than L, R must be such an encoding too, and the equation must hold
//!   without the cofactor (RFC 8032 5.1.7, and stricter).
//! - ECDSA: r and s must lie in 1..n. In DER each signature has a single spelling: shortest
//!   lengths, shortest integers, no bytes after them.
//! - RSA: the signature must be as long as the modulus and less than it. The whole padded block is
//!   compared with the block that the digest gives, its NULL included (RFC 8017 8.2.2). Nothing is
//!   parsed out of it.
//!
//! The libraries check all of this except the encoding of an Ed25519 key and the exact size of a
//! modulus, which are checked here.

use ed25519_dalek::VerifyingKey;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    VerificationAlgorithm,
};

use super::{KeyType, PublicAlgorithm, point, spki};

/// The sizes that an RSA modulus may have, in bits.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The largest RSA exponent. Larger exponents make verification slower, and no provider uses them.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The refusal of a private key. Every spelling is searched for private keys before it is called
/// unreadable.
pub(super) const PRIVATE: &str = "this is a private key: only the public one is needed here, and the private one should not leave its owner";

/// A key of a known type that has passed every check of its type.
#[derive(Clone)]
pub(super) enum Key {
    Ed25519(Box<VerifyingKey>),
    /// The uncompressed point: 0x04, x, y.
    EcdsaP256([u8; 65]),
    /// Both numbers are big-endian and begin with a byte that is not zero.
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
}

impl Key {
    /// The key of 32 bytes (RFC 8032 5.1.2).
    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; 32] = bytes
            .try_into()
            .map_err(|_| "an Ed25519 public key has 32 bytes")?;
        // The library reduces y modulo p. Without this check, 19 values of y would have a second
        // spelling each.
        if !is_below_field_prime(bytes) {
            return Err("the Ed25519 public key is not written in its one canonical form");
        }
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| "the Ed25519 public key is not a point of its curve")?;
        // Points with x = 0 have a second spelling too, by the sign bit, but they are of small
        // order.
        if key.is_weak() {
            return Err("the Ed25519 public key has a small order: anybody could sign for it");
        }
        Ok(Self::Ed25519(Box::new(key)))
    }

    /// The key of an uncompressed point (SEC 1 2.3.3).
    pub(super) fn ecdsa_p256(bytes: &[u8]) -> Result<Self, &'static str> {
        if let [2 | 3, x @ ..] = bytes
            && x.len() == 32
        {
            return Err("the P-256 public key is a compressed point: \
                        write it uncompressed (`openssl ec -conv_form uncompressed`)");
        }
        let bytes: [u8; 65] = bytes
            .try_into()
            .map_err(|_| "a P-256 public key has 65 bytes")?;
        if !point::is_uncompressed_p256(&bytes) {
            return Err("the P-256 public key is not a point of its curve");
        }
        Ok(Self::EcdsaP256(bytes))
    }

    /// The key of two big-endian numbers, whose leading zeros are ignored.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let (modulus, exponent) = (
            without_leading_zeros(modulus),
            without_leading_zeros(exponent),
        );
        let unused = modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len() * 8 - unused;
        if bits < *MODULUS_BITS.start() {
            return Err("the RSA key has fewer than 2048 bits: too weak");
        }
        if bits > *MODULUS_BITS.end() {
            return Err("the RSA key has more than 8192 bits");
        }
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err("the RSA key's modulus is even: that is no RSA key");
        }
        let value = exponent.iter().try_fold(0_u64, |value, byte| {
            Some(value.checked_mul(256)? + u64::from(*byte))
        });
        if !value.is_some_and(|value| value % 2 == 1 && (3..=MAX_EXPONENT).contains(&value)) {
            return Err("the RSA key's exponent is not an odd number from 3 to 2^33 - 1");
        }
        Ok(Self::Rsa {
            modulus: modulus.into(),
            exponent: exponent.into(),
        })
    }

    pub(super) fn key_type(&self) -> KeyType {
        match self {
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::EcdsaP256(_) => KeyType::EcdsaP256,
            Self::Rsa { .. } => KeyType::Rsa,
        }
    }

    /// The key as the DER of a `SubjectPublicKeyInfo` (RFC 5280 4.1).
    pub(super) fn subject_public_key_info(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => spki::ed25519_info(key.as_bytes()),
            Self::EcdsaP256(point) => spki::ecdsa_p256_info(point),
            Self::Rsa { modulus, exponent } => spki::rsa_info(modulus, exponent),
        }
    }

    /// The modulus of an RSA key; empty for every other key.
    pub(super) fn modulus(&self) -> &[u8] {
        match self {
            Self::Rsa { modulus, .. } => modulus,
            Self::Ed25519(_) | Self::EcdsaP256(_) => &[],
        }
    }

    /// Whether the key made this signature of `message`; `false` for an algorithm of another key
    /// type.
    pub(super) fn verify(
        &self,
        algorithm: PublicAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        match (self, algorithm) {
            (Self::Ed25519(key), PublicAlgorithm::Ed25519) => {
                ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|s| key.verify_strict(message, &s).is_ok())
            }
            (Self::EcdsaP256(point), PublicAlgorithm::EcdsaP256Der) => {
                ecdsa(&ECDSA_P256_SHA256_ASN1, point, message, signature)
            }
            (Self::EcdsaP256(point), PublicAlgorithm::EcdsaP256Raw) => {
                ecdsa(&ECDSA_P256_SHA256_FIXED, point, message, signature)
            }
            (Self::Rsa { modulus, exponent }, PublicAlgorithm::RsaPkcs1Sha256) => rsa(
                &RSA_PKCS1_2048_8192_SHA256,
                modulus,
                exponent,
                message,
                signature,
            ),
            (Self::Rsa { modulus, exponent }, PublicAlgorithm::RsaPkcs1Sha384) => rsa(
                &RSA_PKCS1_2048_8192_SHA384,
                modulus,
                exponent,
                message,
                signature,
            ),
            (Self::Rsa { modulus, exponent }, PublicAlgorithm::RsaPkcs1Sha512) => rsa(
                &RSA_PKCS1_2048_8192_SHA512,
                modulus,
                exponent,
                message,
                signature,
            ),
            (Self::Ed25519(_) | Self::EcdsaP256(_) | Self::Rsa { .. }, _) => false,
        }
    }
}

fn ecdsa(
    algorithm: &'static dyn VerificationAlgorithm,
    point: &[u8; 65],
    message: &[u8],
    signature: &[u8],
) -> bool {
    ring::signature::UnparsedPublicKey::new(algorithm, point)
        .verify(message, signature)
        .is_ok()
}

fn rsa(parameters: &RsaParameters, n: &[u8], e: &[u8], message: &[u8], signature: &[u8]) -> bool {
    RsaPublicKeyComponents { n, e }
        .verify(parameters, message, signature)
        .is_ok()
}

/// Whether y is less than p = 2^255 - 19. It is the little-endian number without its top bit, which
/// is the sign of x.
pub(super) fn is_below_field_prime(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
