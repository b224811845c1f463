//! A few values of a small JSON body, read strictly: a body that two parsers could read in
//! different ways gives no values.

use super::places::{Places, Slot};
use super::pointer::Pointer;
use super::value::Value;

/// The longest string that is read, in bytes.
pub const MAX_TEXT: usize = 1024;

/// The value at a place of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The place does not exist in the body.
    Absent,
    /// A string of at most [`MAX_TEXT`] bytes.
    Text(String),
    /// An integer, in the digits of the body.
    Integer(String),
    /// An array.
    Array,
    /// An object.
    Object,
    /// Any other value; a string that is longer or holds a lone surrogate is among them.
    Other,
}

impl Field {
    /// Whether the value is the string `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    /// The bytes of a string; empty for any other value.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            _ => &[],
        }
    }
}

/// The places of a few fields: prepared once, then read in many bodies.
#[derive(Debug)]
pub struct Fields<const N: usize> {
    places: Places,
    slots: [Slot; N],
}

impl<const N: usize> Fields<N> {
    /// The fields at these JSON pointers. The empty pointer is the whole document.
    pub fn at(pointers: [&str; N]) -> Self {
        let mut places = Places::default();
        let parsed =
            |pointer: &str| Pointer::parse(pointer).unwrap_or(Pointer { tokens: Vec::new() });
        let slots = pointers.map(|pointer| places.add(&parsed(pointer)));
        Self { places, slots }
    }

    /// The values, in the order of the pointers. `None` if the body is not a JSON text, or if a key
    /// on the path to a field is repeated.
    pub fn read(&self, body: &[u8]) -> Option<[Field; N]> {
        let values = self.places.scan(body).ok()?;
        Some(self.slots.map(|slot| field(values.at(slot))))
    }
}

fn field(value: Value<'_>) -> Field {
    match value {
        Value::Absent => Field::Absent,
        Value::Text(_) => value.string(MAX_TEXT).map_or(Field::Other, Field::Text),
        Value::Integer(text) => Field::Integer(text.to_owned()),
        Value::Array => Field::Array,
        Value::Object => Field::Object,
        Value::Null | Value::Bool | Value::Fraction => Field::Other,
    }
}
