//! Signatures of the provider's Python library, 4.63.0, and attacks on them.

use super::super::tests::codes::{Delivery, ORIGIN};
use super::*;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const KEY: &str = "my_auth_token";

fn sent(method: &'static str, target: &str, body: &[u8], signature: &str) -> Delivery {
    let [name, _] = SIGNATURES;
    Delivery {
        method,
        ..Delivery::new(target, &[FORM, (NONCE, "12345"), (name, signature)], body)
    }
}

#[test]
fn deliveries_of_the_provider_s_library_are_proved() {
    let rows: &[(&str, &str, &[u8], &str, &str)] = &[
        (
            "POST",
            "/in/plivo",
            b"CallUUID=u&To=2&From=1&To=10&Empty=",
            "ZQSRZKudpZEH6QfedtTNSpCJprADcEXlU1AHJWlIqFU=",
            "/in/plivo?CallUUIDuEmptyFrom1To10To2.12345",
        ),
        (
            "POST",
            "/in/plivo?b=2&a=1&b=1&c=",
            b"CallUUID=u&Text=a.b+%C3%A9",
            "SXkSiTdvyBSKmQxpXlAW9j6cKt05YX2b6CiFhN/J3lg=",
            "/in/plivo?a=1&b=1&b=2&c=.CallUUIDuTexta.b \u{e9}.12345",
        ),
        (
            "POST",
            "/in/plivo?b=2",
            b"",
            "6QzSspjV6t1rbEh99T+KDKXcvSh3+sf/GeL6hJaW1jI=",
            "/in/plivo?b=2.12345",
        ),
        (
            "POST",
            "/in/plivo",
            b"",
            "HuAGmyMxJU6/FjVq7+7KERHC6zUU1Fu9qhogUZL/ZhQ=",
            "/in/plivo.12345",
        ),
        (
            "GET",
            "/in/plivo?To=2&From=1&To=10%26x",
            b"",
            "0J96lrtxDzbF+n8444xX9r6bZBZXx4nQ6f1yHSdV5aE=",
            "/in/plivo?From=1&To=10&x&To=2.12345",
        ),
    ];
    for (method, target, body, signature, content) in rows {
        let delivery = sent(method, target, body, signature);
        assert_eq!(
            delivery.judge("plivo-v3", KEY),
            Ok([ORIGIN, content].concat().into_bytes()),
            "{target}"
        );
        assert_eq!(
            delivery.code("plivo-v3", "my_auth_tokens"),
            Some("bad_signature"),
            "{target}"
        );
    }
    let bare = Delivery {
        origin: "https://answer.url",
        ..sent(
            "POST",
            "/",
            b"",
            "2tUVd+6dOTo/13hSmD0yrftTKb57pVvy0kxqkPKxcqk=",
        )
    };
    assert_eq!(
        bare.code("plivo-v3", KEY),
        None,
        "the URL was signed without a path"
    );
}

#[test]
fn any_of_the_listed_signatures_of_either_header_may_hold_and_sixteen_are_tried() {
    let good = "6QzSspjV6t1rbEh99T+KDKXcvSh3+sf/GeL6hJaW1jI=";
    let bad = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let code = |list: &str| sent("POST", "/in/plivo?b=2", b"", list).code("plivo-v3", KEY);
    assert_eq!(code(&format!("{bad},x,,{good}")), None);
    assert_eq!(code(&[vec![bad; 15], vec![good]].concat().join(",")), None);
    assert_eq!(
        code(&[vec![bad; 16], vec![good]].concat().join(",")),
        Some("bad_signature")
    );
    assert_eq!(
        code(&format!(" {good}")),
        None,
        "white space around a header's value is none of it"
    );
    assert_eq!(code(&format!("x, {good}")), Some("malformed_signature"));
    assert_eq!(code("x,y"), Some("malformed_signature"));
    let [account, main] = SIGNATURES;
    let both = |one: &str, two: &str| {
        Delivery::new(
            "/in/plivo?b=2",
            &[(NONCE, "12345"), (account, one), (main, two)],
            b"",
        )
        .code("plivo-v3", KEY)
    };
    assert_eq!(both(bad, good), None);
    assert_eq!(both("", good), None);
    assert_eq!(both(good, "x"), None);
    assert_eq!(both(&[bad; 16].join(","), good), Some("bad_signature"));
    assert_eq!(both("", ""), Some("missing_signature"));
}

#[test]
fn what_is_not_signed_or_not_divided_is_refused() {
    let good = || Delivery::new("/in?b=2", &[FORM], b"a=1").signed("plivo-v3", KEY, Some("n1"));
    assert_eq!(good().code("plivo-v3", KEY), None);
    let code = |delivery: Delivery| delivery.code("plivo-v3", KEY);
    let malformed = Some("malformed_signature");
    let with_type = |kind: &str| {
        let mut delivery = good();
        delivery.lines[0].1 = kind.into();
        delivery
    };
    assert_eq!(code(with_type("application/json")), malformed);
    assert_eq!(
        code(with_type("")),
        None,
        "read as a form, its fields cover the body"
    );
    assert_eq!(
        code(Delivery {
            body: b"&".to_vec(),
            ..good()
        }),
        malformed
    );
    assert_eq!(
        code(Delivery {
            body: b"a=%1".to_vec(),
            ..good()
        }),
        malformed
    );
    assert_eq!(
        code(Delivery {
            method: "GET",
            ..good()
        }),
        malformed
    );
    assert_eq!(
        code(Delivery {
            method: "PUT",
            ..good()
        }),
        malformed
    );
    assert_eq!(
        code(Delivery {
            target: "/in?b=%zz".into(),
            ..good()
        }),
        malformed
    );
    for nonce in ["", "1.2"] {
        let mut delivery = good();
        delivery.lines[1].1 = nonce.into();
        assert_eq!(code(delivery), malformed, "{nonce}");
    }
    let mut delivery = good();
    delivery.lines.remove(1);
    assert_eq!(code(delivery), malformed);
}

#[test]
fn the_same_fields_in_another_order_are_the_same_delivery() {
    let good = Delivery::new("/in?b=2&a=1", &[FORM], b"d=4&c=3").signed("plivo-v3", KEY, Some("n"));
    let other = Delivery {
        target: "/in?a=%31&b=2".into(),
        body: b"c=3&d=4".to_vec(),
        ..good.clone()
    };
    assert_eq!(other.judge("plivo-v3", KEY), good.judge("plivo-v3", KEY));
    assert!(good.judge("plivo-v3", KEY).is_ok());
    let doubled = Delivery {
        body: b"c=3&d=4&d=4".to_vec(),
        ..good
    };
    assert_eq!(
        doubled.code("plivo-v3", KEY),
        Some("bad_signature"),
        "repeated fields are all signed"
    );
}
