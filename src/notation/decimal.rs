//! Decimal numbers and addresses, appended to a byte buffer.
//!
//! Written by hand because each request writes a dozen of them: no formatting machinery, no
//! allocation except the buffer's own.

use std::io::Write as _;
use std::net::IpAddr;

/// Appends a number, without leading zeros.
pub fn push_number(out: &mut Vec<u8>, value: u64) {
    // Nearly all numbers are this short, and a piece of fixed length is appended without a call.
    match value {
        0..=9 => out.extend_from_slice(&digits::<1>(value)),
        10..=99 => out.extend_from_slice(&digits::<2>(value)),
        100..=999 => out.extend_from_slice(&digits::<3>(value)),
        1000..=9999 => out.extend_from_slice(&digits::<4>(value)),
        _ => push_long(out, value),
    }
}

fn push_long(out: &mut Vec<u8>, mut value: u64) {
    // The longest u64 has twenty digits.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
        first -= 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// The last `N` decimal digits of `value`.
pub fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    digits
}

/// Appends an address, without port or brackets.
pub fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (place, octet) in v4.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                if octet >= 100 {
                    out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    out.push(b'0' + octet / 10 % 10);
                }
                out.push(b'0' + octet % 10);
            }
        }
        IpAddr::V6(v6) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_written_as_the_standard_library_writes_them() {
        let edges = (0..20).map(|zeros| 10_u64.pow(zeros));
        let edges = edges.flat_map(|edge| [edge - 1, edge, edge + 7]);
        for number in edges.chain([65_535, u64::MAX]) {
            let mut out = b"a: ".to_vec();
            push_number(&mut out, number);
            assert_eq!(out, format!("a: {number}").into_bytes());
        }
        for octet in 0..=u8::MAX {
            let mut out = Vec::new();
            push_address(&mut out, IpAddr::from([octet, 0, octet, 1]));
            assert_eq!(out, format!("{octet}.0.{octet}.1").into_bytes());
        }
        for text in ["203.0.113.9", "0.0.0.0", "2001:db8::1", "::ffff:10.0.0.1"] {
            let mut out = Vec::new();
            push_address(&mut out, text.parse().unwrap());
            assert_eq!(out, text.as_bytes());
        }
    }
}
