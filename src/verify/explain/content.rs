//! Mistakes made in what is signed: order, separators, parts left out, units, algorithm, another provider's scheme.

use super::{Case, Finding, Mistake, found};
use crate::verify::scheme::{Algorithm, Part, Scheme, Template};
use crate::verify::timestamp::Unit;
use crate::wire::head::Found;

/// What senders put between the parts.
const SEPARATORS: &[&str] = &[".", "", ":", "\n", "|", "-", "_", ",", " ", "&", "\r\n"];

/// The most parts of which every order is tried.
const MAX_PARTS: usize = 4;

/// Every order and subset of the parts that this scheme signs, the body always among them, under every separator.
pub(super) fn order_and_separator(case: &Case<'_>) -> Option<Finding> {
    let own: Vec<String> = case.scheme.signed.parts().iter().filter_map(spelled).collect();
    if own.len() > MAX_PARTS || !case.scheme.signed.covers_body() {
        return None;
    }
    let mut arrangements = arrangements(&own);
    // The whole before its parts, the scheme's own order before others.
    arrangements.sort_by_key(|parts| (std::cmp::Reverse(parts.len()), *parts != own));
    arrangements.iter().find_map(|parts| {
        SEPARATORS.iter().find_map(|separator| {
            let text = parts.join(separator);
            if text == case.scheme.signed.text() {
                return None;
            }
            let signed = Template::parse(&text).ok()?;
            found(case.with_scheme(Scheme { signed, ..Scheme::clone(case.scheme) }), || {
                let shown = text.replace('\r', "\\r").replace('\n', "\\n");
                match parts.as_slice() {
                    [_] => Mistake::BodyAloneSigned,
                    some if some.len() < own.len() => Mistake::PartLeftOut(shown),
                    same if same == own => Mistake::OtherSeparator(shown),
                    _ => Mistake::OtherOrder(shown),
                }
            })
        })
    })
}

/// Seconds were signed and milliseconds sent, or the other way round.
pub(super) fn unit_of_signed_time(case: &Case<'_>) -> Option<Finding> {
    let place = case.scheme.timestamp.as_ref()?;
    let Found::One(value) = case.head.find(&place.header) else { return None };
    let number: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    let others = [Some(number / 1000), number.checked_mul(1000)];
    let secret =
        others.into_iter().flatten().find_map(|other| case.with_header(&place.header, other.to_string().as_bytes()));
    found(secret, || Mistake::OtherUnitSigned)
}

/// The timestamp's text was signed, whatever it is: a date, a number with a fraction or a leading zero. Where the scheme
/// itself has dates, what is wrong with one stands in the refusal.
pub(super) fn time_as_text(case: &Case<'_>) -> Option<Finding> {
    let place = case.scheme.timestamp.as_ref().filter(|place| place.unit.is_number())?;
    let Found::One(value) = case.head.find(&place.header) else { return None };
    if [Unit::Seconds, Unit::Milliseconds].into_iter().any(|unit| unit.parse(value).is_some()) {
        return None;
    }
    let text = case.scheme.signed.text().replace("{timestamp}", &format!("{{header:{}}}", place.header.as_str()));
    let signed = Template::parse(&text).ok()?;
    let scheme = Scheme { signed, timestamp: None, ..Scheme::clone(case.scheme) };
    found(case.with_scheme(scheme), || Mistake::TimestampNoNumber)
}

pub(super) fn algorithm(case: &Case<'_>) -> Option<Finding> {
    Algorithm::ALL.into_iter().filter(|other| *other != case.scheme.algorithm).find_map(|algorithm| {
        let scheme = Scheme { algorithm, ..Scheme::clone(case.scheme) };
        found(case.with_scheme(scheme), || Mistake::OtherAlgorithm(algorithm.name()))
    })
}

pub(super) fn other_provider(case: &Case<'_>, presets: &[&Scheme]) -> Option<Finding> {
    presets.iter().filter(|preset| preset.provider != case.scheme.provider).find_map(|preset| {
        let secret = case.with_scheme(Scheme::clone(preset));
        found(secret, || Mistake::OtherProvider(preset.provider.clone()))
    })
}

/// A part as a template writes it; `None` for literal text.
fn spelled(part: &Part) -> Option<String> {
    Some(match part {
        Part::Literal(_) => return None,
        Part::Body => "{body}".to_owned(),
        Part::Timestamp => "{timestamp}".to_owned(),
        Part::Id => "{id}".to_owned(),
        Part::Method => "{method}".to_owned(),
        Part::Path => "{path}".to_owned(),
        Part::Query => "{query}".to_owned(),
        Part::Url => "{url}".to_owned(),
        Part::Header(name) => format!("{{header:{}}}", name.as_str()),
    })
}

/// Every order of every subset that holds the body.
fn arrangements(parts: &[String]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for part in parts {
        let mut longer = Vec::new();
        for arrangement in &all {
            for place in 0..=arrangement.len() {
                let mut next = arrangement.clone();
                next.insert(place, part.clone());
                longer.push(next);
            }
        }
        all.append(&mut longer);
    }
    all.retain(|parts| parts.iter().any(|part| part == "{body}"));
    all
}
