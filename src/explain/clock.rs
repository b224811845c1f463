//! Mistakes made with the time of a delivery, whatever its signature: its unit, its zone, its age.
//!
//! The timestamp may be in a header, under a label, in the body, or where the code of a provider
//! finds it. The times of a JWT are judged in `jwt`.

use std::time::Duration;

use serde_json::Value;

use super::case::Case;
use super::mistake::Mistake;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;
use crate::scheme::code::RouteFacts;
use crate::scheme::{PublicUrl, TimestampAt};
use crate::verify::verifier::Verifier;

const HOUR_MS: i64 = 3_600_000;

/// A timestamp in the wrong unit lies within this time of the clock once it is read in the right
/// unit: ten years.
const PLAUSIBLE_MS: i64 = 10 * 366 * 24 * HOUR_MS;

/// A delivery that is whole hours old is more often just old: only this near to the hour it is
/// called a time zone.
const NEAR_PAST_MS: i64 = 60_000;

/// A timestamp in the future hardly has another cause than a time zone, so it may be further from
/// the hour.
const NEAR_FUTURE_MS: i64 = 300_000;

/// The most hours that a time zone is off.
const MAX_HOURS: i64 = 14;

/// The mistake in the time of a case; `None` if the time is fresh, cannot be read, or is not
/// judged.
pub(super) fn judge(case: &Case<'_>) -> Option<Mistake> {
    let (at, unit) = moment(case)?;
    let wall = case.now.wall;
    let settings = case.settings;
    unit.judge(at, wall, settings.tolerance, settings.future_tolerance)
        .err()?;
    let near = |at: i64| wall.0.saturating_sub(at).saturating_abs() < PLAUSIBLE_MS;
    match unit {
        Unit::Seconds if !near(at.0) && near(at.0 / 1000) => Some(Mistake::new(
            "milliseconds_for_seconds",
            "The timestamp counts milliseconds, and this scheme takes seconds.",
            "Have the sender write seconds, or set `unit = \"milliseconds\"` in the scheme.",
        )),
        Unit::Seconds | Unit::Milliseconds if finer(at, unit, near).is_some() => {
            let (counted, taken) = finer(at, unit, near)?;
            Some(Mistake::new(
                "finer_unit",
                format!("The timestamp counts {counted}, and this scheme takes {taken}."),
                format!("Have the sender write {taken}."),
            ))
        }
        Unit::Milliseconds if !near(at.0) && near(at.0.saturating_mul(1000)) => Some(Mistake::new(
            "seconds_for_milliseconds",
            "The timestamp counts seconds, and this scheme takes milliseconds.",
            "Have the sender write milliseconds, or set `unit = \"seconds\"` in the scheme.",
        )),
        // A timestamp of the event is old at every late retry, whole hours or not.
        _ if at < wall && case.scheme.is_stamped_by_event() => Some(late_retry(at, wall)),
        _ => Some(zone(at, wall).unwrap_or_else(|| plain(at, wall))),
    }
}

/// The time that a delivery claims, and the unit in which it is read.
fn moment(case: &Case<'_>) -> Option<(UnixMillis, Unit)> {
    if let Some(code) = case.scheme.code() {
        let begun = code.begin(case.head).ok()?;
        if let Some(early) = begun.timestamp {
            return Some(early);
        }
        let labels = code.labels(case.secrets.iter().map(|secret| &secret.text));
        let url = case.settings.public_url.as_deref().map(PublicUrl::new);
        let facts = RouteFacts {
            public_url: url.as_ref(),
            labels: &labels,
            components: &case.scheme.components,
        };
        return code
            .read(case.head, begun, case.body, facts)
            .ok()?
            .timestamp;
    }
    let place = case.scheme.timestamp()?;
    let at = match &place.at {
        TimestampAt::Json(pointer) => {
            let document: Value = serde_json::from_slice(case.body).ok()?;
            match document.pointer(&pointer.text())? {
                Value::String(text) => place.unit.parse(text.as_bytes()),
                Value::Number(number) => place.unit.parse(number.to_string().as_bytes()),
                _ => None,
            }
        }
        TimestampAt::Headers(_) | TimestampAt::Field(_) | TimestampAt::Item(_) => {
            let verifier = Verifier::new(
                std::sync::Arc::clone(case.scheme),
                Vec::new(),
                case.settings.clone(),
            );
            verifier.ok()?.timestamp_of(case.head, None)
        }
    };
    Some((at?, place.unit))
}

/// The unit that a far timestamp counts, if it is much finer than the scheme's, and the scheme's.
fn finer(
    at: UnixMillis,
    unit: Unit,
    near: impl Fn(i64) -> bool,
) -> Option<(&'static str, &'static str)> {
    if near(at.0) {
        return None;
    }
    // A timestamp in seconds was multiplied by a thousand when it was read, or kept at the largest
    // number that there is.
    let (taken, micro) = match unit {
        Unit::Seconds => ("seconds", 1_000_000),
        _ => ("milliseconds", 1000),
    };
    if near(at.0 / micro) {
        Some(("microseconds", taken))
    } else if near(at.0 / micro / 1000) {
        Some(("nanoseconds", taken))
    } else {
        None
    }
}

/// The clocks are apart by whole hours, as a wrong time zone makes them.
fn zone(at: UnixMillis, wall: UnixMillis) -> Option<Mistake> {
    let age = wall.0.saturating_sub(at.0);
    let (is_behind, off) = (age > 0, age.saturating_abs());
    let hours = off.saturating_add(HOUR_MS / 2) / HOUR_MS;
    let near = if is_behind {
        NEAR_PAST_MS
    } else {
        NEAR_FUTURE_MS
    };
    let is_zone = (1..=MAX_HOURS).contains(&hours) && (off - hours * HOUR_MS).abs() <= near;
    is_zone.then(|| {
        let side = if is_behind { "behind" } else { "ahead of" };
        let noun = if hours == 1 { "hour" } else { "hours" };
        Mistake::new(
            "time_zone",
            format!(
                "The timestamp is {hours} {noun} {side} the clock, nearly to the minute, as a \
                 wrong time zone makes it."
            ),
            "Have the sender use Unix time, which is UTC, and check the time zone of both clocks.",
        )
    })
}

/// The timestamp is the event's own and too old, as that of a late retry is.
fn late_retry(at: UnixMillis, wall: UnixMillis) -> Mistake {
    let off = in_words(between(at, wall));
    Mistake::new(
        "late_retry",
        format!(
            "The timestamp is {off} old and is the event's own: a retry carries the old timestamp, \
             so this is probably a late retry."
        ),
        format!(
            "Raise `tolerance` to the time for which the provider retries, or turn it `off`; for a \
             captured delivery, judge it at its own time with `--at {}`.",
            at.0.div_euclid(1000)
        ),
    )
}

/// The timestamp is too old or too far ahead, and nothing more is known of it.
pub(super) fn plain(at: UnixMillis, wall: UnixMillis) -> Mistake {
    let off = in_words(between(at, wall));
    if at < wall {
        Mistake::new(
            "stale",
            format!("The timestamp is {off} old, which is too old."),
            format!(
                "For a captured delivery, judge it at its own time with `--at {}`; on live traffic, \
                 compare the clocks or raise `tolerance`.",
                at.0.div_euclid(1000)
            ),
        )
    } else {
        Mistake::new(
            "future",
            format!("The timestamp is {off} ahead of the clock, which is too far."),
            "Synchronise both clocks by NTP; for a captured delivery, judge it at its own time \
             with `--at`.",
        )
    }
}

/// The time between two moments.
pub(super) fn between(at: UnixMillis, wall: UnixMillis) -> Duration {
    Duration::from_millis(wall.0.saturating_sub(at.0).unsigned_abs())
}

/// A duration in words, in its two largest units.
pub(super) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let largest = parts.iter().position(|(count, _)| *count != 0).unwrap_or(3);
    let shown = parts
        .iter()
        .skip(largest)
        .take(2)
        .filter(|(count, _)| *count != 0 || seconds == 0);
    shown
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_spoken_in_its_two_largest_units() {
        let words = |s| in_words(Duration::from_secs(s));
        assert_eq!(
            [words(0), words(59), words(301), words(3600), words(90_061)],
            ["0 s", "59 s", "5 min 1 s", "1 h", "1 d 1 h"].map(str::to_owned)
        );
    }
}
