//! Tests of the facts that follow from a scheme, and schemes for the tests of other rooms.

mod faults;
pub(crate) mod fixtures;

use super::*;

#[test]
fn what_is_signed_follows_from_the_template() {
    let json = || Some(Place::Json(vec![Pointer::parse("/id").unwrap()]));
    let header = |name| Some(Place::Header(FieldName::new(name).unwrap()));
    let rows = [
        ("a place in a signed body", "{body}", json(), true),
        ("a place in an unsigned body", "{timestamp}", json(), false),
        ("a header by {id}", "{id}.{body}", header("x-id"), true),
        (
            "a header by its name",
            "{header:X-Id}.{body}",
            header("x-id"),
            true,
        ),
        (
            "the timestamp's header",
            "{timestamp}.{body}",
            header("x-timestamp"),
            true,
        ),
        (
            "another header",
            "{header:X-Other}.{body}",
            header("x-id"),
            false,
        ),
        ("none", "{body}", None, false),
    ];
    let mut wrong = Vec::new();
    for (name, template, place, expected) in rows {
        let scheme = Scheme {
            event_id: place,
            ..fixtures::timestamped(template)
        };
        if scheme.id_is_signed() != expected {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");

    let typed = |template| Scheme {
        event_type: header("x-type"),
        ..fixtures::timestamped(template)
    };
    assert!(typed("{header:X-Type}.{body}").event_type_is_signed());
    assert!(!typed("{body}").event_type_is_signed());
}

#[test]
fn a_timestamp_is_signed_by_its_part_or_by_its_header() {
    assert!(fixtures::timestamped("{timestamp}.{body}").signs_timestamp());
    assert!(fixtures::timestamped("{header:X-Timestamp}.{body}").signs_timestamp());
    assert!(!fixtures::timestamped("{body}").signs_timestamp());
    assert!(!fixtures::plain("{body}").signs_timestamp());
}
