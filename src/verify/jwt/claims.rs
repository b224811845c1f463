//! The judgement on a token's claims: when the token is accepted, and whether it was made for this
//! very delivery (schemes: Tokens).
//!
//! Times are whole seconds. RFC 7519 section 2 allows fractions, but no provider writes them, and
//! each time should have a single spelling. The signature is not judged here. The audience (`aud`)
//! is not read: the key already decides for whom the token was made.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::token::NO_CLAIMS;
use super::{MAX_BYTES_WITH_BODY, Times, Token, members};
use crate::clock::UnixMillis;
use crate::notation::json::Value;
use crate::notation::timestamp::{Tolerance, Unit, Window};
use crate::scheme::PublicUrl;
use crate::scheme::jwt::{DigestClaim, JwtRule};
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
const NO_DATE: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "a time in the token is not a whole number of seconds since 1970",
);
const NO_ISSUER: Refusal = malformed("the token does not say who issued it (`iss`)");
const OTHER_ISSUER: Refusal =
    bad("the token was issued by another issuer than the scheme names (`iss`)");
const NO_BODY_CLAIM: Refusal =
    malformed("the token has no claim for the body, or it does not read as this scheme says");
const OTHER_BODY: Refusal = bad("the token was made for another body");
const BODY_GONE: Refusal = bad("the token speaks of a body, but this delivery has none");
const NO_URL_CLAIM: Refusal =
    malformed("the token has no digest of the URL, or it is not written as this scheme says");
const OTHER_URL: Refusal =
    bad("the token was made for another URL; compare the route's `public_url`");
const NO_PUBLIC_URL: Refusal =
    bad("the token is bound to a URL, but the route has no `public_url`");

/// The claims that a rule reads. A claim that the rule does not ask for is `Absent`.
pub(super) struct Claims<'t> {
    expires: Value<'t>,
    begins: Value<'t>,
    issued: Value<'t>,
    issuer: Value<'t>,
    body_digest: Value<'t>,
    body: Value<'t>,
    url_digest: Value<'t>,
}

impl JwtRule {
    /// The claims that this rule reads; `None` where the text is not a JSON object or holds such a
    /// claim twice.
    pub(super) fn look_at<'t>(&self, claims: &'t [u8]) -> Option<Claims<'t>> {
        let [body_digest, body, url_digest] = [
            self.body_digest
                .as_ref()
                .map(|digest| digest.claim.as_str()),
            self.body_claim.as_deref(),
            self.url_digest.as_ref().map(|digest| digest.claim.as_str()),
        ];
        let names = [
            Some("exp"),
            Some("nbf"),
            Some("iat"),
            Some("iss"),
            body_digest,
            body,
            url_digest,
        ];
        let [
            expires,
            begins,
            issued,
            issuer,
            body_digest,
            body,
            url_digest,
        ] = members(claims, names)?;
        Some(Claims {
            expires,
            begins,
            issued,
            issuer,
            body_digest,
            body,
            url_digest,
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
        let claims = self.look_at(&token.claims).ok_or(NO_CLAIMS)?;
        let (expires, begins, issued) = (
            date(claims.expires)?,
            date(claims.begins)?,
            date(claims.issued)?,
        );
        let mut window = Window {
            from: begins.map(|at| UnixMillis(at.0.saturating_sub(self.leeway))),
            until: expires.map(|at| UnixMillis(at.0.saturating_add(self.leeway))),
        };
        if let Some(max_age) = self.max_age {
            let past = within(max_age.saturating_add(self.leeway));
            let aged = Unit::Seconds.window(issued.ok_or(NO_ISSUE)?, past, within(self.leeway));
            window = window.within(aged);
        } else if expires.is_none() && !self.timeless {
            return Err(NO_EXPIRY);
        }
        Ok(Times {
            window,
            made: issued.or(begins).or(expires),
        })
    }

    /// Compares the claims of a token whose signature holds with the rest of the delivery.
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
        if let Some(digest) = &self.url_digest {
            let mut target = Vec::new();
            url.ok_or(NO_PUBLIC_URL)?.write(head.target(), &mut target);
            if !digest
                .is_of(claims.url_digest, &target)
                .ok_or(NO_URL_CLAIM)?
            {
                return Err(OTHER_URL);
            }
        }
        Ok(())
    }
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

/// Whether `value` is the text `body`; `None` where `value` is not a text.
fn is_text(value: Value<'_>, body: &[u8]) -> Option<bool> {
    let Value::Text(text) = value else {
        return None;
    };
    let (text, _) = text.read(MAX_BYTES_WITH_BODY).ok()?;
    Some(text.as_bytes().ct_eq(body).into())
}

/// A `NumericDate` (RFC 7519 section 2); `None` where the claim is absent.
fn date(value: Value<'_>) -> Result<Option<UnixMillis>, Refusal> {
    match value {
        Value::Absent => Ok(None),
        Value::Integer(text) => Unit::Seconds
            .parse(text.as_bytes())
            .ok_or(NO_DATE)
            .map(Some),
        _ => Err(NO_DATE),
    }
}

fn within(millis: i64) -> Tolerance {
    Tolerance::Within(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
