//! The access log and what never reaches an output (contract: Access log; LG-01, LG-03, LG-07, LG-10, LG-11, CF-12).

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use serde_json::Value;

use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Reply};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event, event_with, fresh_event_id, sign_body};
use crate::support::gateway::Gateway;
use crate::support::transport::is_left_out;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{SECRET, SOON, eventually, now};

/// Every field of a line (contract: Access log), in its order.
const FIELDS: [&str; 25] = [
    "time",
    "request_id",
    "route",
    "provider",
    "client",
    "method",
    "path",
    "status",
    "verdict",
    "reason",
    "event_id",
    "event_type",
    "account",
    "delivery_id",
    "attempt",
    "delivery_timestamp",
    "skew_s",
    "secret",
    "body_bytes",
    "verify_us",
    "upstream",
    "upstream_status",
    "upstream_ms",
    "total_ms",
    "outcome",
];

#[track_caller]
fn expect_fields(line: &Value) {
    let object = line.as_object().expect("an object");
    let missing: Vec<_> = FIELDS
        .iter()
        .filter(|field| !object.contains_key(**field))
        .collect();
    let unknown: Vec<_> = object
        .keys()
        .filter(|key| !FIELDS.contains(&key.as_str()))
        .collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?} in {line}"
    );
}

#[test]
fn a_line_says_everything_of_a_good_delivery() {
    let upstream = Upstream::with(Behaviour::status(201));
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let id = fresh_event_id();
    let delivery = Delivery::of(event_with(&id));
    let answer = gateway.ask(delivery.clone().target("/webhooks/itellico?a=b"));
    answer.expect_status(201);
    let line = gateway.log_of(&answer);
    expect_fields(&line);
    let expected = [
        ("route", Value::from("itellico")),
        ("provider", "itellico".into()),
        ("client", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("path", "/webhooks/itellico".into()),
        ("status", 201.into()),
        ("verdict", "valid".into()),
        ("event_id", id.into()),
        ("event_type", "conversation.ended".into()),
        ("account", "0f0e0d0c-0b0a-4000-8000-000000000001".into()),
        ("secret", "env:ITELLICO_WEBHOOK_SECRET".into()),
        ("body_bytes", delivery.body().len().into()),
        ("upstream_status", 201.into()),
        ("outcome", "forwarded".into()),
    ];
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(field, value)| line[field] != *value)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?} expected in {line:#}");
    for field in ["verify_us", "upstream_ms", "total_ms"] {
        assert!(
            line[field].as_f64().is_some_and(|number| number >= 0.0),
            "{field} in {line:#}"
        );
    }
    for field in ["time", "delivery_timestamp"] {
        assert!(!line[field].is_null(), "{field} in {line:#}");
    }
    assert!(
        line["upstream"]
            .as_str()
            .is_some_and(|shown| shown.contains(&upstream.addr().to_string())),
        "{line:#}"
    );
}

#[test]
fn a_line_has_every_field_whatever_happened() {
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let dead = Route::plain(&upstream).set("upstream", &crate::support::config::text(&port.url()));
    let gateway = Gateway::start(&Config::new().route(Route::itellico(&upstream)).route(dead));
    let done = Delivery::fresh();
    gateway.ask(done.clone()).expect_status(200);
    let mut cases = Cases::new().http1_only("framing errors", &["malformed", "no HTTP at all"]);
    for (name, request, verdict, outcome) in [
        ("replay", done.bytes(), "replayed_event", "refused"),
        (
            "redelivery",
            Delivery::at(done.body().to_vec(), now() + 1).bytes(),
            "duplicate_event",
            "duplicate",
        ),
        (
            "forged",
            Delivery::signed("guessed", event(), &now().to_string()).bytes(),
            "bad_signature",
            "refused",
        ),
        (
            "no route",
            Delivery::fresh().target("/nowhere").bytes(),
            "no_route",
            "refused",
        ),
        (
            "malformed",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_vec(),
            "bad_request",
            "refused",
        ),
        (
            "no HTTP at all",
            b"SSH-2.0-x\r\n\r\n".to_vec(),
            "bad_request",
            "refused",
        ),
        (
            "no upstream",
            Delivery::plain(event()).bytes(),
            "valid",
            "upstream_failed",
        ),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            let line = gateway.log_of(&answer);
            expect_fields(&line);
            assert_eq!(
                (line["verdict"].as_str(), line["outcome"].as_str()),
                (Some(verdict), Some(outcome)),
                "{line}"
            );
            assert_eq!(
                line["status"].as_u64(),
                Some(u64::from(answer.status)),
                "{line}"
            );
            if outcome != "upstream_failed" {
                assert!(line["upstream_status"].is_null(), "{line}");
            }
        });
    }
    cases.finish();
    let unproved = gateway.wait_for_log(SOON, |line| line["verdict"] == "bad_signature");
    for field in ["secret", "event_id", "event_type", "account"] {
        assert!(
            unproved[field].is_null(),
            "{field} of a forged delivery in {unproved}"
        );
    }
}

#[test]
fn lg_01_values_from_the_network_stay_inside_their_field() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let injected = "\\n{\\\"verdict\\\":\\\"valid\\\"}";
    let typed = |kind: &str| {
        let id = fresh_event_id();
        Delivery::of(format!(
            "{{\"event_id\":\"{id}\",\"event_type\":\"{kind}\",\"organization_uuid\":\"{kind}\"}}"
        ))
    };
    let mut cases = Cases::new();
    for (name, kind, visible) in [
        ("a line end and an object", injected.to_owned(), false),
        ("quotes and backslashes", "a\\\"b\\\\c".to_owned(), true),
        ("escape sequence", "\\u001b[31mred".to_owned(), false),
        (
            "line separators",
            "a\u{2028}b\u{2029}c\\u2028".to_owned(),
            false,
        ),
        ("direction override", "a\u{202e}b".to_owned(), false),
        ("delete and C1", "a\u{7f}b\u{9b}c".to_owned(), false),
        ("NUL", "a\\u0000b".to_owned(), false),
        ("10 KB", "x".repeat(10_000), true),
        (
            "10 KB of two-byte characters, odd offset",
            format!("a{}", "é".repeat(5000)),
            false,
        ),
        ("10 KB of four-byte characters", "🦀".repeat(2500), false),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(typed(&kind));
            answer.expect_status(200);
            let line = gateway.log_of(&answer);
            expect_fields(&line);
            let expected: String =
                serde_json::from_str(&format!("\"{kind}\"")).expect("a JSON text");
            for field in ["event_type", "account"] {
                let shown = line[field]
                    .as_str()
                    .unwrap_or_else(|| panic!("{field} in {line}"));
                assert!(
                    shown.chars().count() <= 201,
                    "{field} is {} characters long",
                    shown.chars().count()
                );
                let start: String = shown.chars().take(100).collect();
                if expected.chars().count() > 200 {
                    assert!(expected.starts_with(&start), "{field}: {start}");
                } else if !expected.chars().any(char::is_control) {
                    assert_eq!(shown, expected, "{field}");
                }
            }
            let forwarded = upstream.last();
            match forwarded.header("X-Verigate-Event-Type") {
                None => assert!(
                    !visible || expected.len() > 200,
                    "left out though visible ASCII: {expected}"
                ),
                Some(value) => assert!(visible, "sent though not visible ASCII: {value:?}"),
            }
        });
    }
    for (name, target, logged) in [
        ("long path", format!("/{}", "p".repeat(600)), "/ppp"),
        (
            "escapes in the path",
            "/a%0a%7b%22verdict%22%3a%22valid%22%7d".to_owned(),
            "/a%0a%7b%22",
        ),
        ("quote in the path", "/a'b".to_owned(), "/a'b"),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(Delivery::fresh().target(&target));
            answer.expect_refusal(404, "no_route");
            let line = gateway.log_of(&answer);
            expect_fields(&line);
            let path = line["path"].as_str().expect("a path");
            assert!(
                path.starts_with(logged) && path.chars().count() <= 201,
                "{path}"
            );
        });
    }
    for (name, request) in [
        (
            "quote in the method",
            Delivery::fresh()
                .request_line("PO\"ST /webhooks/itellico HTTP/1.1")
                .bytes(),
        ),
        (
            "bytes in the target",
            Delivery::fresh()
                .target(b"/\xff\x1b[31m\"x".as_slice())
                .bytes(),
        ),
        (
            "bytes in the host",
            Delivery::fresh()
                .set("Host", b"a\xff\"{}".as_slice())
                .bytes(),
        ),
        (
            "long method",
            Delivery::fresh().method(&"M".repeat(500)).bytes(),
        ),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            client.send(request);
            if let Ok(answer) = client.try_answer(SOON) {
                let line = gateway.log_of(&answer);
                expect_fields(&line);
                assert!(
                    line["method"]
                        .as_str()
                        .is_none_or(|method| method.chars().count() <= 201),
                    "{line}"
                );
            }
        });
    }
    cases.finish();
    let forged = gateway
        .log_lines()
        .into_iter()
        .filter(|line| line.get("request_id").is_none())
        .count();
    assert_eq!(forged, 0, "a line that the gateway did not mean");
}

#[test]
fn lg_01_a_query_is_never_shown() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).env("RUST_LOG", "trace"));
    let mut cases =
        Cases::new().http1_only("an answer to a head that is malformed", &["malformed"]);
    for (name, delivery, status) in [
        (
            "forwarded",
            Delivery::fresh().target("/webhooks/itellico?token=s3cr3t"),
            200,
        ),
        (
            "refused",
            Delivery::fresh()
                .without("X-Webhook-Timestamp")
                .target("/webhooks/itellico?token=s3cr3t"),
            401,
        ),
        (
            "no route",
            Delivery::fresh().target("/nowhere?token=s3cr3t"),
            404,
        ),
        (
            "brackets",
            Delivery::fresh().target("/webhooks/itellico?{token}[]|=s3cr3t"),
            200,
        ),
        (
            "two question marks",
            Delivery::fresh().target("/nowhere?a?token=s3cr3t"),
            404,
        ),
        (
            "malformed",
            Delivery::fresh().target("/webhooks/itellico?token=s3cr3t\"<"),
            400,
        ),
        (
            "method",
            Delivery::fresh()
                .target("/webhooks/itellico?token=s3cr3t")
                .method("PUT"),
            405,
        ),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(delivery);
            answer.expect_status(status);
            let line = gateway.log_of(&answer);
            assert!(
                !line["path"].as_str().unwrap_or_default().contains('?'),
                "{line}"
            );
            let shown = [answer.raw_head.as_slice(), &answer.body].concat();
            assert!(
                !String::from_utf8_lossy(&shown).contains("s3cr3t"),
                "{answer}"
            );
        });
    }
    cases.finish();
    let metrics = gateway.metrics();
    for (place, text) in [
        ("stdout", gateway.stdout()),
        ("stderr", gateway.stderr()),
        ("metrics", metrics.text),
    ] {
        assert!(!text.contains("s3cr3t"), "the query is on {place}");
    }
}

#[test]
fn lg_03_neither_secrets_nor_signatures_nor_payload_reach_an_output() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set(
        "upstream_headers",
        "{ \"X-Gateway-Token\" = \"env:TOKEN\" }",
    );
    let config = Config::new()
        .route(route)
        .route(Route::plain(&upstream))
        .env("TOKEN", "the-gateway-token-0123456789")
        .env("RUST_LOG", "trace");
    let mut gateway = Gateway::start(&config);
    let body = |id: &str| {
        format!("{{\"event_id\":\"{id}\",\"event_type\":\"t\",\"data\":\"payl0ad-marker\"}}")
            .into_bytes()
    };
    let good = Delivery::of(body(&fresh_event_id()))
        .with("Authorization", "Bearer cl1ent-token")
        .with("Cookie", "session=c00kie");
    let signature = good.value("X-Webhook-Signature-256");
    gateway.ask(good.clone()).expect_status(200);
    let cut = Delivery::of(body(&fresh_event_id()));
    let mut client = gateway.connect();
    client.send(&cut.bytes()[..cut.bytes().len() - 5]);
    drop(client);
    for request in [
        good.clone().bytes(),
        good.clone().with_body("payl0ad-marker").bytes(),
        good.clone()
            .set("X-Webhook-Signature-256", format!("{signature}00"))
            .bytes(),
        good.clone().chunked_as("zz payl0ad-marker\r\n").bytes(),
        good.clone()
            .chunked_as("5\r\npayl0ad-marker\r\n0\r\n\r\n")
            .bytes(),
        good.clone()
            .with_line("Bro ken: Bearer cl1ent-token")
            .bytes(),
        good.clone().with_line("NoColon cl1ent-token").bytes(),
        good.clone().with("X-Bad", b"cl1ent-token\x01").bytes(),
        good.clone()
            .with("X-Long", "cl1ent-token".repeat(6000))
            .bytes(),
        Delivery::of("payl0ad-marker").bytes(),
        Delivery::of("{\"event_id\":\"a\",\"event_id\":\"payl0ad-marker\"}").bytes(),
        b"Authorization: Bearer cl1ent-token\r\npayl0ad-marker\r\n\r\n".to_vec(),
    ] {
        if is_left_out(&request) {
            continue;
        }
        let mut client = gateway.connect();
        client.send(request);
        client.finish();
        let _ = client.rest(SOON);
    }
    // What the upstream sends is no more for the logs than what the client sends.
    for behaviour in [
        Behaviour::raw_then_close("HTTP/1.1 200 OK\r\nBro ken: payl0ad-marker\r\n\r\n"),
        Behaviour::raw_then_close("payl0ad-marker c00kie\r\n\r\n"),
        Behaviour::answer(
            &Reply::new(200)
                .with("Set-Cookie", "session=c00kie")
                .body("payl0ad-marker"),
        ),
    ] {
        upstream.next(behaviour);
        let mut client = gateway.connect();
        client.send(Delivery::of(body(&fresh_event_id())).bytes());
        client.finish();
        let _ = client.rest(SOON);
    }
    gateway.expect_serving();
    gateway.signal("TERM");
    assert!(gateway.wait_exit(SOON).is_some());
    let outputs = [
        ("standard output", gateway.stdout()),
        ("standard error", gateway.stderr()),
    ];
    assert!(
        outputs.iter().all(|(_, text)| !text.is_empty()),
        "there was something to look at"
    );
    for (place, text) in outputs {
        for hidden in [
            SECRET,
            "the-gateway-token-0123456789",
            &signature,
            "payl0ad-marker",
            "cl1ent-token",
            "c00kie",
        ] {
            let line = text.lines().find(|line| line.contains(hidden));
            assert!(line.is_none(), "{hidden} is on {place}: {line:?}");
        }
    }
}

#[test]
fn lg_07_a_refusal_echoes_nothing_of_the_request() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new().http1_only(
        "an answer to a head that is malformed, and chunk lines",
        &["host", "header", "chunk"],
    );
    for (name, request) in [
        ("path", Delivery::fresh().target("/ech0-marker")),
        ("query", Delivery::fresh().target("/x?ech0-marker")),
        ("method", Delivery::fresh().method("ECH0-MARKER")),
        ("host", Delivery::fresh().set("Host", "ech0-marker/")),
        ("header", Delivery::fresh().with_line("ech0-marker")),
        (
            "expectation",
            Delivery::fresh().with("Expect", "ech0-marker"),
        ),
        (
            "request id",
            Delivery::fresh()
                .with("X-Request-Id", "ech0-marker")
                .target("/x"),
        ),
        (
            "signature",
            Delivery::fresh().set("X-Webhook-Signature-256", "ech0-marker"),
        ),
        (
            "timestamp",
            Delivery::fresh().set("X-Webhook-Timestamp", "ech0-marker"),
        ),
        ("body", Delivery::of("ech0-marker")),
        ("event id", Delivery::of("{\"event_id\":[\"ech0-marker\"]}")),
        ("chunk", Delivery::fresh().chunked_as("ech0-marker\r\n")),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            assert!(answer.status >= 400, "{answer}");
            crate::support::answer::check_gateway_answer(&answer);
            let shown = [answer.raw_head.as_slice(), &answer.body].concat();
            let shown = String::from_utf8_lossy(&shown).to_ascii_lowercase();
            assert!(!shown.contains("ech0-marker"), "{answer}");
        });
    }
    cases.finish();
}

/// The time that a body takes, here one that never comes, does not count.
#[test]
fn lg_10_the_skew_is_that_of_the_moment_when_the_request_began() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("body_timeout", "\"2s\"")]);
    let mut client = gateway.connect();
    client.send(Delivery::at(event(), now() - 60).head());
    let answer = client.answer();
    answer.expect_refusal(408, "body_timeout");
    let line = gateway.log_of(&answer);
    // Seconds of the day, as in `2025-06-15T15:06:39.000Z`.
    let seconds = |field: &str| {
        let text = line[field].as_str().unwrap_or_default();
        let time = text.get(11..19).unwrap_or_default();
        let numbers = time.split(':').map(str::parse::<i64>);
        numbers.fold(0, |sum, part| sum * 60 + part.unwrap())
    };
    assert!(line["total_ms"].as_f64() > Some(1500.0), "{line}");
    let late = (seconds("time") - seconds("delivery_timestamp")).rem_euclid(86_400);
    assert_eq!(line["skew_s"].as_i64(), Some(-late), "{line}");
}

/// The words of a refusal are those that the client is told, in whatever step it is refused, and a wrong clock or unit
/// shows in `skew_s` (contract: Access log).
#[test]
fn lg_10_a_refusal_says_why_and_by_how_much_its_timestamp_is_off() {
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let dead = Route::plain(&upstream).set("upstream", &crate::support::config::text(&port.url()));
    let gateway = Gateway::start(&Config::new().route(Route::itellico(&upstream)).route(dead));
    let done = Delivery::fresh();
    let accepted = gateway.ask(done.clone());
    accepted.expect_status(200);
    let signed_at = |timestamp: String| Delivery::signed(SECRET, event(), &timestamp);
    let millis = format!("{}000", now());
    let hello = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        &[7; 506],
    ]
    .concat();
    let skewed = |by: i64| Some(by - 5..=by + 5);
    let mut cases = Cases::new().http1_only(
        "plain ports, and bytes that are no head",
        &["no HTTP", "LG-10 TLS on a plain port"],
    );
    for (name, request, code, skew) in [
        (
            "stale",
            Delivery::at(event(), now() - 4000).bytes(),
            "stale_timestamp",
            skewed(-4000),
        ),
        (
            "future",
            Delivery::at(event(), now() + 4000).bytes(),
            "future_timestamp",
            skewed(4000),
        ),
        (
            "milliseconds",
            signed_at(millis).bytes(),
            "future_timestamp",
            Some(1_000_000_000_000..=i64::MAX),
        ),
        (
            "forged",
            Delivery::signed("guessed", event(), &(now() - 60).to_string()).bytes(),
            "bad_signature",
            skewed(-60),
        ),
        (
            "no event",
            Delivery::at("{}", now() - 30).bytes(),
            "invalid_envelope",
            skewed(-30),
        ),
        ("replay", done.bytes(), "replayed_event", skewed(0)),
        (
            "another method",
            Delivery::fresh().method("PUT").bytes(),
            "method_not_allowed",
            skewed(0),
        ),
        (
            "no number",
            signed_at("soon".to_owned()).bytes(),
            "malformed_timestamp",
            None,
        ),
        (
            "no signature",
            Delivery::fresh().without("X-Webhook-Signature-256").bytes(),
            "missing_signature",
            skewed(0),
        ),
        (
            "no route",
            Delivery::fresh().target("/nowhere").bytes(),
            "no_route",
            None,
        ),
        (
            "no upstream",
            Delivery::plain(event()).bytes(),
            "upstream_unreachable",
            None,
        ),
        (
            "no HTTP",
            b"SSH-2.0-x\r\n\r\n".to_vec(),
            "bad_request",
            None,
        ),
        ("LG-10 TLS on a plain port", hello, "bad_request", None),
    ] {
        cases.case(name, || {
            let answer = gateway.ask(request);
            let line = gateway.log_of(&answer);
            assert_eq!(answer.code(), code);
            assert_eq!(line["reason"], answer.json()["error"], "{line}");
            let shown = line["skew_s"].as_i64();
            let is_right = match &skew {
                Some(wanted) => shown.is_some_and(|by| wanted.contains(&by)),
                None => line["skew_s"].is_null(),
            };
            assert!(is_right, "{skew:?} in {line}");
            if name.contains("TLS") {
                let words = answer.json()["error"].to_string();
                assert!(words.contains("TLS ClientHello"), "{words}");
            }
        });
    }
    cases.finish();
    let line = gateway.log_of(&accepted);
    assert!(line["reason"].is_null(), "{line}");
    assert!(
        line["skew_s"].as_i64().is_some_and(|by| by.abs() < 5),
        "{line}"
    );
}

/// In shadow mode nothing is refused, and the line says what would have been.
#[test]
fn lg_10_shadow_mode_says_what_would_have_been_refused() {
    let upstream = Upstream::start();
    let shadow = Route::itellico(&upstream).set("enforce", "false");
    let gateway = Gateway::start(&Config::new().route(shadow));
    let answer = gateway.ask(Delivery::at(event(), now() - 4000));
    answer.expect_status(200);
    let line = gateway.log_of(&answer);
    assert_eq!(line["verdict"], "stale_timestamp", "{line}");
    assert!(
        line["reason"]
            .as_str()
            .is_some_and(|why| why.contains("too old")),
        "{line}"
    );
    assert!(
        line["skew_s"].as_i64().is_some_and(|by| by < -3990),
        "{line}"
    );
}

/// Mailgun's timestamp is in the signed body, so only the body shows by how much it is off.
#[test]
fn lg_10_a_timestamp_in_the_body_is_off_as_well() {
    let upstream = Upstream::start();
    let secret = "mailgun-signing-key-of-the-test";
    let route = Route::new("mailgun", "/mailgun", &upstream)
        .set("provider", "\"mailgun\"")
        .set("secrets", "[\"env:MAILGUN\"]");
    let gateway = Gateway::start(&Config::new().route(route).env("MAILGUN", secret));
    let (at, token) = (now() + 4000, "a".repeat(50));
    let signature = sign_body(secret, format!("{at}{token}").as_bytes());
    let body = format!(
        r#"{{"signature":{{"timestamp":"{at}","token":"{token}","signature":"{signature}"}},"event-data":{{"id":"e"}}}}"#
    );
    let answer =
        gateway.ask(Delivery::unsigned("/mailgun", body).with("Content-Type", "application/json"));
    let line = gateway.log_of(&answer);
    assert_eq!(line["verdict"], "future_timestamp", "{line}");
    assert!(
        line["skew_s"]
            .as_i64()
            .is_some_and(|by| (3990..=4000).contains(&by)),
        "{line}"
    );
}

#[test]
fn the_start_says_version_file_and_routes() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let file = gateway.config_file();
    for words in [
        concat!("verigate ", env!("CARGO_PKG_VERSION"), " runs "),
        &file.display().to_string(),
        "itellico (/webhooks/itellico",
        &upstream.url(),
    ] {
        assert!(gateway.says(words), "{words} in {}", gateway.stderr());
    }
}

/// `RUST_LOG=debug` follows a request by its id, and shows nothing that a log must not show.
#[test]
fn lg_11_debug_messages_follow_a_request_and_hold_nothing_secret() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).env("RUST_LOG", "debug");
    let gateway = Gateway::start(&config);
    let id = fresh_event_id();
    let delivery = Delivery::of(format!(r#"{{"event_id":"{id}","data":"payl0ad"}}"#))
        .target("/webhooks/itellico?token=s3cr3t")
        .with("Authorization", "Bearer a-t0ken")
        .with("Cookie", "session=c00kie");
    let good = gateway.ask(delivery.clone());
    good.expect_status(200);
    let replay = gateway.ask(delivery.clone());
    let expect_step = |answer: &Answer, step: &str| {
        let request = format!(
            "request {}: ",
            answer.header("X-Request-Id").unwrap_or_default()
        );
        let is_said = eventually(SOON, || {
            let lines = gateway.stderr();
            lines
                .lines()
                .any(|line| line.contains(&request) && line.contains(step))
        });
        assert!(is_said, "{request}{step} in {}", gateway.stderr());
    };
    let upstream_address = format!("upstream: {} answered 200", upstream.addr());
    for step in [
        r#""POST" "/webhooks/itellico" from"#,
        "route itellico, provider itellico",
        "bytes of body",
        "proved by the secret env:ITELLICO_WEBHOOK_SECRET",
        &id,
        "the event is claimed",
        &format!("forwarding to {}", upstream.url()),
        &upstream_address,
        "forwarded, status 200, verdict valid",
    ] {
        expect_step(&good, step);
    }
    expect_step(
        &replay,
        "verdict replayed_event: this delivery was already processed",
    );
    let signature = delivery.value("X-Webhook-Signature-256");
    for hidden in ["payl0ad", "s3cr3t", "a-t0ken", "c00kie", SECRET, &signature] {
        assert!(
            !gateway.stderr().contains(hidden),
            "{hidden} in {}",
            gateway.stderr()
        );
    }
}

/// The lines that name the ports are found by programs, so no message may cut them in two.
#[test]
fn the_ports_are_named_in_lines_of_their_own_however_many_warnings_there_are() {
    let upstream = Upstream::start();
    let routes = (0..150).map(|number| {
        Route::new(&format!("r{number}"), &format!("/r{number}"), &upstream)
            .set("provider", "\"github\"")
            .set("secrets", &format!("[\"plain:s{number}\"]"))
    });
    let gateway = Gateway::start(&routes.fold(Config::new(), Config::route));
    gateway
        .ask(Delivery::fresh())
        .expect_refusal(404, "no_route");
}
