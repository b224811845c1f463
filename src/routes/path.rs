//! The test for ambiguous paths: could a receiver read this path as another path than the gateway
//! matched (contract: Route)?
//!
//! Under a prefix route the sender chooses the rest of the path, and the app may decode and
//! normalise bytes that the gateway matches as they are. So a path is refused if decoding or
//! normalising would change its meaning, and if it escapes a character that needs no escape (RFC
//! 3986 section 6.2.2.2). The gateway never forwards another path than it received: a path that
//! passes is forwarded exactly as it came. [`reading`] is for comparisons alone.

const NOT_ABSOLUTE: &str = "the path does not start with a slash";
const DOT_SEGMENT: &str = "the path holds a dot segment";
const EMPTY_SEGMENT: &str = "the path holds an empty segment";
const BACKSLASH: &str = "the path holds a backslash";
const PARAMETER: &str = "the path holds a semicolon, at which some servers cut it off";
const FOREIGN_BYTE: &str = "the path holds a byte that no path may hold unencoded";
const BROKEN_ESCAPE: &str =
    "the path holds a percent sign that is not followed by two hexadecimal digits";
const ENCODED_SEPARATOR: &str = "the path holds an encoded slash, backslash, dot or semicolon";
const ENCODED_CONTROL: &str = "the path holds an encoded control character";
const ENCODED_TWICE: &str = "the path holds a character that is percent-encoded twice";
const NOT_UTF8: &str = "the path holds percent-encoded bytes that are not UTF-8";
const ENCODED_PLAIN: &str =
    "the path holds a letter, digit, `-`, `_` or `~` that is percent-encoded without need";

/// The reason why `path` (without its query) is ambiguous under a prefix, in plain words; `None` if
/// it is not. A slash at the end is allowed.
pub fn ambiguity(path: &str) -> Option<&'static str> {
    judged(path, Escapes::Needed)
}

/// As [`ambiguity`] for the path of an exact route, which is compared byte for byte. It may hold
/// escapes without need, since the sender may write them.
pub(super) fn ambiguity_of_exact(path: &str) -> Option<&'static str> {
    judged(path, Escapes::Any)
}

/// The path as a lenient receiver may read it: decoded, and once more, a plus as a space, without
/// regard to ASCII case, and without a closing slash. Two paths with the same reading may reach the
/// same handler of an app.
pub(super) fn reading(path: &str) -> Vec<u8> {
    let mut bytes = decoded(&decoded(path.as_bytes()));
    for byte in &mut bytes {
        *byte = if *byte == b'+' {
            b' '
        } else {
            byte.to_ascii_lowercase()
        };
    }
    if bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    bytes
}

/// The escapes that a path may hold, as far as characters are concerned that need no escape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Any,
    Needed,
}

fn judged(path: &str, escapes: Escapes) -> Option<&'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Some(NOT_ABSOLUTE);
    };
    rest.contains("//")
        .then_some(EMPTY_SEGMENT)
        .or_else(|| ambiguous_segments(rest))
        .or_else(|| ambiguous_bytes(rest, escapes))
}

/// The bytes with each whole escape replaced by its byte.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%'
            && let [high, low, behind @ ..] = after
            && let Some(byte) = hex_pair(*high, *low)
        {
            out.push(byte);
            rest = behind;
        } else {
            out.push(*first);
        }
    }
    out
}

/// Whether the byte means the same with and without an escape (RFC 3986 section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a path may hold `byte` unencoded (RFC 3986 section 3.3). The percent sign, which begins
/// an escape, counts as allowed.
pub(super) fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

fn ambiguous_segments(rest: &str) -> Option<&'static str> {
    // The caller has searched `rest` for `//`. A slash at its start follows the path's first slash,
    // so there is an empty segment too.
    if rest.starts_with('/') {
        return Some(EMPTY_SEGMENT);
    }
    rest.split('/')
        .any(|segment| matches!(segment, "." | ".."))
        .then_some(DOT_SEGMENT)
}

fn ambiguous_bytes(rest: &str, escapes: Escapes) -> Option<&'static str> {
    let mut bytes = rest.as_bytes();
    // The last two bytes after decoding. A second decoding could take them for the `%` and the
    // first digit of an escape.
    let mut decoded = [0; 2];
    // The percent-encoded bytes of a character that is not complete yet.
    let mut partial = Utf8::default();
    while let [first, after @ ..] = bytes {
        let byte = match (*first, after) {
            (b'%', [high, low, after @ ..]) => {
                bytes = after;
                let Some(byte) = hex_pair(*high, *low) else {
                    return Some(BROKEN_ESCAPE);
                };
                match byte {
                    b'/' | b'\\' | b'.' | b';' => return Some(ENCODED_SEPARATOR),
                    0..0x20 | 0x7f => return Some(ENCODED_CONTROL),
                    _ => {}
                }
                if !partial.takes(byte) {
                    return Some(NOT_UTF8);
                }
                if escapes == Escapes::Needed && is_unreserved(byte) {
                    return Some(ENCODED_PLAIN);
                }
                byte
            }
            (b'%', _) => return Some(BROKEN_ESCAPE),
            (b'\\', _) => return Some(BACKSLASH),
            (b';', _) => return Some(PARAMETER),
            (byte, after) => {
                bytes = after;
                if !is_path_byte(byte) {
                    return Some(FOREIGN_BYTE);
                }
                if !partial.is_complete() {
                    return Some(NOT_UTF8);
                }
                byte
            }
        };
        // A decoded `%` can only come from an escape, so a receiver that decodes a second time
        // would decode these three bytes again.
        if let [b'%', high] = decoded
            && let Some(twice) = hex_pair(high, byte)
            && (matches!(twice, b'/' | b'\\' | b'.' | b';' | b'%' | 0..0x20 | 0x7f..)
                || (escapes == Escapes::Needed && is_unreserved(twice)))
        {
            return Some(ENCODED_TWICE);
        }
        decoded = [decoded[1], byte];
    }
    (!partial.is_complete()).then_some(NOT_UTF8)
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// The first bytes of a UTF-8 character that is not complete yet.
#[derive(Default)]
struct Utf8 {
    bytes: [u8; 4],
    len: usize,
}

impl Utf8 {
    fn is_complete(&self) -> bool {
        self.len == 0
    }

    /// Adds a byte; `false` if no UTF-8 character begins with these bytes.
    fn takes(&mut self, byte: u8) -> bool {
        let Some(next) = self.bytes.get_mut(self.len) else {
            return false;
        };
        *next = byte;
        self.len += 1;
        match std::str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()) {
            Ok(_) => self.len = 0,
            // An error without a length: further bytes could still complete the character.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_receivers_could_read_as_another_path_is_ambiguous() {
        let rows = [
            ("PA-01", "/hooks/../admin", DOT_SEGMENT),
            ("PA-01", "/hooks/./a", DOT_SEGMENT),
            ("PA-01", "/hooks/x/..", DOT_SEGMENT),
            ("PA-01", "/hooks/..", DOT_SEGMENT),
            ("PA-01", "/hooks/.", DOT_SEGMENT),
            ("PA-01", "/..", DOT_SEGMENT),
            ("PA-01", "/hooks/%2e%2e/x", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/%2E./x", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/.%2e/x", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/a%2ejson", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/a%2fb", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/a%2Fb", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/%5cx", ENCODED_SEPARATOR),
            ("PA-01", "/hooks/%5Cx", ENCODED_SEPARATOR),
            ("PA-02", "/hooks//a", EMPTY_SEGMENT),
            ("PA-02", "/hooks/a//", EMPTY_SEGMENT),
            ("PA-02", "//hooks/a", EMPTY_SEGMENT),
            ("PA-02", "//", EMPTY_SEGMENT),
            ("PA-02", r"/hooks/x\y", BACKSLASH),
            ("PA-02", "/hooks/a;v=1", PARAMETER),
            ("PA-02", "/hooks/..;/x", PARAMETER),
            ("PA-02", "/hooks/..%3b/x", ENCODED_SEPARATOR),
            ("PA-02", "/hooks/..%3B/x", ENCODED_SEPARATOR),
            ("PA-06", "/hooks/a%00", ENCODED_CONTROL),
            ("PA-06", "/hooks/%0d%0aX:", ENCODED_CONTROL),
            ("PA-06", "/hooks/%1F", ENCODED_CONTROL),
            ("PA-06", "/hooks/%7f", ENCODED_CONTROL),
            ("PA-06", "/hooks/%", BROKEN_ESCAPE),
            ("PA-06", "/hooks/%zz", BROKEN_ESCAPE),
            ("PA-06", "/hooks/%2", BROKEN_ESCAPE),
            ("PA-06", "/hooks/%2/x", BROKEN_ESCAPE),
            ("PA-06", "/hooks/%+1", BROKEN_ESCAPE),
            ("PA-06", "/hooks/%c0%ae%c0%ae/x", NOT_UTF8),
            ("PA-06", "/hooks/%e0%80%af", NOT_UTF8),
            ("PA-06", "/hooks/%ed%a0%80", NOT_UTF8),
            ("PA-06", "/hooks/%ff", NOT_UTF8),
            ("PA-06", "/hooks/%c3", NOT_UTF8),
            ("PA-06", "/hooks/%c3a", NOT_UTF8),
            ("PA-06", "/hooks/%c3%61", NOT_UTF8),
            ("PA-06", "/hooks/%c3a%a9", NOT_UTF8),
            ("PA-06", "/hooks/%f0%9f%98", NOT_UTF8),
            ("PA-06", "/hooks/%252e%252e/x", ENCODED_TWICE),
            ("PA-06", "/hooks/%252Fx", ENCODED_TWICE),
            ("PA-06", "/hooks/%255c", ENCODED_TWICE),
            ("PA-06", "/hooks/%253bx", ENCODED_TWICE),
            ("PA-06", "/hooks/%2500", ENCODED_TWICE),
            ("PA-06", "/hooks/%257f", ENCODED_TWICE),
            ("PA-06", "/hooks/%25c0%25ae", ENCODED_TWICE),
            ("PA-06", "/hooks/%25%32e", ENCODED_PLAIN),
            ("PA-06", "/hooks/%25%32%65", ENCODED_PLAIN),
            ("PA-06", "/hooks/%252%65", ENCODED_PLAIN),
            ("PA-06", "/hooks/%25252e", ENCODED_TWICE),
            ("PA-03", "/hooks/%61", ENCODED_PLAIN),
            ("PA-03", "/hooks/%5A", ENCODED_PLAIN),
            ("PA-03", "/hooks/%5a", ENCODED_PLAIN),
            ("PA-03", "/hooks/x/%30", ENCODED_PLAIN),
            ("PA-03", "/hooks/%7E", ENCODED_PLAIN),
            ("PA-03", "/hooks/%7e", ENCODED_PLAIN),
            ("PA-03", "/hooks/%2D", ENCODED_PLAIN),
            ("PA-03", "/hooks/%2d", ENCODED_PLAIN),
            ("PA-03", "/hooks/%5F", ENCODED_PLAIN),
            ("PA-03", "/hooks/%2561", ENCODED_TWICE),
            ("PA-03", "/hooks/%257E", ENCODED_TWICE),
            ("PA-03", "/hooks/%25%361", ENCODED_PLAIN),
            ("raw", "/hooks/a b", FOREIGN_BYTE),
            ("raw", "/hooks/é", FOREIGN_BYTE),
            ("raw", "/hooks/a?b", FOREIGN_BYTE),
            ("raw", "/hooks/a#b", FOREIGN_BYTE),
            ("raw", "/hooks/a\0", FOREIGN_BYTE),
            ("raw", "", NOT_ABSOLUTE),
            ("raw", "*", NOT_ABSOLUTE),
            ("raw", "hooks/a", NOT_ABSOLUTE),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, path, why)| ambiguity(path) != Some(why))
            .map(|row| (row, ambiguity(row.1)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_everybody_reads_alike_is_not_ambiguous() {
        let rows = [
            ("PA-04", "/hooks/a/"),
            ("PA-04", "/HOOKS/a"),
            ("plain", "/"),
            ("plain", "/hooks/.well-known/a..b/...x/..."),
            ("plain", "/hooks/a-b_c~d!$&'()*+,=:@"),
            ("plain", "/hooks/%20%c3%a9%e2%82%ac%f0%9f%98%80x"),
            ("plain", "/hooks/100%25"),
            ("plain", "/hooks/%25zz%2521"),
            ("plain", "/hooks/a%40b%2B%21%3A"),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, path)| ambiguity(path).is_some())
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_exact_path_may_hold_escapes_without_need() {
        for path in ["/hooks/%61", "/%7euser", "/a%2Db", "/%2561"] {
            assert!(ambiguity(path).is_some(), "{path}");
            assert_eq!(ambiguity_of_exact(path), None, "{path}");
        }
        for path in ["/a%2eb", "/%2f", "/a/../b", "/%252e"] {
            assert!(ambiguity_of_exact(path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_reading_has_neither_escapes_nor_case_nor_a_closing_slash() {
        let rows = [
            ("/", ""),
            ("/Hooks/A/", "/hooks/a"),
            ("/hooks/%41%2d%7E", "/hooks/a-~"),
            ("/a%40b+c%20d", "/a@b c d"),
            ("/%2541", "/a"),
            ("/100%25", "/100%"),
            ("/%C3%A9", "/é"),
        ];
        for (path, want) in rows {
            assert_eq!(reading(path), want.as_bytes(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(path in any::<String>()) {
            ambiguity(&path);
        }

        #[test]
        fn decoding_what_passes_changes_no_segment(
            path in "(/(a|\\.|%2[5eEfF]|%5c|%[0-9a-fA-F]{2}|%c3%a9|%25%?[0-9a-f]{2}|[a-c.;%/]){0,4}){1,4}",
        ) {
            if ambiguity(&path).is_none() {
                let once = String::from_utf8(decoded(path.as_bytes())).expect("UTF-8");
                prop_assert_eq!(once.split('/').count(), path.split('/').count());
                prop_assert!(!once.contains(['\\', ';']) && !once.chars().any(|c| c.is_ascii_control()));
                prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
                prop_assert!(!once.contains("//"));
            }
        }
    }
}
