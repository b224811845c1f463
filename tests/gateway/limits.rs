//! Time, size and number: what a slow, large or numerous peer gets, on either side (contract: Head, Body, Relaying; the
//! catalogue's class RX).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::Value;

use crate::support::behaviour::{Behaviour, Reply, Step};
use crate::support::cases::Cases;
use crate::support::client::{Client, Missing};
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{Deadline, LATE, SOON, eventually};

/// Between two bytes of a slow peer: shorter than each limit below, so that a limit per read would never strike.
const PAUSE: Duration = Duration::from_millis(150);

/// Sends these bytes in 40 pieces, slowly, until the gateway refuses them for their time and closes the connection.
#[track_caller]
fn expect_given_up(client: &mut Client, bytes: &[u8], code: &str) {
    let mut pieces = bytes.chunks(bytes.len().div_ceil(40));
    let refused = pieces
        .by_ref()
        .any(|piece| !client.send(piece) || client.has_heard(PAUSE));
    assert!(
        refused && pieces.next().is_some(),
        "all pieces were taken at {PAUSE:?} each"
    );
    client.answer().expect_refusal(408, code);
    client.finish();
    client.expect_closed();
}

#[test]
fn rx_01_rx_02_rx_03_head_and_body_have_one_time_limit_each_in_all() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[
            ("head_timeout", "\"1s\""),
            ("body_timeout", "\"1s\""),
            ("idle_timeout", "\"30s\""),
        ],
    );
    // All of them wait at the same time.
    let mut cases = Cases::new();
    std::thread::scope(|scope| {
        let head = scope.spawn(|| {
            if is_http1_only("heads that come byte by byte") {
                return;
            }
            expect_given_up(
                &mut gateway.connect(),
                &Delivery::fresh().head(),
                "head_timeout",
            );
        });
        let silence = scope.spawn(|| gateway.connect().expect_closed());
        let second_head = scope.spawn(|| {
            let mut client = gateway.connect();
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            if is_http1_only("heads that come byte by byte") {
                return;
            }
            expect_given_up(&mut client, &Delivery::fresh().head(), "head_timeout");
        });
        let body = |delivery: Delivery| {
            let mut client = gateway.connect();
            client.send(delivery.head());
            expect_given_up(
                &mut client,
                &delivery.bytes()[delivery.head().len()..],
                "body_timeout",
            );
        };
        // Fast enough for the lowest rate that is taken.
        let by_length = scope.spawn(move || body(Delivery::of(event_of(20_000))));
        let by_chunks = scope.spawn(move || body(Delivery::of(event_of(20_000)).chunked_by(100)));
        for (name, peer) in [
            ("RX-01 a head", head),
            ("RX-01 silence", silence),
            ("RX-02 a second head", second_head),
            ("RX-03 a body by its length", by_length),
            ("RX-03 a body in chunks", by_chunks),
        ] {
            cases.case(name, || {
                peer.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            });
        }
    });
    cases.finish();
    assert_eq!(upstream.count(), 1);
    let returned = eventually(SOON, || {
        gateway.metrics().value("verigate_buffered_bytes", &[]) == 0.0
    });
    assert!(returned, "the buffer budget was not returned");
    gateway.expect_serving();
}

#[test]
fn rx_03_a_body_slower_than_a_kib_a_second_is_given_up_before_its_limit() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("body_timeout", "\"120s\"")]);
    let mut client = gateway.connect();
    let delivery = Delivery::of(event_of(4000));
    client.send(delivery.head());
    // At most 30 s of bytes; the rate is judged over 5 s.
    let sent = client.drip(&delivery.body()[..200], PAUSE);
    assert!(sent < 200, "all {sent} bytes were taken at {PAUSE:?} each");
    client.answer().expect_refusal(408, "body_timeout");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn rx_04_stalled_bodies_hold_what_they_sent_and_not_what_they_announced() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[("max_buffered", "\"4MiB\""), ("body_timeout", "\"2s\"")],
    );
    let mut stalled: Vec<Client> = (0..200)
        .map(|_| {
            let mut client = gateway.connect();
            let delivery = Delivery::fresh().set("Content-Length", "900000");
            client.send(delivery.head());
            client.send(b"{");
            client
        })
        .collect();
    for _ in 0..50 {
        gateway
            .ask(Delivery::of(event_of(65536)))
            .expect_status(200);
    }
    let mut cases = Cases::new();
    // One deadline for all of them together: they began together.
    let deadline = Deadline::after(LATE);
    for (number, client) in stalled.iter_mut().enumerate() {
        cases.case(&format!("stalled connection {number}"), || {
            client
                .answer_within(deadline.left())
                .expect_refusal(408, "body_timeout");
        });
    }
    cases.finish();
    assert_eq!(upstream.count(), 50);
    assert!(eventually(SOON, || gateway
        .metrics()
        .value("verigate_buffered_bytes", &[])
        == 0.0));
}

#[test]
fn rx_04_one_address_may_hold_a_quarter_of_the_budget() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("max_buffered", "\"4MiB\"")]);
    let greedy = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let hold = || {
        let mut client = Client::connect_from(greedy, gateway.addr());
        client.send(Delivery::of(event_of(1_000_000)).head());
        client.send(&event_of(1_000_000)[..300_000]);
        client
    };
    let mut held: Vec<Client> = (0..3).map(|_| hold()).collect();
    let charged = eventually(SOON, || {
        gateway.metrics().value("verigate_buffered_bytes", &[]) >= 900_000.0
    });
    assert!(charged, "{}", gateway.metrics().text);
    held.push(hold());
    let refused = eventually(SOON, || {
        held.iter_mut().any(|client| {
            client
                .try_answer(Duration::from_millis(1))
                .is_ok_and(|answer| {
                    answer.expect_refusal(503, "overloaded");
                    true
                })
        })
    });
    assert!(refused, "1.2 MB of a 4 MiB budget were held by one address");
    gateway
        .ask(Delivery::of(event_of(600_000)))
        .expect_status(200);
    drop(held);
    assert!(eventually(SOON, || gateway
        .metrics()
        .value("verigate_buffered_bytes", &[])
        == 0.0));
    Client::connect_from(greedy, gateway.addr())
        .ask(Delivery::fresh().bytes())
        .expect_status(200);
}

#[test]
fn rx_04_behind_a_trusted_proxy_each_client_has_a_quarter_of_its_own() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[
            ("max_buffered", "\"4MiB\""),
            ("trusted_proxies", "[\"127.0.0.1/32\"]"),
        ],
    );
    let of = |client: &str, bytes| Delivery::of(event_of(bytes)).with("X-Forwarded-For", client);
    let (greedy, other) = ("192.0.2.1", "192.0.2.2");
    let mut held = gateway.connect();
    held.send(of(greedy, 1_000_000).head());
    held.send(&event_of(1_000_000)[..900_000]);
    let charged = eventually(SOON, || {
        gateway.metrics().value("verigate_buffered_bytes", &[]) >= 900_000.0
    });
    assert!(charged, "{}", gateway.metrics().text);
    // The proxy brings both clients over one connection.
    let mut proxy = gateway.connect();
    proxy.ask(of(other, 600_000).bytes()).expect_status(200);
    proxy
        .ask(of(greedy, 600_000).bytes())
        .expect_refusal(503, "overloaded");
}

#[test]
fn rx_05_connections_above_the_limit_are_turned_away_and_places_come_back() {
    if is_http1_only("answers without a request") {
        return;
    }
    let upstream = Upstream::start();
    // A trusted proxy may have all of them; the share of another client is in `shares`.
    let gateway = Gateway::start_for(
        &upstream,
        &[
            ("max_connections", "10"),
            ("trusted_proxies", "[\"127.0.0.1/32\"]"),
        ],
    );
    let mut open: Vec<Client> = (0..10).map(|_| gateway.connect()).collect();
    for client in &mut open {
        client.send(b"POST /webhooks/itellico HTTP/1.1\r\n");
    }
    // The next one is the eleventh only once all ten are counted.
    let counted = eventually(SOON, || {
        gateway.metrics().value("verigate_open_connections", &[]) > 9.5
    });
    assert!(counted, "ten connections are not ten open ones");
    let mut extra = gateway.connect();
    extra.answer().expect_refusal(503, "overloaded");
    extra.expect_closed();
    drop(open);
    let again = eventually(SOON, || {
        let mut client = gateway.connect();
        client.send(Delivery::fresh().bytes());
        client
            .try_answer(SOON)
            .is_ok_and(|answer| answer.status == 200)
    });
    assert!(again, "the places did not come back");
}

#[test]
fn rx_06_a_hundred_thousand_chunks_of_one_byte_are_one_body() {
    if is_http1_only("chunks of one byte") {
        return;
    }
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[]);
    let delivery = Delivery::of(event_of(100_000)).chunked_by(1);
    let mut client = gateway.connect();
    client.send(delivery.bytes());
    client.answer_within(LATE).expect_status(200);
    upstream.last().expect_body(delivery.body());
}

#[test]
fn rx_07_a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::new().route(Route::itellico(&upstream).set("max_body", "\"10KiB\"")),
    );
    let limit = 10 * 1024;
    let mut cases = Cases::new();
    cases.case("at the limit", || {
        gateway
            .ask(Delivery::of(event_of(limit)))
            .expect_status(200);
    });
    cases.case("at the limit, chunked", || {
        gateway
            .ask(Delivery::of(event_of(limit)).chunked_by(999))
            .expect_status(200);
    });
    cases.case("one more, by its head alone", || {
        let mut client = gateway.connect();
        client
            .ask(Delivery::of(event_of(limit + 1)).head())
            .expect_refusal(413, "body_too_large");
        client.finish();
        client.expect_closed();
    });
    cases.case("one more, chunked", || {
        let mut client = gateway.connect();
        let delivery = Delivery::of(event_of(limit + 1)).chunked_by(1000);
        let bytes = delivery.bytes();
        // Without the last chunk: the answer must not wait for the end.
        client
            .ask(&bytes[..bytes.len() - 5])
            .expect_refusal(413, "body_too_large");
        client.finish();
        client.expect_closed();
    });
    cases.finish();
    assert_eq!(upstream.count(), 2);
    gateway.expect_serving();
}

#[test]
fn rx_08_a_head_that_cannot_be_proved_is_refused_before_its_body() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[]);
    let unsigned = Delivery::of(event_of(1_048_576)).without("X-Webhook-Signature-256");
    let malformed = Delivery::of(event_of(1_048_576)).set("X-Webhook-Signature-256", "abc");
    gateway
        .connect()
        .ask(malformed.head())
        .expect_refusal(401, "malformed_signature");
    let mut clients: Vec<Client> = (0..50).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(unsigned.head());
    }
    for client in &mut clients {
        client.answer().expect_refusal(401, "missing_signature");
    }
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn rx_09_a_client_that_takes_nothing_loses_its_answer_and_the_event_is_done() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[("write_timeout", "\"1s\"")]);
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Step::Repeat(chunk, 1000),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]));
    let delivery = Delivery::fresh();
    let mut client = Client::connect_with_small_window(gateway.addr());
    client.send(delivery.bytes());
    let id = upstream.wait_for(1)[0]
        .header("X-Verigate-Event-Id")
        .expect("an event id");
    let log = gateway.wait_for_log(LATE, |line| line["event_id"] == id.as_str());
    assert_eq!(log["outcome"], "client_gone", "{log}");
    gateway.ask(delivery).expect_refusal(409, "replayed_event");
    assert!(
        client.try_answer(LATE).is_err(),
        "a cut answer looks complete"
    );
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rx_10_the_upstream_has_one_time_limit_in_all() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(
        &Config::new().route(Route::itellico(&upstream).set("upstream_timeout", "\"1s\"")),
    );
    let bytes = Reply::new(200).body("x".repeat(100)).bytes();
    let (head, body) = bytes.split_at(bytes.len() - 100);
    let slow_body = vec![
        Step::ReadBody,
        Step::Send(head.to_vec()),
        Step::Drip(body.to_vec(), PAUSE),
    ];
    let interim = vec![
        Step::ReadBody,
        Step::Drip(b"HTTP/1.1 102 P\r\n\r\n".repeat(9), PAUSE),
    ];
    let late = [
        ("never answers", Behaviour::never()),
        ("drips its head", Behaviour::drip(&Reply::new(200), PAUSE)),
        ("interim answers only", Behaviour(interim)),
    ];
    let behaviours: Vec<_> = late
        .iter()
        .cloned()
        .chain([("drips its body", Behaviour(slow_body))])
        .collect();
    // The case is named by a header that nothing signs: the retry, which has none, is answered.
    upstream.behave_by(move |request| {
        let case = request.header("X-Case").unwrap_or_default();
        let found = behaviours.iter().find(|(name, _)| *name == case);
        found.map_or_else(
            || Behaviour::status(200),
            |(_, behaviour)| behaviour.clone(),
        )
    });
    let mut cases = Cases::new();
    std::thread::scope(|scope| {
        let ask = |name: &'static str| {
            let delivery = Delivery::fresh();
            let mut client = gateway.connect();
            client.send(delivery.clone().with("X-Case", name).bytes());
            (client.try_answer(SOON), delivery)
        };
        let slow_body = scope.spawn(move || ask("drips its body"));
        let late: Vec<_> = late
            .iter()
            .map(|(name, _)| (*name, scope.spawn(move || ask(name))))
            .collect();
        for (name, peer) in late {
            cases.case(name, || {
                let (answer, delivery) = peer.join().expect("an asking thread");
                let answer = answer.unwrap_or_else(|missing| panic!("{missing}"));
                answer.expect_refusal(504, "upstream_timeout");
                assert_eq!(gateway.log_of(&answer)["outcome"], "upstream_timeout");
                gateway.ask(delivery).expect_status(200);
            });
        }
        cases.case("drips its body", || {
            let (answer, delivery) = slow_body.join().expect("an asking thread");
            assert!(matches!(answer, Err(Missing::Truncated(_))), "{answer:?}");
            // Its head said 2xx, so the event is done.
            gateway.ask(delivery).expect_refusal(409, "replayed_event");
            let is_late = |line: &Value| {
                line["upstream_status"] == 200 && line["outcome"] == "upstream_timeout"
            };
            gateway.wait_for_log(SOON, is_late);
            assert!(gateway.says("its answer did not end within `upstream_timeout`"));
        });
    });
    cases.finish();
}

#[test]
fn rx_11_an_upstreams_head_is_bounded() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[]);
    let lines = |count: usize, line: &str| format!("HTTP/1.1 200 OK\r\n{}", line.repeat(count));
    let mut cases = Cases::new();
    for (name, behaviour) in [
        (
            "endless head",
            Behaviour(vec![
                Step::ReadBody,
                Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
                Step::Repeat(
                    b"X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".to_vec(),
                    1_000_000,
                ),
            ]),
        ),
        (
            "300 headers",
            Behaviour::raw(lines(300, "X-A: b\r\n") + "Content-Length: 0\r\n\r\n"),
        ),
        (
            "2 MB head",
            Behaviour::raw(
                lines(1, &format!("X-A: {}\r\n", "b".repeat(2_000_000)))
                    + "Content-Length: 0\r\n\r\n",
            ),
        ),
        (
            "10,000 interim answers",
            Behaviour::raw(
                "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(10_000)
                    + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
        ),
    ] {
        cases.case(name, || {
            upstream.next(behaviour);
            let delivery = Delivery::fresh();
            gateway
                .ask(delivery.clone())
                .expect_refusal(502, "upstream_failed");
            gateway.ask(delivery).expect_status(200);
        });
    }
    cases.finish();
}

/// The app was said not to have answered.
#[test]
fn rx_12_an_answer_that_its_client_takes_too_slowly_is_not_the_fault_of_the_upstream() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set("upstream_timeout", "\"1s\"");
    let gateway = Gateway::start(&Config::new().route(route));
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 134217728\r\n\r\n".to_vec()),
        Step::Repeat(vec![b'x'; 1 << 20], 128),
    ]));
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    let is_logged = || {
        client.take(16 * 1024, SOON);
        !gateway.log_lines().is_empty()
    };
    assert!(eventually(LATE, is_logged));
    let log = gateway.wait_for_log(SOON, |_| true);
    assert_eq!(log["outcome"], "client_gone", "{log}");
    assert_eq!(log["upstream_status"], 200, "{log}");
    assert!(!gateway.stderr().contains("upstream_timeout"));
}

#[test]
fn rx_12_a_large_answer_streams_in_little_memory() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set("upstream_timeout", "\"120s\"");
    let gateway = Gateway::start(&Config::new().route(route));
    gateway.expect_serving();
    let before = gateway.resident_bytes();
    let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 0x10_0000], b"\r\n"].concat();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Step::Repeat(chunk, 128),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]));
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    client.finish();
    let mut taken = 0;
    let mut most = before;
    loop {
        let piece = client.take(1 << 20, SOON);
        taken += piece.len();
        most = most.max(gateway.resident_bytes());
        if piece.len() < 1 << 20 {
            break;
        }
    }
    assert!(taken > 128 << 20, "{taken} bytes came");
    assert!(
        most < before + (32 << 20),
        "resident memory grew from {before} to {most}"
    );
}

#[test]
fn rx_13_an_upstream_that_refuses_connections_costs_no_event() {
    let upstream = Upstream::start();
    let port = ClosedPort::take();
    let gateway = Gateway::start(
        &Config::new().route(Route::itellico(&upstream).set("upstream", &text(&port.url()))),
    );
    let mut client = gateway.connect();
    let delivery = Delivery::fresh();
    for _ in 0..20 {
        let answer = client.ask(delivery.bytes());
        answer.expect_refusal(502, "upstream_unreachable");
        if answer.closes() {
            client = gateway.connect();
        }
    }
}

#[test]
fn rx_15_thousands_of_headers_are_refused() {
    if is_http1_only("an answer to a head above 64 KiB that is not that of the protocol") {
        return;
    }
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(&upstream, &[]);
    let many = (0..5000).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("A{n}"), "b")
    });
    gateway.ask(many).expect_refusal(431, "headers_too_large");
    assert_eq!(upstream.count(), 0);
    gateway.expect_serving();
}

#[test]
fn the_limits_of_a_head_can_be_set() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_for(
        &upstream,
        &[("max_head", "\"4KiB\""), ("max_headers", "20")],
    );
    gateway
        .ask(Delivery::fresh().with("X-Long", "v".repeat(5000)))
        .expect_refusal(431, "headers_too_large");
    let many = (0..20).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("A{n}"), "b")
    });
    gateway.ask(many).expect_refusal(431, "headers_too_large");
    let few = (0..16).fold(Delivery::fresh(), |delivery, n| {
        delivery.with(&format!("A{n}"), "b")
    });
    gateway.ask(few).expect_status(200);
}
