//! The grammar of `Host`: a name or an address, and an optional port (RFC 9110 7.2; contract:
//! Head).
//!
//! It is stricter than RFC 3986. Escapes and the delimiters `!$&'()*+,;=` are refused: no host that
//! can be looked up holds them, and a comma could be read as a list. An IPv6 address needs its
//! brackets and has no zone. Which hosts are served is decided by routing.

use std::net::Ipv6Addr;

use super::{Reason, UNRESERVED, has_class};

/// The index at which the name ends in a `Host` value that has been judged: before the port, and
/// after the brackets of an address.
pub(in crate::wire) fn name_end(host: &str) -> usize {
    let bracket = if host.starts_with('[') {
        host.find(']').unwrap_or(0)
    } else {
        0
    };
    host.bytes()
        .skip(bracket)
        .position(|byte| byte == b':')
        .map_or(host.len(), |at| bracket + at)
}

/// Judges the value of a `Host` line.
pub(in crate::wire) fn judge(host: &[u8]) -> Result<(), Reason> {
    is_good(host).then_some(()).ok_or(Reason::MalformedHost)
}

fn is_good(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let (name, port) = host.split_at_checked(name_end(host)).unwrap_or((host, ""));
    is_name(name) && (port.is_empty() || is_port(port))
}

fn is_name(name: &str) -> bool {
    match name.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !name.is_empty() && name.bytes().all(|byte| has_class(byte, UNRESERVED)),
    }
}

/// Whether `port` is a colon and up to five digits that fit 16 bits. In `a:` the port is empty,
/// which RFC 3986 3.2.3 allows.
fn is_port(port: &str) -> bool {
    let digits = port.strip_prefix(':').unwrap_or(port);
    digits.len() <= 5
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.is_empty() || digits.parse::<u16>().is_ok())
}
