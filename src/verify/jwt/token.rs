//! The strict reading of a token (RFC 7515 section 3.1, the compact serialization): each part has a
//! single spelling.
//!
//! Nothing in the token is trusted here. The algorithm must be on the rule's list. A token that
//! brings a key, the address of a key or an extension that must be understood (`jwk`, `jku`, `x5c`,
//! `x5u`, `crit`, `b64`) is refused, and its address is never followed. The one exception is the
//! extension of RFC 7797, where the rule says that the body is signed as it is: then the token must
//! have it, in the one form that `crit` and `b64` can have. `typ`, `cty` and the thumbprints `x5t`
//! and `x5t#S256` have no effect.

use super::{MAX_BYTES, MAX_BYTES_WITH_BODY, Token, date, members};
use crate::clock::UnixMillis;
use crate::notation::encoding::Encoding;
use crate::notation::json::Value;
use crate::scheme::jwt::{JwtAlgorithm, JwtRule, Payload, TokenPlace};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const fn malformed(why: &'static str) -> Refusal {
    Refusal::because(Code::MalformedSignature, why)
}

const SEVERAL: Refusal = malformed("the token's header is there more than once");
const NO_PREFIX: Refusal =
    malformed("the token does not begin with the text that this scheme puts there");
const TOO_LONG: Refusal = malformed("the token is longer than this scheme's tokens may be");
const NOT_THREE: Refusal =
    malformed("the token does not have exactly three parts with dots between them");
const NOT_ENCODED: Refusal =
    malformed("a part of the token is not canonical base64url without padding");
const NO_HEADER: Refusal =
    malformed("the token's first part is not one JSON object with each key once");
const NOT_ALLOWED: Refusal =
    malformed("the token names no algorithm (`alg`) that this scheme allows");
const NO_KEY_ID: Refusal = malformed("the token's `kid` is not a string");
const BRINGS_KEY: Refusal = malformed(
    "the token brings a key, the address of a key, or an extension that must be understood; no \
     scheme accepts these",
);
const WRONG_LENGTH: Refusal =
    malformed("the token's signature does not have the length that its algorithm gives it");
const HOLDS_PAYLOAD: Refusal = malformed(
    "the token holds a payload between its two dots; tokens of this scheme sign the body and leave \
     it out",
);
const NOT_UNENCODED: Refusal = malformed(
    "the token does not say that it signs the body as it is: this scheme wants `\"b64\":false` and \
     `\"crit\":[\"b64\"]` in its header",
);
pub(super) const NO_CLAIMS: Refusal =
    malformed("the token's claims are not one JSON object with each key once");

/// The members that must be absent from every token's header: they would change the key.
const KEYS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];

/// The parts of a token's header that count.
struct Header {
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
    stamp: Option<UnixMillis>,
}

impl JwtRule {
    /// Takes the token in the head of a delivery apart. Nothing in it is trusted yet.
    ///
    /// # Errors
    /// `missing_signature` where there is no token, also where the rule looks for it in the body;
    /// `malformed_signature` where it does not have the form of the rule.
    pub fn read(&self, head: &Head) -> Result<Token, Refusal> {
        self.read_text(self.text_in_head(head)?)
    }

    /// As [`read`](Self::read), of a delivery whose whole body is the token.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read_body(&self, body: &[u8]) -> Result<Token, Refusal> {
        if body.is_empty() {
            return Err(Code::MissingSignature.into());
        }
        self.read_text(body)
    }

    /// As [`read`](Self::read) or [`read_body`](Self::read_body), as the rule says.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn find(&self, head: &Head, body: &[u8]) -> Result<Token, Refusal> {
        if self.is_body() {
            self.read_body(body)
        } else {
            self.read(head)
        }
    }

    /// The text of the token in a head, without its prefix.
    fn text_in_head<'h>(&self, head: &'h Head) -> Result<&'h [u8], Refusal> {
        let TokenPlace::Header { name, prefix } = &self.place else {
            return Err(Code::MissingSignature.into());
        };
        let value = match head.find(name) {
            Found::Nothing | Found::One(b"") => return Err(Code::MissingSignature.into()),
            Found::Several => return Err(SEVERAL),
            Found::One(value) => value,
        };
        let text = value.strip_prefix(prefix.as_bytes()).ok_or(NO_PREFIX)?;
        let most = if self.body_claim.is_some() {
            MAX_BYTES_WITH_BODY
        } else {
            MAX_BYTES
        };
        if text.len() > most {
            return Err(TOO_LONG);
        }
        Ok(text)
    }

    fn read_text(&self, text: &[u8]) -> Result<Token, Refusal> {
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NOT_THREE);
        };
        if self.is_detached() && !claims.is_empty() {
            return Err(HOLDS_PAYLOAD);
        }
        let signing_input = [header, b".", claims].concat();
        let header = self.read_header(&decoded(header)?)?;
        let signature = decoded(signature)?;
        if !header.algorithm.takes_length(signature.len()) {
            return Err(WRONG_LENGTH);
        }
        let claims = decoded(claims)?;
        if !self.is_detached() {
            self.look_at(&claims).ok_or(NO_CLAIMS)?;
        }
        Ok(Token {
            algorithm: header.algorithm,
            key_id: header.key_id,
            signing_input,
            signature,
            claims,
            stamp: header.stamp,
        })
    }

    /// What a token's header states.
    fn read_header(&self, header: &[u8]) -> Result<Header, Refusal> {
        let stamp = match &self.payload {
            Payload::Detached { stamp, .. } => stamp.as_deref(),
            Payload::Claims => None,
        };
        let [jku, jwk, x5u, x5c] = KEYS.map(Some);
        // `typ` has no effect, but must not be there twice.
        let names = [
            Some("alg"),
            Some("kid"),
            Some("typ"),
            stamp,
            Some("crit"),
            Some("b64"),
            jku,
            jwk,
            x5u,
            x5c,
        ];
        let [algorithm, key_id, _, stamp, crit, b64, keys @ ..] =
            members(header, names).ok_or(NO_HEADER)?;
        if keys.iter().any(|value| *value != Value::Absent) {
            return Err(BRINGS_KEY);
        }
        if matches!(
            self.payload,
            Payload::Detached {
                is_encoded: false,
                ..
            }
        ) {
            if !says_unencoded(header) {
                return Err(NOT_UNENCODED);
            }
        } else if crit != Value::Absent || b64 != Value::Absent {
            return Err(BRINGS_KEY);
        }
        let Value::Text(name) = algorithm else {
            return Err(NOT_ALLOWED);
        };
        let algorithm = self
            .algorithms
            .iter()
            .find(|algorithm| name.is(algorithm.name()))
            .ok_or(NOT_ALLOWED)?;
        let key_id = match key_id {
            Value::Absent => None,
            Value::Text(text) => match text.read(header.len()) {
                Ok((text, true)) => Some(text),
                _ => return Err(NO_KEY_ID),
            },
            _ => return Err(NO_KEY_ID),
        };
        Ok(Header {
            algorithm: *algorithm,
            key_id,
            stamp: date(stamp)?,
        })
    }
}

/// Whether a header has the extension of RFC 7797 and no other: `b64` is `false`, and `crit` lists
/// exactly `b64`. The caller has made sure that neither is there twice.
fn says_unencoded(header: &[u8]) -> bool {
    let Ok(header) = serde_json::from_slice::<serde_json::Value>(header) else {
        return false;
    };
    header.get("b64") == Some(&false.into()) && header.get("crit") == Some(&vec!["b64"].into())
}

fn decoded(part: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; part.len()];
    let len = Encoding::Base64Url
        .decode(part, &mut bytes)
        .ok_or(NOT_ENCODED)?;
    bytes.truncate(len);
    Ok(bytes)
}
