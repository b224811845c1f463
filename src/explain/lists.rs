//! Mistakes made with signatures in lists: `t=…,v1=…`, `v1,… v1a,…`, bare ones where labels are expected.
//!
//! A label is told only where it looks like one, so that no part of a signature ever is.

use super::mistake::{Finding, Known, Mistake, found};
use super::trials::Trials;
use crate::key::public::PublicKey;
use crate::scheme::{Algorithm, Items, Kind, TimestampAt};

/// What stands between items, and between label and value.
const SEPARATORS: &[&str] = &[",", ", ", ";", "; ", " ", "&", "|"];
const ASSIGNS: &[u8] = b"=,:";

/// The most labels that are tried.
const MAX_LABELS: usize = 8;

/// The labels of a value taken apart in this way, each once, and what stands behind them.
fn labelled(value: &str, separator: &str, assign: u8) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for item in value.split(separator) {
        let Some((label, text)) = item.split_once(char::from(assign)) else { continue };
        // The padding of base64 is no sign behind a label.
        let is_label = (1..=8).contains(&label.len())
            && text.trim_matches('=').len() >= 8
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_label && found.len() < MAX_LABELS && found.iter().all(|(known, _)| known != label) {
            found.push((label.to_owned(), text.to_owned()));
        }
    }
    found
}

/// The labels that a delivery has, by the scheme's own way of taking a list apart.
fn own_labels(case: &Trials<'_>) -> Vec<String> {
    let items = &case.scheme.signature.items;
    let (Some(assign), true) = (items.assign, case.is_template()) else { return Vec::new() };
    let separator = items.separator.as_deref().unwrap_or(",");
    let values = case.signature_values().filter_map(|(_, value)| std::str::from_utf8(value).ok());
    let labels = values.flat_map(|value| labelled(value, separator, assign));
    labels.map(|(label, _)| label).filter(|label| !is_of_time(case, label)).collect()
}

fn is_of_time(case: &Trials<'_>, label: &str) -> bool {
    matches!(case.scheme.timestamp.as_ref().map(|place| &place.at), Some(TimestampAt::Field(field)) if field == label)
}

/// The labels that the scheme takes, for a message.
fn expected(items: &Items) -> String {
    items.accept.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join("`, `")
}

/// The list is right, but its items are set apart in another way.
pub(super) fn separator(case: &Trials<'_>) -> Option<Finding> {
    let items = &case.scheme.signature.items;
    let own = items.separator.as_deref().filter(|_| case.is_template())?;
    let assigns = |other: &str| {
        let own = items.assign.into_iter();
        own.chain(ASSIGNS.iter().copied()).filter(move |_| !other.is_empty()).collect::<Vec<u8>>()
    };
    SEPARATORS.iter().find_map(|other| {
        assigns(other).into_iter().find_map(|assign| {
            if (*other, Some(assign)) == (own, items.assign) {
                return None;
            }
            let secret = case.with_change(|scheme| {
                scheme.signature.items.separator = Some((*other).to_owned());
                scheme.signature.items.assign = scheme.signature.items.assign.and(Some(assign));
            });
            found(secret, || Known::ListSeparator((*other).to_owned()))
        })
    })
}

/// The right signature stands under a label that the scheme does not take.
pub(super) fn label(case: &Trials<'_>) -> Option<Finding> {
    let items = &case.scheme.signature.items;
    let (_, algorithm) = *items.accept.iter().find(|(_, algorithm)| matches!(algorithm.kind(), Kind::Digest(_)))?;
    let known = |label: &String| items.accept.iter().any(|(accepted, _)| accepted == label);
    own_labels(case).into_iter().filter(|label| !known(label)).find_map(|label| {
        let secret = case.with_change(|scheme| scheme.signature.items.accept = vec![(label.clone(), algorithm)]);
        found(secret, || Known::OtherLabel { expected: expected(items), found: label.clone() })
    })
}

/// The signature stands there alone, without the label that the scheme expects.
pub(super) fn bare(case: &Trials<'_>) -> Option<Finding> {
    let items = &case.scheme.signature.items;
    items.assign.filter(|_| case.is_template())?;
    let secret = case.with_change(|scheme| {
        scheme.signature.items = Items { assign: None, accept: Vec::new(), ..items.clone() };
    });
    found(secret, || Known::LabelMissing(expected(items)))
}

/// The scheme expects one signature, and it stands in a list under a label.
pub(super) fn listed(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.signature.items.assign.is_some() || !case.is_template() {
        return None;
    }
    let values: Vec<&str> = case.signature_values().filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect();
    let ways = SEPARATORS.iter().flat_map(|separator| ASSIGNS.iter().map(move |assign| (*separator, *assign)));
    ways.filter(|(separator, assign)| !separator.contains(char::from(*assign))).find_map(|(separator, assign)| {
        let labels: Vec<_> = values.iter().flat_map(|value| labelled(value, separator, assign)).collect();
        // The time may stand among them too: in the place of the header, where that is not there.
        let times = labels.iter().filter(|(_, text)| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let times: Vec<_> = std::iter::once(None).chain(times.map(|(label, _)| Some(label))).collect();
        labels.iter().find_map(|(label, _)| {
            let secret = times.iter().find_map(|time| {
                case.with_change(|scheme| {
                    scheme.signature.items = Items {
                        separator: Some(separator.to_owned()),
                        assign: Some(assign),
                        accept: vec![(label.clone(), scheme.algorithm)],
                        ..Items::default()
                    };
                    if let (Some(time), Some(place)) = (time, &mut scheme.timestamp) {
                        place.at = TimestampAt::Field((*time).clone());
                    }
                })
            });
            found(secret, || Known::SignatureLabelled(label.clone()))
        })
    })
}

/// No label that the scheme takes is there, or only such as need another kind of key than the secrets are.
pub(super) fn other_labels(case: &Trials<'_>) -> Option<Mistake> {
    let items = &case.scheme.signature.items;
    let there = own_labels(case);
    let algorithm = |label: &String| items.accept.iter().find(|(taken, _)| taken == label).map(|(_, one)| *one);
    let taken: Vec<(&String, Algorithm)> = there.iter().filter_map(|label| Some((label, algorithm(label)?))).collect();
    let Some((label, _)) = taken.first() else {
        let found = (!there.is_empty()).then(|| there.join("`, `"))?;
        return Some(Known::OnlyOtherLabels { expected: expected(items), found }.into());
    };
    let label = (*label).clone();
    let is_public = |secret: &crate::key::secret::Secret| PublicKey::looks_public(secret.text.expose());
    let are_public =
        |public: bool| taken.iter().all(|(_, algorithm)| matches!(algorithm.kind(), Kind::Public(_)) == public);
    if are_public(true) && !case.secrets.iter().any(is_public) {
        Some(Known::NeedsPublicKey(label).into())
    } else if are_public(false) && !case.secrets.is_empty() && case.secrets.iter().all(is_public) {
        Some(Known::NeedsSharedSecret(label).into())
    } else {
        None
    }
}
