//! What is valid is signed anew for the app, in the form of Standard Webhooks, and nothing else is (contract: Signing
//! anew). That the libraries themselves accept it is in `tests/sdks.rs`.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::support::behaviour::Behaviour;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event, event_of, sign_body};
use crate::support::gateway::Gateway;
use crate::support::transport::is_left_out;
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{PLAIN_SECRET, now};

const NEW: [u8; 32] = [7; 32];
const OLD: [u8; 24] = [9; 24];
const OWN: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

fn written(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// The signature of Standard Webhooks, by the crates of cryptography alone.
fn signature(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length will do");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Panics unless the request has each of the three headers once, by these keys, and no alias of one.
#[track_caller]
fn expect_signed(request: &Recorded, keys: &[&[u8]]) {
    let [id, timestamp, signatures] = OWN.map(|name| {
        let value = request.header(name);
        value.unwrap_or_else(|| String::from("nothing"))
    });
    let event_key = request.header("X-Verigate-Event-Key");
    assert_eq!(event_key.as_deref(), Some(id.as_str()), "{request}");
    let at: u64 = timestamp.parse().expect("a time in seconds");
    assert!(now().abs_diff(at) < 100, "{request}");
    let expected: Vec<String> = keys
        .iter()
        .map(|key| signature(key, &id, &timestamp, &request.body))
        .collect();
    assert_eq!(signatures, expected.join(" "), "{request}");
    assert_eq!(own_lines(request), 3, "{request}");
}

/// The number of lines that an app may read as one of the three.
fn own_lines(request: &Recorded) -> usize {
    let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    let is_own = |name: &str| OWN.contains(&fold(name).as_str());
    request
        .headers
        .iter()
        .filter(|(name, _)| is_own(name))
        .count()
}

/// Spellings of the three headers as a client may send them.
fn with_forged(delivery: Delivery) -> Delivery {
    delivery
        .with("webhook-id", "forged")
        .with("Webhook_Id", "forged")
        .with("webhook-timestamp", now().to_string())
        .with("WEBHOOK.TIMESTAMP", now().to_string())
        .with("Webhook-Signature", "v1,Zm9yZ2Vk")
        .with("webhook_signature", "v1,Zm9yZ2Vk")
}

fn config() -> Config {
    Config::new()
        .env("RESIGN", &written(&NEW))
        .env("RESIGN_OLD", &STANDARD.encode(OLD))
        .env("RESIGN_PLAIN", &written(&[8; 64]))
        .env("RESIGN_OTHER", &written(&[6; 32]))
}

const BOTH: &str = "{ secret = \"env:RESIGN\", previous = \"env:RESIGN_OLD\" }";

#[test]
fn hb_16_what_is_valid_is_signed_by_the_gateway_whatever_the_client_sends() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config().route(Route::itellico(&upstream).set("resign", BOTH)));
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("plain", Delivery::fresh()),
        ("with headers of its own", with_forged(Delivery::fresh())),
        (
            "with headers of its own that the connection names",
            with_forged(Delivery::fresh()).with("Connection", "webhook-id, webhook-signature"),
        ),
        ("in chunks", Delivery::of(event_of(5000)).chunked_by(1000)),
        ("large", Delivery::of(event_of(900 * 1024))),
    ] {
        if is_left_out(&delivery.bytes()) {
            continue;
        }
        cases.case(name, || {
            gateway.ask(delivery.clone()).expect_status(200);
            let request = upstream.last();
            expect_signed(&request, &[&NEW, &OLD]);
            for own in ["X-Webhook-Signature-256", "X-Webhook-Timestamp"] {
                assert_eq!(request.header(own), Some(delivery.value(own)));
            }
        });
    }
    cases.finish();
    let said = gateway.stdout() + &gateway.stderr();
    assert!(!said.contains("whsec_") && !said.contains(&STANDARD.encode(NEW)));
}

#[test]
fn each_attempt_has_its_own_time_and_the_same_id() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config().route(Route::itellico(&upstream).set("resign", BOTH)));
    upstream.next(Behaviour::status(500));
    let body = event();
    let first = Delivery::at(body.clone(), now() - 250);
    gateway.ask(first).expect_status(500);
    let failed = upstream.last();
    gateway
        .ask(Delivery::at(body, now() - 1))
        .expect_status(200);
    let again = upstream.last();
    for request in [&failed, &again] {
        expect_signed(request, &[&NEW, &OLD]);
    }
    assert_eq!(failed.header("webhook-id"), again.header("webhook-id"));
    gateway.ask(Delivery::fresh()).expect_status(200);
    assert_ne!(
        upstream.last().header("webhook-id"),
        again.header("webhook-id")
    );
}

#[test]
fn hb_16_what_is_not_valid_or_has_no_body_is_not_signed() {
    let upstream = Upstream::start();
    let meta = Route::new("meta", "/meta", &upstream)
        .set("provider", "\"meta\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]")
        .set("resign", "{ secret = \"env:RESIGN_PLAIN\" }")
        .handshake("mode", "\"forward\"");
    let plain = Route::plain(&upstream)
        .set("methods", "[\"POST\", \"GET\", \"PUT\"]")
        .set("resign", BOTH);
    let gateway = Gateway::start(&config().route(meta).route(plain));
    let signed = |body: &str| format!("sha256={}", sign_body(PLAIN_SECRET, body.as_bytes()));
    let of = |method: &str, body: &'static str| {
        let delivery = Delivery::unsigned("/hooks/plain?content=1", body).method(method);
        with_forged(delivery.with("X-Signature", signed(body)))
    };
    let asked = Delivery::unsigned("/meta?hub.mode=subscribe&hub.challenge=1", "").method("GET");
    let mut cases = Cases::new();
    for (name, delivery, verdict, lines) in [
        ("a handshake", with_forged(asked), "handshake", 0),
        ("an empty body", of("POST", ""), "valid", 0),
        ("GET with a body", of("GET", "{\"a\":1}"), "valid", 0),
        ("PUT", of("PUT", "{\"a\":2}"), "valid", 3),
    ] {
        cases.case(name, || {
            gateway.ask(delivery).expect_status(200);
            let request = upstream.last();
            let given = request.header("X-Verigate-Verdict");
            assert_eq!(given.as_deref(), Some(verdict), "{request}");
            assert_eq!(own_lines(&request), lines, "{request}");
            assert!(!String::from_utf8_lossy(&request.raw_head).contains("forged"));
        });
    }
    let before = upstream.count();
    cases.case("forged", || {
        let forged = Delivery::unsigned("/hooks/plain", "{}").with("X-Signature", signed("[]"));
        gateway.ask(with_forged(forged)).expect_status(401);
        assert_eq!(upstream.count(), before);
    });
    cases.finish();
}

#[test]
fn hb_17_a_route_of_a_provider_with_the_same_headers_keeps_theirs_from_the_app() {
    let upstream = Upstream::start();
    let theirs = [5; 32];
    let mut config = config().env("PROVIDERS", &written(&theirs));
    for (name, keys) in [
        ("standard-webhooks", "secret = \"env:RESIGN\""),
        ("svix", "secret = \"env:RESIGN_PLAIN\", drop = true"),
        ("clerk", "secret = \"env:RESIGN_OTHER\""),
    ] {
        let route = Route::new(name, &format!("/{name}"), &upstream)
            .set("provider", &text(name))
            .set("secrets", "[\"env:PROVIDERS\"]")
            .set("acknowledge", "[\"shared-key\"]")
            .set("resign", &format!("{{ {keys} }}"));
        config = config.route(route);
    }
    let gateway = Gateway::start(&config);
    let mut cases = Cases::new();
    for (name, prefix, key, theirs_arrive) in [
        ("standard-webhooks", "webhook", &NEW[..], false),
        ("svix", "svix", &[8; 64][..], false),
        ("clerk", "svix", &[6; 32][..], true),
    ] {
        cases.case(name, || {
            let (body, at) = (
                format!("{{\"type\":\"a\",\"n\":\"{name}\"}}"),
                now().to_string(),
            );
            let sent = signature(&theirs, "msg_1", &at, body.as_bytes());
            let delivery = Delivery::unsigned(&format!("/{name}"), body)
                .with(&format!("{prefix}-id"), "msg_1")
                .with(&format!("{prefix}-timestamp"), &at)
                .with(&format!("{prefix}-signature"), &sent);
            gateway.ask(delivery).expect_status(200);
            let request = upstream.last();
            expect_signed(&request, &[key]);
            let head = String::from_utf8_lossy(&request.raw_head).into_owned();
            assert_eq!(head.contains(&sent), theirs_arrive, "{request}");
            assert_eq!(request.has("svix-id"), theirs_arrive, "{request}");
        });
    }
    cases.finish();
}

#[test]
fn the_providers_own_signature_is_dropped_where_the_route_says_so() {
    let upstream = Upstream::start();
    let keys = "{ secret = \"env:RESIGN\", drop = true }";
    let gateway = Gateway::start(&config().route(Route::itellico(&upstream).set("resign", keys)));
    let delivery = Delivery::fresh()
        .with("Svix-Id", "a")
        .with("svix_signature", "b")
        .with("X-Other", "kept");
    gateway.ask(delivery).expect_status(200);
    let request = upstream.last();
    expect_signed(&request, &[&NEW]);
    for gone in [
        "X-Webhook-Signature-256",
        "X-Webhook-Timestamp",
        "Svix-Id",
        "svix_signature",
    ] {
        assert!(!request.has(gone), "{gone} in {request}");
    }
    assert!(request.has("X-Other") && request.has("X-Verigate-Event-Id"));
}

#[test]
fn a_reload_rotates_the_secret_and_both_sign_meanwhile() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, key: &[u8]| {
        fs::write(folder.path().join(name), written(key) + "\n").expect("a file");
    };
    put("new", &OLD);
    let route = |keys: &str| Route::itellico(&upstream).set("resign", keys);
    let at = |name: &str| text(&format!("file:{}", folder.path().join(name).display()));
    let alone = format!("{{ secret = {} }}", at("new"));
    let gateway = Gateway::start(&Config::new().route(route(&alone)));
    let expect = |keys: &[&[u8]]| {
        gateway.ask(Delivery::fresh()).expect_status(200);
        expect_signed(&upstream.last(), keys);
    };
    expect(&[&OLD]);
    put("old", &OLD);
    put("new", &NEW);
    let both = format!("{{ secret = {}, previous = {} }}", at("new"), at("old"));
    gateway.rewrite(&Config::new().route(route(&both)));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    expect(&[&NEW, &OLD]);
    // A file alone, under the same configuration.
    put("new", &[6; 32]);
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    expect(&[&[6; 32], &OLD]);
    put("new", b"short");
    gateway.admin("POST", "/reload", &[], "").expect_status(422);
    expect(&[&[6; 32], &OLD]);
}
