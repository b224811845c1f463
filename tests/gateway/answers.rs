//! Each refusal of a delivery by itself: status, code, the headers that go with it, its log line, and whether the
//! connection ends (contract: Answers). Other codes are where their subject is: `claims` and `replay` (seen before, what
//! the upstream fails at), `limits` (time, overload), `handshakes`, `learning`. Left out: `internal_error` and
//! `replay_store_unavailable`, which need a fault of the gateway's own.

use std::time::Duration;

use crate::support::SOON;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, event_of, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

#[test]
fn each_refusal_has_its_status_and_code() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).route(
        Route::itellico(&upstream)
            .set("name", "\"prefix\"")
            .set("path", "\"/p/*\""),
    );
    let gateway = Gateway::start(&config);
    let long_line = "v".repeat(17 * 1024);
    let many = (0..120).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("X-{n}"), "v")
    });
    let forged = Delivery::signed("another secret", event(), &now().to_string());
    let mut cases = Cases::new();
    // Where only a head is sent, the judgement must not wait for a byte of the body.
    for (name, request, status, code) in [
        (
            "no host",
            Delivery::fresh().without("Host").head(),
            400,
            "bad_request",
        ),
        (
            "long target",
            Delivery::fresh()
                .target(format!("/{}", "a".repeat(9000)))
                .head(),
            414,
            "uri_too_long",
        ),
        (
            "long line",
            Delivery::fresh().with("X-Long", &long_line).head(),
            431,
            "headers_too_large",
        ),
        ("many lines", many.head(), 431, "headers_too_large"),
        (
            "expectation",
            Delivery::fresh().with("Expect", "banana").head(),
            417,
            "expectation_failed",
        ),
        (
            "no route",
            Delivery::fresh().target("/nowhere").head(),
            404,
            "no_route",
        ),
        (
            "ambiguous path",
            Delivery::fresh().target("/p/../x").head(),
            400,
            "bad_path",
        ),
        (
            "method",
            Delivery::fresh().method("PUT").head(),
            405,
            "method_not_allowed",
        ),
        (
            "no signature",
            Delivery::fresh().without("X-Webhook-Signature-256").head(),
            401,
            "missing_signature",
        ),
        (
            "no timestamp",
            Delivery::fresh().without("X-Webhook-Timestamp").head(),
            401,
            "missing_timestamp",
        ),
        (
            "odd signature",
            Delivery::fresh()
                .set("X-Webhook-Signature-256", "zz")
                .head(),
            401,
            "malformed_signature",
        ),
        (
            "odd timestamp",
            Delivery::fresh().set("X-Webhook-Timestamp", "1.5").head(),
            401,
            "malformed_timestamp",
        ),
        (
            "stale",
            Delivery::at(event(), now() - 400).head(),
            401,
            "stale_timestamp",
        ),
        (
            "future",
            Delivery::at(event(), now() + 400).head(),
            401,
            "future_timestamp",
        ),
        (
            "declared size",
            Delivery::fresh().set("Content-Length", "1048577").head(),
            413,
            "body_too_large",
        ),
        (
            "size",
            Delivery::of(event_of(1_048_577)).chunked_by(65536).bytes(),
            413,
            "body_too_large",
        ),
        ("secret", forged.bytes(), 401, "bad_signature"),
        (
            "body",
            Delivery::fresh().with_body(event()).bytes(),
            401,
            "bad_signature",
        ),
        (
            "no envelope",
            Delivery::of("hello").bytes(),
            422,
            "invalid_envelope",
        ),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            let answer = client.ask(request);
            answer.expect_refusal(status, code);
            assert_eq!(
                answer.header("Allow"),
                (code == "method_not_allowed").then_some("POST"),
                "{answer}"
            );
            if answer.closes() {
                client.finish();
                client.expect_closed();
            }
            let log = gateway.log_of(&answer);
            let logged = (
                log["status"].as_u64(),
                log["verdict"].as_str(),
                log["outcome"].as_str(),
            );
            assert_eq!(
                logged,
                (Some(u64::from(status)), Some(code), Some("refused")),
                "{log}"
            );
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn a_route_chooses_the_statuses_of_what_was_seen_before() {
    let upstream = Upstream::start();
    let route = Route::spelled_out(&upstream).set(
        "replay",
        "{ on_replay = 208, on_duplicate = 202, on_conflict = 422 }",
    );
    let gateway = Gateway::start(&Config::new().route(route));
    let id = fresh_event_id();
    let first = Delivery::at(event_with(&id), now() - 2);
    gateway.ask(first.clone()).expect_status(200);
    gateway.ask(first).expect_status(208);
    gateway
        .ask(Delivery::at(event_with(&id), now() - 1))
        .expect_status(202);
    let other = format!("{{\"event_id\":\"{id}\",\"n\":2}}");
    gateway
        .ask(Delivery::of(other))
        .expect_refusal(422, "event_id_conflict");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_duplicate_gets_the_words_of_its_scheme() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).scheme(
        "ack",
        "{ status = 202, body = \"Hello API Event Received\", content_type = \"text/plain\" }",
    );
    let gateway = Gateway::start(&Config::new().route(Route::itellico(&upstream)).route(route));
    let body = event();
    gateway
        .ask(Delivery::plain(body.clone()))
        .expect_status(200);
    let again = gateway.ask(Delivery::plain(body));
    again.expect_status(202);
    assert_eq!(again.body, b"Hello API Event Received");
    assert_eq!(again.header("content-type"), Some("text/plain"));
    assert_eq!(upstream.count(), 1, "the duplicate is not forwarded");
}

#[test]
fn a_route_takes_the_methods_it_names() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).set("methods", "[\"POST\", \"PUT\"]");
    let gateway = Gateway::start(&Config::new().route(route));
    gateway
        .ask(Delivery::plain("put").method("PUT"))
        .expect_status(200);
    assert_eq!(upstream.last().method, "PUT");
    let answer = gateway.ask(Delivery::plain("delete").method("DELETE"));
    answer.expect_refusal(405, "method_not_allowed");
    let mut allowed: Vec<&str> = answer
        .header("Allow")
        .expect("Allow")
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["POST", "PUT"]);
}

#[test]
fn a_refusal_over_a_kept_connection_leaves_it_in_order() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut client = gateway.connect();
    let delivery = Delivery::fresh();
    client.ask(delivery.bytes()).expect_status(200);
    let replay = client.ask(delivery.bytes());
    replay.expect_refusal(409, "replayed_event");
    assert!(
        !replay.closes(),
        "a replay was read whole, so the connection can stay: {replay}"
    );
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    assert!(!client.has_heard(Duration::from_millis(1)));
    drop(client);
    assert!(crate::support::eventually(SOON, || gateway
        .metrics()
        .value("verigate_open_connections", &[])
        <= 1.0));
}
