//! What still comes after an early refusal (contract: Log line; RX-30): it is discarded, within bounds, so that the
//! sender reads the answer instead of a reset.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

const MIB: usize = 1 << 20;

/// A delivery that its head alone refuses, and that announces a body of `length` bytes.
fn refused_head(length: usize) -> Vec<u8> {
    let head = Delivery::of(event())
        .without("X-Webhook-Signature-256")
        .head();
    let announced = format!("Content-Length: {}\r\n", event().len());
    let text = String::from_utf8(head).unwrap_or_default();
    text.replace(&announced, &format!("Content-Length: {length}\r\n"))
        .into_bytes()
}

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set("max_body", "\"64MiB\"");
    let gateway = Gateway::start(&Config::new().route(route));
    (upstream, gateway)
}

fn expect_all_closed(gateway: &Gateway) {
    let open = || gateway.metrics().value("verigate_open_connections", &[]);
    assert!(eventually(SOON, || open() < 0.5), "{} are open", open());
    gateway.expect_serving();
}

#[test]
fn rx_30_a_sender_that_sends_all_of_its_body_reads_the_refusal() {
    if is_http1_only("connections that end with a refusal") {
        return;
    }
    let (_upstream, gateway) = start();
    let body = vec![b'a'; 3 * MIB];
    let mut client = gateway.connect();
    assert!(client.send(refused_head(body.len())));
    client
        .answer_within(LATE)
        .expect_refusal(401, "missing_signature");
    // The gateway has ended its side, and goes on taking what the sender still sends.
    assert_eq!(client.rest(LATE), Ok(Vec::new()));
    for piece in body.chunks(MIB / 4) {
        assert!(
            client.send(piece),
            "the connection was reset while the body was sent"
        );
    }
    client.finish();
    expect_all_closed(&gateway);
}

#[test]
fn rx_30_a_sender_that_falls_silent_or_drips_or_never_ends_is_left() {
    if is_http1_only("connections that end with a refusal") {
        return;
    }
    let (_upstream, gateway) = start();
    let refused = || -> Client {
        let mut client = gateway.connect();
        assert!(client.send(refused_head(60 * MIB)));
        client
            .answer_within(LATE)
            .expect_refusal(401, "missing_signature");
        client
    };
    // Whoever falls silent holds its connection for half a second, and not until it ends it.
    let silent = refused();
    expect_all_closed(&gateway);
    drop(silent);
    // A byte now and then, each before the silence is too long: two seconds in all.
    let mut drips = refused();
    let goes_on = || drips.send([b'a']);
    assert!(!drip(goes_on), "bytes are still taken");
    expect_all_closed(&gateway);
    // A body without end: a few MiB in all, of which the system's buffers hold some as well.
    let mut floods = refused();
    let piece = vec![b'a'; MIB];
    let taken = (0..60).take_while(|_| floods.send(&piece)).count();
    assert!(taken < 60, "{taken} MiB were taken");
    expect_all_closed(&gateway);
}

/// Calls `send` every tenth of a second until it fails; whether it never failed.
fn drip(mut send: impl FnMut() -> bool) -> bool {
    !eventually(LATE, || {
        std::thread::sleep(Duration::from_millis(100));
        !send()
    })
}
