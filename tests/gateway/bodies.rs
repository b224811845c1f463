//! A body is forwarded whole and unchanged, whatever its size and framing (SPEC 2, last paragraph).

use crate::support::behaviour::{Behaviour, Step};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SECRET};

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
        .server("max_buffered", "\"1GiB\"")
        .server("body_timeout", "\"120s\"")
        .route(
            Route::itellico(upstream)
                .set("max_body", "\"64MiB\"")
                .set("upstream_timeout", "\"120s\""),
        )
        .route(
            Route::plain(upstream)
                .set("max_body", "\"64MiB\"")
                .set("upstream_timeout", "\"120s\""),
        );
    Gateway::start(&config)
}

#[test]
fn every_size_around_64_kib_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let mut cases = Cases::new();
    for size in [
        0,
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
fn an_empty_chunked_body_is_an_empty_body() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    gateway
        .ask(Delivery::plain("").chunked())
        .expect_status(200);
    upstream.last().expect_body(b"");
}

#[test]
fn a_body_of_64_mib_with_a_length_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let delivery = Delivery::of(event_of(64 * MIB));
    let mut client = gateway.connect();
    assert!(client.send(delivery.bytes()));
    client.answer_within(LATE).expect_status(200);
    upstream.last().expect_body(delivery.body());
}

#[test]
fn a_chunked_body_of_64_mib_arrives_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let delivery = Delivery::plain(bytes_of(64 * MIB)).chunked_by(64 * KIB + 3);
    let mut client = gateway.connect();
    assert!(client.send(delivery.bytes()));
    client.answer_within(LATE).expect_status(200);
    upstream.last().expect_body(delivery.body());
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
                .ask(delivery.payload(changed))
                .expect_refusal(401, "bad_signature");
        });
    }
    cases.case("one byte more than was signed", || {
        let body = event_of(400);
        let signed = Delivery::signed(SECRET, body.clone(), &crate::support::now().to_string());
        let longer = [body.as_slice(), b"\n"].concat();
        let request = signed
            .set("Content-Length", longer.len().to_string())
            .payload(longer);
        gateway.ask(request).expect_refusal(401, "bad_signature");
    });
    cases.finish();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn no_budget_is_held_when_bodies_are_done() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    gateway.ask(Delivery::of(event_of(MIB))).expect_status(200);
    gateway
        .ask(Delivery::of(event_of(MIB)).payload(event_of(MIB)))
        .expect_refusal(401, "bad_signature");
    let returned = crate::support::eventually(crate::support::SOON, || {
        let metrics = gateway.metrics();
        !metrics.series("verigate_buffered_bytes", &[]).is_empty()
            && metrics.value("verigate_buffered_bytes", &[]) == 0.0
    });
    assert!(returned, "{}", gateway.metrics().text);
}

/// An app that sent its 200 before it had read the request got a part of the body, and the claim said it was done.
#[test]
fn an_upstream_that_accepts_early_still_gets_the_whole_body() {
    let upstream = Upstream::start();
    let gateway = large_gateway(&upstream);
    let delivery = Delivery::of(event_of(24 * MIB));
    upstream.next(Behaviour(vec![
        Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Step::ReadBody,
        Step::Send(b"2\r\nok\r\n0\r\n\r\n".to_vec()),
    ]));
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    let answer = client.answer_within(LATE);
    answer.expect_status(200);
    assert_eq!(answer.body, b"ok");
    upstream.last().expect_body(delivery.body());
}
