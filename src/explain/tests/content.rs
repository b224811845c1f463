//! The signed content: plain hashes, parts too many, timestamps in the body and in `Date`.

use super::*;
use crate::explain::tests::fixtures::{between, by, with_secret};
use crate::notation::json::Pointer;
use crate::scheme::Items;
use crate::scheme::tests::fixtures::{plain, stripe, template_of};

#[test]
fn plain_hashes_and_parts_too_many_are_named() {
    let hash = |text: &str| {
        crate::scheme::tests::fixtures::changed(plain(text), |own| {
            own.algorithm = Algorithm::Sha256;
        })
    };
    let sent = |scheme: &Scheme| between(scheme, &plain("{body}"));
    let unkeyed = {
        let mut sample = by(&plain("{body}"));
        let mut hash = crate::key::digest::DigestAlgorithm::Sha256.mac(b"");
        hash.update(BODY.as_bytes());
        sample.lines = vec![(
            "X-Signature".into(),
            hex::encode(hash.finalize().as_bytes()),
        )];
        sample
    };
    let slack = timestamped("v0:{timestamp}:{body}");
    let swapped = between(&timestamped("v0:{body}:{timestamp}"), &slack);
    let own = hash("{body}{secret}");
    compare(vec![
        (
            "the secret behind",
            sent(&hash("{body}{secret}")),
            "plain_hash: sha256 … `{body}{secret}`",
        ),
        (
            "the secret before",
            sent(&hash("{secret}{body}")),
            "plain_hash: sha256 … `{secret}{body}`",
        ),
        ("no secret at all", unkeyed, "unkeyed: sha256"),
        (
            "an own plain hash, a newline too many",
            Sample {
                body: format!("{BODY}\n").into_bytes(),
                ..by(&own)
            },
            "body_gained_newline",
        ),
        (
            "an own plain hash, the other order",
            between(&hash("{secret}.{body}"), &own),
            "other_order: `{secret}.{body}`",
        ),
        (
            "the time too",
            sent(&timestamped("{timestamp}.{body}")),
            "part_added: `{header:x-timestamp}.{body}`",
        ),
        (
            "the id too",
            sent(&plain("{id}:{body}")),
            "part_added: `{header:x-id}:{body}`",
        ),
        (
            "the path too",
            sent(&plain("{path}{body}")),
            "part_added: `{path}{body}`",
        ),
        (
            "another order without the body",
            between(
                &timestamped("{id}.{timestamp}"),
                &timestamped("{timestamp}.{id}"),
            ),
            "other_order: `{id}.{timestamp}`",
        ),
        (
            "another order behind v0:",
            swapped,
            "other_order: `v0:{body}:{timestamp}`",
        ),
    ]);
}

#[test]
fn a_time_in_the_body_and_a_rewritten_date_are_judged_too() {
    let in_body = || {
        let mut scheme = timestamped("{body}");
        template_of(&mut scheme).timestamp.as_mut().unwrap().at =
            TimestampAt::Json(Pointer::parse("/at").unwrap());
        scheme
    };
    let sent = |at: i64| {
        let body = format!("{{\"at\":{at}}}").into_bytes();
        Sample {
            scheme: in_body(),
            ..Sample::sent(&plain("{body}"), SECRET, &body)
        }
    };
    let of_event = |mut sample: Sample| {
        let place = template_of(&mut sample.scheme).timestamp.as_mut().unwrap();
        place.stamped = crate::scheme::Stamped::Event;
        sample
    };
    let mut dated = timestamped("{timestamp}.{body}");
    let place = template_of(&mut dated).timestamp.as_mut().unwrap();
    (place.at, place.unit) = (TimestampAt::Headers(vec![field("Date")]), Unit::HttpDate);
    let mut rfc3339 = timestamped("{timestamp}.{body}");
    template_of(&mut rfc3339).timestamp.as_mut().unwrap().unit = Unit::Rfc3339;
    let numbers = timestamped("{timestamp}.{body}");
    let later = |at: i64| {
        Unit::HttpDate
            .write(crate::clock::UnixMillis::from_secs(at))
            .unwrap()
    };
    compare(vec![
        ("old in the body", sent(AT - 1000), "stale: 16 min 40 s old"),
        (
            "the event's own time, old",
            of_event(sent(AT - 1000)),
            "late_retry: 16 min 40 s old",
        ),
        (
            "the event's own time, old by whole hours",
            of_event(sent(AT - 7200)),
            "late_retry: 2 h old",
        ),
        (
            "the event's own time, an hour ahead",
            of_event(sent(AT + 3600)),
            "time_zone: 1 hour ahead",
        ),
        (
            "the event's own time, in milliseconds",
            of_event(sent(AT * 1000)),
            "milliseconds_for_seconds",
        ),
        (
            "milliseconds in the body",
            sent(AT * 1000),
            "milliseconds_for_seconds",
        ),
        (
            "Date written anew",
            by(&dated).with("Date", |_| later(AT + 7)),
            "timestamp_rewritten",
        ),
        (
            "a number for a date",
            between(&numbers, &rfc3339),
            "timestamp_unit: it is a number",
        ),
        (
            "a date for a number",
            between(&rfc3339, &numbers),
            "timestamp_no_number",
        ),
        (
            "a date of another form",
            between(&rfc3339, &{
                let mut other = rfc3339.clone();
                template_of(&mut other).timestamp.as_mut().unwrap().unit = Unit::HttpDate;
                other
            }),
            "timestamp_unit: `rfc3339`",
        ),
    ]);
    // If the signature is wrong, the timestamp of the list is explained as well.
    let old = Sample {
        now: AT + 900,
        ..with_secret(by(&stripe()), "other")
    };
    match old.explained() {
        Explanation::Unexplained { besides, .. } => expect(besides.as_ref(), "stale: 15 min old"),
        other => panic!("{other:?}"),
    }
    assert_eq!(Items::default().assign, None);
}
