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

/// The most that a gzip body may hold: this many bytes, or [`INFLATED_TIMES`] its own length if that
/// is more. JSON rarely shrinks to a thirty-second, and bytes made to shrink do so a thousandfold.
pub const INFLATED_BYTES: usize = 256 * 1024;
/// The most that a gzip body may hold, as a multiple of its length.
pub const INFLATED_TIMES: usize = 32;

/// The memory that derived forms of a body may take. Every form asks for its bytes before it takes
/// them.
pub trait Room {
    /// Takes `bytes` more. `false` where there is no room for them; nothing is taken then.
    fn take(&mut self, bytes: usize) -> bool;
}

/// Room without a bound, for bodies that are in memory anyway: commands, vectors, tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyRoom;

impl Room for AnyRoom {
    fn take(&mut self, _: usize) -> bool {
        true
    }
}

/// There is no room for a derived form of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

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

    /// The body in this form; `None` where the form does not apply to it. As
    /// [`apply_within`](Self::apply_within), with room for every form.
    pub fn apply(self, body: &[u8], limit: usize) -> Option<Cow<'_, [u8]>> {
        self.apply_within(body, limit, &mut AnyRoom).ok().flatten()
    }

    /// The body in this form; `None` where the form does not apply to it.
    ///
    /// - `raw` always applies and copies nothing.
    /// - `json-ascii` does not apply where the body is not UTF-8 or needs no escape. The result is
    ///   at most six times as long as the body, whatever `limit` says.
    /// - `inflated` applies to a single, whole gzip member with the right checksum and length and
    ///   nothing behind it, whose content has at most `limit` bytes, and at most
    ///   [`INFLATED_BYTES`] or [`INFLATED_TIMES`] the body, whichever is more. Never more than that
    ///   is allocated.
    ///
    /// # Errors
    /// [`NoRoom`] where `room` has too little for the form.
    pub fn apply_within<'b>(
        self,
        body: &'b [u8],
        limit: usize,
        room: &mut dyn Room,
    ) -> Result<Option<Cow<'b, [u8]>>, NoRoom> {
        match self {
            Self::Raw => Ok(Some(Cow::Borrowed(body))),
            Self::JsonAscii => {
                let text = json_ascii(body, room)?;
                Ok(text.map(|text| Cow::Owned(text.into_bytes())))
            }
            Self::Inflated => {
                let mut out = Vec::new();
                let is_whole = inflate(body, limit.min(most_inflated(body.len())), &mut out, room)?;
                Ok(is_whole.then_some(Cow::Owned(out)))
            }
        }
    }

    /// The most bytes that this form of a body of `length` bytes can have, where a form may have
    /// `limit` bytes.
    pub fn most(self, length: usize, limit: usize) -> usize {
        match self {
            Self::Raw => length,
            Self::JsonAscii => length.saturating_mul(6),
            Self::Inflated => limit.min(most_inflated(length)),
        }
    }
}

/// The most bytes that a gzip body of `length` bytes may hold.
fn most_inflated(length: usize) -> usize {
    INFLATED_BYTES.max(length.saturating_mul(INFLATED_TIMES))
}

/// Escapes a text as Box's own SDK does (`escape_unicode` of box-python-sdk): line feed, carriage
/// return and tab become their letters, and every other character outside 0x20 to 0x7e becomes
/// UTF-16 units in lower-case hex, inside and outside of strings. Backslashes are left alone, so
/// existing escapes stay as they are. That SDK doubles some backslashes, which is not followed here
/// (schemes: Body forms).
fn json_ascii(body: &[u8], room: &mut dyn Room) -> Result<Option<String>, NoRoom> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Ok(None);
    };
    // An escape is always longer than its character, so equal lengths mean that nothing is escaped.
    let length = text.chars().map(escaped_len).sum();
    if length == text.len() {
        return Ok(None);
    }
    if !room.take(length) {
        return Err(NoRoom);
    }
    let mut out = String::with_capacity(length);
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
    Ok(Some(out))
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
/// never exceeds `limit`. Returns `false` where it is not a single member, or holds more.
fn inflate(
    body: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
    room: &mut dyn Room,
) -> Result<bool, NoRoom> {
    if !body.starts_with(GZIP_MAGIC) {
        return Ok(false);
    }
    let mut member = GzDecoder::new(body);
    let mut piece = [0; PIECE];
    loop {
        // The decoder compares checksum and length at the end of the member; a mismatch is an
        // error.
        let Some(new) = member
            .read(&mut piece)
            .ok()
            .and_then(|read| piece.get(..read))
        else {
            return Ok(false);
        };
        if new.is_empty() {
            break;
        }
        let needed = out.len() + new.len();
        if needed > limit {
            return Ok(false);
        }
        if needed > out.capacity() {
            let capacity = needed.max(PIECE).max(out.capacity() * 2).min(limit);
            if !room.take(capacity - out.capacity()) {
                return Err(NoRoom);
            }
            out.reserve_exact(capacity - out.len());
        }
        out.extend_from_slice(new);
    }
    Ok(member.into_inner().is_empty())
}

#[cfg(test)]
mod tests;
