//! What is forwarded, set and dropped on the way to the upstream (SPEC 2.8). Spoofing is in `tests/attacks/hb.rs`.

use std::sync::Arc;

use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Recorded, Upstream};

fn forwarded(gateway: &Gateway, upstream: &Upstream, delivery: Delivery) -> Arc<Recorded> {
    gateway.ask(delivery).expect_status(200);
    upstream.last()
}

#[test]
fn the_request_arrives_as_it_was_sent() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh()
        .target("/webhooks/itellico?a=%20b&c=/../&&d")
        .with("Content-Type", "application/json; charset=utf-8")
        .with("User-Agent", "sender/1")
        .with("x-odd-CASE", "Value, With ; Signs \"q\"")
        .with("X-Empty", "")
        .with("Authorization", "Basic abc")
        .with("Accept-Encoding", "gzip")
        .with("Cookie", "a=b");
    let request = forwarded(&gateway, &upstream, delivery.clone());
    assert_eq!(
        (request.method.as_str(), request.version.as_str()),
        ("POST", "HTTP/1.1")
    );
    assert_eq!(request.target, b"/webhooks/itellico?a=%20b&c=/../&&d");
    for name in [
        "Host",
        "Content-Type",
        "User-Agent",
        "X-Odd-Case",
        "X-Empty",
        "Authorization",
        "Accept-Encoding",
        "Cookie",
        "X-Webhook-Timestamp",
        "X-Webhook-Signature-256",
    ] {
        let sent = if name == "X-Odd-Case" {
            delivery.value("x-odd-CASE")
        } else {
            delivery.value(name)
        };
        assert_eq!(request.header(name), Some(sent), "{name} in {request}");
    }
}

#[test]
fn lines_of_one_name_stay_in_order() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh()
        .with("X-Many", "1")
        .with("X-Between", "b")
        .with("x-many", "2")
        .with("X-Many", "3");
    let request = forwarded(&gateway, &upstream, delivery);
    assert_eq!(request.headers_named("X-Many"), [b"1", b"2", b"3"]);
}

#[test]
fn the_gateways_own_headers_say_what_was_proved() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = fresh_event_id();
    let request = forwarded(&gateway, &upstream, Delivery::of(event_with(&id)));
    for (name, value) in [
        ("X-Verigate-Route", "itellico"),
        ("X-Verigate-Provider", "itellico"),
        ("X-Verigate-Secret", "env:ITELLICO_WEBHOOK_SECRET"),
        ("X-Verigate-Event-Id", id.as_str()),
        ("X-Verigate-Event-Type", "conversation.ended"),
        ("X-Verigate-Verdict", "valid"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "a"),
    ] {
        assert_eq!(
            request.header(name).as_deref(),
            Some(value),
            "{name} in {request}"
        );
    }
    let text = String::from_utf8_lossy(&request.raw_head).into_owned();
    assert!(
        !text.contains(crate::support::SECRET),
        "a secret's value is never forwarded: {text}"
    );
}

#[test]
fn the_request_id_is_the_same_for_upstream_client_and_log() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let answer = gateway.ask(Delivery::fresh().with("X-Request-Id", "from-outside"));
    let id = answer.header("X-Request-Id").expect("an id").to_owned();
    assert_eq!(upstream.last().header("X-Request-Id"), Some(id.clone()));
    assert_ne!(id, "from-outside");
    assert_eq!(gateway.log_of(&answer)["request_id"], id.as_str());
    let other = gateway.ask(Delivery::fresh());
    assert_ne!(other.header("X-Request-Id"), Some(id.as_str()));
}

#[test]
fn a_value_that_is_not_visible_ascii_gets_no_header() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = format!("{}-\u{e9}", fresh_event_id());
    let request = forwarded(&gateway, &upstream, Delivery::of(event_with(&id)));
    assert!(!request.has("X-Verigate-Event-Id"), "{request}");
    assert_eq!(
        request.header("X-Verigate-Event-Type").as_deref(),
        Some("conversation.ended")
    );
}

#[test]
fn a_route_sets_its_host_and_its_own_headers() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream)
        .set("upstream_host", "\"inner.example\"")
        .set(
            "upstream_headers",
            "{ \"X-Gateway-Token\" = \"env:GATEWAY_TOKEN\" }",
        );
    let gateway = Gateway::start(
        &Config::new()
            .route(route)
            .env("GATEWAY_TOKEN", "t0ken-of-the-gateway"),
    );
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("none sent", Delivery::fresh()),
        (
            "one sent",
            Delivery::fresh().with("X-Gateway-Token", "mine"),
        ),
        (
            "an alias sent",
            Delivery::fresh()
                .with("X_Gateway_Token", "mine")
                .with("X.Gateway.Token", "mine"),
        ),
    ] {
        cases.case(name, || {
            let request = forwarded(&gateway, &upstream, delivery);
            assert_eq!(
                request.header("X-Gateway-Token").as_deref(),
                Some("t0ken-of-the-gateway")
            );
            assert_eq!(request.header("Host").as_deref(), Some("inner.example"));
            assert!(
                !String::from_utf8_lossy(&request.raw_head).contains("mine"),
                "{request}"
            );
        });
    }
    cases.finish();
    assert!(
        !gateway.stdout().contains("t0ken") && !gateway.stderr().contains("t0ken"),
        "it is never logged"
    );
}

#[test]
fn a_trusted_proxy_is_believed_and_a_stranger_is_not() {
    let upstream = Upstream::start();
    let trusting = Gateway::start(
        &Config::for_upstream(&upstream).server("trusted_proxies", "[\"127.0.0.1/32\"]"),
    );
    let doubting = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = || {
        Delivery::fresh()
            .with("X-Forwarded-For", "203.0.113.7")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Host", "hooks.example.com")
            .with("X-Request-Id", "abc-123")
    };
    let answer = trusting.ask(delivery());
    answer.expect_status(200);
    let request = upstream.last();
    assert_eq!(
        request.header("X-Forwarded-For").as_deref(),
        Some("203.0.113.7, 127.0.0.1")
    );
    assert_eq!(
        request.header("X-Forwarded-Proto").as_deref(),
        Some("https")
    );
    assert_eq!(
        request.header("X-Forwarded-Host").as_deref(),
        Some("hooks.example.com")
    );
    assert_eq!(request.header("X-Request-Id").as_deref(), Some("abc-123"));
    assert_eq!(answer.header("X-Request-Id"), Some("abc-123"));
    assert_eq!(trusting.log_of(&answer)["client"], "203.0.113.7");

    let answer = doubting.ask(delivery());
    answer.expect_status(200);
    let request = upstream.last();
    assert_eq!(
        request.header("X-Forwarded-For").as_deref(),
        Some("127.0.0.1")
    );
    assert_eq!(request.header("X-Forwarded-Proto").as_deref(), Some("http"));
    assert_eq!(request.header("X-Forwarded-Host").as_deref(), Some("a"));
    assert_ne!(request.header("X-Request-Id").as_deref(), Some("abc-123"));
    assert_eq!(doubting.log_of(&answer)["client"], "127.0.0.1");
}

#[test]
fn white_space_around_a_value_is_not_part_of_it() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh();
    let spaced = |name: &str| format!(" \t {}\t ", delivery.value(name));
    let delivery = delivery
        .clone()
        .set("X-Webhook-Signature-256", spaced("X-Webhook-Signature-256"))
        .set("X-Webhook-Timestamp", spaced("X-Webhook-Timestamp"))
        .set("Host", "  a ");
    gateway.ask(delivery).expect_status(200);
    let tight = Delivery::fresh();
    let (signature, timestamp) = (
        tight.value("X-Webhook-Signature-256"),
        tight.value("X-Webhook-Timestamp"),
    );
    let tight = tight
        .without("X-Webhook-Signature-256")
        .without("X-Webhook-Timestamp")
        .with_line(format!("X-Webhook-Signature-256:{signature}"))
        .with_line(format!("x-webhook-TIMESTAMP:{timestamp}"));
    gateway.ask(tight).expect_status(200);
}
