//! The value of a JSON text at a place, as a scan returns it.

use super::text::Text;

/// The value at a place of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'b> {
    /// The place does not exist: a key or an element on the path to it is missing.
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A string.
    Text(Text<'b>),
    /// A number without fraction and exponent, and not `-0`; in the digits of the body.
    Integer(&'b str),
    /// Any other number. Parsers disagree about the text of such numbers.
    Fraction,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Value<'_> {
    /// The decoded text of a string. `None` if the string is longer than `max` bytes or holds a
    /// lone surrogate, and for any other value.
    pub fn string(self, max: usize) -> Option<String> {
        match self {
            Self::Text(text) => text
                .read(max)
                .ok()
                .filter(|(_, is_whole)| *is_whole)
                .map(|(text, _)| text),
            _ => None,
        }
    }

    /// The decoded text of a string, as [`string`](Self::string) gives it, or the digits of an
    /// integer.
    pub fn string_or_integer(self, max: usize) -> Option<String> {
        match self {
            Self::Integer(text) => Some(text.to_owned()),
            other => other.string(max),
        }
    }
}
