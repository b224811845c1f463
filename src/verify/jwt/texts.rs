//! The event in the claims of a token that is the body (schemes: Tokens).
//!
//! Some providers write an event as JSON, put that text into a claim as a string, and so once more
//! inside of it. The text is put in the place of its string, unescaped and otherwise byte for byte.
//! Nothing is parsed into values and written anew, so a key that is there twice still is.
//!
//! The times of the token are taken out: a provider that sends an event again signs it anew, and
//! only the times differ.

use crate::notation::json::text::place_of;
use crate::notation::json::{Places, Pointer, Value, without_mark};

/// The claims with the text at each of these places in the place of its string, outer places first.
/// A place that does not exist, or whose value is not the text of a JSON object or array, is left as
/// it is. The result is never longer than `claims`.
pub(super) fn put_in_place(claims: &[u8], places: &[Pointer]) -> Vec<u8> {
    let mut claims = claims.to_vec();
    for place in places {
        if let Some(changed) = put_one_in_place(&claims, place) {
            claims = changed;
        }
    }
    claims
}

/// The claims with `null` in the place of the times of the token: `exp`, `iat` and `nbf`.
pub(super) fn without_times(claims: &[u8]) -> Vec<u8> {
    let mut claims = claims.to_vec();
    for name in ["exp", "iat", "nbf"] {
        if let Some(changed) = without_time(&claims, name) {
            claims = changed;
        }
    }
    claims
}

fn without_time(claims: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut places = Places::default();
    let slot = places.add(&Pointer {
        tokens: vec![name.to_owned()],
    });
    let Value::Integer(digits) = places.scan(claims).ok()?.at(slot) else {
        return None;
    };
    let at = place_of(digits.as_bytes(), claims)?;
    Some([claims.get(..at.start)?, b"null", claims.get(at.end..)?].concat())
}

fn put_one_in_place(claims: &[u8], place: &Pointer) -> Option<Vec<u8>> {
    let mut places = Places::default();
    let slot = places.add(place);
    let Value::Text(string) = places.scan(claims).ok()?.at(slot) else {
        return None;
    };
    let at = string.place_in(claims)?;
    let (text, is_whole) = string.read(claims.len()).ok()?;
    if !is_whole || !is_container(text.as_bytes()) {
        return None;
    }
    Some(
        [
            claims.get(..at.start)?,
            text.as_bytes(),
            claims.get(at.end..)?,
        ]
        .concat(),
    )
}

/// Whether `text` is the JSON text of an object or an array.
fn is_container(text: &[u8]) -> bool {
    let mut whole = Places::default();
    let slot = whole.add(&Pointer { tokens: Vec::new() });
    without_mark(text).len() == text.len()
        && whole
            .scan(text)
            .is_ok_and(|values| matches!(values.at(slot), Value::Object | Value::Array))
}
