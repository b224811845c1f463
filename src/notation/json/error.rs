//! Why a body is not taken as a JSON text.

/// Why a body is not taken as a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not UTF-8.
    NotUtf8,
    /// A byte-order mark at the beginning (RFC 8259 section 8.1).
    ByteOrderMark,
    /// Nothing but white space.
    Empty,
    /// Over before the value is.
    CutOff,
    /// Something else where a value should be.
    NoValue,
    /// Something else where a key should be.
    NoKey,
    /// Something else where a colon should be.
    NoColon,
    /// Something else where a comma or the closing bracket should be.
    NoComma,
    /// Something after the value.
    Trailing,
    /// More than [`MAX_DEPTH`](super::MAX_DEPTH) levels.
    TooDeep,
    /// A byte below 0x20 in a string.
    RawControl,
    /// An escape that RFC 8259 does not know, or half of one.
    BadEscape,
    /// A number against the grammar.
    BadNumber,
    /// A key on the way to a place, a second time in its object.
    RepeatedKey,
    /// More than [`MAX_EACH`](super::MAX_EACH) places for a pointer with `*`.
    TooManyElements,
}

impl JsonError {
    /// The fault in plain words, without bytes of the body.
    pub fn why(self) -> &'static str {
        match self {
            Self::NotUtf8 => "the body is not UTF-8 text, so it is not JSON",
            Self::ByteOrderMark => "the body starts with a byte-order mark; JSON has none",
            Self::Empty => "the body is empty, so it is not JSON",
            Self::CutOff => "the body is not JSON: it ends too early",
            Self::NoValue => "the body is not JSON: a value is expected where there is none",
            Self::NoKey => {
                "the body is not JSON: a key in double quotes is expected where there is none"
            }
            Self::NoColon => "the body is not JSON: a colon is missing after a key",
            Self::NoComma => {
                "the body is not JSON: a comma or the right closing bracket is missing after a value"
            }
            Self::Trailing => "something follows the JSON text in the body",
            Self::TooDeep => "the JSON body is nested more than 128 levels deep",
            Self::RawControl => "the body is not JSON: a string holds a raw control character",
            Self::BadEscape => "the body is not JSON: a string holds an unknown or broken escape",
            Self::BadNumber => "the body is not JSON: a number is malformed",
            Self::RepeatedKey => {
                "a key on the way to a value that is looked for appears twice in its object"
            }
            Self::TooManyElements => {
                "the JSON body holds more than 1024 elements where each one is looked at"
            }
        }
    }
}
