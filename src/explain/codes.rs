//! Mistakes made with the deliveries of providers that have code of their own: signed lists of
//! headers, signed dates, and forms of which a field is signed.

use super::json;
use super::messages;
use super::mistake::{Finding, Mistake, found};
use super::trials::{Changed, Trials};
use crate::notation::form;
use crate::notation::percent::{MANNERS, encode};
use crate::wire::head::{FieldName, Found, Head};

/// The types of bodies that providers with code of their own send.
const TYPES: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "application/json",
    "application/json; charset=utf-8",
];

/// The form's field that Mandrill sends.
const EVENTS: &str = "mandrill_events";

/// The key with which Mandrill signs the delivery that tries a new webhook.
const TEST_KEY: &[u8] = b"test-webhook";

fn is_code(case: &Trials<'_>, name: &str) -> bool {
    case.scheme.code().is_some_and(|code| code.name() == name)
}

/// The received headers that the signature covers, without those that carry it.
fn covered<'c>(case: &'c Trials<'_>) -> Vec<(FieldName, &'c [u8])> {
    let Some(code) = case.scheme.code() else {
        return Vec::new();
    };
    let lines = case.head.lines().filter_map(|(name, value)| {
        let name = FieldName::new(std::str::from_utf8(name).ok()?)?;
        let is_signed = !name.is_one_of(code.headers()) && code.signs_header(case.head, &name);
        is_signed.then_some((name, value))
    });
    lines.collect()
}

/// The list of signed headers in the signature's header of Hook0: what is before it, its names, and
/// what is behind it.
fn list<'c>(case: &'c Trials<'_>) -> Option<(FieldName, &'c str, Vec<&'c str>, &'c str)> {
    let (name, value) = case
        .signature_values()
        .next()
        .filter(|_| is_code(case, "hook0"))?;
    let value = std::str::from_utf8(value).ok()?;
    let at = value.find("h=").map(|at| at + 2)?;
    let (before, rest) = value.split_at_checked(at)?;
    let end = rest.find(',').unwrap_or(rest.len());
    let (names, behind) = rest.split_at_checked(end)?;
    Some((name, before, names.split(' ').collect(), behind))
}

/// The list of signed headers is in another order than the one that was signed.
pub(super) fn order_of_list(case: &Trials<'_>) -> Option<Finding> {
    let (name, before, names, behind) = list(case)?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let reversed: Vec<&str> = names.iter().rev().copied().collect();
    let in_order = case
        .head
        .lines()
        .filter_map(|(line, _)| std::str::from_utf8(line).ok());
    let lower: Vec<String> = in_order.map(str::to_ascii_lowercase).collect();
    let received: Vec<&str> = lower
        .iter()
        .map(String::as_str)
        .filter(|line| names.contains(line))
        .collect();
    [sorted, reversed, received].into_iter().find_map(|order| {
        let value = format!("{before}{}{behind}", order.join(" "));
        let secret = (order != names).then(|| case.with_header(&name, value.as_bytes()))?;
        found(secret, || {
            Mistake::new(
                "signed_list_order",
                "The list of signed headers (`h=`) is in another order than when it was signed.",
                "Pass the header on as it was sent: the list itself is signed, in its order.",
            )
        })
    })
}

/// A signed header was rewritten on the way: its type of content, its case, white space in it.
pub(super) fn header_rewritten(case: &Trials<'_>) -> Option<Finding> {
    covered(case).into_iter().find_map(|(name, value)| {
        let value = std::str::from_utf8(value).ok()?;
        let bare = value.split(';').next().unwrap_or(value).trim();
        let mut others = vec![
            bare.to_owned(),
            format!("{bare}; charset=utf-8"),
            format!("{bare};charset=utf-8"),
            format!("{bare}; charset=UTF-8"),
            value.to_ascii_lowercase(),
            value.replace(", ", ","),
            value.replace(',', ", "),
            value.trim_matches('"').to_owned(),
        ];
        if name.as_str() == "content-length" {
            others.push(case.body.len().to_string());
        }
        others.retain(|other| other != value);
        others.into_iter().find_map(|other| {
            found(case.with_header(&name, other.as_bytes()), || {
                Mistake::new(
                    "signed_header_rewritten",
                    format!(
                        "The header `{}`, which is signed, was written in another way when it was \
                         signed.",
                        name.as_str()
                    ),
                    "Have every proxy pass the header on as it came, or have the sender leave it out \
                     of what it signs.",
                )
            })
        })
    })
}

/// The type of the body was lost or changed, so that the body is read as another form.
pub(super) fn content_type(case: &Trials<'_>) -> Option<Finding> {
    case.scheme.code()?;
    let secret = TYPES
        .into_iter()
        .find_map(|kind| typed(case, kind, case.body));
    found(secret, || {
        Mistake::new(
            "content_type_lost",
            "The signature is right, but the header `content-type` is missing or another than that \
             of the body, so the body is read in another way.",
            "Give the header with the delivery, and have every proxy pass it on.",
        )
    })
}

/// Tries a body with another type.
fn typed(case: &Trials<'_>, kind: &str, body: &[u8]) -> Option<std::sync::Arc<str>> {
    let is_other = |(name, _): &(&[u8], &[u8])| !name.eq_ignore_ascii_case(b"content-type");
    let lines = case.head.lines().filter(is_other);
    let own: (&[u8], &[u8]) = (b"content-type", kind.as_bytes());
    let lines = lines.chain(std::iter::once(own));
    let head = Head::from_parts(case.head.method(), case.head.target(), lines).ok()?;
    case.proves(&Changed {
        head: &head,
        body,
        ..case.as_is()
    })
}

/// The delivery of Mandrill that tries a webhook is signed with a key that everybody knows.
pub(super) fn mandrill_test_key(case: &Trials<'_>) -> Option<Finding> {
    if !is_code(case, "mandrill") {
        return None;
    }
    found(case.with_texts(|_| Some(TEST_KEY.to_vec())), || {
        Mistake::new(
            "mandrill_test_key",
            "The delivery is signed with the key `test-webhook`, as Mandrill signs the one that only \
             tries a new webhook.",
            "Nothing is wrong with the secret: a gateway refuses this delivery, since everybody knows \
             that key. Try it with a real event.",
        )
    })
}

/// The events of Mandrill were decoded, written again, or taken out of the form.
pub(super) fn mandrill_events(case: &Trials<'_>) -> Option<Finding> {
    if !is_code(case, "mandrill") {
        return None;
    }
    let pairs = form::pairs(case.body).unwrap_or_default();
    let inside = match form::one(&pairs, EVENTS.as_bytes()) {
        Found::One(events) => events.to_vec(),
        _ => case.body.trim_ascii().to_vec(),
    };
    let as_form = |events: &[u8]| {
        let manner = MANNERS.into_iter().next()?;
        let body = format!("{EVENTS}={}", encode(events, manner));
        typed(case, "application/x-www-form-urlencoded", body.as_bytes())
    };
    let taken_out = found(as_form(&inside), || {
        Mistake::new(
            "mandrill_events_alone",
            "Mandrill signs a form with the field `mandrill_events` alone, and the body is another: \
             the JSON of that field, or the form beside other fields.",
            "Give the raw body of the request, before any form parser has touched it.",
        )
    });
    let again = || {
        let written = json::forms(&inside);
        written.take(MAX_FORMS).find_map(|(events, words)| {
            found(as_form(events.as_bytes()), || {
                Mistake::new(
                    "mandrill_events_rewritten",
                    format!(
                        "The JSON in the field `mandrill_events` was decoded and written again: the \
                         signed text is {words}."
                    ),
                    "Verify the raw body of the request, before any parser has touched it.",
                )
            })
        })
    };
    taken_out.or_else(again)
}

/// The most forms of JSON that are tried for the events of Mandrill.
const MAX_FORMS: usize = 64;

/// A header of the signed list is not there.
pub(super) fn header_missing(case: &Trials<'_>) -> Option<Mistake> {
    let (_, _, names, _) = list(case)?;
    let is_missing = |name: &&&str| {
        FieldName::new(name).is_some_and(|header| case.head.find(&header) == Found::Nothing)
    };
    let missing = names.iter().find(is_missing)?;
    Some(Mistake::new(
        "listed_header_missing",
        format!("The header `{missing}`, which the list of signed headers names, is not there."),
        "See which proxy drops it, and whether the capture is whole; a header that never arrives is \
         to be removed from the subscription.",
    ))
}

/// The signed date may have been written by a proxy: Keygen's own date is not there.
pub(super) fn date_rewritten(case: &Trials<'_>) -> Option<Mistake> {
    let own = FieldName::new("keygen-date").filter(|_| is_code(case, "keygen"))?;
    let date = FieldName::new("date")?;
    let is_lost = case.head.find(&own) == Found::Nothing;
    (is_lost && case.head.find(&date) != Found::Nothing).then(|| {
        Mistake::new(
            "signed_date_rewritten",
            "The date is signed, and the header `keygen-date` is not there, so `date` is read, which \
             many proxies write anew.",
            "Have the proxy pass `Keygen-Date` on, and capture it with the delivery.",
        )
    })
}

/// The signature covers headers, and nothing else explains the failure.
pub(super) fn header_changed(case: &Trials<'_>) -> Option<Mistake> {
    let mut names: Vec<String> = covered(case)
        .into_iter()
        .map(|(name, _)| name.as_str().to_owned())
        .collect();
    let derived = messages::covered(case).into_iter();
    names.extend(derived.filter(|name| name.starts_with('@')));
    (!names.is_empty()).then(|| {
        Mistake::new(
            "signed_part_changed",
            format!(
                "The signature covers more than the body, and with these values the delivery does not \
                 match: `{}`.",
                names.join("`, `")
            ),
            "Compare each of them with what the sender sent: a proxy may have changed host, path or \
             headers. If they are the same, compare the secret or the key.",
        )
    })
}
