//! Timestamps written as dates: RFC 3339, ISO 8601 without a zone, and the current form of HTTP
//! dates (RFC 9110 section 5.6.7).
//!
//! Each part has one spelling: fixed widths, capital `T`, `Z`, `GMT` and names, and no white space
//! but that of HTTP dates. A second 60 is refused, because there is no agreed Unix time for it.
//! Freshness is not judged here.

use super::calendar::{Date, weekday};
use crate::clock::UnixMillis;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The longest fraction of a second, in digits.
const MAX_DECIMALS: usize = 9;

/// Reads `2025-06-15T15:06:40.123456789+02:00`: up to nine decimals, then `Z` or an offset up to
/// 23:59. The offset `-00:00`, which says that the local zone is unknown, is read as UTC.
pub(super) fn rfc3339(text: &[u8]) -> Option<UnixMillis> {
    let mut rest = Rest(text);
    let local = rest.date_and_time()?;
    let offset = if rest.skip(b"Z").is_some() {
        0
    } else {
        rest.offset()?
    };
    rest.ended(UnixMillis(local - offset * 1000))
}

/// Reads `2025-06-15T15:06:40.123456789`, which is UTC: up to nine decimals and no zone.
pub(super) fn iso8601_utc(text: &[u8]) -> Option<UnixMillis> {
    let mut rest = Rest(text);
    let at = rest.date_and_time()?;
    rest.ended(UnixMillis(at))
}

/// Reads `Sun, 15 Jun 2025 15:06:40 GMT`. The weekday must be that of the date; otherwise a date
/// would have seven spellings.
pub(super) fn http_date(text: &[u8]) -> Option<UnixMillis> {
    let mut rest = Rest(text);
    let of_week = rest.name(&WEEKDAYS)?;
    rest.skip(b", ")?;
    let day = rest.number(2)?;
    rest.skip(b" ")?;
    let month = rest.name(&MONTHS)?;
    rest.skip(b" ")?;
    let year = rest.number(4)?;
    rest.skip(b" ")?;
    let seconds = rest.time()?;
    rest.skip(b" GMT")?;
    let days = Date::new(year, i64::try_from(month).ok()? + 1, day)?.days();
    let at = rest.ended(UnixMillis::from_secs(days * DAY + seconds))?;
    (weekday(days) == of_week).then_some(at)
}

/// Writes the form that [`rfc3339`] reads, in UTC with three decimals. `None` outside the years
/// 0000 to 9999.
pub(super) fn write_rfc3339(at: UnixMillis) -> Option<String> {
    write_iso8601_utc(at).map(|text| text + "Z")
}

/// Writes the form that [`iso8601_utc`] reads, with three decimals. `None` outside the years 0000
/// to 9999.
pub(super) fn write_iso8601_utc(at: UnixMillis) -> Option<String> {
    let (days, time) = split(at);
    let (year, month, day) = Date::of_days(days)?.parts();
    let millis = at.0.rem_euclid(1000);
    Some(format!("{year:04}-{month:02}-{day:02}T{time}.{millis:03}"))
}

/// Writes the form that [`http_date`] reads, rounded down to the second. `None` outside the years
/// 0000 to 9999.
pub(super) fn write_http_date(at: UnixMillis) -> Option<String> {
    let (days, time) = split(at);
    let (year, month, day) = Date::of_days(days)?.parts();
    let of_week = WEEKDAYS.get(weekday(days))?;
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    Some(format!("{of_week}, {day:02} {month} {year:04} {time} GMT"))
}

/// The day since the epoch, and the time of day as `15:06:40`.
fn split(at: UnixMillis) -> (i64, String) {
    let seconds = at.0.div_euclid(1000);
    let of_day = seconds.rem_euclid(DAY);
    let time = format!(
        "{:02}:{:02}:{:02}",
        of_day / HOUR,
        of_day % HOUR / MINUTE,
        of_day % MINUTE
    );
    (seconds.div_euclid(DAY), time)
}

/// The part of a text that is not read yet.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    /// Reads exactly `text`.
    fn skip(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Reads exactly this number of digits, at most 18.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// Reads a number of two digits, at most `max`.
    fn pair(&mut self, max: i64) -> Option<i64> {
        self.number(2).filter(|number| *number <= max)
    }

    /// Reads one of these names and returns its index.
    fn name(&mut self, names: &[&str]) -> Option<usize> {
        names
            .iter()
            .position(|name| self.skip(name.as_bytes()).is_some())
    }

    /// Reads `15:06:40` and returns the seconds of the day.
    fn time(&mut self) -> Option<i64> {
        let hour = self.pair(23)?;
        self.skip(b":")?;
        let minute = self.pair(59)?;
        self.skip(b":")?;
        Some(hour * HOUR + minute * MINUTE + self.pair(59)?)
    }

    /// Reads `2025-06-15T15:06:40` and a fraction, if there is one. Returns milliseconds since the
    /// epoch, as if the text were UTC, rounded down.
    fn date_and_time(&mut self) -> Option<i64> {
        let year = self.number(4)?;
        self.skip(b"-")?;
        let month = self.number(2)?;
        self.skip(b"-")?;
        let date = Date::new(year, month, self.number(2)?)?;
        self.skip(b"T")?;
        let seconds = date.days() * DAY + self.time()?;
        let millis = if self.skip(b".").is_some() {
            self.decimals()?
        } else {
            0
        };
        Some(seconds * 1000 + millis)
    }

    /// Reads one to nine decimals and returns the milliseconds among them.
    fn decimals(&mut self) -> Option<i64> {
        let digits = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=MAX_DECIMALS).contains(&digits) {
            return None;
        }
        let kept = digits.min(3);
        let millis = (kept..3).fold(self.number(kept)?, |millis, _| millis * 10);
        self.number(digits - kept)?;
        Some(millis)
    }

    /// Reads `+02:00` and returns its distance from UTC in seconds; positive to the east.
    fn offset(&mut self) -> Option<i64> {
        let sign = if self.skip(b"+").is_some() {
            1
        } else {
            self.skip(b"-").map(|()| -1)?
        };
        let hours = self.pair(23)?;
        self.skip(b":")?;
        Some(sign * (hours * HOUR + self.pair(59)? * MINUTE))
    }

    /// Returns `found` if the whole text was read.
    fn ended<T>(&self, found: T) -> Option<T> {
        self.0.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-06-15T15:06:40Z.
    const AT: i64 = 1_750_000_000_000;

    #[track_caller]
    fn compare(read: fn(&[u8]) -> Option<UnixMillis>, rows: &[(&str, Option<i64>)]) {
        let wrong: Vec<_> = rows
            .iter()
            .map(|(text, at)| (text, read(text.as_bytes()), at.map(UnixMillis)))
            .filter(|(_, found, at)| found != at)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn rfc_3339_is_read_in_one_shape_with_a_zone() {
        compare(
            rfc3339,
            &[
                ("2025-06-15T15:06:40Z", Some(AT)),
                ("2025-06-15T15:06:40.123456789Z", Some(AT + 123)),
                ("2025-06-15T15:06:40.9Z", Some(AT + 900)),
                ("2025-06-15T15:06:40.09Z", Some(AT + 90)),
                ("2025-06-15T15:06:40.0009999Z", Some(AT)),
                ("2025-06-15T15:06:40+00:00", Some(AT)),
                ("2025-06-15T15:06:40-00:00", Some(AT)),
                ("2025-06-15T17:06:40.5+02:00", Some(AT + 500)),
                ("2025-06-15T20:36:40+05:30", Some(AT)),
                ("2020-01-01T00:00:00-07:00", Some(1_577_862_000_000)),
                ("2025-06-16T15:05:40+23:59", Some(AT)),
                ("1970-01-01T00:00:00Z", Some(0)),
                ("1969-12-31T23:59:59.9999Z", Some(-1)),
                ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000)),
                ("0000-01-01T00:00:00+23:59", Some(-62_167_305_540_000)),
                ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
                ("9999-12-31T23:59:59-23:59", Some(253_402_387_139_000)),
                ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
                ("2025-02-29T00:00:00Z", None),
                ("2025-06-31T00:00:00Z", None),
                ("2025-13-01T00:00:00Z", None),
                ("2025-00-01T00:00:00Z", None),
                ("2025-06-15T24:00:00Z", None),
                ("2025-06-15T15:60:40Z", None),
                ("2016-12-31T23:59:60Z", None),
                ("2025-06-15T15:06:40", None),
                ("2025-06-15T15:06:40.5", None),
                ("2025-06-15T15:06:40.Z", None),
                ("2025-06-15T15:06:40.1234567890Z", None),
                ("2025-06-15T15:06:40,5Z", None),
                ("2025-06-15T15:06:40z", None),
                ("2025-06-15t15:06:40Z", None),
                ("2025-06-15 15:06:40Z", None),
                ("2025-06-15T15:06:40 Z", None),
                ("2025-06-15T15:06:40Z ", None),
                (" 2025-06-15T15:06:40Z", None),
                ("2025-06-15T15:06:40ZZ", None),
                ("2025-06-15T15:06Z", None),
                ("2025-06-15T15:06:4Z", None),
                ("2025-06-15T15:06:40+24:00", None),
                ("2025-06-15T15:06:40+00:60", None),
                ("2025-06-15T15:06:40+0200", None),
                ("2025-06-15T15:06:40+02", None),
                ("2025-06-15T15:06:40+2:00", None),
                ("2025-06-15T15:06:40\u{2212}02:00", None),
                ("2025-06-15T15:06:40[UTC]", None),
                ("2025-06-15", None),
                ("12025-06-15T15:06:40Z", None),
                ("+2025-06-15T15:06:40Z", None),
                ("-025-06-15T15:06:40Z", None),
                ("025-06-15T15:06:40Z", None),
                ("2025-6-15T15:06:40Z", None),
                ("20250615T150640Z", None),
                ("2025-W24-7T15:06:40Z", None),
                ("\u{ff12}025-06-15T15:06:40Z", None),
                ("1750000000", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn iso_8601_is_read_without_a_zone_as_utc() {
        compare(
            iso8601_utc,
            &[
                ("2025-06-15T15:06:40.000", Some(AT)),
                ("2025-06-15T15:06:40", Some(AT)),
                ("2025-06-15T15:06:40.123456789", Some(AT + 123)),
                ("2025-06-15T15:06:40.1234567890", None),
                ("2025-06-15T15:06:40.", None),
                ("2025-06-15T15:06:40Z", None),
                ("2025-06-15T15:06:40.000Z", None),
                ("2025-06-15T15:06:40+00:00", None),
                ("2025-06-15T15:06", None),
                ("2025-06-15 15:06:40", None),
                ("2025-06-15T23:59:60", None),
                ("2025-02-29T15:06:40", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn http_dates_are_read_in_their_current_form_alone() {
        compare(
            http_date,
            &[
                ("Sun, 15 Jun 2025 15:06:40 GMT", Some(AT)),
                ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777_000)),
                ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
                ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1000)),
                ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799_000)),
                ("Sunday, 06-Nov-94 08:49:37 GMT", None),
                ("Sun Nov  6 08:49:37 1994", None),
                ("Mon, 15 Jun 2025 15:06:40 GMT", None),
                ("sun, 15 Jun 2025 15:06:40 GMT", None),
                ("Sun, 15 jun 2025 15:06:40 GMT", None),
                ("Sun, 15 Jun 2025 15:06:40 gmt", None),
                ("Sun, 15 Jun 2025 15:06:40 UTC", None),
                ("Sun, 15 Jun 2025 15:06:40 +0000", None),
                ("Sun, 15 Jun 2025 15:06:40", None),
                ("Sun, 15 Jun 2025 15:06:40 GMT ", None),
                ("Sun,15 Jun 2025 15:06:40 GMT", None),
                ("Sun,  15 Jun 2025 15:06:40 GMT", None),
                ("Sun, 6 Nov 1994 08:49:37 GMT", None),
                ("Sun, 15 Jun 25 15:06:40 GMT", None),
                ("Sun, 15 Jun 2025 24:06:40 GMT", None),
                ("Sat, 31 Dec 2016 23:59:60 GMT", None),
                ("Sat, 29 Feb 2025 00:00:00 GMT", None),
                ("Sun, 15 Jun 2025 15:06:40.5 GMT", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn what_is_written_has_one_spelling() {
        let write = |at| {
            [
                write_rfc3339(UnixMillis(at)),
                write_iso8601_utc(UnixMillis(at)),
                write_http_date(UnixMillis(at)),
            ]
        };
        let spelled = |texts: [&str; 3]| texts.map(|text| Some(text.to_owned()));
        assert_eq!(
            write(AT + 9),
            spelled([
                "2025-06-15T15:06:40.009Z",
                "2025-06-15T15:06:40.009",
                "Sun, 15 Jun 2025 15:06:40 GMT"
            ])
        );
        assert_eq!(
            write(-1),
            spelled([
                "1969-12-31T23:59:59.999Z",
                "1969-12-31T23:59:59.999",
                "Wed, 31 Dec 1969 23:59:59 GMT"
            ])
        );
        for at in [-62_167_219_200_001, 253_402_300_800_000, i64::MIN, i64::MAX] {
            assert_eq!(write(at), [None, None, None], "{at}");
        }
    }
}
