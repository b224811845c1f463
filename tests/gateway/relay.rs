//! The upstream's answer comes through as it was given (SPEC 2.10). Hostile upstreams are in `tests/attacks/up.rs`.

use std::time::Duration;

use crate::support::answer::Framing;
use crate::support::behaviour::{Behaviour, Gate, Reply, Step};
use crate::support::cases::Cases;
use crate::support::client::Missing;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON};

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).set("methods", "[\"POST\", \"HEAD\"]");
    let gateway = Gateway::start(&Config::new().route(Route::itellico(&upstream)).route(route));
    (upstream, gateway)
}

#[test]
fn status_headers_and_body_come_through() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for status in [200, 201, 202, 299, 302, 400, 404, 418, 500, 599] {
        cases.case(&status.to_string(), || {
            let reply = Reply::new(status)
                .with("Content-Type", "text/plain")
                .with("Set-Cookie", "a=1")
                .with("Set-Cookie", "b=2")
                .with("Location", "/x?y")
                .with("Retry-After", "7")
                .body(format!("body of {status}"));
            upstream.next(Behaviour::answer(&reply));
            let answer = gateway.ask(Delivery::fresh());
            answer.expect_status(status);
            assert_eq!(answer.headers_named("Set-Cookie"), ["a=1", "b=2"]);
            assert_eq!(answer.header("Content-Type"), Some("text/plain"));
            assert_eq!(answer.header("Location"), Some("/x?y"));
            assert_eq!(answer.header("Retry-After"), Some("7"));
            assert_eq!(answer.body, format!("body of {status}").into_bytes());
            assert!(answer.header("X-Request-Id").is_some(), "{answer}");
        });
    }
    cases.finish();
}

#[test]
fn bodies_of_every_framing_and_size_come_through() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for size in [0, 1, 1000, 65_535, 65_536, 65_537, 3_000_000] {
        let body: Vec<u8> = (0..size)
            .map(|n: usize| n.wrapping_mul(31).to_le_bytes()[0])
            .collect();
        let reply = Reply::new(200).body(body.clone());
        for (name, behaviour) in [
            ("length", Behaviour::answer(&reply)),
            ("chunked", Behaviour::chunked(&reply, 4001)),
            ("close", Behaviour::close_delimited(&reply)),
        ] {
            cases.case(&format!("{size} by {name}"), || {
                upstream.next(behaviour);
                let answer = gateway.ask(Delivery::fresh());
                answer.expect_status(200);
                assert!(
                    answer.body == body,
                    "{} bytes came instead of {size}",
                    answer.body.len()
                );
                assert_ne!(
                    answer.framing,
                    Framing::Close,
                    "HTTP/1.1 clients can be told where a body ends"
                );
            });
        }
    }
    cases.finish();
}

#[test]
fn an_answer_streams_while_the_upstream_still_sends() {
    let (upstream, gateway) = start();
    let gate = Gate::closed();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec()),
        Step::Wait(gate.clone()),
        Step::Send(b"after".to_vec()),
    ]));
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    let mut seen = Vec::new();
    let came = crate::support::eventually(SOON, || {
        seen.extend(client.take(4096, Duration::from_millis(20)));
        seen.ends_with(b"first")
    });
    gate.open();
    assert!(
        came,
        "the first half did not come before the second: {}",
        String::from_utf8_lossy(&seen)
    );
    assert_eq!(client.take(5, SOON), b"after");
}

#[test]
fn answers_that_have_no_body_have_none() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    let mut client = gateway.connect();
    for raw in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    ] {
        cases.case(raw, || {
            upstream.next(Behaviour::raw(raw));
            let answer = client.ask(Delivery::fresh().bytes());
            assert_eq!(answer.framing, Framing::None);
            assert!(
                answer.headers_named("Transfer-Encoding").is_empty(),
                "{answer}"
            );
            assert!(
                answer
                    .header("Content-Length")
                    .is_none_or(|length| answer.status == 304 && length == "0"),
                "{answer}"
            );
        });
    }
    cases.case("HEAD keeps the length and sends nothing", || {
        upstream.next(Behaviour::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 55\r\nX-A: b\r\n\r\n",
        ));
        client.send(Delivery::plain("").method("HEAD").bytes());
        let answer = client.answer_to_head();
        answer.expect_status(200);
        assert_eq!(answer.header("X-A"), Some("b"));
        assert!(
            answer
                .header("Content-Length")
                .is_none_or(|length| length == "55"),
            "{answer}"
        );
    });
    cases.case("the connection is still in step", || {
        client.ask(Delivery::fresh().bytes()).expect_status(200)
    });
    cases.finish();
}

#[test]
fn refusals_of_head_requests_have_no_body_either() {
    let (_upstream, gateway) = start();
    let mut client = gateway.connect();
    client.send(
        Delivery::plain("")
            .method("HEAD")
            .without("X-Signature")
            .bytes(),
    );
    let answer = client.answer_to_head();
    answer.expect_status(401);
    crate::support::answer::check_gateway_answer(&answer);
    client.finish();
    client.expect_closed();
}

#[test]
fn an_answer_that_breaks_off_never_looks_complete() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for (name, raw) in [
        (
            "length",
            &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..],
        ),
        (
            "chunked",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
        (
            "in a chunk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
        ),
    ] {
        cases.case(name, || {
            upstream.next(Behaviour::raw_then_close(raw));
            let delivery = Delivery::fresh();
            let mut client = gateway.connect();
            client.send(delivery.bytes());
            let missing = client.try_answer(SOON);
            assert!(
                matches!(missing, Err(Missing::Truncated(_) | Missing::Closed)),
                "{missing:?}"
            );
            // The head said 2xx, so the event is done.
            gateway.ask(delivery).expect_refusal(409, "replayed_event");
        });
    }
    cases.finish();
}

#[test]
fn interim_answers_are_not_relayed() {
    let (upstream, gateway) = start();
    upstream.next(Behaviour::raw(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ));
    let answer = gateway.ask(Delivery::fresh());
    answer.expect_status(200);
    assert_eq!(answer.body, b"ok");
    assert!(answer.header("Link").is_none(), "{answer}");
}

#[test]
fn a_client_that_left_does_not_change_the_outcome() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    for (name, status) in [("done", 200), ("released", 500)] {
        cases.case(name, || {
            let gate = Gate::closed();
            let before = upstream.requests().len();
            upstream.next(Behaviour::answer_after(&gate, &Reply::new(status)));
            let delivery = Delivery::fresh();
            let mut client = gateway.connect();
            client.send(delivery.bytes());
            upstream.wait_for(before + 1);
            client.reset();
            gate.open();
            let signature = delivery.value("X-Webhook-Signature-256");
            assert!(!signature.is_empty());
            let id = upstream
                .last()
                .header("X-Verigate-Event-Id")
                .expect("an event id");
            gateway.wait_for_log(LATE, |line| line["event_id"] == id.as_str());
            let retry = gateway.ask(delivery);
            if status == 200 {
                retry.expect_refusal(409, "replayed_event")
            } else {
                retry.expect_status(200)
            }
        });
    }
    cases.finish();
}

#[test]
fn an_old_client_gets_a_length_or_the_end_of_the_connection() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    let reply = Reply::new(200).body("x".repeat(9000));
    for (name, behaviour) in [
        ("length", Behaviour::answer(&reply)),
        ("chunked", Behaviour::chunked(&reply, 1000)),
        ("close", Behaviour::close_delimited(&reply)),
    ] {
        cases.case(name, || {
            upstream.next(behaviour);
            let mut client = gateway.connect();
            let answer = client.ask(
                Delivery::fresh()
                    .request_line("POST /webhooks/itellico HTTP/1.0")
                    .bytes(),
            );
            answer.expect_status(200);
            assert!(
                answer.framing != Framing::Chunked,
                "HTTP/1.0 knows no chunks: {answer}"
            );
            assert_eq!(answer.body.len(), 9000);
            client.expect_closed();
        });
    }
    cases.finish();
}

#[test]
fn an_answer_that_is_broken_from_its_first_piece_is_a_502() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    let broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n".to_vec();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(broken),
        Step::Close,
    ]));
    gateway
        .ask(Delivery::fresh())
        .expect_refusal(502, "upstream_failed");
}
