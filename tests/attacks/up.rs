//! UP: the upstream's side. UP-13 belongs to TLS.

#![expect(clippy::panic, reason = "test code: a panic is how a test fails")]

use std::net::TcpListener;

use crate::stage::Stage;
use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Reply, Step};
use crate::support::cases::Cases;
use crate::support::client::Missing;
use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::binary;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

/// What the client gets for one good delivery when the upstream does this; exactly one request has been forwarded.
#[track_caller]
fn outcome(stage: &Stage, behaviour: Behaviour) -> Result<Answer, Missing> {
    outcome_of(stage, behaviour, &Delivery::fresh())
}

#[track_caller]
fn outcome_of(stage: &Stage, behaviour: Behaviour, delivery: &Delivery) -> Result<Answer, Missing> {
    let before = stage.upstream.count();
    stage.upstream.next(behaviour);
    let mut client = stage.gateway.connect();
    client.send(delivery.bytes());
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

/// The last two requests came over different connections.
#[track_caller]
fn expect_two_connections(stage: &Stage) {
    let requests = stage.upstream.requests();
    let [.., first, second] = requests.as_slice() else {
        panic!("two requests")
    };
    assert_ne!(
        first.connection, second.connection,
        "a connection with bytes left was used again"
    );
}

#[track_caller]
fn expect_failed(stage: &Stage, raw: impl Into<Vec<u8>>) {
    let answer = outcome(stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
    answer.expect_refusal(502, "upstream_failed");
    expect_fresh_connection(stage);
}

/// Either 502, or an answer that breaks off: never one that looks complete.
#[track_caller]
fn expect_broken(stage: &Stage, behaviour: Behaviour) {
    match outcome(stage, behaviour) {
        Ok(answer) => answer.expect_refusal(502, "upstream_failed"),
        Err(Missing::Closed | Missing::Truncated(_)) => {}
        Err(missing) => panic!("{missing}"),
    }
    expect_fresh_connection(stage);
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
        cases.case(name, || {
            expect_broken(&stage, Behaviour::raw(chunked(rest)))
        });
    }
    cases.case("no last chunk", || {
        expect_broken(&stage, Behaviour::raw_then_close(chunked("")))
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
        cases.case(name, || {
            let raw = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok");
            // The client itself refuses control bytes in a head.
            let answer =
                outcome(&stage, Behaviour::raw(raw)).unwrap_or_else(|missing| panic!("{missing}"));
            if answer.status == 200 {
                assert!(answer.headers_named("Evil").is_empty(), "{answer}");
            } else {
                answer.expect_refusal(502, "upstream_failed");
            }
            stage.gateway.expect_serving();
        });
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
        let behaviour = Behaviour(vec![
            Step::ReadBody,
            Step::Send(b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec()),
            Step::Pause(std::time::Duration::from_millis(200)),
            Step::Reset,
        ]);
        let missing = outcome(&stage, behaviour);
        let broken = match &missing {
            Ok(answer) => answer.status == 502,
            Err(missing) => matches!(missing, Missing::Closed | Missing::Truncated(_)),
        };
        assert!(broken, "{missing:?}");
    });
    cases.finish();
}

#[test]
fn up_10_bodies_where_none_belongs_are_not_relayed() {
    let stage = Stage::with(|upstream| {
        let plain = Route::plain(upstream).set("methods", "[\"POST\", \"HEAD\"]");
        Config::new().route(Route::itellico(upstream)).route(plain)
    });
    let mut cases = Cases::new();
    for status in [204, 304] {
        cases.case(&status.to_string(), || {
            let mut client = stage.gateway.connect();
            stage.upstream.next(Behaviour::raw(format!(
                "HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nbody"
            )));
            client.ask(Delivery::fresh().bytes()).expect_status(status);
            // Anything of the body would stand before the next answer.
            client.ask(Delivery::fresh().bytes()).expect_status(200);
            expect_two_connections(&stage);
        });
    }
    cases.case("HEAD", || {
        let mut client = stage.gateway.connect();
        stage.upstream.next(Behaviour::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        ));
        client.send(Delivery::plain("").method("HEAD").bytes());
        client.answer_to_head().expect_status(200);
        client.ask(Delivery::fresh().bytes()).expect_status(200);
        expect_two_connections(&stage);
    });
    cases.case("half of a length", || {
        let raw = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
            "x".repeat(50)
        );
        let delivery = Delivery::fresh();
        let missing = outcome_of(&stage, Behaviour::raw_then_close(raw), &delivery);
        assert!(
            matches!(missing, Err(Missing::Truncated(_) | Missing::Closed)),
            "{missing:?}"
        );
        let id = stage
            .upstream
            .last()
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
    let mut cases = Cases::new();
    cases.case("200 and closes before the body is read", || {
        let delivery = Delivery::of(event_of(8 << 20));
        let behaviour = Behaviour(vec![
            Step::Send(Reply::new(200).with("Connection", "close").bytes()),
            // Lets the answer be read before the reset that unread bytes bring about.
            Step::Pause(std::time::Duration::from_millis(300)),
            Step::Close,
        ]);
        stage.upstream.next(behaviour);
        let mut client = stage.gateway.connect();
        client.send(delivery.bytes());
        client.answer_within(LATE).expect_status(200);
        stage
            .gateway
            .ask(delivery)
            .expect_refusal(409, "replayed_event");
    });
    cases.case("413 early and resets", || {
        let delivery = Delivery::of(event_of(8 << 20));
        stage.upstream.next(Behaviour(vec![
            Step::Send(Reply::new(413).bytes()),
            Step::Reset,
        ]));
        let mut client = stage.gateway.connect();
        client.send(delivery.bytes());
        let answer = client.answer_within(LATE);
        if answer.status != 413 {
            answer.expect_refusal(502, "upstream_failed");
        }
        stage.gateway.ask(delivery).expect_status(200);
    });
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
    if answer.status == 200 {
        assert_eq!(answer.header("X-Large").map(str::len), Some(200_000));
    } else {
        answer.expect_refusal(502, "upstream_failed");
    }
    stage.gateway.expect_serving();
}

#[test]
fn up_14_an_upstream_that_is_the_gateway_itself_is_refused_at_start() {
    let upstream = Upstream::start();
    // A port that was free a moment ago: the configuration has to name it before the gateway binds it.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    for host in ["127.0.0.1", "localhost"] {
        let config = Config::new()
            .server("listen", &format!("[\"127.0.0.1:{port}\"]"))
            .route(
                Route::itellico(&upstream).set("upstream", &text(&format!("http://{host}:{port}"))),
            );
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("verigate.toml");
        std::fs::write(&file, config.toml()).expect("a file");
        let mut command = binary();
        command.arg("run").arg("--config").arg(&file);
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let mut exit = None;
        let ended = eventually(SOON, || {
            exit = child.try_wait().expect("the child can be asked");
            exit.is_some()
        });
        if !ended {
            child.kill().expect("the child can be ended");
            child.wait().expect("the child ends");
        }
        assert_eq!(
            exit.and_then(|exit| exit.code()),
            Some(2),
            "an upstream at our own port, as {host}"
        );
    }
}
