//! A JSON string as it is written in the body, and its decoding (RFC 8259 section 7; contract:
//! Envelope).
//!
//! The scanner has checked the grammar of the escapes. They are decoded here, and only decoding
//! shows whether a surrogate has its other half. Reading stops at a limit, so a string of a
//! megabyte costs no more than the limit.

use std::borrow::Cow;
use std::ops::Range;
use std::str::from_utf8;

const LONE_SURROGATE: &str =
    "the event id, type or account holds an escape that is half a character (lone surrogate)";

/// The text between the quotes of a string, with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'b> {
    // UTF-8: a string is judged before it is shown.
    raw: &'b [u8],
    escaped: bool,
}

impl<'b> Text<'b> {
    /// A string from the text between its quotes, which is UTF-8; `escaped` says whether `raw` holds
    /// a backslash.
    pub(super) fn new(raw: &'b [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The place of this string in the text in which it was found, its quotes included. `None` for
    /// another text.
    pub fn place_in(self, body: &[u8]) -> Option<Range<usize>> {
        let inside = place_of(self.raw, body)?;
        let place = inside.start.checked_sub(1)?..inside.end.checked_add(1)?;
        let quoted = body.get(place.clone())?;
        (quoted.starts_with(b"\"") && quoted.ends_with(b"\"")).then_some(place)
    }

    /// Whether this string is `other` after its escapes are decoded. A lone surrogate equals no
    /// character.
    pub fn is(self, other: &str) -> bool {
        if !self.escaped {
            return self.raw == other.as_bytes();
        }
        self.chars().eq(other.chars().map(Some))
    }

    /// Whether this string is `other` after its escapes are decoded, but for case: under simple
    /// Unicode case folding, as Go's decoder compares keys.
    #[inline]
    pub fn is_but_for_case(self, other: &str) -> bool {
        // Most keys of a body differ from the key in question in their first letter already.
        if let (Some(own), Some(first)) = (self.raw.first(), other.as_bytes().first())
            && own.is_ascii()
            && first.is_ascii()
            && *own != b'\\'
            && (own ^ first) & !CASE != 0
        {
            return false;
        }
        !self.escaped && self.raw == other.as_bytes() || self.folds_to(other)
    }

    fn folds_to(self, other: &str) -> bool {
        if !self.escaped && other.is_ascii() && self.raw.is_ascii() {
            return self.raw.eq_ignore_ascii_case(other.as_bytes());
        }
        let own = self.chars().map(|c| c.map(folded));
        own.eq(other.chars().map(|c| Some(folded(c))))
    }

    /// Decodes as many whole characters as fit into `max` bytes. Returns them, and whether they are
    /// the whole string.
    ///
    /// # Errors
    /// A lone surrogate among the characters that were read: parsers disagree about its meaning.
    pub fn read(self, max: usize) -> Result<(String, bool), &'static str> {
        let (text, is_whole) = self.decoded(max)?;
        Ok((text.into_owned(), is_whole))
    }

    /// As [`read`](Self::read), without a copy of a string that has no escapes.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn decoded(self, max: usize) -> Result<(Cow<'b, str>, bool), &'static str> {
        if !self.escaped {
            let kept = whole_characters(self.raw, max);
            let text = from_utf8(kept).unwrap_or_default();
            return Ok((text.into(), kept.len() == self.raw.len()));
        }
        let mut out = String::with_capacity(self.raw.len().min(max));
        for c in self.chars() {
            let c = c.ok_or(LONE_SURROGATE)?;
            if out.len() + c.len_utf8() > max {
                return Ok((out.into(), false));
            }
            out.push(c);
        }
        Ok((out.into(), true))
    }

    fn chars(self) -> Unescaped<'b> {
        Unescaped(self.raw)
    }
}

/// The bit by which a capital letter of ASCII differs from the small letter.
const CASE: u8 = 0x20;

/// The character that stands for all characters of the same simple case folding (Unicode's
/// CaseFolding.txt, the statuses C and S).
fn folded(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // The dotless i folds to itself, although its capital letter is an ASCII letter.
        'ı' => return c,
        // Pairs that the upper-case letters of single characters do not show.
        '\u{1fd3}' => return '\u{390}',
        '\u{1fe3}' => return '\u{3b0}',
        '\u{fb05}' => return '\u{fb06}',
        _ => {}
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The only item of an iterator; `None` if there are more.
fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    first.filter(|_| chars.next().is_none())
}

/// The place of `part` in the text in which it was found; `None` for another text.
pub(crate) fn place_of(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    (whole.get(place.clone())? == part).then_some(place)
}

/// As many whole characters of `text` as fit into `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let kept = whole_characters(text.as_bytes(), max).len();
    text.get(..kept).unwrap_or_default()
}

/// As many whole characters of `text`, which is UTF-8, as fit into `max` bytes.
fn whole_characters(text: &[u8], max: usize) -> &[u8] {
    let mut end = text.len().min(max);
    // The first byte that is left out must not be a later byte of a character.
    while text
        .get(end)
        .is_some_and(|byte| (0x80..0xc0).contains(byte))
    {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// The characters of a string, with escapes decoded. The item `None` is a lone surrogate.
struct Unescaped<'b>(&'b [u8]);

impl Iterator for Unescaped<'_> {
    type Item = Option<char>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.0.first()?;
        if first == b'\\' {
            self.0 = self.0.get(1..)?;
            return Some(self.escape());
        }
        let length = match first {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let (character, behind) = self.0.split_at_checked(length)?;
        self.0 = behind;
        from_utf8(character).ok()?.chars().next().map(Some)
    }
}

impl Unescaped<'_> {
    /// Decodes the escape after a backslash; `None` for a lone surrogate.
    fn escape(&mut self) -> Option<char> {
        let (kind, behind) = self.0.split_first()?;
        self.0 = behind;
        match kind {
            b'b' => Some('\u{8}'),
            b'f' => Some('\u{c}'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            b'u' => {
                let first = unit(&mut self.0)?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                let mut ahead = self.0.strip_prefix(br"\u")?;
                let second = unit(&mut ahead).filter(|unit| (0xdc00..0xe000).contains(unit))?;
                self.0 = ahead;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            }
            itself => Some(char::from(*itself)),
        }
    }
}

/// The four hexadecimal digits of a UTF-16 unit, as a number.
fn unit(text: &mut &[u8]) -> Option<u32> {
    let (digits, behind) = text.split_first_chunk::<4>()?;
    *text = behind;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)?)
    })
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
            let text = Text::new(raw.as_bytes(), raw.contains('\\'));
            assert_eq!(text.read(100), Ok((plain.to_owned(), true)), "{raw}");
            assert!(text.is(plain), "{raw}");
            assert!(!text.is(&format!("{plain}x")), "{raw}");
        }
    }

    #[test]
    fn keys_that_differ_in_case_alone_are_the_same_but_for_case() {
        let rows = [
            ("event_id", "event_id", true),
            ("EVENT_ID", "event_id", true),
            ("event_id", "Event_Id", true),
            (r"\u0045vent_id", "event_id", true),
            ("meſſageId", "messageId", true),
            (r"me\u017f\u017fageId", "messageId", true),
            ("\u{212a}ind", "kind", true),
            (r"\u212Aind", "kind", true),
            ("ÄÖ", "äö", true),
            ("ΣΑΣ", "σας", true),
            ("ẞ", "ß", true),
            ("\u{1fd3}\u{fb05}", "\u{390}\u{fb06}", true),
            ("İd", "id", false),
            ("ıd", "id", false),
            ("event-id", "event_id", false),
            ("event_id ", "event_id", false),
            ("event_i", "event_id", false),
            ("ss", "ß", false),
            (r"\ud800", "\u{fffd}", false),
        ];
        for (raw, key, expected) in rows {
            let text = Text::new(raw.as_bytes(), raw.contains('\\'));
            assert_eq!(text.is_but_for_case(key), expected, "{raw} {key}");
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
            let text = Text::new(raw.as_bytes(), true);
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
            let text = Text::new(raw.as_bytes(), raw.contains('\\'));
            assert_eq!(text.read(6), Ok(("ab😀".to_owned(), true)), "{raw}");
            assert_eq!(text.read(5), Ok(("ab".to_owned(), false)), "{raw}");
            assert_eq!(text.read(0), Ok((String::new(), false)), "{raw}");
        }
        assert_eq!(cut("é", 1), "");
        assert_eq!(cut("aé", 3), "aé");
    }
}
