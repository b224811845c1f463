//! The value of a signature header: a signature in the list that the scheme puts it into (schemes:
//! Signature).
//!
//! The verifier has a counterpart that takes such a value apart.

use crate::scheme::{TemplateScheme, TimestampAt};

/// The value of the signature header: the signature alone, or with its label and, if its place is
/// in this header, the timestamp.
pub(super) fn listed(
    template: &TemplateScheme,
    timestamp: Option<&str>,
    (label, signature): (Option<&str>, String),
) -> String {
    let place = &template.signature;
    let items = &place.items;
    let item = |label: Option<&str>, value: String| match (items.assign, label) {
        (Some(assign), Some(label)) => {
            // Any text may be in the place of a `*`: a number, as of a key.
            let label = label.replacen('*', "1", 1);
            format!("{label}{}{value}", char::from(assign))
        }
        _ => value,
    };
    let mut list = vec![item(label, signature)];
    match (
        template.timestamp.as_ref().map(|place| &place.at),
        timestamp,
    ) {
        (Some(TimestampAt::Field(field)), Some(text)) => {
            list.insert(0, item(Some(field), text.to_owned()));
        }
        (Some(TimestampAt::Item(position)), Some(text)) => {
            // The same signature fills the positions before the timestamp.
            while list.len() + 1 < *position {
                list.extend(list.first().cloned());
            }
            let at = position.saturating_sub(1).min(list.len());
            list.insert(at, text.to_owned());
        }
        _ => {}
    }
    let list = list.join(items.separator.as_deref().unwrap_or(","));
    if place.prefix_once {
        place.prefix.clone() + &list
    } else {
        list
    }
}
