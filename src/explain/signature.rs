//! Mistakes made in the spelling of the signature: case, encoding, prefix, quotes.
//!
//! They are the same for every item of a list. The header that a signature is in is for `headers`,
//! and the taking apart of a list for `lists`.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::notation::encoding::Encoding;
use crate::notation::query::parameter;
use crate::scheme::Algorithm;
use crate::wire::head::Found;

/// The longest word before a signature that is tried, in bytes.
const LONGEST_WORD: usize = 32;

/// The texts that senders put in front of a signature.
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
    case.scheme
        .template()
        .filter(|own| own.signature.encoding == Encoding::Hex)?;
    let secret = case.with_template(|template| template.signature.encoding = Encoding::HexAny);
    found(secret, || {
        Mistake::new(
            "signature_upper_case",
            "The signature is right, but written in capital hexadecimal digits.",
            "Have the sender write lower-case digits, or set `encoding = \"hex-any\"` in \
             `signature` of the scheme.",
        )
    })
}

pub(super) fn quotes(case: &Trials<'_>) -> Option<Finding> {
    case.signature_values().find_map(|(name, value)| {
        let bare: Vec<u8> = value
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'"' | b'\''))
            .collect();
        let secret = (bare.len() < value.len()).then(|| case.with_header(&name, &bare))?;
        found(secret, || {
            Mistake::new(
                "signature_in_quotes",
                "The signature is right, but has quotation marks around it.",
                "Have the sender leave them out.",
            )
        })
    })
}

pub(super) fn prefix(case: &Trials<'_>) -> Option<Finding> {
    // `Basic` itself is a prefix that HTTP prescribes.
    if !case.is_template() && case.scheme.algorithm() != Algorithm::Token {
        return None;
    }
    let written = written_prefixes(case);
    let known = PREFIXES.iter().copied();
    known
        .chain(written.iter().map(String::as_str))
        .filter(|prefix| *prefix != case.scheme.signature_prefix())
        .find_map(|prefix| {
            let secret = case.with_change(|scheme| scheme.proof.set_prefix(prefix));
            found(secret, || other_prefix(prefix))
        })
}

/// The words that stand in front of the signatures, each with the `=`, `:`, comma or blank behind
/// it: senders write the name of the algorithm there, in many spellings.
fn written_prefixes(case: &Trials<'_>) -> Vec<String> {
    let query = case.head.query().unwrap_or_default();
    let in_query = case
        .scheme
        .signature_query()
        .and_then(|name| match parameter(query, name) {
            Found::One(value) => Some(value),
            _ => None,
        });
    let values = case.signature_values().map(|(_, value)| value);
    let prefixes = values.chain(in_query).filter_map(|value| {
        let value = std::str::from_utf8(value).ok()?;
        let at = value.find(['=', ':', ',', ' '])?;
        let (word, rest) = value.split_at_checked(at)?;
        let is_word = (1..=LONGEST_WORD).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_/.".contains(&b));
        let text = rest.get(1..)?.trim_start();
        let is_prefix = is_word && !text.trim_matches('=').is_empty();
        is_prefix.then(|| value.strip_suffix(text).map(str::to_owned))?
    });
    prefixes.collect()
}

/// The signature has this prefix instead of the scheme's.
pub(super) fn other_prefix(prefix: &str) -> Mistake {
    let sentence = if prefix.is_empty() {
        "The signature is right, but the prefix that this scheme expects is missing.".to_owned()
    } else {
        format!(
            "The signature is right, but has `{prefix}` in front of it, which this scheme does \
             not expect."
        )
    };
    let fix =
        format!("Set `prefix = \"{prefix}\"` in `signature` of the scheme, or correct the sender.");
    Mistake::new("signature_prefix", sentence, fix)
}

pub(super) fn encoding(case: &Trials<'_>) -> Option<Finding> {
    let own = &case.scheme.template()?.signature;
    Encoding::ALL
        .into_iter()
        .filter(|encoding| *encoding != own.encoding)
        .find_map(|encoding| {
            // With the scheme's prefix and with any other: two habits of a sender are a single
            // mistake.
            let prefix = own.prefix.as_str();
            let written = written_prefixes(case);
            let others = PREFIXES.iter().copied();
            let others = others.chain(written.iter().map(String::as_str));
            let secret = std::iter::once(prefix).chain(others).find_map(|prefix| {
                case.with_template(|template| {
                    template.signature.encoding = encoding;
                    prefix.clone_into(&mut template.signature.prefix);
                })
            });
            found(secret, || {
                let name = encoding.name();
                Mistake::new(
                    "signature_encoding",
                    format!("The signature is right, but written in {name}."),
                    format!(
                        "Set `encoding = \"{name}\"` in `signature` of the scheme, or correct the \
                         sender."
                    ),
                )
            })
        })
}
