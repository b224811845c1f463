//! The algorithms that a scheme can name, and the kind of key that each takes (schemes:
//! Algorithms).
//!
//! The scheme decides on the algorithm; the wire never does. MD5 and RSA with SHA-1 are not
//! offered.

use crate::key::digest::DigestAlgorithm;
use crate::key::public::PublicAlgorithm;

/// The ways in which a signature is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `hmac-sha256`
    #[default]
    HmacSha256,
    /// `hmac-sha1`
    HmacSha1,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
    /// `sha256`: a plain hash over content that holds the secret.
    Sha256,
    /// `sha1`: a plain hash, likewise.
    Sha1,
    /// `ed25519`
    Ed25519,
    /// `ecdsa-p256-sha256`: the signature in DER.
    EcdsaP256Sha256,
    /// `ecdsa-p256-sha256-raw`: r and s, 32 bytes each.
    EcdsaP256Sha256Raw,
    /// `rsa-pkcs1-sha256`
    RsaPkcs1Sha256,
    /// `token`: the shared secret itself, sent along.
    Token,
    /// `basic`: user and password by RFC 7617.
    Basic,
    /// `jwt`: a token whose own list of algorithms counts.
    Jwt,
}

/// The kind of key that an algorithm takes, and so how a signature is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A digest under a shared secret.
    Digest(DigestAlgorithm),
    /// A signature under a private key.
    Public(PublicAlgorithm),
    /// The secret itself.
    Token,
    /// A JSON Web Token.
    Jwt,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are documented.
    pub const ALL: [Self; 13] = [
        Self::HmacSha256,
        Self::HmacSha1,
        Self::HmacSha384,
        Self::HmacSha512,
        Self::Sha256,
        Self::Sha1,
        Self::Ed25519,
        Self::EcdsaP256Sha256,
        Self::EcdsaP256Sha256Raw,
        Self::RsaPkcs1Sha256,
        Self::Token,
        Self::Basic,
        Self::Jwt,
    ];

    /// The name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP256Sha256Raw => "ecdsa-p256-sha256-raw",
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::Token => "token",
            Self::Basic => "basic",
            Self::Jwt => "jwt",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The kind of key that the algorithm takes, and so how a signature is checked.
    pub const fn kind(self) -> Kind {
        match self {
            Self::HmacSha256 => Kind::Digest(DigestAlgorithm::HmacSha256),
            Self::HmacSha1 => Kind::Digest(DigestAlgorithm::HmacSha1),
            Self::HmacSha384 => Kind::Digest(DigestAlgorithm::HmacSha384),
            Self::HmacSha512 => Kind::Digest(DigestAlgorithm::HmacSha512),
            Self::Sha256 => Kind::Digest(DigestAlgorithm::Sha256),
            Self::Sha1 => Kind::Digest(DigestAlgorithm::Sha1),
            Self::Ed25519 => Kind::Public(PublicAlgorithm::Ed25519),
            Self::EcdsaP256Sha256 => Kind::Public(PublicAlgorithm::EcdsaP256Der),
            Self::EcdsaP256Sha256Raw => Kind::Public(PublicAlgorithm::EcdsaP256Raw),
            Self::RsaPkcs1Sha256 => Kind::Public(PublicAlgorithm::RsaPkcs1Sha256),
            Self::Token | Self::Basic => Kind::Token,
            Self::Jwt => Kind::Jwt,
        }
    }

    /// Whether the algorithm is a plain hash, so that the secret is part of the hashed content.
    pub const fn is_plain_hash(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha1)
    }

    /// Whether a signature may have this many bytes.
    pub fn takes_length(self, bytes: usize) -> bool {
        match self.kind() {
            Kind::Digest(digest) => bytes == digest.len(),
            Kind::Public(public) => public.signature_len().contains(&bytes),
            Kind::Token | Kind::Jwt => bytes > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_algorithm() {
        assert_eq!(
            Algorithm::ALL.map(|a| Algorithm::named(a.name())),
            Algorithm::ALL.map(Some)
        );
    }

    #[test]
    fn a_signature_of_another_length_is_none() {
        for (bytes, is_one) in [
            (31, false),
            (32, true),
            (33, false),
            (0, false),
            (64, false),
        ] {
            assert_eq!(
                Algorithm::HmacSha256.takes_length(bytes),
                is_one,
                "{bytes} bytes"
            );
        }
        assert!(
            Algorithm::RsaPkcs1Sha256.takes_length(256)
                && !Algorithm::RsaPkcs1Sha256.takes_length(20)
        );
    }
}
