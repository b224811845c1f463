//! The table `timestamp`: the place of a delivery's time, and its unit (schemes: Timestamp and
//! tolerance).

use super::super::reader::{Findings, Item};
use super::headers::read_fields;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Unit;
use crate::scheme::{Stamped, TimestampAt, TimestampPlace};

const EXAMPLE: &str = "timestamp = { header = \"X-Timestamp\", unit = \"seconds\" }";

/// Reads the place of a timestamp.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<TimestampPlace> {
    let mut table = item.table(findings, EXAMPLE)?;
    let (header, field, position, json) = (
        table.item("header"),
        table.item("field"),
        table.item("item"),
        table.item("json"),
    );
    let at = match (&header, &field, &position, &json) {
        (Some(item), None, None, None) => read_fields(item, findings).map(TimestampAt::Headers),
        (None, Some(item), None, None) => read_label(item, findings).map(TimestampAt::Field),
        (None, None, Some(item), None) => read_position(item, findings).map(TimestampAt::Item),
        (None, None, None, Some(item)) => read_pointer(item, findings).map(TimestampAt::Json),
        (None, None, None, None) => {
            let path = table.path_of("header");
            findings.absence(
                item.span(),
                format!("`{path}` is missing"),
                format!("add it, as in `{EXAMPLE}`"),
            );
            None
        }
        _ => {
            item.refuse(
                findings,
                "names two places",
                "keep one of `header`, `field`, `item` and `json`",
            );
            None
        }
    };
    let unit = match table.item("unit") {
        Some(item) => item.one_of(findings, &Unit::ALL.map(Unit::name), &[], Unit::named),
        None => Some(Unit::Seconds),
    };
    let stamped = match table.item("stamped") {
        Some(item) => item.one_of(
            findings,
            &["unknown", "attempt", "event"],
            &[],
            |name| match name {
                "unknown" => Some(Stamped::Unknown),
                "attempt" => Some(Stamped::Attempt),
                "event" => Some(Stamped::Event),
                _ => None,
            },
        ),
        // A retry that keeps its body keeps every time in it.
        None if json.is_some() => Some(Stamped::Event),
        None => Some(Stamped::Unknown),
    };
    let unsigned = table
        .item("unsigned")
        .and_then(|item| item.flag(findings))
        .unwrap_or(false);
    let required = table.item("required");
    if let Some(item) = required
        .as_ref()
        .filter(|_| !matches!(at, None | Some(TimestampAt::Json(_))))
    {
        let help = "leave `required` out: it is only for `json`, since nobody can remove a time from a signed body";
        item.refuse(findings, "means nothing here", help);
    }
    let required = required
        .and_then(|item| item.flag(findings))
        .unwrap_or(true);
    table.finish(findings);
    Some(TimestampPlace {
        at: at?,
        unit: unit?,
        stamped: stamped?,
        unsigned,
        required,
    })
}

fn read_label(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let label = item.label(findings, 64, "t")?;
    if label.contains(['=', ',', ';', ' ']) {
        item.refuse(
            findings,
            "is more than a label",
            "write the label alone, without the text around it, as in `\"t\"`",
        );
        return None;
    }
    Some(label.to_owned())
}

/// Reads the position of an item, counted from 1.
fn read_position(item: &Item<'_>, findings: &mut Findings) -> Option<usize> {
    let position = item.integer(findings, 1..=8)?;
    usize::try_from(position).ok()
}

pub(super) fn read_pointer(item: &Item<'_>, findings: &mut Findings) -> Option<Pointer> {
    let pointer =
        Pointer::parse(item.text(findings, "\"/time\"")?).filter(|pointer| !pointer.is_each());
    if pointer.is_none() {
        item.refuse(
            findings,
            "is no JSON pointer to one place",
            "begin it with `/`, as in `/data/time` (RFC 6901)",
        );
    }
    pointer
}
