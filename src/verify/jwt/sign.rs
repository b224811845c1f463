//! The making of tokens: a token that a rule accepts, for `sign`, the demo and tests (RFC 7515
//! section 5.1).
//!
//! HMAC only, since no private key is held here. Signing and verifying share no code: the tokens
//! made here are read by `token` and `claims`, which are also tested with tokens that other
//! programs made.

use serde_json::{Map, Value};

use super::request::canonical;
use crate::clock::UnixMillis;
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::Kind;
use crate::scheme::jwt::{DigestClaim, JwtRule, Payload};

/// The time for which a token is valid if its rule has no greatest age, in milliseconds.
const LIFETIME: i64 = 300_000;

impl JwtRule {
    /// The header value, with its prefix, that carries the token of a delivery made at `at`.
    /// `request` is its method and target. `url` is the whole URL as the provider signs it, written
    /// by [`PublicUrl::write`](crate::scheme::PublicUrl::write). `more` are further claims, such as
    /// an event id; they never replace the rule's own.
    ///
    /// `None` where the rule allows no HMAC, the key is empty, `at` lies before 1970, the body is
    /// the token, the token carries the body and the body is not UTF-8, a URL is signed and `url`
    /// is missing or no UTF-8, or a digest of the request is signed and it has no such form.
    pub fn sign(
        &self,
        key: &[u8],
        body: &[u8],
        url: Option<&[u8]>,
        request: (&str, &str),
        at: UnixMillis,
        more: &[(&str, &str)],
    ) -> Option<String> {
        let hmac = |algorithm: &crate::scheme::jwt::JwtAlgorithm| match algorithm.kind() {
            Kind::Digest(digest) => Some((algorithm.name(), digest)),
            _ => None,
        };
        let (name, digest) = self
            .algorithms
            .iter()
            .find_map(hmac)
            .filter(|_| !key.is_empty() && !self.is_body())?;
        let text = match &self.payload {
            Payload::Claims => {
                let header = object([("alg", name.into()), ("typ", "JWT".into())]);
                let claims = self.write_claims(body, url, request, at, more)?;
                [header, claims]
                    .map(|part| Encoding::Base64Url.encode(part.as_bytes()))
                    .join(".")
            }
            Payload::Detached { is_encoded, stamp } => {
                let mut header = vec![("alg", name.into())];
                if let Some(stamp) = stamp {
                    header.push((stamp.as_str(), seconds(at)?));
                }
                if !is_encoded {
                    header.push(("b64", false.into()));
                    header.push(("crit", vec!["b64"].into()));
                }
                Encoding::Base64Url.encode(object(header).as_bytes()) + "."
            }
        };
        let mut mac = digest.mac(key);
        mac.update(text.as_bytes());
        match &self.payload {
            Payload::Claims => {}
            Payload::Detached {
                is_encoded: true, ..
            } => mac.update(Encoding::Base64Url.encode(body).as_bytes()),
            Payload::Detached { .. } => mac.update(body),
        }
        let signature = Encoding::Base64Url.encode(mac.finalize().as_bytes());
        Some(format!("{}{text}.{signature}", self.prefix()))
    }

    fn write_claims(
        &self,
        body: &[u8],
        url: Option<&[u8]>,
        (method, target): (&str, &str),
        at: UnixMillis,
        more: &[(&str, &str)],
    ) -> Option<String> {
        let mut claims: Vec<(&str, Value)> = more
            .iter()
            .map(|(name, value)| (*name, (*value).into()))
            .collect();
        claims.push(("iat", seconds(at)?));
        if self.max_age.is_none() && !self.timeless {
            claims.push(("nbf", seconds(at)?));
            claims.push(("exp", seconds(UnixMillis(at.0.saturating_add(LIFETIME)))?));
        }
        if let Some(issuer) = &self.issuer {
            claims.push(("iss", issuer.as_str().into()));
        }
        if !(self.absent_if_empty && body.is_empty()) {
            if let Some(digest) = &self.body_digest {
                claims.push((&digest.claim, digest.write(body).into()));
            }
            if let Some(name) = &self.body_claim {
                claims.push((name, std::str::from_utf8(body).ok()?.into()));
            }
        }
        if let Some(digest) = &self.url_digest {
            claims.push((&digest.claim, digest.write(url?).into()));
        }
        if let Some(name) = &self.url_claim {
            claims.push((name, std::str::from_utf8(url?).ok()?.into()));
        }
        if let Some(digest) = &self.request_digest {
            let request = canonical(method, target, &digest.base_path)?;
            let mut hash = DigestAlgorithm::Sha256.mac(b"");
            hash.update(request.as_bytes());
            claims.push((
                &digest.claim,
                hex::encode(hash.finalize().as_bytes()).into(),
            ));
        }
        Some(object(claims))
    }
}

impl DigestClaim {
    /// The digest of `content`, in the encoding of the claim.
    fn write(&self, content: &[u8]) -> String {
        let mut hash = self.hash.mac(b"");
        hash.update(content);
        self.encoding.encode(hash.finalize().as_bytes())
    }
}

/// A time as the whole seconds of a claim; `None` before 1970.
fn seconds(at: UnixMillis) -> Option<Value> {
    Unit::Seconds
        .write(at)?
        .parse::<i64>()
        .ok()
        .map(Value::from)
}

/// A JSON object. If several members have the same name, the last of them counts.
fn object<'m>(members: impl IntoIterator<Item = (&'m str, Value)>) -> String {
    let members = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Map<_, _>>()).to_string()
}
