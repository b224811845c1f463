//! The values of an access-log line (contract: Access log), appended to a byte buffer: strings
//! escaped and cut, numbers, times.
//!
//! Written by hand because it runs for every field of every request: no formatting machinery, no
//! allocation except the buffer's own. It knows nothing of records; `line` says which value
//! belongs under which key.

use std::io::Write as _;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::notation::decimal::{digits, push_number};

/// The number of characters that are kept of a value from the network.
pub(super) const KEPT_CHARACTERS: usize = 200;

/// The inside of a JSON string of the first [`KEPT_CHARACTERS`] of `value`, cut before it is
/// escaped.
pub(super) fn push_cut(line: &mut Vec<u8>, value: &str) {
    // A text has at most as many characters as bytes, and nearly every value is this short.
    if value.len() <= KEPT_CHARACTERS {
        return push_text(line, value);
    }
    let end = value
        .char_indices()
        .nth(KEPT_CHARACTERS)
        .map_or(value.len(), |(at, _)| at);
    push_text(line, value.get(..end).unwrap_or_default());
}

/// The inside of a JSON string (RFC 8259, 7), without its quotation marks. Beyond the characters
/// that JSON demands, every character that [`is_shown_as_is`] denies is written as `\uXXXX`, so
/// that a line stays whole and looks the same in every viewer.
pub(super) fn push_text(line: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        line.extend_from_slice(value.as_bytes());
    } else {
        for character in value.chars() {
            push_character(line, character);
        }
    }
}

/// Whether all bytes are visible ASCII or spaces, and none has to be escaped.
fn is_plain(bytes: &[u8]) -> bool {
    let marks = if let Some(last) = bytes.last_chunk::<8>() {
        // The last eight bytes may overlap with the eight bytes before them, so that no byte is
        // looked at alone.
        let (eights, _) = bytes.as_chunks::<8>();
        let words = eights.iter().map(|eight| u64::from_le_bytes(*eight));
        words.fold(escaped(u64::from_le_bytes(*last)), |marks, word| {
            marks | escaped(word)
        })
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let halves = [*first, *last].map(|half| u64::from(u32::from_le_bytes(half)));
        escaped(halves[0] | halves[1] << 32)
    } else {
        bytes.iter().fold(0, |marks, byte| {
            marks
                | escaped(u64::from_le_bytes([
                    *byte, b' ', b' ', b' ', b' ', b' ', b' ', b' ',
                ]))
        })
    };
    marks == 0
}

/// Marks the bytes of a word that are not plain: the highest bit of such a byte is set. Bytes above
/// the lowest such byte may be marked by mistake, so that only zero says something of the word.
fn escaped(word: u64) -> u64 {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // Of a byte below 0x80, taking off n sets the highest bit if it is below n, and adding 1 sets
    // it if the byte is DEL. A byte that equals another is zero after the exclusive or.
    let (quote, backslash) = (word ^ all(b'"'), word ^ all(b'\\'));
    let marks = word
        | word.wrapping_sub(all(b' '))
        | word.wrapping_add(all(1))
        | quote.wrapping_sub(all(1))
        | backslash.wrapping_sub(all(1));
    marks & all(0x80)
}

fn push_character(line: &mut Vec<u8>, character: char) {
    match character {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        _ if is_shown_as_is(character) => {
            line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a Vec cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
}

/// Whether a character may appear in a log unescaped. Escaped are C0, DEL and C1 controls
/// (terminals act on them), line and paragraph separators (some readers end a line there),
/// bidirectional controls and characters without width (both can make a line look like another).
pub(super) fn is_shown_as_is(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A length of time in milliseconds, with three decimals.
pub(super) fn push_millis(line: &mut Vec<u8>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    push_number(line, micros / 1000);
    let [d1, d2, d3] = digits(micros % 1000);
    line.extend_from_slice(&[b'.', d1, d2, d3]);
}

/// A whole number that may be negative.
pub(super) fn push_signed(line: &mut Vec<u8>, value: i64) {
    if value < 0 {
        line.push(b'-');
    }
    push_number(line, value.unsigned_abs());
}

/// A length of time in whole microseconds, rounded.
pub(super) fn push_micros(line: &mut Vec<u8>, time: Duration) {
    let micros = time.saturating_add(Duration::from_nanos(500)).as_micros();
    push_number(line, u64::try_from(micros).unwrap_or(u64::MAX));
}

/// The beginning of a time as RFC 3339, up to the dot before its milliseconds: the text of a second,
/// kept because the next line most likely needs the same second.
#[derive(Debug)]
pub(super) struct Second {
    /// In seconds since the epoch.
    second: i64,
    text: [u8; 20],
}

impl Second {
    /// The first second of the epoch.
    pub(super) const EPOCH: Self = Self {
        second: 0,
        text: *b"1970-01-01T00:00:00.",
    };

    /// Appends a moment as RFC 3339 in UTC with milliseconds, in quotation marks, e.g.
    /// `"2026-01-31T23:59:59.999Z"`; `null` outside the years 0000 to 9999, which are all that RFC
    /// 3339 can write.
    pub(super) fn push_time(&mut self, line: &mut Vec<u8>, time: UnixMillis) {
        let second = time.0.div_euclid(1000);
        if second != self.second {
            let Some(text) = text_of(second) else {
                return line.extend_from_slice(b"null");
            };
            *self = Self { second, text };
        }
        let [f1, f2, f3] = digits(time.0.rem_euclid(1000).unsigned_abs());
        line.push(b'"');
        line.extend_from_slice(&self.text);
        line.extend_from_slice(&[f1, f2, f3, b'Z', b'"']);
    }
}

/// A second since the epoch as RFC 3339, up to the dot before the milliseconds; `None` outside the
/// years 0000 to 9999.
fn text_of(second: i64) -> Option<[u8; 20]> {
    const DAY: i64 = 86_400;
    // The days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the leap day is
    // the last day of its year.
    const EPOCH: i64 = 719_468;
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    // The days of a cycle of the calendar, 400 years.
    const CYCLE: u64 = 146_097;

    if !(FIRST..=LAST).contains(&second) {
        return None;
    }
    // A cycle is added here, and its 400 years are taken off again below, so that January and
    // February of the year 0 do not become negative.
    let days = u64::try_from(second.div_euclid(DAY) + EPOCH + 146_097).ok()?;
    let of_day = second.rem_euclid(DAY).unsigned_abs();
    let day_of_cycle = days % CYCLE;
    // The leap days before this day are taken out, so that every year has 365 days.
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // The five months from March to July have 153 days together, and so have the five from August
    // to December, in the same order of lengths.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = days / CYCLE * 400 + year_of_cycle + u64::from(month <= 2);

    let [y1, y2, y3, y4] = digits(year.saturating_sub(400));
    let [mo1, mo2] = digits(month);
    let [d1, d2] = digits(day);
    let [h1, h2] = digits(of_day / 3600);
    let [mi1, mi2] = digits(of_day / 60 % 60);
    let [s1, s2] = digits(of_day % 60);
    Some([
        y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2,
        b'.',
    ])
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        push(&mut line);
        String::from_utf8(line).unwrap()
    }

    fn quoted(push: impl FnOnce(&mut Vec<u8>)) -> String {
        format!("\"{}\"", written(push))
    }

    #[test]
    fn what_could_mislead_a_reader_is_escaped_and_the_rest_is_not() {
        let rows = [
            ("plain", "evt_1-2.3/x y", r#""evt_1-2.3/x y""#),
            ("empty", "", r#""""#),
            (
                "injection",
                "a\n{\"verdict\":\"valid\"}",
                r#""a\u000a{\"verdict\":\"valid\"}""#,
            ),
            ("backslash", r"a\b", r#""a\\b""#),
            ("escape and DEL", "\x1b[2J\x7f", r#""\u001b[2J\u007f""#),
            ("C1", "\u{85}\u{9b}", r#""\u0085\u009b""#),
            ("separators", "\u{2028}\u{2029}", r#""\u2028\u2029""#),
            (
                "bidi",
                "\u{202e}\u{2066}\u{200f}\u{61c}",
                r#""\u202e\u2066\u200f\u061c""#,
            ),
            ("no width", "\u{200b}\u{feff}", r#""\u200b\ufeff""#),
            ("tags, as a pair", "\u{e0041}", r#""\udb40\udc41""#),
            ("letters", "Größe 数 🎈", "\"Größe 数 🎈\""),
        ];
        let failures: Vec<_> = rows
            .iter()
            .map(|(name, value, expected)| (name, quoted(|line| push_text(line, value)), expected))
            .filter(|(_, found, expected)| found != *expected)
            .collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_value_is_cut_at_200_characters_whatever_their_length() {
        for (character, name) in [
            ('a', "ascii"),
            ('é', "two bytes"),
            ('🎈', "four bytes"),
            ('\n', "escaped"),
        ] {
            for length in [199, 200, 201, 5000] {
                let value: String = std::iter::repeat_n(character, length).collect();
                let read: String =
                    serde_json::from_str(&quoted(|line| push_cut(line, &value))).unwrap();
                assert_eq!(read.chars().count(), length.min(200), "{name} {length}");
            }
        }
    }

    #[test]
    fn times_are_rfc_3339_and_null_where_that_has_no_word() {
        let rows = [
            (0, r#""1970-01-01T00:00:00.000Z""#),
            (-1, r#""1969-12-31T23:59:59.999Z""#),
            (951_782_400_000, r#""2000-02-29T00:00:00.000Z""#),
            (1_709_251_199_999, r#""2024-02-29T23:59:59.999Z""#),
            (4_107_542_400_000, r#""2100-03-01T00:00:00.000Z""#),
            (-62_167_219_200_000, r#""0000-01-01T00:00:00.000Z""#),
            (-62_167_219_200_001, "null"),
            (253_402_300_799_999, r#""9999-12-31T23:59:59.999Z""#),
            (253_402_300_800_000, "null"),
            (i64::MIN, "null"),
            (i64::MAX, "null"),
            (1_709_251_199_001, r#""2024-02-29T23:59:59.001Z""#),
        ];
        let mut second = Second::EPOCH;
        let failures: Vec<_> = rows
            .iter()
            .map(|(millis, expected)| {
                (
                    written(|line| second.push_time(line, UnixMillis(*millis))),
                    expected,
                )
            })
            .filter(|(found, expected)| found != *expected)
            .collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn numbers_keep_their_decimals() {
        assert_eq!(written(|line| push_number(line, 0)), "0");
        assert_eq!(
            written(|line| push_number(line, u64::MAX)),
            "18446744073709551615"
        );
        assert_eq!(
            written(|line| push_millis(line, Duration::from_micros(12_005))),
            "12.005"
        );
        assert_eq!(written(|line| push_millis(line, Duration::ZERO)), "0.000");
        assert_eq!(
            written(|line| push_millis(line, Duration::MAX)),
            "18446744073709551.615"
        );
        assert_eq!(
            written(|line| push_micros(line, Duration::from_nanos(2_500))),
            "3"
        );
        assert_eq!(
            written(|line| push_micros(line, Duration::MAX)),
            "18446744073709551615"
        );
    }

    /// Mostly plain bytes, so that a long text may be plain as a whole.
    fn few_unlike_bytes() -> impl Strategy<Value = u8> {
        prop_oneof![20 => b' '..=b'~', 1 => any::<u8>()]
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was_up_to_the_cut(value in any::<String>()) {
            let line = quoted(|line| push_cut(line, &value));
            let read: String = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read, value.chars().take(KEPT_CHARACTERS).collect::<String>());
            prop_assert!(line.chars().all(is_shown_as_is));
        }

        #[test]
        fn any_time_reads_as_another_reader_of_calendars_says(millis in -62_167_219_200_000_i64..=253_402_200_000_000) {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let mut second = Second::EPOCH;
            // The second time the text of the second is kept from the first.
            for _ in 0..2 {
                let found = written(|line| second.push_time(line, UnixMillis(millis)));
                prop_assert_eq!(found, format!("\"{expected:.3}\""));
            }
        }

        #[test]
        fn a_text_is_written_as_if_each_character_were_looked_at(value in "[ -~é\u{1}\u{200b}]{0,40}") {
            let mut expected = Vec::new();
            value.chars().for_each(|character| push_character(&mut expected, character));
            prop_assert_eq!(written(|line| push_text(line, &value)).into_bytes(), expected);
        }

        #[test]
        fn bytes_are_plain_together_if_each_of_them_is(bytes in vec(few_unlike_bytes(), 0..40)) {
            let is_plain_alone = |byte: &u8| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte);
            prop_assert_eq!(is_plain(&bytes), bytes.iter().all(is_plain_alone));
        }
    }
}
