//! The reasons why a body is not accepted as a JSON text.

/// The reason why a body is not accepted as a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The body is not UTF-8.
    NotUtf8,
    /// The body begins with more than one byte-order mark.
    ByteOrderMark,
    /// The body is empty or white space alone.
    Empty,
    /// The body ends before its value is complete.
    CutOff,
    /// Other bytes are where a value must be.
    NoValue,
    /// Other bytes are where a key must be.
    NoKey,
    /// Other bytes are where a colon must be.
    NoColon,
    /// Other bytes are where a comma or the closing bracket must be.
    NoComma,
    /// Other bytes follow the value.
    Trailing,
    /// Objects and arrays are nested more than [`MAX_DEPTH`](super::MAX_DEPTH) levels deep.
    TooDeep,
    /// A string holds a byte below 0x20 that is not escaped.
    RawControl,
    /// A string holds an escape that RFC 8259 does not know, or half of an escape.
    BadEscape,
    /// A number breaks the grammar.
    BadNumber,
    /// A key on the path to a place occurs twice in its object, in the same or another case.
    RepeatedKey,
    /// A key on the path to a place differs from it in case.
    OtherCase,
    /// A pointer with `*` names more than [`MAX_EACH`](super::MAX_EACH) values.
    TooManyElements,
}

impl JsonError {
    /// The reason in plain words, without bytes of the body.
    pub fn why(self) -> &'static str {
        match self {
            Self::NotUtf8 => "the body is not UTF-8 text, so it is not JSON",
            Self::ByteOrderMark => {
                "the body is not JSON: it starts with more than one byte-order mark"
            }
            Self::Empty => "the body is empty, so it is not JSON",
            Self::CutOff => "the body is not JSON: it ends too early",
            Self::NoValue => "the body is not JSON: something else is where a value must be",
            Self::NoKey => {
                "the body is not JSON: something else is where a key in double quotes must be"
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
                "a key on the path to a value that the gateway reads appears twice in its object (keys \
                 that differ in case alone count as the same)"
            }
            Self::OtherCase => {
                "a key on the path to a signed value is written in another case, and some programs would \
                 read it"
            }
            Self::TooManyElements => {
                "the JSON body holds more than 1024 elements that would each have to be checked"
            }
        }
    }
}
