//! The rules for the request line: method, target, version (RFC 9112 3; contract: Head).
//!
//! The target must be in origin-form. Broken percent escapes and backslashes in the path are judged
//! by the rules for paths (contract: Route), and the set of allowed methods belongs to the route.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::{MAX_METHOD, MAX_TARGET, QUERY, Reason, TARGET, has_class, is_token_byte};

/// The longest request line that can be good, its CRLF included.
pub(in crate::wire) const MAX_REQUEST_LINE: usize =
    MAX_METHOD + 1 + MAX_TARGET + " HTTP/1.1\r\n".len();

/// The protocol version of a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: served without keep-alive.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2, which has no request line: its requests come as names and values.
    Http2,
}

/// The places of the parts of a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Parts {
    /// The end of the method, which begins with the line.
    pub(in crate::wire) method_end: usize,
    /// The range of the target.
    pub(in crate::wire) target: Range<usize>,
    /// The version that the line names.
    pub(in crate::wire) version: Version,
}

/// Divides a whole request line, without its CRLF, into its parts. The lengths of method and target
/// are judged, but not yet their bytes, so this is cheap enough for the scanner to call as soon as
/// the line has arrived.
pub(in crate::wire) fn split(line: &[u8]) -> Result<Parts, Reason> {
    // The longest method, and a space behind it.
    let longest = line.get(..=MAX_METHOD).unwrap_or(line);
    let Some(method_end) = longest.iter().position(|&byte| byte == b' ') else {
        return Err(match memchr(b' ', line) {
            Some(_) => Reason::MethodTooLong,
            None => Reason::RequestLineParts,
        });
    };
    let start = method_end + 1;
    let rest = line.get(start..).unwrap_or_default();
    let (target, version) = if let Some(target) = rest.strip_suffix(b" HTTP/1.1") {
        (target, Version::Http11)
    } else if let Some(target) = rest.strip_suffix(b" HTTP/1.0") {
        (target, Version::Http10)
    } else {
        return Err(if memchr(b' ', rest).is_some() {
            Reason::UnknownVersion
        } else {
            Reason::RequestLineParts
        });
    };
    if target.len() > MAX_TARGET {
        return Err(Reason::TargetTooLong);
    }
    Ok(Parts {
        method_end,
        target: start..start + target.len(),
        version,
    })
}

/// The reason to refuse a request line that is longer than [`MAX_REQUEST_LINE`]. `beginning` is
/// that many bytes of it, so the reason is the same whether the rest has arrived or not.
pub(in crate::wire) fn overlong(beginning: &[u8]) -> Reason {
    match memchr(b' ', beginning) {
        Some(method_end) if method_end <= MAX_METHOD => {
            let target = beginning.get(method_end + 1..).unwrap_or_default();
            let longest = target.get(..=MAX_TARGET).unwrap_or(target);
            if memchr(b' ', longest).is_none() {
                Reason::TargetTooLong
            } else {
                Reason::RequestLineParts
            }
        }
        _ => Reason::MethodTooLong,
    }
}

/// A method. The usual methods need no look at the head's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Method {
    /// One of the methods that most requests have.
    Usual(&'static str),
    /// A method of this many bytes, with which the head begins.
    Other(usize),
}

impl Method {
    /// Judges a method: it must be a token of up to [`MAX_METHOD`] bytes.
    #[inline]
    pub(in crate::wire) fn judge(method: &[u8]) -> Result<Self, Reason> {
        match method {
            b"POST" => Ok(Self::Usual("POST")),
            b"GET" => Ok(Self::Usual("GET")),
            b"HEAD" => Ok(Self::Usual("HEAD")),
            b"PUT" => Ok(Self::Usual("PUT")),
            [] => Err(Reason::RequestLineParts),
            other if other.len() > MAX_METHOD => Err(Reason::MethodTooLong),
            other if other.iter().all(|&byte| is_token_byte(byte)) => Ok(Self::Other(other.len())),
            _ => Err(Reason::MethodByte),
        }
    }
}

/// Judges a target: it must be in origin-form (RFC 9112 3.2.1) and made of bytes that RFC 3986
/// allows. Backslashes pass in the path, where the rules for paths judge them. A query, which picks
/// no route, may also hold ``[ ] { } | \ ^`` and the backtick, which many senders do not escape.
pub(in crate::wire) fn judge_target(target: &[u8]) -> Result<(), Reason> {
    if target.len() > MAX_TARGET {
        return Err(Reason::TargetTooLong);
    }
    if target.first() != Some(&b'/') {
        return Err(Reason::NotOriginForm);
    }
    let Some(odd) = target.iter().position(|&byte| !has_class(byte, TARGET)) else {
        return Ok(());
    };
    // Some byte is not allowed in a target. Backslashes pass before the first `?`, and a few more
    // bytes behind it.
    let in_path = memchr2(b'?', b'#', target).unwrap_or(target.len());
    for (at, &byte) in target.iter().enumerate().skip(odd) {
        match byte {
            b'\\' if at < in_path => {}
            _ if at > in_path && has_class(byte, QUERY) => {}
            b'#' => return Err(Reason::TargetFragment),
            _ if has_class(byte, TARGET) => {}
            _ => return Err(Reason::TargetByte),
        }
    }
    Ok(())
}
