//! Mistakes made with signatures in lists: `t=…,v1=…`, `v1,… v1a,…`, and signatures without the
//! label that is expected.
//!
//! A text is repeated as a label only if it looks like a label, so that no part of a signature is
//! ever shown.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::key::public::PublicKey;
use crate::key::secret::Secret;
use crate::scheme::{Algorithm, Items, Kind, TimestampAt};

/// The signs between items.
const SEPARATORS: &[&str] = &[",", ", ", ";", "; ", " ", "&", "|"];

/// The signs between label and value.
const ASSIGNS: &[u8] = b"=,:";

/// The most labels that are tried.
const MAX_LABELS: usize = 8;

/// The labels of a value that is taken apart in this way, each once, and the texts after them.
fn labelled(value: &str, separator: &str, assign: u8) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for item in value.split(separator) {
        let Some((label, text)) = item.split_once(char::from(assign)) else {
            continue;
        };
        // The `=` that pads base64 is not a sign after a label.
        let is_label = (1..=8).contains(&label.len())
            && text.trim_matches('=').len() >= 8
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if is_label && found.len() < MAX_LABELS && found.iter().all(|(known, _)| known != label) {
            found.push((label.to_owned(), text.to_owned()));
        }
    }
    found
}

/// The labels of a delivery, if its list is taken apart as the scheme says.
fn own_labels(case: &Trials<'_>) -> Vec<String> {
    let items = case.scheme.items();
    let (Some(assign), true) = (items.assign, case.is_template()) else {
        return Vec::new();
    };
    let separator = items.separator.as_deref().unwrap_or(",");
    let values = case
        .signature_values()
        .filter_map(|(_, value)| std::str::from_utf8(value).ok());
    let labels = values.flat_map(|value| labelled(value, separator, assign));
    labels
        .map(|(label, _)| label)
        .filter(|label| !is_of_time(case, label))
        .collect()
}

fn is_of_time(case: &Trials<'_>, label: &str) -> bool {
    let at = case.scheme.timestamp().map(|place| &place.at);
    matches!(at, Some(TimestampAt::Field(field)) if field == label)
}

/// The labels that the scheme takes, for a message.
fn expected(items: &Items) -> String {
    items
        .accept
        .iter()
        .map(|(label, _)| label.as_str())
        .collect::<Vec<_>>()
        .join("`, `")
}

/// White space was put behind the separators of the list or around the signs of its labels.
pub(super) fn spaces(case: &Trials<'_>) -> Option<Finding> {
    let items = case.scheme.items();
    if items.separator.is_none() && items.assign.is_none() {
        return None;
    }
    case.signature_values().find_map(|(name, value)| {
        let text = std::str::from_utf8(value).ok()?;
        let without: String = text.split_whitespace().collect();
        let tidy = [", ", "; ", " ,", " ;", " = ", "= ", " =", "\t"]
            .iter()
            .fold(text.to_owned(), |text, sign| {
                text.replace(sign, sign.trim())
            });
        let single = tidy.split_whitespace().collect::<Vec<_>>().join(" ");
        [without, tidy, single]
            .into_iter()
            .filter(|new| new != text)
            .find_map(|new| {
                found(case.with_header(&name, new.as_bytes()), || {
                    let name = name.as_str();
                    Mistake::new(
                        "list_spaces",
                        format!(
                            "The list in the header `{name}` is right, but has a space after a \
                             comma or around another sign that the sender does not write."
                        ),
                        "See which proxy, script or log tidies the header's value, and have it \
                         passed on unchanged.",
                    )
                })
            })
    })
}

/// The signatures are right, but the list has other separators than the scheme.
pub(super) fn separator(case: &Trials<'_>) -> Option<Finding> {
    let items = case.scheme.items();
    let own = items.separator.as_deref().filter(|_| case.is_template())?;
    let assigns = |other: &str| {
        let own = items.assign.into_iter();
        own.chain(ASSIGNS.iter().copied())
            .filter(move |_| !other.is_empty())
            .collect::<Vec<u8>>()
    };
    SEPARATORS.iter().find_map(|other| {
        assigns(other).into_iter().find_map(|assign| {
            if (*other, Some(assign)) == (own, items.assign) {
                return None;
            }
            let secret = case.with_template(|template| {
                let items = &mut template.signature.items;
                items.separator = Some((*other).to_owned());
                items.assign = items.assign.and(Some(assign));
            });
            found(secret, || {
                let sentence = format!(
                    "The items of the signature header are separated by `{other}`, or their \
                     labels are followed by another sign than this scheme takes."
                );
                let fix = "Set `separator` and `assign` in `signature` of the scheme to what the \
                           sender writes, or see whether a proxy rewrote the header.";
                Mistake::new("list_separator", sentence, fix)
            })
        })
    })
}

/// The right signature is under a label that the scheme does not take.
pub(super) fn label(case: &Trials<'_>) -> Option<Finding> {
    let items = case.scheme.items();
    let (_, algorithm) = *items
        .accept
        .iter()
        .find(|(_, algorithm)| matches!(algorithm.kind(), Kind::Digest(_)))?;
    let known = |label: &String| items.accepted(label.as_bytes()).is_some();
    own_labels(case)
        .into_iter()
        .filter(|label| !known(label))
        .find_map(|label| {
            let secret = case.with_template(|template| {
                template.signature.items.accept = vec![(label.clone(), algorithm)];
            });
            found(secret, || {
                let expected = expected(items);
                let sentence = format!(
                    "The right signature is under the label `{label}`, and this scheme takes \
                 `{expected}`."
                );
                Mistake::new("other_label", sentence, accept(&label))
            })
        })
}

/// The fix for a label that the scheme does not take.
fn accept(label: &str) -> String {
    format!("Set `accept = [\"{label}\"]` in `signature` of the scheme, or correct the sender.")
}

/// The signature has no label, and the scheme expects one.
pub(super) fn bare(case: &Trials<'_>) -> Option<Finding> {
    let items = case.scheme.items();
    items.assign.filter(|_| case.is_template())?;
    let secret = case.with_template(|template| {
        template.signature.items = Items {
            assign: None,
            accept: Vec::new(),
            ..items.clone()
        };
    });
    found(secret, || {
        Mistake::new(
            "label_missing",
            format!(
                "The signature is right, but does not have the label `{}`.",
                expected(items)
            ),
            "Have the sender write the label, or leave `assign` and `accept` out of `signature` \
             in the scheme.",
        )
    })
}

/// The scheme expects a signature alone, and the signature is in a list, under a label.
pub(super) fn listed(case: &Trials<'_>) -> Option<Finding> {
    if case.scheme.items().assign.is_some() || !case.is_template() {
        return None;
    }
    let values: Vec<&str> = case
        .signature_values()
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .collect();
    let ways = SEPARATORS
        .iter()
        .flat_map(|separator| ASSIGNS.iter().map(move |assign| (*separator, *assign)));
    ways.filter(|(separator, assign)| !separator.contains(char::from(*assign)))
        .find_map(|(separator, assign)| {
            let labels: Vec<_> = values
                .iter()
                .flat_map(|value| labelled(value, separator, assign))
                .collect();
            // The timestamp may be an item too, if its header is missing.
            let numbers = labels
                .iter()
                .filter(|(_, text)| is_number(text))
                .map(|(label, _)| label);
            let times: Vec<_> = std::iter::once(None).chain(numbers.map(Some)).collect();
            labels.iter().find_map(|(label, _)| {
                let secret = times.iter().find_map(|time| {
                    case.with_template(|template| {
                        template.signature.items = Items {
                            separator: Some(separator.to_owned()),
                            assign: Some(assign),
                            accept: vec![(label.clone(), template.algorithm)],
                            ..Items::default()
                        };
                        if let (Some(time), Some(place)) = (time, &mut template.timestamp) {
                            place.at = TimestampAt::Field((*time).clone());
                        }
                    })
                });
                found(secret, || in_a_list(label))
            })
        })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn in_a_list(label: &str) -> Mistake {
    Mistake::new(
        "signature_labelled",
        format!(
            "The signature is in a list, under the label `{label}`, and this scheme takes it \
             alone."
        ),
        accept(label),
    )
}

/// The delivery has no label that the scheme takes, or only labels that need another kind of key
/// than the secrets are.
pub(super) fn other_labels(case: &Trials<'_>) -> Option<Mistake> {
    let items = case.scheme.items();
    let there = own_labels(case);
    let algorithm = |label: &String| {
        items
            .accept
            .iter()
            .find(|(taken, _)| taken == label)
            .map(|(_, one)| *one)
    };
    let taken: Vec<(&String, Algorithm)> = there
        .iter()
        .filter_map(|label| Some((label, algorithm(label)?)))
        .collect();
    let Some((label, _)) = taken.first() else {
        let found = (!there.is_empty()).then(|| there.join("`, `"))?;
        let is_own = |label: &String| {
            items
                .accept
                .iter()
                .any(|(taken, _)| taken.eq_ignore_ascii_case(label))
        };
        if let Some(label) = there.iter().find(|label| is_own(label)) {
            return Some(Mistake::new(
                "label_case",
                format!(
                    "The label of the signature is `{label}` in place of `{}`: something on the \
                     way changed capital and small letters, which destroys a signature in base64.",
                    expected(items)
                ),
                "Give the header's value exactly as it was sent; find out which proxy, log or \
                 script changes its letters.",
            ));
        }
        return Some(Mistake::new(
            "only_other_labels",
            format!(
                "There is no signature under `{}`, only under `{found}`.",
                expected(items)
            ),
            "See whether the delivery is a test event or of another version, and set the right \
             labels in `accept` of `signature`.",
        ));
    };
    let algorithms: Vec<Algorithm> = taken.iter().map(|(_, algorithm)| *algorithm).collect();
    other_kind_of_key(case, label, &algorithms)
}

/// All algorithms need public keys and all secrets are shared, or the other way round.
fn other_kind_of_key(case: &Trials<'_>, label: &str, algorithms: &[Algorithm]) -> Option<Mistake> {
    let is_public = |secret: &Secret| PublicKey::looks_public(secret.text.expose());
    let are_public = |public: bool| {
        algorithms
            .iter()
            .all(|algorithm| matches!(algorithm.kind(), Kind::Public(_)) == public)
    };
    if are_public(true) && !case.secrets.iter().any(is_public) {
        Some(Mistake::new(
            "needs_public_key",
            format!(
                "There are only signatures under `{label}`, which need the sender's public key, \
                 and the configured secret is a shared one."
            ),
            "Configure the sender's public key (`whpk_…`), or have it sign with the shared secret.",
        ))
    } else if are_public(false) && !case.secrets.is_empty() && case.secrets.iter().all(is_public) {
        Some(Mistake::new(
            "needs_shared_secret",
            format!(
                "There are only signatures under `{label}`, which need the shared secret, and the \
                 configured secret is a public key."
            ),
            "Configure the shared secret (`whsec_…`), or have the sender sign with its private \
             key.",
        ))
    } else {
        None
    }
}
