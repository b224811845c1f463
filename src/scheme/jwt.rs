//! JSON Web Tokens as a scheme: the rule that a token must obey (schemes: Tokens; RFC 7515, RFC
//! 7519).

use super::Kind;
use crate::key::digest::DigestAlgorithm;
use crate::key::public::PublicAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::wire::head::FieldName;

/// The claims and the form that a JWT must have to prove a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRule {
    /// The place of the token.
    pub place: TokenPlace,
    /// What the token signs.
    pub payload: Payload,
    /// The algorithms that a token may name. All belong to the same family, so that a key cannot be
    /// taken for a key of another kind.
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim that holds a digest of the body.
    pub body_digest: Option<DigestClaim>,
    /// The claim that holds the whole body as text.
    pub body_claim: Option<String>,
    /// The claim that holds a digest of the URL.
    pub url_digest: Option<DigestClaim>,
    /// The claim that holds the URL itself.
    pub url_claim: Option<String>,
    /// The claim that holds a digest of method, path and query.
    pub request_digest: Option<RequestClaim>,
    /// Whether a delivery with an empty body must come without the body's claim.
    pub absent_if_empty: bool,
    /// The issuer that the token must name; `None` where any issuer will do.
    pub issuer: Option<String>,
    /// The greatest age of a token by its `iat`, in milliseconds. Without a greatest age, `exp` is
    /// required unless `timeless`.
    pub max_age: Option<i64>,
    /// Whether a token may come without any time. Then only replay protection keeps old tokens out.
    pub timeless: bool,
    /// How far the provider's clock may differ from ours, in milliseconds.
    pub leeway: i64,
}

/// The place of a token in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// The value of a header.
    Header {
        /// The name of the header.
        name: FieldName,
        /// The exact text before the token, as in `Bearer `; empty where there is no such text.
        prefix: String,
    },
    /// The whole body is the token.
    Body {
        /// The places in the claims whose text is itself a JSON text, outer ones first: the event
        /// is read as if that text were part of the claims.
        json_texts: Vec<Pointer>,
    },
}

/// What a token signs (RFC 7515 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Claims, which the token holds.
    Claims,
    /// The body, which the token does not hold (RFC 7515 appendix F).
    Detached {
        /// Whether the body is signed in base64url. If not, it is signed as it is (RFC 7797), and
        /// the token's header says so.
        is_encoded: bool,
        /// The member of the token's header that says when it was made, in Unix seconds.
        stamp: Option<String>,
    },
}

/// A claim that holds a digest of the request, in Atlassian's canonical form (`qsh`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestClaim {
    /// The name of the claim.
    pub claim: String,
    /// The path of the app's base URL, which the digested path does not have; empty where the base
    /// URL is an origin.
    pub base_path: String,
}

/// A claim that holds a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestClaim {
    /// The name of the claim.
    pub claim: String,
    /// The hash of the digest, without a key.
    pub hash: DigestAlgorithm,
    /// How the digest is written.
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

    /// The name in a token's `alg` and in a configuration file.
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

    /// The algorithm of exactly this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The family, whose algorithms share their keys: the first two letters of the name.
    pub fn family(self) -> &'static str {
        self.name().get(..2).unwrap_or_default()
    }

    /// The kind of key that the algorithm takes, and so how a signature is checked.
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

    /// Whether a signature may have this many bytes.
    pub fn takes_length(self, bytes: usize) -> bool {
        match self.kind() {
            Kind::Digest(digest) => bytes == digest.len(),
            Kind::Public(public) => public.signature_len().contains(&bytes),
            Kind::Token | Kind::Jwt => false,
        }
    }
}

impl JwtRule {
    /// Whether the token authenticates the body.
    pub fn covers_body(&self) -> bool {
        self.body_digest.is_some()
            || self.body_claim.is_some()
            || self.is_body()
            || self.is_detached()
    }

    /// Whether the token authenticates the URL.
    pub fn signs_url(&self) -> bool {
        self.url_digest.is_some() || self.url_claim.is_some()
    }

    /// Whether the token authenticates the path, as part of the URL or by itself.
    pub fn signs_path(&self) -> bool {
        self.signs_url() || self.request_digest.is_some()
    }

    /// Whether the whole body is the token.
    pub fn is_body(&self) -> bool {
        matches!(self.place, TokenPlace::Body { .. })
    }

    /// Whether the token signs the body and does not hold it.
    pub fn is_detached(&self) -> bool {
        matches!(self.payload, Payload::Detached { .. })
    }

    /// The header that carries the token; `None` where it is the body.
    pub fn header(&self) -> Option<&FieldName> {
        match &self.place {
            TokenPlace::Header { name, .. } => Some(name),
            TokenPlace::Body { .. } => None,
        }
    }

    /// The text before the token; empty where there is no such text.
    pub fn prefix(&self) -> &str {
        match &self.place {
            TokenPlace::Header { prefix, .. } => prefix,
            TokenPlace::Body { .. } => "",
        }
    }
}
