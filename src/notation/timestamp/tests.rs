//! Rows AU-12 to AU-15 of the catalogue on numbers, and properties that every unit has.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::UnixMillis;
use crate::verdict::Code;

const NOW_S: i64 = 1_750_000_000;
/// The first moment of the year 0000 and the last of 9999.
const MIN: i64 = -62_167_219_200_000;
const MAX: i64 = 253_402_300_799_999;
const FIVE_MINUTES: Tolerance = Tolerance::Within(Duration::from_secs(300));

#[test]
fn every_name_leads_back_to_its_unit() {
    assert_eq!(
        Unit::ALL.map(|u| Unit::named(u.name())),
        Unit::ALL.map(Some)
    );
}

#[test]
fn au_12_au_13_only_plain_digits_are_a_number() {
    let rows: &[(&str, &[u8], Option<i64>)] = &[
        ("a usual one", b"1750000000", Some(1_750_000_000)),
        ("zero alone", b"0", Some(0)),
        (
            "18 digits",
            b"999999999999999999",
            Some(999_999_999_999_999_999),
        ),
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
        (
            "seconds: now - tolerance - 1",
            Unit::Seconds,
            -301_000,
            Err(StaleTimestamp),
        ),
        ("seconds: now - tolerance", Unit::Seconds, -300_000, Ok(())),
        ("seconds: now", Unit::Seconds, 0, Ok(())),
        ("seconds: now + tolerance", Unit::Seconds, 300_000, Ok(())),
        (
            "seconds: now + tolerance + 1",
            Unit::Seconds,
            301_000,
            Err(FutureTimestamp),
        ),
        (
            "seconds: the epoch",
            Unit::Seconds,
            -NOW_S * 1000,
            Err(StaleTimestamp),
        ),
        (
            "milliseconds: 1 ms too old",
            Unit::Milliseconds,
            -300_001,
            Err(StaleTimestamp),
        ),
        (
            "milliseconds: now - tolerance",
            Unit::Milliseconds,
            -300_000,
            Ok(()),
        ),
        (
            "milliseconds: now + tolerance",
            Unit::Milliseconds,
            300_000,
            Ok(()),
        ),
        (
            "milliseconds: 1 ms too far",
            Unit::Milliseconds,
            300_001,
            Err(FutureTimestamp),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, unit, off_ms, expected) in rows {
        // A number of seconds is judged alike at every moment of the current second.
        let within: &[i64] = if unit == Unit::Seconds {
            &[0, 1, 999]
        } else {
            &[0]
        };
        for ms in within {
            let wall = UnixMillis(NOW_S * 1000 + ms);
            let judged = unit.judge(
                UnixMillis(NOW_S * 1000 + off_ms),
                wall,
                FIVE_MINUTES,
                FIVE_MINUTES,
            );
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
    assert_eq!(
        Unit::Seconds.judge(old, wall, Tolerance::Off, FIVE_MINUTES),
        Ok(())
    );
    assert_eq!(
        Unit::Seconds.judge(new, wall, Tolerance::Off, FIVE_MINUTES),
        Err(Code::FutureTimestamp)
    );
    assert_eq!(
        Unit::Seconds.judge(new, wall, FIVE_MINUTES, Tolerance::Off),
        Ok(())
    );
    assert_eq!(Unit::Seconds.fresh_until(old, Tolerance::Off), None);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(at in MIN..=MAX) {
        for unit in Unit::ALL {
            let text = unit.write(UnixMillis(at));
            prop_assert_eq!(text.is_none(), at < 0 && unit.is_number());
            let read = text.and_then(|text| unit.parse(text.as_bytes()));
            prop_assert!(read.is_none_or(|read| read.0 == at - at.rem_euclid(unit.step())), "{:?} {:?}", unit, read);
            prop_assert!(read.is_some() || at < 0);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for unit in Unit::ALL {
            let _ = unit.parse(&bytes);
        }
    }

    #[test]
    fn another_byte_is_refused_or_another_moment(
        at in MIN..=MAX, place: prop::sample::Index, byte in prop_oneof![b'0'..=b'9', any::<u8>()],
    ) {
        for unit in Unit::ALL {
            let Some(text) = unit.write(UnixMillis(at)) else { continue };
            let mut text = text.into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            // A text that is read has the one spelling of its moment, so writing that moment must
            // give the same text.
            if let Some(read) = unit.parse(&text) {
                prop_assert_eq!(unit.write(read).map(String::into_bytes), Some(text), "{:?}", unit);
            }
        }
    }

    #[test]
    fn a_date_cannot_begin_or_end_with_another(
        text in prop::sample::select(vec![
            "2025-06-15T15:06:40Z", "2025-06-15T15:06:40.123456Z", "2025-06-15T15:06:40.1+02:00",
            "Sun, 15 Jun 2025 15:06:40 GMT",
        ]),
        more in "[0-9.:TZ+, -]{1,4}",
    ) {
        for unit in [Unit::Rfc3339, Unit::HttpDate] {
            prop_assert_eq!(unit.parse((more.clone() + text).as_bytes()), None);
            prop_assert_eq!(unit.parse((text.to_owned() + &more).as_bytes()), None);
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
