//! What is wrong with the timestamp, the signature aside: its unit, its zone, its age.
//!
//! Wherever it stands: in a header, under a label, in the body, or where code of its own finds it. A JWT's times are
//! judged in `jwt`.

use std::time::Duration;

use serde_json::Value;

use super::case::Case;
use super::mistake::{Known, Mistake};
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;
use crate::scheme::code::RouteFacts;
use crate::scheme::{PublicUrl, TimestampAt};
use crate::verify::verifier::Verifier;

const HOUR_MS: i64 = 3_600_000;

/// A timestamp in the wrong unit lies within this time of the clock once it is read in the right one: ten years.
const PLAUSIBLE_MS: i64 = 10 * 366 * 24 * HOUR_MS;

/// What lies in the past by whole hours is more often just old; only this near to the hour it is called a zone.
const NEAR_PAST_MS: i64 = 60_000;

/// Nothing lies in the future by itself.
const NEAR_FUTURE_MS: i64 = 300_000;

/// The furthest that a zone is off.
const MAX_HOURS: i64 = 14;

/// What is wrong with the time of a case; `None` where it is fresh, cannot be read, or is not judged.
pub(super) fn judge(case: &Case<'_>) -> Option<Mistake> {
    let (at, unit) = moment(case)?;
    let wall = case.now.wall;
    let settings = case.settings;
    unit.judge(at, wall, settings.tolerance, settings.future_tolerance).err()?;
    let near = |at: i64| wall.0.saturating_sub(at).saturating_abs() < PLAUSIBLE_MS;
    match unit {
        Unit::Seconds if !near(at.0) && near(at.0 / 1000) => Some(Known::MillisecondsForSeconds.into()),
        Unit::Milliseconds if !near(at.0) && near(at.0.saturating_mul(1000)) => {
            Some(Known::SecondsForMilliseconds.into())
        }
        _ => Some(zone(at, wall).unwrap_or_else(|| plain(at, wall))),
    }
}

/// The time that a delivery claims, in the unit that it is read in.
fn moment(case: &Case<'_>) -> Option<(UnixMillis, Unit)> {
    if let Some(code) = case.scheme.code {
        let begun = code.begin(case.head).ok()?;
        if let Some(early) = begun.timestamp {
            return Some(early);
        }
        let labels = code.labels(case.secrets.iter().map(|secret| &secret.text));
        let url = case.settings.public_url.as_deref().map(PublicUrl::new);
        let facts = RouteFacts { public_url: url.as_ref(), labels: &labels };
        return code.read(case.head, begun, case.body, facts).ok()?.timestamp;
    }
    let place = case.scheme.timestamp.as_ref()?;
    let at = match &place.at {
        TimestampAt::Json(pointer) => {
            let document: Value = serde_json::from_slice(case.body).ok()?;
            match document.pointer(&pointer.text())? {
                Value::String(text) => place.unit.parse(text.as_bytes()),
                Value::Number(number) => place.unit.parse(number.to_string().as_bytes()),
                _ => None,
            }
        }
        TimestampAt::Headers(_) | TimestampAt::Field(_) => {
            let verifier = Verifier::new(std::sync::Arc::clone(case.scheme), Vec::new(), case.settings.clone());
            verifier.ok()?.timestamp_of(case.head)
        }
    };
    Some((at?, place.unit))
}

fn zone(at: UnixMillis, wall: UnixMillis) -> Option<Mistake> {
    let age = wall.0.saturating_sub(at.0);
    let (is_behind, off) = (age > 0, age.saturating_abs());
    let hours = off.saturating_add(HOUR_MS / 2) / HOUR_MS;
    let near = if is_behind { NEAR_PAST_MS } else { NEAR_FUTURE_MS };
    let is_zone = (1..=MAX_HOURS).contains(&hours) && (off - hours * HOUR_MS).abs() <= near;
    let hours = u32::try_from(hours).ok()?;
    is_zone.then(|| Known::Zone { hours, is_behind }.into())
}

/// Too old, or too far ahead, and nothing more.
pub(super) fn plain(at: UnixMillis, wall: UnixMillis) -> Mistake {
    let off = Duration::from_millis(wall.0.saturating_sub(at.0).unsigned_abs());
    if at < wall { Known::Stale(off).into() } else { Known::Future(off).into() }
}
