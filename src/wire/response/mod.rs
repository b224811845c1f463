//! The upstream's response head, and how its body ends (RFC 9112 4 and 6.3; contract: Relaying).
//!
//! A response head is judged by the same rules as a request head. A broken rule becomes
//! `upstream_failed` ([`Reason::of_upstream`]). The gateway itself skips interim answers, refuses
//! 101 and removes hop-by-hop headers.

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::head::{Framing, Limits, Line, Opening, Scanner, Version};
use super::rules::fields::Fields;
use super::rules::framing::FramingLines;
use super::rules::lines::{LineEnds, Lines};
use super::rules::{MAX_LINE, Reason, fields};

/// The limits of a response head: 64 KiB and 200 lines (RX-11). A line may be as long as in a
/// request.
pub const LIMITS: Limits = Limits {
    max_head: 64 * 1024,
    max_headers: 200,
};

/// How the body of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The response has no body.
    None,
    /// The body ends after this number of bytes.
    Length(u64),
    /// The body ends with its last chunk.
    Chunked,
    /// The body ends when the upstream closes the connection, and is complete only then.
    Close,
}

/// Finds where a response head ends, at linear cost even if it arrives byte by byte. Each head
/// needs a scanner of its own, interim heads included.
#[derive(Clone, Debug)]
pub struct ResponseScanner(Scanner);

impl Default for ResponseScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseScanner {
    /// A scanner that has seen no bytes yet.
    pub fn new() -> Self {
        Self(Scanner::new(Opening::Answer, LIMITS))
    }

    /// Scans the bytes that have arrived since the last call; `buf` holds everything received of
    /// this response so far. Returns the length of the head once it is complete: that many bytes of
    /// `buf` are the input of [`ResponseHead::from_bytes`]. `None` means that more bytes are
    /// needed.
    ///
    /// # Errors
    /// A limit, a bare line feed, or first bytes that cannot begin an HTTP/1 response, as soon as
    /// it is certain.
    pub fn advance(&mut self, buf: &[u8]) -> Result<Option<usize>, Reason> {
        Ok(self.0.advance(buf)?.map(|head: Range<usize>| head.end))
    }

    /// Scans as [`Self::advance`] does. A complete head is taken out of `buf` and judged, line by
    /// line as the scan has found them.
    ///
    /// # Errors
    /// Those of [`Self::advance`], and for a complete head those of [`ResponseHead::from_bytes`].
    pub fn take(&mut self, buf: &mut BytesMut) -> Result<Option<ResponseHead>, Reason> {
        let Some(head) = self.0.take(buf)? else {
            return Ok(None);
        };
        ResponseHead::judge(head, self.0.ends()).map(Some)
    }
}

/// A judged response head.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    bytes: Bytes,
    status: u16,
    version: Version,
    fields: Fields,
    framing: Framing,
    keep_alive: bool,
}

impl ResponseHead {
    /// Finds and judges a head at the beginning of `buf`, and returns it with its length in bytes.
    /// `None` means that more bytes are needed. Each call copies the head and scans it from its
    /// beginning; for a head that may arrive in many pieces, [`ResponseScanner`] and
    /// [`Self::from_bytes`] do neither.
    ///
    /// # Errors
    /// The rule that the bytes break.
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
    /// The rule that the bytes break.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Reason> {
        let ends = LineEnds::of(&bytes);
        Self::judge(bytes, &ends)
    }

    /// Judges a whole head with these line ends.
    fn judge(bytes: Bytes, ends: &LineEnds) -> Result<Self, Reason> {
        if bytes.len() > LIMITS.max_head {
            return Err(Reason::HeadTooLarge);
        }
        // A byte that no head may hold is the reason in any case.
        if ends.may_be_odd() {
            fields::judge_bytes(&bytes)?;
        }
        let mut lines = Lines::of(&bytes, ends);
        let (_, line) = lines.next().ok_or(Reason::BrokenHead)?;
        if line.len() > MAX_LINE {
            return Err(Reason::LineTooLong);
        }
        let (version, status) = status_line(line).ok_or(Reason::StatusLine)?;
        let mut framing_lines = FramingLines::default();
        let fields = fields::read(&mut lines, LIMITS.max_headers, MAX_LINE, |field, value| {
            framing_lines.see(field, value)
        })?;
        let framing = framing_lines.framing(version)?;
        // A 204 has no body. If it announces a body all the same, nobody knows whether the next
        // bytes on the connection are that body or the next response, so the connection is not used
        // again.
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

    /// The names and values of all lines, in the order of arrival. Values have no white space
    /// around them.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.lines(&self.bytes)
    }

    /// All lines, in the order of arrival, with what is known of their names.
    pub fn fields(&self) -> impl Iterator<Item = Line<'_>> {
        self.fields.known_lines(&self.bytes)
    }

    /// The names that all `Connection` lines list, in the case received. A proxy must not forward
    /// the fields of these names (RFC 9110 7.6.1).
    pub fn connection_names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.connection_names(&self.bytes)
    }

    /// How the body ends (RFC 9112 6.3). Responses to HEAD and responses with 1xx, 204 or 304 have
    /// no body, whatever their lines say.
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

    /// Whether the upstream lets the connection stay open after the body: the version is HTTP/1.1,
    /// no `Connection` line says `close`, and the response is not a 204 that announces a body. A
    /// body that ends by [`BodyEnd::Close`] closes the connection in any case.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// Reads `HTTP/1.x SP 3DIGIT [ SP reason ]`. The second space may be missing if there is no reason
/// phrase: many servers leave it out.
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
