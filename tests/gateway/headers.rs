//! What is forwarded and set on the way to the upstream (contract: Forwarding). What is dropped, and the gateway's own
//! headers, are in `tests/attacks/hb.rs`.

use std::sync::Arc;

use crate::support::PLAIN_SECRET;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, sign_body};
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
fn hb_15_a_route_s_headers_are_a_proof_and_only_what_is_valid_gets_them() {
    let upstream = Upstream::start();
    let token = "{ \"X-Gateway-Token\" = \"env:GATEWAY_TOKEN\" }";
    let shadow = Route::itellico(&upstream)
        .set("enforce", "false")
        .set("upstream_headers", token);
    let meta = Route::new("meta", "/meta", &upstream)
        .set("provider", "\"meta\"")
        .set("secrets", "[\"env:GATEWAY_TOKEN\"]")
        .set("upstream_headers", token)
        .handshake("mode", "\"forward\"");
    let config = Config::new()
        .route(shadow)
        .route(meta)
        .env("GATEWAY_TOKEN", "t0ken-of-the-gateway");
    let gateway = Gateway::start(&config);
    let good = Delivery::fresh();
    let forged = || Delivery::fresh().set("X-Webhook-Signature-256", "0".repeat(64));
    let asked = Delivery::unsigned("/meta?hub.mode=subscribe&hub.challenge=1", "").method("GET");
    let mut cases = Cases::new();
    for (name, delivery, verdict, is_set) in [
        ("valid", good.clone(), "valid", true),
        ("a replay", good, "replayed_event", false),
        ("forged", forged(), "bad_signature", false),
        (
            "forged, with the header",
            forged().with("X_Gateway-Token", "mine"),
            "bad_signature",
            false,
        ),
        ("a handshake", asked, "handshake", false),
    ] {
        cases.case(name, || {
            let request = forwarded(&gateway, &upstream, delivery);
            assert_eq!(
                request.header("X-Verigate-Verdict").as_deref(),
                Some(verdict)
            );
            assert_eq!(request.header("X-Gateway-Token").is_some(), is_set);
            assert!(
                !String::from_utf8_lossy(&request.raw_head).contains("mine"),
                "{request}"
            );
        });
    }
    cases.finish();
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

/// Where a request has it, what the gateway would set or drop under this name.
const GATEWAYS: [&str; 6] = [
    "X-Request-Id",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Forwarded",
    "Proxy",
];

#[test]
fn hb_13_a_header_that_the_scheme_signs_is_forwarded_as_received_whatever_its_name() {
    let upstream = Upstream::start();
    let signed = GATEWAYS.map(|name| format!("{{header:{name}}}|")).concat();
    let route = Route::plain(&upstream).scheme("signed", &format!("\"{signed}{{body}}\""));
    let shadow = route
        .clone()
        .set("name", "\"shadow\"")
        .set("path", "\"/shadow\"")
        .set("enforce", "false");
    let config = Config::new()
        .route(Route::itellico(&upstream))
        .route(route)
        .route(shadow);
    let mut cases = Cases::new();
    for proxies in ["[]", "[\"127.0.0.1/32\"]"] {
        let gateway = Gateway::start(&config.clone().server("trusted_proxies", proxies));
        let body = "signed with its headers";
        let values = GATEWAYS.map(|name| format!("its own {name}"));
        let content = values.clone().map(|value| format!("{value}|")).concat() + body;
        let with_headers = |delivery: Delivery| {
            let named = GATEWAYS.iter().zip(&values);
            named.fold(delivery, |delivery, (name, value)| {
                delivery
                    .with(name, value)
                    .with(&name.replace('-', "_"), "an alias")
            })
        };
        let plain = Delivery::plain(body).set(
            "X-Signature",
            format!("sha256={}", sign_body(PLAIN_SECRET, content.as_bytes())),
        );
        // An alias beside a signed header makes it malformed, so the good one has no alias.
        let good = GATEWAYS
            .iter()
            .zip(&values)
            .fold(plain.clone(), |delivery, (name, value)| {
                delivery.with(name, value)
            });
        cases.case(&format!("signed, trusted {proxies}"), || {
            let request = forwarded(&gateway, &upstream, good.clone());
            for (name, value) in GATEWAYS.iter().zip(&values) {
                assert_eq!(
                    request.headers_named(name),
                    [value.as_bytes()],
                    "{name} in {request}"
                );
            }
        });
        cases.case(
            &format!("unproved in shadow mode, trusted {proxies}"),
            || {
                let forged = good
                    .clone()
                    .target("/shadow")
                    .set("X-Signature", "sha256=00");
                let request = forwarded(&gateway, &upstream, forged);
                for (name, value) in GATEWAYS.iter().zip(&values) {
                    assert_eq!(
                        request.headers_named(name),
                        [value.as_bytes()],
                        "{name} in {request}"
                    );
                }
            },
        );
        cases.case(&format!("with aliases, trusted {proxies}"), || {
            gateway
                .ask(with_headers(plain.clone()))
                .expect_refusal(401, "malformed_signature");
        });
        cases.case(&format!("another route, trusted {proxies}"), || {
            let request = forwarded(&gateway, &upstream, with_headers(Delivery::fresh()));
            for name in [
                "X-Request-Id",
                "X-Forwarded-For",
                "X-Forwarded-Proto",
                "X-Forwarded-Host",
            ] {
                let got = request.headers_named(name);
                assert!(
                    got.len() == 1 && got != [b"an alias"],
                    "{name} in {request}"
                );
            }
            assert!(!request.has("Proxy"), "{request}");
        });
    }
    cases.finish();
}

#[test]
fn hb_14_an_id_that_is_signed_has_no_alias_and_is_forwarded_as_received() {
    let upstream = Upstream::start();
    let route = Route::new("mp", "/mp", &upstream)
        .set("provider", "\"mercadopago\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
    let delivery = |query: &str, manifest: &str| {
        Delivery::unsigned(&format!("/mp{query}"), "{}").with(
            "x-signature",
            format!(
                "ts=1742505638683,v1={}",
                sign_body(
                    PLAIN_SECRET,
                    format!("{manifest}ts:1742505638683;").as_bytes()
                )
            ),
        )
    };
    let request = forwarded(
        &gateway,
        &upstream,
        delivery("?data.id=1&type=payment", "id:1;request-id:r-1;").with("x-request-id", "r-1"),
    );
    assert_eq!(request.headers_named("X-Request-Id"), [b"r-1"], "{request}");
    let request = forwarded(&gateway, &upstream, delivery("?data.id=2", "id:2;"));
    assert!(!request.has("X-Request-Id"), "{request}");
    let mut cases = Cases::new();
    for query in [
        "?data.id=3&data_id=9",
        "?data_id=9&data.id=3",
        "?data.id=3&data%20id=9",
        "?data.id=3&data[id=9",
        "?data.id=3&data%5Bid%5D=9",
        "?data.id=3&+data.id=9",
        "?data.id=3&DATA.ID=9",
        "?data.id=3&data.id%00=9",
        "?data.id=3&data.id=3",
        "?data.id=3&data.id[]=9",
        // Nothing signs a query without the id, so an alias alone could bring in any id.
        "?data_id=9",
    ] {
        cases.case(query, || {
            let manifest = if query.contains("data.id=3") {
                "id:3;"
            } else {
                ""
            };
            gateway
                .ask(delivery(query, manifest))
                .expect_refusal(401, "malformed_signature");
        });
    }
    cases.finish();
    forwarded(
        &gateway,
        &upstream,
        delivery("?data.id=3&user_id=9&id=1", "id:3;"),
    );
}
