//! A signature in the query of the URL (schemes: Signature): it is taken once, and reaches neither the app nor the log.

use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, SOON, eventually};

fn pandadoc(upstream: &Upstream) -> Route {
    Route::new("pandadoc", "/pandadoc", upstream)
        .set("provider", "\"pandadoc\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
}

/// A delivery to a target in which `{}` is the right signature of the body.
fn delivery(target: &str, body: &[u8]) -> Delivery {
    let signature = sign_body(PLAIN_SECRET, body);
    Delivery::unsigned(&target.replace("{}", &signature), body)
}

#[test]
fn au_83_a_signature_in_the_query_reaches_neither_the_app_nor_the_log() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(pandadoc(&upstream)));
    let mut cases = Cases::new();
    for (sent, forwarded) in [
        ("/pandadoc?signature={}", "/pandadoc"),
        ("/pandadoc?signature={}&a=%20b", "/pandadoc?a=%20b"),
        ("/pandadoc?a=1&signature={}&b=", "/pandadoc?a=1&b="),
    ] {
        cases.case(sent, || {
            let body = event();
            let answer = gateway.ask(delivery(sent, &body));
            answer.expect_status(200);
            let got = upstream.last();
            assert_eq!(got.target, forwarded.as_bytes());
            got.expect_body(&body);
            let signature = sign_body(PLAIN_SECRET, &body);
            assert_eq!(gateway.log_of(&answer)["path"], "/pandadoc");
            for (name, text) in [("stdout", gateway.stdout()), ("stderr", gateway.stderr())] {
                assert!(!text.contains(&signature), "{name}: {text}");
            }
            gateway.ask(delivery(sent, &body)).expect_duplicate();
        });
    }
    cases.finish();
}

#[test]
fn au_83_a_parameter_that_two_programs_read_in_two_ways_is_refused() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(pandadoc(&upstream)));
    let wrong = "0".repeat(64);
    let mut cases = Cases::new();
    for (sent, code) in [
        ("/pandadoc", "missing_signature"),
        ("/pandadoc?signature=", "missing_signature"),
        ("/pandadoc?Signature={}", "malformed_signature"),
        ("/pandadoc?%73ignature={}", "malformed_signature"),
        ("/pandadoc?signature[]={}", "malformed_signature"),
        ("/pandadoc?signature={}0", "malformed_signature"),
        ("/pandadoc?signature={}&signature={}", "malformed_signature"),
        (
            "/pandadoc?signature=WRONG&signature={}",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&SIGNATURE=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&%53ignature=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&a=1;signature=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&signature%zz=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&signature+=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&signature.x=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&%2573ignature=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&%u0073ignature=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&[signature]=WRONG",
            "malformed_signature",
        ),
        (
            "/pandadoc?signature={}&a=1%26signature=WRONG",
            "malformed_signature",
        ),
        ("/pandadoc?signature={};a=1", "malformed_signature"),
        ("/pandadoc?signature=WRONG", "bad_signature"),
    ] {
        cases.case(sent, || {
            let sent = sent.replace("WRONG", &wrong);
            gateway
                .ask(delivery(&sent, &event()))
                .expect_refusal(401, code);
            gateway.expect_serving();
        });
    }
    let body = event();
    let in_header = delivery("/pandadoc", &body).with("Signature", sign_body(PLAIN_SECRET, &body));
    gateway
        .ask(in_header)
        .expect_refusal(401, "missing_signature");
    cases.finish();
}

#[test]
fn au_83_shadow_mode_forwards_no_signature_of_a_query_either() {
    let upstream = Upstream::start();
    let route = pandadoc(&upstream).set("enforce", "false");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
    let body = event();
    let sent = "/pandadoc?signature={}&Signature={}&%73ignature={}&b=2;signature={}&signature%zz={}&signature+={}\
                &signature.x={}&signature[]={}&%2573ignature={}&c=%26signature%3D{}&a=1";
    gateway.ask(delivery(sent, &body)).expect_status(200);
    assert!(eventually(SOON, || upstream.count() == 1));
    let got = upstream.last();
    assert_eq!(got.target, b"/pandadoc?b=2&a=1");
    let verdict = got.header("X-Verigate-Verdict");
    assert_eq!(verdict.as_deref(), Some("malformed_signature"));
}

/// A gateway with a route of `OpenNode`, which signs a single field of a form.
fn opennode(upstream: &Upstream) -> Gateway {
    let route = Route::new("opennode", "/opennode", upstream)
        .set("provider", "\"opennode\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    Gateway::start(&Config::for_upstream(upstream).route(route))
}

/// The id of the charge is all that the provider signs: each status has a state beside the entry, and nothing else counts.
#[test]
fn au_84_a_form_of_which_one_field_is_signed_is_forwarded_once_for_each_type() {
    let upstream = Upstream::start();
    let gateway = opennode(&upstream);
    let signature = sign_body(PLAIN_SECRET, b"chg_1");
    let form = |rest: &str| {
        Delivery::unsigned("/opennode", format!("id=chg_1&{rest}"))
            .set("Content-Type", "application/x-www-form-urlencoded")
    };
    let signed = |status: &str| form(&format!("status={status}&hashed_order={signature}"));
    gateway.ask(signed("processing")).expect_status(200);
    gateway.ask(signed("paid")).expect_status(200);
    gateway.ask(signed("paid")).expect_duplicate();
    assert_eq!(upstream.count(), 2);
    let twice = format!("status=paid&id=chg_2&hashed_order={signature}");
    let alias = format!("status=paid&ID=chg_2&hashed_order={signature}");
    let list = format!("status=paid&hashed_order={signature}&hashed_order[]={signature}");
    let signature_of_1 = format!("status=paid&hashed_order={signature}");
    let divided = format!("a=1;id=chg_2&{signature_of_1}");
    let double = format!("%2569d=chg_2&{signature_of_1}");
    let charset = format!("_charset_=utf-7&{signature_of_1}");
    for rest in [
        &twice,
        &alias,
        &list,
        &divided,
        &double,
        &charset,
        "status=paid",
    ] {
        gateway
            .ask(form(rest))
            .expect_refusal(401, "malformed_signature");
    }
    let json = format!("{{\"id\":\"chg_1\",\"status\":\"paid\",\"hashed_order\":\"{signature}\"}}");
    gateway
        .ask(Delivery::unsigned("/opennode", json))
        .expect_refusal(401, "malformed_signature");
    let other = format!("id=chg_2&status=paid&hashed_order={signature}");
    gateway
        .ask(Delivery::unsigned("/opennode", other))
        .expect_refusal(401, "bad_signature");
    assert_eq!(upstream.count(), 2);
}

/// An app takes a form apart as `Content-Type` says, which no signature covers.
#[test]
fn au_84_a_form_is_of_the_kind_that_content_type_says() {
    let upstream = Upstream::start();
    let gateway = opennode(&upstream);
    let signature = sign_body(PLAIN_SECRET, b"chg_1");
    let form = format!("id=chg_1&status=paid&hashed_order={signature}");
    let part = |name: &str, value: &str| {
        format!("--XyZ\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    let fields = [
        part("id", "chg_1"),
        part("status", "paid"),
        part("hashed_order", &signature),
    ]
    .concat();
    let parts = format!("{fields}--XyZ--\r\n");
    let with = |more: &str| format!("{fields}{more}--XyZ--\r\n");
    let file = part("id; filename=x", "chg_2");
    let urlencoded = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data; boundary=XyZ";
    let inner = part(
        "status",
        "x\n--XyZ\nContent-Disposition: form-data; name=id\n\nchg_2",
    );
    let mut cases = Cases::new();
    for (name, media, body) in [
        ("a multipart body as a form", urlencoded, parts.clone()),
        ("a form as a multipart body", multipart, form.clone()),
        (
            "another boundary",
            "multipart/form-data; boundary=Other",
            parts.clone(),
        ),
        (
            "two boundaries",
            "multipart/form-data; boundary=Other; boundary=XyZ",
            parts.clone(),
        ),
        (
            "another character set",
            "application/x-www-form-urlencoded; charset=ibm037",
            form.clone(),
        ),
        ("a file for the field", multipart, with(&file)),
        (
            "a boundary behind a bare line feed",
            multipart,
            with(&inner),
        ),
        (
            "a part behind the last",
            multipart,
            format!("{parts}{parts}"),
        ),
        (
            "an encoded part",
            multipart,
            with(&part("a\r\nContent-Transfer-Encoding: base64", "eA==")),
        ),
    ] {
        cases.case(name, || {
            let delivery = Delivery::unsigned("/opennode", body).set("Content-Type", media);
            gateway
                .ask(delivery)
                .expect_refusal(401, "malformed_signature");
        });
    }
    cases.case("a packed body", || {
        let delivery = Delivery::unsigned("/opennode", form.as_str())
            .set("Content-Type", urlencoded)
            .with("Content-Encoding", "deflate");
        gateway
            .ask(delivery)
            .expect_refusal(401, "malformed_signature");
    });
    assert_eq!(upstream.count(), 0);
    cases.case(
        "the multipart form itself, and the same charge as a form",
        || {
            let delivery = Delivery::unsigned("/opennode", parts.as_str());
            gateway
                .ask(delivery.set("Content-Type", multipart))
                .expect_status(200);
            assert_eq!(upstream.count(), 1);
            let delivery = Delivery::unsigned("/opennode", form.as_str());
            gateway
                .ask(delivery.set("Content-Type", urlencoded))
                .expect_duplicate();
        },
    );
    cases.finish();
}
