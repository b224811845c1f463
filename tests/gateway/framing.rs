//! Requests are read however they are framed and cut, and forwarded with rebuilt framing (SPEC 2.1 and 2.8). What must
//! be refused is in `tests/attacks`.

use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, chunk};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&Config::for_upstream(&upstream));
    (upstream, gateway)
}

#[test]
fn every_legal_framing_becomes_one_exact_length() {
    let (upstream, gateway) = start();
    let extended = |delivery: Delivery| {
        let size = format!("{:x};name=value;q=\"a b\"\r\n", delivery.body().len());
        let payload = [size.as_bytes(), delivery.body(), b"\r\n0;last\r\n\r\n"].concat();
        delivery.chunked_as(payload)
    };
    let padded = |delivery: Delivery| {
        let size = format!("{:010X}\r\n", delivery.body().len());
        let payload = [size.as_bytes(), delivery.body(), b"\r\n00\r\n\r\n"].concat();
        delivery.chunked_as(payload)
    };
    let trailed = |delivery: Delivery| {
        let mut payload = chunk(delivery.body(), false);
        payload.extend_from_slice(b"0\r\nX-Checksum: abc\r\nX-Other:\r\n\r\n");
        delivery.chunked_as(payload)
    };
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("length", Delivery::fresh()),
        ("chunked", Delivery::fresh().chunked()),
        ("chunks of one byte", Delivery::fresh().chunked_by(1)),
        ("extensions", extended(Delivery::fresh())),
        ("leading zeros and upper case", padded(Delivery::fresh())),
        ("trailers", trailed(Delivery::fresh())),
        (
            "odd case of names",
            Delivery::fresh()
                .chunked()
                .without("Transfer-Encoding")
                .with("tRANSFER-eNCODING", "CHUNKED"),
        ),
    ] {
        cases.case(name, || {
            gateway.ask(delivery.clone()).expect_status(200);
            let request = upstream.last();
            request.expect_body(delivery.body());
            assert!(
                !request.has("X-Checksum") && !request.has("Trailer") && !request.has("Expect"),
                "{request}"
            );
            assert_eq!(request.version, "HTTP/1.1");
        });
    }
    cases.finish();
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let (upstream, gateway) = start();
    let mut cases = Cases::new();
    let length = Delivery::fresh().bytes().len();
    // Two writes with an answerable wait between them would cost a pause each; every seventh place finds the same faults.
    for at in (1..length).step_by(7) {
        cases.case(&format!("cut at {at}"), || {
            let delivery = Delivery::fresh();
            let bytes = delivery.bytes();
            let mut client = gateway.connect();
            client.send(&bytes[..at]);
            assert!(
                !client.has_heard(std::time::Duration::from_millis(3)),
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
fn pipelined_deliveries_are_answered_in_order_or_the_connection_closes() {
    let (upstream, gateway) = start();
    let deliveries = [
        Delivery::fresh(),
        Delivery::fresh().chunked_by(9),
        Delivery::fresh(),
    ];
    let mut client = gateway.connect();
    client.send(
        deliveries
            .iter()
            .flat_map(Delivery::bytes)
            .collect::<Vec<u8>>(),
    );
    client.answer().expect_status(200);
    let mut answered = 1;
    while let Ok(answer) = client.try_answer(std::time::Duration::from_secs(2)) {
        answer.expect_status(200);
        answered += 1;
        if answered == deliveries.len() {
            break;
        }
    }
    let requests = upstream.requests();
    assert_eq!(
        requests.len(),
        answered,
        "one answer for each request that was forwarded"
    );
    for (request, delivery) in requests.iter().zip(&deliveries) {
        request.expect_body(delivery.body());
    }
    if answered < deliveries.len() {
        client.expect_closed();
    }
}

#[test]
fn http_1_0_is_served_and_the_connection_closed() {
    let (upstream, gateway) = start();
    let delivery = Delivery::fresh()
        .request_line("POST /webhooks/itellico HTTP/1.0")
        .with("Connection", "keep-alive");
    let mut client = gateway.connect();
    let answer = client.ask(delivery.bytes());
    answer.expect_status(200);
    client.expect_closed();
    upstream.last().expect_body(delivery.body());
}

#[test]
fn empty_lines_before_a_second_request_are_skipped() {
    let (_upstream, gateway) = start();
    let mut client = gateway.connect();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    client.send(b"\r\n");
    client.ask(Delivery::fresh().bytes()).expect_status(200);
}
