//! A body is forwarded whole and unchanged, whatever its size, its framing and the pieces in which it comes (contract:
//! Body). Framing that is refused is in `tests/attacks/sm.rs`.

use std::time::Duration;

use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of, sign_body};
use crate::support::gateway::Gateway;
use crate::support::transport::{self, Transport};
use crate::support::upstream::Upstream;
use crate::support::{LATE, PLAIN_SECRET, SOON, eventually, now};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every byte value, in no order that repeats soon, with line ends and zeros among them.
fn bytes_of(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push(state.to_be_bytes()[0]);
    }
    bytes
}

fn large_gateway(upstream: &Upstream) -> Gateway {
    // One client address may hold a quarter of the budget; all of this comes from one.
    let config = Config::new()
        .server("max_buffered", "\"256MiB\"")
        .server("body_timeout", "\"120s\"")
        .route(
            Route::itellico(upstream)
                .set("max_body", "\"16MiB\"")
                .set("upstream_timeout", "\"120s\""),
        )
        .route(
            Route::plain(upstream)
                .set("max_body", "\"16MiB\"")
                .set("upstream_timeout", "\"120s\""),
        );
    Gateway::start(&config)
}

#[test]
fn every_size_around_64_kib_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let mut cases = Cases::new();
    cases.case("empty", || {
        gateway
            .ask(Delivery::plain("").chunked())
            .expect_status(200);
        upstream.last().expect_body(b"");
        // The same by its length.
        gateway.ask(Delivery::plain("")).expect_duplicate();
    });
    for size in [
        1,
        1023,
        1024,
        16 * KIB,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        128 * KIB,
        MIB,
    ] {
        let body = bytes_of(size);
        for (framing, delivery) in [
            ("length", Delivery::plain(body.clone())),
            (
                "one chunk",
                Delivery::plain([b"c", body.as_slice()].concat()).chunked(),
            ),
            (
                "many chunks",
                Delivery::plain([b"m", body.as_slice()].concat()).chunked_by(1000),
            ),
        ] {
            cases.case(&format!("{size} by {framing}"), || {
                gateway.ask(delivery.clone()).expect_status(200);
                upstream.last().expect_body(delivery.body());
            });
        }
    }
    for size in [300, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB] {
        for (framing, delivery) in [
            ("length", Delivery::of(event_of(size))),
            ("chunks", Delivery::of(event_of(size)).chunked_by(4096)),
        ] {
            cases.case(&format!("envelope of {size} by {framing}"), || {
                gateway.ask(delivery.clone()).expect_status(200);
                upstream.last().expect_body(delivery.body());
            });
        }
    }
    cases.finish();
}

#[test]
fn a_body_of_16_mib_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let body = bytes_of(16 * MIB - 1);
    let mut cases = Cases::new();
    for (framing, delivery) in [
        ("length", Delivery::plain(body.clone())),
        (
            "chunks",
            Delivery::plain([&body, b"c".as_slice()].concat()).chunked_by(64 * KIB + 3),
        ),
    ] {
        cases.case(framing, || {
            let mut client = gateway.connect();
            assert!(client.send(delivery.bytes()));
            client.answer_within(LATE).expect_status(200);
            upstream.last().expect_body(delivery.body());
        });
    }
    cases.finish();
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    let length = Delivery::fresh().bytes().len();
    // Each cut costs a pause, in which the first part is read by itself; every seventh place finds the same faults.
    for at in (1..length).step_by(7) {
        cases.case(&format!("cut at {at}"), || {
            let delivery = Delivery::fresh();
            let bytes = delivery.bytes();
            let mut client = gateway.connect();
            client.send(&bytes[..at]);
            assert!(
                !client.has_heard(Duration::from_millis(3)),
                "answered too early"
            );
            client.send(&bytes[at..]);
            client.answer().expect_status(200);
            upstream.last().expect_body(delivery.body());
        });
    }
    cases.finish();
}

#[test]
fn bytes_that_arrive_one_by_one_make_the_same_body() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("length", Delivery::fresh()),
        ("chunks", Delivery::fresh().chunked_by(10)),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            for byte in delivery.bytes() {
                assert!(client.send([byte]));
            }
            client.answer().expect_status(200);
            upstream.last().expect_body(delivery.body());
        });
    }
    cases.finish();
}

#[test]
fn a_body_that_was_changed_on_the_way_is_refused_at_every_size() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let mut cases = Cases::new();
    for size in [300, 64 * KIB, 64 * KIB + 1, MIB] {
        cases.case(&size.to_string(), || {
            let delivery = Delivery::of(event_of(size));
            let mut changed = delivery.body().to_vec();
            changed[size - 10] ^= 1;
            gateway
                .ask(delivery.with_body(changed))
                .expect_refusal(401, "bad_signature");
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn no_budget_is_held_when_bodies_are_done() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    gateway.ask(Delivery::of(event_of(MIB))).expect_status(200);
    gateway
        .ask(Delivery::of(event_of(MIB)).with_body(event_of(MIB)))
        .expect_refusal(401, "bad_signature");
    let returned = eventually(SOON, || {
        let metrics = gateway.metrics();
        !metrics.series("verigate_buffered_bytes", &[]).is_empty()
            && metrics.value("verigate_buffered_bytes", &[]) == 0.0
    });
    assert!(returned, "{}", gateway.metrics().text);
}

#[test]
fn one_byte_order_mark_is_skipped_wherever_a_place_is_looked_for_and_forwarded() {
    const MARK: &str = "\u{feff}";
    let upstream = Upstream::start();
    let preset = |name: &str| {
        Route::new(name, &format!("/{name}"), &upstream)
            .set("provider", &format!("\"{name}\""))
            .set("secrets", "[\"env:PLAIN_SECRET\"]")
    };
    let slack = Route::plain(&upstream)
        .set("name", "\"handshake\"")
        .set("path", "\"/handshake\"")
        .scheme("handshake", "\"slack\"");
    let optional = Route::plain(&upstream)
        .set("name", "\"optional\"")
        .set("path", "\"/optional\"")
        .scheme("event_id", "{ json = \"/id\", required = false }");
    let config = Config::for_upstream(&upstream)
        .route(preset("microsoft-graph"))
        .route(preset("mailgun"))
        .route(slack)
        .route(optional);
    let gateway = Gateway::start(&config);
    let now = now().to_string();
    let mailgun = format!(
        r#"{{"signature":{{"timestamp":"{now}","token":"t1","signature":"{}"}},"event-data":{{"event":"opened"}}}}"#,
        sign_body(PLAIN_SECRET, format!("{now}t1").as_bytes())
    );
    let graph = format!(r#"{{"value":[{{"clientState":"{PLAIN_SECRET}","siteUrl":"/"}}]}}"#);
    let good = String::from_utf8(event_of(300)).unwrap_or_default();
    let of_itellico = |body: String| Delivery::of(body.into_bytes());
    let mut cases = Cases::new();
    for (name, delivery, body) in [
        (
            "an id in the body",
            of_itellico(MARK.to_owned() + &good),
            MARK.to_owned() + &good,
        ),
        (
            "a signature in the body",
            Delivery::unsigned("/microsoft-graph", MARK.to_owned() + &graph),
            MARK.to_owned() + &graph,
        ),
        (
            "signed values of the body",
            Delivery::unsigned("/mailgun", MARK.to_owned() + &mailgun),
            MARK.to_owned() + &mailgun,
        ),
    ] {
        cases.case(name, || {
            gateway.ask(delivery).expect_status(200);
            upstream.last().expect_body(body.as_bytes());
        });
    }
    cases.case("an id that need not be there", || {
        let body = format!("{MARK}\r\n{{\"id\":\"e-1\"}}");
        gateway
            .ask(Delivery::plain(body).target("/optional"))
            .expect_status(200);
        let got = upstream.last();
        assert_eq!(got.header("X-Verigate-Event-Id").as_deref(), Some("e-1"));
    });
    cases.case("a handshake", || {
        let body = format!(r#"{MARK}{{"type":"url_verification","challenge":"c"}}"#);
        let answer = gateway.ask(Delivery::plain(body).target("/handshake"));
        answer.expect_status(200);
        assert_eq!(answer.body, b"c");
    });
    for (name, body) in [
        ("two marks", format!("{MARK}{MARK}{good}")),
        ("a mark behind white space", format!(" {MARK}{good}")),
        ("a mark at the end", format!("{good}{MARK}")),
        ("half a mark", good.clone()),
    ] {
        cases.case(name, || {
            let bytes = if name == "half a mark" {
                [b"\xef\xbb", body.as_bytes()].concat()
            } else {
                body.clone().into_bytes()
            };
            gateway
                .ask(Delivery::of(bytes))
                .expect_refusal(422, "invalid_envelope");
        });
    }
    cases.finish();
}

#[test]
fn au_52_a_form_of_mailgun_is_taken_like_its_json() {
    let upstream = Upstream::start();
    let route = Route::new("mailgun", "/mailgun", &upstream)
        .set("provider", "\"mailgun\"")
        .set("secrets", "[\"env:PLAIN_SECRET\"]");
    let gateway = Gateway::start(&Config::for_upstream(&upstream).route(route));
    let at = now().to_string();
    let signature =
        |at: &str, token: &str| sign_body(PLAIN_SECRET, format!("{at}{token}").as_bytes());
    let form = |token: &str, more: &str| {
        let signature = signature(&at, token);
        let body =
            format!("recipient=a%40b&timestamp={at}&token={token}&signature={signature}{more}");
        Delivery::unsigned("/mailgun", body)
            .set("Content-Type", "application/x-www-form-urlencoded")
    };
    let multipart = |token: &str| {
        let part = |name: &str, value: &str| {
            format!(
                "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let parts = [
            part("timestamp", &at),
            part("token", token),
            part("signature", &signature(&at, token)),
            part("attachment-1\"; filename=\"x", "a\r\nb"),
        ];
        Delivery::unsigned("/mailgun", parts.concat() + "--b0undary--\r\n")
            .set("Content-Type", "multipart/form-data; boundary=b0undary")
    };
    let mut cases = Cases::new();
    for (name, delivery, token) in [
        ("urlencoded", form("t-1", ""), "t-1"),
        ("multipart", multipart("t-2"), "t-2"),
    ] {
        cases.case(name, || {
            let body = delivery.body().to_vec();
            gateway.ask(delivery.clone()).expect_status(200);
            let got = upstream.last();
            got.expect_body(&body);
            assert_eq!(got.header("X-Verigate-Event-Id").as_deref(), Some(token));
            let count = upstream.count();
            gateway.ask(delivery).expect_status(200);
            assert_eq!(upstream.count(), count, "a duplicate");
        });
    }
    cases.case("the same signature as JSON", || {
        let count = upstream.count();
        let body = format!(
            r#"{{"signature":{{"timestamp":"{at}","token":"t-1","signature":"{}"}},"event-data":{{"event":"x"}}}}"#,
            signature(&at, "t-1")
        );
        let _ = gateway.ask(Delivery::unsigned("/mailgun", body));
        assert_eq!(upstream.count(), count, "the token is spent");
    });
    let old = (now() - 20 * 3600).to_string();
    let stale = format!(
        "timestamp={old}&token=t-3&signature={}",
        signature(&old, "t-3")
    );
    for (name, delivery, code) in [
        (
            "another token",
            Delivery::unsigned(
                "/mailgun",
                format!(
                    "timestamp={at}&token=t-4&signature={}",
                    signature(&at, "t-5")
                ),
            ),
            "bad_signature",
        ),
        (
            "stale",
            Delivery::unsigned("/mailgun", stale),
            "stale_timestamp",
        ),
        ("twice", form("t-6", "&token=t-7"), "malformed_signature"),
        ("an alias", form("t-6", "&Token=t-7"), "malformed_signature"),
        (
            "an array",
            form("t-6", "&token[]=t-7"),
            "malformed_signature",
        ),
        (
            "no signature",
            Delivery::unsigned("/mailgun", format!("timestamp={at}&token=t-8")),
            "malformed_signature",
        ),
        (
            "no form",
            Delivery::unsigned("/mailgun", "a=%zz"),
            "malformed_signature",
        ),
    ] {
        cases.case(name, || {
            gateway.ask(delivery).expect_refusal(401, code);
        });
    }
    cases.finish();
}

/// The memory of a body is used again by the next bodies.
#[test]
fn rx_28_a_long_body_shows_in_no_later_delivery_and_in_no_later_line_of_the_log() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let marked = b"MARKED-".repeat(MIB / 7);
    for long in [marked.as_slice(), &marked[..64 * KIB]] {
        gateway.ask(Delivery::plain(long)).expect_status(200);
        let before = gateway.log_lines().len();
        for size in [14 * KIB, 20 * KIB, 300 * KIB, MIB] {
            let later = |kind: u8| [&[kind, *long.last().unwrap()], &*bytes_of(size)].concat();
            let forms = [
                (200, Delivery::plain(later(b'w'))),
                (200, Delivery::plain(later(b'c')).chunked_by(5000)),
                (401, Delivery::plain(later(b'f')).with_body(later(b'F'))),
            ];
            for (status, delivery) in forms {
                let answer = gateway.ask(delivery.clone());
                answer.expect_status(status);
                assert!(!answer.body.windows(6).any(|part| part == b"MARKED"));
                if status == 200 {
                    upstream.last().expect_body(delivery.body());
                }
            }
        }
        let lines = gateway.log_lines().split_off(before);
        assert!(
            lines
                .iter()
                .all(|line| !line.to_string().contains("MARKED"))
        );
    }
}

/// A body grew into twice its memory, was copied once more at its end, and held both copies. Or its
/// first mebibyte of memory was kept beside it for the next bodies: where a read had ended shortly
/// before its end.
#[test]
fn a_large_body_takes_its_own_memory_and_hardly_more() {
    let upstream = Upstream::start();
    for (size, first) in [
        (33 * MIB, 0_u32),
        (64 * MIB, 0),
        (33 * MIB, 1024 * 1024 - 100),
        (33 * MIB, 2 * 1024 * 1024 - 100),
    ] {
        let gateway = Gateway::start(
            &Config::new()
                .server("max_buffered", "\"512MiB\"")
                .server("body_timeout", "\"120s\"")
                .server("threads", "1")
                .route(
                    Route::itellico(&upstream)
                        .set("max_body", "\"64MiB\"")
                        .set("upstream_timeout", "\"120s\""),
                ),
        );
        gateway.ask(Delivery::fresh()).expect_status(200);
        let buffered = || {
            let metrics = gateway.metrics();
            metrics.value("verigate_buffered_bytes", &[])
        };
        assert!(eventually(SOON, || buffered() == 0.0));
        let idle = gateway.resident_bytes();
        gateway.forget_peak();

        let delivery = Delivery::of(event_of(size));
        let (head, bytes) = (delivery.head().len(), delivery.bytes());
        let mut client = gateway.connect();
        let (start, rest) = bytes.split_at(head + first as usize);
        client.send(start);
        assert!(
            eventually(SOON, || buffered() >= f64::from(first)),
            "{first} bytes of {size}: {}",
            gateway.metrics().text
        );
        client.send(rest);
        client.answer_within(LATE).expect_status(200);

        let beside = gateway.peak_bytes().saturating_sub(idle + size as u64);
        // Over HTTP/2 a window of it is held below, too.
        let most = if transport::chosen() == Transport::Http2 {
            2 * MIB
        } else {
            MIB
        };
        assert!(
            beside <= most as u64,
            "{beside} bytes beside {size}, of which {first} came first"
        );
    }
}
