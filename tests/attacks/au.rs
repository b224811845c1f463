//! AU: signatures and timestamps, over the socket.
//!
//! One row for each way in which a signature or timestamp may be wrong. The tables with every row are those of the
//! functions that decide: `src/verify/verifier/tests/` (AU-01 to AU-09, AU-12 to AU-18, AU-20, AU-21),
//! `src/notation/timestamp/tests.rs` (AU-12 to AU-15, with a set clock), `src/key/public/tests/` and
//! `tests/wycheproof.rs` (AU-10). AU-11 is the core's alone, for nothing here fetches a key; AU-19 waits for a
//! measurement of timing. AU-20 to AU-22 are in the gateway's `secrets`, AU-23 in its `shadow`, AU-24 and AU-25
//! in `au_handshakes`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "test code: a panic is how a test fails"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::stage::Stage;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, chunk, event, fresh_event_id, sign};
use crate::support::upstream::Upstream;
use crate::support::{PLAIN_SECRET, SECRET, now};

const SIGNATURE: &str = "X-Webhook-Signature-256";
const TIMESTAMP: &str = "X-Webhook-Timestamp";
const STRIPE: &str = "Stripe-Signature";

/// Stripe's secrets are used as text, prefix and all; those of Standard Webhooks are base64 behind the prefix.
const LIST_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Beside the reference receiver's route and the plain one: `/b64`, whose signatures are base64, `/narrow` with a
/// tolerance of its own, and the presets of Stripe and Standard Webhooks.
fn config(upstream: &Upstream) -> Config {
    let preset = |name: &str| {
        Route::new(name, &format!("/{name}"), upstream)
            .set("provider", &text(name))
            .set("secrets", &format!("[\"plain:{LIST_SECRET}\"]"))
    };
    let base64 = Route::plain(upstream)
        .set("name", "\"b64\"")
        .set("path", "\"/b64\"")
        .scheme(
            "signature",
            "{ header = \"X-Signature\", encoding = \"base64\" }",
        );
    let narrow = Route::itellico(upstream)
        .set("name", "\"narrow\"")
        .set("path", "\"/narrow\"")
        .set("tolerance", "\"30s\"");
    let routes = [
        base64,
        narrow,
        preset("stripe"),
        preset("standard-webhooks"),
    ];
    routes
        .into_iter()
        .fold(Config::for_upstream(upstream), Config::route)
}

fn mac(key: &[u8], content: &[&[u8]]) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| panic!("any key length will do"));
    for part in content {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// A fresh delivery with another value in its signature header, made from the right one.
fn signed_as(change: impl FnOnce(&str) -> String) -> Delivery {
    let delivery = Delivery::fresh();
    let changed = change(&delivery.value(SIGNATURE));
    delivery.set(SIGNATURE, changed)
}

/// A delivery whose timestamp is this text, well signed.
fn timed(timestamp: &str) -> Delivery {
    Delivery::signed(SECRET, event(), timestamp)
}

/// A delivery for `/b64` whose MAC is spelled like this. It holds `+` or `/`, which another alphabet has not.
fn base64_delivery(spell: impl FnOnce(&[u8]) -> String) -> Delivery {
    let (body, mac) = (0..1000)
        .map(|n| format!("body {n} {}", now()))
        .map(|body| {
            (
                body.clone(),
                mac(PLAIN_SECRET.as_bytes(), &[body.as_bytes()]),
            )
        })
        .find(|(_, mac)| STANDARD.encode(mac).contains(['+', '/']))
        .unwrap_or_else(|| panic!("one of them holds it"));
    Delivery::unsigned("/b64", body).with("X-Signature", spell(&mac))
}

/// The same 32 bytes with other bits where base64's last digit has none: `…A=` as `…B=`.
fn with_trailing_bits(mac: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = STANDARD.encode(mac);
    let last = text.as_bytes()[42];
    let place = ALPHABET
        .iter()
        .position(|digit| *digit == last)
        .unwrap_or_else(|| panic!("no digit: {text}"));
    format!("{}{}=", &text[..42], char::from(ALPHABET[place + 1]))
}

/// A delivery of Stripe's, its header made of the time and the digest.
fn stripe(value: impl FnOnce(u64, &str) -> String) -> Delivery {
    let (body, at) = (
        format!(
            r#"{{"id":"{}","type":"charge.succeeded"}}"#,
            fresh_event_id()
        ),
        now(),
    );
    let digest = hex::encode(mac(
        LIST_SECRET.as_bytes(),
        &[format!("{at}.{body}").as_bytes()],
    ));
    Delivery::unsigned("/stripe", body).with(STRIPE, value(at, &digest))
}

/// A delivery of Standard Webhooks, its header made of the digest.
fn standard_webhooks(value: impl FnOnce(&str) -> String) -> Delivery {
    let key = STANDARD
        .decode(LIST_SECRET.trim_start_matches("whsec_"))
        .unwrap_or_default();
    let (id, at, body) = (fresh_event_id(), now(), r#"{"type":"x"}"#);
    let digest = STANDARD.encode(mac(&key, &[format!("{id}.{at}.{body}").as_bytes()]));
    Delivery::unsigned("/standard-webhooks", body)
        .with("webhook-id", id)
        .with("webhook-timestamp", at.to_string())
        .with("webhook-signature", value(&digest))
}

/// So many wrong signatures in Stripe's header.
fn wrong(count: usize) -> String {
    format!("v1={},", "a".repeat(64)).repeat(count)
}

#[test]
fn each_way_in_which_a_signature_may_be_wrong() {
    let stage = Stage::with(config);
    let fresh = Delivery::fresh;
    let (body, at) = (event(), now().to_string());
    let itellico =
        |value: String| Delivery::signed(SECRET, body.clone(), &at).set(SIGNATURE, value);
    let plain = |value: &str| Delivery::plain(body.clone()).set("X-Signature", value);
    let content: [&[u8]; 3] = [&body, b".", at.as_bytes()];
    let mut sha1 =
        Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| panic!("any key"));
    sha1.update(&content.concat());
    let sha1 = hex::encode(sha1.finalize().into_bytes());
    let plain_hash = hex::encode(Sha256::digest(
        [SECRET.as_bytes(), &content.concat()].concat(),
    ));
    let one_bit = |mac: &str| {
        format!(
            "{}{}",
            if mac.starts_with('0') { "1" } else { "0" },
            &mac[1..]
        )
    };
    let twice = signed_as(ToOwned::to_owned);
    let twice = twice.clone().with(SIGNATURE, twice.value(SIGNATURE));
    let longer = [fresh().body(), b" "].concat();
    let more = [chunk(&body, false), chunk(b" ", true)].concat();
    stage.refuses_all(
        401,
        [
            (
                "AU-01 none",
                fresh().without(SIGNATURE),
                "missing_signature",
            ),
            (
                "AU-01 empty",
                fresh().set(SIGNATURE, " \t "),
                "missing_signature",
            ),
            (
                "AU-01 only a prefix",
                plain("sha256="),
                "malformed_signature",
            ),
            (
                "AU-02 63 digits",
                signed_as(|mac| mac[..63].to_owned()),
                "malformed_signature",
            ),
            (
                "AU-02 a second one behind",
                signed_as(|mac| format!("{mac},{mac}")),
                "malformed_signature",
            ),
            (
                "AU-02 full-width digits",
                signed_as(|mac| format!("{}\u{ff11}", &mac[..61])),
                "malformed_signature",
            ),
            (
                "AU-03 upper case",
                signed_as(str::to_ascii_uppercase),
                "malformed_signature",
            ),
            ("AU-04 equal", twice, "malformed_signature"),
            (
                "AU-04 good, then bad",
                fresh().with(SIGNATURE, "0".repeat(64)),
                "malformed_signature",
            ),
            (
                "AU-04 timestamps",
                timed(&at).with(TIMESTAMP, &at),
                "malformed_timestamp",
            ),
            ("AU-05 one digit", signed_as(one_bit), "bad_signature"),
            (
                "AU-05 of another body",
                fresh().set(SIGNATURE, sign(SECRET, b"", &at)),
                "bad_signature",
            ),
            (
                "AU-05 timestamp first",
                itellico(hex::encode(mac(
                    SECRET.as_bytes(),
                    &[at.as_bytes(), b".", &body],
                ))),
                "bad_signature",
            ),
            (
                "AU-06 a digit moved",
                Delivery::of("{}")
                    .set(TIMESTAMP, format!("1.{at}"))
                    .set(SIGNATURE, sign(SECRET, b"{}.1", &at)),
                "malformed_timestamp",
            ),
            (
                "AU-07 empty key",
                itellico(sign("", &body, &at)),
                "bad_signature",
            ),
            (
                "AU-07 the secret's name",
                itellico(sign("env:ITELLICO_WEBHOOK_SECRET", &body, &at)),
                "bad_signature",
            ),
            ("AU-07 plain hash", itellico(plain_hash), "bad_signature"),
            ("AU-08 SHA-1", itellico(sha1.clone()), "malformed_signature"),
            (
                "AU-08 SHA-1, named",
                plain(&format!("sha1={sha1}")),
                "malformed_signature",
            ),
            (
                "AU-08 a hint beside it",
                itellico(sha1).with("X-Signature-Algorithm", "hmac-sha1"),
                "malformed_signature",
            ),
            (
                "AU-09 another alphabet",
                base64_delivery(|mac| URL_SAFE.encode(mac)),
                "malformed_signature",
            ),
            (
                "AU-12 none",
                fresh().without(TIMESTAMP),
                "missing_timestamp",
            ),
            (
                "AU-12 none, and signed as empty",
                timed("").without(TIMESTAMP),
                "missing_timestamp",
            ),
            ("AU-12 empty", timed(""), "missing_timestamp"),
            (
                "AU-12 400 digits",
                timed(&"1".repeat(400)),
                "malformed_timestamp",
            ),
            ("AU-13 exponent", timed("1e9"), "malformed_timestamp"),
            (
                "AU-13 leading zero",
                timed(&format!("0{at}")),
                "malformed_timestamp",
            ),
            (
                "AU-14 milliseconds",
                timed(&format!("{at}000")),
                "future_timestamp",
            ),
            (
                "AU-15 too old",
                Delivery::at(event(), now() - 301),
                "stale_timestamp",
            ),
            // The clock goes on between signing and judging, so the exact bound is tested with a set clock.
            (
                "AU-15 too far ahead",
                Delivery::at(event(), now() + 330),
                "future_timestamp",
            ),
            (
                "AU-15 too old for its route",
                Delivery::at(event(), now() - 31).target("/narrow"),
                "stale_timestamp",
            ),
            (
                "AU-15 too far ahead of its route",
                Delivery::at(event(), now() + 60).target("/narrow"),
                "future_timestamp",
            ),
            (
                "AU-17 two times",
                stripe(|t, v1| format!("t={t},t={t},v1={v1}")),
                "malformed_timestamp",
            ),
            (
                "AU-17 only v0",
                stripe(|t, v1| format!("t={t},v0={v1}")),
                "malformed_signature",
            ),
            (
                "AU-17 behind the limit",
                stripe(|t, v1| format!("t={t},{}v1={v1}", wrong(16))),
                "bad_signature",
            ),
            (
                "AU-17 two headers",
                stripe(|t, v1| format!("t={t},v1={v1}")).with(STRIPE, "t=1"),
                "malformed_signature",
            ),
            (
                "AU-18 v1a on a shared secret",
                standard_webhooks(|_| format!("v1a,{}", STANDARD.encode([7; 64]))),
                "bad_signature",
            ),
            (
                "AU-18 no comma",
                standard_webhooks(|digest| format!("v1{digest}")),
                "malformed_signature",
            ),
            (
                "RP-19 bytes behind the body",
                fresh()
                    .set("Content-Length", longer.len().to_string())
                    .with_body(longer),
                "bad_signature",
            ),
            (
                "RP-19 another chunk",
                Delivery::of(body.clone()).chunked_as(more),
                "bad_signature",
            ),
        ],
    );
    for right in [
        signed_as(|mac| format!(" \t{mac} \t")),
        Delivery::at(event(), now() - 270),
        Delivery::at(event(), now() + 300),
        Delivery::at(event(), now() - 5).target("/narrow"),
        base64_delivery(|mac| STANDARD.encode(mac)),
        stripe(|t, v1| format!("t={t},{}v1={v1}", wrong(15))),
        stripe(|t, v1| format!("t={t},v1=x,v0=y,v1={v1},t2=1")),
        standard_webhooks(|digest| format!("v1a,{} v1,{digest}", STANDARD.encode([7; 64]))),
    ] {
        stage.accepts(right);
    }
}

#[test]
fn au_09_another_spelling_of_a_signature_makes_nothing_new() {
    let stage = Stage::with(config);
    let done = base64_delivery(|mac| STANDARD.encode(mac));
    let digest = STANDARD
        .decode(done.value("X-Signature"))
        .unwrap_or_default();
    stage.accepts(done.clone());
    for spelling in [
        with_trailing_bits(&digest),
        URL_SAFE.encode(&digest),
        hex::encode(&digest),
    ] {
        stage.refuses(
            done.clone().set("X-Signature", spelling),
            401,
            "malformed_signature",
        );
    }
    stage.gateway.ask(done).expect_duplicate();
}

#[test]
fn au_16_a_stale_delivery_learns_nothing_of_its_signature() {
    let stage = Stage::new();
    let known = event();
    stage.accepts(Delivery::of(known.clone()));
    let old = (now() - 4000).to_string();
    let answers: Vec<_> = [
        Delivery::signed("guessed", event(), &old),
        Delivery::signed(SECRET, event(), &old),
        Delivery::signed(SECRET, known, &old),
        Delivery::signed(SECRET, "not json", &old),
    ]
    .into_iter()
    .map(|delivery| {
        let answer = stage.refuses(delivery, 401, "stale_timestamp");
        let differs =
            |name: &str| ["x-request-id", "date"].contains(&name.to_ascii_lowercase().as_str());
        let headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !differs(name))
            .cloned()
            .collect();
        (headers, answer.body)
    })
    .collect();
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "the answers differ: {answers:#?}"
    );
}

#[test]
fn au_17_another_order_or_a_second_signature_makes_nothing_new() {
    let stage = Stage::with(config);
    let delivery = stripe(|t, v1| format!("t={t},v1={v1}"));
    let (t, v1) = delivery
        .value(STRIPE)
        .split_once(',')
        .map(|(t, v1)| (t.to_owned(), v1.to_owned()))
        .unwrap_or_default();
    stage.accepts(delivery.clone());
    for again in [
        format!("{t},{v1}"),
        format!("{v1},{t}"),
        format!("{t},{}{v1}", wrong(1)),
    ] {
        stage.refuses(delivery.clone().set(STRIPE, again), 409, "replayed_event");
    }
}
