//! JSON Web Tokens that sign a delivery, or claims about it (schemes: Tokens; RFC 7515; RFC 7519).
//!
//! `token` takes a token apart, `claims` judges its claims, `request` makes the digested form of a
//! request, `texts` puts JSON texts inside of claims in their place, `sign` makes a token. The
//! signature is not judged here but by the verifier, with the route's own keys: no key and no
//! address of a key is ever taken from a token.

mod claims;
mod request;
mod sign;
#[cfg(test)]
mod tests;
mod texts;
mod token;

pub use claims::claim;
pub use sign::Covered;

use crate::clock::UnixMillis;
use crate::notation::json::Pointer;
use crate::notation::json::{Places, Value, without_mark};
use crate::notation::timestamp::{Unit, Window};
use crate::scheme::jwt::JwtAlgorithm;
use crate::verdict::{Code, Refusal};

/// The longest token that carries digests only, in bytes of its text.
pub const MAX_BYTES: usize = 8 * 1024;
/// The longest token that carries the whole body, in bytes of its text: as long as a header line
/// may be.
pub const MAX_BYTES_WITH_BODY: usize = 16 * 1024;

/// A token that was taken apart but is not proved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The algorithm that the token names, which the rule allows.
    pub algorithm: JwtAlgorithm,
    /// The name of the key (`kid`), where the token gives it.
    pub key_id: Option<String>,
    /// The signed bytes: header and claims as they were sent, with the dot between them. Of a
    /// detached token header and dot alone, behind which the body is signed.
    pub signing_input: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
    /// The decoded claims: a JSON text. Empty for a detached token.
    pub claims: Vec<u8>,
    /// The time at which a detached token was made, where its header says so.
    pub stamp: Option<UnixMillis>,
}

/// The times that a proved token states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The stretch of time in which the token is accepted.
    pub window: Window,
    /// The time at which the token was made, as far as its claims say: `iat`, else `nbf`, else
    /// `exp`.
    pub made: Option<UnixMillis>,
}

const NO_DATE: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "a time in the token is not a whole number of seconds since 1970",
);

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

/// The values of the named members of the JSON object `text`; [`Value::Absent`] where the name is
/// `None`.
///
/// `None` where `text` is not a JSON object, or has one of these members twice: two readers could
/// then disagree about which of the two counts (RFC 7515 section 4, RFC 7519 section 4). Members
/// that are not asked for are not compared.
fn members<'t, const N: usize>(text: &'t [u8], names: [Option<&str>; N]) -> Option<[Value<'t>; N]> {
    let mut places = Places::default();
    let whole = places.add(&Pointer { tokens: Vec::new() });
    let slots = names.map(|name| {
        name.map(|name| {
            places.add(&Pointer {
                tokens: vec![name.to_owned()],
            })
        })
    });
    // A token is made by a library, not by an editor: a byte-order mark in it is no accident.
    if without_mark(text).len() < text.len() {
        return None;
    }
    let values = places.scan(text).ok()?;
    let is_object = values.at(whole) == Value::Object;
    is_object.then(|| slots.map(|slot| slot.map_or(Value::Absent, |slot| values.at(slot))))
}
