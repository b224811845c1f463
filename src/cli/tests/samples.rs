//! Secrets for tests that go through all presets: a fitting secret for each kind of key. The keys
//! belong to nobody.

use crate::key::public::KeyType;
use crate::key::public::tests::fixtures::{
    P256_PEM, P256_PRIVATE_PEM, RSA_PRIVATE_PEM, RSA_PUBLIC_PEM,
};
use crate::scheme::{Algorithm, KeyEncoding, Kind, Scheme};

/// Ed25519, RFC 8032 section 7.1, test 1: the private half.
pub(crate) const ED25519_SEED: &str =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The public half of [`ED25519_SEED`].
pub(crate) const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// A secret that fits this scheme.
pub(crate) fn secret(scheme: &Scheme) -> &'static str {
    if let Some(code) = scheme.code() {
        return match code.name() {
            "adyen" => "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056",
            "aws-sns" => RSA_PUBLIC_PEM,
            "braintree" => "public:private",
            _ if code.algorithm() == Algorithm::Ed25519 => ED25519,
            _ => "c2VjcmV0",
        };
    }
    match kind(scheme) {
        Some(Kind::Public(algorithm)) => match algorithm.key_type() {
            KeyType::Ed25519 => ED25519,
            KeyType::EcdsaP256 => P256_PEM,
            KeyType::Rsa => RSA_PUBLIC_PEM,
        },
        _ if scheme.algorithm() == Algorithm::Basic => "user:password",
        _ => match scheme.proof.key_forms().first() {
            Some(form) if form.encoding == KeyEncoding::Hex => "5f6e7d8c",
            Some(form) if form.strip.as_deref() == Some("whsec_") => "whsec_c2VjcmV0",
            _ => "c2VjcmV0",
        },
    }
}

/// The secret that signs: the private half of [`secret`], where the scheme has pairs of keys.
pub(crate) fn signing_secret(scheme: &Scheme) -> &'static str {
    match kind(scheme) {
        Some(Kind::Public(algorithm)) => match algorithm.key_type() {
            KeyType::Ed25519 => ED25519_SEED,
            KeyType::EcdsaP256 => P256_PRIVATE_PEM,
            KeyType::Rsa => RSA_PRIVATE_PEM,
        },
        _ => secret(scheme),
    }
}

/// The kind of key that signs.
fn kind(scheme: &Scheme) -> Option<Kind> {
    match scheme.token_rule() {
        Some(rule) => rule.algorithms.first().map(|algorithm| algorithm.kind()),
        None => Some(scheme.algorithm().kind()),
    }
}
