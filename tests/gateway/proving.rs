//! What a delivery without a proof may cost: large verifications run in steps or on threads of their own, and the forms of
//! a body count like the body (contract: Body).

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of, sign_body};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{eventually, now};

const MIB: usize = 1024 * 1024;

/// Two public keys of Ed25519 (RFC 8032 7.1, tests 1 and 2), in base64.
const POINT: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const KEY: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// Sixteen signatures of Ed25519 that could be right: R is a point of the curve, and s is small.
fn made_up_signatures() -> String {
    let one = |number: u8| {
        let mut bytes = STANDARD.decode(POINT).unwrap_or_default();
        bytes.push(number);
        bytes.resize(64, 0);
        format!("v1a,{}", STANDARD.encode(bytes))
    };
    (1..=16).map(one).collect::<Vec<_>>().join(" ")
}

/// A route whose signatures are Ed25519, and which takes 8 MiB.
fn ed25519(upstream: &Upstream) -> Route {
    Route::new("ed25519", "/ed25519", upstream)
        .set("provider", "\"standard-webhooks\"")
        .set("secrets", &format!("[\"plain:whpk_{KEY}\"]"))
        .set("max_body", "\"8MiB\"")
}

#[test]
fn rx_20_a_large_body_under_any_of_four_secrets_is_forwarded_and_under_none_refused() {
    let upstream = Upstream::start();
    let secrets: Vec<String> = (0..4)
        .map(|number| format!("a long secret, number {number}"))
        .collect();
    let list: Vec<String> = secrets
        .iter()
        .map(|secret| format!("\"plain:{secret}\""))
        .collect();
    let config = Config::new().server("threads", "1").route(
        Route::plain(&upstream)
            .set("secrets", &format!("[{}]", list.join(", ")))
            .set("max_body", "\"4MiB\""),
    );
    let gateway = Gateway::start(&config);
    for (number, secret) in secrets.iter().enumerate() {
        let body = event_of(3 * MIB);
        let delivery = Delivery::plain(body.clone()).set(
            "X-Signature",
            format!("sha256={}", sign_body(secret, &body)),
        );
        gateway.ask(delivery.bytes()).expect_status(200);
        let recorded = upstream.last();
        recorded.expect_body(&body);
        let name = format!("plain-{}", number + 1);
        assert_eq!(recorded.header("X-Verigate-Secret"), Some(name));
    }
    let body = event_of(3 * MIB);
    let forged = Delivery::plain(body.clone()).set(
        "X-Signature",
        format!("sha256={}", sign_body("another", &body)),
    );
    gateway
        .ask(forged.bytes())
        .expect_refusal(401, "bad_signature");
    assert_eq!(upstream.count(), 4);
}

#[test]
fn rx_20_verifications_beyond_the_threads_for_them_are_overloaded_and_small_deliveries_go_on() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .server("threads", "1")
        .route(ed25519(&upstream));
    let gateway = Gateway::start(&config);
    let body = vec![b'x'; 8 * MIB];
    let made_up = Delivery::unsigned("/ed25519", body)
        .set("webhook-id", "msg_1")
        .set("webhook-timestamp", now().to_string())
        .set("webhook-signature", made_up_signatures())
        .bytes();
    let (all_but_last, last) = made_up.split_at(made_up.len() - 1);
    let mut clients: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(all_but_last);
    }
    for client in &mut clients {
        client.send(last);
    }
    gateway.expect_serving();
    let codes: Vec<String> = clients
        .iter_mut()
        .map(|client| {
            let answer = client.answer();
            if answer.status == 503 {
                assert!(answer.header("Retry-After").is_some(), "{answer}");
            }
            answer.code()
        })
        .collect();
    // A single thread hashes 128 MiB for each, so the others find it busy.
    assert!(
        codes.iter().any(|code| code == "bad_signature"),
        "{codes:?}"
    );
    assert!(codes.iter().any(|code| code == "overloaded"), "{codes:?}");
    assert!(
        codes
            .iter()
            .all(|code| code == "bad_signature" || code == "overloaded"),
        "{codes:?}"
    );
    // The thread is free again.
    let again = gateway.ask(made_up);
    again.expect_refusal(401, "bad_signature");
}

/// A single stranger held the threads for all but moments: of twenty honest deliveries that needed
/// a thread, one or three found one.
#[test]
fn rx_25_a_stranger_who_proves_nothing_leaves_the_thread_to_the_next_client() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .server("threads", "1")
        .server("trusted_proxies", "[\"127.0.0.1/32\"]")
        .route(ed25519(&upstream));
    let gateway = Gateway::start(&config);
    let from = |address: &str| {
        Delivery::unsigned("/ed25519", vec![b'x'; 8 * MIB])
            .set("X-Forwarded-For", address)
            .set("webhook-id", "msg_1")
            .set("webhook-timestamp", now().to_string())
            .set("webhook-signature", made_up_signatures())
            .bytes()
    };
    let (stranger, sender) = (from("192.0.2.1"), from("192.0.2.2"));
    // The sender's last byte is sent once the whole body of the stranger is there, while the thread
    // works on it. On a busy machine that may come too late; then both are judged, and it is tried
    // again.
    let met = || {
        let (mut first, mut second) = (gateway.connect(), gateway.connect());
        let (all_but_last, last) = sender.split_at(sender.len() - 1);
        second.send(all_but_last);
        first.send(&stranger);
        let _ = eventually(Duration::from_secs(2), || {
            gateway.metrics().value("verigate_buffered_bytes", &[]) > 16.0 * 1024.0 * 1024.0 - 2.0
        });
        second.send(last);
        (first.answer().code(), second.answer().code())
    };
    let is_refused = |met: (String, String)| met == ("bad_signature".into(), "overloaded".into());
    assert!(
        (0..20).any(|_| is_refused(met())),
        "the sender never came second"
    );
    let again = gateway.ask(stranger.clone());
    again.expect_refusal(503, "overloaded");
    assert!(again.to_string().contains("its share"), "{again}");
    gateway
        .ask(sender.clone())
        .expect_refusal(401, "bad_signature");
}

#[test]
fn rx_21_an_inflated_body_counts_against_the_budget_of_its_client() {
    let upstream = Upstream::start();
    let gateway = |max_buffered: &str| {
        let stream = Route::new("stream", "/stream", &upstream)
            .set("provider", "\"stream\"")
            .set("secrets", "[\"plain:a long secret of Stream\"]");
        let config = Config::for_upstream(&upstream).server("max_buffered", max_buffered);
        Gateway::start(&config.route(stream))
    };
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let noise: Vec<u8> = (0..8_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    packer.write_all(&noise).expect("memory");
    packer.write_all(&vec![b' '; 900_000]).expect("memory");
    let body = packer.finish().expect("memory");
    assert!(
        body.len() > 30_000 && body.len() < 100_000,
        "{}",
        body.len()
    );
    let wrong = Delivery::unsigned("/stream", body)
        .set("X-Signature", "0".repeat(64))
        .bytes();
    // 930 KB do not fit beside the 32 KB that arrived, and then they do.
    gateway("\"3MiB\"")
        .ask(wrong.clone())
        .expect_refusal(503, "overloaded");
    let roomy = gateway("\"8MiB\"");
    roomy.ask(wrong).expect_refusal(401, "bad_signature");
    assert!(roomy.metrics().value("verigate_buffered_bytes", &[]) < 0.5);
}

#[test]
fn rx_20_a_long_refused_body_is_not_read_for_the_log() {
    let upstream = Upstream::start();
    let route =
        Route::plain(&upstream).scheme("timestamp", "{ json = \"/ts\", unit = \"seconds\" }");
    let gateway = Gateway::start(&Config::new().route(route.set("max_body", "\"1MiB\"")));
    for (padding, is_logged) in [(10, true), (100_000, false)] {
        let body = format!("{{\"ts\":{},\"x\":\"{}\"}}", now(), "x".repeat(padding));
        let forged = Delivery::plain(body).set("X-Signature", format!("sha256={}", "0".repeat(64)));
        let answer = gateway.ask(forged.bytes());
        answer.expect_refusal(401, "bad_signature");
        let line = gateway.log_of(&answer);
        assert_eq!(!line["delivery_timestamp"].is_null(), is_logged, "{line}");
    }
}
