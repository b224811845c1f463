//! Mistakes made with the signed timestamp: its unit, its form, a proxy that rewrote it.
//!
//! A timestamp in a header or under a label of the signature header can be changed and tried; a
//! timestamp in the body cannot. Freshness is judged in `clock`.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;
use crate::scheme::{Template, TimestampAt};
use crate::wire::head::Found;

/// The seconds that a proxy's `Date` may lie before or after the sender's.
const REWRITTEN: std::ops::RangeInclusive<i64> = -5..=30;

/// The sender signed seconds and sent milliseconds, or the other way round.
pub(super) fn unit_signed(case: &Trials<'_>) -> Option<Finding> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let down = || case.with_time(|text| Some((number(text)? / 1000).to_string().into_bytes()));
    let up =
        || case.with_time(|text| Some(number(text)?.checked_mul(1000)?.to_string().into_bytes()));
    found(down().or_else(up), || {
        Mistake::new(
            "other_unit_signed",
            "The timestamp was signed in another unit, seconds or milliseconds, than it was sent \
             in.",
            "Have the sender sign the very text that it sends as the timestamp.",
        )
    })
}

/// The timestamp is signed as it was sent, but is a date where the scheme has a number, or another
/// kind of date.
pub(super) fn other_unit(case: &Trials<'_>) -> Option<Finding> {
    let own = case.scheme.timestamp()?.unit;
    // Seconds and milliseconds are read alike, so another unit of number would prove nothing.
    let others = Unit::ALL
        .into_iter()
        .filter(|other| *other != own && !(other.is_number() && own.is_number()));
    others.into_iter().find_map(|unit| {
        let secret = case.with_template(|template| {
            if let Some(place) = &mut template.timestamp {
                place.unit = unit;
            }
        });
        found(secret, || {
            if own.is_number() {
                not_a_number()
            } else {
                another_date(unit)
            }
        })
    })
}

fn not_a_number() -> Mistake {
    Mistake::new(
        "timestamp_no_number",
        "The timestamp is signed as it was sent, but it is not a plain decimal number.",
        "Have the sender write Unix time in digits alone.",
    )
}

/// The scheme expects a date, and the timestamp has another unit.
fn another_date(unit: Unit) -> Mistake {
    if unit.is_number() {
        return Mistake::new(
            "timestamp_unit",
            "The timestamp is signed as it was sent, but it is a number, and this scheme takes a \
             date.",
            "Set `unit = \"seconds\"` or `unit = \"milliseconds\"` in `timestamp` of the scheme.",
        );
    }
    let name = unit.name();
    Mistake::new(
        "timestamp_unit",
        format!("The timestamp is signed as it was sent, but it is written as `{name}`."),
        format!("Set `unit = \"{name}\"` in `timestamp` of the scheme."),
    )
}

/// The text of the timestamp was signed, whatever it is: a number with a sign, a fraction or a
/// leading zero, as far as the signed content lets a header have such bytes.
pub(super) fn as_text(case: &Trials<'_>) -> Option<Finding> {
    let place = case
        .scheme
        .timestamp()
        .filter(|place| place.unit.is_number())?;
    let TimestampAt::Headers(names) = &place.at else {
        return None;
    };
    let (header, value) = names.iter().find_map(|name| match case.head.find(name) {
        Found::One(value) if !value.is_empty() => Some((name, value)),
        _ => None,
    })?;
    if Unit::ALL
        .into_iter()
        .any(|unit| unit.parse(value).is_some())
    {
        return None;
    }
    let text = case
        .scheme
        .template()?
        .signed
        .text()
        .replace("{timestamp}", &format!("{{header:{}}}", header.as_str()));
    let signed = Template::parse(&text).ok()?;
    let secret = case.with_template(|template| {
        template.signed = signed;
        template.timestamp = None;
    });
    found(secret, not_a_number)
}

/// The timestamp is HTTP's own `Date`, which proxies may rewrite.
pub(super) fn rewritten(case: &Trials<'_>) -> Option<Finding> {
    let place = case.scheme.timestamp()?;
    let TimestampAt::Headers(names) = &place.at else {
        return None;
    };
    if !names.iter().any(|name| name.as_str() == "date") {
        return None;
    }
    let secret = REWRITTEN
        .filter(|seconds| *seconds != 0)
        .find_map(|seconds| {
            case.with_time(|text| {
                let at = place.unit.parse(text)?;
                Some(
                    place
                        .unit
                        .write(UnixMillis(at.0.saturating_sub(seconds * 1000)))?
                        .into_bytes(),
                )
            })
        });
    found(secret, || {
        Mistake::new(
            "timestamp_rewritten",
            "The `Date` header was rewritten on the way, by a proxy, after it was signed.",
            "Have the proxy pass on the sender's `Date` unchanged.",
        )
    })
}
