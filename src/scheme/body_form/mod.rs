//! Candidate forms of the body: what a provider may have signed in its place (SCHEMES 1, `body`).
//!
//! Only `{body}` in the signed content takes another form; what is forwarded never changes. Each form costs bounded
//! memory, as whoever sends a body has proved nothing yet. Which form counts is for the verifier to try.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Read as _;

use flate2::bufread::GzDecoder;

/// What the first two bytes of gzip are (RFC 1952 section 2.3.1).
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// How much is inflated at a time, in bytes; also the least that is allocated.
const PIECE: usize = 4096;

/// What a body is taken for when its signature is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyForm {
    /// `raw`: as received.
    Raw,
    /// `json-ascii`: all that is not visible ASCII or a space written as JSON escapes it. Box signs this and sends the
    /// text itself.
    JsonAscii,
    /// `inflated`: what a gzip body holds. Stream signs before it compresses.
    Inflated,
}

impl BodyForm {
    /// Every form, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Raw, Self::JsonAscii, Self::Inflated];

    /// Its name in a configuration file.
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
    /// - `json-ascii` does not where the body is not UTF-8, or would stay as it is. The outcome is at most six times as
    ///   long as the body, whatever `limit` says.
    /// - `inflated` applies to one whole gzip member with the right checksum and length, nothing behind it, that holds
    ///   at most `limit` bytes. Never more than that is allocated.
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

/// Escapes as Box's own SDK does (`escape_unicode` of box-python-sdk): line feed, carriage return and tab by their
/// letters, all else outside 0x20 to 0x7e as UTF-16 units in lower hex, wherever in the text it stands. Backslashes are
/// left alone, so what is escaped already stays as it is; that SDK doubles some of them, which is not followed
/// (SCHEMES 4.1).
fn json_ascii(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    // Whatever is escaped gets longer.
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
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    Some(out)
}

/// How many bytes [`json_ascii`] writes for a character.
fn escaped_len(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        '\n' | '\r' | '\t' => 2,
        _ => 6 * c.len_utf16(),
    }
}

/// Inflates the one gzip member that `body` is to the end of `out`, whose room never exceeds `limit`.
fn inflate(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<()> {
    if !body.starts_with(GZIP_MAGIC) {
        return None;
    }
    let mut member = GzDecoder::new(body);
    let mut piece = [0; PIECE];
    loop {
        // At the end of the member, its checksum and length are compared; any fault is an error.
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
