//! The upstream's answer comes through as it was given (contract: Relaying). Hostile upstreams, interim answers
//! and answers without a body are in `tests/attacks/up.rs`.

use std::time::Duration;

use crate::support::SOON;
use crate::support::answer::Framing;
use crate::support::behaviour::{Behaviour, Latch, Reply, Step};
use crate::support::cases::Cases;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::Upstream;

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
    let latch = Latch::closed();
    upstream.next(Behaviour(vec![
        Step::ReadBody,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec()),
        Step::Wait(latch.clone()),
        Step::Send(b"after".to_vec()),
    ]));
    let mut client = gateway.connect();
    client.send(Delivery::fresh().bytes());
    let mut seen = Vec::new();
    let came = crate::support::eventually(SOON, || {
        seen.extend(client.take(4096, Duration::from_millis(20)));
        seen.ends_with(b"first")
    });
    latch.open();
    assert!(
        came,
        "the first half did not come before the second: {}",
        String::from_utf8_lossy(&seen)
    );
    assert_eq!(client.take(5, SOON), b"after");
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
fn an_old_client_gets_a_length_or_the_end_of_the_connection() {
    if is_http1_only("HTTP/1.0") {
        return;
    }
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
