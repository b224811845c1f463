//! The units of timestamps: how each is read, written and judged against a clock.

use std::time::Duration;

use super::dates;
use crate::clock::UnixMillis;
use crate::verdict::Code;

/// The greatest distance between a timestamp and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// The distance is not judged.
    Off,
    /// At most this far, the bound itself included.
    Within(Duration),
}

/// The most digits of a number. The largest number of 18 digits fits an `i64`.
const MAX_DIGITS: usize = 18;

/// The notation of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `seconds` since the Unix epoch.
    Seconds,
    /// `milliseconds` since the Unix epoch.
    Milliseconds,
    /// `rfc3339`: a date and a time with their zone.
    Rfc3339,
    /// `iso8601-utc`: a date and a time without a zone, in UTC.
    Iso8601Utc,
    /// `http-date`: a date as in the `Date` header.
    HttpDate,
}

impl Unit {
    /// Every unit, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Seconds,
        Self::Milliseconds,
        Self::Rfc3339,
        Self::Iso8601Utc,
        Self::HttpDate,
    ];

    /// The name of the unit in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Rfc3339 => "rfc3339",
            Self::Iso8601Utc => "iso8601-utc",
            Self::HttpDate => "http-date",
        }
    }

    /// The unit of this name; `None` if the name is unknown.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Whether the unit is Unix time in digits, not a date.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Seconds | Self::Milliseconds)
    }

    /// Reads a timestamp; `None` for any spelling but the unit's own.
    ///
    /// - Numbers: 1 to 18 ASCII digits without a sign or a leading zero (`0` itself is a number).
    /// - `rfc3339`: `2025-06-15T15:06:40Z`, zero to nine decimals, capital `T` and `Z`, or an
    ///   offset as in `+02:00`.
    /// - `iso8601-utc`: the same, and nothing after the seconds and their decimals.
    /// - `http-date`: `Sun, 15 Jun 2025 15:06:40 GMT` with the right weekday; the two obsolete
    ///   forms are refused.
    ///
    /// Years are 0000 to 9999, a second 60 is refused, and fractions below a millisecond are cut
    /// off.
    ///
    /// Each unit has one shape, because the timestamp is joined to other text in the signed
    /// content: no byte before or after it there may be able to pass for a part of it (contract:
    /// The reference receiver). A moment beyond the range of [`UnixMillis`] becomes the end of that
    /// range.
    pub fn parse(self, text: &[u8]) -> Option<UnixMillis> {
        match self {
            Self::Seconds => number(text).map(UnixMillis::from_secs),
            Self::Milliseconds => number(text).map(UnixMillis),
            Self::Rfc3339 => dates::rfc3339(text),
            Self::Iso8601Utc => dates::iso8601_utc(text),
            Self::HttpDate => dates::http_date(text),
        }
    }

    /// Writes a moment as [`parse`](Self::parse) reads it, rounded down to the unit. `rfc3339` is
    /// written in UTC with `Z`; it and `iso8601-utc` have three decimals. `None` for a number
    /// before the epoch, and for a date outside the years 0000 to 9999.
    pub fn write(self, at: UnixMillis) -> Option<String> {
        match self {
            Self::Seconds | Self::Milliseconds => {
                (at.0 >= 0).then(|| (at.0 / self.step()).to_string())
            }
            Self::Rfc3339 => dates::write_rfc3339(at),
            Self::Iso8601Utc => dates::write_iso8601_utc(at),
            Self::HttpDate => dates::write_http_date(at),
        }
    }

    /// The reason in plain words why [`parse`](Self::parse) has refused a text.
    pub const fn refusal(self) -> &'static str {
        match self {
            Self::Seconds | Self::Milliseconds => {
                "the timestamp is not a plain decimal number without a leading zero"
            }
            Self::Rfc3339 => {
                "the timestamp is not a date and time with a zone as in `2025-06-15T15:06:40Z` (RFC 3339)"
            }
            Self::Iso8601Utc => {
                "the timestamp is not a date and time without a zone as in `2025-06-15T15:06:40`"
            }
            Self::HttpDate => {
                "the timestamp is not an HTTP date as in `Sun, 15 Jun 2025 15:06:40 GMT`"
            }
        }
    }

    /// Judges freshness: `at` may lie at most `past` before `wall` and at most `future` after it,
    /// bounds included.
    ///
    /// `wall` is first rounded down to the unit. A timestamp in seconds says nothing about the rest
    /// of its second, so it is compared in whole seconds: at 12:05:00.999 a timestamp of 12:00:00
    /// is exactly five minutes old.
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn judge(
        self,
        at: UnixMillis,
        wall: UnixMillis,
        past: Tolerance,
        future: Tolerance,
    ) -> Result<(), Code> {
        let wall = wall.0 - wall.0.rem_euclid(self.step());
        let age = i128::from(wall) - i128::from(at.0);
        if exceeds(age, past) {
            Err(Code::StaleTimestamp)
        } else if exceeds(-age, future) {
            Err(Code::FutureTimestamp)
        } else {
            Ok(())
        }
    }

    /// The first moment of the wall clock at which [`judge`](Self::judge) calls `at` stale; `None`
    /// if the past is not judged.
    pub fn fresh_until(self, at: UnixMillis, past: Tolerance) -> Option<UnixMillis> {
        let Tolerance::Within(past) = past else {
            return None;
        };
        let step = self.step();
        let whole = millis(past) / step * step;
        Some(UnixMillis(at.0.saturating_add(whole).saturating_add(step)))
    }

    /// The milliseconds in one step of the unit: those of a second where the unit has no decimals.
    pub(super) const fn step(self) -> i64 {
        match self {
            Self::Seconds | Self::HttpDate => 1000,
            Self::Milliseconds | Self::Rfc3339 | Self::Iso8601Utc => 1,
        }
    }
}

/// Reads 1 to 18 ASCII digits without a sign or a leading zero.
fn number(text: &[u8]) -> Option<i64> {
    let is_canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
    if !is_canonical || text.len() > MAX_DIGITS {
        return None;
    }
    text.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

fn exceeds(off_ms: i128, tolerance: Tolerance) -> bool {
    match tolerance {
        Tolerance::Off => false,
        Tolerance::Within(limit) => off_ms > i128::from(millis(limit)),
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
