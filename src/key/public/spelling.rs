//! The ways in which public keys are written; the beginning of the text decides between them
//! (schemes: Keys and secrets).
//!
//! No text has two readings: PEM begins with dashes and JSON with a brace, `whpk_` has an
//! underscore, which standard base64 lacks, 64 hex digits are base64 of 48 bytes, and neither 32
//! nor 48 bytes are the DER of any key.

use super::checked::{Key, PRIVATE};
use super::{PublicKey, asn1, jwk, pem};
use crate::notation::encoding::Encoding;

/// See [`PublicKey::parse_all`].
pub(super) fn parse_all(text: &[u8]) -> Result<Vec<PublicKey>, &'static str> {
    let text = text.trim_ascii();
    match text {
        b"" => Err("the public key is empty"),
        [b'-', ..] => pem_keys(text),
        [b'{', ..] => jwk::keys(text),
        _ if text.starts_with(b"whsk_") => Err(PRIVATE),
        _ if text.starts_with(b"whsec_") => {
            Err("this is a symmetric secret: a public key is needed here")
        }
        _ => bare_key(text).map(|key| vec![key]),
    }
}

/// See [`PublicKey::looks_public`].
pub(super) fn looks_public(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    // A shared secret may begin with a brace by chance, but it does not hold the name `kty` or
    // `keys`.
    let is_json = text.starts_with(b"{")
        && [&br#""kty""#[..], br#""keys""#]
            .iter()
            .any(|name| has(text, name));
    is_json
        || [&b"-----BEGIN"[..], b"whpk_"]
            .iter()
            .any(|shape| text.starts_with(shape))
}

fn has(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn pem_keys(text: &[u8]) -> Result<Vec<PublicKey>, &'static str> {
    let blocks = pem::blocks(text)?;
    if blocks.iter().any(pem::Block::is_private) {
        return Err(PRIVATE);
    }
    // All certificates of a chain except the first belong to issuers, whose keys sign no delivery.
    if blocks.len() > 1 && blocks.iter().any(|block| block.label == "CERTIFICATE") {
        return Err("more than one PEM block, and one is a certificate: \
                    give the one certificate whose key signs, without its chain");
    }
    let key = |block: &pem::Block<'_>| match block.label {
        "PUBLIC KEY" => asn1::public_key(&block.decoded()?).map_err(|fault| fault.0),
        "CERTIFICATE" => asn1::certificate(&block.decoded()?).map_err(|fault| fault.0),
        "RSA PUBLIC KEY" => asn1::rsa_public_key(&block.decoded()?)
            .map(PublicKey::new)
            .map_err(|fault| fault.0),
        _ => Err("the PEM block is neither a PUBLIC KEY nor a CERTIFICATE"),
    };
    blocks.iter().map(key).collect()
}

const NO_FORM: &str = "the public key has none of the known forms: PEM, JWK, `whpk_`, 64 hex \
    digits, or base64 (standard alphabet, padded) of an Ed25519 key or of DER";

fn bare_key(text: &[u8]) -> Result<PublicKey, &'static str> {
    if let Some(text) = text.strip_prefix(b"whpk_") {
        let bytes = pem::base64(text).ok_or("what follows `whpk_` is not base64")?;
        return Key::ed25519(&bytes).map(PublicKey::new);
    }
    let mut bytes = [0; 32];
    if Encoding::HexAny.decode(text, &mut bytes) == Some(32) {
        return Key::ed25519(&bytes).map(PublicKey::new);
    }
    let bytes = pem::base64(text).ok_or(NO_FORM)?;
    // A structure in DER begins so.
    if bytes.len() != 32 && bytes.first() != Some(&0x30) {
        return Err(NO_FORM);
    }
    if bytes.len() == 32 {
        return Key::ed25519(&bytes).map(PublicKey::new);
    }
    asn1::key_or_certificate(&bytes).map_err(|fault| fault.0)
}
