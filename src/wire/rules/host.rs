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
    let name_end = match host {
        [b'[', ..] => host
            .iter()
            .position(|&byte| byte == b']')
            .map_or(0, |bracket| bracket + 1),
        _ => host
            .iter()
            .position(|&byte| !has_class(byte, UNRESERVED))
            .unwrap_or(host.len()),
    };
    let (name, port) = host.split_at_checked(name_end).unwrap_or_default();
    is_name(name) && is_port(port)
}

/// Whether `name` is not empty and, in brackets, an address. All other bytes were judged.
fn is_name(name: &[u8]) -> bool {
    match name {
        [b'[', address @ .., b']'] => {
            std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        _ => !name.is_empty(),
    }
}

/// Whether `port` is empty, or a colon and up to five digits that fit 16 bits. In `a:` the port is
/// empty, which RFC 3986 3.2.3 allows.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => {
            let number = digits.iter().try_fold(0, |number: u32, byte| {
                byte.is_ascii_digit()
                    .then(|| number * 10 + u32::from(byte - b'0'))
                    .filter(|_| digits.len() <= 5)
            });
            number.is_some_and(|number| u16::try_from(number).is_ok())
        }
        _ => false,
    }
}
