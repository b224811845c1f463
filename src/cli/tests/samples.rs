//! Secrets for tests that go through all presets: a fitting secret for each kind of key. The keys
//! belong to nobody.

use crate::key::public::KeyType;
use crate::scheme::{Algorithm, KeyEncoding, Kind, Scheme};

/// Ed25519, RFC 8032 section 7.1, test 1: the private half.
pub(crate) const ED25519_SEED: &str =
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The public half of [`ED25519_SEED`].
pub(crate) const ED25519: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// A public key of ECDSA P-256.
const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdNV/Xrm+QqTbzO1KoUGCVsddcwxv
PDzmaxcA46G8rU9ixRcTunYvcQrlAjItHwd9T5MwO6tsCZynn1pYTs3+Lw==
-----END PUBLIC KEY-----
";
/// A public RSA key of 2048 bits.
const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAt+42FVWYaJhx1bZ/SUt7
MOp/VteyTGJUjGPloKIiwcYSV060NLeAq0ez56gmm/9vc+HgZuhI3+U5GeDngMhQ
2HtDkp+lsFlnu9OmVklLkKt/pcQqcv2caqwKRAASgrPAYMwE1w2/e3I33a7lMvPg
GWs9uObkw0lOg0hf+fjboVxI/l/JIJMpP063NIrgTPpgR1F3iCJDJLaNqkXkVm4x
1wJtPdabZxwNRclE48zbu9x9O4hy6qdVafPzzy+BEaUc2j7oNIr6+TYHyoxypLLe
OWzRcLnSFqF+AFIrZZBc5q78ziCc9riAWCoBRbxpajj68ndtKNVrI3uAgOZp5auN
5QIDAQAB
-----END PUBLIC KEY-----
";

/// A secret that fits this scheme.
pub(crate) fn secret(scheme: &Scheme) -> &'static str {
    if let Some(code) = scheme.code() {
        return match code.name() {
            "adyen" => "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056",
            "aws-sns" => RSA,
            "braintree" => "public:private",
            _ if code.algorithm() == Algorithm::Ed25519 => ED25519,
            _ => "c2VjcmV0",
        };
    }
    let kind = match scheme.token_rule() {
        Some(rule) => rule.algorithms.first().map(|algorithm| algorithm.kind()),
        None => Some(scheme.algorithm().kind()),
    };
    match kind {
        Some(Kind::Public(algorithm)) => match algorithm.key_type() {
            KeyType::Ed25519 => ED25519,
            KeyType::EcdsaP256 => P256,
            KeyType::Rsa => RSA,
        },
        _ if scheme.algorithm() == Algorithm::Basic => "user:password",
        _ => match scheme.proof.key_forms().first() {
            Some(form) if form.encoding == KeyEncoding::Hex => "5f6e7d8c",
            Some(form) if form.strip.as_deref() == Some("whsec_") => "whsec_c2VjcmV0",
            _ => "c2VjcmV0",
        },
    }
}
