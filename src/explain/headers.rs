//! Mistakes made with header lines: renamed, joined, doubled, missing, or with another value.
//!
//! A scheme needs the headers of its signature and its timestamp, and the headers that its template
//! signs besides.

use std::sync::Arc;

use super::content;
use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::scheme::{Part, Place, Scheme, Template, TimestampAt};
use crate::wire::head::{FieldName, Found};

/// The most header names that are tried in the place of one.
const MAX_NAMES: usize = 64;

/// The most values that a header is taken to be joined from.
const MAX_JOINED: usize = 16;

/// The headers that a scheme reads or signs.
fn needed(scheme: &Scheme) -> Vec<FieldName> {
    let mut names = scheme.signature_headers().to_vec();
    if let Some(TimestampAt::Headers(of_time)) = scheme.timestamp().map(|place| &place.at) {
        names.extend(of_time.iter().cloned());
    }
    names.extend(signed(scheme));
    names
}

/// The headers that the template names, with the header of the id.
fn signed(scheme: &Scheme) -> Vec<FieldName> {
    let name = |part: &Part| match (part, &scheme.event_id) {
        (Part::Header(name), _) | (Part::Id, Some(Place::Header(name))) => Some(name.clone()),
        _ => None,
    };
    scheme.parts().iter().filter_map(name).collect()
}

/// The scheme with `new` in the place of `old` wherever it names it; `None` if its template could
/// not be parsed again.
fn renamed(scheme: &Scheme, old: &FieldName, new: &FieldName) -> Option<Scheme> {
    let mut scheme = scheme.clone();
    let swap = |name: &mut FieldName| {
        if name == old {
            *name = new.clone();
        }
    };
    if let Some(Place::Header(name)) = &mut scheme.event_id {
        swap(name);
    }
    let mut headers = scheme.signature_headers().to_vec();
    headers.iter_mut().for_each(swap);
    scheme.proof.set_signature_headers(headers);
    if let Some(template) = scheme.template_mut() {
        if let Some(TimestampAt::Headers(names)) =
            template.timestamp.as_mut().map(|place| &mut place.at)
        {
            names.iter_mut().for_each(swap);
        }
        let spelled = template.signed.parts().iter().map(|part| match part {
            Part::Header(name) if name == old => content::spelled(&Part::Header(new.clone())),
            other => content::spelled(other),
        });
        template.signed = Template::parse(&spelled.collect::<String>()).ok()?;
    }
    Some(scheme)
}

/// The names of the headers that were received.
fn received<'c>(case: &'c Trials<'_>) -> impl Iterator<Item = FieldName> + 'c {
    let names = case
        .head
        .lines()
        .filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
    names.take(MAX_NAMES)
}

/// The signature, the timestamp or another signed value is in a header of another name, as by an
/// alias of a proxy.
pub(super) fn elsewhere(case: &Trials<'_>) -> Option<Finding> {
    let expected = case.signature_names().into_iter().next()?;
    let in_signature = signature_elsewhere(case, &expected);
    in_signature
        .or_else(|| timestamp_elsewhere(case))
        .or_else(|| content_elsewhere(case))
}

fn signature_elsewhere(case: &Trials<'_>, expected: &FieldName) -> Option<Finding> {
    let own = case.signature_names();
    let is_new = |name: &FieldName| !own.contains(name);
    received(case).filter(is_new).find_map(|name| {
        // The code of a provider looks for its own header only, so the line takes that name.
        let secret = if case.scheme.code().is_some() {
            let lines = case.head.lines().filter(|(line, _)| !expected.is(line));
            case.with_lines(lines.map(|(line, value)| {
                let line = if name.is(line) {
                    expected.as_str().as_bytes()
                } else {
                    line
                };
                (line, value)
            }))
        } else {
            case.with_change(|scheme| scheme.proof.set_signature_headers(vec![name.clone()]))
        };
        found(secret, || other_header(expected, &name))
    })
}

fn timestamp_elsewhere(case: &Trials<'_>) -> Option<Finding> {
    let TimestampAt::Headers(names) = &case.scheme.timestamp()?.at else {
        return None;
    };
    let expected = names.first()?;
    received(case)
        .filter(|name| !names.contains(name))
        .find_map(|name| {
            let secret = case.with_template(|template| {
                if let Some(place) = &mut template.timestamp {
                    place.at = TimestampAt::Headers(vec![name.clone()]);
                }
            });
            found(secret, || other_header(expected, &name))
        })
}

fn content_elsewhere(case: &Trials<'_>) -> Option<Finding> {
    let mut missing = signed(case.scheme)
        .into_iter()
        .filter(|name| case.head.find(name) == Found::Nothing);
    missing.find_map(|old| {
        renames(case, &old).into_iter().find_map(|new| {
            let scheme = renamed(case.scheme, &old, &new)?;
            found(case.with_scheme(scheme), || other_header(&old, &new))
        })
    })
}

/// A value is in the header `found` instead of `expected`.
pub(super) fn other_header(expected: &FieldName, found: &FieldName) -> Mistake {
    let (expected, found) = (expected.as_str(), found.as_str());
    Mistake::new(
        "other_header",
        format!(
            "This scheme looks for the header `{expected}`, and its value is in the header \
             `{found}`."
        ),
        "Name that header in the scheme, or see whether a proxy on the way renames it.",
    )
}

/// The headers that could be `old` renamed: all but those that the scheme needs itself.
fn renames(case: &Trials<'_>, old: &FieldName) -> Vec<FieldName> {
    let needed = needed(case.scheme);
    let mut names: Vec<FieldName> = received(case)
        .filter(|name| !needed.contains(name))
        .collect();
    // A name that ends alike is tried first.
    let ending = old
        .as_str()
        .rsplit('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    names.sort_by_key(|name| !name.as_str().ends_with(&ending));
    names
}

/// All headers of the scheme have another first part: `svix-id` and so on for `webhook-id`.
pub(super) fn family(case: &Trials<'_>) -> Option<Finding> {
    if !case.is_template() {
        return None;
    }
    let needed = needed(case.scheme);
    let signature = case.scheme.signature_headers().first()?;
    let (own, last) = signature.as_str().rsplit_once('-')?;
    let names: Vec<FieldName> = received(case).collect();
    names.iter().filter_map(|name| name.as_str().rsplit_once('-')).find_map(|(other, ending)| {
        if ending != last || other == own {
            return None;
        }
        let mut scheme = Scheme::clone(case.scheme);
        for old in &needed {
            let Some(rest) = old.as_str().strip_prefix(own) else { continue };
            scheme = renamed(&scheme, old, &FieldName::new(&format!("{other}{rest}"))?)?;
        }
        let headers = scheme.signature_headers().to_vec();
        found(case.with_scheme(scheme), || {
            let preset = case.around.presets.iter().find(|preset| {
                preset.signature_headers() == headers && preset.provider != case.scheme.provider
            });
            let named = case.around.presets.iter().find(|preset| preset.provider == other);
            let preset = named.or(preset);
            let fix = match preset {
                Some(preset) => format!(
                    "Set `provider = \"{}\"` on the route: that provider names its headers \
                     `{other}-…`.",
                    preset.provider
                ),
                None => "Name those headers in the scheme, or see whether a proxy on the way \
                         renames them."
                    .to_owned(),
            };
            Mistake::new(
                "other_header_family",
                format!(
                    "The signature is right, but this scheme looks for headers named `{own}-…`, \
                     and they are named `{other}-…`."
                ),
                fix,
            )
        })
    })
}

/// The values of two headers of the scheme were swapped.
pub(super) fn swapped(case: &Trials<'_>) -> Option<Finding> {
    let mut names = needed(case.scheme);
    names.dedup();
    let one = |name: &FieldName| match case.head.find(name) {
        Found::One(value) => Some(value),
        _ => None,
    };
    names.iter().enumerate().find_map(|(place, first)| {
        names.iter().skip(place + 1).find_map(|second| {
            let (a, b) = (one(first)?, one(second)?);
            let lines = case.head.lines().map(|(name, value)| {
                if first.is(name) {
                    (name, b)
                } else if second.is(name) {
                    (name, a)
                } else {
                    (name, value)
                }
            });
            found(case.with_lines(lines), || {
                Mistake::new(
                    "headers_swapped",
                    format!(
                        "The headers `{}` and `{}` have each other's value.",
                        first.as_str(),
                        second.as_str()
                    ),
                    "Swap the two values in the sender, the test script or the capture.",
                )
            })
        })
    })
}

/// Two lines of the same name were joined by a comma (RFC 9110 section 5.3), and the value of
/// either is right.
pub(super) fn joined(case: &Trials<'_>) -> Option<Finding> {
    needed(case.scheme).iter().find_map(|name| {
        let Found::One(value) = case.head.find(name) else {
            return None;
        };
        let value = std::str::from_utf8(value).ok()?;
        let whole = [", ", ","]
            .into_iter()
            .filter(|separator| value.contains(separator));
        let pieces = whole
            .flat_map(|separator| value.split(separator).take(MAX_JOINED))
            .map(str::trim);
        pieces.chain(lists(case.scheme, value)).find_map(|piece| {
            let secret = case.with_header(name, piece.as_bytes());
            found(secret, || {
                let name = name.as_str();
                let sentence = format!(
                    "The header `{name}` holds several values with commas between them, and one \
                     of the values is right."
                );
                let fix = "Have the proxy keep header lines apart, or the sender send a single \
                           line; any hop may join lines of the same name.";
                Mistake::new("header_joined", sentence, fix)
            })
        })
    })
}

/// The lists that a value was joined from, if each of them begins with the timestamp.
fn lists<'v>(scheme: &Scheme, value: &'v str) -> Vec<&'v str> {
    let (Some(TimestampAt::Field(field)), Some(assign)) = (
        scheme.timestamp().map(|place| &place.at),
        scheme.items().assign,
    ) else {
        return Vec::new();
    };
    let begin = format!("{field}{}", char::from(assign));
    let mut begins: Vec<usize> = value
        .match_indices(&begin)
        .map(|(at, _)| at)
        .take(MAX_JOINED)
        .collect();
    begins.push(value.len());
    let lists = begins
        .windows(2)
        .filter_map(|range| value.get(*range.first()?..*range.last()?));
    lists
        .map(|list| list.trim_end_matches([',', ';', ' ']))
        .collect()
}

/// A header is there more than once, or beside an alias of it, and one of the lines is right.
pub(super) fn several(case: &Trials<'_>) -> Option<Finding> {
    let needed = needed(case.scheme);
    let mut doubled = needed
        .iter()
        .filter(|name| case.head.find(name) == Found::Several);
    doubled.find_map(|name| {
        let places = case
            .head
            .lines()
            .enumerate()
            .filter(|(_, (line, _))| name.is_or_aliases(line));
        let places: Vec<usize> = places.map(|(place, _)| place).take(MAX_JOINED).collect();
        places
            .iter()
            .find_map(|kept| found(with_single(case, name, &places, *kept), || sent_twice(name)))
    })
}

/// Tries the head with `kept` as the only line of the header that the lines at `places` carry.
fn with_single(
    case: &Trials<'_>,
    name: &FieldName,
    places: &[usize],
    kept: usize,
) -> Option<Arc<str>> {
    let lines = case.head.lines().enumerate();
    let lines = lines.filter(|(place, _)| *place == kept || !places.contains(place));
    case.with_lines(lines.map(|(place, (line, value))| {
        let line = if place == kept {
            name.as_str().as_bytes()
        } else {
            line
        };
        (line, value)
    }))
}

fn sent_twice(name: &FieldName) -> Mistake {
    let name = name.as_str();
    let sentence = format!(
        "The header `{name}`, or an alias of it, is there more than once, and one of the lines is \
         right."
    );
    Mistake::new(
        "header_twice",
        sentence,
        "Have the sender or the proxy send the header once.",
    )
}

/// All is right except a header that must have a certain value.
pub(super) fn required(case: &Trials<'_>) -> Option<Finding> {
    let is_wrong =
        |(name, value): &&(FieldName, Vec<u8>)| case.head.find(name) != Found::One(value);
    let (name, _) = case.scheme.require.iter().find(is_wrong)?;
    let secret = case.with_change(|scheme| scheme.require.clear());
    found(secret, || {
        let name = name.as_str();
        Mistake::new(
            "required_header",
            format!(
                "The signature is right, but the header `{name}` does not have the value that \
                 this scheme requires."
            ),
            "Compare it with the documentation of the provider; a newer version may sign in \
             another way.",
        )
    })
}

/// A signed header is missing.
///
/// The headers of signature and timestamp are not looked at: if they are missing, the refusal
/// itself says so.
pub(super) fn missing(case: &Trials<'_>) -> Option<Mistake> {
    case.signature_values().next()?;
    let is_missing =
        |name: &FieldName| matches!(case.head.find(name), Found::Nothing | Found::One(b""));
    signed(case.scheme)
        .into_iter()
        .find(is_missing)
        .map(|name| {
            Mistake::new(
                "header_missing",
                format!(
                    "The header `{}`, which is part of the signed content, is missing.",
                    name.as_str()
                ),
                "See whether a proxy drops it, and whether the capture is whole.",
            )
        })
}
