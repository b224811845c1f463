//! What an honest provider sends, from the handshake to the retry, through the preset itself: LinkedIn, Nylas, Onfleet,
//! Front and Smartcar. The signatures are made here, by the formula of the provider's page.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};

use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, fresh_event_id, sign_body};
use crate::support::gateway::Gateway;
use crate::support::now;
use crate::support::upstream::Upstream;

const KEY: &str = "test_secret_5f1c9a7e";
const UUID: &str = "890e4665-4dfe-4ab1-b689-ed553bceeed0";

/// A provider: its preset, the secret of its route, and a signed delivery of a body.
struct Provider {
    name: &'static str,
    secret: &'static str,
    signed: fn(&[u8]) -> Delivery,
    /// The body of an event with this id.
    event: fn(&str) -> String,
    /// The answer to the very same delivery again.
    again: Again,
}

#[derive(PartialEq, Eq)]
enum Again {
    Duplicate,
    Replay,
}

const PROVIDERS: [Provider; 5] = [
    Provider {
        name: "linkedin",
        secret: KEY,
        signed: |body| {
            let content = [b"hmacsha256=", body].concat();
            Delivery::unsigned("/linkedin", body).with("X-LI-Signature", sign_body(KEY, &content))
        },
        event: |id| format!(r#"{{"type":"ORGANIZATION_SOCIAL_ACTION","notifications":["{id}"]}}"#),
        again: Again::Duplicate,
    },
    Provider {
        name: "nylas",
        secret: KEY,
        signed: |body| {
            Delivery::unsigned("/nylas", body).with("X-Nylas-Signature", sign_body(KEY, body))
        },
        event: |id| {
            format!(r#"{{"specversion":"1.0","type":"message.created","id":"{id}","data":{{}}}}"#)
        },
        again: Again::Duplicate,
    },
    Provider {
        name: "onfleet",
        // The hexadecimal digits of the key below.
        secret: "746573745f7365637265745f3566316339613765",
        signed: |body| {
            let mut mac = Hmac::<Sha512>::new_from_slice(KEY.as_bytes()).expect("a key");
            mac.update(body);
            let signature = hex::encode(mac.finalize().into_bytes());
            Delivery::unsigned("/onfleet", body).with("X-Onfleet-Signature", signature)
        },
        event: |id| format!(r#"{{"triggerId":3,"taskId":"{id}","actionContext":{{}}}}"#),
        again: Again::Duplicate,
    },
    Provider {
        name: "front",
        secret: KEY,
        signed: |body| front(body, now() * 1000),
        event: |id| format!(r#"{{"type":"inbound_received","payload":{{"id":"{id}"}}}}"#),
        again: Again::Replay,
    },
    Provider {
        name: "smartcar",
        secret: KEY,
        signed: |body| {
            Delivery::unsigned("/smartcar", body).with("SC-Signature", sign_body(KEY, body))
        },
        event: |id| format!(r#"{{"eventId":"{id}","eventType":"VEHICLE_STATE","data":{{}}}}"#),
        again: Again::Duplicate,
    },
];

/// A delivery of Front, signed at this time.
fn front(body: &[u8], at_ms: u64) -> Delivery {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(format!("{at_ms}:").as_bytes());
    mac.update(body);
    Delivery::unsigned("/front", body)
        .with("X-Front-Request-Timestamp", at_ms.to_string())
        .with(
            "X-Front-Signature",
            STANDARD.encode(mac.finalize().into_bytes()),
        )
}

/// The gateway with the preset of this provider alone.
fn alone(upstream: &Upstream, provider: &Provider) -> Gateway {
    let route = Route::new(provider.name, &format!("/{}", provider.name), upstream)
        .set("provider", &text(provider.name))
        .set("secrets", "[\"env:OWN\"]");
    Gateway::start(&Config::new().route(route).env("OWN", provider.secret))
}

/// The handshake of the provider, and the answer that it wants.
fn handshake(name: &str) -> (Delivery, String) {
    let get = |target: String| {
        Delivery::unsigned(&target, "")
            .method("GET")
            .without("Content-Length")
    };
    match name {
        "linkedin" => {
            let answer = sign_body(KEY, UUID.as_bytes());
            let target = format!("/linkedin?challengeCode={UUID}&applicationId=7");
            let body = format!(r#"{{"challengeCode":"{UUID}","challengeResponse":"{answer}"}}"#);
            (get(target), body)
        }
        "nylas" => (get("/nylas?challenge=b71a".to_owned()), "b71a".to_owned()),
        "onfleet" => (get("/onfleet?check=c04e".to_owned()), "c04e".to_owned()),
        "front" => {
            let sync = front(br#"{"type":"sync","payload":{}}"#, now() * 1000);
            (sync.with("X-Front-Challenge", "d55e"), "d55e".to_owned())
        }
        _ => {
            let body = format!(
                r#"{{"eventId":"v","eventType":"VERIFY","data":{{"challenge":"{UUID}"}}}}"#
            );
            let signed = Delivery::unsigned("/smartcar", body.as_bytes())
                .with("SC-Signature", sign_body(KEY, body.as_bytes()));
            let answer = sign_body(KEY, UUID.as_bytes());
            (signed, format!(r#"{{"challenge":"{answer}"}}"#))
        }
    }
}

/// The delivery with another body, and the same signature.
fn with_body(delivery: &Delivery, body: &str) -> Delivery {
    let delivery = delivery.clone().with_body(body);
    delivery.set("Content-Length", body.len().to_string())
}

#[test]
fn a_provider_is_answered_at_its_handshake_and_then_its_deliveries_pass_once() {
    for provider in &PROVIDERS {
        let name = provider.name;
        let upstream = Upstream::start();
        let gateway = alone(&upstream, provider);

        // It is not claimed, so it may come again.
        for _ in 0..2 {
            let (request, wanted) = handshake(name);
            let answer = gateway.ask(request);
            answer.expect_status(200);
            assert_eq!(String::from_utf8_lossy(&answer.body), wanted, "{name}");
        }
        assert_eq!(upstream.count(), 0, "{name}");

        let body = (provider.event)(&fresh_event_id());
        let delivery = (provider.signed)(body.as_bytes());
        gateway.ask(delivery.clone()).expect_status(200);
        let got = upstream.last();
        got.expect_body(body.as_bytes());
        let verdict = got.header("X-Verigate-Verdict");
        assert_eq!(verdict.as_deref(), Some("valid"), "{name}");

        let again = gateway.ask(delivery.clone());
        match provider.again {
            Again::Duplicate => again.expect_duplicate(),
            Again::Replay => again.expect_refusal(409, "replayed_event"),
        }
        // The same signature with another body, and another body with a byte changed.
        let other = (provider.event)(&fresh_event_id());
        for body in [other.clone(), format!("{body} "), body.to_uppercase()] {
            let tampered = with_body(&delivery, &body);
            gateway.ask(tampered).expect_refusal(401, "bad_signature");
        }
        assert_eq!(upstream.count(), 1, "{name}");

        gateway
            .ask((provider.signed)(other.as_bytes()))
            .expect_status(200);
        assert_eq!(upstream.count(), 2, "{name}");
    }
}

#[test]
fn a_handshake_that_was_tampered_with_is_not_answered() {
    let upstream = Upstream::start();
    let (front_route, smartcar) = (&PROVIDERS[3], &PROVIDERS[4]);
    let gateway = alone(&upstream, front_route);
    let (sync, _) = handshake("front");
    let other = with_body(&sync, r#"{"type":"sync","payload":{"a":1}}"#);
    gateway.ask(other).expect_refusal(401, "bad_signature");
    let late = front(br#"{"type":"sync"}"#, (now() - 301) * 1000);
    gateway
        .ask(late.with("X-Front-Challenge", "x"))
        .expect_refusal(401, "stale_timestamp");
    gateway
        .ask(sync.without("X-Front-Signature"))
        .expect_refusal(401, "missing_signature");
    // The header is signed by nobody: an event is an event, whatever it says.
    let event = front(br#"{"type":"inbound_received"}"#, now() * 1000);
    let answer = gateway.ask(event.with("X-Front-Challenge", "x"));
    answer.expect_status(200);
    assert_ne!(answer.body, b"x");
    assert_eq!(upstream.count(), 1);

    let gateway = alone(&upstream, smartcar);
    let (verify, _) = handshake("smartcar");
    let other = r#"{"eventType":"VERIFY","data":{"challenge":"{}"}}"#;
    gateway
        .ask(with_body(&verify, other))
        .expect_refusal(401, "bad_signature");
    let signed = (smartcar.signed)(other.as_bytes());
    gateway
        .ask(signed)
        .expect_refusal(400, "malformed_handshake");
    assert_eq!(upstream.count(), 1);
}

/// Nylas packs a body where the application asks for it (`compressed_delivery`), and signs what it sends.
#[test]
fn a_packed_delivery_of_nylas_is_forwarded_as_it_is() {
    let upstream = Upstream::start();
    let gateway = alone(&upstream, &PROVIDERS[1]);
    // `printf '{"id":"e"}' | gzip -n | xxd -p`
    let packed =
        hex::decode("1f8b0800000000000203ab56ca4c51b2524a55aa05009f4ead9d0a000000").expect("hex");
    let delivery = (PROVIDERS[1].signed)(&packed).with("Content-Encoding", "gzip");
    gateway.ask(delivery.clone()).expect_status(200);
    upstream.last().expect_body(&packed);
    gateway.ask(delivery).expect_duplicate();
    assert_eq!(upstream.count(), 1);
}
