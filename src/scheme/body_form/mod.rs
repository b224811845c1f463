//! Candidate forms of the body: the texts that a provider may have signed in the body's place
//! (schemes: Body forms).
//!
//! Only `{body}` in the signed content takes another form; the forwarded body never changes. Each
//! form needs bounded memory, since the sender has proved nothing yet. The verifier tries the forms
//! and decides which of them counts.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Read as _;

use flate2::bufread::GzDecoder;

/// The first two bytes of gzip (RFC 1952 section 2.3.1).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// The most bytes that are inflated at a time, and the fewest that are allocated.
const PIECE: usize = 4096;

/// The forms in which a body may have been signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyForm {
    /// `raw`: as received.
    Raw,
    /// `json-ascii`: the body with JSON escapes in place of all characters that are neither visible
    /// ASCII nor a space. Box signs this form and sends the text itself.
    JsonAscii,
    /// `inflated`: the content of a gzip body. Stream signs before it compresses.
    Inflated,
}

impl BodyForm {
    /// Every form, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Raw, Self::JsonAscii, Self::Inflated];

    /// The name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::JsonAscii => "json-ascii",
            Self::Inflated => "inflated",
        }
    }

    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The body in this form; `None` where the form does not apply to it.
    ///
    /// - `raw` always applies and copies nothing.
    /// - `json-ascii` does not apply where the body is not UTF-8 or needs no escape. The result is
    ///   at most six times as long as the body, whatever `limit` says.
    /// - `inflated` applies to a single, whole gzip member with the right checksum and length and
    ///   nothing behind it, whose content has at most `limit` bytes. Never more than that is
    ///   allocated.
    pub fn apply(self, body: &[u8], limit: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Raw => Some(Cow::Borrowed(body)),
            Self::JsonAscii => json_ascii(body).map(|text| Cow::Owned(text.into_bytes())),
            Self::Inflated => {
                let mut out = Vec::new();
                inflate(body, limit, &mut out)?;
                Some(Cow::Owned(out))
            }
        }
    }
}

/// Escapes a text as Box's own SDK does (`escape_unicode` of box-python-sdk): line feed, carriage
/// return and tab become their letters, and every other character outside 0x20 to 0x7e becomes
/// UTF-16 units in lower-case hex, inside and outside of strings. Backslashes are left alone, so
/// existing escapes stay as they are. That SDK doubles some backslashes, which is not followed here
/// (schemes: Body forms).
fn json_ascii(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    // An escape is always longer than its character, so equal lengths mean that nothing is escaped.
    let room = text.chars().map(escaped_len).sum();
    if room == text.len() {
        return None;
    }
    let mut out = String::with_capacity(room);
    for c in text.chars() {
        match c {
            ' '..='~' => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    Some(out)
}

/// The number of bytes that [`json_ascii`] writes for a character.
fn escaped_len(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        '\n' | '\r' | '\t' => 2,
        _ => 6 * c.len_utf16(),
    }
}

/// Appends the content of `body`, which must be a single gzip member, to `out`, whose capacity
/// never exceeds `limit`; `None` where it is not, or holds more.
fn inflate(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<()> {
    if !body.starts_with(GZIP_MAGIC) {
        return None;
    }
    let mut member = GzDecoder::new(body);
    let mut piece = [0; PIECE];
    loop {
        // The decoder compares checksum and length at the end of the member; a mismatch is an
        // error.
        let read = member.read(&mut piece).ok()?;
        if read == 0 {
            break;
        }
        let needed = out.len() + read;
        if needed > limit {
            return None;
        }
        if needed > out.capacity() {
            let room = needed.max(PIECE).max(out.capacity() * 2).min(limit);
            out.reserve_exact(room - out.len());
        }
        out.extend_from_slice(piece.get(..read)?);
    }
    member.into_inner().is_empty().then_some(())
}

#[cfg(test)]
mod tests;
