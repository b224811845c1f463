//! Mistakes with the deliveries of providers that have code of their own, with the texts of a route
//! that are signed, and with tokens that are sent as they are.

use super::*;
use crate::explain::tests::fixtures::compare_suspicions;
use crate::providers::code;
use crate::scheme::tests::fixtures::{credential, plain};
use crate::scheme::{CredentialKind, ProofBy};
use crate::sign::{SignRequest, sign};

const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const URL: &str = "https://hooks.example.com";

/// The request of a delivery with these further headers.
fn request<'r>(body: &'r str, headers: &'r [(&'r str, &'r str)]) -> SignRequest<'r> {
    SignRequest {
        method: "POST",
        target: "/in/itellico",
        body: body.as_bytes(),
        id: None,
        at: crate::clock::UnixMillis::from_secs(AT),
        public_url: Some(URL),
        headers,
    }
}

/// A delivery of a provider's code with these further headers, received as it was sent.
fn by_code(name: &str, components: &[&str], headers: &[(&str, &str)], body: &str) -> Sample {
    let is_public = matches!(name, "keygen" | "http-message-signatures");
    let (private, public) = if is_public {
        (SEED, PUBLIC)
    } else {
        (SECRET, SECRET)
    };
    let scheme = Scheme {
        proof: ProofBy::Code(code(name).unwrap()),
        event_id: None,
        components: components.iter().map(|name| (*name).to_owned()).collect(),
        ..plain("{body}")
    };
    let request = request(body, headers);
    let own = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let made = sign(&scheme, &secret("sender", private), &request).unwrap();
    let sample = Sample {
        scheme,
        lines: own.chain(made).collect(),
        body: body.as_bytes().to_vec(),
        public_url: Some(URL.to_owned()),
        ..Sample::good()
    };
    sample.with_secret(public.as_bytes())
}

fn without(mut sample: Sample, name: &str) -> Sample {
    sample
        .lines
        .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    sample
}

fn with_body(sample: Sample, body: &str) -> Sample {
    Sample {
        body: body.as_bytes().to_vec(),
        ..sample
    }
}

#[test]
fn mistakes_with_http_message_signatures_are_named() {
    let covering = ["content-digest", "content-type", "x-part"];
    let headers = [JSON, ("X-Part", "a")];
    let good = || by_code("http-message-signatures", &covering, &headers, BODY);
    assert!(matches!(good().explained(), Explanation::Valid(_)));
    let mut demanding = good().and("X-Tenant", "a");
    demanding.scheme.components.push("x-tenant".to_owned());
    let mut moved = by_code(
        "http-message-signatures",
        &["content-digest", "@authority"],
        &[],
        BODY,
    );
    moved.scheme.components.pop();
    moved.public_url = Some("https://internal:8080".to_owned());
    compare(vec![
        (
            "no colons",
            good().with("Signature", |text| text.replace(':', "")),
            "message_signature_spelling",
        ),
        ("too little", demanding, "component_not_covered: `x-tenant`"),
        (
            "a type with a charset",
            good().with("Content-Type", |kind| format!("{kind}; charset=utf-8")),
            "signed_header_rewritten: `content-type`",
        ),
        (
            "a proxy's host, signed of the sender's own accord",
            moved.and("Host", "hooks.example.com"),
            "url_host: `hooks.example.com`",
        ),
        (
            "a line end more",
            with_body(good(), &format!("{BODY}\n")),
            "body_gained_newline",
        ),
    ]);
    let old = without(good(), "Content-Digest").and("Digest", "SHA-256=abc");
    compare_suspicions(vec![
        (
            "no input",
            without(good(), "Signature-Input"),
            "message_input_missing",
        ),
        (
            "labels",
            good().with("Signature", |text| text.replace("sig1", "sig2")),
            "message_labels_differ",
        ),
        (
            "no time",
            good().with("Signature-Input", |text| {
                text.replace(&format!(";created={AT}"), "")
            }),
            "message_without_created",
        ),
        (
            "the body left out",
            good().with("Signature-Input", |text| {
                text.replace("\"content-digest\" ", "")
            }),
            "message_leaves_body",
        ),
        (
            "a header dropped",
            without(good(), "X-Part"),
            "component_missing: `x-part`",
        ),
        ("the older digest", old, "component_missing: `digest`"),
        (
            "the older spelling",
            good().with("Content-Digest", |text| text.replace(':', "")),
            "digest_spelling",
        ),
        (
            "another body",
            with_body(good(), r#"{"b":2}"#),
            "body_of_other_digest",
        ),
        (
            "another part",
            good().with("X-Part", |_| "b".to_owned()),
            "signed_part_changed: `x-part`",
        ),
    ]);
}

#[test]
fn mistakes_with_hook0_are_named() {
    let headers = [JSON, ("X-Part", "a")];
    let good = || by_code("hook0", &[], &headers, BODY);
    assert!(matches!(good().explained(), Explanation::Valid(_)));
    let signature = "x-hook0-signature";
    compare(vec![
        (
            "another order",
            good().with(signature, |text| {
                text.replace("content-type x-part", "x-part content-type")
            }),
            "signed_list_order",
        ),
        (
            "a type with a charset",
            good().with("Content-Type", |kind| format!("{kind}; charset=utf-8")),
            "signed_header_rewritten: `content-type`",
        ),
        (
            "a body written again",
            with_body(good(), &BODY.replace("\":", "\": ").replace(",\"", ", \"")),
            "body_reserialised",
        ),
        (
            "a secret with a line end",
            good().with_secret(format!("{SECRET}\n").as_bytes()),
            "secret_ends_in_newline",
        ),
    ]);
    compare_suspicions(vec![(
        "a header dropped",
        without(good(), "X-Part"),
        "listed_header_missing: `x-part`",
    )]);
}

#[test]
fn mistakes_with_mandrill_are_named() {
    let body = "mandrill_events=%5B%7B%22event%22%3A%22send%22%7D%5D";
    let good = || by_code("mandrill", &[], &[FORM], body);
    assert!(matches!(good().explained(), Explanation::Valid(_)));
    let json = without(with_body(good(), r#"[{"event":"send"}]"#), "Content-Type");
    let mut test = good();
    test.lines = by_code("mandrill", &[], &[FORM], body).lines;
    let other = good().with_secret(b"another key altogether");
    let request = request(body, &[FORM]);
    let made = sign(&other.scheme, &secret("s", "test-webhook"), &request).unwrap();
    let test = Sample {
        lines: vec![(FORM.0.to_owned(), FORM.1.to_owned())]
            .into_iter()
            .chain(made)
            .collect(),
        ..test
    };
    let mut moved = good();
    moved.public_url = Some("http://hooks.example.com".to_owned());
    compare(vec![
        (
            "no type",
            without(good(), "Content-Type"),
            "content_type_lost",
        ),
        ("the test", test, "mandrill_test_key"),
        ("parsed", json.and(JSON.0, JSON.1), "mandrill_events_alone"),
        (
            "written again",
            with_body(
                good(),
                "mandrill_events=%5B%7B%22event%22%3A+%22send%22%7D%5D",
            ),
            "mandrill_events_rewritten",
        ),
        ("http", moved, "url_scheme: `https://`"),
    ]);
}

#[test]
fn mistakes_with_keygen_are_named() {
    let good = || by_code("keygen", &[], &[], BODY);
    assert!(matches!(good().explained(), Explanation::Valid(_)));
    let later = "Sun, 15 Jun 2025 15:06:41 GMT";
    let mut moved = good().and("Host", "hooks.example.com");
    moved.public_url = Some("https://10.0.0.1".to_owned());
    compare(vec![
        ("a proxy's host", moved, "url_host: `hooks.example.com`"),
        (
            "a line end more",
            with_body(good(), &format!("{BODY}\n")),
            "body_gained_newline",
        ),
    ]);
    compare_suspicions(vec![(
        "a proxy's date",
        good().with("Date", |_| later.to_owned()),
        "signed_date_rewritten",
    )]);
}

#[test]
fn a_wrong_text_of_the_route_is_named_by_the_place_of_the_right_one() {
    let scheme = |text: &str| {
        let open = plain("{param:app_key}{body}");
        open.with_params(|_| Some(text))
    };
    let sent = |own: &str, text: &str, body: &str| Sample {
        scheme: scheme(text),
        ..Sample::sent(&scheme(own), SECRET, body.as_bytes())
    };
    let in_body = r#"{"app":{"key":"k-17"}}"#;
    let swapped = Sample {
        scheme: scheme(SECRET),
        ..Sample::sent(&scheme("k-17"), SECRET, BODY.as_bytes())
    };
    let mut in_query = sent("k-17", "other", BODY);
    in_query.target = "/in?app_key=k-17".to_owned();
    compare(vec![
        (
            "in a header",
            sent("k-17", "other", BODY).and("X-App-Key", "k-17"),
            "param_other: `app_key` … in the header `x-app-key`",
        ),
        ("in the query", in_query, "param_other: parameter `app_key`"),
        (
            "in the body",
            sent("k-17", "other", in_body),
            "param_other: `/app/key`",
        ),
        (
            "in capitals",
            sent("k-17", "K-17", BODY),
            "param_other: small letters",
        ),
        (
            "with its name",
            sent("k-17", "app_key=k-17", BODY),
            "param_other: the configured text",
        ),
        (
            "swapped",
            swapped.with_secret(b"k-17"),
            "param_and_secret_swapped",
        ),
    ]);
}

#[test]
fn a_wrong_token_is_described_and_not_shown() {
    let scheme = credential(plain("{body}"), CredentialKind::Token, "");
    let header = scheme.signature_headers()[0].as_str().to_owned();
    let sent = |token: &str, secret: &str| {
        let sample = Sample {
            scheme: scheme.clone(),
            lines: vec![(header.clone(), token.to_owned())],
            ..Sample::good()
        };
        sample.with_secret(secret.as_bytes())
    };
    let own = "glpat-Qm7Zt4Kx9Lw2";
    compare(vec![
        (
            "in other letters and dashes",
            sent(own, "glpat_Qm7Zt4Kx9Lw2"),
            "token_spelled_otherwise: signs between letters",
        ),
        (
            "in hexadecimal digits",
            sent(&hex::encode(own), own),
            "token_spelled_otherwise: hexadecimal",
        ),
    ]);
    compare_suspicions(vec![
        (
            "a slip",
            sent(own, "glpat-Qm7Zt4Kx9Lw3"),
            "token_differs: both have 18 bytes … one or two signs",
        ),
        (
            "cut",
            sent(own, "glpat-Qm7Zt4Kx9Lw2Ab8Yx"),
            "token_differs: a part of the configured secret",
        ),
        (
            "of another endpoint",
            sent(own, "glpat-8uJ3bN5vC1xZ0aS"),
            "token_differs: it has 18 bytes, and the configured secret has 21 … same prefix",
        ),
    ]);
}
