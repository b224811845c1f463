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
    let sent = "/pandadoc?signature={}&Signature={}&%73ignature={}&a=1";
    gateway.ask(delivery(sent, &body)).expect_status(200);
    assert!(eventually(SOON, || upstream.count() == 1));
    let got = upstream.last();
    assert_eq!(got.target, b"/pandadoc?a=1");
    let verdict = got.header("X-Verigate-Verdict");
    assert_eq!(verdict.as_deref(), Some("malformed_signature"));
}

/// The id of the charge is all that the provider signs: each status has a state beside the entry, and nothing else counts.
#[test]
fn au_84_a_form_of_which_one_field_is_signed_is_forwarded_once_for_each_type() {
    let upstream = Upstream::start();
    let route = Route::new("opennode", "/opennode", &upstream)
        .set("provider", "\"opennode\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
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
    for rest in [&twice, &alias, &list, "status=paid"] {
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
