//! Mistakes made where the secret itself is sent: a token, or user and password of HTTP's Basic
//! authentication (RFC 7617), whose secret is `user:password`.
//!
//! A token that differs is described by its length, and by the way in which it is like the secret;
//! no sign of either is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::case::CaseError;
use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::key::shape;
use crate::scheme::Algorithm;
use crate::verdict::Code;

/// The configured secret is the password alone, or has another user than the delivery.
pub(super) fn user(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.algorithm() != Algorithm::Basic {
        return None;
    }
    let mistake = |sentence: &'static str| {
        Mistake::new(
            "basic_user",
            sentence,
            "Write the secret as `user:password`, both as the provider sends them.",
        )
    };
    case.signature_values().find_map(|(_, value)| {
        let (name, encoded) = value.split_at_checked(6)?;
        let sent = name
            .eq_ignore_ascii_case(b"Basic ")
            .then(|| any_base64(encoded.trim_ascii()))??;
        let (user, _) = split(&sent)?;
        let alone = case.with_texts(|text| Some([user, b":", text].concat()));
        let missing = "The configured secret is the password alone, and this scheme needs user \
                       and password.";
        found(alone, || mistake(missing)).or_else(|| {
            let other = case.with_texts(|text| Some([user, b":", split(text)?.1].concat()));
            found(other, || {
                mistake("The password is right, but the user is a different one.")
            })
        })
    })
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b':')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The most differing signs that are taken for a slip of the pen.
const FEW: usize = 2;

/// The shortest text of which another is said to be a part.
const SHORTEST_PART: usize = 8;

/// The tokens that were sent, without the text before them.
fn sent<'c>(case: &'c Trials<'_>) -> Vec<(String, &'c [u8])> {
    let prefix = case.scheme.signature_prefix().as_bytes();
    let values = case.signature_values();
    values
        .map(|(name, value)| {
            let token = value.strip_prefix(prefix).unwrap_or(value);
            (name.as_str().to_owned(), token.trim_ascii())
        })
        .collect()
}

/// A way in which the token that was sent is made of the secret.
struct Likeness {
    is_so: fn(token: &[u8], secret: &[u8]) -> bool,
    words: &'static str,
    fix: &'static str,
}

const COPY_IT_AGAIN: &str = "Copy the token again from the provider, with its copy button, and \
                             compare where it is configured on both sides.";

const LIKENESSES: &[Likeness] = &[
    Likeness {
        is_so: |token, secret| token.eq_ignore_ascii_case(secret),
        words: "differs from the configured secret in capital and small letters alone",
        fix: "Write the secret as the provider has it: capital and small letters differ.",
    },
    Likeness {
        is_so: |token, secret| shape::bare(token) == shape::bare(secret),
        words: "differs from the configured secret only in quotation marks, spaces or a name \
                around it",
        fix: "Configure the bare token on both sides.",
    },
    Likeness {
        is_so: |token, secret| letters(token) == letters(secret),
        words: "differs from the configured secret only in signs between letters and digits",
        fix: COPY_IT_AGAIN,
    },
    Likeness {
        is_so: |token, secret| is_text_of(token, &STANDARD.encode(secret)),
        words: "is the base64 of the configured secret",
        fix: "Configure the token as it is sent, in base64, or have the sender send it plain.",
    },
    Likeness {
        is_so: |token, secret| any_base64(token).is_some_and(|bytes| bytes == secret),
        words: "is the configured secret in base64",
        fix: "Configure the token as it is sent, in base64, or have the sender send it plain.",
    },
    Likeness {
        is_so: |token, secret| any_base64(secret).is_some_and(|bytes| bytes == token),
        words: "is what the configured secret becomes when its base64 is decoded",
        fix: "Configure the decoded text.",
    },
    Likeness {
        is_so: |token, secret| token.eq_ignore_ascii_case(hex::encode(secret).as_bytes()),
        words: "is the configured secret in hexadecimal digits",
        fix: "Configure the token as it is sent, or have the sender send it plain.",
    },
    Likeness {
        is_so: |token, secret| {
            token.eq_ignore_ascii_case(hex::encode(Sha256::digest(secret)).as_bytes())
                || is_text_of(token, &STANDARD.encode(Sha256::digest(secret)))
                || token.eq_ignore_ascii_case(hex::encode(Sha512::digest(secret)).as_bytes())
        },
        words: "is a hash of the configured secret",
        fix: "Configure the hash, if that is the text that the provider sends.",
    },
];

fn letters(text: &[u8]) -> Vec<u8> {
    let kept = text.iter().copied();
    kept.filter(u8::is_ascii_alphanumeric).collect()
}

fn is_text_of(token: &[u8], text: &str) -> bool {
    token == text.as_bytes() || token == text.trim_end_matches('=').as_bytes()
}

/// The token that was sent is the secret in another spelling.
pub(super) fn spelled_otherwise(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.algorithm() != Algorithm::Token {
        return None;
    }
    sent(case).iter().find_map(|(header, token)| {
        LIKENESSES.iter().find_map(|likeness| {
            let as_sent = |secret: &[u8]| (likeness.is_so)(token, secret).then(|| token.to_vec());
            found(case.with_texts(as_sent), || {
                Mistake::new(
                    "token_spelled_otherwise",
                    format!("The token in the header `{header}` {}.", likeness.words),
                    likeness.fix,
                )
            })
        })
    })
}

/// The token that was sent is another than the secret: their lengths, and where they part.
pub(super) fn differs(case: &Trials<'_>) -> Option<Mistake> {
    let is_refused = matches!(
        case.judge(),
        Err(CaseError::Refused(refusal)) if refusal.code == Code::BadSignature
    );
    if case.scheme.algorithm() != Algorithm::Token || !is_refused {
        return None;
    }
    let sent = sent(case);
    let (header, token) = sent.first()?;
    let secret = case.secrets.first()?.text.expose();
    let (own, length) = (secret.len(), token.len());
    let lengths = if own == length {
        format!("both have {own} bytes")
    } else {
        format!("it has {length} bytes, and the configured secret has {own}")
    };
    let pairs = token.iter().zip(secret);
    let differing = pairs.clone().filter(|(a, b)| a != b).count();
    let holds = |long: &[u8], short: &[u8]| {
        short.len() >= SHORTEST_PART && memchr::memmem::find(long, short).is_some()
    };
    let is_like = if own == length && differing <= FEW {
        "they differ in one or two signs, as after a slip of the pen"
    } else if holds(token, secret) {
        "the configured secret is a part of it, so that something was added to it"
    } else if holds(secret, token) {
        "it is a part of the configured secret, so that something was cut off or added there"
    } else if is_of_same_kind(token, secret) {
        "both begin with the same prefix, so it is the token of another endpoint, or an older one"
    } else {
        "they are not alike, so it is the token of another endpoint, an older one, or another \
         secret of the provider (an API key, a password)"
    };
    Some(Mistake::new(
        "token_differs",
        format!(
            "The token in the header `{header}` is not the configured secret: {lengths}; {is_like}."
        ),
        COPY_IT_AGAIN,
    ))
}

/// Whether two tokens have the same prefix, as in `glpat-…`.
fn is_of_same_kind(token: &[u8], secret: &[u8]) -> bool {
    let prefix = |text: &[u8]| {
        let at = text.iter().position(|b| matches!(b, b'_' | b'-' | b'.'))?;
        text.get(..=at).map(<[u8]>::to_vec)
    };
    prefix(token).is_some_and(|own| own.len() > 2 && Some(own) == prefix(secret))
}
