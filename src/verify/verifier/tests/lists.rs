//! Signature headers with labels, lists, several headers, and the timestamp among them (AU-17,
//! AU-18).

use super::{BODY, NOW_S, code, head, now, verifier, verify};
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::scheme::tests::fixtures::{
    credential, field, plain, secret, standard_webhooks, stripe, template_of,
};
use crate::scheme::{CredentialKind, Items, TimestampAt};
use crate::verify::verifier::*;

fn mac(content: &[&[u8]]) -> Vec<u8> {
    let mut mac = DigestAlgorithm::HmacSha256.mac(b"k");
    for bytes in content {
        mac.update(bytes);
    }
    mac.finalize().as_bytes().to_vec()
}

fn v1() -> String {
    hex::encode(mac(&[b"1750000000.", BODY]))
}

const WRONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn au_17_a_labelled_list_is_read_strictly() {
    let route = verifier(stripe(), vec![secret("s", "k")]);
    let good = v1();
    let wrong_15 = format!("v1={WRONG},").repeat(15);
    let rows = [
        ("as Stripe sends it", format!("t={NOW_S},v1={good}"), None),
        ("in another order", format!("v1={good},t={NOW_S}"), None),
        (
            "beside the test scheme's",
            format!("t={NOW_S},v0={WRONG},v1={good}"),
            None,
        ),
        (
            "the second of two",
            format!("t={NOW_S},v1={WRONG},v1={good}"),
            None,
        ),
        (
            "behind one that cannot be decoded",
            format!("t={NOW_S},v1=dummy,v1={good}"),
            None,
        ),
        ("the 16th", format!("t={NOW_S},{wrong_15}v1={good}"), None),
        (
            "the 17th",
            format!("t={NOW_S},{wrong_15}v1={WRONG},v1={good}"),
            Some(Code::BadSignature),
        ),
        (
            "two timestamps",
            format!("t={NOW_S},t={NOW_S},v1={good}"),
            Some(Code::MalformedTimestamp),
        ),
        (
            "no timestamp",
            format!("v1={good}"),
            Some(Code::MalformedTimestamp),
        ),
        (
            "an empty timestamp",
            format!("t=,v1={good}"),
            Some(Code::MalformedTimestamp),
        ),
        (
            "only the test scheme's",
            format!("t={NOW_S},v0={good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "an empty one",
            format!("t={NOW_S},v1="),
            Some(Code::MalformedSignature),
        ),
        (
            "no items at all",
            "v1".to_owned(),
            Some(Code::MalformedSignature),
        ),
        (
            "spaces",
            format!("t={NOW_S}, v1={good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "a space before the value",
            format!("t={NOW_S},v1= {good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "capital letters",
            format!("t={NOW_S},V1={good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "capital digits",
            format!("t={NOW_S},v1={}", good.to_uppercase()),
            Some(Code::MalformedSignature),
        ),
        (
            "a semicolon",
            format!("t={NOW_S};v1={good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "of another time",
            format!("t=1750000001,v1={good}"),
            Some(Code::BadSignature),
        ),
        (
            "of long ago",
            format!("t=1749999699,v1={good}"),
            Some(Code::StaleTimestamp),
        ),
        (
            "of the future",
            format!("t=1750000301,v1={good}"),
            Some(Code::FutureTimestamp),
        ),
        ("nothing", String::new(), Some(Code::MissingSignature)),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, value, expected)| {
            (
                name,
                code(&route, &[("Stripe-Signature", value)], BODY),
                expected,
            )
        })
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let value = format!("t={NOW_S},v1={good}");
    let twice = [("Stripe-Signature", &*value), ("Stripe-Signature", &*value)];
    assert_eq!(code(&route, &twice, BODY), Some(Code::MalformedSignature));
    assert_eq!(
        route.timestamp_of(&head(&twice[..1]), None),
        Some(UnixMillis::from_secs(NOW_S))
    );
}

#[test]
fn au_18_the_label_says_which_kind_of_key_may_prove_it() {
    let route = verifier(standard_webhooks(), vec![secret("s", "k")]);
    let good = Encoding::Base64.encode(&mac(&[b"msg_1.1750000000.", BODY]));
    let rows = [
        ("as it is sent", format!("v1,{good}"), None),
        (
            "behind another version",
            format!("v2,{good} v1,{good}"),
            None,
        ),
        (
            "behind one of another length",
            format!("v1,AAAA v1,{good}"),
            None,
        ),
        (
            "as a public-key signature",
            format!("v1a,{}", Encoding::Base64.encode(&[7; 64])),
            Some(Code::BadSignature),
        ),
        (
            "the digest as one",
            format!("v1a,{good}"),
            Some(Code::MalformedSignature),
        ),
        ("no label", good.clone(), Some(Code::MalformedSignature)),
        (
            "a label alone",
            "v1".to_owned(),
            Some(Code::MalformedSignature),
        ),
        (
            "a comma for a space",
            format!("v1,{good},v1,{good}"),
            Some(Code::MalformedSignature),
        ),
        (
            "without padding",
            format!("v1,{}", good.trim_end_matches('=')),
            Some(Code::MalformedSignature),
        ),
    ];
    let verdict = |value: &str| {
        code(
            &route,
            &[
                ("webhook-id", "msg_1"),
                ("webhook-timestamp", "1750000000"),
                ("webhook-signature", value),
            ],
            BODY,
        )
    };
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, value, expected)| (name, verdict(value), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let fault = Verifier::new(
        Arc::new(crate::scheme::tests::fixtures::changed(
            standard_webhooks(),
            |template| {
                template.key = vec![crate::scheme::KeyForm {
                    encoding: crate::scheme::KeyEncoding::Base64,
                    strip: Some("whsec_".into()),
                    ..crate::scheme::KeyForm::default()
                }];
            },
        )),
        vec![secret("mine", "whsec_not base64")],
        route.settings().clone(),
    );
    assert!(fault.unwrap_err().to_string().contains("not base64"));
}

#[test]
fn a_bare_list_has_no_labels() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).signature.items = Items {
        separator: Some(",".into()),
        ..Items::default()
    };
    let route = verifier(scheme, vec![secret("s", "k")]);
    let good = hex::encode(mac(&[BODY]));
    let verdict = |value: &str| code(&route, &[("X-Signature", value)], BODY);
    assert_eq!(verdict(&good), None);
    assert_eq!(verdict(&format!("{WRONG},{good}")), None);
    assert_eq!(verdict(&format!("{WRONG},x")), Some(Code::BadSignature));
    assert_eq!(verdict("x,y"), Some(Code::MalformedSignature));
    assert_eq!(verdict(","), Some(Code::MalformedSignature));
}

#[test]
fn of_several_headers_one_is_enough_and_none_may_be_doubled() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).signature.headers = vec![field("X-Primary"), field("X-Secondary")];
    let route = verifier(scheme, vec![secret("s", "k")]);
    let good = hex::encode(mac(&[BODY]));
    let verdict = |lines: &[(&str, &str)]| code(&route, lines, BODY);
    assert_eq!(verdict(&[("X-Primary", &good)]), None);
    assert_eq!(verdict(&[("X-Secondary", &good)]), None);
    assert_eq!(
        verdict(&[("X-Primary", WRONG), ("X-Secondary", &good)]),
        None
    );
    assert_eq!(verdict(&[("X-Primary", "x"), ("X-Secondary", &good)]), None);
    assert_eq!(verdict(&[("X-Primary", ""), ("X-Secondary", &good)]), None);
    assert_eq!(verdict(&[("X-Primary", WRONG)]), Some(Code::BadSignature));
    assert_eq!(
        verdict(&[("X-Primary", &good), ("x-primary", &good)]),
        Some(Code::MalformedSignature)
    );
    assert_eq!(verdict(&[("X-Other", &good)]), Some(Code::MissingSignature));
}

#[test]
fn a_repeated_line_counts_only_where_the_scheme_says_so() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).signature.repeat = true;
    let route = verifier(scheme, vec![secret("s", "k")]);
    let good = hex::encode(mac(&[BODY]));
    let verdict = |lines: &[(&str, &str)]| code(&route, lines, BODY);
    assert_eq!(
        verdict(&[("X-Signature", WRONG), ("X-Signature", &good)]),
        None
    );
    assert_eq!(
        verdict(&[("X-Signature", WRONG), ("X-Signature", WRONG)]),
        Some(Code::BadSignature)
    );
    assert_eq!(
        verdict(&[("X-Signature", &good), ("X_Signature", &good)]),
        Some(Code::MalformedSignature)
    );
    assert_eq!(
        verdict(&[("X-Signature", "")]),
        Some(Code::MissingSignature)
    );
}

#[test]
fn what_the_body_itself_holds_is_signed_apart_from_it() {
    // Mailgun's scheme: the signature is in the body, beside the token and the time that it signs.
    let mut scheme = plain("{json:/timestamp}{json:/token}");
    template_of(&mut scheme).may_leave_body = true;
    template_of(&mut scheme).signature.headers = Vec::new();
    template_of(&mut scheme).signature.json = Some(Pointer::parse("/signature").unwrap());
    template_of(&mut scheme).timestamp = stripe().timestamp().cloned();
    template_of(&mut scheme).timestamp.as_mut().unwrap().at =
        TimestampAt::Json(Pointer::parse("/timestamp").unwrap());
    let route = verifier(scheme, vec![secret("s", "k")]);
    let good = hex::encode(mac(&[b"1750000000tok"]));
    let body = |time: &str, token: &str, signature: &str| {
        format!(r#"{{"timestamp":"{time}","token":"{token}","signature":"{signature}","x":1}}"#)
    };
    let rows = [
        ("as it is sent", body("1750000000", "tok", &good), None),
        (
            "another token",
            body("1750000000", "tok2", &good),
            Some(Code::BadSignature),
        ),
        (
            "a digit moved over the border",
            body("175000000", "0tok", &good),
            Some(Code::StaleTimestamp),
        ),
        (
            "no signature",
            r#"{"timestamp":"1750000000","token":"tok"}"#.to_owned(),
            Some(Code::MalformedSignature),
        ),
        (
            "a short signature",
            body("1750000000", "tok", "aa"),
            Some(Code::MalformedSignature),
        ),
        (
            "no token",
            format!(r#"{{"timestamp":"1750000000","signature":"{good}"}}"#),
            Some(Code::MalformedSignature),
        ),
        (
            "a doubled token",
            body("1750000000", r#"tok","token":"tok"#, &good),
            Some(Code::MalformedSignature),
        ),
        (
            "no JSON",
            "token=tok".to_owned(),
            Some(Code::MalformedSignature),
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, body, expected)| (name, code(&route, &[], body.as_bytes()), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let proof = verify(
        &route,
        &[],
        body("1750000000", "tok", &good).as_bytes(),
        now(),
    )
    .unwrap();
    assert_eq!(proof.signed_at, Some(UnixMillis::from_secs(NOW_S)));
    assert_eq!(proof.content.before(), b"1750000000tok");
}

#[test]
fn a_time_in_a_signed_body_is_judged_once_the_signature_holds() {
    let mut scheme = plain("{body}");
    template_of(&mut scheme).timestamp = stripe().timestamp().cloned();
    template_of(&mut scheme).timestamp.as_mut().unwrap().at =
        TimestampAt::Json(Pointer::parse("/time").unwrap());
    let (mut off, mut optional) = (scheme.clone(), scheme.clone());
    (off.tolerance, off.future_tolerance) = (
        crate::notation::timestamp::Tolerance::Off,
        crate::notation::timestamp::Tolerance::Off,
    );
    let route = verifier(scheme, vec![secret("s", "k")]);
    let verdict = |route: &Verifier, body: &str, signed: &str| {
        code(
            route,
            &[("X-Signature", &hex::encode(mac(&[signed.as_bytes()])))],
            body.as_bytes(),
        )
    };
    let same = |body: &str| verdict(&route, body, body);
    assert_eq!(same(r#"{"time":1750000000}"#), None);
    assert_eq!(same(r#"{"time":"1750000000"}"#), None);
    assert_eq!(same(r#"{"time":1749999699}"#), Some(Code::StaleTimestamp));
    assert_eq!(same(r#"{"time":1750000301}"#), Some(Code::FutureTimestamp));
    assert_eq!(
        same(r#"{"time":1750000000.0}"#),
        Some(Code::MalformedTimestamp)
    );
    assert_eq!(same(r#"{"time":[]}"#), Some(Code::MalformedTimestamp));
    assert_eq!(
        same(r#"{"time":1,"time":1}"#),
        Some(Code::MalformedTimestamp)
    );
    assert_eq!(same("{}"), Some(Code::MissingTimestamp));
    assert_eq!(
        verdict(&route, r#"{"time":1749999699}"#, "{}"),
        Some(Code::BadSignature),
        "no oracle"
    );
    let route = verifier(off, vec![secret("s", "k")]);
    assert_eq!(verdict(&route, "{}", "{}"), None, "nothing to judge");
    template_of(&mut optional)
        .timestamp
        .as_mut()
        .unwrap()
        .required = false;
    let route = verifier(optional, vec![secret("s", "k")]);
    let same = |body: &str| verdict(&route, body, body);
    assert_eq!(
        (same("{}"), same("no JSON"), same("")),
        (None, None, None),
        "the sender alone can leave it out"
    );
    assert_eq!(same(r#"{"time":1749999699}"#), Some(Code::StaleTimestamp));
    assert_eq!(same(r#"{"time":null}"#), Some(Code::MissingTimestamp));
    assert_eq!(same(r#"{"time":"x"}"#), Some(Code::MalformedTimestamp));
    assert_eq!(verdict(&route, "{}", "[]"), Some(Code::BadSignature));
}

#[test]
fn tokens_and_basic_are_compared_whole() {
    let token = |prefix: &str| {
        let scheme = credential(plain("{body}"), CredentialKind::Token, prefix);
        verifier(
            scheme,
            vec![secret("old", "my-token"), secret("new", "other")],
        )
    };
    let rows = [
        ("", "my-token", None),
        ("", "other", None),
        ("", "my-toke", Some(Code::BadSignature)),
        ("", "my-token2", Some(Code::BadSignature)),
        ("", "My-token", Some(Code::BadSignature)),
        ("", "", Some(Code::MissingSignature)),
        ("Bearer ", "Bearer my-token", None),
        ("Bearer ", "my-token", Some(Code::MalformedSignature)),
        ("Bearer ", "Bearer", Some(Code::MalformedSignature)),
    ];
    for (prefix, value, expected) in rows {
        assert_eq!(
            code(&token(prefix), &[("X-Signature", value)], BODY),
            expected,
            "{prefix} {value}"
        );
    }

    let scheme = credential(plain("{body}"), CredentialKind::Basic, "");
    let route = verifier(scheme, vec![secret("s", "user:pass word")]);
    let encoded = Encoding::Base64.encode(b"user:pass word");
    let rows = [
        (format!("Basic {encoded}"), None),
        (format!("basic {encoded}"), None),
        (
            format!("Basic {}", Encoding::Base64.encode(b"user:other")),
            Some(Code::BadSignature),
        ),
        (
            format!("Basic {}", Encoding::Base64.encode(b"user")),
            Some(Code::MalformedSignature),
        ),
        (format!("Basic  {encoded}"), Some(Code::MalformedSignature)),
        (format!("Bearer {encoded}"), Some(Code::MalformedSignature)),
        (encoded.clone(), Some(Code::MalformedSignature)),
        ("Basic".to_owned(), Some(Code::MalformedSignature)),
    ];
    for (value, expected) in rows {
        assert_eq!(
            code(&route, &[("X-Signature", &value)], BODY),
            expected,
            "{value}"
        );
    }
}
