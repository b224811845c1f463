//! Mistakes made in writing the signature down: case, encoding, prefix, quotes.
//!
//! They hold for every item of a list alike. Where it stands is for `headers`, how a list is taken apart for `lists`.

use super::mistake::{Finding, Known, found};
use super::trials::Trials;
use crate::notation::encoding::Encoding;
use crate::scheme::Algorithm;

/// What senders put in front of a signature.
const PREFIXES: &[&str] = &[
    "",
    "sha256=",
    "sha1=",
    "sha512=",
    "SHA256=",
    "hmac-sha256=",
    "HMAC-SHA256=",
    "v1=",
    "v0=",
    "v1,",
    "s=",
    "hmac ",
    "HMAC ",
    "Bearer ",
    "bearer ",
    "Token ",
    "sha256:",
];

pub(super) fn upper_case(case: &Trials<'_>) -> Option<Finding> {
    let is_hex = case.is_template() && case.scheme.signature.encoding == Encoding::Hex;
    let secret = is_hex.then(|| case.with_change(|scheme| scheme.signature.encoding = Encoding::HexAny))?;
    found(secret, || Known::SignatureUpperCase)
}

pub(super) fn quotes(case: &Trials<'_>) -> Option<Finding> {
    case.signature_values().find_map(|(name, value)| {
        let bare: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'"' | b'\'')).collect();
        let secret = (bare.len() < value.len()).then(|| case.with_header(name, &bare))?;
        found(secret, || Known::SignatureInQuotes)
    })
}

pub(super) fn prefix(case: &Trials<'_>) -> Option<Finding> {
    // The prefix of Basic is HTTP's own.
    if !case.is_template() && case.scheme.algorithm != Algorithm::Token {
        return None;
    }
    PREFIXES.iter().filter(|prefix| **prefix != case.scheme.signature.prefix).find_map(|prefix| {
        let secret = case.with_change(|scheme| (*prefix).clone_into(&mut scheme.signature.prefix));
        found(secret, || Known::SignaturePrefix((*prefix).to_owned()))
    })
}

pub(super) fn encoding(case: &Trials<'_>) -> Option<Finding> {
    if !case.is_template() {
        return None;
    }
    Encoding::ALL.into_iter().filter(|encoding| *encoding != case.scheme.signature.encoding).find_map(|encoding| {
        // With a right prefix, and with any other: two habits of one sender are one mistake.
        let own = case.scheme.signature.prefix.as_str();
        let secret = std::iter::once(&own).chain(PREFIXES).find_map(|prefix| {
            case.with_change(|scheme| {
                scheme.signature.encoding = encoding;
                (*prefix).clone_into(&mut scheme.signature.prefix);
            })
        });
        found(secret, || Known::SignatureEncoding(encoding.name()))
    })
}
