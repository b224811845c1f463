//! The end of a string in a JSON text, and the judgement on the bytes before it.
//!
//! Most strings are short and plain: they are searched sixteen bytes at a time, which the compiler
//! turns into vector instructions. Long ones are searched in blocks, each while it is still in the
//! nearest cache.

use memchr::memchr2;
use simdutf8::basic::from_utf8;

use super::error::JsonError;

/// The bytes of a piece.
const PIECE: usize = 16;
/// The number of pieces that are searched before blocks are.
const NEAR: usize = 4;
/// The bytes of a block.
const BLOCK: usize = 4096;

/// The index of the closing quote of a string whose text begins at `start`, and whether an escape
/// comes before it. The text up to there is UTF-8.
#[expect(
    clippy::inline_always,
    reason = "a call costs as much as the search through most strings"
)]
#[inline(always)]
pub(super) fn end_of_string(bytes: &[u8], start: usize) -> Result<(usize, bool), JsonError> {
    let text = bytes.get(start..).unwrap_or_default();
    let plain = plain_ascii(text);
    if text.get(plain) == Some(&b'"') {
        return Ok((start + plain, false));
    }
    let (length, escaped) = length_of_other(text, plain)?;
    Ok((start + length, escaped))
}

/// The bytes of the string at the front of `text`, of which the first `at` are plain ASCII, and
/// whether it has an escape.
#[inline(never)]
fn length_of_other(text: &[u8], mut at: usize) -> Result<(usize, bool), JsonError> {
    let mut escaped = false;
    let mut is_ascii = true;
    loop {
        match text.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                escaped = true;
                at = end_of_escape(text, at)?;
                at += plain_ascii(text.get(at..).unwrap_or_default());
            }
            Some(..b' ') => return Err(JsonError::RawControl),
            Some(_) => {
                let plain = Plain::of(text.get(at..).unwrap_or_default());
                at += plain.length;
                is_ascii &= plain.is_ascii;
            }
            None => return Err(JsonError::CutOff),
        }
    }
    // A quote is no part of a longer character, so each string is UTF-8 by itself or not at all.
    if !is_ascii && from_utf8(text.get(..at).unwrap_or_default()).is_err() {
        return Err(JsonError::NotUtf8);
    }
    Ok((at, escaped))
}

/// The index behind the escape whose backslash is at `at`.
fn end_of_escape(text: &[u8], at: usize) -> Result<usize, JsonError> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match text.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(JsonError::BadEscape),
        },
        Some(_) => Err(JsonError::BadEscape),
        None => Err(JsonError::CutOff),
    }
}

/// The number of bytes at the front of `text`, at most [`NEAR`] pieces, before the first that is a
/// quote, a backslash, a control byte below 0x20 or not ASCII.
pub(super) fn plain_ascii(text: &[u8]) -> usize {
    let mut length = 0;
    for piece in text.as_chunks::<PIECE>().0.iter().take(NEAR) {
        // All bytes are compared at once, and without an early end.
        let mut ends = [0; PIECE];
        for (end, byte) in ends.iter_mut().zip(piece) {
            // As a signed number, a byte that is not ASCII is negative.
            if byte.cast_signed() < 0x20 || *byte == b'"' || *byte == b'\\' {
                *end = u8::MAX;
            }
        }
        let ends = u128::from_le_bytes(ends);
        if ends != 0 {
            return length + (ends.trailing_zeros() / u8::BITS) as usize;
        }
        length += PIECE;
    }
    length
}

/// The plain text at the front of a string.
pub(super) struct Plain {
    /// Its length: the bytes up to a quote, a backslash or a control byte below 0x20; all bytes if there is none.
    pub(super) length: usize,
    pub(super) is_ascii: bool,
}

impl Plain {
    /// The plain text at the front of `text`.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut length = 0;
        let mut is_ascii = true;
        for block in text.chunks(BLOCK) {
            let end = memchr2(b'"', b'\\', block);
            let mut plain = block.get(..end.unwrap_or(block.len())).unwrap_or_default();
            // A fold and not a search: without an early end the compiler compares many bytes at once.
            let (low, high) = plain.iter().fold((u8::MAX, 0), |(low, high), byte| {
                (low.min(*byte), high | byte)
            });
            let mut is_over = end.is_some();
            if low < b' ' {
                let control = plain.iter().position(|byte| *byte < b' ');
                plain = plain.get(..control.unwrap_or_default()).unwrap_or_default();
                is_over = true;
            }
            length += plain.len();
            is_ascii &= high < 0x80;
            if is_over {
                break;
            }
        }
        Self { length, is_ascii }
    }
}
