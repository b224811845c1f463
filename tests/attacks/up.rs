//! UP: the upstream's side, over the socket. UP-13 waits for TLS; UP-14 (an upstream that is the gateway itself) is
//! refused at the start, so it is CF-07 in `tests/cli/run.rs`.
//!
//! The whole table of heads that are refused (UP-01, UP-02, UP-05) is in `src/wire/response/tests.rs`.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use std::time::Duration;

use crate::stage::Stage;
use crate::support::answer::{Answer, Framing};
use crate::support::behaviour::{Behaviour, Latch, Reply, Step};
use crate::support::cases::Cases;
use crate::support::client::Missing;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of};
use crate::support::transport::is_http1_only;
use crate::support::{LATE, SOON};

/// What the client gets for one good delivery when the upstream does this; exactly one request has been forwarded.
#[track_caller]
fn outcome(stage: &Stage, behaviour: Behaviour) -> Result<Answer, Missing> {
    let before = stage.upstream.count();
    stage.upstream.next(behaviour);
    let mut client = stage.gateway.connect();
    client.send(Delivery::fresh().bytes());
    let outcome = client.try_answer(SOON);
    assert_eq!(stage.upstream.count(), before + 1, "forwarded requests");
    outcome
}

/// A good delivery gets its own answer, over a new upstream connection.
#[track_caller]
fn expect_fresh_connection(stage: &Stage) {
    let used = stage.upstream.last().connection;
    stage
        .upstream
        .next(Behaviour::answer(&Reply::new(200).body("its own")));
    let answer = stage.gateway.ask(Delivery::fresh());
    answer.expect_status(200);
    assert_eq!(answer.body, b"its own");
    assert_ne!(
        stage.upstream.last().connection,
        used,
        "the connection was used again"
    );
}

#[track_caller]
fn expect_failed(stage: &Stage, raw: impl Into<Vec<u8>>) {
    let answer = outcome(stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
    answer.expect_refusal(502, "upstream_failed");
    expect_fresh_connection(stage);
}

/// The answer breaks off: it began, and it does not look complete.
#[track_caller]
fn expect_broken(stage: &Stage, behaviour: Behaviour) {
    match outcome(stage, behaviour) {
        Err(missing) if missing.is_broken_off() => expect_fresh_connection(stage),
        other => panic!("not broken off: {other:?}"),
    }
}

#[test]
fn up_01_an_answer_of_ambiguous_framing_is_a_failure() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, raw) in [
        (
            "length and chunked",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked and length",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        (
            "gzip without chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        ),
        (
            "chunked twice",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
    ] {
        cases.case(name, || expect_failed(&stage, raw));
    }
    cases.finish();
}

#[test]
fn up_02_an_answer_that_is_no_http_is_a_failure() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, raw) in [
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        (
            "negative length",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ),
        (
            "a list of lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
        ),
        (
            "a length with a plus",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        ),
        ("status 99", "HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n"),
        (
            "status 1000",
            "HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n",
        ),
        ("version 2", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("garbage", "\x01\x02\x03garbage\r\n\r\n"),
        ("no version", "200 OK\r\n\r\n"),
    ] {
        cases.case(name, || expect_failed(&stage, raw));
    }
    let chunked = |rest: &str| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n{rest}")
    };
    for (name, rest) in [
        ("bad chunk size", "zz\r\nhello\r\n0\r\n\r\n"),
        ("chunk lines ended by LF", "5\nhello\n0\n\n"),
        ("line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ] {
        // Broken in what came together with the head, so nothing of the answer has been written yet.
        cases.case(name, || expect_failed(&stage, chunked(rest)));
    }
    cases.case("no last chunk", || {
        expect_broken(&stage, Behaviour::raw_then_close(chunked("")));
    });
    cases.finish();
}

#[test]
fn up_03_bytes_behind_an_answer_reach_nobody() {
    let stage = Stage::new();
    let poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let mut cases = Cases::new();
    for (name, extra) in [("some", b"extra".as_slice()), ("a whole answer", poison)] {
        cases.case(name, || {
            let raw = [Reply::new(200).body("hello").bytes().as_slice(), extra].concat();
            let answer =
                outcome(&stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
            assert_eq!(answer.body, b"hello");
            expect_fresh_connection(&stage);
        });
    }
    cases.case("behind a chunked answer", || {
        let raw = [
            Reply::new(200).body("hello").chunked_bytes(2).as_slice(),
            poison,
        ]
        .concat();
        let answer =
            outcome(&stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
        assert_eq!(answer.body, b"hello");
        expect_fresh_connection(&stage);
    });
    cases.finish();
}

#[test]
fn up_04_an_answer_that_nobody_asked_for_is_not_the_next_ones() {
    let stage = Stage::new();
    let mut client = stage.gateway.connect();
    for _ in 0..5 {
        client.ask(Delivery::fresh().bytes()).expect_status(200);
        stage
            .upstream
            .send_unasked(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        stage
            .upstream
            .next(Behaviour::answer(&Reply::new(200).body("its own")));
        let answer = client.ask(Delivery::fresh().bytes());
        answer.expect_status(200);
        assert_eq!(answer.body, b"its own");
    }
    assert_eq!(stage.upstream.count(), 10);
}

#[test]
fn up_05_no_header_of_the_upstream_splits_our_answer() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    for (name, line) in [
        ("bare CR", "X-A: a\rEvil: 1"),
        ("bare LF", "X-A: a\nEvil: 1"),
        ("zero", "X-A: a\0b"),
        ("folded", "X-A: a\r\n Evil: 1"),
        ("space before the colon", "Evil : 1"),
    ] {
        let raw = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok");
        cases.case(name, || expect_failed(&stage, raw));
    }
    cases.finish();
}

#[test]
fn up_06_hop_by_hop_headers_are_not_relayed() {
    let stage = Stage::new();
    let names = [
        "X-Foo",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "Upgrade",
        "TE",
        "Trailer",
    ];
    let reply = names.iter().fold(
        Reply::new(200).with("Connection", "X-Foo"),
        |reply, name| reply.with(name, "1"),
    );
    let answer = outcome(&stage, Behaviour::answer(&reply.with("X-Kept", "1")))
        .unwrap_or_else(|m| panic!("{m}"));
    answer.expect_status(200);
    for name in names {
        assert!(answer.headers_named(name).is_empty(), "{name} in {answer}");
    }
    assert!(
        !answer
            .headers_named("Connection")
            .iter()
            .any(|value| value.contains("Foo")),
        "{answer}"
    );
    assert_eq!(answer.header("X-Kept"), Some("1"));
}

#[test]
fn up_07_a_switch_of_protocols_is_a_failure() {
    let stage = Stage::new();
    let raw =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    expect_failed(&stage, raw);
    if is_http1_only("upgrades") {
        return;
    }
    let mut client = stage.gateway.connect();
    stage.upstream.next(Behaviour::raw(raw));
    let asked = Delivery::fresh()
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade");
    client
        .ask(asked.bytes())
        .expect_refusal(502, "upstream_failed");
}

#[test]
fn up_08_interim_answers_are_skipped() {
    let stage = Stage::new();
    let raw = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
               HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let answer = outcome(&stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
    answer.expect_status(200);
    assert_eq!(answer.body, b"ok");
    assert!(answer.header("Link").is_none(), "{answer}");
}

#[test]
fn up_09_an_answer_ended_by_the_connection_is_whole_only_when_it_ended_well() {
    let stage = Stage::new();
    let mut cases = Cases::new();
    let reply = Reply::new(200).body("x".repeat(100_000));
    cases.case("whole", || {
        let answer = outcome(&stage, Behaviour::close_delimited(&reply))
            .unwrap_or_else(|missing| panic!("{missing}"));
        assert_eq!(answer.body.len(), 100_000);
    });
    cases.case("HTTP/1.0", || {
        let raw = "HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nold";
        let answer = outcome(&stage, Behaviour::raw_then_close(raw))
            .unwrap_or_else(|missing| panic!("{missing}"));
        assert_eq!(answer.body, b"old");
    });
    cases.case("cut by a reset", || {
        let latch = Latch::closed();
        stage.upstream.next(Behaviour(vec![
            Step::ReadBody,
            Step::Send(b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec()),
            Step::Wait(latch.clone()),
            Step::Reset,
        ]));
        let mut client = stage.gateway.connect();
        client.send(Delivery::fresh().bytes());
        // The reset comes once the answer has begun to arrive: a reset discards what has not been read.
        let mut answer = client.take(1, SOON);
        latch.open();
        answer.extend(
            client
                .rest(SOON)
                .unwrap_or_else(|rest| panic!("still open after {} bytes", rest.len())),
        );
        assert!(
            answer.starts_with(b"HTTP/") && !answer.ends_with(b"0\r\n\r\n"),
            "{answer:?}"
        );
    });
    cases.finish();
}

/// The write of the request was told of the reset, and the reads after it saw an end in order.
#[test]
fn up_09_an_answer_cut_by_a_reset_while_its_request_is_sent_is_not_whole() {
    let stage = Stage::with(|upstream| {
        let route = Route::itellico(upstream).set("max_body", "\"16MiB\"");
        Config::new()
            .route(route)
            .server("max_buffered", "\"256MiB\"")
    });
    let half = || Step::Send(b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec());
    let mut cases = Cases::new();
    for (name, pause) in [("at once", 0), ("once its answer was read", 300)] {
        cases.case(name, || {
            let pause = Step::Pause(Duration::from_millis(pause));
            let cut = Behaviour(vec![half(), pause, Step::Reset]);
            stage.upstream.next(cut);
            let mut client = stage.gateway.connect();
            // Larger than what fits on its way to an upstream that does not read.
            client.send(Delivery::of(event_of(12 << 20)).bytes());
            match client.try_answer(SOON) {
                Err(missing) if missing.is_broken_off() => {}
                // The reset came before the answer was read.
                Ok(answer) if answer.status == 502 => {}
                other => panic!("not broken off: {other:?}"),
            }
        });
    }
    cases.case("an answer that ended in order is whole", || {
        stage.upstream.next(Behaviour(vec![half(), Step::Finish]));
        let answer = stage.gateway.ask(Delivery::of(event_of(12 << 20)));
        answer.expect_status(200);
        assert_eq!(answer.body, b"half");
    });
    cases.finish();
}

#[test]
fn up_10_bodies_where_none_belongs_are_not_relayed() {
    let stage = Stage::with(|upstream| {
        let plain = Route::plain(upstream).set("methods", "[\"POST\", \"HEAD\"]");
        Config::new().route(Route::itellico(upstream)).route(plain)
    });
    let mut client = stage.gateway.connect();
    let mut cases = Cases::new();
    for (name, raw, length, is_reused) in [
        ("204", "HTTP/1.1 204 No Content\r\n\r\n", None, true),
        (
            "204 with a body",
            "HTTP/1.1 204 X\r\nContent-Length: 4\r\n\r\nbody",
            None,
            false,
        ),
        (
            "304",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            None,
            true,
        ),
        (
            "304 with a body",
            "HTTP/1.1 304 X\r\nContent-Length: 4\r\n\r\nbody",
            Some("4"),
            false,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 55\r\nETag: \"x\"\r\n\r\n",
            Some("55"),
            true,
        ),
        (
            "HEAD with a body",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
            Some("4"),
            false,
        ),
    ] {
        cases.case(name, || {
            stage.upstream.next(Behaviour::raw(raw));
            let answer = if name.starts_with("HEAD") {
                client.send(Delivery::plain(name).method("HEAD").bytes());
                client.answer_to_head()
            } else {
                client.ask(Delivery::fresh().bytes())
            };
            assert!(raw.contains(&format!(" {} ", answer.status)), "{answer}");
            assert_eq!(answer.framing, Framing::None);
            assert_eq!(answer.header("Content-Length"), length, "{answer}");
            assert_eq!(
                answer.header("ETag").is_some(),
                raw.contains("ETag"),
                "{answer}"
            );
            assert!(
                answer.headers_named("Transfer-Encoding").is_empty(),
                "{answer}"
            );
            // Anything of the body would come before the next answer.
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            let requests = stage.upstream.requests();
            let [.., first, second] = requests.as_slice() else {
                panic!("two requests")
            };
            assert_eq!(
                first.connection == second.connection,
                is_reused,
                "whether the connection was used again"
            );
        });
    }
    cases.case("half of a length", || {
        let raw = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
            "x".repeat(50)
        );
        expect_broken(&stage, Behaviour::raw_then_close(raw));
        let requests = stage.upstream.requests();
        let id = requests[requests.len() - 2]
            .header("X-Verigate-Event-Id")
            .expect("an event id");
        let log = stage
            .gateway
            .wait_for_log(SOON, |line| line["event_id"] == id.as_str());
        assert_eq!(log["outcome"], "upstream_failed", "{log}");
    });
    cases.finish();
}

#[test]
fn up_11_an_early_answer_counts() {
    let stage = Stage::with(|upstream| {
        let route = Route::itellico(upstream).set("max_body", "\"16MiB\"");
        Config::new()
            .route(route)
            .server("max_buffered", "\"256MiB\"")
    });
    let early = |status| Step::Send(Reply::new(status).with("Connection", "close").bytes());
    let mut cases = Cases::new();
    for (name, end) in [
        ("200 and closes", vec![early(200), Step::Finish]),
        // The pause lets the answer be read before the reset that unread bytes bring about.
        (
            "200 and resets",
            vec![
                early(200),
                Step::Pause(Duration::from_millis(300)),
                Step::Reset,
            ],
        ),
    ] {
        cases.case(name, || {
            let delivery = Delivery::of(event_of(900 << 10));
            stage.upstream.next(Behaviour(end));
            stage.gateway.ask(delivery.clone()).expect_status(200);
            stage
                .gateway
                .ask(delivery)
                .expect_refusal(409, "replayed_event");
        });
    }
    cases.case("413 and resets at once", || {
        let delivery = Delivery::of(event_of(900 << 10));
        stage
            .upstream
            .next(Behaviour(vec![early(413), Step::Reset]));
        let answer = stage.gateway.ask(delivery.clone());
        // A reset discards what was not read yet: the 413 is relayed if it was read before.
        if answer.status != 413 {
            answer.expect_refusal(502, "upstream_failed");
        }
        stage.gateway.ask(delivery).expect_status(200);
    });
    // Larger than what fits on its way to an upstream that does not read.
    let large = Delivery::of(event_of(12 << 20));
    let send = |latch: &Latch, answer: Step, then: Vec<Step>| {
        stage.upstream.next(Behaviour(
            [vec![answer, Step::Wait(latch.clone())], then].concat(),
        ));
        let mut client = stage.gateway.connect();
        client.send(large.bytes());
        client
    };
    cases.case("413 while the request is still being sent", || {
        let latch = Latch::closed();
        send(&latch, early(413), vec![Step::Finish])
            .answer()
            .expect_status(413);
        latch.open();
    });
    cases.case(
        "200 while the request is still being sent: the claim will say that the app got all of it",
        || {
            let latch = Latch::closed();
            let head =
                Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec());
            let end = Step::Send(b"2\r\nok\r\n0\r\n\r\n".to_vec());
            let mut client = send(&latch, head, vec![Step::ReadBody, end]);
            assert!(
                !client.has_heard(Duration::from_millis(100)),
                "answered before the request was sent"
            );
            latch.open();
            let answer = client.answer_within(LATE);
            answer.expect_status(200);
            assert_eq!(answer.body, b"ok");
            stage.upstream.last().expect_body(large.body());
        },
    );
    cases.finish();
}

#[test]
fn up_12_the_upstreams_headers_pass_but_for_the_gateways_own() {
    let stage = Stage::new();
    let reply = Reply::new(200)
        .with("X-Verigate-Verdict", "spoofed")
        .with("X_Verigate_Route", "spoofed")
        .with("X-Request-Id", "spoofed")
        .with("SERVER", "mine/1")
        .with("Set-Cookie", "a=b; HttpOnly");
    let answer =
        outcome(&stage, Behaviour::answer(&reply)).unwrap_or_else(|missing| panic!("{missing}"));
    answer.expect_status(200);
    assert_eq!(answer.header("Server"), Some("mine/1"));
    assert_eq!(answer.header("Set-Cookie"), Some("a=b; HttpOnly"));
    assert!(answer.header("X-Request-Id").is_some());
    assert!(!answer.to_string().contains("spoofed"), "{answer}");
    let large = Reply::new(200).with("X-Large", &"v".repeat(200_000));
    let answer =
        outcome(&stage, Behaviour::answer(&large)).unwrap_or_else(|missing| panic!("{missing}"));
    answer.expect_refusal(502, "upstream_failed");
    stage.gateway.expect_serving();
}
