//! The search for the end of a head while it arrives (contract: Head).
//!
//! Judged this early are limits, bare line feeds, and a request line or first bytes that cannot
//! begin an HTTP/1 message. So a TLS greeting or an HTTP/0.9 request is refused at once, without
//! waiting for more bytes. The other rules are applied to the complete head.

use std::ops::Range;

use memchr::memchr_iter;

use crate::verdict::Refusal;
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
    /// The end of the bytes that were already searched for line feeds.
    scanned: usize,
    empty_lines: usize,
    fields: usize,
    opened: bool,
}

impl Scanner {
    pub(in crate::wire) fn new(opening: Opening, limits: Limits) -> Self {
        Self {
            opening,
            limits,
            start: 0,
            line_start: 0,
            scanned: 0,
            empty_lines: 0,
            fields: 0,
            opened: false,
        }
    }

    /// Does the work of [`HeadScanner::advance`], and gives the reason instead of a refusal.
    pub(in crate::wire) fn advance(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, Reason> {
        let from = self.scanned;
        for line_feed in memchr_iter(b'\n', buf.get(from..).unwrap_or_default()) {
            let end = from + line_feed + 1;
            if self.line(buf, end)? {
                return Ok(Some(self.start..end));
            }
            self.line_start = end;
            self.scanned = end;
        }
        self.judge_growth(buf, buf.len())?;
        self.scanned = self.scanned.max(buf.len());
        Ok(None)
    }

    /// Judges the whole line that ends at `end`. Returns whether it ends the head.
    fn line(&mut self, buf: &[u8], end: usize) -> Result<bool, Reason> {
        self.judge_growth(buf, end)?;
        let line = buf.get(self.line_start..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r\n").ok_or(Reason::BareLineFeed)?;
        if self.opened {
            if line.is_empty() {
                return Ok(true);
            }
            self.fields += 1;
            if self.fields > self.limits.max_headers {
                return Err(Reason::TooManyLines);
            }
        } else if line.is_empty() {
            self.empty_lines += 1;
            if self.empty_lines > MAX_EMPTY_LINES {
                return Err(Reason::TooManyEmptyLines);
            }
            self.start = end;
        } else {
            if self.opening == Opening::Request {
                request_line::split(line)?;
            }
            self.opened = true;
        }
        Ok(false)
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
