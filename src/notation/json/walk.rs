//! The pass over a JSON text, which judges its grammar and shows a search the values on its paths.

use smallvec::SmallVec;

use super::error::JsonError;
use super::string::end_of_string;
use super::text::Text;
use super::value::Value;

/// The deepest nesting of objects and arrays. The scanner keeps one bit of a `u128` for each level.
pub const MAX_DEPTH: usize = 128;

/// A search for places during a walk. `P` is the place of a value: its position on the path to a
/// place that is searched for.
pub(super) trait Search<'b, P> {
    /// The state of an open object or array on the path.
    type Step;

    /// Gets a value at a place on the path. Returns a step if the inside of an object or array is
    /// to be searched; for any other value the step is dropped.
    fn value(&mut self, place: P, value: Value<'b>) -> Result<Option<Self::Step>, JsonError>;

    /// Gets a key of an object on the path. Returns the place of its value, if that is on the path
    /// too. It is called once for each key, so it can notice a repeated key.
    fn key(&mut self, step: &mut Self::Step, key: Text<'b>) -> Result<Option<P>, JsonError>;

    /// Gets the next element of an array on the path. Returns its place, if that is on the path
    /// too.
    fn element(&mut self, step: &mut Self::Step) -> Option<P>;

    /// Gets the end of an object or array on the path.
    fn close(&mut self, step: Self::Step) -> Result<(), JsonError>;
}

/// Judges the whole text and shows its values to `search`. The place of the outermost value is
/// `root`. A text that passes is UTF-8: its strings are judged, and all bytes outside of strings are
/// ASCII. A text with another fault may not be UTF-8 either.
pub(super) fn walk<'b, P: Copy, S: Search<'b, P>>(
    bytes: &'b [u8],
    search: &mut S,
    root: P,
) -> Result<(), JsonError> {
    // The kinds of the open containers, innermost in the lowest bit: 1 is an object, 0 an array.
    let mut kinds = 0_u128;
    let mut depth = 0;
    // The steps of the open containers that are on the path. Those are always the outermost;
    // containers inside a container that is off the path are judged, but not searched.
    let mut way: SmallVec<[S::Step; 4]> = SmallVec::new();
    // The place of the next value, if it is on the path.
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
                    Value::Text(string(bytes, start + 1, end, escaped))
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
                    Value::Integer(digits(bytes, start, end))
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
        // Go on to the next value, or to the end of the text.
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
                    Some(step) => search.key(step, string(bytes, start + 1, end, escaped))?,
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
    // The first comparison is enough for most bytes.
    while let Some(byte) = bytes.get(at)
        && *byte <= b' '
        && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    {
        at += 1;
    }
    at
}

/// The string between two quotes, which [`end_of_string`] has judged.
fn string(bytes: &[u8], start: usize, end: usize, escaped: bool) -> Text<'_> {
    Text::new(bytes.get(start..end).unwrap_or_default(), escaped)
}

/// The digits of an integer, and its sign. They are ASCII, so the text exists.
fn digits(bytes: &[u8], start: usize, end: usize) -> &str {
    std::str::from_utf8(bytes.get(start..end).unwrap_or_default()).unwrap_or_default()
}

/// The end of a number that begins at `at` (RFC 8259 section 6), and whether it is an integer that
/// all parsers read alike.
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
