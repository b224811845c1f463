//! The values of an access-log line (contract: Access log), appended to a byte buffer: strings
//! escaped and cut, numbers, times.
//!
//! Written by hand because it runs for every field of every request: no formatting machinery, no
//! allocation except the buffer's own. It knows nothing of records; `access_log` says which value
//! belongs under which key.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::notation::decimal;
use crate::notation::decimal::push_number;

/// The number of characters that are kept of a value from the network.
pub(super) const KEPT_CHARACTERS: usize = 200;

/// `null`, for an absent value.
pub(super) fn push_null(line: &mut Vec<u8>) {
    line.extend_from_slice(b"null");
}

/// A JSON string of the first [`KEPT_CHARACTERS`] of `value`, cut before it is escaped.
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

/// A JSON string (RFC 8259, 7). Beyond the characters that JSON demands, every character that
/// [`is_shown_as_is`] denies is written as `\uXXXX`, so that a line stays whole and looks the same
/// in every viewer.
pub(super) fn push_text(line: &mut Vec<u8>, value: &str) {
    line.push(b'"');
    // A fold and not `all`: without an early end the compiler compares many bytes at once.
    let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if value
        .bytes()
        .fold(0, |others, byte| others | u8::from(!is_plain(byte)))
        == 0
    {
        line.extend_from_slice(value.as_bytes());
    } else {
        for character in value.chars() {
            push_character(line, character);
        }
    }
    line.push(b'"');
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

/// An address, as a string without port or brackets.
pub(super) fn push_address(line: &mut Vec<u8>, address: IpAddr) {
    line.push(b'"');
    decimal::push_address(line, address);
    line.push(b'"');
}

/// A moment as RFC 3339 in UTC with milliseconds, e.g. `"2026-01-31T23:59:59.999Z"`; `null` outside
/// the years 0000 to 9999, which are all that RFC 3339 can write.
pub(super) fn push_time(line: &mut Vec<u8>, time: UnixMillis) {
    const DAY: i64 = 86_400_000;
    // The days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the leap day is
    // the last day of its year.
    const EPOCH: i64 = 719_468;
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    // The days of a cycle of the calendar, 400 years.
    const CYCLE: u64 = 146_097;

    // A cycle is added here, and its 400 years are taken off again below, so that January and
    // February of the year 0 do not become negative.
    let days = time
        .0
        .div_euclid(DAY)
        .saturating_add(EPOCH)
        .saturating_add(146_097);
    let (Ok(days), Ok(millis)) = (u64::try_from(days), u64::try_from(time.0.rem_euclid(DAY)))
    else {
        return push_null(line);
    };
    if !(FIRST..=LAST).contains(&time.0) {
        return push_null(line);
    }
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
    let [h1, h2] = digits(millis / 3_600_000);
    let [mi1, mi2] = digits(millis / 60_000 % 60);
    let [s1, s2] = digits(millis / 1000 % 60);
    let [f1, f2, f3] = digits(millis % 1000);
    // All bytes are appended at once, because this runs twice for each line.
    line.extend_from_slice(&[
        b'"', y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1,
        s2, b'.', f1, f2, f3, b'Z', b'"',
    ]);
}

/// The last `N` decimal digits of `value`.
fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        push(&mut line);
        String::from_utf8(line).unwrap()
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
            .map(|(name, value, expected)| (name, written(|line| push_text(line, value)), expected))
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
                    serde_json::from_str(&written(|line| push_cut(line, &value))).unwrap();
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
        ];
        let failures: Vec<_> = rows
            .iter()
            .map(|(millis, expected)| {
                (
                    written(|line| push_time(line, UnixMillis(*millis))),
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
        assert_eq!(
            written(|line| push_address(line, "203.0.113.9".parse().unwrap())),
            r#""203.0.113.9""#
        );
        assert_eq!(
            written(|line| push_address(line, "2001:db8::1".parse().unwrap())),
            r#""2001:db8::1""#
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was_up_to_the_cut(value in any::<String>()) {
            let line = written(|line| push_cut(line, &value));
            let read: String = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read, value.chars().take(KEPT_CHARACTERS).collect::<String>());
            prop_assert!(line.chars().all(is_shown_as_is));
        }

        #[test]
        fn any_time_reads_as_another_reader_of_calendars_says(millis in -62_167_219_200_000_i64..=253_402_200_000_000) {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let found = written(|line| push_time(line, UnixMillis(millis)));
            prop_assert_eq!(found, format!("\"{expected:.3}\""));
        }
    }
}
