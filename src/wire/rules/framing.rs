//! The rules for `Content-Length`, `Transfer-Encoding` and `Connection`: where a body ends, and
//! whether the connection stays open (RFC 9112 6.3 and 9.3; contract: Head).
//!
//! They are the same for requests and responses. The route's limit for the length of a body is
//! applied elsewhere.

use super::fields::Field;
use super::names::KnownName;
use super::request_line::Version;
use super::{Reason, fields};

/// The framing of a body, as the lines of its head announce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The head announces neither a length nor chunks. A request has no body then; the body of a
    /// response ends with the connection.
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`, or a body of HTTP/2 without a `content-length`. Its length shows
    /// only at its end.
    Chunked,
}

/// The framing and persistence that the lines read so far announce.
#[derive(Debug, Default)]
pub(in crate::wire) struct FramingLines {
    length: Option<u64>,
    chunked: bool,
    close: bool,
}

impl FramingLines {
    /// Takes account of a field. Refuses a malformed or repeated framing line, and a name that
    /// could be mistaken for a framing line's, whether the real name is there or not (SM-05).
    pub(in crate::wire) fn see(&mut self, field: &Field, value: &[u8]) -> Result<(), Reason> {
        match field.known() {
            KnownName::Connection if field.is(KnownName::Connection) => {
                self.close |=
                    fields::members(value).any(|member| member.eq_ignore_ascii_case(b"close"));
            }
            KnownName::ContentLength if field.is(KnownName::ContentLength) => {
                let length = content_length(value).ok_or(Reason::MalformedLength)?;
                if self.length.replace(length).is_some() {
                    return Err(Reason::SecondLength);
                }
            }
            KnownName::TransferEncoding if field.is(KnownName::TransferEncoding) => {
                if self.chunked {
                    return Err(Reason::SecondCoding);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reason::UnknownCoding);
                }
                self.chunked = true;
            }
            KnownName::ContentLength | KnownName::TransferEncoding => {
                return Err(Reason::FramingAlias);
            }
            _ => {}
        }
        Ok(())
    }

    /// The framing, after the last line was seen.
    pub(in crate::wire) fn framing(&self, version: Version) -> Result<Framing, Reason> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Reason::LengthBesideChunked),
            (None, true) if version == Version::Http10 => Err(Reason::ChunkedBeforeHttp11),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::None),
        }
    }

    /// Whether the connection may stay open: the version is HTTP/1.1, and no `Connection` line says
    /// `close`.
    pub(in crate::wire) fn keep_alive(&self, version: Version) -> bool {
        version == Version::Http11 && !self.close
    }
}

/// Reads a plain decimal number that fits 64 bits. Signs, lists and leading zeros are refused,
/// which is stricter than RFC 9110 8.6.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || (value.len() > 1 && value.first() == Some(&b'0')) {
        return None;
    }
    value.iter().try_fold(0_u64, |length, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}
