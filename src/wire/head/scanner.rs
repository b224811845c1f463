//! Finding the end of a head while it arrives (SPEC 2.1: limits, and what can be refused before the end is there).
//!
//! Judges only what is certain early: sizes, bare line feeds, and a beginning that is no HTTP/1 request, so that a TLS
//! greeting or an HTTP/0.9 request is not waited on. All else is judged once the head is complete.

use std::ops::Range;

use memchr::memchr_iter;

use crate::verdict::Refusal;
use crate::wire::rules::{Limits, MAX_EMPTY_LINES, MAX_LINE, Reason, is_token_byte, request_line};

/// Finds where a request head begins and ends. One for each request of a connection.
#[derive(Clone, Debug)]
pub struct HeadScanner(Scanner);

impl HeadScanner {
    /// A scanner that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self(Scanner::new(Opening::Request, limits))
    }

    /// Looks at what has arrived. `buf` is everything received of this request so far, and may go on into its body or
    /// the next request; bytes that were looked at are not looked at again.
    ///
    /// Returns the head's place in `buf` once it is complete: from its request line (empty lines before it are left
    /// out) to the end of its empty line. `None`: more is needed.
    ///
    /// # Errors
    /// As soon as it is certain: `uri_too_long`, `headers_too_large`, or `bad_request` for a bare line feed, for what
    /// cannot be the beginning of a request, and for too many empty lines. The answer is the same however the bytes
    /// were split.
    pub fn advance(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
        self.0.advance(buf).map_err(Refusal::from)
    }
}

/// What a head begins with.
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
    /// Where the request line or status line starts, as far as is known.
    start: usize,
    /// Where the line under way starts.
    line_start: usize,
    /// Up to where line feeds were looked for.
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

    /// As [`HeadScanner::advance`].
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

    /// Takes one whole line, which ends at `end`; whether it ends the head.
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

    /// Judges the line under way as far as `end`, whole or not: its first bytes, then its size and the head's. Which
    /// limit is named depends on which is reached first, not on how much has arrived.
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

    /// Judges the first bytes of a head, of which some may be missing still.
    fn judge_opening(&self, line: &[u8]) -> Result<(), Reason> {
        match (self.opening, line) {
            (_, [])
            | (Opening::Request, [b'\r'] | [b'\r', b'\n', ..])
            | (Opening::Answer, [b'H', ..]) => Ok(()),
            (Opening::Request, [b'\r', ..]) => Err(Reason::BareCarriageReturn),
            (Opening::Request, [b'\n', ..]) => Err(Reason::BareLineFeed),
            (Opening::Request, [first, ..]) if is_token_byte(*first) => Ok(()),
            (Opening::Request, _) => Err(Reason::NotHttp),
            (Opening::Answer, _) => Err(Reason::StatusLine),
        }
    }
}
