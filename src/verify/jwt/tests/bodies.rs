//! Tokens that are the body: their event is read from the claims, and from JSON texts in them.

use proptest::prelude::*;

use super::super::texts::{put_in_place, without_times};
use super::*;
use crate::verify::verifier::Proof;

/// HS256 in the body, `exp` required, with JSON texts at these places.
fn body_rule(json_texts: &[&str]) -> JwtRule {
    JwtRule {
        place: TokenPlace::Body {
            json_texts: json_texts
                .iter()
                .map(|text| Pointer::parse(text).unwrap())
                .collect(),
        },
        body_digest: None,
        ..rule()
    }
}

fn prove(rule: &JwtRule, lines: &[(&str, &str)], body: &[u8]) -> Result<Proof, Refusal> {
    let verifier = verifier(rule.clone(), KEY, "https://hooks.example.com");
    let mut verification = verifier.begin(&head("/in/x", lines), at(NOW_S))?;
    verification.update(body);
    verification.finish(body, at(NOW_S))
}

fn refused(rule: &JwtRule, body: &[u8]) -> Option<Code> {
    prove(rule, &[], body).err().map(|refusal| refusal.code)
}

fn fresh(more: &str) -> String {
    with(&format!(r#"{{"exp":{}{more}}}"#, NOW_S + 60))
}

#[test]
fn au_71_the_whole_body_is_the_token_and_nothing_else_is() {
    let rule = body_rule(&[]);
    let token = fresh(r#","event_id":"evt_1""#);
    let proof = prove(&rule, &[], token.as_bytes()).unwrap();
    let claims = format!(r#"{{"exp":{},"event_id":"evt_1"}}"#, NOW_S + 60);
    let event = br#"{"exp":null,"event_id":"evt_1"}"#;
    assert_eq!(proof.signed_body(token.as_bytes()), event);
    assert_eq!(proof.claims(), Some(claims.as_bytes()));
    // A token in a header proves nothing, whatever the body is.
    let in_header = [("Authorization", token.as_str()), (TOKEN, &token)];
    assert!(prove(&rule, &in_header, b"{}").is_err());
    assert_eq!(refused(&rule, b""), Some(Code::MissingSignature));
    for around in [
        format!("{token}\n"),
        format!(" {token}"),
        format!("\"{token}\""),
        format!("Bearer {token}"),
        format!("{token}."),
        format!("{token}={token}"),
        format!("{token}{token}"),
        format!("{token}="),
    ] {
        assert_eq!(
            refused(&rule, around.as_bytes()),
            Some(Code::MalformedSignature),
            "{around}"
        );
    }
}

#[test]
fn times_and_algorithm_are_judged_as_elsewhere() {
    let rule = body_rule(&[]);
    let of = |claims: &str| refused(&rule, with(claims).as_bytes());
    assert_eq!(
        of(&format!(r#"{{"exp":{NOW_S}}}"#)),
        Some(Code::StaleTimestamp)
    );
    assert_eq!(
        of(&format!(r#"{{"exp":{},"nbf":{}}}"#, NOW_S + 9, NOW_S + 1)),
        Some(Code::FutureTimestamp)
    );
    assert_eq!(of("{}"), Some(Code::MissingTimestamp));
    let none = token_of(
        r#"{"alg":"none"}"#,
        &format!(r#"{{"exp":{}}}"#, NOW_S + 60),
        KEY,
    );
    assert_eq!(
        refused(&rule, none.as_bytes()),
        Some(Code::MalformedSignature)
    );
    // A wrong signature is told before a stale time: the time is not proved.
    let forged = token_of(r#"{"alg":"HS256"}"#, r#"{"exp":1}"#, "another key");
    assert_eq!(refused(&rule, forged.as_bytes()), Some(Code::BadSignature));
    let timeless = JwtRule {
        timeless: true,
        ..rule
    };
    assert_eq!(refused(&timeless, with("{}").as_bytes()), None);
    assert_eq!(
        refused(&timeless, with(r#"{"exp":1}"#).as_bytes()),
        Some(Code::StaleTimestamp),
        "a time that is there counts"
    );
}

#[test]
fn a_json_text_in_a_claim_is_read_in_its_place() {
    let places = |texts: &[&str]| -> Vec<Pointer> {
        texts
            .iter()
            .map(|text| Pointer::parse(text).unwrap())
            .collect()
    };
    let rows: [(&str, &[&str], &str, &str); 14] = [
        ("nothing", &[], r#"{"a":"{}"}"#, r#"{"a":"{}"}"#),
        (
            "one",
            &["/a"],
            r#"{"a":"{\"b\": 1}","c":2}"#,
            r#"{"a":{"b": 1},"c":2}"#,
        ),
        (
            "a list",
            &["/a"],
            r#"{"a":"[1,\"x\"]"}"#,
            r#"{"a":[1,"x"]}"#,
        ),
        (
            "two, one in the other",
            &["/a", "/a/b"],
            r#"{"a":"{\"b\":\"{\\\"c\\\":\\\"\\u00e9\\\"}\"}"}"#,
            "{\"a\":{\"b\":{\"c\":\"é\"}}}",
        ),
        (
            "the inner one alone is not reached",
            &["/a/b"],
            r#"{"a":"{\"b\":\"{}\"}"}"#,
            r#"{"a":"{\"b\":\"{}\"}"}"#,
        ),
        ("absent", &["/x"], r#"{"a":"{}"}"#, r#"{"a":"{}"}"#),
        ("no string", &["/a"], r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
        ("no JSON", &["/a"], r#"{"a":"{"}"#, r#"{"a":"{"}"#),
        ("two texts", &["/a"], r#"{"a":"{}{}"}"#, r#"{"a":"{}{}"}"#),
        (
            "a string as JSON",
            &["/a"],
            r#"{"a":"\"x\""}"#,
            r#"{"a":"\"x\""}"#,
        ),
        ("a number as JSON", &["/a"], r#"{"a":"1"}"#, r#"{"a":"1"}"#),
        (
            "a mark before it",
            &["/a"],
            "{\"a\":\"\u{feff}{}\"}",
            "{\"a\":\"\u{feff}{}\"}",
        ),
        (
            "half a character",
            &["/a"],
            r#"{"a":"{\"b\":\"\ud800\"}"}"#,
            r#"{"a":"{\"b\":\"\ud800\"}"}"#,
        ),
        (
            "a key twice stays twice",
            &["/a"],
            r#"{"a":"{\"b\":1,\"b\":2}"}"#,
            r#"{"a":{"b":1,"b":2}}"#,
        ),
    ];
    for (name, texts, claims, expected) in rows {
        let found = put_in_place(claims.as_bytes(), &places(texts));
        assert_eq!(String::from_utf8(found).unwrap(), expected, "{name}");
    }
}

#[test]
fn au_71_the_event_of_a_text_in_a_text_is_found_and_must_be_clear() {
    let rule = body_rule(&["/data", "/data/data"]);
    let mut scheme = scheme(rule.clone());
    let at = |text: &str| Some(Place::Json(vec![Pointer::parse(text).unwrap()]));
    (scheme.event_id, scheme.account) = (at("/data/data/id"), at("/data/instanceId"));
    scheme.event_id_required = false;
    let envelope = Envelope::of(&scheme);
    let event = |data: &str, inner: &str| {
        let data = data.replace("INNER", &json!(inner).to_string());
        let token = fresh(&format!(r#","data":{}"#, json!(data)));
        let proof = prove(&rule, &[], token.as_bytes()).unwrap();
        let body = proof.signed_body(token.as_bytes());
        envelope.extract(&head("/", &[]), body, proof.claims())
    };
    let data = r#"{"eventType":"x","instanceId":"acc_1","data":INNER}"#;
    let found = event(data, r#"{"id":"evt_1"}"#).unwrap();
    assert_eq!(
        (found.id.as_deref(), found.account.as_deref()),
        (Some("evt_1"), Some("acc_1"))
    );
    let found = event(data, "no JSON").unwrap();
    assert_eq!((found.id, found.account.as_deref()), (None, Some("acc_1")));
    assert!(event(data, r#"{"id":"evt_1","id":"evt_2"}"#).is_err());
    assert!(event(r#"{"instanceId":"a","instanceId":"b","data":INNER}"#, "{}").is_err());
}

/// A JSON value of strings and objects.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into)
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::btree_map("[a-d\"\\\\]{0,3}", inner, 0..4).prop_map(|members| {
            members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
    })
}

proptest! {
    /// Whoever takes the text out of the claim and parses it finds what the form holds.
    #[test]
    fn the_form_is_what_a_parser_of_the_text_finds(inner in value(), beside in value()) {
        let outer = json!({ "beside": beside, "data": inner.to_string(), "x": 1 });
        let found = put_in_place(outer.to_string().as_bytes(), &[Pointer::parse("/data").unwrap()]);
        prop_assert!(found.len() <= outer.to_string().len());
        let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
        let expected = if inner.is_object() { inner } else { outer["data"].clone() };
        prop_assert_eq!(&found["data"], &expected);
        prop_assert_eq!(&found["beside"], &outer["beside"]);
    }

    #[test]
    fn arbitrary_bodies_never_panic(body: Vec<u8>) {
        let _ = prove(&body_rule(&["/data", "/data/data"]), &[], &body);
        let _ = put_in_place(&body, &[Pointer::parse("/data").unwrap()]);
    }

    #[test]
    fn any_changed_byte_of_the_body_fails(place in 0_usize..1000, bit in 0_u32..8) {
        let rule = body_rule(&[]);
        let token = fresh(r#","event_id":"evt_1""#);
        let mut body = token.into_bytes();
        let place = place % body.len();
        body[place] ^= 1 << bit;
        prop_assert!(prove(&rule, &[], &body).is_err());
    }
}

#[test]
fn the_times_of_a_token_are_no_part_of_its_event() {
    let rows = [
        (
            r#"{"exp":1,"a":2,"iat":3,"nbf":4}"#,
            r#"{"exp":null,"a":2,"iat":null,"nbf":null}"#,
        ),
        (r#"{"a":{"exp":1}}"#, r#"{"a":{"exp":1}}"#),
        (r#"{"exp":1.5,"iat":"2"}"#, r#"{"exp":1.5,"iat":"2"}"#),
        ("{}", "{}"),
    ];
    for (claims, expected) in rows {
        let found = String::from_utf8(without_times(claims.as_bytes())).unwrap();
        assert_eq!(found, expected, "{claims}");
    }
}
