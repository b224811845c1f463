//! The search for the end of a head while it arrives (contract: Head).
//!
//! Judged this early are limits, bare line feeds, and a request line or first bytes that cannot
//! begin an HTTP/1 message. So a TLS greeting or an HTTP/0.9 request is refused at once, without
//! waiting for more bytes. The other rules are applied to the complete head.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::Head;
use super::parse::judge;
use crate::verdict::Refusal;
use crate::wire::rules::lines::LineEnds;
use crate::wire::rules::{Limits, MAX_EMPTY_LINES, MAX_LINE, Reason, is_token_byte, request_line};

/// Finds where a request head begins and ends. Each request of a connection needs a scanner of its
/// own.
#[derive(Clone, Debug)]
pub struct HeadScanner(Scanner);

impl HeadScanner {
    /// A scanner that has seen no bytes yet.
    pub fn new(limits: Limits) -> Self {
        Self(Scanner::new(Opening::Request, limits))
    }

    /// Scans the bytes that have arrived since the last call. `buf` holds everything received of
    /// this request so far, and may go on into its body or the next request. Bytes that were
    /// scanned are not scanned again.
    ///
    /// Returns the range of the head in `buf` once it is complete: from its request line (empty
    /// lines before it are left out) to the end of its empty line. `None` means that more bytes are
    /// needed.
    ///
    /// # Errors
    /// `uri_too_long`, `headers_too_large`, or `bad_request` for a bare line feed, for bytes that
    /// cannot begin a request, and for too many empty lines. The refusal comes as soon as it is
    /// certain, and it is the same however the bytes were split.
    pub fn advance(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        self.0.advance(buf).map_err(Refusal::from)
    }

    /// Scans as [`Self::advance`] does. A complete head is taken out of `buf`, with the empty lines
    /// before it, and judged line by line as the scan has found them.
    ///
    /// # Errors
    /// Those of [`Self::advance`], and for a complete head those of [`Head::parse`].
    pub fn take(&mut self, buf: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        let Some(head) = self.0.take(buf)? else {
            return Ok(None);
        };
        Ok(Some(judge(head, self.0.ends(), &self.0.limits)?))
    }
}

/// The kind of line that a head begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Opening {
    /// A request line, perhaps after empty lines.
    Request,
    /// A status line.
    Answer,
}

/// The scanner of both directions.
#[derive(Clone, Debug)]
pub(in crate::wire) struct Scanner {
    opening: Opening,
    limits: Limits,
    /// Where the request line or status line starts, as far as that is known.
    start: usize,
    /// Where the current, incomplete line starts.
    line_start: usize,
    /// The ends of the request line or status line and of the lines behind it.
    ends: LineEnds,
    empty_lines: usize,
    fields: usize,
    opened: bool,
    /// The end of the head, once it was found.
    complete: Option<usize>,
}

impl Scanner {
    pub(in crate::wire) fn new(opening: Opening, limits: Limits) -> Self {
        Self {
            opening,
            limits,
            start: 0,
            line_start: 0,
            ends: LineEnds::default(),
            empty_lines: 0,
            fields: 0,
            opened: false,
            complete: None,
        }
    }

    /// Does the work of [`HeadScanner::advance`], and gives the reason instead of a refusal.
    pub(in crate::wire) fn advance(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, Reason> {
        if let Some(end) = self.complete.filter(|end| *end <= buf.len()) {
            return Ok(Some(self.start..end));
        }
        while let Some(end) = self.ends.search(buf) {
            let is_last = if self.opened {
                self.field_line(buf, end)?
            } else {
                self.opening_line(buf, end)?;
                false
            };
            if is_last {
                self.complete = Some(end);
                return Ok(Some(self.start..end));
            }
            self.line_start = end;
        }
        self.judge_growth(buf, buf.len())?;
        Ok(None)
    }

    /// Scans as [`Self::advance`] does, and takes a complete head out of `buf`.
    pub(in crate::wire) fn take(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Reason> {
        let Some(Range { start, end }) = self.advance(buf)? else {
            return Ok(None);
        };
        let mut head = buf.split_to(end);
        head.advance(start);
        Ok(Some(head.freeze()))
    }

    /// The line ends of the complete head.
    pub(in crate::wire) fn ends(&self) -> &LineEnds {
        &self.ends
    }

    /// Judges the whole line that ends at `end`, behind the opening. Returns whether it ends the
    /// head.
    #[inline]
    fn field_line(&mut self, buf: &[u8], end: usize) -> Result<bool, Reason> {
        let length = end - self.line_start;
        if length > MAX_LINE + "\r\n".len() || end - self.start > self.limits.max_head {
            self.judge_growth(buf, end)?;
        }
        if self.ends.may_be_odd() {
            without_end(buf.get(self.line_start..end))?;
        }
        self.ends.add(end - self.start);
        if length == "\r\n".len() {
            return Ok(true);
        }
        self.fields += 1;
        if self.fields > self.limits.max_headers {
            return Err(Reason::TooManyLines);
        }
        Ok(false)
    }

    /// Judges the whole line that ends at `end`, as long as the head is not opened: an empty line,
    /// or the request line or status line, which opens it.
    fn opening_line(&mut self, buf: &[u8], end: usize) -> Result<(), Reason> {
        self.judge_growth(buf, end)?;
        let line = without_end(buf.get(self.line_start..end))?;
        if line.is_empty() {
            self.empty_lines += 1;
            if self.empty_lines > MAX_EMPTY_LINES {
                return Err(Reason::TooManyEmptyLines);
            }
            self.start = end;
            return Ok(());
        }
        if self.opening == Opening::Request {
            request_line::split(line)?;
        }
        self.ends.add(end - self.start);
        self.opened = true;
        Ok(())
    }

    /// Judges the current line up to `end`, complete or not: first its first bytes, then its size
    /// and the size of the head. If both limits are exceeded, the reason names the limit that comes
    /// first in the bytes, so the answer does not depend on how much has arrived.
    fn judge_growth(&self, buf: &[u8], end: usize) -> Result<(), Reason> {
        if !self.opened {
            self.judge_opening(buf.get(self.line_start..end).unwrap_or_default())?;
        }
        let is_request_line = !self.opened && self.opening == Opening::Request;
        let line_limit = if is_request_line {
            request_line::MAX_REQUEST_LINE
        } else {
            MAX_LINE + "\r\n".len()
        };
        let line_limit = self.line_start.saturating_add(line_limit);
        let head_limit = self.start.saturating_add(self.limits.max_head);
        if end <= line_limit && end <= head_limit {
            Ok(())
        } else if head_limit < line_limit {
            Err(Reason::HeadTooLarge)
        } else if is_request_line {
            Err(request_line::overlong(
                buf.get(self.line_start..line_limit).unwrap_or_default(),
            ))
        } else {
            Err(Reason::LineTooLong)
        }
    }

    /// Judges the first bytes of a head; more of them may follow later.
    fn judge_opening(&self, line: &[u8]) -> Result<(), Reason> {
        match (self.opening, line) {
            (_, [])
            | (Opening::Request, [b'\r'] | [b'\r', b'\n', ..])
            | (Opening::Answer, [b'H', ..]) => Ok(()),
            (Opening::Request, [b'\r', ..]) => Err(Reason::BareCarriageReturn),
            (Opening::Request, [b'\n', ..]) => Err(Reason::BareLineFeed),
            (Opening::Request, [first, ..]) if is_token_byte(*first) => Ok(()),
            // A TLS record of the kind "handshake" (RFC 8446 5.1). No text begins with this byte.
            (Opening::Request, [0x16, ..]) => Err(Reason::TlsHello),
            (Opening::Request, _) => Err(Reason::NotHttp),
            (Opening::Answer, _) => Err(Reason::StatusLine),
        }
    }
}

/// The line without its CRLF.
fn without_end(line: Option<&[u8]>) -> Result<&[u8], Reason> {
    line.and_then(|line| line.strip_suffix(b"\r\n"))
        .ok_or(Reason::BareLineFeed)
}
