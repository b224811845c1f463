//! The making of tokens: a token that a rule accepts, for `sign`, the demo and tests (RFC 7515
//! section 5.1).
//!
//! Signing and verifying share no code: the tokens
//! made here are read by `token` and `claims`, which are also tested with tokens that other
//! programs made.

use serde_json::{Map, Value};

use super::request::canonical;
use crate::clock::UnixMillis;
use crate::key::digest::DigestAlgorithm;
use crate::key::public::SigningKey;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::Kind;
use crate::scheme::jwt::{DigestClaim, JwtAlgorithm, JwtRule, Payload};

/// The time for which a token is valid if its rule has no greatest age, in milliseconds.
const LIFETIME: i64 = 300_000;

/// The parts of a delivery that a token may cover.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'d> {
    /// The body.
    pub body: &'d [u8],
    /// The whole URL as the provider signs it, written by
    /// [`PublicUrl::write`](crate::scheme::PublicUrl::write).
    pub url: Option<&'d [u8]>,
    /// The method and the target.
    pub request: (&'d str, &'d str),
    /// The time of the signature.
    pub at: UnixMillis,
    /// Further claims, such as an event id; they never replace the rule's own.
    pub more: &'d [(&'d str, &'d str)],
}

impl JwtRule {
    /// The header value, with its prefix, that carries the token of a delivery.
    ///
    /// `None` where the rule allows no HMAC, the key is empty, the time lies before 1970, the body
    /// is the token, the token carries the body and the body is not UTF-8, a URL is signed and the
    /// URL is missing or no UTF-8, or a digest of the request is signed and it has no such form.
    pub fn sign(&self, key: &[u8], delivery: &Covered<'_>) -> Option<String> {
        let hmac = |algorithm: &JwtAlgorithm| match algorithm.kind() {
            Kind::Digest(digest) => Some((algorithm.name(), digest)),
            _ => None,
        };
        let (name, digest) = self
            .algorithms
            .iter()
            .find_map(hmac)
            .filter(|_| !key.is_empty())?;
        self.token(name, delivery, |content| {
            let mut mac = digest.mac(key);
            mac.update(content);
            Some(mac.finalize().as_bytes().to_vec())
        })
    }

    /// As [`sign`](Self::sign), with a private key.
    ///
    /// `None` also where the rule allows no algorithm of the key's type.
    pub fn sign_privately(&self, key: &SigningKey, delivery: &Covered<'_>) -> Option<String> {
        let of_key = |algorithm: &JwtAlgorithm| match algorithm.kind() {
            Kind::Public(public) if public.key_type() == key.key_type() => {
                Some((algorithm.name(), public))
            }
            _ => None,
        };
        let (name, algorithm) = self.algorithms.iter().find_map(of_key)?;
        self.token(name, delivery, |content| key.sign(algorithm, content))
    }

    /// The header value with the token. `sign` gives the bytes of a signature.
    fn token(
        &self,
        name: &str,
        delivery: &Covered<'_>,
        sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<String> {
        if self.is_body() {
            return None;
        }
        let (text, payload) = match &self.payload {
            Payload::Claims => {
                let header = object([("alg", name.into()), ("typ", "JWT".into())]);
                let claims = self.write_claims(delivery)?;
                let parts = [header, claims];
                let parts = parts.map(|part| Encoding::Base64Url.encode(part.as_bytes()));
                (parts.join("."), Vec::new())
            }
            Payload::Detached { is_encoded, stamp } => {
                let mut header = vec![("alg", name.into())];
                if let Some(stamp) = stamp {
                    header.push((stamp.as_str(), seconds(delivery.at)?));
                }
                if !is_encoded {
                    header.push(("b64", false.into()));
                    header.push(("crit", vec!["b64"].into()));
                }
                let payload = if *is_encoded {
                    Encoding::Base64Url.encode(delivery.body).into_bytes()
                } else {
                    delivery.body.to_vec()
                };
                let header = Encoding::Base64Url.encode(object(header).as_bytes());
                (header + ".", payload)
            }
        };
        let signature = sign(&[text.as_bytes(), &payload].concat())?;
        let signature = Encoding::Base64Url.encode(&signature);
        Some(format!("{}{text}.{signature}", self.prefix()))
    }

    fn write_claims(&self, delivery: &Covered<'_>) -> Option<String> {
        let Covered {
            body,
            url,
            request: (method, target),
            at,
            more,
        } = *delivery;
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
