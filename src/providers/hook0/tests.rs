//! Vectors of the provider's libraries, and attacks on what dots alone divide.

use proptest::prelude::*;

use super::super::tests::codes::Delivery;
use super::*;

const KEY: &str = "test_secret_5f1c9a7e";
const TIME: &str = "1750000000";

/// A delivery with these headers, signed in this order whatever their form.
fn signed(headers: &[(&str, &str)], body: &[u8]) -> Delivery {
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    listed(&names.join(" "), headers, body)
}

/// A delivery with these headers, signed under this list whatever its form.
fn listed(list: &str, headers: &[(&str, &str)], body: &[u8]) -> Delivery {
    let values: Vec<_> = headers.iter().map(|(_, value)| *value).collect();
    let start = format!("{TIME}.{list}.{}.", values.join("."));
    let content = [start.as_bytes(), body].concat();
    let signature = reading::signed(&content, ALGORITHM, KEY.as_bytes(), Encoding::Hex).unwrap();
    Delivery::new("/in", headers, body)
        .with(SIGNATURE, &format!("t={TIME},h={list},v1={signature}"))
}

#[test]
fn au_60_the_list_has_one_form_and_names_what_is_there_once() {
    let pair = [("x-event-id", "1"), ("x-event-type", "a.b.c")];
    assert_eq!(signed(&pair, b"{}").code("hook0", KEY), None);
    assert_eq!(signed(&pair[..1], b"[]").code("hook0", KEY), None);
    let malformed = Some("malformed_signature");
    for (why, list, headers) in [
        ("nothing", "", &[][..]),
        ("capitals", "X-Event-Id", &pair[..1]),
        ("two blanks", "x-event-id  x-event-type", &pair),
        ("a blank behind", "x-event-id ", &pair[..1]),
        ("twice", "x-event-id x-event-id", &pair[..1]),
        ("not there", "x-event-id x-other", &pair[..1]),
        ("the signature", "x-event-id x-hook0-signature", &pair[..1]),
        ("an alias", "x_event_id", &[("x_event_id", "1")]),
        ("the type is not named", "x-event-id", &pair),
        ("the id is not named", "x-event-type", &pair),
    ] {
        assert_eq!(
            listed(list, headers, b"{}").code("hook0", KEY),
            malformed,
            "{why}"
        );
    }
    let many: Vec<_> = (0..65).map(|n| format!("x-{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(signed(&many[..64], b"{}").code("hook0", KEY), None);
    assert_eq!(signed(&many, b"{}").code("hook0", KEY), malformed);
}

#[test]
fn au_60_a_signature_of_time_and_body_alone_is_never_looked_at() {
    let content = format!("{TIME}.{{}}");
    let v0 = reading::signed(content.as_bytes(), ALGORITHM, KEY.as_bytes(), Encoding::Hex);
    let v0 = v0.unwrap();
    let malformed = Some("malformed_signature");
    for signature in [
        format!("t={TIME},v0={v0}"),
        format!("t={TIME},v0={v0},v1={v0}"),
        format!("t={TIME},v0={v0},h=,v1={v0}"),
    ] {
        let delivery = Delivery::new("/in", &[(SIGNATURE, &signature)], b"{}");
        assert_eq!(delivery.code("hook0", KEY), malformed, "{signature}");
    }
    let beside = format!("t={TIME},v0={v0},h=x-event-id,v1={v0}");
    let delivery = Delivery::new("/in", &[(SIGNATURE, &beside), ("x-event-id", "1")], b"{}");
    assert_eq!(delivery.code("hook0", KEY), Some("bad_signature"));
}

#[test]
fn au_60_no_byte_moves_over_a_dot() {
    let good = signed(
        &[
            ("x-event-id", "evt_1"),
            ("x-event-type", "a.b.c"),
            ("x-more", "d"),
        ],
        br#"{"a":1.5,"b":[2.5]}"#,
    );
    assert_eq!(good.code("hook0", KEY), None);
    let rows: [(&str, &str, &str, &[u8]); 6] = [
        ("evt_1.a", "b.c", "d", br#"{"a":1.5,"b":[2.5]}"#),
        ("evt_1", "a.b", "c.d", br#"{"a":1.5,"b":[2.5]}"#),
        ("evt_1", "a.b.c.d", "{\"a\":1", br#"5,"b":[2.5]}"#),
        ("evt_1", "a.b.c", "d.{\"a\":1", br#"5,"b":[2.5]}"#),
        ("evt_1", "a.b", "c", br#"d.{"a":1.5,"b":[2.5]}"#),
        ("evt_1", "a.b.c", "d.{\"a\":1.5,\"b\":[2", b"5]}"),
    ];
    for (id, kind, more, body) in rows {
        let mut moved = good.clone();
        for (name, value) in &mut moved.lines {
            let other = match name.as_str() {
                "x-event-id" => id,
                "x-event-type" => kind,
                "x-more" => more,
                _ => continue,
            };
            *value = other.as_bytes().to_vec();
        }
        moved.body = body.to_vec();
        assert_eq!(
            moved.code("hook0", KEY),
            Some("malformed_signature"),
            "{id} {kind} {more}"
        );
    }
}

proptest! {
    /// Of all the ways to divide a signed text into three headers and a body, at most one is taken;
    /// the way in which an honest sender meant it always is.
    #[test]
    fn au_60_a_signed_text_has_one_reading(
        first in "[a1 \"]{0,2}",
        kind in prop::collection::vec("[a1]{0,2}", 1..4),
        last in "[a1 \"]{0,2}",
        body in prop::collection::vec("[a{\\[\"]{0,2}", 0..4),
        bracket in prop_oneof![Just('{'), Just('[')],
    ) {
        let body = format!("{bracket}{}", body.join("."));
        let text = [first, kind.join("."), last, body].join(".");
        let pieces: Vec<&str> = text.split('.').collect();
        let mut taken = 0;
        let places = 1..pieces.len();
        let cuts = places.clone().flat_map(|one| {
            let places = places.clone();
            places.clone().flat_map(move |two| places.clone().map(move |three| [one, two, three]))
        });
        for [one, two, three] in cuts.filter(|[one, two, three]| one < two && two < three) {
            let values = [
                pieces[..one].join("."),
                pieces[one..two].join("."),
                pieces[two..three].join("."),
            ];
            let body = pieces[three..].join(".");
            let names = ["x-a", "x-event-type", "x-z"];
            let headers = [0, 1, 2].map(|at| (names[at], values[at].trim()));
            if headers.iter().zip(&values).all(|((_, value), own)| value == own) {
                let code = signed(&headers, body.as_bytes()).code("hook0", KEY);
                taken += usize::from(code.is_none());
            }
        }
        let has_blanks = text.split('.').any(|piece| piece.trim() != piece);
        prop_assert!(taken == 1 || has_blanks && taken == 0, "{} readings of {:?}", taken, text);
    }
}
