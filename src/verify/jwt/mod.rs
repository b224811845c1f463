//! JSON Web Tokens that carry a digest of the body (SCHEMES 1, `jwt`; RFC 7515, RFC 7519).
//!
//! What such a token must say, and how it is written. How one is taken apart is in `token`, what its claims are worth in
//! `claims`, how one is made in `sign`. Whether its signature holds is not judged here but by the verifier, with the
//! route's own keys: no key and no address of one is ever taken from a token.

mod claims;
mod sign;
#[cfg(test)]
mod tests;
mod token;

pub use claims::claim;

use crate::clock::UnixMillis;
use crate::notation::json::Pointer;
use crate::notation::json::{Places, Value};
use crate::notation::timestamp::Window;
use crate::scheme::jwt::JwtAlgorithm;

/// The longest token, in bytes of its text, where it carries digests only.
pub const MAX_BYTES: usize = 8 * 1024;
/// The longest token, in bytes of its text, where it carries the whole body: as long as a header line may be.
pub const MAX_BYTES_WITH_BODY: usize = 16 * 1024;

/// A token taken apart, not proved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its algorithm, one of the rule's.
    pub algorithm: JwtAlgorithm,
    /// `kid`, where it names one.
    pub key_id: Option<String>,
    /// The bytes that are signed: header and claims as sent, with the dot between them.
    pub signing_input: Vec<u8>,
    /// The decoded signature.
    pub signature: Vec<u8>,
    /// The decoded claims: a JSON text.
    pub claims: Vec<u8>,
}

/// What a proved token says of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it is to be taken.
    pub window: Window,
    /// When it was made, as far as it tells: `iat`, else `nbf`, else `exp`.
    pub made: Option<UnixMillis>,
}

/// What stands under each name in the JSON object `text`; `Absent` where there is no name to look for. `None` where it is
/// not one JSON object, or has one of these members twice: two readers could disagree about which one counts (RFC 7515
/// section 4, RFC 7519 section 4). Members that nobody asks for are not compared.
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
    let values = places.scan(text).ok()?;
    let is_object = values.at(whole) == Value::Object;
    is_object.then(|| slots.map(|slot| slot.map_or(Value::Absent, |slot| values.at(slot))))
}
