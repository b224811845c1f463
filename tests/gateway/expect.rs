//! `Expect: 100-continue`: sent only after the head has been judged, and only when asked for
//! (contract: Before the body).

use std::time::Duration;

use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, event, event_of};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    (upstream, gateway)
}

#[test]
fn a_good_head_is_told_to_continue_and_then_served() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("length", Delivery::fresh().with("Expect", "100-continue")),
        ("any case", Delivery::fresh().with("expect", "100-Continue")),
        (
            "chunked",
            Delivery::fresh()
                .chunked_by(20)
                .with("Expect", "100-continue"),
        ),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            let interim = client.ask(delivery.head());
            interim.expect_status(100);
            assert!(
                !client.has_heard(Duration::from_millis(20)),
                "nothing else may come before the body"
            );
            let bytes = delivery.bytes();
            client
                .ask(&bytes[delivery.head().len()..])
                .expect_status(200);
            let request = upstream.last();
            request.expect_body(delivery.body());
            assert!(!request.has("Expect"), "{request}");
        });
    }
    cases.case("the connection goes on", || {
        let mut client = gateway.connect();
        for _ in 0..3 {
            let delivery = Delivery::fresh().with("Expect", "100-continue");
            client.ask(delivery.head()).expect_status(100);
            client.ask(delivery.body()).expect_status(200);
        }
    });
    cases.finish();
}

#[test]
fn a_body_that_does_not_wait_is_served_with_one_final_answer() {
    let (upstream, gateway) = start();
    let delivery = Delivery::fresh().with("Expect", "100-continue");
    let mut client = gateway.connect();
    // Whose body is there already needs no permission to send it (RFC 9110 10.1.1).
    client.ask(delivery.bytes()).expect_status(200);
    assert!(!client.has_heard(Duration::from_millis(20)), "one answer");
    upstream.last().expect_body(delivery.body());
}

#[test]
fn a_refused_head_is_never_told_to_continue() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for (name, delivery, status, code) in [
        ("no route", Delivery::fresh().target("/x"), 404, "no_route"),
        (
            "method",
            Delivery::fresh().method("PUT"),
            405,
            "method_not_allowed",
        ),
        (
            "no signature",
            Delivery::fresh().without("X-Webhook-Signature-256"),
            401,
            "missing_signature",
        ),
        (
            "odd signature",
            Delivery::fresh().set("X-Webhook-Signature-256", "0"),
            401,
            "malformed_signature",
        ),
        (
            "stale",
            Delivery::at(event(), now() - 400),
            401,
            "stale_timestamp",
        ),
        (
            "future",
            Delivery::at(event(), now() + 400),
            401,
            "future_timestamp",
        ),
        (
            "too large",
            Delivery::of(event_of(1_048_577)),
            413,
            "body_too_large",
        ),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            client
                .ask(delivery.with("Expect", "100-continue").head())
                .expect_refusal(status, code);
            client.finish();
            client.expect_closed();
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn without_expect_no_interim_answer_is_sent() {
    let (_upstream, gateway) = start();
    let delivery = Delivery::fresh();
    let mut client = gateway.connect();
    client.send(delivery.head());
    assert!(!client.has_heard(Duration::from_millis(100)));
    client.ask(delivery.body()).expect_status(200);
}
