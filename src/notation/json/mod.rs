//! One pass over a JSON text: is it one, and what stands at a few places in it (SPEC 2.6)?
//!
//! No tree is built: the text is judged by RFC 8259's grammar and by our own limits (UTF-8 without a byte-order mark,
//! nothing after the value, nesting up to [`MAX_DEPTH`]), and the values at the [`Places`] asked for are handed out as
//! slices of it. A key on the way to such a place must not appear twice in its object, since two parsers could
//! disagree about which one counts. What the values mean is not decided here but in [`super`].

mod each;
mod fields;
mod places;
mod pointer;
pub mod text;

pub use self::fields::{Field, Fields, MAX_TEXT};
pub use self::places::{EachSlot, Places, Slot, Values};
pub use self::pointer::Pointer;
use self::text::Text;

/// How many objects and arrays may stand within each other. One bit of the scanner's state each.
pub const MAX_DEPTH: usize = 128;

/// How many values are kept for a pointer with `*`.
pub const MAX_EACH: usize = 1024;

/// Why a body is not taken as a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
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
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
    /// A byte below 0x20 in a string.
    RawControl,
    /// An escape that RFC 8259 does not know, or half of one.
    BadEscape,
    /// A number against the grammar.
    BadNumber,
    /// A key on the way to a place, a second time in its object.
    RepeatedKey,
    /// More than [`MAX_EACH`] places for a pointer with `*`.
    TooManyElements,
}

impl Fault {
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

/// What a walk looks for. `P` is a place of a value: how far on the way to what is looked for it is.
trait Search<'b, P> {
    /// An object or array on the way.
    type Step;

    /// A value at a place. The step of an array or object whose inside matters; for any other value it is dropped.
    fn value(&mut self, place: P, value: Value<'b>) -> Result<Option<Self::Step>, Fault>;

    /// A key in an object on the way; the place of its value, where that is on the way too. Called once for each key, so
    /// it can tell a repeated one.
    fn key(&mut self, step: &mut Self::Step, key: Text<'b>) -> Result<Option<P>, Fault>;

    /// The next element of an array on the way; its place, where it is on the way too.
    fn element(&mut self, step: &mut Self::Step) -> Option<P>;

    /// The end of an object or array on the way.
    fn close(&mut self, step: Self::Step) -> Result<(), Fault>;
}

/// Reads the whole text, whose only value is at the place `root`.
fn walk<'b, P: Copy, S: Search<'b, P>>(
    text: &'b str,
    search: &mut S,
    root: P,
) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    // The containers that are open, innermost in the lowest bit: 1 for an object.
    let mut kinds = 0_u128;
    let mut depth = 0;
    // The outermost of them as long as they are on the way to a place; what is opened elsewhere is only judged.
    let mut way: Vec<S::Step> = Vec::new();
    // The place of the value that comes next, where it is on the way to one.
    let mut place = Some(root);
    let mut at = skip_space(bytes, 0);
    if at == bytes.len() {
        return Err(Fault::Empty);
    }
    loop {
        let start = at;
        let first = bytes.get(at).copied().ok_or(Fault::CutOff)?;
        let mut opened = false;
        let value = match first {
            b'"' => {
                let (end, escaped) = end_of_string(bytes, at + 1)?;
                at = end + 1;
                if place.is_none() {
                    Value::Absent
                } else {
                    Value::Text(string(text, start + 1, end, escaped))
                }
            }
            b'{' | b'[' => {
                if depth == MAX_DEPTH {
                    return Err(Fault::TooDeep);
                }
                let is_object = first == b'{';
                kinds = kinds << 1 | u128::from(is_object);
                depth += 1;
                opened = true;
                at += 1;
                if is_object {
                    Value::Object
                } else {
                    Value::Array
                }
            }
            b'-' | b'0'..=b'9' => {
                let (end, integer) = end_of_number(bytes, at)?;
                at = end;
                if integer {
                    Value::Integer(text.get(start..end).unwrap_or_default())
                } else {
                    Value::Fraction
                }
            }
            b't' => word(bytes, &mut at, b"true", Value::Bool)?,
            b'f' => word(bytes, &mut at, b"false", Value::Bool)?,
            b'n' => word(bytes, &mut at, b"null", Value::Null)?,
            _ => return Err(Fault::NoValue),
        };
        if let Some(place) = place {
            let step = search.value(place, value)?;
            if opened {
                way.extend(step);
            }
        }
        // To the next value, or to the end.
        loop {
            at = skip_space(bytes, at);
            if depth == 0 {
                return if at == bytes.len() {
                    Ok(())
                } else {
                    Err(Fault::Trailing)
                };
            }
            let in_object = kinds & 1 == 1;
            let byte = bytes.get(at).copied().ok_or(Fault::CutOff)?;
            if byte == if in_object { b'}' } else { b']' } {
                at += 1;
                if way.len() == depth
                    && let Some(step) = way.pop()
                {
                    search.close(step)?;
                }
                kinds >>= 1;
                depth -= 1;
                opened = false;
                continue;
            }
            if !opened {
                if byte != b',' {
                    return Err(Fault::NoComma);
                }
                at = skip_space(bytes, at + 1);
            }
            let step = if way.len() == depth {
                way.last_mut()
            } else {
                None
            };
            if in_object {
                let start = at;
                match bytes.get(at) {
                    Some(b'"') => {}
                    Some(_) => return Err(Fault::NoKey),
                    None => return Err(Fault::CutOff),
                }
                let (end, escaped) = end_of_string(bytes, at + 1)?;
                place = match step {
                    Some(step) => search.key(step, string(text, start + 1, end, escaped))?,
                    None => None,
                };
                at = skip_space(bytes, end + 1);
                match bytes.get(at) {
                    Some(b':') => at = skip_space(bytes, at + 1),
                    Some(_) => return Err(Fault::NoColon),
                    None => return Err(Fault::CutOff),
                }
            } else {
                place = step.and_then(|step| search.element(step));
            }
            break;
        }
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The string between two quotes; both ends are character borders, so the slice is there.
fn string(text: &str, start: usize, end: usize, escaped: bool) -> Text<'_> {
    Text::new(text.get(start..end).unwrap_or_default(), escaped)
}

/// Where the closing quote of a string stands that begins at `at`, and whether there is an escape before it.
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = end_of_plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at += 1;
                match bytes.get(at) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 1,
                    Some(b'u') => match bytes.get(at + 1..at + 5) {
                        Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => at += 5,
                        _ => return Err(Fault::BadEscape),
                    },
                    Some(_) => return Err(Fault::BadEscape),
                    None => return Err(Fault::CutOff),
                }
            }
            Some(_) => return Err(Fault::RawControl),
            None => return Err(Fault::CutOff),
        }
    }
}

/// Where a number ends that begins at `at` (RFC 8259 section 6), and whether it is an integer that all read alike.
fn end_of_number(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let digits = |mut at: usize| {
        let start = at;
        while let Some(b'0'..=b'9') = bytes.get(at) {
            at += 1;
        }
        if at > start {
            Ok(at)
        } else {
            Err(Fault::BadNumber)
        }
    };
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(negative);
    let zero = bytes.get(at) == Some(&b'0');
    at = if zero { at + 1 } else { digits(at)? };
    let mut integer = !(negative && zero);
    if bytes.get(at) == Some(&b'.') {
        integer = false;
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        integer = false;
        let signed = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = digits(at + 1 + usize::from(signed))?;
    }
    Ok((at, integer))
}

fn word<'b>(
    bytes: &[u8],
    at: &mut usize,
    word: &[u8],
    value: Value<'b>,
) -> Result<Value<'b>, Fault> {
    let end = *at + word.len();
    if bytes.get(*at..end) != Some(word) {
        return Err(Fault::NoValue);
    }
    *at = end;
    Ok(value)
}

/// Where, from `at` on, the first byte stands that a string does not hold as it is: a quote, a backslash, a control
/// byte below 0x20. The end of `bytes` where there is none.
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at a time: strings are most of a delivery, and this runs on each.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = marks(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes
        .get(at)
        .is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
    {
        at += 1;
    }
    at
}

/// Sets the top bit of each byte of `word` that is a quote, a backslash or below 0x20. Marks above the lowest one may
/// be false (a borrow runs upwards); the lowest never is.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // Below zero once the limit is taken away; a byte with its own top bit set never counts, and neither quote nor
    // backslash has one, so one look at `word` serves all three.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit));
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & !word & TOPS
}

#[cfg(test)]
mod tests;
