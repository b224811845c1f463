//! Private keys that sign: which algorithm of a scheme a secret is good for, and the key in its
//! text.

use super::{SignError, fault};
use crate::key::public::{KeyType, PublicAlgorithm, PublicKey, SigningKey};
use crate::key::secret::Secret;
use crate::scheme::{Algorithm, Kind, ProofBy, ProviderCode, Scheme, TemplateScheme, TokenScheme};

/// The public half of the private key that [`sign`](super::sign) signs with; `None` where it signs with a shared
/// secret, or cannot sign.
pub fn public_half(scheme: &Scheme, secret: &Secret) -> Option<PublicKey> {
    let text = secret.text.expose();
    let kind = match &scheme.proof {
        ProofBy::Template(template) => chosen(template, text).ok()?.1.kind(),
        ProofBy::Token(token) => Kind::Public(privately(token)?),
        ProofBy::Code(code) => by_code(*code, text).kind(),
        ProofBy::Credential(_) => return None,
    };
    let Kind::Public(algorithm) = kind else {
        return None;
    };
    let key = SigningKey::parse(text).ok()?;
    (key.key_type() == algorithm.key_type()).then(|| key.public())
}

/// The algorithm by which a provider's code signs with this secret: the first that the private key in
/// the text fits; the one that the scheme names where the key fits none.
pub(super) fn by_code(code: &'static dyn ProviderCode, text: &[u8]) -> Algorithm {
    let Kind::Public(_) = code.algorithm().kind() else {
        return code.algorithm();
    };
    let own = SigningKey::parse(text).ok().map(|key| key.key_type());
    let fits = |algorithm: &Algorithm| match algorithm.kind() {
        Kind::Public(public) => Some(public.key_type()) == own,
        _ => false,
    };
    code.algorithms()
        .find(fits)
        .unwrap_or_else(|| code.algorithm())
}

/// The label and the algorithm under which the scheme takes a signature with this secret. The label
/// is `None` where the scheme's signatures have no labels.
pub(super) fn chosen<'s>(
    template: &'s TemplateScheme,
    text: &[u8],
) -> Result<(Option<&'s str>, Algorithm), SignError> {
    let items = &template.signature.items;
    let offered: Vec<(Option<&str>, Algorithm)> = match items.assign {
        Some(_) => items
            .accept
            .iter()
            .map(|(label, algorithm)| (Some(label.as_str()), *algorithm))
            .collect(),
        None => vec![(None, template.algorithm)],
    };
    let is_digest = |(_, algorithm): &&(_, Algorithm)| matches!(algorithm.kind(), Kind::Digest(_));
    let own = offered
        .iter()
        .filter(is_digest)
        .find(|(_, algorithm)| *algorithm == template.algorithm);
    let digest = own.or_else(|| offered.iter().find(is_digest));
    match (digest, public(&offered, text)) {
        (Some(_), Some(public)) if is_asymmetric(text) => Ok(public),
        (Some(digest), _) => Ok(*digest),
        (None, Some(public)) => Ok(public),
        (None, None) => Err(SignError::PrivateKey),
    }
}

/// The first of the offered public-key algorithms that the private key in this text fits; the first
/// of all of them where it fits none, so that the reason can be said.
fn public<'s>(
    offered: &[(Option<&'s str>, Algorithm)],
    text: &[u8],
) -> Option<(Option<&'s str>, Algorithm)> {
    let key_type = |algorithm: Algorithm| match algorithm.kind() {
        Kind::Public(public) => Some(public.key_type()),
        _ => None,
    };
    let mut all = offered
        .iter()
        .filter(|(_, algorithm)| key_type(*algorithm).is_some());
    let (first, own) = (
        *all.clone().next()?,
        SigningKey::parse(text).ok().map(|key| key.key_type()),
    );
    let fitting = all.find(|(_, algorithm)| own.is_some() && key_type(*algorithm) == own);
    Some(*fitting.unwrap_or(&first))
}

/// Whether a secret's text looks like half a pair of keys and not like a shared secret.
fn is_asymmetric(text: &[u8]) -> bool {
    // A shared secret may begin with a brace by chance; the verifier makes the same exception.
    let is_brace_only = || text.starts_with(b"{") && PublicKey::parse_all(text).is_err();
    text.trim_ascii_start().starts_with(b"whsk_")
        || PublicKey::looks_public(text) && !is_brace_only()
}

/// The first algorithm of a token that a private key signs; `None` where a shared secret does. All
/// algorithms of a rule belong to the same family.
pub(super) fn privately(token: &TokenScheme) -> Option<PublicAlgorithm> {
    token
        .rule
        .algorithms
        .iter()
        .find_map(|algorithm| match algorithm.kind() {
            Kind::Public(public) => Some(public),
            _ => None,
        })
}

/// The private key in the secret's text, of the type that the algorithm takes.
pub(super) fn signing_key(
    secret: &Secret,
    algorithm: PublicAlgorithm,
) -> Result<SigningKey, SignError> {
    let text = secret.text.expose();
    let why = match SigningKey::parse(text) {
        Ok(key) if key.key_type() == algorithm.key_type() => return Ok(key),
        Ok(_) => other_type(algorithm.key_type()),
        Err(_) if text.trim_ascii_start().starts_with(b"whpk_") => {
            "this is the public key, which verifies; signing takes the private one, `whsk_…`"
        }
        Err(_) if PublicKey::parse_all(text).is_ok() => {
            "this is the public key, which verifies; signing takes the private one, PEM of PKCS #8"
        }
        Err(_) if !text.trim_ascii_start().starts_with(b"-----BEGIN") => {
            no_key(algorithm.key_type(), text)
        }
        Err(why) => why,
    };
    Err(fault(secret, why))
}

/// The reason why a private key of another type does not sign.
fn other_type(wanted: KeyType) -> &'static str {
    match wanted {
        KeyType::Ed25519 => "the private key is of another type: this scheme takes Ed25519",
        KeyType::EcdsaP256 => "the private key is of another type: this scheme takes ECDSA P-256",
        KeyType::Rsa => "the private key is of another type: this scheme takes RSA",
    }
}

/// The reason why a text that is not PEM does not sign.
fn no_key(wanted: KeyType, text: &[u8]) -> &'static str {
    match wanted {
        KeyType::Ed25519 => SigningKey::parse(text).err().unwrap_or(NO_SIGNATURE),
        KeyType::EcdsaP256 => {
            "deliveries of this scheme are signed with a private key, ECDSA P-256: give one of \
             your own as PEM of PKCS #8 (`openssl genpkey -algorithm EC -pkeyopt \
             ec_paramgen_curve:P-256` makes one), and its public half to the route"
        }
        KeyType::Rsa => {
            "deliveries of this scheme are signed with a private key, RSA: give one of your own as \
             PEM of PKCS #8 (`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` makes \
             one), and its public half to the route"
        }
    }
}

/// The reason why a fitting key made no signature.
pub(super) const NO_SIGNATURE: &str =
    "the private key made no signature: the system has no random bytes";
