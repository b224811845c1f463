//! Who gets a claim, and how it ends (contract: Claim, Settling, States; RP-04 to RP-08): of many copies at one
//! instant exactly one is forwarded, and what releases a claim lets the retry through.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply, Step};
use crate::support::cases::Cases;
use crate::support::client::{Client, Missing};
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, SOON, eventually, now};

/// How many copies arrive at one instant.
const COPIES: usize = 64;

/// Sends all deliveries at one instant, each from a socket of its own, to an upstream that answers `status` only after
/// every other answer has arrived. Those others, and the one that was waited for.
#[track_caller]
fn at_one_instant(
    gateway: &Gateway,
    upstream: &Upstream,
    deliveries: &[Delivery],
    status: u16,
) -> (Vec<Answer>, Answer) {
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(status)));
    let start = Arc::new(Barrier::new(deliveries.len()));
    let (answered, answers) = channel();
    let threads: Vec<_> = deliveries
        .iter()
        .map(|delivery| {
            let (start, answered, bytes) = (Arc::clone(&start), answered.clone(), delivery.bytes());
            let mut client = gateway.connect();
            std::thread::spawn(move || {
                // All but the last byte before the barrier, so that what is left arrives at one instant.
                let (most, last) = bytes.split_at(bytes.len() - 1);
                client.send(most);
                start.wait();
                client.send(last);
                let _ = answered.send(client.try_answer(LATE));
            })
        })
        .collect();
    drop(answered);
    let early: Vec<_> = (1..deliveries.len())
        .map_while(|_| answers.recv_timeout(SOON).ok())
        .collect();
    latch.open();
    let late: Vec<_> = answers.iter().collect();
    for thread in threads {
        thread.join().expect("a sending thread");
    }
    assert_eq!(
        (early.len(), late.len()),
        (deliveries.len() - 1, 1),
        "answered before and after the upstream did"
    );
    let early = early
        .into_iter()
        .map(|answer| answer.expect("an answer"))
        .collect();
    (
        early,
        late.into_iter().next().expect("one").expect("an answer"),
    )
}

#[track_caller]
fn expect_in_flight(answer: &Answer) {
    answer.expect_refusal(503, "event_in_flight");
    assert_eq!(answer.header("Retry-After"), Some("1"), "{answer}");
}

fn four_threads(upstream: &Upstream) -> Gateway {
    Gateway::start(&Config::for_upstream(upstream).server("threads", "4"))
}

#[test]
fn rp_04_of_many_copies_at_one_instant_one_is_forwarded() {
    let upstream = Upstream::start();
    let gateway = four_threads(&upstream);
    let mut cases = Cases::new();
    for round in 0..20 {
        cases.case(&format!("round {round}"), || {
            let before = upstream.count();
            let copies = vec![Delivery::fresh(); COPIES];
            let (others, first) = at_one_instant(&gateway, &upstream, &copies, 200);
            first.expect_status(200);
            others.iter().for_each(expect_in_flight);
            gateway
                .ask(copies[0].clone())
                .expect_refusal(409, "replayed_event");
            assert_eq!(upstream.count(), before + 1, "forwarded");
        });
    }
    cases.finish();
}

#[test]
fn rp_04_of_many_redeliveries_at_one_instant_one_is_forwarded() {
    let upstream = Upstream::start();
    let gateway = four_threads(&upstream);
    let (body, at) = (event(), now());
    let signed: Vec<Delivery> = (0..COPIES as u64)
        .map(|n| Delivery::at(body.clone(), at + 32 - n))
        .collect();
    let (others, first) = at_one_instant(&gateway, &upstream, &signed, 200);
    first.expect_status(200);
    others.iter().for_each(expect_in_flight);
    gateway.ask(Delivery::at(body, at - 100)).expect_duplicate();
    assert_eq!(upstream.count(), 1, "forwarded");
}

#[test]
fn rp_04_of_many_copies_without_an_id_one_is_forwarded() {
    let upstream = Upstream::start();
    let gateway = four_threads(&upstream);
    let copies = vec![Delivery::plain(event()); COPIES];
    let (others, first) = at_one_instant(&gateway, &upstream, &copies, 200);
    first.expect_status(200);
    others.iter().for_each(expect_in_flight);
    gateway.ask(copies[0].clone()).expect_duplicate();
    assert_eq!(upstream.count(), 1, "forwarded");
}

#[test]
fn rp_08_a_released_claim_goes_to_one_of_many_again() {
    let upstream = Upstream::start();
    let gateway = four_threads(&upstream);
    let copies = vec![Delivery::fresh(); COPIES];
    for status in [500, 429, 200] {
        let (others, first) = at_one_instant(&gateway, &upstream, &copies, status);
        first.expect_status(status);
        others.iter().for_each(expect_in_flight);
    }
    gateway
        .ask(copies[0].clone())
        .expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 3, "forwarded");
}

#[test]
fn rp_05_what_is_not_2xx_lets_the_retry_through() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let cut = |head: &str| Behaviour::raw_then_close(head.as_bytes().to_vec());
    let mut cases = Cases::new();
    // A timeout is in `limits`.
    for (name, behaviour, status, outcome) in [
        ("500", Behaviour::status(500), 500, "forwarded"),
        ("404", Behaviour::status(404), 404, "forwarded"),
        ("429", Behaviour::status(429), 429, "forwarded"),
        (
            "301",
            Behaviour::answer(&Reply::new(301).with("Location", "/elsewhere")),
            301,
            "forwarded",
        ),
        ("reset", Behaviour::reset(), 502, "upstream_failed"),
        (
            "closed without an answer",
            Behaviour::close(),
            502,
            "upstream_failed",
        ),
        ("no HTTP", cut("SSH-2.0-x\r\n\r\n"), 502, "upstream_failed"),
        (
            "cut off in the status line",
            cut("HTTP/1.1 20"),
            502,
            "upstream_failed",
        ),
        (
            "cut off in the head",
            cut("HTTP/1.1 200 OK\r\nContent-Le"),
            502,
            "upstream_failed",
        ),
        (
            "101",
            cut("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
            502,
            "upstream_failed",
        ),
    ] {
        cases.case(name, || {
            let before = upstream.count();
            let delivery = Delivery::fresh();
            upstream.next(behaviour);
            let first = gateway.ask(delivery.clone());
            first.expect_status(status);
            if outcome == "upstream_failed" {
                first.expect_refusal(status, outcome);
            }
            let log = gateway.log_of(&first);
            assert_eq!(
                (log["verdict"].as_str(), log["outcome"].as_str()),
                (Some("valid"), Some(outcome)),
                "{log}"
            );
            gateway.ask(delivery.clone()).expect_status(200);
            gateway.ask(delivery).expect_refusal(409, "replayed_event");
            assert_eq!(upstream.count(), before + 2, "forwarded");
        });
    }
    cases.finish();
}

#[test]
fn rp_05_a_refused_connection_lets_the_retry_through() {
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let nowhere =
        Config::new().route(Route::itellico(&upstream).set("upstream", &text(&port.url())));
    let gateway = Gateway::start(&nowhere);
    let delivery = Delivery::fresh();
    gateway
        .ask(delivery.clone())
        .expect_refusal(502, "upstream_unreachable");
    gateway
        .ask(delivery.clone())
        .expect_refusal(502, "upstream_unreachable");
    // The same window, another upstream: nothing but the claim could hold the retry up.
    gateway.rewrite(&Config::new().route(Route::itellico(&upstream)));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    gateway.ask(delivery.clone()).expect_status(200);
    gateway.ask(delivery).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_06_a_body_that_breaks_off_after_a_2xx_is_done_all_the_same() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for (name, answer) in [
        (
            "length",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789",
        ),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n",
        ),
        (
            "inside a chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n0123456789",
        ),
    ] {
        cases.case(name, || {
            let before = upstream.count();
            upstream.next(Behaviour::raw_then_close(answer));
            let delivery = Delivery::fresh();
            let mut client = gateway.connect();
            client.send(delivery.bytes());
            match client.try_answer(SOON) {
                Err(missing) if missing.is_broken_off() => {}
                other => panic!("a cut answer looks complete: {other:?}"),
            }
            gateway
                .ask(delivery.clone())
                .expect_refusal(409, "replayed_event");
            assert_eq!(upstream.count(), before + 1, "forwarded");
        });
    }
    cases.finish();
}

#[test]
fn rp_07_the_client_that_goes_away_changes_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    let leaves: [fn(Client); 2] = [drop, Client::reset];
    for (how, leave) in ["closes", "resets"].into_iter().zip(leaves) {
        for (status, forwarded) in [(200, 1), (500, 2)] {
            cases.case(&format!("client {how}, upstream then {status}"), || {
                let before = upstream.count();
                let latch = Latch::closed();
                upstream.next(Behaviour::answer_after(&latch, &Reply::new(status)));
                let (body, at) = (event(), now());
                let mut client = gateway.connect();
                client.send(Delivery::at(body.clone(), at).bytes());
                upstream.wait_for(before + 1);
                leave(client);
                expect_in_flight(&gateway.ask(Delivery::at(body.clone(), at)));
                latch.open();
                let retry = settled(&gateway, &Delivery::at(body, at + 1));
                if status == 200 {
                    retry.expect_duplicate();
                } else {
                    retry.expect_status(200);
                }
                assert_eq!(upstream.count(), before + forwarded, "forwarded");
                // The exchange whose client had gone is logged too.
                let id = upstream
                    .last()
                    .header("X-Verigate-Event-Id")
                    .expect("an event id");
                gateway.wait_for_log(SOON, |line| {
                    line["event_id"] == id.as_str()
                        && line["verdict"] == "valid"
                        && line["upstream_status"] == status
                });
            });
        }
    }
    cases.finish();
}

#[test]
fn rp_07_a_client_that_goes_away_in_its_body_claims_nothing() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let delivery = Delivery::fresh();
    let bytes = delivery.bytes();
    for client_resets in [false, true] {
        let mut client = gateway.connect();
        client.send(&bytes[..bytes.len() - 1]);
        if client_resets {
            client.reset();
        } else {
            drop(client);
        }
    }
    gateway.ask(delivery.clone()).expect_status(200);
    gateway.ask(delivery).expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rp_08_a_copy_in_flight_is_refused_and_the_retry_after_a_failure_forwarded() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(500)));
    let (body, at) = (event(), now());
    let mut first = gateway.connect();
    first.send(Delivery::at(body.clone(), at).bytes());
    upstream.wait_for(1);
    expect_in_flight(&gateway.ask(Delivery::at(body.clone(), at)));
    expect_in_flight(&gateway.ask(Delivery::at(body.clone(), at + 1)));
    latch.open();
    first.answer().expect_status(500);
    gateway.ask(Delivery::at(body, at + 1)).expect_status(200);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_claim_is_settled_before_the_answer_is_relayed() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let latch = Latch::closed();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234".to_vec();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(head),
        Step::Wait(latch.clone()),
        Step::Send(b"56789".to_vec()),
    ]));
    let delivery = Delivery::fresh();
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    upstream.wait_for(1);
    // The answer's body is not at its end, nor has anybody read any of it.
    let copy = settled(&gateway, &delivery);
    latch.open();
    copy.expect_refusal(409, "replayed_event");
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"0123456789".as_slice()),
        "{answer}"
    );
    assert_eq!(upstream.count(), 1);
}

/// The answer to a copy once the first is no longer in flight.
#[track_caller]
fn settled(gateway: &Gateway, delivery: &Delivery) -> Answer {
    let mut answer = None;
    let over = eventually(SOON, || {
        let copy = gateway.ask(delivery.clone());
        let open = copy.code() == "event_in_flight";
        answer = Some(copy);
        !open
    });
    assert!(over, "still in flight");
    answer.expect("asked")
}

#[test]
fn rp_22_a_gateway_that_is_killed_before_it_settles_loses_no_event() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream);
    let mut gateway = Gateway::start(&config);
    let delivery = Delivery::fresh();
    upstream.next(Behaviour::never());
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    upstream.wait_for(1);
    gateway.signal("KILL");
    assert!(gateway.wait_exit(SOON).is_some(), "the gateway is gone");
    assert_eq!(client.try_answer(SOON).err(), Some(Missing::Closed));
    // The provider tries again, and the window of the process that is gone does not stand in its way.
    let again = Gateway::start(&config);
    again.ask(delivery.clone()).expect_status(200);
    upstream.last().expect_body(delivery.body());
    assert_eq!(upstream.count(), 2, "forwarded");
    again.ask(delivery).expect_refusal(409, "replayed_event");
}
