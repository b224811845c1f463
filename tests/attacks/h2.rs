//! H2: the attacks on HTTP/2. Each leaves the deliveries of others as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::behaviour::{Behaviour, Reply};
use crate::support::cases::Cases;
use crate::support::config::Config;
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::http2::{
    CONTINUATION, Came, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PREFACE,
    PRIORITY, RST_STREAM, SETTINGS, Tls, WINDOW_UPDATE, block, frame, lines_of,
};
use crate::support::upstream::Upstream;
use crate::support::{SOON, eventually};

/// The code by which the gateway ends a connection that asks for too much.
const ENHANCE_YOUR_CALM: u32 = 11;

/// The most by which an attack may raise the memory of the gateway.
const FLAT: u64 = 48 * 1024 * 1024;

struct H2Stage {
    upstream: Upstream,
    gateway: Gateway,
    tls: Tls,
}

fn stage(server: &[(&str, &str)]) -> H2Stage {
    let upstream = Upstream::start();
    let config = server
        .iter()
        .fold(Config::for_upstream(&upstream), |config, (key, value)| {
            config.server(key, value)
        });
    let (gateway, tls) = Tls::start(config);
    H2Stage {
        upstream,
        gateway,
        tls,
    }
}

impl H2Stage {
    /// Runs an attack while others deliver, and checks that they notice nothing and that memory stays flat.
    fn beside_good_traffic(&self, attack: impl FnOnce()) {
        let is_over = Arc::new(AtomicBool::new(false));
        self.gateway.expect_serving();
        self.gateway.forget_peak();
        let before = self.gateway.peak_bytes();
        let mut own = self.tls.client();
        let mut plain = self.gateway.connect();
        let others = std::thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                let mut delivered = 0;
                while !is_over.load(Ordering::Relaxed) || delivered == 0 {
                    plain.ask(Delivery::fresh().bytes()).expect_status(200);
                    assert_eq!(own.ask(&Delivery::fresh()).status, 200);
                    delivered += 1;
                }
            }
        });
        attack();
        is_over.store(true, Ordering::Relaxed);
        assert!(others.join().is_ok(), "the deliveries of others");
        let peak = self.gateway.peak_bytes();
        assert!(
            peak < before + FLAT,
            "{before} bytes before, {peak} at the most"
        );
        self.gateway.expect_serving();
    }
}

/// How the gateway reacts to what a client does on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// It answers.
    Status(u16),
    /// It resets the stream.
    Reset(u32),
    /// It ends the connection.
    End(Option<u32>),
}

fn reaction(frames: &mut Frames, stream: u32) -> Reaction {
    let is_it = |came: &Came| match came.kind {
        HEADERS | RST_STREAM => came.stream == stream,
        kind => kind == GOAWAY,
    };
    match frames.wait_for(SOON, is_it) {
        Some(came) if came.kind == HEADERS => Reaction::Status(came.status()),
        Some(came) if came.kind == RST_STREAM => Reaction::Reset(came.code()),
        Some(came) => Reaction::End(Some(came.code())),
        None => Reaction::End(None),
    }
}

/// Whether the gateway refuses the stream or the connection.
fn is_refused(reaction: Reaction) -> bool {
    match reaction {
        Reaction::Status(status) => status == 400,
        Reaction::Reset(code) => code != 0,
        Reaction::End(code) => code != Some(0),
    }
}

#[test]
fn h2_01_streams_that_are_reset_at_once_end_the_connection() {
    let stage = stage(&[]);
    let lines = lines_of(&Delivery::fresh());
    let overflow = 0x7fff_ffff_u32.to_be_bytes();
    let by_client = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let by_gateway = |stream| frame(WINDOW_UPDATE, 0, stream, &overflow).repeat(2);
    let ways: [&dyn Fn(u32) -> Vec<u8>; 2] = [&by_client, &by_gateway];
    for reset in ways {
        stage.beside_good_traffic(|| {
            let mut frames = stage.tls.open();
            let head = block(&lines);
            for stream in (0..10_000).map(|number| number * 2 + 1) {
                let opened = frame(HEADERS, END_HEADERS, stream, &head);
                if !frames.send([opened, reset(stream)].concat()) {
                    break;
                }
            }
            let mut last = None;
            while let Some(came) = frames.wait_for(SOON, |came| came.kind == GOAWAY) {
                last = Some(came);
            }
            let last = last.expect("it is told why");
            let stream = u32::from_be_bytes(last.payload[..4].try_into().expect("four bytes"));
            assert_eq!(last.code(), ENHANCE_YOUR_CALM);
            assert!(stream < 2000, "stream {stream} was still taken");
        });
    }
}

#[test]
fn h2_02_heads_without_an_end_and_heads_that_unpack_to_much_take_no_memory() {
    let stage = stage(&[]);
    let lines = lines_of(&Delivery::fresh());
    stage.beside_good_traffic(|| {
        let mut frames = stage.tls.open();
        frames.send(frame(HEADERS, 0, 1, &block(&lines)));
        let more = frame(CONTINUATION, 0, 1, &block(&[("x-more", "a".repeat(1000))]));
        for _ in 0..2_000 {
            if !frames.send(&more) {
                break;
            }
        }
        assert!(matches!(frames.end(SOON), Some(1..)));
    });
    stage.beside_good_traffic(|| {
        // An entry of the table, and references to it.
        let value = "a".repeat(3900);
        let mut bomb = block(&lines);
        bomb.extend_from_slice(&block(&[("x-entry", &value)]));
        let entry = bomb.len() - block(&[("x-entry", &value)]).len();
        bomb[entry] = 0x40;
        bomb.extend([0xbe; 12_000]);
        let mut frames = stage.tls.open();
        frames.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
        let found = reaction(&mut frames, 1);
        assert!(
            matches!(found, Reaction::Status(431) | Reaction::End(Some(1..))),
            "{found:?}"
        );
    });
    stage.beside_good_traffic(|| {
        let mut frames = stage.tls.open();
        frames.send(frame(HEADERS, 0, 1, &block(&lines)));
        for number in 0..5 {
            let line = block(&[(format!("x-{number}"), "a".repeat(15_000))]);
            let flags = if number == 4 { END_HEADERS } else { 0 };
            frames.send(frame(CONTINUATION, flags, 1, &line));
        }
        assert_eq!(reaction(&mut frames, 1), Reaction::Status(431));
    });
}

#[test]
fn h2_03_many_small_headers_are_refused_as_in_http_1() {
    let stage = stage(&[]);
    let mut lines = lines_of(&Delivery::fresh());
    lines.extend((0..1500).map(|_| ("a".to_owned(), "b".to_owned())));
    let mut frames = stage.tls.open();
    frames.head(1, &lines, true);
    assert_eq!(reaction(&mut frames, 1), Reaction::Status(431));
    stage.gateway.wait_for_log(SOON, |line| {
        line["verdict"] == "headers_too_large" && line["status"] == 431
    });
}

#[test]
fn h2_04_empty_frames_of_a_body_end_the_connection() {
    let stage = stage(&[]);
    stage.beside_good_traffic(|| {
        let mut frames = stage.tls.open();
        frames.head(1, &lines_of(&Delivery::fresh()), true);
        for _ in 0..1000 {
            if !frames.send(frame(DATA, 0, 1, b"").repeat(10)) {
                break;
            }
        }
        assert_eq!(frames.end(SOON), Some(ENHANCE_YOUR_CALM));
    });
}

#[test]
fn h2_05_pings_and_settings_beyond_one_for_each_request_end_the_connection() {
    let stage = stage(&[]);
    for signal in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, b"")] {
        stage.beside_good_traffic(|| {
            let mut frames = stage.tls.open();
            for _ in 0..1000 {
                if !frames.send(signal.repeat(100)) {
                    break;
                }
            }
            assert_eq!(frames.end(SOON), Some(ENHANCE_YOUR_CALM));
        });
        // Two hundred may be sent: these, the first settings, and their acknowledgement.
        let mut frames = stage.tls.open();
        frames.send(signal.repeat(190));
        let delivery = Delivery::fresh();
        frames.head(1, &lines_of(&delivery), true);
        frames.send(frame(DATA, END_STREAM, 1, delivery.body()));
        assert_eq!(reaction(&mut frames, 1), Reaction::Status(200));
    }
}

#[test]
fn h2_05_frames_that_ask_for_nothing_end_the_connection() {
    let stage = stage(&[]);
    for idle in [
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0x77, 0, 0, b"unknown"),
    ] {
        stage.beside_good_traffic(|| {
            let mut frames = stage.tls.open();
            for _ in 0..1000 {
                if !frames.send(idle.repeat(100)) {
                    break;
                }
            }
            assert_eq!(frames.end(SOON), Some(ENHANCE_YOUR_CALM));
        });
        // What clients send beside their requests passes.
        let mut frames = stage.tls.open();
        frames.send(idle.repeat(990));
        let delivery = Delivery::fresh();
        frames.head(1, &lines_of(&delivery), true);
        frames.send(frame(DATA, END_STREAM, 1, delivery.body()));
        assert_eq!(reaction(&mut frames, 1), Reaction::Status(200));
    }
}

#[test]
fn a_trusted_proxy_may_ping_and_take_back_as_it_likes() {
    let stage = stage(&[("trusted_proxies", "[\"127.0.0.1/32\"]")]);
    let mut frames = stage.tls.open();
    let head = block(&lines_of(&Delivery::fresh()));
    let mut stream = 1;
    for _ in 0..40 {
        for _ in 0..50 {
            frames.send(frame(HEADERS, END_HEADERS, stream, &head));
            frames.send(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            stream += 2;
        }
        let mut pings = frame(PING, 0, 0, &[7; 8]).repeat(9);
        pings.extend(frame(PING, 0, 0, b"the last"));
        frames.send(pings);
        let pong = frames.wait_for(SOON, |came| came.payload == b"the last");
        assert!(pong.is_some(), "the connection ended");
    }
    let delivery = Delivery::fresh();
    frames.head(stream, &lines_of(&delivery), true);
    frames.send(frame(DATA, END_STREAM, stream, delivery.body()));
    assert_eq!(reaction(&mut frames, stream), Reaction::Status(200));
}

#[test]
fn heads_that_come_too_slowly_end_their_connection() {
    let stage = stage(&[("head_timeout", "\"1s\"")]);
    let delivery = Delivery::fresh();
    let head = block(&lines_of(&delivery));
    let whole = frame(HEADERS, END_HEADERS, 3, &head);
    // Within a frame, and between two.
    for part in [&whole[..20], &frame(HEADERS, 0, 3, &head)] {
        let mut frames = stage.tls.open();
        frames.head(1, &lines_of(&delivery), true);
        // Nothing is left to acknowledge.
        frames.wait_for(SOON, |came| came.kind == SETTINGS && came.flags == 1);
        frames.send(part);
        assert_eq!(frames.end(SOON), Some(ENHANCE_YOUR_CALM));
    }
}

#[test]
fn rx_23_a_connection_without_a_place_asks_for_health_alone() {
    let stage = stage(&[("max_connections", "4"), ("health_path", "\"/health\"")]);
    let _own = stage.tls.open();
    // One is read at a time, and another meets a closed door.
    let reaction_to = |delivery: &Delivery| {
        let mut frames = stage.tls.try_connect().ok()?;
        frames.send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat());
        frames.head(1, &lines_of(delivery), true);
        frames.send(frame(DATA, END_STREAM, 1, delivery.body()));
        Some(reaction(&mut frames, 1))
    };
    let is_answered = |delivery: &Delivery, status| {
        eventually(SOON, || {
            reaction_to(delivery) == Some(Reaction::Status(status))
        })
    };
    assert!(is_answered(&Delivery::fresh(), 503));
    assert!(is_answered(
        &Delivery::unsigned("/health", "").method("GET"),
        200
    ));
    assert!(is_answered(&Delivery::fresh(), 503));
    let silent = || {
        let mut frames = stage.tls.try_connect().ok()?;
        frames.send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat());
        frames.end(SOON)
    };
    assert!(
        eventually(SOON, || silent() == Some(0)),
        "it ends after a second"
    );
}

#[test]
fn h2_06_a_client_without_a_window_does_not_hold_its_answer_for_long() {
    let stage = stage(&[("write_timeout", "\"1s\"")]);
    let large = Reply::new(200).body(vec![b'x'; 4_000_000]);
    let delivery = Delivery::fresh();
    stage.beside_good_traffic(|| {
        stage.upstream.behave_by({
            let body = delivery.body().to_vec();
            move |request| {
                if request.body == body {
                    Behaviour::answer(&large)
                } else {
                    Behaviour::status(200)
                }
            }
        });
        let mut frames = stage.tls.connect();
        let none = [0, 4, 0, 0, 0, 0];
        frames.send([PREFACE, &frame(SETTINGS, 0, 0, &none)].concat());
        frames.head(1, &lines_of(&delivery), true);
        frames.send(frame(DATA, END_STREAM, 1, delivery.body()));
        assert_eq!(reaction(&mut frames, 1), Reaction::Status(200));
        assert!(matches!(reaction(&mut frames, 1), Reaction::Reset(1..)));
    });
    let line = stage
        .gateway
        .wait_for_log(SOON, |line| line["outcome"] == "client_gone");
    assert_eq!(line["upstream_status"], 200);
    // Done, whatever became of its answer.
    let copy = stage.gateway.ask(delivery);
    copy.expect_refusal(409, "replayed_event");
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_its_connection_for_long() {
    let stage = stage(&[("write_timeout", "\"1s\"")]);
    stage.upstream.behave(Behaviour::answer(
        &Reply::new(200).body(vec![b'x'; 30_000_000]),
    ));
    let mut frames = stage.tls.connect();
    let wide = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    let all = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &wide),
        &frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()),
    ];
    frames.send(all.concat());
    for number in 0..3 {
        let delivery = Delivery::fresh();
        frames.head(number * 2 + 1, &lines_of(&delivery), true);
        frames.send(frame(DATA, END_STREAM, number * 2 + 1, delivery.body()));
    }
    let open = || {
        stage
            .gateway
            .metrics()
            .value("verigate_open_connections", &[])
    };
    assert!(eventually(SOON, || open() > 0.5));
    assert!(eventually(SOON, || open() < 0.5), "{} connections", open());
    let gone = || {
        let lines = stage.gateway.log_lines();
        let is_gone = |line: &&serde_json::Value| line["outcome"] == "client_gone";
        lines.iter().filter(is_gone).count()
    };
    assert!(eventually(SOON, || gone() == 3), "{}", gone());
}

#[test]
fn h2_07_bodies_that_never_come_hold_no_more_streams_than_there_may_be() {
    let stage = stage(&[("body_timeout", "\"1s\"")]);
    stage.beside_good_traffic(|| {
        let mut frames = stage.tls.open();
        let lines = lines_of(&Delivery::fresh());
        for stream in (0..200).map(|number| number * 2 + 1) {
            assert!(frames.head(stream, &lines, true));
        }
        let (mut refused, mut late) = (0, 0);
        while refused + late < 200 {
            let came = frames
                .wait_for(SOON, |came| matches!(came.kind, RST_STREAM | HEADERS))
                .expect("an answer to each stream");
            match came.kind {
                HEADERS => late += 1,
                // REFUSED_STREAM: a client may send such a request again.
                _ if came.code() == 7 => refused += 1,
                _ => {}
            }
        }
        assert_eq!((refused, late), (100, 100));
    });
    let timed_out = || {
        let lines = stage.gateway.log_lines();
        let is_late = |line: &&serde_json::Value| line["verdict"] == "body_timeout";
        lines.iter().filter(is_late).count()
    };
    assert!(eventually(SOON, || timed_out() == 100), "{}", timed_out());
}

#[test]
fn slow_bodies_in_many_streams_end_in_time() {
    let stage = stage(&[("body_timeout", "\"3s\"")]);
    stage.beside_good_traffic(|| {
        let mut frames = stage.tls.open();
        let lines = lines_of(&Delivery::of(event_of(100_000)));
        let streams: Vec<u32> = (0..100).map(|number| number * 2 + 1).collect();
        for stream in &streams {
            frames.head(*stream, &lines, true);
        }
        for _ in 0..20 {
            for stream in &streams {
                frames.send(frame(DATA, 0, *stream, b"0123456789"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        for _ in streams {
            let came = frames.wait_for(SOON, |came| came.kind == HEADERS);
            assert!(came.is_some(), "each gets an answer");
        }
    });
}

type Lines = Vec<(String, String)>;
type Change = Box<dyn Fn(&mut Lines)>;

fn line(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The lines of a good delivery after a change, and its body.
fn changed(change: impl FnOnce(&mut Lines)) -> (Lines, Vec<u8>) {
    let delivery = Delivery::fresh();
    let mut lines = lines_of(&delivery);
    change(&mut lines);
    (lines, delivery.body().to_vec())
}

fn set(lines: &mut Lines, name: &str, value: &str) {
    for one in lines.iter_mut().filter(|one| one.0 == name) {
        value.clone_into(&mut one.1);
    }
}

/// The reaction to a request of these lines.
fn ask(tls: &Tls, (lines, body): &(Lines, Vec<u8>)) -> Reaction {
    let mut frames = tls.open();
    frames.head(1, lines, true);
    frames.send(frame(DATA, END_STREAM, 1, body));
    reaction(&mut frames, 1)
}

#[test]
fn h2_09_11_12_13_heads_that_are_none_are_refused() {
    let stage = stage(&[]);
    let added = |name: &'static str, value: &'static str| -> Change {
        Box::new(move |lines| lines.push(line(name, value)))
    };
    let replaced = |name: &'static str, value: &'static str| -> Change {
        Box::new(move |lines| set(lines, name, value))
    };
    let without = |name: &'static str| -> Change {
        Box::new(move |lines| lines.retain(|line| line.0 != name))
    };
    let twice = |name: &'static str| -> Change {
        Box::new(move |lines| {
            let at = lines
                .iter()
                .position(|line| line.0 == name)
                .expect("a line");
            let copy = lines[at].clone();
            lines.insert(at, copy);
        })
    };
    let rows: Vec<(&str, Change)> = vec![
        ("H2-09 connection", added("connection", "close")),
        ("H2-09 keep-alive", added("keep-alive", "1")),
        ("H2-09 proxy-connection", added("proxy-connection", "close")),
        (
            "H2-09 transfer-encoding",
            added("transfer-encoding", "chunked"),
        ),
        ("H2-09 upgrade", added("upgrade", "h2c")),
        ("H2-09 te", added("te", "gzip")),
        ("H2-09 CRLF in a value", added("x-a", "b\r\nx-c: d")),
        ("H2-09 CR in a value", added("x-a", "b\rc")),
        ("H2-09 LF in a value", added("x-a", "b\nc")),
        ("H2-09 NUL in a value", added("x-a", "b\0c")),
        ("H2-09 CRLF in a name", added("x-a\r\nx-b", "c")),
        ("H2-09 space in a name", added("x a", "b")),
        ("H2-09 colon in a name", added("x:a", "b")),
        ("H2-09 upper case in a name", added("X-a", "b")),
        ("H2-09 an empty name", added("", "b")),
        ("H2-09 a smaller length", replaced("content-length", "10")),
        ("H2-09 a larger length", replaced("content-length", "1000")),
        ("H2-09 two lengths", added("content-length", "5")),
        (
            "H2-09 a length with a sign",
            replaced("content-length", "+2"),
        ),
        ("H2-09 an empty path", replaced(":path", "")),
        (
            "H2-09 a path without a slash",
            replaced(":path", "webhooks/itellico"),
        ),
        (
            "H2-09 a path with a space",
            replaced(":path", "/webhooks/itellico x"),
        ),
        (
            "H2-09 a path with CRLF",
            replaced(":path", "/webhooks/itellico\r\nx: y"),
        ),
        (
            "H2-09 a path with a tab",
            replaced(":path", "/webhooks/itellico\t"),
        ),
        (
            "H2-09 an absolute URL",
            replaced(":path", "https://a/webhooks/itellico"),
        ),
        ("H2-09 no method", without(":method")),
        ("H2-09 no path", without(":path")),
        ("H2-09 no scheme", without(":scheme")),
        ("H2-09 two methods", twice(":method")),
        ("H2-09 two paths", twice(":path")),
        ("H2-09 two schemes", twice(":scheme")),
        (
            "H2-09 a pseudo-header behind a header",
            added(":authority", "a"),
        ),
        (
            "H2-09 an unknown pseudo-header",
            Box::new(|lines| lines.insert(0, line(":x", "a"))),
        ),
        (
            "H2-09 a status",
            Box::new(|lines| lines.insert(0, line(":status", "200"))),
        ),
        (
            "H2-09 a method with a target",
            replaced(":method", "POST /x HTTP/1.1"),
        ),
        ("H2-11 a leading space", added("x-a", " b")),
        ("H2-11 a trailing space", added("x-a", "b ")),
        ("H2-11 an equal length", twice("content-length")),
        (
            "H2-11 zeros before a length",
            Box::new(|lines| {
                let length = lines
                    .iter_mut()
                    .find(|line| line.0 == "content-length")
                    .expect("a length");
                length.1.insert_str(0, "00");
            }),
        ),
        ("H2-11 a path that is a star", replaced(":path", "*")),
        ("H2-11 scheme ftp", replaced(":scheme", "ftp")),
        (
            "H2-11 a scheme with a space",
            replaced(":scheme", "http ://x"),
        ),
        ("H2-12 no host", without(":authority")),
        ("H2-12 another host", added("host", "b")),
        (
            "H2-12 two hosts",
            Box::new(|lines| lines.extend([line("host", "a"), line("host", "a")])),
        ),
        ("H2-12 userinfo", replaced(":authority", "u@a")),
        (
            "H2-13 CONNECT",
            Box::new(|lines| {
                set(lines, ":method", "CONNECT");
                lines.retain(|line| line.0 != ":path" && line.0 != ":scheme");
            }),
        ),
        (
            "H2-13 extended CONNECT",
            Box::new(|lines| {
                set(lines, ":method", "CONNECT");
                lines.insert(0, line(":protocol", "websocket"));
            }),
        ),
    ];
    let mut cases = Cases::new();
    for (name, change) in rows {
        cases.case(name, || {
            let found = ask(&stage.tls, &changed(|lines| change(lines)));
            assert!(is_refused(found), "{found:?}");
        });
    }
    cases.case("H2-09 a length without a body", || {
        let mut frames = stage.tls.open();
        frames.head(1, &changed(|_| ()).0, false);
        let found = reaction(&mut frames, 1);
        assert!(is_refused(found), "{found:?}");
    });
    cases.finish();
    assert_eq!(stage.upstream.count(), 0, "forwarded");
    assert_eq!(stage.tls.client().ask(&Delivery::fresh()).status, 200);
}

#[test]
fn h2_10_11_14_15_what_is_odd_and_good_is_forwarded_without_what_is_not_meant_for_the_app() {
    let stage = stage(&[]);
    let mut cases = Cases::new();
    let mut good = |name: &str, change: &dyn Fn(&mut Lines), check: &dyn Fn()| {
        cases.case(name, || {
            let before = stage.upstream.count();
            assert_eq!(
                ask(&stage.tls, &changed(|lines| change(lines))),
                Reaction::Status(200)
            );
            assert_eq!(stage.upstream.count(), before + 1);
            check();
        });
    };
    good(
        "H2-10 te",
        &|lines| lines.push(line("te", "trailers")),
        &|| assert!(!stage.upstream.last().has("te")),
    );
    good(
        "H2-10 host alone",
        &|lines| {
            lines.retain(|line| line.0 != ":authority");
            lines.push(line("host", "a"));
        },
        &|| assert_eq!(stage.upstream.last().header("host").as_deref(), Some("a")),
    );
    // `h2` cuts a fragment off before anybody sees it, so nothing can rest on it.
    good(
        "H2-11 a fragment",
        &|lines| set(lines, ":path", "/webhooks/itellico#x"),
        &|| assert_eq!(stage.upstream.last().target, b"/webhooks/itellico"),
    );
    good(
        "H2-15 cookies",
        &|lines| lines.extend((0..50).map(|number| line("cookie", &format!("c{number}=1")))),
        &|| {
            let all: Vec<_> = (0..50).map(|number| format!("c{number}=1")).collect();
            let cookie = stage.upstream.last().header("cookie");
            assert_eq!(cookie, Some(all.join("; ")));
        },
    );
    for (name, trailer) in [
        ("H2-14 our own header", line("x-verigate-event-id", "x")),
        ("H2-14 a path", line(":path", "/x")),
        ("H2-14 much", line("x-much", &"a".repeat(70_000))),
    ] {
        cases.case(name, || {
            let before = stage.upstream.count();
            let mut frames = stage.tls.open();
            let (lines, body) = changed(|_| ());
            frames.head(1, &lines, true);
            frames.send(frame(DATA, 0, 1, &body));
            let trailers = block(&[trailer]);
            let mut pieces = trailers.chunks(16_000).enumerate().peekable();
            while let Some((at, piece)) = pieces.next() {
                let kind = if at == 0 { HEADERS } else { CONTINUATION };
                let first = if at == 0 { END_STREAM } else { 0 };
                let last = if pieces.peek().is_none() {
                    END_HEADERS
                } else {
                    0
                };
                frames.send(frame(kind, first | last, 1, piece));
            }
            match reaction(&mut frames, 1) {
                Reaction::Status(200) => {
                    let id = stage.upstream.last().header("x-verigate-event-id");
                    assert_ne!(id.as_deref(), Some("x"));
                }
                found => {
                    assert!(is_refused(found), "{found:?}");
                    assert_eq!(stage.upstream.count(), before, "forwarded");
                }
            }
        });
    }
    cases.finish();
}

fn padded(byte: u8) -> Vec<u8> {
    let payload = [&[255, byte][..], &[0; 255]].concat();
    frame(DATA, 8, 1, &payload)
}

fn plain(byte: u8) -> Vec<u8> {
    frame(DATA, 0, 1, &[byte])
}

#[test]
fn h2_16_bodies_in_tiny_pieces_and_padding_stay_within_bounds() {
    let stage = stage(&[]);
    let delivery = Delivery::of(event_of(64 * 1024));
    for pieces in [plain, padded] {
        stage.beside_good_traffic(|| {
            let mut frames = stage.tls.open();
            frames.head(1, &lines_of(&delivery), true);
            for part in delivery.body()[..10_000].chunks(50) {
                let all: Vec<u8> = part.iter().copied().flat_map(pieces).collect();
                // The windows are as wide as a client may count on; what is too much ends the stream.
                if !frames.send(all) {
                    break;
                }
            }
            frames.send(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
        });
    }
}

#[test]
fn pa_08_paths_that_pick_no_route_over_http_1_pick_none_here() {
    let stage = stage(&[]);
    let mut cases = Cases::new();
    for path in [
        "/webhooks/./itellico",
        "/webhooks/x/../itellico",
        "/webhooks/%69tellico",
        "/webhooks//itellico",
        "/webhooks\\itellico",
        "/webhooks/itellico/",
        "/WEBHOOKS/itellico",
        "/webhooks/itellico%2f",
    ] {
        cases.case(path, || {
            let found = ask(&stage.tls, &changed(|lines| set(lines, ":path", path)));
            let plain = stage.gateway.ask(Delivery::fresh().target(path));
            assert_eq!(found, Reaction::Status(plain.status));
            assert_ne!(plain.status, 200);
        });
    }
    cases.finish();
}
