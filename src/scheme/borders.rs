//! The borders between signed values: no byte may move from a value into the next under the same
//! signature (schemes: What is refused).

use super::fault::{SchemeFault, fault};
use super::{Part, Settings, TemplateScheme};
use crate::notation::timestamp::{Tolerance, Unit};

/// The faults in the borders of a template.
///
/// A value of a fixed length (a digest of the body, an id of a fixed form) needs no border of its
/// own. The values on its two sides need a border between them all the same, as if it were not
/// there: if nothing divided `{header:a}{id}{header:b}`, then `b` could hold what looks like the id,
/// and the id would become a part of `a`.
pub(super) fn border_faults(
    template: &TemplateScheme,
    settings: &Settings,
    faults: &mut Vec<SchemeFault>,
) {
    let is_judged = template.timestamp.is_some()
        && settings.tolerance != Tolerance::Off
        && settings.future_tolerance != Tolerance::Off;
    let has_open_end = template
        .timestamp
        .as_ref()
        .is_some_and(|place| place.unit == Unit::Iso8601Utc);
    let (mut left, mut between) = (None::<&Part>, Between::default());
    for (part, own) in template.signed.parts_with_own() {
        match part {
            Part::Literal(text) => {
                between.text.push_str(text);
                between.own.push_str(own);
                between.holds_param |= own != text;
                continue;
            }
            // It becomes a literal, and its bytes are not known before that.
            Part::Param(_) => {
                between.holds_param = true;
                continue;
            }
            _ => {}
        }
        let is_fixed = template.signed.is_of_fixed_length(part);
        let mut is_divided = true;
        if let Some(left) = left {
            let has_timestamp = template.is_timestamp(left) || template.is_timestamp(part);
            // `iso8601-utc` has optional decimals and no zone behind them, so digits at its end
            // could move into the next value while the timestamp still parses and is still fresh.
            let is_open = template.is_timestamp(left) && has_open_end;
            // A literal of digits alone does not delimit a timestamp. For `iso8601-utc` neither
            // does `.`, which could begin its decimals.
            let could_belong = |b: u8| has_timestamp && b.is_ascii_digit() || is_open && b == b'.';
            // The text of a route divides only a timestamp from its neighbour, since a timestamp
            // cannot hold it. Every other value could.
            let text = if has_timestamp {
                &between.text
            } else {
                &between.own
            };
            is_divided = !text.bytes().all(could_belong);
            if !is_divided && !is_fixed {
                let open = is_open.then(open_end_fault);
                let fault = open.or_else(|| border_fault(left, part, has_timestamp, is_judged));
                faults.extend(fault.map(|fault| {
                    let is_only_param = between.holds_param && !has_timestamp;
                    if is_only_param { param_fault() } else { fault }
                }));
            }
        }
        left = match (is_fixed, is_divided) {
            (false, _) => Some(part),
            (true, true) => None,
            (true, false) => left,
        };
        between = Between::default();
    }
}

/// The literal text between two values.
#[derive(Default)]
struct Between {
    /// The whole text, as far as it is known.
    text: String,
    /// The text of the template itself in it.
    own: String,
    /// Whether a text of the route is among it.
    holds_param: bool,
}

fn param_fault() -> SchemeFault {
    fault(
        "signed",
        "only a `{param:…}` is between two values, and either of them may hold its text: bytes \
         could move from one into the other under the same signature",
        "put the text that the provider signs between them, as in `{id}.{param:app_key}.{body}`; an \
         id of a fixed form needs none: say so with `id_form`",
    )
}

fn open_end_fault() -> SchemeFault {
    fault(
        "signed",
        "nothing divides `{timestamp}` in `iso8601-utc` from the next value: its decimals could \
         move into it",
        "put the text that the provider signs between them, as in `{timestamp}:{body}`; `.` alone \
         divides nothing here",
    )
}

/// The fault in two values with no delimiter between them; `None` where no byte can move.
fn border_fault(
    left: &Part,
    right: &Part,
    has_timestamp: bool,
    is_judged: bool,
) -> Option<SchemeFault> {
    if has_timestamp {
        // A digit that moves over the border makes a Unix time about ten times larger or smaller,
        // which no tolerance accepts. A date begins with a year of four digits or with a weekday
        // and ends in its zone, so none of its bytes can move. Both are safe as long as freshness
        // is judged.
        return (!is_judged).then(|| {
            fault(
                "signed",
                "nothing divides `{timestamp}` from the value beside it, and its freshness is not \
                 judged",
                "set `tolerance` and `future_tolerance` to a time, so that no digit can move over \
                 the border",
            )
        });
    }
    if *left == Part::Secret || *right == Part::Secret {
        // Only somebody who knows the secret could move its bytes.
        return None;
    }
    match (left.is_settled(), right.is_settled()) {
        (true, true) => None,
        // Square and Trello sign URL and body side by side. An exact route has fixed the path, and
        // a JSON or XML body begins with a byte that no target can contain. Only the body of a form
        // behind a URL with a query could lose bytes to the query.
        (true, false) if *right == Part::Body => None,
        (false, true) if *left == Part::Body => None,
        _ => Some(fault(
            "signed",
            "nothing divides two values: bytes could move from one into the other under the same \
             signature",
            "put the text that the provider signs between them, as in `{id}.{body}`; an id of a \
             fixed form needs none: say so with `id_form`",
        )),
    }
}
