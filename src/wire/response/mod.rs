//! The upstream's response head, and how its body ends (SPEC 2.10, RFC 9112 4 and 6.3).
//!
//! Judged by the same rules as a request head; a broken rule is `upstream_failed` ([`Reason::of_upstream`]). Skipping
//! interim answers, refusing 101 and leaving out hop-by-hop headers is the gateway's work.

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;

use super::head::{Field, Framing, Limits, Opening, Scanner, Version};
use super::rules::framing::FramingLines;
use super::rules::{MAX_LINE, Reason, fields};

/// How much an answer's head may hold: 64 KiB, 200 lines (ATTACKS RX-11); a line as much as a request's.
pub const LIMITS: Limits = Limits {
    max_head: 64 * 1024,
    max_headers: 200,
};

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// When the upstream closes the connection; only then is it complete.
    Close,
}

/// Finds where an answer's head ends, byte by byte at linear cost. One for each head, interim ones included.
#[derive(Clone, Debug)]
pub struct ResponseScanner(Scanner);

impl Default for ResponseScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseScanner {
    /// A scanner that has seen nothing yet.
    pub fn new() -> Self {
        Self(Scanner::new(Opening::Answer, LIMITS))
    }

    /// Looks at what has arrived, `buf` being everything received of this answer so far. Returns where the head ends
    /// once it is complete: the first so many bytes are for [`ResponseHead::from_bytes`]. `None`: more is needed.
    ///
    /// # Errors
    /// As soon as it is certain: a limit, a bare line feed, or a beginning that is no HTTP/1 answer.
    pub fn advance(&mut self, buf: &[u8]) -> Result<Option<usize>, Reason> {
        Ok(self.0.advance(buf)?.map(|head: Range<usize>| head.end))
    }
}

/// A judged response head.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    bytes: Bytes,
    status: u16,
    version: Version,
    fields: Vec<Field>,
    framing: Framing,
    keep_alive: bool,
}

impl ResponseHead {
    /// Finds and judges a head at the beginning of `buf`, and says how many bytes it takes. `None`: more is needed.
    /// Copies the head and begins anew at each call; where it may come in many pieces, [`ResponseScanner`] and
    /// [`Self::from_bytes`] do neither.
    ///
    /// # Errors
    /// The reason why it is not taken as HTTP.
    pub fn parse(buf: &[u8]) -> Result<Option<(Self, usize)>, Reason> {
        let Some(end) = ResponseScanner::new().advance(buf)? else {
            return Ok(None);
        };
        let head = Self::from_bytes(Bytes::copy_from_slice(buf.get(..end).unwrap_or_default()))?;
        Ok(Some((head, end)))
    }

    /// Judges a whole head, from the status line to the empty line.
    ///
    /// # Errors
    /// The reason why it is not taken as HTTP.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Reason> {
        if bytes.len() > LIMITS.max_head {
            return Err(Reason::HeadTooLarge);
        }
        fields::judge_bytes(&bytes)?;
        let mut lines = fields::Lines::of(&bytes);
        let (_, line) = lines.next().ok_or(Reason::BrokenHead)?;
        if line.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        let (version, status) = status_line(line).ok_or(Reason::StatusLine)?;
        let mut framing_lines = FramingLines::default();
        let fields = fields::read(&mut lines, &LIMITS, |_, name, value| {
            framing_lines.see(name, value)
        })?;
        let framing = framing_lines.framing(version)?;
        // A 204 that announces a body contradicts itself; what follows it on the connection is anybody's guess.
        let is_plain = status != 204 || matches!(framing, Framing::None | Framing::Length(0));
        Ok(Self {
            status,
            version,
            fields,
            framing,
            keep_alive: is_plain && framing_lines.keep_alive(version),
            bytes,
        })
    }

    /// The status, 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Names and values, in order of arrival; values without the white space around them.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }

    /// The names that all `Connection` lines list, in any case: none of them goes any further (RFC 9110 7.6.1).
    pub fn connection_names(&self) -> impl Iterator<Item = &[u8]> {
        fields::connection_names(&self.bytes, &self.fields)
    }

    /// How the body ends (RFC 9112 6.3): none for HEAD, 1xx, 204 and 304, whatever the lines say.
    pub fn body_end(&self, request_was_head: bool) -> BodyEnd {
        if request_was_head || matches!(self.status, 100..=199 | 204 | 304) {
            return BodyEnd::None;
        }
        match self.framing {
            Framing::Length(length) => BodyEnd::Length(length),
            Framing::Chunked => BodyEnd::Chunked,
            Framing::None => BodyEnd::Close,
        }
    }

    /// Whether the upstream lets the connection stay open once the body has ended: HTTP/1.1, no `close` in any
    /// `Connection` line, no body announced where there is none. A body that ends by [`BodyEnd::Close`] closes it all
    /// the same.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// `HTTP/1.x SP 3DIGIT [ SP reason ]`. Without a reason the second space may be missing, as many servers have it.
fn status_line(line: &[u8]) -> Option<(Version, u16)> {
    let (version, rest) = line.split_at_checked("HTTP/1.1 ".len())?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let (digits, reason) = rest.split_at_checked(3)?;
    if !(reason.is_empty() || reason.starts_with(b" ")) {
        return None;
    }
    let status = digits.iter().try_fold(0, |status, &byte| {
        byte.is_ascii_digit()
            .then(|| status * 10 + u16::from(byte - b'0'))
    })?;
    (100..=599).contains(&status).then_some((version, status))
}
