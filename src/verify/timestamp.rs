//! Strict parsing of timestamps, and freshness both ways round the clock (SCHEMES 1, `timestamp.unit` and `tolerance`).
//!
//! Knows no header: it is given the received text.

use std::time::Duration;

use super::clock::UnixMillis;
use super::verdict::Code;

/// How far a timestamp may be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Not judged at all.
    Off,
    /// At most this far, the bound itself included.
    Within(Duration),
}

/// The longest number taken: the largest of 18 digits fits an `i64`.
const MAX_DIGITS: usize = 18;

/// How a timestamp is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `seconds` since the Unix epoch.
    Seconds,
    /// `milliseconds` since the Unix epoch.
    Milliseconds,
}

impl Unit {
    /// Every unit, in the order in which they are documented.
    pub const ALL: [Self; 2] = [Self::Seconds, Self::Milliseconds];

    /// Its name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
        }
    }

    /// The unit of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Reads 1 to 18 ASCII digits without a sign or a leading zero (`0` itself is a number). `None` for anything else.
    ///
    /// The one spelling of each number matters: what follows or precedes the text in the signed content must not be
    /// able to move into it (SPEC 1). A moment beyond the range of [`UnixMillis`] becomes the end of that range.
    pub fn parse(self, text: &[u8]) -> Option<UnixMillis> {
        let is_canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
        if !is_canonical || text.len() > MAX_DIGITS {
            return None;
        }
        let mut number: i64 = 0;
        for digit in text {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
        }
        Some(match self {
            Self::Seconds => UnixMillis::from_secs(number),
            Self::Milliseconds => UnixMillis(number),
        })
    }

    /// Writes a moment as [`parse`](Self::parse) reads it, rounded down to the unit. `None` before the epoch.
    pub fn write(self, at: UnixMillis) -> Option<String> {
        (at.0 >= 0).then(|| (at.0 / self.step()).to_string())
    }

    /// Judges freshness: `at` may lie at most `past` before `wall` and at most `future` after it, bounds included.
    ///
    /// `wall` is first rounded down to the unit. A timestamp in seconds says nothing about the rest of its second, so
    /// it is compared in whole seconds: at 12:05:00.999 one of 12:00:00 is exactly five minutes old.
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn judge(self, at: UnixMillis, wall: UnixMillis, past: Tolerance, future: Tolerance) -> Result<(), Code> {
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

    /// The first moment of the wall clock at which [`judge`](Self::judge) calls `at` stale; `None` where the past is
    /// not judged.
    pub fn fresh_until(self, at: UnixMillis, past: Tolerance) -> Option<UnixMillis> {
        let Tolerance::Within(past) = past else { return None };
        let step = self.step();
        let whole = millis(past) / step * step;
        Some(UnixMillis(at.0.saturating_add(whole).saturating_add(step)))
    }

    /// Milliseconds in one unit.
    const fn step(self) -> i64 {
        match self {
            Self::Seconds => 1000,
            Self::Milliseconds => 1,
        }
    }
}

fn exceeds(off_ms: i128, tolerance: Tolerance) -> bool {
    match tolerance {
        Tolerance::Off => false,
        Tolerance::Within(limit) => off_ms > i128::from(millis(limit)),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_S: i64 = 1_750_000_000;
    const FIVE_MINUTES: Tolerance = Tolerance::Within(Duration::from_secs(300));

    #[test]
    fn every_name_leads_back_to_its_unit() {
        assert_eq!(Unit::ALL.map(|u| Unit::named(u.name())), Unit::ALL.map(Some));
    }

    #[test]
    fn au_12_au_13_only_plain_digits_are_a_number() {
        let rows: &[(&str, &[u8], Option<i64>)] = &[
            ("a usual one", b"1750000000", Some(1_750_000_000)),
            ("zero alone", b"0", Some(0)),
            ("18 digits", b"999999999999999999", Some(999_999_999_999_999_999)),
            ("19 digits", b"1000000000000000000", None),
            ("20 digits", b"10000000000000000000", None),
            ("2^63", b"9223372036854775808", None),
            ("2^64", b"18446744073709551616", None),
            ("400 digits", &[b'9'; 400], None),
            ("empty", b"", None),
            ("plus", b"+1750000000", None),
            ("minus", b"-1750000000", None),
            ("leading zero", b"01750000000", None),
            ("two zeros", b"00", None),
            ("fraction", b"1750000000.0", None),
            ("exponent", b"1e9", None),
            ("hexadecimal", b"0x684edbf0", None),
            ("underscore", b"1_750_000_000", None),
            ("not a number", b"NaN", None),
            ("full-width digit", "\u{ff11}750000000".as_bytes(), None),
            ("a space inside", b"17500 00000", None),
            ("a space behind", b"1750000000 ", None),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, text, expected)| Unit::Milliseconds.parse(text) != expected.map(UnixMillis))
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn seconds_beyond_the_range_become_its_end_and_are_in_the_future() {
        let at = Unit::Seconds.parse(b"999999999999999999").unwrap();
        assert_eq!(at, UnixMillis(i64::MAX));
        let judged = Unit::Seconds.judge(at, UnixMillis::from_secs(NOW_S), FIVE_MINUTES, FIVE_MINUTES);
        assert_eq!(judged, Err(Code::FutureTimestamp));
    }

    #[test]
    fn au_15_the_bounds_themselves_are_fresh() {
        use Code::{FutureTimestamp, StaleTimestamp};
        let rows = [
            ("seconds: now - tolerance - 1", Unit::Seconds, -301_000, Err(StaleTimestamp)),
            ("seconds: now - tolerance", Unit::Seconds, -300_000, Ok(())),
            ("seconds: now", Unit::Seconds, 0, Ok(())),
            ("seconds: now + tolerance", Unit::Seconds, 300_000, Ok(())),
            ("seconds: now + tolerance + 1", Unit::Seconds, 301_000, Err(FutureTimestamp)),
            ("seconds: the epoch", Unit::Seconds, -NOW_S * 1000, Err(StaleTimestamp)),
            ("milliseconds: 1 ms too old", Unit::Milliseconds, -300_001, Err(StaleTimestamp)),
            ("milliseconds: now - tolerance", Unit::Milliseconds, -300_000, Ok(())),
            ("milliseconds: now + tolerance", Unit::Milliseconds, 300_000, Ok(())),
            ("milliseconds: 1 ms too far", Unit::Milliseconds, 300_001, Err(FutureTimestamp)),
        ];
        let mut wrong = Vec::new();
        for (name, unit, off_ms, expected) in rows {
            // In seconds the same holds anywhere within the current second.
            let within: &[i64] = if unit == Unit::Seconds { &[0, 1, 999] } else { &[0] };
            for ms in within {
                let wall = UnixMillis(NOW_S * 1000 + ms);
                let judged = unit.judge(UnixMillis(NOW_S * 1000 + off_ms), wall, FIVE_MINUTES, FIVE_MINUTES);
                if judged != expected {
                    wrong.push((name, ms, judged));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_tolerance_that_is_off_refuses_nothing_on_its_side() {
        let (old, new) = (UnixMillis(0), UnixMillis(i64::MAX));
        let wall = UnixMillis::from_secs(NOW_S);
        assert_eq!(Unit::Seconds.judge(old, wall, Tolerance::Off, FIVE_MINUTES), Ok(()));
        assert_eq!(Unit::Seconds.judge(new, wall, Tolerance::Off, FIVE_MINUTES), Err(Code::FutureTimestamp));
        assert_eq!(Unit::Seconds.judge(new, wall, FIVE_MINUTES, Tolerance::Off), Ok(()));
        assert_eq!(Unit::Seconds.fresh_until(old, Tolerance::Off), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(at in 0..=999_999_999_999_999_i64) {
            for unit in Unit::ALL {
                let text = unit.write(UnixMillis(at)).unwrap();
                prop_assert_eq!(unit.parse(text.as_bytes()), Some(UnixMillis(at - at % unit.step())));
            }
        }

        #[test]
        fn any_moments_are_judged_without_a_panic(at: i64, wall in i64::MIN + 1000.., past: u64, future: u64) {
            let within = |ms| Tolerance::Within(Duration::from_millis(ms));
            for unit in Unit::ALL {
                let _ = unit.judge(UnixMillis(at), UnixMillis(wall), within(past), within(future));
                let _ = unit.fresh_until(UnixMillis(at), within(past));
            }
        }

        #[test]
        fn fresh_until_is_the_first_stale_moment(at_s in 0..4_000_000_000_i64, past in 0..10_000_000_u64) {
            let (at, past) = (UnixMillis::from_secs(at_s), Tolerance::Within(Duration::from_millis(past)));
            for unit in Unit::ALL {
                let end = unit.fresh_until(at, past).unwrap();
                prop_assert_eq!(unit.judge(at, end, past, Tolerance::Off), Err(Code::StaleTimestamp));
                prop_assert_eq!(unit.judge(at, UnixMillis(end.0 - 1), past, Tolerance::Off), Ok(()));
            }
        }
    }
}
