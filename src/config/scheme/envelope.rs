//! The keys `event_id`, `event_type` and `account`: the places of an event's parts (schemes:
//! Envelope places).

use super::super::reader::{Findings, Item, Table};
use super::headers::read_field;
use crate::notation::json::Pointer;
use crate::scheme::{Place, Scheme};

/// The places of id, type and account. They are keys of a scheme, and of a route, whose places
/// replace those of its preset.
#[derive(Debug)]
pub(in crate::config) struct Envelope {
    /// The place of the id, and whether a delivery without an id is refused. The same for the other
    /// two.
    event_id: Option<(Place, bool)>,
    event_type: Option<(Place, bool)>,
    account: Option<(Place, bool)>,
    /// False if the value of a key was wrong.
    pub(in crate::config) is_usable: bool,
}

impl Envelope {
    /// Reads the three keys of a table.
    pub(in crate::config) fn read(table: &mut Table<'_>, findings: &mut Findings) -> Self {
        let mut is_usable = true;
        let mut place = |key, findings: &mut Findings| {
            let item = table.item(key)?;
            let place = read_place(&item, findings);
            is_usable &= place.is_some();
            place
        };
        let event_id = place("event_id", findings);
        let (event_type, account) = (place("event_type", findings), place("account", findings));
        let with = |found: Option<(Place, Option<bool>)>, otherwise| {
            found.map(|(place, required)| (place, required.unwrap_or(otherwise)))
        };
        let (event_id, event_type) = (with(event_id, true), with(event_type, false));
        let account = with(account, false);
        Self {
            event_id,
            event_type,
            account,
            is_usable,
        }
    }

    /// Sets the places that were written in a scheme. An id place that the operator wrote is no
    /// longer the preset's place (contract: Seen again).
    pub(in crate::config) fn set(self, scheme: &mut Scheme) {
        if let Some((place, required)) = self.event_id {
            scheme.event_id = Some(place);
            scheme.event_id_required = required;
        }
        if let Some((place, required)) = self.event_type {
            scheme.event_type = Some(place);
            scheme.event_type_required = required;
        }
        if let Some((place, required)) = self.account {
            scheme.account = Some(place);
            scheme.account_required = required;
        }
    }

    /// Whether a place for the id was written.
    pub(in crate::config) fn has_id(&self) -> bool {
        self.event_id.is_some()
    }
}

fn read_place(item: &Item<'_>, findings: &mut Findings) -> Option<(Place, Option<bool>)> {
    let mut table = item.table(findings, "{ json = \"/id\" }")?;
    let (header, json, claim) = (
        table.item("header"),
        table.item("json"),
        table.item("claim"),
    );
    let required = table.item("required").and_then(|item| item.flag(findings));
    table.finish(findings);
    let place = match (header, json, claim) {
        (Some(header), None, None) => Place::Header(read_field(&header, findings)?),
        (None, Some(json), None) => Place::Json(read_pointers(&json, findings)?),
        (None, None, Some(claim)) => Place::Claim(
            claim
                .label(findings, 128, "{ claim = \"jti\" }")?
                .to_owned(),
        ),
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            item.refuse(
                findings,
                "names two places",
                "keep one of `header`, `json` and `claim`",
            );
            return None;
        }
        (None, None, None) => {
            item.refuse(
                findings,
                "names no place",
                "write `{ header = \"X-Event-Id\" }` or `{ json = \"/id\" }`",
            );
            return None;
        }
    };
    Some((place, required))
}

fn read_pointers(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<Pointer>> {
    let pointer = |entry: &Item<'_>, findings: &mut Findings| {
        let pointer = Pointer::parse(entry.text(findings, "\"/id\"")?);
        if pointer.is_none() {
            let help =
                "begin it with `/`, as in `/data/id`; `~1` stands for `/`, `~0` for `~` (RFC 6901)";
            entry.refuse(findings, "is no JSON pointer", help);
        }
        if pointer.as_ref().is_some_and(Pointer::is_each) {
            entry.refuse(
                findings,
                "names many places",
                "name one place: `*` is only for `signature.json`",
            );
            return None;
        }
        pointer
    };
    if !item.value.get_ref().is_array() {
        return Some(vec![pointer(item, findings)?]);
    }
    let entries = item.list(findings, "json = \"/id\"")?;
    let pointers: Vec<_> = entries
        .iter()
        .filter_map(|entry| pointer(entry, findings))
        .collect();
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty",
            "write at least one pointer, as in `/id`",
        );
    }
    (!pointers.is_empty() && pointers.len() == entries.len()).then_some(pointers)
}
