//! The one pass over a JSON text: its grammar, and which of its values a search is shown.

use super::error::JsonError;
use super::text::Text;
use super::value::Value;

/// How many objects and arrays may stand within each other. One bit of the scanner's state each.
pub const MAX_DEPTH: usize = 128;

/// What a walk looks for. `P` is a place of a value: how far on the way to what is looked for it is.
pub(super) trait Search<'b, P> {
    /// An object or array on the way.
    type Step;

    /// A value at a place. The step of an array or object whose inside matters; for any other value it is dropped.
    fn value(&mut self, place: P, value: Value<'b>) -> Result<Option<Self::Step>, JsonError>;

    /// A key in an object on the way; the place of its value, where that is on the way too. Called once for each key, so
    /// it can tell a repeated one.
    fn key(&mut self, step: &mut Self::Step, key: Text<'b>) -> Result<Option<P>, JsonError>;

    /// The next element of an array on the way; its place, where it is on the way too.
    fn element(&mut self, step: &mut Self::Step) -> Option<P>;

    /// The end of an object or array on the way.
    fn close(&mut self, step: Self::Step) -> Result<(), JsonError>;
}

/// Reads the whole text, whose only value is at the place `root`.
pub(super) fn walk<'b, P: Copy, S: Search<'b, P>>(
    text: &'b str,
    search: &mut S,
    root: P,
) -> Result<(), JsonError> {
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
        return Err(JsonError::Empty);
    }
    loop {
        let start = at;
        let first = bytes.get(at).copied().ok_or(JsonError::CutOff)?;
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
                    return Err(JsonError::TooDeep);
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
            _ => return Err(JsonError::NoValue),
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
                    Err(JsonError::Trailing)
                };
            }
            let in_object = kinds & 1 == 1;
            let byte = bytes.get(at).copied().ok_or(JsonError::CutOff)?;
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
                    return Err(JsonError::NoComma);
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
                    Some(_) => return Err(JsonError::NoKey),
                    None => return Err(JsonError::CutOff),
                }
                let (end, escaped) = end_of_string(bytes, at + 1)?;
                place = match step {
                    Some(step) => search.key(step, string(text, start + 1, end, escaped))?,
                    None => None,
                };
                at = skip_space(bytes, end + 1);
                match bytes.get(at) {
                    Some(b':') => at = skip_space(bytes, at + 1),
                    Some(_) => return Err(JsonError::NoColon),
                    None => return Err(JsonError::CutOff),
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
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<(usize, bool), JsonError> {
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
                        _ => return Err(JsonError::BadEscape),
                    },
                    Some(_) => return Err(JsonError::BadEscape),
                    None => return Err(JsonError::CutOff),
                }
            }
            Some(_) => return Err(JsonError::RawControl),
            None => return Err(JsonError::CutOff),
        }
    }
}

/// Where a number ends that begins at `at` (RFC 8259 section 6), and whether it is an integer that all read alike.
fn end_of_number(bytes: &[u8], mut at: usize) -> Result<(usize, bool), JsonError> {
    let digits = |mut at: usize| {
        let start = at;
        while let Some(b'0'..=b'9') = bytes.get(at) {
            at += 1;
        }
        if at > start {
            Ok(at)
        } else {
            Err(JsonError::BadNumber)
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
) -> Result<Value<'b>, JsonError> {
    let end = *at + word.len();
    if bytes.get(*at..end) != Some(word) {
        return Err(JsonError::NoValue);
    }
    *at = end;
    Ok(value)
}

/// Where, from `at` on, the first byte stands that a string does not hold as it is: a quote, a backslash, a control
/// byte below 0x20. The end of `bytes` where there is none.
pub(super) fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
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
