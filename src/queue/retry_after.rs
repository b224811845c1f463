//! `Retry-After` in an answer of the app (contract: Queue).

use std::time::Duration;

use super::delay::LONGEST_ASKED;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;

/// The delay that the text of `Retry-After` asks for (RFC 9110 10.2.3): seconds, or a date, which is
/// compared with `wall`. An hour at most; a date that has passed asks for no delay. `None` for any
/// other text, the two obsolete forms of a date included.
pub fn retry_after(text: &[u8], wall: UnixMillis) -> Option<Duration> {
    let text = text.trim_ascii();
    if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
        // A number too large for its type is a long delay.
        let seconds = text.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit.wrapping_sub(b'0')))
        });
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let at = Unit::HttpDate.parse(text)?;
    let ahead = at.0.saturating_sub(wall.0);
    let ahead = u64::try_from(ahead).unwrap_or(0);
    Some(Duration::from_millis(ahead).min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qu_03_it_is_seconds_or_a_date_and_an_hour_at_most() {
        let seconds = Duration::from_secs;
        let rows: [(&str, Option<Duration>); 16] = [
            ("0", Some(seconds(0))),
            ("120", Some(seconds(120))),
            (" 120\t", Some(seconds(120))),
            ("007", Some(seconds(7))),
            ("3600", Some(seconds(3600))),
            ("3601", Some(seconds(3600))),
            ("99999999999999999999999999", Some(seconds(3600))),
            ("Sun, 15 Jun 2025 15:08:20 GMT", Some(seconds(100))),
            ("Sun, 15 Jun 2025 15:06:40 GMT", Some(seconds(0))),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(seconds(0))),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(seconds(3600))),
            ("Sunday, 15-Jun-25 15:08:20 GMT", None),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ];
        let mut failures = Vec::new();
        for (text, expected) in rows {
            let found = retry_after(text.as_bytes(), UnixMillis(1_750_000_000_000));
            if found != expected {
                failures.push((text, expected, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }
}
