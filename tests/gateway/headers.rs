//! What is forwarded and set on the way to the upstream (contract: Forwarding). What is dropped, and the gateway's own
//! headers, are in `tests/attacks/hb.rs`.

use std::sync::Arc;

use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
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
                .with("x.gateway-token", "mine"),
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
