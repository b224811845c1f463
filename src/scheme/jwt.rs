//! JSON Web Tokens as a scheme: the rule that a token must obey (schemes: Tokens; RFC 7515, RFC 7519).

use super::Kind;
use crate::key::digest::DigestAlgorithm;
use crate::key::public::PublicAlgorithm;
use crate::notation::encoding::Encoding;
use crate::wire::head::FieldName;

/// What a JWT must say to prove a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// The header that carries it.
    pub header: FieldName,
    /// Text before it, as `Bearer `; exact.
    pub prefix: String,
    /// The algorithms allowed; all of one family.
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim that holds a digest of the body.
    pub body_digest: Option<DigestClaim>,
    /// The claim that holds the whole body, as the text that it is.
    pub body_claim: Option<String>,
    /// The claim that holds a digest of the URL.
    pub url_digest: Option<DigestClaim>,
    /// Whether the body's claim must be absent where the body is empty.
    pub absent_if_empty: bool,
    /// The issuer that it must name.
    pub issuer: Option<String>,
    /// How old it may be by its `iat`, in milliseconds; without it `exp` is required.
    pub max_age: Option<i64>,
    /// Whether its tokens may carry no time at all: then only replay protection stands against old ones.
    pub timeless: bool,
    /// How far clocks may be apart, in milliseconds.
    pub leeway: i64,
}

/// A claim that holds a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestClaim {
    /// Its name.
    pub claim: String,
    /// The hash, without a key.
    pub hash: DigestAlgorithm,
    /// How it is written.
    pub encoding: Encoding,
}

/// The algorithms of a JWT (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    /// Every algorithm, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::EdDsa,
    ];

    /// Its name in a token's `alg` and in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name, in exactly this case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The family, in which one key serves all: the first two letters of the name.
    pub fn family(self) -> &'static str {
        self.name().get(..2).unwrap_or_default()
    }

    /// What it takes.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Hs256 => Kind::Digest(DigestAlgorithm::HmacSha256),
            Self::Hs384 => Kind::Digest(DigestAlgorithm::HmacSha384),
            Self::Hs512 => Kind::Digest(DigestAlgorithm::HmacSha512),
            Self::Rs256 => Kind::Public(PublicAlgorithm::RsaPkcs1Sha256),
            Self::Rs384 => Kind::Public(PublicAlgorithm::RsaPkcs1Sha384),
            Self::Rs512 => Kind::Public(PublicAlgorithm::RsaPkcs1Sha512),
            Self::Es256 => Kind::Public(PublicAlgorithm::EcdsaP256Raw),
            Self::EdDsa => Kind::Public(PublicAlgorithm::Ed25519),
        }
    }

    /// Whether a signature of this many bytes can be one.
    pub fn takes_length(self, bytes: usize) -> bool {
        match self.kind() {
            Kind::Digest(digest) => bytes == digest.len(),
            Kind::Public(public) => public.signature_len().contains(&bytes),
            Kind::Token | Kind::Jwt => false,
        }
    }
}

impl JwtRule {
    /// Whether the body is authenticated.
    pub fn covers_body(&self) -> bool {
        self.body_digest.is_some() || self.body_claim.is_some()
    }

    /// Whether the URL is.
    pub fn signs_url(&self) -> bool {
        self.url_digest.is_some()
    }
}
