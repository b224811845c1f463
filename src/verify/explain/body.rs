//! Mistakes made with the body: what was changed between the signing and here.

use super::secrets::any_base64;
use super::{Case, Finding, Mistake, found, json};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn surplus_newline(case: &Case<'_>) -> Option<Finding> {
    let end = case.body.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let one = case.body.strip_suffix(b"\n")?;
    let one = one.strip_suffix(b"\r").unwrap_or(one);
    let all = case.body.get(..end).unwrap_or_default();
    found(case.with_body(one).or_else(|| case.with_body(all)), || Mistake::BodyGainedNewline)
}

pub(super) fn lost_newline(case: &Case<'_>) -> Option<Finding> {
    let with = |end: &[u8]| case.with_body(&[case.body, end].concat());
    found(with(b"\n").or_else(|| with(b"\r\n")), || Mistake::BodyLostNewline)
}

pub(super) fn line_ends(case: &Case<'_>) -> Option<Finding> {
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
    found(case.with_body(&unix).or_else(|| case.with_body(&dos)), || Mistake::BodyLineEnds)
}

pub(super) fn empty(case: &Case<'_>) -> Option<Finding> {
    if case.body.is_empty() { None } else { found(case.with_body(b""), || Mistake::BodyWasEmpty) }
}

pub(super) fn byte_order_mark(case: &Case<'_>) -> Option<Finding> {
    let secret = match case.body.strip_prefix(BYTE_ORDER_MARK) {
        Some(without) => case.with_body(without),
        None => case.with_body(&[BYTE_ORDER_MARK, case.body].concat()),
    };
    found(secret, || Mistake::BodyByteOrderMark)
}

pub(super) fn still_base64(case: &Case<'_>) -> Option<Finding> {
    let decoded = any_base64(case.body.trim_ascii())?;
    found(case.with_body(&decoded), || Mistake::BodyStillBase64)
}

pub(super) fn reserialised(case: &Case<'_>) -> Option<Finding> {
    let secret = json::forms(case.body).find_map(|form| case.with_body(form.as_bytes()));
    found(secret, || Mistake::BodyReserialised)
}

/// Written anew in sorted order, say: which order the sender had is not known, so the members of the outermost object
/// are tried in every one.
pub(super) fn reordered(case: &Case<'_>) -> Option<Finding> {
    let secret = json::orders(case.body).find_map(|form| case.with_body(form.as_bytes()));
    found(secret, || Mistake::BodyReserialised)
}
