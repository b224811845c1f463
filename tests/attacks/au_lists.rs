//! AU: lists of signatures in one header, on the wire, with the presets of Stripe and Standard Webhooks.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::au::refuse_all;
use crate::stage::Stage;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, fresh_event_id};
use crate::support::now;

/// Stripe's are used as text, prefix and all.
const STRIPE_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const STRIPE: &str = "Stripe-Signature";

fn stage() -> Stage {
    Stage::with(|upstream| {
        let route = |name: &str| {
            Route::new(name, &format!("/{name}"), upstream)
                .set("provider", &format!("\"{name}\""))
                .set("secrets", &format!("[\"plain:{STRIPE_SECRET}\"]"))
        };
        Config::for_upstream(upstream)
            .route(route("stripe"))
            .route(route("standard-webhooks"))
    })
}

fn mac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| panic!("any key length will do"));
    mac.update(content);
    mac.finalize().into_bytes().to_vec()
}

/// A new event, its time, and the digest that Stripe would send.
fn stripe_event() -> (String, u64, String) {
    let body = format!(
        r#"{{"id":"{}","type":"charge.succeeded"}}"#,
        fresh_event_id()
    );
    let at = now();
    let digest = hex::encode(mac(
        STRIPE_SECRET.as_bytes(),
        format!("{at}.{body}").as_bytes(),
    ));
    (body, at, digest)
}

fn stripe(value: impl FnOnce(u64, &str) -> String) -> Delivery {
    let (body, at, digest) = stripe_event();
    Delivery::unsigned("/stripe", body).with(STRIPE, value(at, &digest))
}

#[test]
fn au_17_a_list_of_signatures_has_one_reading() {
    let stage = stage();
    let wrong = "a".repeat(64);
    let many = |count: usize| format!("v1={wrong},").repeat(count);
    refuse_all(
        &stage,
        [
            (
                "two times",
                stripe(|t, v1| format!("t={t},t={t},v1={v1}")),
                "malformed_timestamp",
            ),
            (
                "no time",
                stripe(|_, v1| format!("v1={v1}")),
                "malformed_timestamp",
            ),
            (
                "only v0",
                stripe(|t, v1| format!("t={t},v0={v1}")),
                "malformed_signature",
            ),
            (
                "an empty v1",
                stripe(|t, _| format!("t={t},v1=")),
                "malformed_signature",
            ),
            (
                "spaces",
                stripe(|t, v1| format!("t={t}, v1={v1}")),
                "malformed_signature",
            ),
            (
                "the right one behind the limit",
                stripe(|t, v1| format!("t={t},{}v1={v1}", many(16))),
                "bad_signature",
            ),
            (
                "two headers",
                stripe(|t, v1| format!("t={t},v1={v1}")).with(STRIPE, format!("t=1,v1={wrong}")),
                "malformed_signature",
            ),
        ],
    );
    stage.accepts(stripe(|t, v1| format!("t={t},{}v1={v1}", many(15))));
    stage.accepts(stripe(|t, v1| {
        format!("t={t},v1=x,v0={wrong},v1={v1},t2=1")
    }));
}

#[test]
fn au_17_another_order_or_a_second_signature_makes_nothing_new() {
    let stage = stage();
    let (body, at, v1) = stripe_event();
    let delivery = |value: String| Delivery::unsigned("/stripe", body.clone()).with(STRIPE, value);
    stage.accepts(delivery(format!("t={at},v1={v1}")));
    for again in [
        format!("t={at},v1={v1}"),
        format!("v1={v1},t={at}"),
        format!("t={at},v1={},v1={v1}", "a".repeat(64)),
    ] {
        drop(stage.refuses(delivery(again), 409, "replayed_event"));
    }
}

#[test]
fn au_18_the_label_of_a_signature_says_what_key_it_needs() {
    let stage = stage();
    let key = STANDARD
        .decode(STRIPE_SECRET.trim_start_matches("whsec_"))
        .unwrap_or_default();
    let delivery = |value: fn(&str) -> String| {
        let (id, at, body) = (fresh_event_id(), now(), r#"{"type":"x"}"#);
        let digest = STANDARD.encode(mac(&key, format!("{id}.{at}.{body}").as_bytes()));
        Delivery::unsigned("/standard-webhooks", body)
            .with("webhook-id", id)
            .with("webhook-timestamp", at.to_string())
            .with("webhook-signature", value(&digest))
    };
    refuse_all(
        &stage,
        [
            (
                "v1a on a shared secret",
                delivery(|_| format!("v1a,{}", STANDARD.encode([7; 64]))),
                "bad_signature",
            ),
            (
                "the digest as v1a",
                delivery(|digest| format!("v1a,{digest}")),
                "malformed_signature",
            ),
            (
                "v1 without a comma",
                delivery(|digest| format!("v1{digest}")),
                "malformed_signature",
            ),
            (
                "no label",
                delivery(ToOwned::to_owned),
                "malformed_signature",
            ),
        ],
    );
    stage.accepts(delivery(|digest| format!("v1,{digest}")));
    stage.accepts(delivery(|digest| {
        format!("v1a,{} v1,{digest}", STANDARD.encode([7; 64]))
    }));
}
