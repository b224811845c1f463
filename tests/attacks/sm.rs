//! SM: framing and request smuggling over HTTP/1, over the socket.
//!
//! SM-01 to SM-17 are one row for each kind of oddity here. The tables with every row are those of the functions that
//! judge heads and chunks: `src/wire/head/tests/mod.rs` and `src/wire/chunked/tests.rs`.

use std::time::Duration;

use crate::stage::{Stage, expect_no_answer, expect_no_more, expect_rejected};
use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, chunk, event, event_of};
use crate::support::now;
use crate::support::transport::is_http1_only;

/// What a desynchronised server would take for a request.
const SMUGGLED: &[u8] = b"GET /webhooks/itellico HTTP/1.1\r\nHost: a\r\n\r\n";

/// A pause that is part of what SM-22, SM-23 and SM-25 send: what comes before it must be read by itself.
const PAUSE: Duration = Duration::from_millis(300);

/// A good delivery whose first chunk has this size line (`{}` stands for the right size) and this end of data.
fn first_chunk(size_line: &str, data_end: &[u8]) -> Delivery {
    let delivery = Delivery::fresh();
    let size = format!("{:x}", delivery.body().len());
    let line = size_line.replace("{}", &size);
    let chunks = [line.as_bytes(), delivery.body(), data_end, b"0\r\n\r\n"].concat();
    delivery.chunked_as(chunks)
}

/// A good delivery in one good chunk, ended by these bytes.
fn last_chunk(end: impl AsRef<[u8]>) -> Delivery {
    let delivery = Delivery::fresh();
    let chunks = [chunk(delivery.body(), false), end.as_ref().to_vec()].concat();
    delivery.chunked_as(chunks)
}

#[test]
fn framing_that_two_readers_could_see_differently_is_rejected() {
    let fresh = Delivery::fresh;
    let length = fresh().body().len();
    let smuggling = [b"0\r\n\r\n", SMUGGLED].concat();
    let coded = |value: &[u8]| {
        fresh()
            .chunked()
            .without("Transfer-Encoding")
            .with("Transfer-Encoding", value)
    };
    let many_extensions = {
        let delivery = Delivery::of(event_of(600));
        let line = format!("1;{}\r\n", "x".repeat(200));
        let chunks: Vec<u8> = delivery
            .body()
            .iter()
            .flat_map(|byte| [line.as_bytes(), &[*byte, b'\r', b'\n']].concat())
            .collect();
        delivery.chunked_as([&chunks, b"0\r\n\r\n".as_slice()].concat())
    };
    Stage::new().rejects_all([
        (
            "SM-01",
            fresh()
                .with("Transfer-Encoding", "chunked")
                .with_body(smuggling),
        ),
        ("SM-02", fresh().chunked().with("Content-Length", "4")),
        (
            "SM-03 xchunked with a length",
            fresh().with("Transfer-Encoding", "xchunked"),
        ),
        ("SM-03 chunked, identity", coded(b"chunked, identity")),
        (
            "SM-03 a second line identity",
            fresh().chunked().with("Transfer-Encoding", "identity"),
        ),
        ("SM-03 vertical tab behind", coded(b"chunked\x0b")),
        (
            "SM-03 empty, with a length",
            fresh().with("Transfer-Encoding", ""),
        ),
        (
            "SM-03 space before the colon",
            fresh().with_line("Transfer-Encoding : chunked"),
        ),
        (
            "SM-03 HTTP/1.0",
            fresh()
                .chunked()
                .request_line("POST /webhooks/itellico HTTP/1.0"),
        ),
        ("SM-04 identity, chunked", coded(b"identity, chunked")),
        ("SM-04 gzip, chunked", coded(b"gzip, chunked")),
        (
            "SM-04 two lines",
            fresh().chunked().with("Transfer-Encoding", "chunked"),
        ),
        (
            "SM-05 an alias of the coding",
            fresh().with("Transfer_Encoding", "chunked"),
        ),
        (
            "SM-05 an alias of the length",
            fresh().with("Content_Length", "5"),
        ),
        (
            "SM-07 two lengths",
            fresh().with("Content-Length", (length + 1).to_string()),
        ),
        (
            "SM-07 a list",
            fresh().set("Content-Length", format!("{length}, {}", length + 1)),
        ),
        (
            "SM-07 plus",
            fresh().set("Content-Length", format!("+{length}")),
        ),
        (
            "SM-07 overflow",
            fresh().set("Content-Length", "18446744073709551616"),
        ),
        (
            "SM-08 two equal lengths",
            fresh().with("Content-Length", length.to_string()),
        ),
        (
            "SM-08 leading zeros",
            fresh().set("Content-Length", format!("000{length}")),
        ),
        (
            "SM-10 line feed in an extension",
            first_chunk("{};a\nb\r\n", b"\r\n"),
        ),
        (
            "SM-10 zero in an extension",
            first_chunk("{};\0x\r\n", b"\r\n"),
        ),
        (
            "SM-11 bare CR in an extension",
            first_chunk("{};a\rb\r\n", b"\r\n"),
        ),
        ("SM-11 size line ended by LF", first_chunk("{}\n", b"\r\n")),
        ("SM-11 data ended by LF", first_chunk("{}\r\n", b"\n")),
        ("SM-11 plus", first_chunk("+{}\r\n", b"\r\n")),
        (
            "SM-11 17 digits",
            first_chunk(&format!("{length:017x}\r\n"), b"\r\n"),
        ),
        (
            "SM-11 trailer line ended by LF",
            last_chunk(b"0\r\nX: y\n\r\n"),
        ),
        ("SM-11 last line ended by LF", last_chunk(b"0\r\n\n")),
        ("SM-12 an empty line for a size", last_chunk(b"\r\n\r\n")),
        (
            "SM-12 space behind the size",
            first_chunk("{} \r\n", b"\r\n"),
        ),
        (
            "SM-15 9,000 bytes on one chunk",
            first_chunk(&format!("{{}};{}\r\n", "x".repeat(9000)), b"\r\n"),
        ),
        ("SM-15 over 64 KiB on all chunks", many_extensions),
        ("SM-16 no field", last_chunk(b"0\r\nfoo bar \0 baz\r\n\r\n")),
        (
            "SM-17 trailers of 70 KiB",
            last_chunk(format!("0\r\n{}\r\n", "X-T: v\r\n".repeat(9_000))),
        ),
    ]);
}

#[test]
fn sm_09_an_absurd_length_is_refused_at_once() {
    let stage = Stage::new();
    let delivery = Delivery::fresh().set("Content-Length", "9223372036854775808");
    stage.refuses(delivery.head(), 413, "body_too_large");
}

#[test]
fn sm_06_sm_13_every_legal_framing_becomes_one_exact_length() {
    let stage = Stage::new();
    let length = Delivery::fresh().body().len();
    let trailers = "X-Verigate-Event-Id: x\r\nContent-Length: 5\r\nX-Webhook-Signature-256: 00\r\nX-Any: z\r\nX-Other:";
    let mut cases = Cases::new().http1_only(
        "codings and chunk lines",
        &[
            "SM-06 any case",
            "SM-13 extensions",
            "SM-13 several zeros and an extension",
        ],
    );
    for (name, delivery) in [
        (
            "SM-06 any case",
            Delivery::fresh()
                .chunked()
                .without("Transfer-Encoding")
                .with("tRANSFER-eNCODING", "ChUnKeD"),
        ),
        (
            "SM-13 ten digits",
            first_chunk(&format!("{length:010X}\r\n"), b"\r\n"),
        ),
        (
            "SM-13 sixteen digits",
            first_chunk(&format!("{length:016x}\r\n"), b"\r\n"),
        ),
        (
            "SM-13 extensions",
            first_chunk("{};name=value;q=\"a b\"\r\n", b"\r\n"),
        ),
        (
            "SM-13 several zeros and an extension",
            last_chunk(b"00;last\r\n\r\n"),
        ),
        (
            "SM-13 trailers",
            last_chunk(format!("0\r\n{trailers}\r\n\r\n")),
        ),
    ] {
        cases.case(name, || {
            let signature = delivery.value("X-Webhook-Signature-256");
            let request = stage.accepts(delivery.clone());
            request.expect_body(delivery.body());
            assert_eq!(request.header("X-Webhook-Signature-256"), Some(signature));
            assert_ne!(request.header("X-Verigate-Event-Id").as_deref(), Some("x"));
            assert!(
                !request.has("X-Any") && !request.has("Trailer"),
                "{request}"
            );
        });
    }
    cases.finish();
}

#[test]
fn sm_14_a_chunk_declared_above_the_limit_is_refused_at_its_size_line() {
    if is_http1_only("sizes of chunks") {
        return;
    }
    let delivery = Delivery::fresh();
    Stage::new().refuses(
        delivery.chunked_as(b"7fffffff\r\n{}".to_vec()),
        413,
        "body_too_large",
    );
}

#[test]
fn sm_18_a_chunked_body_without_its_end_runs_into_the_time_limit() {
    let stage =
        Stage::with(|upstream| Config::for_upstream(upstream).server("body_timeout", "\"1s\""));
    stage.refuses(last_chunk(b"0\r\n"), 408, "body_timeout");
}

#[test]
fn sm_19_a_body_that_is_cut_off_leaves_no_claim() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    let chunked = Delivery::fresh();
    let cut = chunked.clone().chunked_as(chunk(chunked.body(), false));
    let long = Delivery::fresh();
    let longer = long
        .clone()
        .set("Content-Length", (long.body().len() + 10).to_string());
    for (name, request, whole) in [
        ("after one chunk", cut, chunked),
        ("ten bytes short", longer, long),
    ] {
        cases.case(name, || {
            let before = stage.upstream.count();
            let mut client = stage.gateway.connect();
            client.send(request.bytes());
            client.finish();
            // Whoever ends a body half way is gone for the gateway: nobody is left to answer.
            expect_no_answer(&mut client);
            stage.expect_forwarded(before, 0);
            stage.accepts(whole);
        });
    }
    cases.finish();
}

#[test]
fn sm_20_bytes_after_a_head_without_a_length_are_no_body_and_no_request() {
    if is_http1_only("requests that follow each other as bytes") {
        return;
    }
    let stage = Stage::new();
    let mut cases = Cases::new();
    let unframed = || Delivery::fresh().without("Content-Length");
    for (name, request) in [
        ("the body", unframed()),
        ("a request", unframed().with_body(SMUGGLED)),
    ] {
        cases.case(name, || {
            let before = stage.upstream.count();
            let mut client = stage.gateway.connect();
            client
                .ask(request.bytes())
                .expect_refusal(401, "bad_signature");
            client.expect_closed();
            stage.expect_forwarded(before, 0);
        });
    }
    cases.finish();
}

#[test]
fn sm_21_the_body_of_a_refused_method_is_no_request() {
    let stage = Stage::new();
    let hidden = Delivery::fresh().bytes();
    let request = Delivery::of(hidden).method("GET");
    let answer = stage.refuses(request, 405, "method_not_allowed");
    assert_eq!(answer.header("Allow"), Some("POST"));
}

#[test]
fn sm_22_requests_on_one_connection_are_answered_in_order() {
    if is_http1_only("an order of the requests on a connection") {
        return;
    }
    let stage = Stage::new();
    let deliveries = [
        Delivery::fresh(),
        Delivery::fresh().chunked_by(9),
        Delivery::fresh(),
    ];
    let mut client = stage.gateway.connect();
    let pipelined: Vec<u8> = deliveries.iter().flat_map(Delivery::bytes).collect();
    client.send([pipelined.as_slice(), SMUGGLED].concat());
    for _ in &deliveries {
        client.answer().expect_status(200);
    }
    client.answer().expect_refusal(405, "method_not_allowed");
    for (request, delivery) in stage.upstream.requests().iter().zip(&deliveries) {
        request.expect_body(delivery.body());
    }
    stage.expect_forwarded(3, 0);

    let mut client = stage.gateway.connect();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    std::thread::sleep(PAUSE);
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    assert_eq!(stage.upstream.count(), 6);
}

#[test]
fn sm_23_a_body_sent_after_its_refusal_is_no_request() {
    let stage = Stage::new();
    let before = stage.upstream.count();
    let request = Delivery::fresh()
        .without("X-Webhook-Signature-256")
        .set("Content-Length", SMUGGLED.len().to_string());
    let mut client = stage.gateway.connect();
    client.send(request.head());
    std::thread::sleep(PAUSE);
    client.send(SMUGGLED);
    client.answer().expect_refusal(401, "missing_signature");
    expect_no_more(&mut client);
    stage.expect_forwarded(before, 0);
}

#[test]
fn sm_24_a_client_that_goes_on_sending_still_reads_its_refusal() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, size, status, code) in [
        ("1 MiB unsigned", 1 << 20, 401, "missing_signature"),
        ("2 MiB, too large", 2 << 20, 413, "body_too_large"),
    ] {
        cases.case(name, || {
            let before = stage.upstream.count();
            let mut request = Delivery::of(event_of(size));
            if code == "missing_signature" {
                request = request.without("X-Webhook-Signature-256");
            }
            let mut client = stage.gateway.connect();
            client.send(request.head());
            for piece in request.body().chunks(16 * 1024) {
                assert!(
                    client.send(piece),
                    "the connection was reset while the body was still being sent"
                );
            }
            client.answer().expect_refusal(status, code);
            expect_no_more(&mut client);
            stage.expect_forwarded(before, 0);
        });
    }
    cases.finish();
}

#[test]
fn sm_25_a_body_held_back_for_a_refused_expectation_is_no_request() {
    if is_http1_only("requests that follow each other as bytes") {
        return;
    }
    let stage = Stage::new();
    let before = stage.upstream.count();
    let request = Delivery::at(event(), now() - 400)
        .with("Expect", "100-continue")
        .set("Content-Length", SMUGGLED.len().to_string());
    let mut client = stage.gateway.connect();
    client
        .ask(request.head())
        .expect_refusal(401, "stale_timestamp");
    std::thread::sleep(PAUSE);
    client.send(SMUGGLED);
    client.expect_closed();
    stage.expect_forwarded(before, 0);
}

#[test]
fn sm_26_nothing_after_a_framing_error_is_trusted() {
    if is_http1_only("framing errors") {
        return;
    }
    let stage = Stage::new();
    let before = stage.upstream.count();
    let mut request = Delivery::fresh().chunked_as(b"zz\r\n".to_vec()).bytes();
    request.extend_from_slice(&Delivery::fresh().bytes());
    let mut client = stage.gateway.connect();
    expect_rejected(&mut client, request);
    stage.expect_forwarded(before, 0);
}
