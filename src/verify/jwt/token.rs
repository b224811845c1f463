//! The strict reading of a token (RFC 7515 section 3.1, the compact serialization): each part has a
//! single spelling.
//!
//! Nothing in the token is trusted here. The algorithm must be on the rule's list. A token that
//! brings a key, the address of a key or an extension that must be understood (`jwk`, `jku`, `x5c`,
//! `x5u`, `crit`, `b64`) is refused, and its address is never followed. `typ`, `cty` and the
//! thumbprints `x5t` and `x5t#S256` have no effect.

use super::{MAX_BYTES, MAX_BYTES_WITH_BODY, Token, members};
use crate::notation::encoding::Encoding;
use crate::notation::json::Value;
use crate::scheme::jwt::{JwtAlgorithm, JwtRule};
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
pub(super) const NO_CLAIMS: Refusal =
    malformed("the token's claims are not one JSON object with each key once");

/// The members that are read of a token's header. The fourth and all after it must be absent: they
/// would change the key, or how the rest is read.
const READ: [&str; 9] = [
    "alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "x5c",
];

impl JwtRule {
    /// Takes the token of a delivery apart. Nothing in it is trusted yet.
    pub fn read(&self, head: &Head) -> Result<Token, Refusal> {
        let value = match head.find(&self.header) {
            Found::Nothing | Found::One(b"") => return Err(Code::MissingSignature.into()),
            Found::Several => return Err(SEVERAL),
            Found::One(value) => value,
        };
        let text = value
            .strip_prefix(self.prefix.as_bytes())
            .ok_or(NO_PREFIX)?;
        if text.len()
            > if self.body_claim.is_some() {
                MAX_BYTES_WITH_BODY
            } else {
                MAX_BYTES
            }
        {
            return Err(TOO_LONG);
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NOT_THREE);
        };
        let signing_input = [header, b".", claims].concat();
        let (algorithm, key_id) = self.read_header(&decoded(header)?)?;
        let signature = decoded(signature)?;
        if !algorithm.takes_length(signature.len()) {
            return Err(WRONG_LENGTH);
        }
        let claims = decoded(claims)?;
        self.look_at(&claims).ok_or(NO_CLAIMS)?;
        Ok(Token {
            algorithm,
            key_id,
            signing_input,
            signature,
            claims,
        })
    }

    /// The algorithm and the key's name (`kid`) that a token's header states.
    fn read_header(&self, header: &[u8]) -> Result<(JwtAlgorithm, Option<String>), Refusal> {
        let [algorithm, key_id, _, refused @ ..] =
            members(header, READ.map(Some)).ok_or(NO_HEADER)?;
        if refused.iter().any(|value| *value != Value::Absent) {
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
        Ok((*algorithm, key_id))
    }
}

fn decoded(part: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; part.len()];
    let len = Encoding::Base64Url
        .decode(part, &mut bytes)
        .ok_or(NOT_ENCODED)?;
    bytes.truncate(len);
    Ok(bytes)
}
