//! Mistakes made with the body: what was changed between the signing and here.
//!
//! Forms of `application/x-www-form-urlencoded` are in `form`.

use super::json;
use super::mistake::{Finding, Known, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::scheme::BodyForm;
use crate::wire::head::{FieldName, Found, Framing};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What gzip begins with (RFC 1952 section 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";

pub(super) fn surplus_newline(case: &Trials<'_>) -> Option<Finding> {
    let end = case.body.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let one = case.body.strip_suffix(b"\n")?;
    let one = one.strip_suffix(b"\r").unwrap_or(one);
    let all = case.body.get(..end).unwrap_or_default();
    found(case.with_body(one).or_else(|| case.with_body(all)), || Known::BodyGainedNewline)
}

pub(super) fn lost_newline(case: &Trials<'_>) -> Option<Finding> {
    let with = |end: &[u8]| case.with_body(&[case.body, end].concat());
    found(with(b"\n").or_else(|| with(b"\r\n")), || Known::BodyLostNewline)
}

pub(super) fn line_ends(case: &Trials<'_>) -> Option<Finding> {
    if !case.body.contains(&b'\n') {
        return None;
    }
    let mut unix = Vec::with_capacity(case.body.len());
    let mut bytes = case.body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            unix.push(byte);
        }
    }
    let mut dos = Vec::with_capacity(unix.len() + 16);
    for byte in &unix {
        if *byte == b'\n' {
            dos.push(b'\r');
        }
        dos.push(*byte);
    }
    found(case.with_body(&unix).or_else(|| case.with_body(&dos)), || Known::BodyLineEnds)
}

pub(super) fn empty(case: &Trials<'_>) -> Option<Finding> {
    if case.body.is_empty() { None } else { found(case.with_body(b""), || Known::BodyWasEmpty) }
}

pub(super) fn byte_order_mark(case: &Trials<'_>) -> Option<Finding> {
    let secret = match case.body.strip_prefix(BYTE_ORDER_MARK) {
        Some(without) => case.with_body(without),
        None => case.with_body(&[BYTE_ORDER_MARK, case.body].concat()),
    };
    found(secret, || Known::BodyByteOrderMark)
}

pub(super) fn still_base64(case: &Trials<'_>) -> Option<Finding> {
    let decoded = any_base64(case.body.trim_ascii())?;
    found(case.with_body(&decoded), || Known::BodyStillBase64)
}

/// What was signed is what a gzip body holds.
pub(super) fn still_packed(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.body.contains(&BodyForm::Inflated) {
        return None;
    }
    let inflated = BodyForm::Inflated.apply(case.body, case.settings.max_body)?;
    found(case.with_body(&inflated), || Known::BodyOtherForm(BodyForm::Inflated.name()))
}

/// Characters beyond ASCII were escaped in the text that was signed, as Box does; JSON written anew comes first.
pub(super) fn escaped(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.body.contains(&BodyForm::JsonAscii) {
        return None;
    }
    let escaped = BodyForm::JsonAscii.apply(case.body, case.settings.max_body)?;
    found(case.with_body(&escaped), || Known::BodyOtherForm(BodyForm::JsonAscii.name()))
}

/// Only as much as `Content-Length` says was signed.
pub(super) fn too_long(case: &Trials<'_>) -> Option<Finding> {
    let Framing::Length(announced) = case.head.framing() else { return None };
    let first = case.body.get(..usize::try_from(announced).ok()?).filter(|first| first.len() < case.body.len())?;
    found(case.with_body(first), || Known::BodyTooLong)
}

/// The body is a JSON string whose text was signed: serialised twice.
pub(super) fn in_string(case: &Trials<'_>) -> Option<Finding> {
    let text: String = serde_json::from_slice(case.body).ok()?;
    found(case.with_body(text.as_bytes()), || Known::BodyInString)
}

/// Its text was moved between UTF-8 and ISO 8859-1.
pub(super) fn charset(case: &Trials<'_>) -> Option<Finding> {
    let other: Vec<u8> = match std::str::from_utf8(case.body) {
        Ok(text) if !text.is_ascii() => text.chars().map(u8::try_from).collect::<Result<_, _>>().ok()?,
        Ok(_) => return None,
        Err(_) => case.body.iter().copied().map(char::from).collect::<String>().into_bytes(),
    };
    found(case.with_body(&other), || Known::BodyCharset)
}

pub(super) fn reserialised(case: &Trials<'_>) -> Option<Finding> {
    json::forms(case.body)
        .find_map(|(form, words)| found(case.with_body(form.as_bytes()), || Known::BodyReserialised(words)))
}

/// Written anew in sorted order, say: which order the sender had is not known, so the members of the outermost object
/// are tried in every one.
pub(super) fn reordered(case: &Trials<'_>) -> Option<Finding> {
    let secret = json::orders(case.body).find_map(|form| case.with_body(form.as_bytes()));
    found(secret, || Known::BodyReserialised("with its members in another order".to_owned()))
}

/// Shorter than announced, or ending in the middle of its JSON, perhaps at a size that a buffer has.
pub(super) fn cut(case: &Trials<'_>) -> Option<Mistake> {
    let length = case.body.len();
    let announced = match case.head.framing() {
        Framing::Length(announced) if announced > length as u64 => Some(announced),
        _ => None,
    };
    let is_json = matches!(case.body.trim_ascii_start(), [b'{' | b'[', ..]);
    let read = serde_json::from_slice::<serde_json::Value>(case.body);
    let is_broken_off = is_json && read.as_ref().is_err_and(serde_json::Error::is_eof);
    let is_round = length >= 1024 && [length, length + 1].iter().any(|size| size % 1024 == 0 || size % 10_000 == 0);
    let is_cut = announced.is_some() || is_broken_off || (is_round && read.is_err());
    is_cut.then(|| Known::BodyCut { length, announced, is_round }.into())
}

/// The headers speak of gzip, and the body is none.
pub(super) fn unpacked(case: &Trials<'_>) -> Option<Mistake> {
    let name = FieldName::new("content-encoding")?;
    let Found::One(value) = case.head.find(&name) else { return None };
    let is_packed = value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip");
    (is_packed && !case.body.starts_with(GZIP)).then(|| Known::BodyUnpacked.into())
}
