//! A value of a JSON text, as a scan hands it out.

use super::text::Text;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'b> {
    /// Nothing: a key or an element on the way is not there.
    Absent,
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A string.
    Text(Text<'b>),
    /// A number without fraction and exponent that is not `-0`, by its exact text.
    Integer(&'b str),
    /// Any other number: parsers disagree on its text.
    Fraction,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Value<'_> {
    /// A string of at most `max` bytes, escapes undone; `None` where it is longer, none, or holds a lone surrogate.
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

    /// A [`string`](Self::string), or an integer's exact text.
    pub fn string_or_integer(self, max: usize) -> Option<String> {
        match self {
            Self::Integer(text) => Some(text.to_owned()),
            other => other.string(max),
        }
    }
}
