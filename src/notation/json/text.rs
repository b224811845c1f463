//! A JSON string as it is written in the body, and its decoding (RFC 8259 section 7; contract:
//! Envelope).
//!
//! The scanner has checked the grammar of the escapes. They are decoded here, and only decoding
//! shows whether a surrogate has its other half. Reading stops at a limit, so a string of a
//! megabyte costs no more than the limit.

use std::str::Chars;

const LONE_SURROGATE: &str =
    "the event id, type or account holds an escape that is half a character (lone surrogate)";

/// The text between the quotes of a string, with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'b> {
    raw: &'b str,
    escaped: bool,
}

impl<'b> Text<'b> {
    /// A string from the text between its quotes; `escaped` says whether `raw` holds a backslash.
    pub(crate) fn new(raw: &'b str, escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// Whether this string is `other` after its escapes are decoded. A lone surrogate equals no
    /// character.
    pub fn is(self, other: &str) -> bool {
        if !self.escaped {
            return self.raw == other;
        }
        self.chars().eq(other.chars().map(Some))
    }

    /// Decodes as many whole characters as fit into `max` bytes. Returns them, and whether they are
    /// the whole string.
    ///
    /// # Errors
    /// A lone surrogate among the characters that were read: parsers disagree about its meaning.
    pub fn read(self, max: usize) -> Result<(String, bool), &'static str> {
        if !self.escaped {
            let kept = cut(self.raw, max);
            return Ok((kept.to_owned(), kept.len() == self.raw.len()));
        }
        let mut out = String::with_capacity(self.raw.len().min(max));
        for c in self.chars() {
            let c = c.ok_or(LONE_SURROGATE)?;
            if out.len() + c.len_utf8() > max {
                return Ok((out, false));
            }
            out.push(c);
        }
        Ok((out, true))
    }

    fn chars(self) -> Unescaped<'b> {
        Unescaped(self.raw.chars())
    }
}

/// As many whole characters of `text` as fit into `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    (0..=max)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

/// The characters of a string, with escapes decoded. The item `None` is a lone surrogate.
struct Unescaped<'b>(Chars<'b>);

impl Iterator for Unescaped<'_> {
    type Item = Option<char>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.next()? {
            '\\' => Some(self.escape()),
            c => Some(Some(c)),
        }
    }
}

impl Unescaped<'_> {
    /// Decodes the escape after a backslash; `None` for a lone surrogate.
    fn escape(&mut self) -> Option<char> {
        match self.0.next()? {
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let first = unit(&mut self.0)?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                let mut ahead = self.0.clone();
                if (ahead.next(), ahead.next()) != (Some('\\'), Some('u')) {
                    return None;
                }
                let second = unit(&mut ahead).filter(|unit| (0xdc00..0xe000).contains(unit))?;
                self.0 = ahead;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            }
            itself => Some(itself),
        }
    }
}

/// The four hexadecimal digits of a UTF-16 unit, as a number.
fn unit(chars: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let rows = [
            ("plain", "plain"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9\u2028\uFFFF", "Aé\u{2028}\u{ffff}"),
            (r"\ud83d\uDE00!", "😀!"),
            ("é\\u0301", "é\u{301}"),
        ];
        for (raw, plain) in rows {
            let text = Text::new(raw, raw.contains('\\'));
            assert_eq!(text.read(100), Ok((plain.to_owned(), true)), "{raw}");
            assert!(text.is(plain), "{raw}");
            assert!(!text.is(&format!("{plain}x")), "{raw}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_refused_and_equals_nothing() {
        for raw in [
            r"\ud800",
            r"x\udfff",
            r"\ud800x",
            r"\ud800\n",
            r"\ud800\ud800",
            r"\udc00\ud800",
            r"\ud83d\u0041",
        ] {
            let text = Text::new(raw, true);
            assert_eq!(text.read(100), Err(LONE_SURROGATE), "{raw}");
            assert!(
                !text.is("\u{fffd}") && !text.is("x") && !text.is(""),
                "{raw}"
            );
        }
    }

    #[test]
    fn reading_stops_before_the_character_that_does_not_fit() {
        for raw in ["ab😀", r"ab\ud83d\ude00"] {
            let text = Text::new(raw, raw.contains('\\'));
            assert_eq!(text.read(6), Ok(("ab😀".to_owned(), true)), "{raw}");
            assert_eq!(text.read(5), Ok(("ab".to_owned(), false)), "{raw}");
            assert_eq!(text.read(0), Ok((String::new(), false)), "{raw}");
        }
        assert_eq!(cut("é", 1), "");
        assert_eq!(cut("aé", 3), "aé");
    }
}
