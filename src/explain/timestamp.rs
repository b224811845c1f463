//! Mistakes made in the timestamp that is signed: its unit, its form, a proxy that wrote it anew.
//!
//! In a header, under a label of the signature header, or in the body alike, as far as it can be changed there. Whether
//! it is fresh is judged in `clock`.

use super::mistake::{Finding, Known, found};
use super::trials::Trials;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;
use crate::scheme::{Template, TimestampAt};
use crate::wire::head::Found;

/// How far a proxy's clock and the sender's may be apart, in seconds before and behind.
const REWRITTEN: std::ops::RangeInclusive<i64> = -5..=30;

/// Seconds were signed and milliseconds sent, or the other way round.
pub(super) fn unit_signed(case: &Trials<'_>) -> Option<Finding> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let down = || case.with_time(|text| Some((number(text)? / 1000).to_string().into_bytes()));
    let up = || case.with_time(|text| Some(number(text)?.checked_mul(1000)?.to_string().into_bytes()));
    found(down().or_else(up), || Known::OtherUnitSigned)
}

/// The timestamp is signed as it stands there, and is a date where the scheme has a number, or another kind of date.
pub(super) fn other_unit(case: &Trials<'_>) -> Option<Finding> {
    let own = case.scheme.timestamp.as_ref()?.unit;
    // Numbers are read alike.
    let others = Unit::ALL.into_iter().filter(|other| *other != own && !(other.is_number() && own.is_number()));
    others.into_iter().find_map(|unit| {
        let secret = case.with_change(|scheme| {
            if let Some(place) = &mut scheme.timestamp {
                place.unit = unit;
            }
        });
        found(secret, || match (own.is_number(), unit.is_number()) {
            (true, _) => Known::TimestampNoNumber,
            (false, true) => Known::TimestampUnit("number"),
            (false, false) => Known::TimestampUnit(unit.name()),
        })
    })
}

/// The timestamp's text was signed, whatever it is: a number with a sign, a fraction or a leading
/// zero, as far as the signed content lets a header have such bytes.
pub(super) fn as_text(case: &Trials<'_>) -> Option<Finding> {
    let place = case.scheme.timestamp.as_ref().filter(|place| place.unit.is_number())?;
    let TimestampAt::Headers(names) = &place.at else { return None };
    let (header, value) = names.iter().find_map(|name| match case.head.find(name) {
        Found::One(value) if !value.is_empty() => Some((name, value)),
        _ => None,
    })?;
    if Unit::ALL.into_iter().any(|unit| unit.parse(value).is_some()) {
        return None;
    }
    let text = case.scheme.signed.text().replace("{timestamp}", &format!("{{header:{}}}", header.as_str()));
    let signed = Template::parse(&text).ok()?;
    let secret = case.with_change(|scheme| {
        scheme.signed = signed;
        scheme.timestamp = None;
    });
    found(secret, || Known::TimestampNoNumber)
}

/// The timestamp is HTTP's own `Date`, which proxies may write anew.
pub(super) fn rewritten(case: &Trials<'_>) -> Option<Finding> {
    let place = case.scheme.timestamp.as_ref()?;
    let TimestampAt::Headers(names) = &place.at else { return None };
    if !names.iter().any(|name| name.as_str() == "date") {
        return None;
    }
    let secret = REWRITTEN.filter(|seconds| *seconds != 0).find_map(|seconds| {
        case.with_time(|text| {
            let at = place.unit.parse(text)?;
            Some(place.unit.write(UnixMillis(at.0.saturating_sub(seconds * 1000)))?.into_bytes())
        })
    });
    found(secret, || Known::TimestampRewritten)
}
