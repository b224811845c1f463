//! A few values out of a small JSON body, read strictly: what two parsers could read in two ways is no handshake.

use super::MAX_ECHO;
use crate::notation::json::Pointer;
use crate::notation::json::{Places, Value};

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing.
    Absent,
    /// A string of at most [`MAX_ECHO`] bytes.
    Text(String),
    /// An integer, by its text.
    Integer(String),
    /// An array.
    Array,
    /// An object.
    Object,
    /// Anything else, a longer string too.
    Other,
}

impl Field {
    /// Whether it is this string.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    /// The string's bytes; empty where it is no string that could be one of a handshake.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            _ => &[],
        }
    }
}

/// What stands at these pointers, in their order; `None` where the body is not one JSON text, or a key on the way is
/// repeated.
pub(super) fn fields<const N: usize>(body: &[u8], pointers: [&str; N]) -> Option<[Field; N]> {
    let mut places = Places::default();
    // the empty pointer is the whole document
    let whole = |pointer: &str| Pointer::parse(pointer).unwrap_or(Pointer { tokens: Vec::new() });
    let slots = pointers.map(|pointer| places.add(&whole(pointer)));
    let values = places.scan(body).ok()?;
    Some(slots.map(|slot| field(values.at(slot))))
}

fn field(value: Value<'_>) -> Field {
    match value {
        Value::Absent => Field::Absent,
        Value::Text(_) => value.string(MAX_ECHO).map_or(Field::Other, Field::Text),
        Value::Integer(text) => Field::Integer(text.to_owned()),
        Value::Array => Field::Array,
        Value::Object => Field::Object,
        Value::Null | Value::Bool | Value::Fraction => Field::Other,
    }
}
