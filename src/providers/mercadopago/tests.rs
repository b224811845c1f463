//! Deliveries that the provider's library accepts, and attacks on them.

use super::super::tests::codes::{Delivery, NOW_MS};
use super::*;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Tolerance;

const KEY: &str = "your_secret_key_here";

fn sent(target: &str, signature: &str) -> Delivery {
    Delivery::new(
        target,
        &[
            (SIGNATURE, signature),
            (REQUEST_ID, "2066ca19-c6f1-498a-be75-1923005edd06"),
        ],
        b"{}",
    )
}

/// The signature of a manifest, in hex.
fn hash(manifest: &str) -> String {
    reading::signed(
        manifest.as_bytes(),
        ALGORITHM,
        KEY.as_bytes(),
        Encoding::Hex,
    )
    .unwrap()
}

fn code(delivery: &Delivery) -> Option<&'static str> {
    delivery
        .judge_within("mercadopago", KEY, Tolerance::Off)
        .err()
        .map(|refusal| refusal.code.name())
}

#[test]
fn deliveries_that_the_provider_s_library_accepts_are_proved() {
    let both = sent(
        "/in/mercadopago?data.id=ord01jq4s4ky8hwq6na5pxb65b3d3&type=payment",
        "ts=1742505638683,v1=633f91233312dd391ec75fa0bea539cfc2d6c4918873305b84a96cc1c58db71c",
    );
    assert_eq!(code(&both), None);
    let one = sent(
        "/in/mercadopago",
        "ts=1742505638683,v1=8a7b0cc777a8217c3bab41a50c95dc92debbc6f8448f1c967dfe10ac1cb8b894",
    );
    assert_eq!(code(&one), None);
    let forged = format!("ts=1742505638683,v1={}", "0".repeat(64));
    assert_eq!(
        code(&sent("/in/mercadopago?data.id=123&type=payment", &forged)),
        Some("bad_signature")
    );
    assert_eq!(both.code("mercadopago", KEY), Some("stale_timestamp"));
}

#[test]
fn absent_and_empty_ids_are_left_out() {
    type Row = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let rows: &[Row] = &[
        (
            "both",
            "/in?data.id=7",
            &[(REQUEST_ID, "r")],
            "id:7;request-id:r;ts:1750000000;",
        ),
        ("no request id", "/in?data.id=7", &[], "id:7;ts:1750000000;"),
        (
            "an empty request id",
            "/in?data.id=7",
            &[(REQUEST_ID, "")],
            "id:7;ts:1750000000;",
        ),
        (
            "no id",
            "/in?id=7",
            &[(REQUEST_ID, "r")],
            "request-id:r;ts:1750000000;",
        ),
        (
            "an empty id",
            "/in?data.id=",
            &[(REQUEST_ID, "r")],
            "request-id:r;ts:1750000000;",
        ),
        ("neither", "/in", &[], "ts:1750000000;"),
        (
            "an escaped name and value",
            "/in?data%2Eid=%37",
            &[],
            "id:7;ts:1750000000;",
        ),
    ];
    for (name, target, lines, manifest) in rows {
        let signature = format!("ts=1750000000,v1={}", hash(manifest));
        let delivery = Delivery::new(target, lines, b"").with(SIGNATURE, &signature);
        assert_eq!(
            delivery.judge("mercadopago", KEY),
            Ok(manifest.as_bytes().to_vec()),
            "{name}"
        );
    }
}

#[test]
fn an_id_in_capitals_may_be_signed_in_small_letters_but_no_letter_changes_alone() {
    let sent = |id: &str, signed: &str| {
        let signature = format!(
            "ts=1750000000,v1={}",
            hash(&format!("id:{signed};ts:1750000000;"))
        );
        Delivery::new(
            &format!("/in?data.id={id}"),
            &[(SIGNATURE, &signature)],
            b"",
        )
        .judge("mercadopago", KEY)
    };
    for (id, signed, holds) in [
        ("ORD1A", "ORD1A", true),
        ("ORD1A", "ord1a", true),
        ("ord1a", "ord1a", true),
        ("Ord1a", "Ord1a", true),
        ("Ord1a", "ord1a", false),
        ("ord1a", "ORD1A", false),
    ] {
        assert_eq!(sent(id, signed).is_ok(), holds, "{id} {signed}");
    }
    assert_eq!(
        sent("ORD1A", "ord1a"),
        sent("ord1a", "ord1a"),
        "they are the same delivery"
    );
}

#[test]
fn an_id_that_is_ambiguous_is_refused() {
    for target in [
        "/in?data.id=1;request-id:2",
        "/in?data.id=1%3B",
        "/in?data.id=1%3a2",
        "/in?data.id=1%20",
        "/in?data.id=%C3%A9",
        "/in?data.id=1&data.id=1",
        "/in?data.id=1&data%2eid=2",
        "/in?data.id=%zz",
        "/in?x=%",
    ] {
        let signature = format!("ts=1750000000,v1={}", hash("ts:1750000000;"));
        assert_eq!(
            code(&Delivery::new(target, &[(SIGNATURE, &signature)], b"")),
            Some("malformed_signature"),
            "{target}"
        );
    }
    for id in ["1;ts:2", "a b", "a:b"] {
        let signature = format!(
            "ts=1750000000,v1={}",
            hash(&format!("request-id:{id};ts:1750000000;"))
        );
        let delivery = Delivery::new("/in", &[(SIGNATURE, &signature), (REQUEST_ID, id)], b"");
        assert_eq!(code(&delivery), Some("malformed_signature"), "{id}");
    }
}

#[test]
fn the_list_holds_one_time_and_up_to_sixteen_signatures() {
    let (good, bad) = (hash("ts:1750000000;"), "0".repeat(64));
    let many = |count: usize| {
        format!(
            "ts=1750000000,{}v1={good}",
            format!("v1={bad},").repeat(count)
        )
    };
    let rows = [
        (
            "any order, other labels",
            format!("v2=x,v1={good},ts=1750000000,x"),
            None,
        ),
        ("a second signature", many(1), None),
        ("sixteen", many(15), None),
        ("seventeen", many(16), Some("bad_signature")),
        (
            "one that is none beside it",
            format!("ts=1750000000,v1=x,v1={good}"),
            None,
        ),
        ("no time", format!("v1={good}"), Some("malformed_timestamp")),
        (
            "two times",
            format!("ts=1750000000,ts=1750000000,v1={good}"),
            Some("malformed_timestamp"),
        ),
        (
            "an empty time",
            format!("ts=,v1={good}"),
            Some("malformed_timestamp"),
        ),
        (
            "a leading zero",
            format!("ts=01750000000,v1={good}"),
            Some("malformed_timestamp"),
        ),
        (
            "no number",
            format!("ts=1750000000x,v1={good}"),
            Some("malformed_timestamp"),
        ),
        (
            "no signature",
            "ts=1750000000".to_owned(),
            Some("malformed_signature"),
        ),
        (
            "capitals in hex",
            format!("ts=1750000000,v1={}", good.to_uppercase()),
            Some("malformed_signature"),
        ),
        (
            "a short one",
            "ts=1750000000,v1=00".to_owned(),
            Some("malformed_signature"),
        ),
        (
            "white space",
            format!("ts=1750000000, v1={good}"),
            Some("malformed_signature"),
        ),
        ("nothing", String::new(), Some("missing_signature")),
    ];
    for (name, list, expected) in rows {
        assert_eq!(
            code(&Delivery::new("/in", &[(SIGNATURE, &list)], b"")),
            expected,
            "{name}"
        );
    }
}

#[test]
fn seconds_and_milliseconds_are_told_apart_by_their_size() {
    for (text, at) in [
        ("1750000000", NOW_MS),
        ("1750000000000", NOW_MS),
        ("0", 0),
        ("99999999999", 99_999_999_999_000),
        ("100000000000", 100_000_000_000),
    ] {
        assert_eq!(
            timestamp(text.as_bytes()).map(|(at, _)| at),
            Ok(UnixMillis(at)),
            "{text}"
        );
    }
}
