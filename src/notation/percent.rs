//! Percent-encoding in the variants of common libraries, and decoding (RFC 3986 section 2.1, WHATWG
//! URL 5.2).

use std::fmt::Write as _;

/// A variant of percent-encoding: the characters that are kept beside letters and digits, and
/// whether a space becomes `+`.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    kept: &'static str,
    has_plus: bool,
}

/// The variants of browsers for forms, of Python's `quote_plus`, of RFC 3986, and of
/// `encodeURIComponent`.
pub(crate) const MANNERS: [Manner; 4] = [
    Manner {
        kept: "*-._",
        has_plus: true,
    },
    Manner {
        kept: "-._~",
        has_plus: true,
    },
    UNRESERVED,
    COMPONENT,
];

/// The variant of RFC 3986, which keeps its unreserved characters alone.
pub(crate) const UNRESERVED: Manner = Manner {
    kept: "-._~",
    has_plus: false,
};

/// The variant of `encodeURIComponent`.
pub(crate) const COMPONENT: Manner = Manner {
    kept: "-_.!~*'()",
    has_plus: false,
};

/// Escapes every byte that this variant does not keep.
pub(crate) fn encode(bytes: &[u8], manner: Manner) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 4);
    for byte in bytes {
        let c = char::from(*byte);
        if byte.is_ascii_alphanumeric() || (byte.is_ascii() && manner.kept.contains(c)) {
            out.push(c);
        } else if c == ' ' && manner.has_plus {
            out.push('+');
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes every escape, and `+` to a space if `has_plus`. A `%` that begins no escape is kept.
pub(crate) fn decode(bytes: &[u8], has_plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            (b'+', _) if has_plus => out.push(b' '),
            _ => out.push(*first),
        }
    }
    out
}

/// Rewrites every escape: `change` gets the byte of the escape and returns the text that replaces
/// it.
pub(crate) fn rewrite(text: &str, change: impl Fn(u8) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        match behind.as_bytes() {
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push_str(&change(digit(*high) << 4 | digit(*low)));
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = behind;
            }
        }
    }
    out + rest
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte.to_ascii_lowercase() - b'a') + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_again_in_every_manner() {
        let text = "a b+c/d=é&~*'%41".as_bytes();
        for manner in MANNERS {
            let encoded = encode(text, manner);
            assert_eq!(
                decode(encoded.as_bytes(), manner.has_plus),
                text,
                "{encoded}"
            );
        }
        assert_eq!(encode(b"a b~*", MANNERS[0]), "a+b%7E*");
        assert_eq!(encode(b"a b~*", MANNERS[2]), "a%20b~%2A");
    }

    #[test]
    fn a_percent_sign_that_begins_no_escape_stays() {
        assert_eq!(decode(b"%zz%4%41%", true), b"%zz%4A%");
        assert_eq!(
            rewrite("/%zz%c3%4", |byte| format!("%{byte:02X}")),
            "/%zz%C3%4"
        );
    }
}
