//! Mistakes made with header lines: renamed, joined, doubled, of another value, gone.
//!
//! A scheme needs its signature's headers, its timestamp's, and what its template signs besides.

use super::content;
use super::mistake::{Finding, Known, Mistake, found};
use super::trials::Trials;
use crate::scheme::{Part, Place, Scheme, Template, TimestampAt};
use crate::wire::head::{FieldName, Found};

/// The most header names that are tried in the place of one.
const MAX_NAMES: usize = 64;

/// The most values that are taken for joined ones.
const MAX_JOINED: usize = 16;

/// The headers that this scheme takes something from, or signs.
fn needed(scheme: &Scheme) -> Vec<FieldName> {
    let mut names = scheme.signature.headers.clone();
    if let Some(TimestampAt::Headers(of_time)) = scheme.timestamp.as_ref().map(|place| &place.at) {
        names.extend(of_time.iter().cloned());
    }
    names.extend(signed(scheme));
    names
}

/// The headers that the template names, the id's among them.
fn signed(scheme: &Scheme) -> Vec<FieldName> {
    let name = |part: &Part| match (part, &scheme.event_id) {
        (Part::Header(name), _) | (Part::Id, Some(Place::Header(name))) => Some(name.clone()),
        _ => None,
    };
    scheme.signed.parts().iter().filter_map(name).collect()
}

/// Puts `new` in the place of `old` wherever the scheme names it; `None` where the template could not be read anew.
fn renamed(scheme: &Scheme, old: &FieldName, new: &FieldName) -> Option<Scheme> {
    let mut scheme = scheme.clone();
    let swap = |name: &mut FieldName| {
        if name == old {
            *name = new.clone();
        }
    };
    scheme.signature.headers.iter_mut().for_each(swap);
    if let Some(TimestampAt::Headers(names)) = scheme.timestamp.as_mut().map(|place| &mut place.at) {
        names.iter_mut().for_each(swap);
    }
    if let Some(Place::Header(name)) = &mut scheme.event_id {
        swap(name);
    }
    if !scheme.signed.parts().is_empty() {
        let spelled = scheme.signed.parts().iter().map(|part| match part {
            Part::Header(name) if name == old => content::spelled(&Part::Header(new.clone())),
            other => content::spelled(other),
        });
        scheme.signed = Template::parse(&spelled.collect::<String>()).ok()?;
    }
    Some(scheme)
}

fn received<'c>(case: &'c Trials<'_>) -> impl Iterator<Item = FieldName> + 'c {
    let names = case.head.lines().filter_map(|(name, _)| FieldName::new(std::str::from_utf8(name).ok()?));
    names.take(MAX_NAMES)
}

/// Signature, timestamp or another signed value under another name: an alias that a proxy made, or a renamed header.
pub(super) fn elsewhere(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.code.is_some() || case.scheme.jwt.is_some() {
        return None;
    }
    let other = |expected: &FieldName, found: &FieldName| Known::OtherHeader {
        expected: expected.as_str().to_owned(),
        found: found.as_str().to_owned(),
    };
    let expected = case.scheme.signature.header()?;
    let is_new = |name: &FieldName| !case.scheme.signature.headers.contains(name);
    let in_signature = received(case).filter(is_new).find_map(|name| {
        let secret = case.with_change(|scheme| scheme.signature.headers = vec![name.clone()]);
        found(secret, || other(expected, &name))
    });
    let in_time = || match &case.scheme.timestamp.as_ref()?.at {
        TimestampAt::Headers(names) => received(case).filter(|name| !names.contains(name)).find_map(|name| {
            let secret = case.with_change(|scheme| {
                if let Some(place) = &mut scheme.timestamp {
                    place.at = TimestampAt::Headers(vec![name.clone()]);
                }
            });
            let first = names.first()?;
            found(secret, || other(first, &name))
        }),
        TimestampAt::Field(_) | TimestampAt::Json(_) => None,
    };
    let in_content = || {
        let missing = signed(case.scheme).into_iter().filter(|name| case.head.find(name) == Found::Nothing);
        let mut missing = missing.map(|old| (renames(case, &old), old));
        missing.find_map(|(names, old)| {
            names.into_iter().find_map(|new| {
                let scheme = renamed(case.scheme, &old, &new)?;
                found(case.with_scheme(scheme), || other(&old, &new))
            })
        })
    };
    in_signature.or_else(in_time).or_else(in_content)
}

/// The headers that could stand for another one: all but those that the scheme needs itself.
fn renames(case: &Trials<'_>, old: &FieldName) -> Vec<FieldName> {
    let needed = needed(case.scheme);
    let mut names: Vec<FieldName> = received(case).filter(|name| !needed.contains(name)).collect();
    // One that ends alike is tried first.
    let ending = old.as_str().rsplit('-').next().unwrap_or_default().to_owned();
    names.sort_by_key(|name| !name.as_str().ends_with(&ending));
    names
}

/// All of its headers with another first part: `svix-id` and so on for `webhook-id`.
pub(super) fn family(case: &Trials<'_>) -> Option<Finding> {
    if !case.is_template() {
        return None;
    }
    let needed = needed(case.scheme);
    let signature = case.scheme.signature.header()?;
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
        found(case.with_scheme(scheme), || Known::OtherHeaderFamily {
            expected: format!("{own}-"),
            found: format!("{other}-"),
        })
    })
}

/// Two lines of one name made one, with a comma between their values (RFC 9110 5.3).
pub(super) fn joined(case: &Trials<'_>) -> Option<Finding> {
    needed(case.scheme).iter().find_map(|name| {
        let Found::One(value) = case.head.find(name) else { return None };
        let value = std::str::from_utf8(value).ok()?;
        let whole = [", ", ","].into_iter().filter(|separator| value.contains(separator));
        let pieces = whole.flat_map(|separator| value.split(separator).take(MAX_JOINED)).map(str::trim);
        pieces.chain(lists(case.scheme, value)).find_map(|one| {
            let secret = case.with_header(name, one.as_bytes());
            found(secret, || Known::HeaderJoined(name.as_str().to_owned()))
        })
    })
}

/// The lists that a value is made of, where each begins with the timestamp.
fn lists<'v>(scheme: &Scheme, value: &'v str) -> Vec<&'v str> {
    let (Some(TimestampAt::Field(field)), Some(assign)) =
        (scheme.timestamp.as_ref().map(|place| &place.at), scheme.signature.items.assign)
    else {
        return Vec::new();
    };
    let begin = format!("{field}{}", char::from(assign));
    let mut begins: Vec<usize> = value.match_indices(&begin).map(|(at, _)| at).take(MAX_JOINED).collect();
    begins.push(value.len());
    let lists = begins.windows(2).filter_map(|range| value.get(*range.first()?..*range.last()?));
    lists.map(|list| list.trim_end_matches([',', ';', ' '])).collect()
}

/// A line too many of a name, or an alias beside it; one of them is right.
pub(super) fn several(case: &Trials<'_>) -> Option<Finding> {
    needed(case.scheme).iter().filter(|name| case.head.find(name) == Found::Several).find_map(|name| {
        let places = case.head.lines().enumerate().filter(|(_, (line, _))| name.is_or_aliases(line));
        let places: Vec<usize> = places.map(|(place, _)| place).take(MAX_JOINED).collect();
        places.iter().find_map(|kept| {
            let lines = case.head.lines().enumerate().filter(|(place, _)| place == kept || !places.contains(place));
            let lines = lines
                .map(|(place, (line, value))| (if place == *kept { name.as_str().as_bytes() } else { line }, value));
            found(case.with_lines(lines), || Known::HeaderTwice(name.as_str().to_owned()))
        })
    })
}

/// All is right but a header that must have one certain value.
pub(super) fn required(case: &Trials<'_>) -> Option<Finding> {
    let is_wrong = |(name, value): &&(FieldName, Vec<u8>)| case.head.find(name) != Found::One(value);
    let (name, _) = case.scheme.require.iter().find(is_wrong)?;
    let secret = case.with_change(|scheme| scheme.require.clear());
    found(secret, || Known::RequiredHeader(name.as_str().to_owned()))
}

/// A header besides signature and timestamp that is signed and not there. Of those two the refusal itself speaks.
pub(super) fn missing(case: &Trials<'_>) -> Option<Mistake> {
    case.signature_values().next()?;
    let is_missing = |name: &FieldName| matches!(case.head.find(name), Found::Nothing | Found::One(b""));
    signed(case.scheme).into_iter().find(is_missing).map(|name| Known::HeaderMissing(name.as_str().to_owned()).into())
}
