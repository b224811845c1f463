//! A few values of a small JSON body, read strictly: a body that two parsers could read in two ways gives none.

use super::places::{Places, Slot};
use super::pointer::Pointer;
use super::value::Value;

/// The longest string that is read, in bytes.
pub const MAX_TEXT: usize = 1024;

/// A value at a place of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nothing.
    Absent,
    /// A string of at most [`MAX_TEXT`] bytes.
    Text(String),
    /// An integer, by its text.
    Integer(String),
    /// An array.
    Array,
    /// An object.
    Object,
    /// Any other value, a longer string too.
    Other,
}

impl Field {
    /// Whether the value is this string.
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

/// The places of a few fields, made once and looked up in many bodies.
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

    /// The values in the order of the pointers; `None` where the body is not one JSON text, or repeats a key on the way.
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
