//! Shadow mode, `enforce = false` (contract: Shadow mode; AU-23): everything is judged as usual and forwarded all the
//! same, with the verdict said to the upstream; what is not about the delivery is enforced as ever.

use std::sync::Arc;

use crate::support::SOON;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, event_of, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{SECRET, eventually, now};

const SHADOW: &str = "/shadow";

fn shadow(upstream: &Upstream) -> Config {
    let route = Route::itellico(upstream)
        .set("name", "\"shadow\"")
        .set("path", "\"/shadow\"")
        .set("enforce", "false");
    Config::for_upstream(upstream).route(route)
}

/// Sends it to the shadow route and returns what the upstream got of it.
#[track_caller]
fn forwarded(gateway: &Gateway, upstream: &Upstream, delivery: Delivery) -> Arc<Recorded> {
    let before = upstream.count();
    gateway.ask(delivery.target(SHADOW)).expect_status(200);
    assert_eq!(upstream.count(), before + 1, "forwarded");
    upstream.last()
}

#[track_caller]
fn expect_verdict(recorded: &Recorded, verdict: &str) {
    assert_eq!(
        recorded.header("X-Verigate-Verdict").as_deref(),
        Some(verdict),
        "{recorded}"
    );
}

/// An unproved request carries only route, provider and verdict.
#[track_caller]
fn expect_nothing_vouched_for(recorded: &Recorded) {
    let ours: Vec<&str> = recorded
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.to_ascii_lowercase().starts_with("x-verigate"))
        .collect();
    let mut names: Vec<String> = ours.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "x-verigate-provider",
            "x-verigate-route",
            "x-verigate-verdict"
        ],
        "{recorded}"
    );
    assert_eq!(
        recorded.header("X-Verigate-Route").as_deref(),
        Some("shadow")
    );
    assert_eq!(
        recorded.header("X-Verigate-Provider").as_deref(),
        Some("itellico")
    );
}

#[test]
fn au_23_what_is_unproved_is_forwarded_with_its_verdict_and_claims_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    let signature = Delivery::fresh().value("X-Webhook-Signature-256");
    let mut cases = Cases::new();
    for (verdict, delivery) in [
        (
            "bad_signature",
            Delivery::signed("guessed", event(), &now().to_string()),
        ),
        (
            "bad_signature",
            Delivery::fresh().with_body(Delivery::fresh().body().to_vec()),
        ),
        (
            "bad_signature",
            Delivery::signed("guessed", event_of(200 * 1024), &now().to_string()).chunked_by(4096),
        ),
        (
            "missing_signature",
            Delivery::fresh().without("X-Webhook-Signature-256"),
        ),
        (
            "malformed_signature",
            Delivery::fresh().set("X-Webhook-Signature-256", "zz"),
        ),
        (
            "malformed_signature",
            Delivery::fresh().with("X-Webhook-Signature-256", &signature),
        ),
        (
            "missing_timestamp",
            Delivery::fresh().without("X-Webhook-Timestamp"),
        ),
        (
            "malformed_timestamp",
            Delivery::signed(SECRET, event(), "1e9"),
        ),
        ("stale_timestamp", Delivery::at(event(), now() - 3600)),
        ("future_timestamp", Delivery::at(event(), now() + 3600)),
    ] {
        cases.case(verdict, || {
            let delivery = delivery
                .with("X-Verigate-Verdict", "valid")
                .with("X-Verigate-Event-Id", "made up");
            let answer_before = upstream.count();
            let answer = gateway.ask(delivery.clone().target(SHADOW));
            answer.expect_status(200);
            assert_eq!(upstream.count(), answer_before + 1, "forwarded");
            let recorded = upstream.last();
            expect_verdict(&recorded, verdict);
            expect_nothing_vouched_for(&recorded);
            assert!(recorded.complete);
            let id = recorded
                .header("X-Request-Id")
                .expect("X-Request-Id at the upstream");
            let log = gateway.wait_for_log(SOON, |line| line["request_id"] == id.as_str());
            assert_eq!(
                (log["verdict"].as_str(), log["outcome"].as_str()),
                (Some(verdict), Some("forwarded")),
                "{log}"
            );
        });
    }
    cases.finish();
    let metrics = gateway.metrics();
    assert!(
        metrics.value("verigate_replay_entries", &[]) < 0.5,
        "unproved deliveries entered the window"
    );
    let labels = [("route", "shadow"), ("verdict", "bad_signature")];
    let counted =
        || (gateway.metrics().value("verigate_requests_total", &labels) - 3.0).abs() < 0.5;
    assert!(eventually(SOON, counted), "{}", gateway.metrics().text);
}

#[test]
fn au_23_a_forged_delivery_takes_nothing_from_the_honest_one() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    let body = event();
    let forged = Delivery::signed("guessed", body.clone(), &now().to_string());
    for _ in 0..2 {
        expect_verdict(
            &forwarded(&gateway, &upstream, forged.clone()),
            "bad_signature",
        );
    }
    let honest = Delivery::of(body.clone());
    let recorded = forwarded(&gateway, &upstream, honest.clone());
    expect_verdict(&recorded, "valid");
    recorded.expect_body(&body);
    assert!(
        recorded.has("X-Verigate-Secret") && recorded.has("X-Verigate-Event-Id"),
        "{recorded}"
    );
    expect_verdict(&forwarded(&gateway, &upstream, honest), "replayed_event");
}

#[test]
fn a_proved_delivery_claims_and_its_copies_are_forwarded_with_their_verdict() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    let id = fresh_event_id();
    let (body, at) = (event_with(&id), now() - 2);
    let other = format!("{{\"event_id\":\"{id}\",\"data\":2}}");
    let mut cases = Cases::new();
    for (name, delivery, verdict) in [
        ("first", Delivery::at(body.clone(), at), "valid"),
        ("replay", Delivery::at(body.clone(), at), "replayed_event"),
        ("redelivery", Delivery::at(body, at + 1), "duplicate_event"),
        (
            "another body under the preset's id",
            Delivery::at(other, at),
            "event_id_conflict",
        ),
        (
            "no event id",
            Delivery::of("{\"event_type\":\"a\"}"),
            "invalid_envelope",
        ),
        ("no json", Delivery::of("hello"), "invalid_envelope"),
    ] {
        cases.case(name, || {
            let sent = delivery.body().to_vec();
            let recorded = forwarded(&gateway, &upstream, delivery);
            expect_verdict(&recorded, verdict);
            recorded.expect_body(&sent);
            if verdict == "invalid_envelope" {
                assert!(!recorded.has("X-Verigate-Event-Id"), "{recorded}");
            }
        });
    }
    cases.finish();
}

#[test]
fn a_copy_of_an_event_in_flight_settles_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(500)));
    let delivery = Delivery::fresh().target(SHADOW);
    let mut first = gateway.connect();
    first.send(delivery.bytes());
    upstream.wait_for(1);
    for copy in 0..2 {
        gateway.ask(delivery.clone()).expect_status(200);
        expect_verdict(&upstream.wait_for(copy + 2)[copy + 1], "event_in_flight");
    }
    latch.open();
    first.answer().expect_status(500);
    // The copies' 200 did not make it done, and the first's 500 released it.
    expect_verdict(&forwarded(&gateway, &upstream, delivery), "valid");
}

#[test]
fn a_copy_of_a_done_event_releases_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    let delivery = Delivery::fresh().target(SHADOW);
    expect_verdict(&forwarded(&gateway, &upstream, delivery.clone()), "valid");
    upstream.next(Behaviour::status(500));
    gateway.ask(delivery.clone()).expect_status(500);
    expect_verdict(&upstream.last(), "replayed_event");
    expect_verdict(&forwarded(&gateway, &upstream, delivery), "replayed_event");
}

#[test]
fn what_is_not_about_the_delivery_is_enforced() {
    let upstream = Upstream::start();
    let prefix = Route::itellico(&upstream)
        .set("name", "\"below\"")
        .set("path", "\"/below/*\"")
        .set("enforce", "false");
    let config = shadow(&upstream)
        .route(prefix)
        .server("body_timeout", "\"1s\"");
    let gateway = Gateway::start(&config);
    let fresh = || Delivery::fresh().target(SHADOW);
    let mut cases = Cases::new().http1_only("framing errors", &["malformed HTTP"]);
    for (name, request, status, code) in [
        ("method", fresh().method("PUT"), 405, "method_not_allowed"),
        (
            "path",
            Delivery::fresh().target("/shadow/"),
            404,
            "no_route",
        ),
        (
            "ambiguous path",
            Delivery::fresh().target("/below/../x"),
            400,
            "bad_path",
        ),
        (
            "malformed HTTP",
            fresh().with("Content-Length", "5"),
            400,
            "bad_request",
        ),
        (
            "expectation",
            fresh().with("Expect", "banana"),
            417,
            "expectation_failed",
        ),
        (
            "declared size",
            fresh().set("Content-Length", "1048577"),
            413,
            "body_too_large",
        ),
        (
            "size",
            Delivery::of(event_of(1_048_577))
                .target(SHADOW)
                .chunked_by(65536),
            413,
            "body_too_large",
        ),
        (
            "size of what is forged",
            Delivery::signed("guessed", event_of(1_048_577), &now().to_string()).target(SHADOW),
            413,
            "body_too_large",
        ),
        ("time", fresh().with_body("{"), 408, "body_timeout"),
    ] {
        cases.case(name, || gateway.ask(request).expect_refusal(status, code));
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
    expect_verdict(&forwarded(&gateway, &upstream, Delivery::fresh()), "valid");
}

#[test]
fn an_enforcing_route_says_valid() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&shadow(&upstream));
    gateway
        .ask(Delivery::fresh().with("X-Verigate-Verdict", "forged"))
        .expect_status(200);
    expect_verdict(&upstream.last(), "valid");
}
