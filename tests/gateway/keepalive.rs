//! Connections are kept on both sides, and an upstream connection is used again only when that is safe
//! (contract: Forwarding; RX-14).

use crate::support::behaviour::{Behaviour, Reply};
use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    (upstream, gateway)
}

#[test]
fn connections_are_kept_on_both_sides_and_shared() {
    let (upstream, gateway) = start();
    let mut client = gateway.connect();
    for n in 0..20 {
        let delivery = if n % 2 == 0 {
            Delivery::fresh()
        } else {
            Delivery::fresh().chunked_by(50)
        };
        let answer = client.ask(delivery.bytes());
        answer.expect_status(200);
        assert!(!answer.closes(), "{answer}");
    }
    // Other client connections share it.
    for _ in 0..20 {
        gateway.expect_serving();
    }
    assert_eq!(upstream.count(), 40);
    assert!(
        upstream.connections() <= 2,
        "{} connections for 40 deliveries in a row",
        upstream.connections()
    );
}

#[test]
fn chunked_and_empty_answers_leave_the_upstream_connection_usable() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    let chunked = Behaviour::chunked(&Reply::new(200).body("x".repeat(5000)), 700);
    let empty = Behaviour::raw("HTTP/1.1 204 No Content\r\n\r\n");
    for (name, behaviour) in [("chunked", chunked), ("204", empty)] {
        cases.case(name, || {
            let mut client = gateway.connect();
            upstream.close_connections();
            assert!(eventually(SOON, || upstream.open_connections() == 0));
            let before = upstream.connections();
            for _ in 0..10 {
                upstream.next(behaviour.clone());
                assert!(client.ask(Delivery::fresh().bytes()).status < 300);
            }
            let opened = upstream.connections() - before;
            assert!(opened <= 2, "{opened} connections for 10 deliveries");
        });
    }
    cases.finish();
}

#[test]
fn an_upstream_that_says_close_is_not_used_again() {
    let (upstream, gateway) = start();
    upstream.behave(Behaviour::answer(
        &Reply::new(200).with("Connection", "close"),
    ));
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.ask(Delivery::fresh().bytes());
        answer.expect_status(200);
        assert!(
            !answer.closes(),
            "the upstream's connection is not the client's: {answer}"
        );
    }
    assert_eq!(upstream.connections(), 3);
}

#[test]
fn rx_14_a_kept_connection_that_the_upstream_closed_costs_no_delivery() {
    let (upstream, gateway) = start();
    let mut client = gateway.connect();
    for _ in 0..5 {
        client.ask(Delivery::fresh().bytes()).expect_status(200);
        upstream.close_connections();
        assert!(eventually(SOON, || upstream.open_connections() == 0));
    }
    assert_eq!(upstream.count(), 5);
}

#[test]
fn rx_14_a_delivery_that_was_sent_is_not_sent_again() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for (name, behaviour) in [
        ("closes", Behaviour::close()),
        ("resets", Behaviour::reset()),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            let before = upstream.count();
            upstream.next(behaviour);
            let delivery = Delivery::fresh();
            client
                .ask(delivery.bytes())
                .expect_refusal(502, "upstream_failed");
            assert_eq!(upstream.count(), before + 1, "a POST is not idempotent");
            gateway.ask(delivery).expect_status(200);
        });
    }
    cases.finish();
}

#[test]
fn rx_02_an_idle_connection_is_closed_at_the_idle_limit() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream).server("idle_timeout", "\"1s\""));
    let mut client = gateway.connect();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    client.expect_closed();
    gateway.expect_serving();
}

#[test]
fn a_refusal_ends_the_connection_only_where_a_part_of_the_body_has_not_arrived() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new().http1_only(
        "connections that end with a refusal",
        &["the last byte is missing", "the length is not declared"],
    );
    let stale = || Delivery::at(crate::support::delivery::event(), 1_000_000_000);
    cases.case("the whole body came with the head", || {
        let mut client = gateway.connect();
        for _ in 0..3 {
            let answer = client.ask(stale().bytes());
            answer.expect_refusal(401, "stale_timestamp");
            assert!(!answer.closes(), "{answer}");
            client.ask(Delivery::fresh().bytes()).expect_status(200);
        }
        // The next request came at once, too.
        client.send([stale().bytes(), Delivery::fresh().bytes()].concat());
        client.answer().expect_refusal(401, "stale_timestamp");
        client.answer().expect_status(200);
    });
    cases.case("the body is a whole good delivery", || {
        let mut client = gateway.connect();
        let inner = Delivery::at(Delivery::fresh().bytes(), 1_000_000_000);
        client.send([inner.bytes(), inner.bytes(), Delivery::fresh().bytes()].concat());
        for _ in 0..2 {
            client.answer().expect_refusal(401, "stale_timestamp");
        }
        client.answer().expect_status(200);
    });
    for (name, bytes) in [
        ("the last byte is missing", {
            let mut bytes = stale().bytes();
            bytes.pop();
            bytes
        }),
        ("the length is not declared", stale().chunked().bytes()),
    ] {
        cases.case(name, || {
            let mut client = gateway.connect();
            let answer = client.ask(bytes);
            answer.expect_refusal(401, "stale_timestamp");
            assert!(answer.closes(), "{answer}");
            client.finish();
            client.expect_closed();
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 5);
}
