//! Mistakes made in writing the signature down: case, encoding, prefix, quotes, another header.

use super::{Case, Finding, Mistake, found};
use crate::verify::encoding::Encoding;
use crate::verify::scheme::{Scheme, SignaturePlace};
use crate::wire::head::{FieldName, Found};

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
    "sha256:",
];

pub(super) fn upper_case(case: &Case<'_>) -> Option<Finding> {
    let secret = (case.scheme.signature.encoding == Encoding::Hex).then(|| {
        with(case, |place| {
            place.encoding = Encoding::HexAny;
        })
    })?;
    found(secret, || Mistake::SignatureUpperCase)
}

pub(super) fn quotes(case: &Case<'_>) -> Option<Finding> {
    let place = &case.scheme.signature;
    let Found::One(value) = case.head.find(&place.header) else { return None };
    let (prefix, inner) = match value.strip_prefix(place.prefix.as_bytes()) {
        Some(inner) => (place.prefix.as_bytes(), inner),
        None => (&b""[..], value),
    };
    let ([b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\'']) = inner else { return None };
    let secret = case.with_header(&place.header, &[prefix, inner].concat());
    found(secret, || Mistake::SignatureInQuotes)
}

pub(super) fn prefix(case: &Case<'_>) -> Option<Finding> {
    let others = PREFIXES.iter().filter(|prefix| **prefix != case.scheme.signature.prefix);
    others.into_iter().find_map(|prefix| {
        let secret = with(case, |place| (*prefix).clone_into(&mut place.prefix));
        found(secret, || Mistake::SignaturePrefix((*prefix).to_owned()))
    })
}

pub(super) fn encoding(case: &Case<'_>) -> Option<Finding> {
    Encoding::ALL.into_iter().filter(|encoding| *encoding != case.scheme.signature.encoding).find_map(|encoding| {
        // With a right prefix, and with any other: two habits of one sender are one mistake.
        let own = case.scheme.signature.prefix.as_str();
        let secret = std::iter::once(&own).chain(PREFIXES).find_map(|prefix| {
            with(case, |place| {
                place.encoding = encoding;
                (*prefix).clone_into(&mut place.prefix);
            })
        });
        found(secret, || Mistake::SignatureEncoding(encoding.name()))
    })
}

/// Signature or timestamp under another name: an alias that a proxy made, or a renamed header.
pub(super) fn elsewhere(case: &Case<'_>) -> Option<Finding> {
    let names = || case.head.lines().filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
    let expected = &case.scheme.signature.header;
    let other = |expected: &FieldName, found: &FieldName| Mistake::OtherHeader {
        expected: expected.as_str().to_owned(),
        found: found.as_str().to_owned(),
    };
    let in_signature = names().filter(|name| name != expected).find_map(|name| {
        let secret = with(case, |place| place.header = name.clone());
        found(secret, || other(expected, &name))
    });
    in_signature.or_else(|| {
        let place = case.scheme.timestamp.as_ref()?;
        names().filter(|name| *name != place.header).find_map(|name| {
            let mut scheme = Scheme::clone(case.scheme);
            if let Some(place) = &mut scheme.timestamp {
                place.header = name.clone();
            }
            found(case.with_scheme(scheme), || other(&place.header, &name))
        })
    })
}

fn with(case: &Case<'_>, change: impl FnOnce(&mut SignaturePlace)) -> Option<std::sync::Arc<str>> {
    let mut scheme = Scheme::clone(case.scheme);
    change(&mut scheme.signature);
    case.with_scheme(scheme)
}
