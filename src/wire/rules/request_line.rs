//! The request line: method, target, version (SPEC 2.1, RFC 9112 3).
//!
//! Origin-form only. Broken percent escapes and backslashes in the path are left to the path rules of SPEC 2.2; which
//! methods are wanted is left to the route.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::{MAX_METHOD, MAX_TARGET, Reason, TARGET, has_class, is_token_byte};

/// The longest request line that can still be good, its CRLF included.
pub(in crate::wire) const MAX_REQUEST_LINE: usize =
    MAX_METHOD + 1 + MAX_TARGET + " HTTP/1.1\r\n".len();

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: served without keep-alive.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Where the parts of a request line are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Parts {
    /// The method: from the line's start to here.
    pub(in crate::wire) method_end: usize,
    /// The target.
    pub(in crate::wire) target: Range<usize>,
    /// The version.
    pub(in crate::wire) version: Version,
}

/// Takes a whole request line, without its CRLF, apart. Method and target are measured but not yet judged, so that
/// this is cheap enough to be asked as soon as the line has arrived.
pub(in crate::wire) fn split(line: &[u8]) -> Result<Parts, Reason> {
    let method_end = memchr(b' ', line).ok_or(Reason::RequestLineParts)?;
    if method_end > MAX_METHOD {
        return Err(Reason::MethodTooLong);
    }
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

/// Why a request line is refused that is longer than [`MAX_REQUEST_LINE`], told from its first so many bytes alone:
/// the answer is the same whether the rest has arrived or not.
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

/// Judges a method: a token of up to [`MAX_METHOD`] bytes.
pub(in crate::wire) fn judge_method(method: &[u8]) -> Result<(), Reason> {
    if method.len() > MAX_METHOD {
        return Err(Reason::MethodTooLong);
    }
    if method.is_empty() {
        return Err(Reason::RequestLineParts);
    }
    if method.iter().all(|&byte| is_token_byte(byte)) {
        Ok(())
    } else {
        Err(Reason::MethodByte)
    }
}

/// Judges a target: origin-form (RFC 9112 3.2.1), bytes of RFC 3986 only, and a backslash in the path.
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
    // Off the common way: some byte is odd, and only backslashes before the first `?` are let through.
    let in_path = memchr2(b'?', b'#', target).unwrap_or(target.len());
    for (at, &byte) in target.iter().enumerate().skip(odd) {
        match byte {
            b'\\' if at < in_path => {}
            b'#' => return Err(Reason::TargetFragment),
            _ if has_class(byte, TARGET) => {}
            _ => return Err(Reason::TargetByte),
        }
    }
    Ok(())
}
