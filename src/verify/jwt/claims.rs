//! The judgement on a token's claims: when the token is accepted, and whether it was made for this
//! very delivery (schemes: Tokens).
//!
//! Times are whole seconds. RFC 7519 section 2 allows fractions, but no provider writes them, and
//! each time should have a single spelling. The signature is not judged here. The audience (`aud`)
//! is read only where a rule names it: the key already decides for whom the token was made.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::request::canonical;
use super::texts::{put_in_place, without_times};
use super::token::NO_CLAIMS;
use super::{MAX_BYTES_WITH_BODY, Times, Token, date, members};
use crate::clock::UnixMillis;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Value;
use crate::notation::timestamp::{Tolerance, Unit, Window};
use crate::scheme::PublicUrl;
use crate::scheme::jwt::{DigestClaim, JwtRule, TokenPlace};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

/// The longest text of a digest: SHA-512 in hexadecimal.
const MAX_DIGEST_TEXT: usize = 128;

const fn malformed(why: &'static str) -> Refusal {
    Refusal::because(Code::MalformedSignature, why)
}

const fn bad(why: &'static str) -> Refusal {
    Refusal::because(Code::BadSignature, why)
}

const NO_EXPIRY: Refusal = Refusal::because(
    Code::MissingTimestamp,
    "the token does not say when it expires (`exp`)",
);
const NO_ISSUE: Refusal = Refusal::because(
    Code::MissingTimestamp,
    "the token does not say when it was made (`iat`)",
);
const NO_STAMP: Refusal = Refusal::because(
    Code::MissingTimestamp,
    "the token's header does not say when it was made",
);
const NO_ISSUER: Refusal = malformed("the token does not say who issued it (`iss`)");
const OTHER_ISSUER: Refusal =
    bad("the token was issued by another issuer than the scheme names (`iss`)");
const NO_BODY_CLAIM: Refusal =
    malformed("the token has no claim for the body, or it does not read as this scheme says");
const OTHER_BODY: Refusal = bad("the token was made for another body");
const BODY_GONE: Refusal = bad("the token speaks of a body, but this delivery has none");
const NO_URL_CLAIM: Refusal =
    malformed("the token has no claim for the URL, or it is not written as this scheme says");
const OTHER_URL: Refusal =
    bad("the token was made for another URL; compare the route's `public_url`");
const NO_PUBLIC_URL: Refusal =
    bad("the token is bound to a URL, but the route has no `public_url`");
const NO_REQUEST_CLAIM: Refusal =
    malformed("the token has no digest of the request, or it is not written as this scheme says");
const OTHER_REQUEST: Refusal = bad("the token was made for another method, path or query");
const NO_REQUEST: Refusal = bad(
    "the request has no form of which a digest is made: its query is malformed, or its path is not under `base_path`",
);

/// The claims that a rule reads. A claim that the rule does not ask for is `Absent`.
pub(super) struct Claims<'t> {
    expires: Value<'t>,
    begins: Value<'t>,
    issued: Value<'t>,
    issuer: Value<'t>,
    body_digest: Value<'t>,
    body: Value<'t>,
    url_digest: Value<'t>,
    url: Value<'t>,
    request_digest: Value<'t>,
}

impl JwtRule {
    /// The claims that this rule reads; `None` where the text is not a JSON object or holds such a
    /// claim twice.
    pub(super) fn look_at<'t>(&self, claims: &'t [u8]) -> Option<Claims<'t>> {
        let names = [
            Some("exp"),
            Some("nbf"),
            Some("iat"),
            Some("iss"),
            self.body_digest
                .as_ref()
                .map(|digest| digest.claim.as_str()),
            self.body_claim.as_deref(),
            self.url_digest.as_ref().map(|digest| digest.claim.as_str()),
            self.url_claim.as_deref(),
            self.request_digest
                .as_ref()
                .map(|digest| digest.claim.as_str()),
        ];
        let [
            expires,
            begins,
            issued,
            issuer,
            body_digest,
            body,
            url_digest,
            url,
            request_digest,
        ] = members(claims, names)?;
        Some(Claims {
            expires,
            begins,
            issued,
            issuer,
            body_digest,
            body,
            url_digest,
            url,
            request_digest,
        })
    }

    /// The times that a token states. Freshness is judged by them before the body is read, and
    /// again when the event is claimed.
    ///
    /// If the rule has a greatest age, `iat` is required, and `exp` and `nbf` count where they are
    /// present. If it has no greatest age, `exp` is required, except for a provider whose tokens
    /// carry no time. The leeway widens the bounds on both sides. At exactly the greatest age a
    /// token is still fresh, as for every scheme. At the time of `exp` it is no longer fresh (RFC
    /// 7519 section 4.1.4), at the time of `nbf` it already is (section 4.1.5).
    pub fn times(&self, token: &Token) -> Result<Times, Refusal> {
        let (expires, begins, issued) = if self.is_detached() {
            (None, None, token.stamp)
        } else {
            let claims = self.look_at(&token.claims).ok_or(NO_CLAIMS)?;
            (
                date(claims.expires)?,
                date(claims.begins)?,
                date(claims.issued)?,
            )
        };
        let mut window = Window {
            from: begins.map(|at| UnixMillis(at.0.saturating_sub(self.leeway))),
            until: expires.map(|at| UnixMillis(at.0.saturating_add(self.leeway))),
        };
        if let Some(max_age) = self.max_age {
            let past = within(max_age.saturating_add(self.leeway));
            let unstamped = if self.is_detached() {
                NO_STAMP
            } else {
                NO_ISSUE
            };
            let aged = Unit::Seconds.window(issued.ok_or(unstamped)?, past, within(self.leeway));
            window = window.within(aged);
        } else if expires.is_none() && !self.timeless {
            return Err(NO_EXPIRY);
        }
        Ok(Times {
            window,
            made: issued.or(begins).or(expires),
        })
    }

    /// The event of a token that is the body: its claims without its times, with the JSON texts in
    /// them in place.
    pub fn event(&self, token: &Token) -> Vec<u8> {
        match &self.place {
            TokenPlace::Body { json_texts } => {
                put_in_place(&without_times(&token.claims), json_texts)
            }
            TokenPlace::Header { .. } => token.claims.clone(),
        }
    }

    /// Compares the claims of a token whose signature holds with the rest of the delivery. A
    /// detached token has no claims, so its signature says everything.
    ///
    /// # Errors
    /// `bad_signature` where a digest belongs to other content, or another issuer made the token;
    /// `malformed_signature` where a claim is missing or cannot be read.
    pub fn judge(
        &self,
        token: &Token,
        head: &Head,
        body: &[u8],
        url: Option<&PublicUrl>,
    ) -> Result<(), Refusal> {
        if self.is_detached() {
            return Ok(());
        }
        let claims = self.look_at(&token.claims).ok_or(NO_CLAIMS)?;
        if let Some(issuer) = &self.issuer {
            match claims.issuer {
                Value::Text(text) if text.is(issuer) => {}
                Value::Absent => return Err(NO_ISSUER),
                _ => return Err(OTHER_ISSUER),
            }
        }
        if self.absent_if_empty && body.is_empty() {
            if claims.body_digest != Value::Absent || claims.body != Value::Absent {
                return Err(BODY_GONE);
            }
        } else {
            if let Some(digest) = &self.body_digest
                && !digest
                    .is_of(claims.body_digest, body)
                    .ok_or(NO_BODY_CLAIM)?
            {
                return Err(OTHER_BODY);
            }
            if self.body_claim.is_some() && !is_text(claims.body, body).ok_or(NO_BODY_CLAIM)? {
                return Err(OTHER_BODY);
            }
        }
        if self.signs_url() {
            let mut target = Vec::new();
            url.ok_or(NO_PUBLIC_URL)?.write(head.target(), &mut target);
            if let Some(digest) = &self.url_digest
                && !digest
                    .is_of(claims.url_digest, &target)
                    .ok_or(NO_URL_CLAIM)?
            {
                return Err(OTHER_URL);
            }
            if self.url_claim.is_some() && !is_text(claims.url, &target).ok_or(NO_URL_CLAIM)? {
                return Err(OTHER_URL);
            }
        }
        if let Some(digest) = &self.request_digest {
            let request =
                canonical(head.method(), head.target(), &digest.base_path).ok_or(NO_REQUEST)?;
            if !hex_sha256_of(claims.request_digest, request.as_bytes()).ok_or(NO_REQUEST_CLAIM)? {
                return Err(OTHER_REQUEST);
            }
        }
        Ok(())
    }
}

/// Whether `value` is the SHA-256 of `content` in lower-case hexadecimal digits, as Atlassian writes
/// it; `None` where it is no such digest.
fn hex_sha256_of(value: Value<'_>, content: &[u8]) -> Option<bool> {
    let claim = DigestClaim {
        claim: String::new(),
        hash: DigestAlgorithm::Sha256,
        encoding: Encoding::Hex,
    };
    claim.is_of(value, content)
}

/// The text of a claim, for event id, type and account; of an integer, its exact text. `None` where
/// the claim is missing, is present twice, or has a value of another kind.
pub fn claim(claims: &[u8], name: &str) -> Option<String> {
    match members(claims, [Some(name)])? {
        [Value::Text(text)] => text.read(claims.len()).ok().map(|(text, _)| text),
        [Value::Integer(text)] => Some(text.to_owned()),
        _ => None,
    }
}

impl DigestClaim {
    /// Whether `value` is the digest of `content`; `None` where `value` is not a digest of this
    /// hash in this encoding.
    fn is_of(&self, value: Value<'_>, content: &[u8]) -> Option<bool> {
        let text = value.string(MAX_DIGEST_TEXT)?;
        // The digest of a claim is compared, and the claim is signed, so a second spelling lets
        // nobody make a second token. Upstash writes base64url with padding and without.
        let text = if self.encoding == Encoding::Base64Url {
            unpadded(&text)?
        } else {
            &text
        };
        let mut claimed = vec![0; text.len()];
        let len = self.encoding.decode(text.as_bytes(), &mut claimed)?;
        claimed.truncate(len);
        if len != self.hash.len() {
            return None;
        }
        // A plain hash has no key.
        let mut hash = self.hash.mac(b"");
        hash.update(content);
        Some(hash.verify(&claimed))
    }
}

/// Base64 without the padding that belongs to its length. `None` where there is padding of another
/// length.
fn unpadded(text: &str) -> Option<&str> {
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    (padding == 0 || (padding < 3 && text.len().is_multiple_of(4))).then_some(bare)
}

/// Whether `value` is the text `body`; `None` where `value` is not a text.
fn is_text(value: Value<'_>, body: &[u8]) -> Option<bool> {
    let Value::Text(text) = value else {
        return None;
    };
    let (text, _) = text.read(MAX_BYTES_WITH_BODY).ok()?;
    Some(text.as_bytes().ct_eq(body).into())
}

fn within(millis: i64) -> Tolerance {
    Tolerance::Within(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
