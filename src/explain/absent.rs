//! A signature or a timestamp that is not there: in a header, in the query or in the body.

use super::contents::Contents;
use super::mistake::Mistake;
use super::trials::Trials;
use crate::notation::query::parameter;
use crate::scheme::{Role, Source, TimestampAt};
use crate::wire::head::{FieldName, Found};

/// The signature or the timestamp of a scheme that reads it in the body is not there.
fn not_in_body(case: &Trials<'_>) -> Option<Mistake> {
    let contents = Contents::of(case.body);
    let sources = case.scheme.sources();
    let of = |role: Role| -> Vec<&Source> {
        let of_role = sources.iter().filter(|(own, _)| *own == role);
        of_role.map(|(_, source)| source).collect()
    };
    let is_in_body = |source: &&Source| {
        let is_elsewhere = matches!(source, Source::Header(_) | Source::Query(_));
        !is_elsewhere && !contents.hold(case.scheme, source)
    };
    let missing = |role: Role| {
        let places = of(role);
        let is_missing = !places.is_empty() && places.iter().all(is_in_body);
        is_missing.then(|| places.first().map(|place| place.words()))?
    };
    let fix = "See whether the body is whole and as the provider sent it, whether the sender has a \
               secret set (many sign only then), and whether the delivery is of this provider.";
    let words = |what: &str, place: String| {
        format!("There is no {what} in the body: this scheme reads it from {place}.")
    };
    if let Some(place) = missing(Role::Signature) {
        let sentence = words("signature", place);
        return Some(Mistake::new("signature_missing", sentence, fix));
    }
    missing(Role::Timestamp)
        .map(|place| Mistake::new("timestamp_missing", words("timestamp", place), fix))
}

/// The signature or the timestamp is missing or empty.
pub(super) fn no_signature(case: &Trials<'_>) -> Option<Mistake> {
    let is_there =
        |name: &FieldName| !matches!(case.head.find(name), Found::Nothing | Found::One(b""));
    let fix = "See whether a proxy, a tunnel or the capture drops it, whether the sender has a \
               secret set (many sign only then), and whether the delivery is of this provider.";
    if let Some(name) = case.scheme.signature_query()
        && parameter(case.head.query().unwrap_or_default(), name) == Found::Nothing
    {
        return Some(Mistake::new(
            "signature_missing",
            format!("The URL has no parameter `{name}` with a signature in it."),
            "Give the whole URL with `--url`, its query included, and see whether a proxy drops the \
             query.",
        ));
    }
    let signature = case.signature_names();
    if let Some(name) = signature
        .first()
        .filter(|_| !signature.iter().any(is_there))
    {
        return Some(Mistake::new(
            "signature_missing",
            format!(
                "There is no header `{}` with a signature in it.",
                name.as_str()
            ),
            fix,
        ));
    }
    let missing = not_in_body(case);
    if missing.is_some() {
        return missing;
    }
    let names = match case.scheme.timestamp().map(|place| &place.at)? {
        TimestampAt::Headers(names) => names,
        TimestampAt::Field(field) => return no_field(case, field),
        TimestampAt::Item(_) | TimestampAt::Json(_) => return None,
    };
    let name = names.first().filter(|_| !names.iter().any(is_there))?;
    Some(Mistake::new(
        "timestamp_missing",
        format!(
            "There is no header `{}` with the timestamp in it.",
            name.as_str()
        ),
        fix,
    ))
}

/// The timestamp belongs under a label of the signature's header, and the label is not there.
fn no_field(case: &Trials<'_>, field: &str) -> Option<Mistake> {
    let items = case.scheme.items();
    let assign = char::from(items.assign?);
    let separator = items.separator.as_deref().unwrap_or(",");
    let label = format!("{field}{assign}");
    case.signature_values().find_map(|(name, value)| {
        let value = std::str::from_utf8(value).ok()?;
        let is_there = value
            .split(separator)
            .any(|item| item.trim_start().starts_with(&label));
        (!is_there).then(|| {
            Mistake::new(
                "timestamp_missing",
                format!(
                    "There is no `{label}` with the timestamp in the header `{}`.",
                    name.as_str()
                ),
                "See whether a proxy, a script or the capture cut the header or kept the signature \
                 alone, and give its whole value.",
            )
        })
    })
}
