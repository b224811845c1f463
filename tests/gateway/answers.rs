//! Every row of SPEC 3 that can be provoked from outside: status, code, the headers that go with it, and whether the
//! connection ends. Left out: `internal_error` and `replay_store_unavailable`, which need a fault of ours.

use std::time::Duration;

use crate::support::SOON;
use crate::support::behaviour::{Behaviour, Gate, Reply};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, event_of, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::{ClosedPort, Upstream};

#[test]
fn each_refusal_before_the_body_has_its_status_and_code() {
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
    let signature = Delivery::fresh().value("X-Webhook-Signature-256");
    let mut cases = Cases::new();
    for (name, request, status, code) in [
        (
            "no host",
            Delivery::fresh().without("Host"),
            400,
            "bad_request",
        ),
        (
            "long target",
            Delivery::fresh().target(format!("/{}", "a".repeat(9000))),
            414,
            "uri_too_long",
        ),
        (
            "long line",
            Delivery::fresh().with("X-Long", &long_line),
            431,
            "headers_too_large",
        ),
        ("many lines", many, 431, "headers_too_large"),
        (
            "expectation",
            Delivery::fresh().with("Expect", "banana"),
            417,
            "expectation_failed",
        ),
        (
            "no route",
            Delivery::fresh().target("/nowhere"),
            404,
            "no_route",
        ),
        (
            "ambiguous path",
            Delivery::fresh().target("/p/../x"),
            400,
            "bad_path",
        ),
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
            "empty signature",
            Delivery::fresh().set("X-Webhook-Signature-256", " \t"),
            401,
            "missing_signature",
        ),
        (
            "no timestamp",
            Delivery::fresh().without("X-Webhook-Timestamp"),
            401,
            "missing_timestamp",
        ),
        (
            "empty timestamp",
            Delivery::fresh().set("X-Webhook-Timestamp", ""),
            401,
            "missing_timestamp",
        ),
        (
            "odd signature",
            Delivery::fresh().set("X-Webhook-Signature-256", "zz"),
            401,
            "malformed_signature",
        ),
        (
            "two signatures",
            Delivery::fresh().with("X-Webhook-Signature-256", &signature),
            401,
            "malformed_signature",
        ),
        (
            "odd timestamp",
            Delivery::signed(crate::support::SECRET, event(), "1.5"),
            401,
            "malformed_timestamp",
        ),
        (
            "two timestamps",
            Delivery::fresh().with("X-Webhook-Timestamp", now().to_string()),
            401,
            "malformed_timestamp",
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
            "declared too large",
            Delivery::fresh().set("Content-Length", "1048577"),
            413,
            "body_too_large",
        ),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            // Only the head: the judgement must not wait for a byte of the body.
            let answer = client.ask(request.head());
            answer.expect_refusal(status, code);
            if answer.closes() {
                client.finish();
                client.expect_closed();
            }
            let log = gateway.log_of(&answer);
            assert_eq!(
                (log["status"].as_u64(), log["verdict"].as_str()),
                (Some(u64::from(status)), Some(code)),
                "{log}"
            );
            assert_eq!(log["outcome"], "refused", "{log}");
        });
    }
    cases.case("method names what is allowed", || {
        let answer = gateway.ask(Delivery::fresh().method("PUT"));
        assert_eq!(answer.header("Allow"), Some("POST"));
    });
    cases.finish();
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn each_refusal_after_the_body_has_its_status_and_code() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream).route(
            Route::itellico(&upstream)
                .set("name", "\"other\"")
                .set("path", "\"/o\""),
        ),
    );
    let mut cases = Cases::new();
    for (name, request, status, code) in [
        (
            "other secret",
            Delivery::signed("another secret", event(), &now().to_string()),
            401,
            "bad_signature",
        ),
        (
            "other body",
            Delivery::fresh().payload(event()),
            401,
            "bad_signature",
        ),
        (
            "grows too large",
            Delivery::of(event_of(1_048_577)).chunked_by(65536),
            413,
            "body_too_large",
        ),
        ("no json", Delivery::of("hello"), 422, "invalid_envelope"),
        ("empty", Delivery::of(""), 422, "invalid_envelope"),
        (
            "no event id",
            Delivery::of("{\"event_type\":\"a\"}"),
            422,
            "invalid_envelope",
        ),
        (
            "key twice",
            Delivery::of("{\"event_id\":\"a\",\"event_id\":\"b\"}"),
            422,
            "invalid_envelope",
        ),
    ] {
        cases.case(name, || gateway.ask(request).expect_refusal(status, code));
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn time_limits_are_answered_with_408() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::for_upstream(&upstream)
            .server("head_timeout", "\"1s\"")
            .server("body_timeout", "\"1s\""),
    );
    let mut client = gateway.connect();
    client.send(b"POST /webhooks/itellico HTTP/1.1\r\nHost: a\r\n");
    client.answer().expect_refusal(408, "head_timeout");
    client.expect_closed();
    let mut client = gateway.connect();
    let delivery = Delivery::fresh();
    client.send(delivery.head());
    client.send(&delivery.body()[..10]);
    client.answer().expect_refusal(408, "body_timeout");
    client.finish();
    client.expect_closed();
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn a_delivery_seen_before_is_answered_by_what_it_is() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let body = event();
    let first = Delivery::at(body.clone(), now() - 2);
    gateway.ask(first.clone()).expect_status(200);
    gateway.ask(first).expect_refusal(409, "replayed_event");
    gateway
        .ask(Delivery::at(body, now() - 1))
        .expect_duplicate();
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_operators_event_id_with_another_body_is_a_conflict() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream)
        .unset("provider")
        .scheme("algorithm", "\"hmac-sha256\"")
        .scheme("signed", "\"{body}.{timestamp}\"")
        .scheme(
            "signature",
            "{ header = \"X-Webhook-Signature-256\", encoding = \"hex\" }",
        )
        .scheme(
            "timestamp",
            "{ header = \"X-Webhook-Timestamp\", unit = \"seconds\" }",
        )
        .scheme("event_id", "{ json = \"/event_id\" }");
    let gateway = Gateway::start(&Config::new().route(route));
    let id = fresh_event_id();
    gateway
        .ask(Delivery::of(event_with(&id)))
        .expect_status(200);
    let other = format!("{{\"event_id\":\"{id}\",\"n\":2}}");
    gateway
        .ask(Delivery::of(other))
        .expect_refusal(409, "event_id_conflict");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_copy_of_an_event_in_flight_is_told_to_retry() {
    let gate = Gate::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&gate, &Reply::new(200)));
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh();
    let mut first = gateway.connect();
    first.send(delivery.bytes());
    upstream.wait_for(1);
    let copy = gateway.ask(delivery.clone());
    gate.open();
    copy.expect_refusal(409, "event_in_flight");
    assert_eq!(copy.header("Retry-After"), Some("1"));
    first.answer().expect_status(200);
    gateway.ask(delivery).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_route_chooses_the_statuses_of_what_was_seen_before() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set("replay", "{ on_replay = 208, on_duplicate = 202 }");
    let gateway = Gateway::start(&Config::new().route(route));
    let body = event();
    let first = Delivery::at(body.clone(), now() - 2);
    gateway.ask(first.clone()).expect_status(200);
    gateway.ask(first).expect_status(208);
    gateway
        .ask(Delivery::at(body, now() - 1))
        .expect_status(202);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn more_than_a_quarter_of_the_buffer_budget_for_one_address_is_overload() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&Config::for_upstream(&upstream).server("max_buffered", "\"1MiB\""));
    gateway
        .ask(Delivery::of(event_of(600 * 1024)))
        .expect_refusal(503, "overloaded");
    gateway
        .ask(Delivery::of(event_of(100 * 1024)))
        .expect_status(200);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn what_the_upstream_fails_at_is_told_apart() {
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let config = Config::new()
        .route(Route::itellico(&upstream).set("upstream_timeout", "\"1s\""))
        .route(Route::plain(&upstream).set("upstream", &text(&port.url())));
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    for (name, behaviour, status, code, outcome) in [
        (
            "never answers",
            Behaviour::never(),
            504,
            "upstream_timeout",
            "upstream_timeout",
        ),
        (
            "closes",
            Behaviour::close(),
            502,
            "upstream_failed",
            "upstream_failed",
        ),
        (
            "resets",
            Behaviour::reset(),
            502,
            "upstream_failed",
            "upstream_failed",
        ),
        (
            "no http",
            Behaviour::raw_then_close("SSH-2.0-x\r\n\r\n"),
            502,
            "upstream_failed",
            "upstream_failed",
        ),
    ] {
        cases.case(name, || {
            upstream.next(behaviour);
            let delivery = Delivery::fresh();
            let answer = gateway.ask(delivery.clone());
            answer.expect_refusal(status, code);
            let log = gateway.log_of(&answer);
            assert_eq!(
                (log["verdict"].as_str(), log["outcome"].as_str()),
                (Some("valid"), Some(outcome)),
                "{log}"
            );
            // The claim was released: the provider's retry goes through.
            gateway.ask(delivery).expect_status(200);
        });
    }
    cases.case("refuses connections", || {
        for _ in 0..2 {
            gateway
                .ask(Delivery::plain("same"))
                .expect_refusal(502, "upstream_unreachable");
        }
    });
    cases.finish();
    assert_eq!(upstream.count(), 8);
}

#[test]
fn a_status_that_is_not_2xx_is_relayed_and_releases_the_claim() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for status in [301, 404, 429, 500, 503] {
        cases.case(&status.to_string(), || {
            upstream.next(Behaviour::status(status));
            let delivery = Delivery::fresh();
            gateway.ask(delivery.clone()).expect_status(status);
            gateway.ask(delivery).expect_status(200);
        });
    }
    cases.finish();
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
