//! SM: framing and request smuggling over HTTP/1.

use std::time::Duration;

use crate::stage::{Stage, expect_no_more, expect_rejected};
use crate::support::SOON;
use crate::support::cases::Cases;
use crate::support::client::Missing;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, chunk, event, event_of};
use crate::support::now;

/// What a desynchronised server would take for a request.
const SMUGGLED: &[u8] = b"GET /webhooks/itellico HTTP/1.1\r\nHost: a\r\n\r\n";

/// The pause that SM-22, SM-23 and SM-25 demand as part of what is sent.
const PAUSE: Duration = Duration::from_millis(300);

/// A good delivery whose first chunk has this size line (`{}` stands for the right size) and this end of data.
fn first_chunk(size_line: &str, data_end: &[u8]) -> Delivery {
    let delivery = Delivery::fresh();
    let size = format!("{:x}", delivery.body().len());
    let line = size_line.replace("{}", &size);
    let payload = [line.as_bytes(), delivery.body(), data_end, b"0\r\n\r\n"].concat();
    delivery.chunked_as(payload)
}

/// A good delivery in one good chunk, ended by these bytes.
fn last_chunk(end: impl AsRef<[u8]>) -> Delivery {
    let delivery = Delivery::fresh();
    let payload = [chunk(delivery.body(), false), end.as_ref().to_vec()].concat();
    delivery.chunked_as(payload)
}

fn rejects_all(rows: Vec<(&str, Delivery)>) {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, delivery) in rows {
        cases.case(name, || stage.rejects(delivery));
    }
    cases.finish();
}

#[test]
fn sm_01_content_length_beside_chunked_is_refused() {
    let payload = [b"0\r\n\r\n", SMUGGLED].concat();
    Stage::new().rejects(
        Delivery::fresh()
            .with("Transfer-Encoding", "chunked")
            .payload(payload),
    );
}

#[test]
fn sm_02_chunked_before_content_length_is_refused() {
    Stage::new().rejects(Delivery::fresh().chunked().with("Content-Length", "4"));
}

#[test]
fn sm_03_a_transfer_encoding_other_than_chunked_is_refused() {
    let coded = |value: &[u8]| {
        Delivery::fresh()
            .chunked()
            .without("Transfer-Encoding")
            .with("Transfer-Encoding", value)
    };
    rejects_all(vec![
        (
            "xchunked with a length",
            Delivery::fresh().with("Transfer-Encoding", "xchunked"),
        ),
        ("chunked, identity", coded(b"chunked, identity")),
        (
            "a second line identity",
            Delivery::fresh()
                .chunked()
                .with("Transfer-Encoding", "identity"),
        ),
        ("quoted", coded(b"\"chunked\"")),
        ("with a parameter", coded(b"chunked;q=1")),
        ("vertical tab behind", coded(b"chunked\x0b")),
        ("no-break space before", coded(b"\xa0chunked")),
        (
            "empty, with a length",
            Delivery::fresh().with("Transfer-Encoding", ""),
        ),
        (
            "space before the colon",
            Delivery::fresh()
                .chunked()
                .without("Transfer-Encoding")
                .with_line("Transfer-Encoding : chunked"),
        ),
        (
            "space before the colon, with a length",
            Delivery::fresh().with_line("Transfer-Encoding : chunked"),
        ),
        (
            "HTTP/1.0",
            Delivery::fresh()
                .chunked()
                .request_line("POST /webhooks/itellico HTTP/1.0"),
        ),
    ]);
}

#[test]
fn sm_04_more_than_one_chunked_is_refused() {
    let stage = Stage::new();
    let coded = |value: &str| {
        Delivery::fresh()
            .chunked()
            .without("Transfer-Encoding")
            .with("Transfer-Encoding", value)
    };
    let mut cases = Cases::new();
    for value in [
        "identity, chunked",
        "chunked, chunked",
        ", chunked",
        "chunked,",
    ] {
        cases.case(value, || stage.rejects(coded(value)));
    }
    cases.case("gzip, chunked", || {
        stage.rejects_or(&[501], coded("gzip, chunked"))
    });
    cases.case("two lines", || {
        stage.rejects(
            Delivery::fresh()
                .chunked()
                .with("Transfer-Encoding", "chunked"),
        )
    });
    cases.finish();
}

#[test]
fn sm_05_an_alias_of_a_framing_header_is_refused() {
    rejects_all(vec![
        (
            "Transfer_Encoding",
            Delivery::fresh().with("Transfer_Encoding", "chunked"),
        ),
        (
            "Content_Length",
            Delivery::fresh().with("Content_Length", "5"),
        ),
        (
            "Content.Length",
            Delivery::fresh().with("Content.Length", "5"),
        ),
    ]);
}

#[test]
fn sm_06_chunked_is_known_in_any_case() {
    let stage = Stage::new();
    let delivery = Delivery::fresh()
        .chunked()
        .without("Transfer-Encoding")
        .with("Transfer-Encoding", "ChUnKeD");
    stage.accepts(delivery.clone()).expect_body(delivery.body());
}

#[test]
fn sm_07_a_content_length_that_is_no_number_is_refused() {
    let stage = Stage::new();
    let length = Delivery::fresh().body().len();
    let mut cases = Cases::new();
    cases.case("two different lines", || {
        stage.rejects(Delivery::fresh().with("Content-Length", (length + 1).to_string()));
    });
    for value in [
        format!("{length}, {}", length + 1),
        format!("{length},"),
        format!("+{length}"),
        "-1".to_owned(),
        "0x10".to_owned(),
        "1 2".to_owned(),
        "2.0".to_owned(),
        "2e0".to_owned(),
        String::new(),
        "\u{662}".to_owned(),
        "18446744073709551616".to_owned(),
    ] {
        cases.case(&format!("{value:?}"), || {
            stage.rejects(Delivery::fresh().set("Content-Length", &value))
        });
    }
    cases.finish();
}

#[test]
fn sm_08_a_content_length_said_twice_or_padded_is_refused() {
    let length = Delivery::fresh().body().len();
    rejects_all(vec![
        (
            "two equal lines",
            Delivery::fresh().with("Content-Length", length.to_string()),
        ),
        (
            "an equal list",
            Delivery::fresh().set("Content-Length", format!("{length}, {length}")),
        ),
        (
            "leading zeros",
            Delivery::fresh().set("Content-Length", format!("000{length}")),
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
fn sm_10_a_chunk_extension_with_line_feed_or_zero_is_refused() {
    rejects_all(vec![
        ("line feed", first_chunk("{};a\nb\r\n", b"\r\n")),
        ("zero", first_chunk("{};\0x\r\n", b"\r\n")),
        (
            "line feed in quotes",
            first_chunk("{};a=\"\n\"\r\n", b"\r\n"),
        ),
        ("line feed in the last chunk", last_chunk(b"0;a\nb\r\n\r\n")),
    ]);
}

#[test]
fn sm_11_chunk_lines_are_judged_strictly() {
    let length = Delivery::fresh().body().len();
    rejects_all(vec![
        (
            "bare CR in an extension",
            first_chunk("{};a\rb\r\n", b"\r\n"),
        ),
        ("size line ended by LF", first_chunk("{}\n", b"\r\n")),
        ("data ended by LF", first_chunk("{}\r\n", b"\n")),
        ("data ended by other bytes", first_chunk("{}\r\n", b"XX")),
        ("all ended by LF", {
            let delivery = Delivery::fresh();
            let payload = [
                format!("{length:x}\n").as_bytes(),
                delivery.body(),
                b"\n0\n\n",
            ]
            .concat();
            delivery.chunked_as(payload)
        }),
        ("minus", first_chunk("-{}\r\n", b"\r\n")),
        ("plus", first_chunk("+{}\r\n", b"\r\n")),
        ("hex prefix", first_chunk("0x{}\r\n", b"\r\n")),
        ("underscore", first_chunk("0_{}\r\n", b"\r\n")),
        ("leading space", first_chunk(" {}\r\n", b"\r\n")),
        (
            "17 digits",
            first_chunk(&format!("{length:017x}\r\n"), b"\r\n"),
        ),
        (
            "17 digits that overflow",
            first_chunk("10000000000000002\r\n", b"\r\n"),
        ),
        ("16 times f", first_chunk("ffffffffffffffff\r\n", b"\r\n")),
        ("trailer line ended by LF", last_chunk(b"0\r\nX: y\n\r\n")),
        ("last line ended by LF", last_chunk(b"0\r\n\n")),
        ("last chunk ended by LF", last_chunk(b"0\n\r\n")),
    ]);
}

#[test]
fn sm_12_a_chunk_size_without_a_digit_is_refused() {
    rejects_all(vec![
        ("an empty line for a size", last_chunk(b"\r\n\r\n")),
        ("an extension without a size", last_chunk(b";x\r\n\r\n")),
        ("space behind the size", first_chunk("{} \r\n", b"\r\n")),
        ("tab behind the size", first_chunk("{}\t\r\n", b"\r\n")),
    ]);
}

#[test]
fn sm_13_legal_chunk_lines_and_trailers_are_read_and_dropped() {
    let stage = Stage::new();
    let length = Delivery::fresh().body().len();
    let mut cases = Cases::new();
    for (name, delivery) in [
        ("ten digits", first_chunk(&format!("{length:010x}\r\n"), b"\r\n")),
        ("sixteen digits", first_chunk(&format!("{length:016x}\r\n"), b"\r\n")),
        ("an extension", first_chunk("{};name=value-of-it-all\r\n", b"\r\n")),
        (
            "trailers",
            last_chunk(
                b"0\r\nX-Verigate-Event-Id: x\r\nContent-Length: 5\r\nX-Webhook-Signature-256: 00\r\nX-Any: z\r\n\r\n",
            ),
        ),
    ] {
        cases.case(name, || {
            let signature = delivery.value("X-Webhook-Signature-256");
            let request = stage.accepts(delivery.clone());
            request.expect_body(delivery.body());
            assert_eq!(request.header("X-Webhook-Signature-256"), Some(signature));
            assert_ne!(request.header("X-Verigate-Event-Id").as_deref(), Some("x"));
            assert!(!request.has("X-Any"), "{request}");
        });
    }
    cases.finish();
}

#[test]
fn sm_14_a_chunk_declared_above_the_limit_is_refused_at_its_size_line() {
    let delivery = Delivery::fresh();
    Stage::new().refuses(
        delivery.chunked_as(b"7fffffff\r\n{}".to_vec()),
        413,
        "body_too_large",
    );
}

#[test]
fn sm_15_chunk_extensions_are_limited() {
    let many = {
        let delivery = Delivery::of(event_of(600));
        let extension = "x".repeat(200);
        let mut payload = Vec::new();
        for byte in delivery.body() {
            payload.extend_from_slice(format!("1;{extension}\r\n").as_bytes());
            payload.extend_from_slice(&[*byte, b'\r', b'\n']);
        }
        payload.extend_from_slice(b"0\r\n\r\n");
        delivery.chunked_as(payload)
    };
    rejects_all(vec![
        (
            "9,000 bytes on one chunk",
            first_chunk(&format!("{{}};{}\r\n", "x".repeat(9000)), b"\r\n"),
        ),
        ("over 64 KiB on all chunks", many),
    ]);
}

#[test]
fn sm_16_trailers_that_are_no_fields_are_refused() {
    rejects_all(vec![
        (
            "no colon, and a zero",
            last_chunk(b"0\r\nfoo bar \0 baz\r\n\r\n"),
        ),
        ("no colon", last_chunk(b"0\r\nfoo\r\n\r\n")),
        ("folded", last_chunk(b"0\r\nX: a\r\n b\r\n\r\n")),
        ("space before the colon", last_chunk(b"0\r\nX : a\r\n\r\n")),
    ]);
}

#[test]
fn sm_17_trailers_are_limited() {
    let line = format!("X-Trailer: {}\r\n", "v".repeat(1000));
    Stage::new().rejects(last_chunk(format!("0\r\n{}\r\n", line.repeat(70))));
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
            match client.try_answer(SOON) {
                Ok(answer) => {
                    assert!((400..500).contains(&answer.status), "{answer}");
                    client.expect_closed();
                }
                Err(missing) => assert_eq!(missing, Missing::Closed),
            }
            stage.expect_forwarded(before, 0);
            stage.accepts(whole);
        });
    }
    cases.finish();
}

#[test]
fn sm_20_bytes_after_a_head_without_a_length_are_no_body_and_no_request() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    let unframed = || Delivery::fresh().without("Content-Length");
    for (name, request) in [
        ("the body", unframed()),
        ("a request", unframed().payload(SMUGGLED)),
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
    let stage = Stage::new();
    let mut client = stage.gateway.connect();
    let first = Delivery::fresh();
    client.send([first.bytes().as_slice(), SMUGGLED].concat());
    client.answer().expect_status(200);
    match client.try_answer(SOON) {
        Ok(answer) => answer.expect_refusal(405, "method_not_allowed"),
        Err(missing) => assert_eq!(missing, Missing::Closed),
    }
    stage.upstream.last().expect_body(first.body());
    stage.expect_forwarded(1, 0);

    let mut client = stage.gateway.connect();
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    std::thread::sleep(PAUSE);
    client.ask(Delivery::fresh().bytes()).expect_status(200);
    assert_eq!(stage.upstream.count(), 4);
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
    let stage = Stage::new();
    let before = stage.upstream.count();
    let request = Delivery::at(event(), now() - 400)
        .with("Expect", "100-continue")
        .set("Content-Length", SMUGGLED.len().to_string());
    let mut client = stage.gateway.connect();
    client
        .ask(request.head())
        .expect_refusal(401, "stale_timestamp");
    std::thread::sleep(Duration::from_secs(1));
    client.send(SMUGGLED);
    client.expect_closed();
    stage.expect_forwarded(before, 0);
}

#[test]
fn sm_26_nothing_after_a_framing_error_is_trusted() {
    let stage = Stage::new();
    let before = stage.upstream.count();
    let mut request = Delivery::fresh().chunked_as(b"zz\r\n".to_vec()).bytes();
    request.extend_from_slice(&Delivery::fresh().bytes());
    let mut client = stage.gateway.connect();
    client.send(request);
    expect_rejected(&mut client, &[]);
    stage.expect_forwarded(before, 0);
}
