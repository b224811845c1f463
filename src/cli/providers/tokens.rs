//! JSON Web Tokens in words: what a token signs, where it is, and which time it carries.

use crate::key::digest::DigestAlgorithm;
use crate::scheme::JwtRule;
use crate::scheme::jwt::{DigestClaim, Payload};
use crate::sign::canonical;

/// What a token signs.
pub(super) fn signed(rule: &JwtRule) -> String {
    if rule.is_body() {
        return "the event: the body is a token that holds it".to_owned();
    }
    if let Payload::Detached { is_encoded, .. } = rule.payload {
        let body = if is_encoded {
            "the body in base64url"
        } else {
            "the body"
        };
        return format!("the header of the token and {body}");
    }
    let mut parts = Vec::new();
    parts.extend(
        rule.body_digest
            .as_ref()
            .map(|digest| format!("the {} of the body", hash(digest))),
    );
    parts.extend(rule.body_claim.as_ref().map(|_| "the body".to_owned()));
    parts.extend(
        rule.url_digest
            .as_ref()
            .map(|digest| format!("the {} of the URL", hash(digest))),
    );
    parts.extend(rule.url_claim.as_ref().map(|_| "the URL".to_owned()));
    parts.extend(
        rule.request_digest
            .as_ref()
            .map(|_| "the SHA-256 of method, path and query".to_owned()),
    );
    format!(
        "a token with {}",
        if parts.is_empty() {
            "nothing of the body".to_owned()
        } else {
            parts.join(" and ")
        }
    )
}

const fn hash(claim: &DigestClaim) -> &'static str {
    match claim.hash {
        DigestAlgorithm::Sha1 | DigestAlgorithm::HmacSha1 => "SHA-1",
        DigestAlgorithm::HmacSha384 => "SHA-384",
        DigestAlgorithm::HmacSha512 => "SHA-512",
        DigestAlgorithm::Sha256 | DigestAlgorithm::HmacSha256 => "SHA-256",
    }
}

/// The place of a token and its form, without the text before it.
pub(super) fn place(rule: &JwtRule) -> String {
    let at = rule.header().map_or_else(
        || "the whole body".to_owned(),
        |header| format!("header `{}`", canonical(header)),
    );
    let form = if rule.is_detached() {
        "a detached JSON Web Signature"
    } else {
        "a JSON Web Token"
    };
    format!("{at}: {form}")
}

/// The time that a token carries; `None` where it carries no time.
pub(super) fn timestamp(rule: &JwtRule) -> Option<String> {
    match &rule.payload {
        Payload::Detached { stamp, .. } => stamp
            .as_ref()
            .map(|stamp| format!("`{stamp}` in the header of the token")),
        Payload::Claims if rule.max_age.is_some() => Some("`iat` of the token".to_owned()),
        Payload::Claims => Some("`exp` of the token".to_owned()),
    }
}
