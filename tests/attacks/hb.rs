//! HB: hop-by-hop and spoofed headers.

use crate::stage::Stage;
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::transport::is_http1_only;
use crate::support::upstream::Recorded;
use crate::support::{SECRET, SOON};

/// What the gateway sets, and must be alone in setting (contract: Forwarding).
const OWN: [&str; 7] = [
    "X-Verigate-Route",
    "X-Verigate-Provider",
    "X-Verigate-Secret",
    "X-Verigate-Event-Id",
    "X-Verigate-Event-Type",
    "X-Verigate-Verdict",
    "X-Verigate-Event-Key",
];

/// Panics unless the gateway's own headers are there once each, and nothing else that a receiver could take for one.
#[track_caller]
fn expect_own_headers_only(request: &Recorded, id: &str) {
    let folded = |name: &str| -> String {
        name.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect()
    };
    for (name, _) in &request.headers {
        if folded(name).starts_with("x-verigate") {
            assert!(OWN.contains(&name.as_str()), "{name} in {request}");
        }
    }
    let key = request.header("X-Verigate-Event-Key").unwrap_or_default();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(key.len() == 32 && key.bytes().all(is_digit), "{request}");
    for (name, value) in OWN.iter().zip([
        "itellico",
        "itellico",
        "env:ITELLICO_WEBHOOK_SECRET",
        id,
        "conversation.ended",
        "valid",
        &key,
    ]) {
        assert_eq!(
            request.header(name).as_deref(),
            Some(value),
            "{name} in {request}"
        );
    }
}

fn trusting() -> Stage {
    Stage::with(|upstream| {
        Config::for_upstream(upstream).server("trusted_proxies", "[\"127.0.0.1/32\"]")
    })
}

#[test]
fn hb_01_connection_cannot_take_framing_or_host_away() {
    if is_http1_only("lines about the connection") {
        return;
    }
    let stage = Stage::new();
    let delivery = Delivery::fresh().with("Connection", "Content-Length, Host");
    let request = stage.accepts(delivery.clone());
    request.expect_body(delivery.body());
    assert_eq!(request.header("Host").as_deref(), Some("a"));
}

#[test]
fn hb_02_a_signature_named_by_connection_is_used_and_not_forwarded() {
    if is_http1_only("lines about the connection") {
        return;
    }
    let stage = Stage::new();
    let delivery = || Delivery::fresh().with("Connection", "X-Webhook-Signature-256");
    let request = stage.accepts(delivery());
    assert!(!request.has("X-Webhook-Signature-256"), "{request}");
    stage.refuses(
        delivery().set("X-Webhook-Signature-256", "0".repeat(64)),
        401,
        "bad_signature",
    );
    stage.refuses(
        delivery().without("X-Webhook-Signature-256"),
        401,
        "missing_signature",
    );
}

#[test]
fn hb_03_connection_cannot_take_the_gateways_own_headers_away() {
    if is_http1_only("lines about the connection") {
        return;
    }
    let stage = Stage::new();
    let mut cases = Cases::new();
    cases.case("ours named", || {
        let id = fresh_event_id();
        let delivery = Delivery::of(event_with(&id)).with(
            "Connection",
            "X-Verigate-Event-Id, X-Verigate-Verdict, X-Forwarded-For",
        );
        let request = stage.accepts(delivery);
        expect_own_headers_only(&request, &id);
        assert_eq!(
            request.header("X-Forwarded-For").as_deref(),
            Some("127.0.0.1")
        );
    });
    cases.case(
        "named over two lines, in odd case, with tabs and empty members",
        || {
            let delivery = Delivery::fresh()
                .with("X-One", "1")
                .with("X-Two", "2")
                .with("X-Three", "3")
                .with("X-Four", "4")
                .with("Connection", ",\tx-oNE\t,, X-TWO")
                .with("connection", "keep-alive ,x-three,")
                .with("X-Two", "2b");
            let request = stage.accepts(delivery);
            for name in ["X-One", "X-Two", "X-Three"] {
                assert!(!request.has(name), "{name} in {request}");
            }
            assert!(request.has("X-Four"), "{request}");
        },
    );
    cases.finish();
}

#[test]
fn hb_04_hop_by_hop_headers_are_not_forwarded() {
    if is_http1_only("lines about the connection") {
        return;
    }
    let stage = Stage::new();
    let names = [
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Upgrade",
    ];
    let delivery = names
        .iter()
        .fold(Delivery::fresh(), |delivery, name| delivery.with(name, "x"));
    let request = stage.accepts(delivery);
    for name in names {
        assert!(!request.has(name), "{name} in {request}");
    }
}

#[test]
fn hb_05_the_gateways_own_headers_cannot_be_sent_by_a_client() {
    let stage = Stage::new();
    let id = fresh_event_id();
    let delivery = OWN
        .iter()
        .fold(Delivery::of(event_with(&id)), |delivery, name| {
            delivery
                .with(name, "spoofed")
                .with(&name.to_ascii_lowercase(), "spoofed")
        });
    let request = stage.accepts(
        delivery
            .with("X-Verigate-Foo", "spoofed")
            .with("x-verigate-", "spoofed"),
    );
    expect_own_headers_only(&request, &id);
    assert!(
        !String::from_utf8_lossy(&request.raw_head).contains(SECRET),
        "a secret's value is forwarded: {request}"
    );
    assert!(
        !String::from_utf8_lossy(&request.raw_head).contains("spoofed"),
        "{request}"
    );
}

#[test]
fn hb_06_aliases_of_the_gateways_own_headers_are_stripped() {
    let stage = Stage::new();
    let id = fresh_event_id();
    let delivery = [
        "X_Verigate_Event_Id",
        "X-Verigate_Event-Id",
        "X.Verigate.Event.Id",
        "x_verigate_foo",
        "X!Verigate~Verdict",
        "X_Request_Id",
        "X_Forwarded_For",
        "X_Forwarded_Proto",
    ]
    .iter()
    .fold(Delivery::of(event_with(&id)), |delivery, name| {
        delivery.with(name, "spoofed")
    });
    let request = stage.accepts(delivery);
    expect_own_headers_only(&request, &id);
    assert!(
        !String::from_utf8_lossy(&request.raw_head).contains("spoofed"),
        "{request}"
    );
}

#[test]
fn hb_07_an_alias_of_the_signature_is_a_duplicate_and_never_the_signature() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for alias in ["X_Webhook_Signature_256", "x.webhook-signature_256"] {
        cases.case(&format!("{alias} beside it"), || {
            stage.refuses(
                Delivery::fresh().with(alias, "00"),
                401,
                "malformed_signature",
            );
        });
        cases.case(&format!("{alias} alone"), || {
            let delivery = Delivery::fresh();
            let signature = delivery.value("X-Webhook-Signature-256");
            let aliased = delivery
                .without("X-Webhook-Signature-256")
                .with(alias, signature);
            stage.refuses(aliased, 401, "missing_signature");
        });
    }
    cases.case("timestamp beside it", || {
        stage.refuses(
            Delivery::fresh().with("X_Webhook_Timestamp", "1"),
            401,
            "malformed_timestamp",
        );
    });
    cases.case("timestamp alone", || {
        let delivery = Delivery::fresh();
        let timestamp = delivery.value("X-Webhook-Timestamp");
        let aliased = delivery
            .without("X-Webhook-Timestamp")
            .with("X_Webhook_Timestamp", timestamp);
        stage.refuses(aliased, 401, "missing_timestamp");
    });
    cases.finish();
}

fn with_origin(delivery: Delivery, addresses: &str) -> Delivery {
    delivery
        .with("X-Forwarded-For", addresses)
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "spoofed.example")
        .with("X-Request-Id", "spoofed-id")
        .with("Forwarded", "for=1.2.3.4")
}

#[test]
fn hb_08_a_strangers_word_on_its_origin_is_replaced() {
    let stage = Stage::new();
    let answer = stage.gateway.ask(with_origin(Delivery::fresh(), "1.2.3.4"));
    answer.expect_status(200);
    let request = stage.upstream.last();
    assert_eq!(
        request.header("X-Forwarded-For").as_deref(),
        Some("127.0.0.1")
    );
    assert_eq!(
        request.header("X-Forwarded-Proto").as_deref(),
        Some(crate::support::transport::scheme())
    );
    assert_eq!(request.header("X-Forwarded-Host").as_deref(), Some("a"));
    assert!(!request.has("Forwarded"), "{request}");
    // One id for upstream, client and log, and another for the next request.
    let id = request.header("X-Request-Id").expect("an id");
    assert_ne!(id, "spoofed-id");
    assert_eq!(answer.header("X-Request-Id"), Some(&*id));
    let log = stage.gateway.log_of(&answer);
    assert_eq!(
        (log["request_id"].as_str(), log["client"].as_str()),
        (Some(&*id), Some("127.0.0.1"))
    );
    assert_ne!(
        stage.gateway.ask(Delivery::fresh()).header("X-Request-Id"),
        Some(&*id)
    );
}

/// The table of lists is in `src/gateway`, beside `origin`.
#[test]
fn hb_08_a_trusted_proxys_word_is_kept_and_cut() {
    let stage = trusting();
    let mut cases = Cases::new();
    let many = (0..500)
        .map(|n| format!("198.51.100.{}", n % 250))
        .collect::<Vec<_>>()
        .join(", ");
    for (name, sent, client, forwarded) in [
        (
            "one",
            "203.0.113.7",
            "203.0.113.7",
            Some("203.0.113.7, 127.0.0.1"),
        ),
        (
            "spoofed before",
            "6.6.6.6, 203.0.113.8",
            "203.0.113.8",
            Some("6.6.6.6, 203.0.113.8, 127.0.0.1"),
        ),
        (
            "through two trusted",
            "203.0.113.9, 127.0.0.1",
            "203.0.113.9",
            Some("203.0.113.9, 127.0.0.1, 127.0.0.1"),
        ),
        ("only junk", "junk", "127.0.0.1", None),
        ("500 members", &many, "198.51.100.249", None),
    ] {
        cases.case(name, || {
            let answer = stage.gateway.ask(with_origin(Delivery::fresh(), sent));
            answer.expect_status(200);
            let request = stage.upstream.last();
            let list = request.header("X-Forwarded-For").expect("a list");
            assert!(
                list.ends_with("127.0.0.1") && list.split(',').count() <= 20,
                "{list}"
            );
            assert!(
                forwarded.is_none_or(|forwarded| forwarded == list),
                "{list}"
            );
            assert_eq!(
                request.header("X-Forwarded-Proto").as_deref(),
                Some("https")
            );
            assert_eq!(
                request.header("X-Forwarded-Host").as_deref(),
                Some("spoofed.example")
            );
            assert_eq!(
                request.header("X-Request-Id").as_deref(),
                Some("spoofed-id")
            );
            assert_eq!(answer.header("X-Request-Id"), Some("spoofed-id"));
            // The request id is the same in every case, so the log is searched for the address.
            stage
                .gateway
                .wait_for_log(SOON, |line| line["client"] == client);
        });
    }
    cases.finish();
}

#[test]
fn hb_09_a_request_id_that_is_long_or_not_visible_is_replaced() {
    let stage = trusting();
    let mut cases = Cases::new();
    let quoted = b"a\"b".to_vec();
    for (name, id, kept) in [
        ("plain", b"abc-DEF_123".to_vec(), true),
        ("128 bytes", vec![b'a'; 128], true),
        ("129 bytes", vec![b'a'; 129], false),
        ("10 KB", vec![b'a'; 10_000], false),
        ("obs-text", b"a\xffb".to_vec(), false),
        ("space", b"a b".to_vec(), false),
        ("empty", Vec::new(), false),
    ] {
        cases.case(name, || {
            let request = stage.accepts(Delivery::fresh().with("X-Request-Id", &id));
            let forwarded = request.headers_named("X-Request-Id");
            assert_eq!(forwarded.len(), 1, "{request}");
            assert_eq!(forwarded[0] == id, kept, "{request}");
            assert!(
                !forwarded[0].is_empty() && forwarded[0].iter().all(u8::is_ascii_graphic),
                "{request}"
            );
        });
    }
    cases.case("a quote does not break the log", || {
        let answer = stage
            .gateway
            .ask(Delivery::fresh().with("X-Request-Id", &quoted));
        answer.expect_status(200);
        stage.gateway.log_of(&answer);
    });
    cases.finish();
}

#[test]
fn hb_10_doubled_headers_are_forwarded_in_order() {
    let request = Stage::new().accepts(
        Delivery::fresh()
            .with("Content-Type", "application/json")
            .with("Authorization", "Basic one")
            .with("content-type", "text/plain")
            .with("Authorization", "Basic two")
            .with("Content-Type", "text/html"),
    );
    assert_eq!(
        request.headers_named("Content-Type"),
        [b"application/json".as_slice(), b"text/plain", b"text/html"]
    );
    assert_eq!(
        request.headers_named("Authorization"),
        [b"Basic one", b"Basic two"]
    );
}

/// `{"a":1}` as gzip has it.
const GZIP: &str = "1f8b0800000000000203ab564a54b232ac0500afac1b5607000000";

/// 1 MiB of zeros as gzip has it: about a thousand bytes, nearly all zero.
#[expect(clippy::expect_used, reason = "the text is hexadecimal")]
fn bomb() -> Vec<u8> {
    let start = hex::decode("1f8b0800000000000203edc13101000000c2a0f54f6d085fa0").expect("hex");
    let end = hex::decode("3e031cea38a700001000").expect("hex");
    [start, vec![0; 1016], end].concat()
}

#[test]
fn hb_11_compressed_bodies_are_only_bytes() {
    let stage = Stage::new();
    let gzip = hex::decode(GZIP).expect("hex");
    let mut cases = Cases::new();
    for (name, body) in [("small", gzip.clone()), ("bomb", bomb())] {
        cases.case(name, || {
            let request =
                stage.accepts(Delivery::plain(body.clone()).with("Content-Encoding", "gzip"));
            request.expect_body(&body);
            assert_eq!(request.header("Content-Encoding").as_deref(), Some("gzip"));
        });
        cases.case(&format!("{name}, where an id is asked for"), || {
            let delivery = Delivery::of(body.clone()).with("Content-Encoding", "gzip");
            stage.refuses(delivery, 422, "invalid_envelope");
        });
    }
    cases.finish();
}

#[test]
fn hb_12_a_proxy_header_is_dropped_and_override_headers_override_nothing() {
    let stage = Stage::with(|upstream| {
        let other = Route::itellico(upstream)
            .set("name", "\"other\"")
            .set("path", "\"/other\"");
        Config::for_upstream(upstream).route(other)
    });
    let request = stage.accepts(Delivery::fresh().with("Proxy", "http://evil"));
    assert!(!request.has("Proxy"), "{request}");
    let overrides = [
        ("X-Original-URL", "/other"),
        ("X-Rewrite-URL", "/other"),
        ("X-HTTP-Method-Override", "DELETE"),
    ];
    let delivery = overrides
        .iter()
        .fold(Delivery::fresh(), |delivery, (name, value)| {
            delivery.with(name, value)
        });
    let request = stage.accepts(delivery);
    assert_eq!(
        request.header("X-Verigate-Route").as_deref(),
        Some("itellico")
    );
    assert_eq!(
        (request.method.as_str(), request.target.as_slice()),
        ("POST", b"/webhooks/itellico".as_slice())
    );
    for (name, value) in overrides {
        assert_eq!(request.header(name).as_deref(), Some(value));
    }
    let delivery = Delivery::fresh()
        .method("GET")
        .with("X-HTTP-Method-Override", "POST");
    stage.refuses(delivery, 405, "method_not_allowed");
}
