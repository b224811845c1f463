//! HTTP/2 by ALPN: deliveries that arrive as they do over HTTP/1, and what is its own (contract: HTTP/2).

use bytes::Bytes;
use h2::Reason;

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of, sign_body};
use crate::support::gateway::Gateway;
use crate::support::http2::{
    Came, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, Tls,
    WINDOW_UPDATE, block, frame, is_reset, lines_of, request_of,
};
use crate::support::upstream::Upstream;
use crate::support::{LATE, PLAIN_SECRET, SOON, eventually};

fn start(upstream: &Upstream, server: &[(&str, &str)]) -> (Gateway, Tls) {
    let config = Config::for_upstream(upstream);
    let config = server
        .iter()
        .fold(config, |config, (key, value)| config.server(key, value));
    Tls::start(config)
}

#[test]
fn a_delivery_is_forwarded_unchanged_and_its_answer_comes_back() {
    let upstream = Upstream::with(Behaviour::answer(
        &Reply::new(201)
            .with("X-Answer", "yes")
            .with("Connection", "close")
            .with("Keep-Alive", "9")
            .body("thanks"),
    ));
    let (gateway, tls) = start(&upstream, &[]);
    let delivery = Delivery::fresh()
        .with("X-Own", "a  b")
        .target("/webhooks/itellico?a=[1]|&b=%20");
    let reply = tls.client().ask(&delivery);
    assert_eq!((reply.status, reply.body.as_slice()), (201, &b"thanks"[..]));
    assert_eq!(reply.headers["x-answer"], "yes");
    assert_eq!(reply.headers["content-length"], "6");
    assert!(!reply.headers.contains_key("connection") && !reply.headers.contains_key("keep-alive"));
    let got = upstream.last();
    got.expect_body(delivery.body());
    assert_eq!(got.target, b"/webhooks/itellico?a=[1]|&b=%20");
    for (name, value) in [
        ("Host", "a"),
        ("X-Own", "a  b"),
        ("X-Forwarded-Proto", "https"),
        ("X-Verigate-Verdict", "valid"),
        ("Content-Length", &delivery.body().len().to_string()),
    ] {
        assert_eq!(got.header(name).as_deref(), Some(value), "{name}");
    }
    assert!(!got.has("Transfer-Encoding"));
    let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
    let line = gateway.wait_for_log(SOON, |line| line["request_id"] == id.as_str());
    assert_eq!(
        (line["status"].as_u64(), line["outcome"].as_str()),
        (Some(201), Some("forwarded"))
    );
    // The same connection goes on, and knows copies.
    let mut client = tls.client();
    assert_eq!(client.ask(&delivery).code(), "replayed_event");
    assert_eq!(client.ask(&Delivery::fresh()).status, 201);
}

#[test]
fn bodies_of_every_size_pass_with_a_length_or_without() {
    let upstream = Upstream::with(Behaviour::answer(
        &Reply::new(200).body(vec![b'x'; 700_000]),
    ));
    let (_gateway, tls) = start(&upstream, &[]);
    let mut client = tls.client();
    for size in [300, 20_000, 200_000, 1024 * 1024] {
        for has_length in [true, false] {
            let delivery = Delivery::of(event_of(size));
            let mut request = request_of(&delivery);
            if !has_length {
                request.headers_mut().remove("content-length");
            }
            let mut asked = client.begin(request, true);
            asked
                .body
                .send_data(Bytes::copy_from_slice(delivery.body()), true)
                .unwrap();
            let reply = client.answer(asked).unwrap();
            assert_eq!((reply.status, reply.body.len()), (200, 700_000), "{size}");
            upstream.last().expect_body(delivery.body());
        }
    }
}

/// The gateway finds it all at once, and reads it in several turns.
#[test]
fn a_burst_of_heads_and_a_large_body_is_read_to_its_end() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(&upstream, &[]);
    let mut frames = tls.open();
    let window = frames.wait_for(SOON, |came| came.kind == WINDOW_UPDATE);
    assert!(window.is_some(), "no room for so much");
    let deliveries = [100_000, 300, 300].map(|size| Delivery::of(event_of(size)));
    let streams = || deliveries.iter().zip([1, 3, 5]);
    gateway.halt();
    for (delivery, stream) in streams() {
        frames.head(stream, &lines_of(delivery), true);
    }
    for (delivery, stream) in streams() {
        for piece in delivery.body().chunks(16_000) {
            frames.send(frame(DATA, 0, stream, piece));
        }
        frames.send(frame(DATA, END_STREAM, stream, b""));
    }
    gateway.signal("CONT");
    let mut answers = 0;
    while answers < 3 {
        let came = frames.wait_for(SOON, |came| came.kind == HEADERS);
        assert_eq!(came.expect("an answer").status(), 200);
        answers += 1;
    }
}

/// A burst of small frames ended the connection, which carries the requests of others as well.
#[test]
fn h2_16_a_body_may_come_in_small_frames() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[]);
    let mut frames = tls.open();
    for (stream, size) in [(1, 100), (3, 500)] {
        let delivery = Delivery::of(event_of(60_000));
        frames.head(stream, &lines_of(&delivery), true);
        let pieces = delivery.body().chunks(size);
        let burst: Vec<u8> = pieces
            .flat_map(|piece| frame(DATA, 0, stream, piece))
            .chain(frame(DATA, END_STREAM, stream, b""))
            .collect();
        assert!(frames.send(burst), "in frames of {size} bytes");
        let came = frames.wait_for(SOON, |came| came.kind == HEADERS && came.stream == stream);
        assert!(came.is_some(), "no answer in frames of {size} bytes");
        upstream.last().expect_body(delivery.body());
    }
}

/// Bodies kept the window of their connection until their answers, and the next delivery had no room for its own.
#[test]
fn deliveries_reach_a_slow_app_while_those_before_them_on_the_connection_wait_for_their_answers() {
    for (count, size) in [(3, 64 * 1024), (70, 4 * 1024)] {
        let latch = Latch::closed();
        let answer = Behaviour::answer_after(&latch, &Reply::new(200));
        let upstream = Upstream::with(answer);
        let (_gateway, tls) = start(&upstream, &[]);
        let mut client = tls.client();
        let deliveries: Vec<_> = (0..count).map(|_| Delivery::of(event_of(size))).collect();
        let asked: Vec<_> = deliveries.iter().map(|one| client.send(one)).collect();
        upstream.wait_for(count);
        latch.open();
        for asked in asked {
            assert_eq!(client.answer(asked).unwrap().status, 200, "of {size} bytes");
        }
    }
}

/// A body that nobody reads must not keep the window either.
#[test]
fn a_body_that_is_dropped_keeps_no_room_while_its_answer_waits_for_its_client() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[]);
    let mut frames = tls.connect();
    // No answer has room for a byte of its body.
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    frames.send([PREFACE, &no_window].concat());
    let window = frames.wait_for(SOON, |came| came.kind == WINDOW_UPDATE);
    assert!(window.is_some(), "no room for so much");
    let refused = Delivery::of(event_of(14_000)).without("X-Webhook-Timestamp");
    let mut streams = (1..).step_by(2).take(8);
    let is_room = |came: &Came| (came.kind, came.stream) == (WINDOW_UPDATE, 0);
    let has_room = streams.any(|stream| {
        // One record of TLS, so that the body has come when the head is judged.
        let head = frame(HEADERS, END_HEADERS, stream, &block(&lines_of(&refused)));
        frames.send([head, frame(DATA, END_STREAM, stream, refused.body())].concat());
        let came = frames.wait_for(SOON, |came| came.kind == HEADERS || is_room(came));
        is_room(&came.expect("the connection goes on"))
    });
    assert!(has_room, "no room for the next delivery");
}

/// What breaks the rules of HTTP/2 never becomes an exchange, which would have a line in the log.
#[test]
fn a_stream_that_the_protocol_resets_is_told_at_level_debug() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).env("RUST_LOG", "debug");
    let (gateway, tls) = Tls::start(config);
    let mut frames = tls.open();
    let mut lines = lines_of(&Delivery::fresh());
    lines.push(("connection".to_owned(), "close".to_owned()));
    frames.head(1, &lines, false);
    let reset = frames.wait_for(SOON, |came| came.kind == RST_STREAM);
    assert!(reset.is_some(), "the stream goes on");
    assert!(gateway.says("the HTTP/2 stream 1 is reset: unspecific protocol error detected"));
    assert_eq!(gateway.log_lines().len(), 0);
}

/// The origin under which the provider calls the gateway.
const ORIGIN: &str = "https://hooks.example.com";

/// `h2` cuts the fragment off a path before the gateway sees it, so all that rests on a path must rest on the same one.
#[test]
fn h2_11_a_fragment_is_in_nothing_that_is_routed_proved_claimed_logged_or_forwarded() {
    let upstream = Upstream::start();
    let route = |name: &str| {
        Route::new(name, &format!("/signed/{name}"), &upstream)
            .set("secrets", "[\"env:PLAIN_SECRET\"]")
            .scheme("algorithm", "\"hmac-sha256\"")
            .scheme("signed", "\"{path}?{query}.{body}\"")
            .scheme(
                "signature",
                "{ header = \"X-Signature\", encoding = \"hex\" }",
            )
    };
    // The first two sign the path and the query, the third one the URL.
    let of_url = route("u")
        .set("public_url", &format!("\"{ORIGIN}\""))
        .scheme("signed", "\"{url}.{body}\"");
    let config = Config::new()
        .route(route("a"))
        .route(route("b"))
        .route(of_url);
    let (gateway, tls) = Tls::start(config);
    // What is sent as the path, and what is signed and forwarded.
    for (number, (sent, target)) in [
        ("/signed/a#", "/signed/a"),
        ("/signed/a#b", "/signed/a"),
        ("/signed/a?q=1#b", "/signed/a?q=1"),
        ("/signed/a#?q=1", "/signed/a"),
        ("/signed/a#/../b", "/signed/a"),
        ("/signed/u#", "/signed/u"),
        ("/signed/u?q=1#b", "/signed/u?q=1"),
        ("/signed/u#?q=1", "/signed/u"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!("body {number}");
        let ask = |signed: &str, sent: &str| {
            let content = if target.starts_with("/signed/u") {
                format!("{ORIGIN}{signed}.{body}")
            } else {
                let query = if signed.contains('?') { "" } else { "?" };
                format!("{signed}{query}.{body}")
            };
            let value = sign_body(PLAIN_SECRET, content.as_bytes());
            let delivery = Delivery::unsigned("/", body.as_bytes()).with("X-Signature", value);
            let mut lines = lines_of(&delivery);
            let path = lines.iter_mut().find(|line| line.0 == ":path");
            sent.clone_into(&mut path.unwrap().1);
            let mut frames = tls.open();
            frames.head(1, &lines, true);
            frames.send(frame(DATA, END_STREAM, 1, body.as_bytes()));
            let head = frames.wait_for(SOON, |came| came.kind == HEADERS).unwrap();
            head.status()
        };
        assert_eq!(ask(sent, sent), 401, "{sent} was signed");
        assert_eq!(ask(target, sent), 200, "{sent}");
        assert_eq!(upstream.last().target, target.as_bytes(), "{sent}");
        let copies = [sent.to_owned(), target.to_owned(), format!("{target}#c")];
        for copy in copies {
            assert_eq!(ask(target, &copy), 200, "a duplicate: {copy}");
        }
        assert_eq!(upstream.count(), number + 1, "forwarded");
    }
    let logged = || gateway.log_lines().len() == 40;
    assert!(eventually(SOON, logged), "{:#?}", gateway.log_lines());
    for line in gateway.log_lines() {
        let shown = (line["route"].as_str(), line["path"].as_str());
        let is_right = [("a", "/signed/a"), ("u", "/signed/u")]
            .into_iter()
            .any(|(route, path)| shown == (Some(route), Some(path)));
        assert!(is_right, "{line:#}");
    }
}

#[test]
fn answers_without_a_body_and_answers_that_break_off_look_so() {
    let upstream = Upstream::start();
    let route = Route::plain(&upstream).set("methods", "[\"POST\", \"HEAD\"]");
    let (_gateway, tls) = Tls::start(Config::new().route(route));
    let mut client = tls.client();
    upstream.next(Behaviour::status(204));
    let reply = client.ask(&Delivery::plain("a"));
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    upstream.next(Behaviour::raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
    ));
    let reply = client.ask(&Delivery::plain("").method("HEAD"));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.headers["content-length"], "7");
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        upstream.next(Behaviour::raw_then_close(half));
        let asked = client.send(&Delivery::plain(half));
        let ended = client.answer(asked);
        assert!(is_reset(&ended, Reason::INTERNAL_ERROR), "{ended:?}");
    }
    assert_eq!(client.ask(&Delivery::plain("b")).status, 200);
}

#[test]
fn a_body_is_asked_for_only_once_its_head_is_judged() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[]);
    let delivery = Delivery::fresh().with("Expect", "100-continue");
    for (delivery, first) in [
        (delivery.clone(), 100),
        (delivery.without("X-Webhook-Timestamp"), 401),
    ] {
        let mut frames = tls.open();
        frames.head(1, &lines_of(&delivery), true);
        let head = frames.wait_for(SOON, |came| came.kind == HEADERS).unwrap();
        if first == 100 {
            assert_eq!(head.payload[0], 0x48, "a status that is in no table");
            frames.send(frame(0, END_STREAM, 1, delivery.body()));
            let head = frames.wait_for(SOON, |came| came.kind == HEADERS).unwrap();
            assert_eq!(head.payload[0], 0x88, "200");
        } else {
            assert_eq!(head.status(), first);
        }
    }
}

#[test]
fn an_early_refusal_is_read_by_a_client_that_goes_on_sending() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[("write_timeout", "\"2s\"")]);
    let delivery = Delivery::of(event_of(1_000_000)).without("X-Webhook-Timestamp");
    let mut client = tls.client();
    for _ in 0..3 {
        let reply = client.ask(&delivery);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, "missing_timestamp")
        );
    }
    assert_eq!(client.ask(&Delivery::fresh()).status, 200);
}

#[test]
fn probes_are_answered_and_are_no_deliveries() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(&upstream, &[("health_path", "\"/health\"")]);
    let request = Delivery::unsigned("/health", "").method("GET");
    let mut client = tls.client();
    let asked = client.begin(request_of(&request), false);
    assert_eq!(client.answer(asked).unwrap().status, 200);
    assert!(gateway.log_lines().is_empty());
}

#[test]
fn h2_17_a_client_that_resets_its_stream_cancels_nothing() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(&upstream, &[]);
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
    let delivery = Delivery::fresh();
    let mut client = tls.client();
    let mut asked = client.send(&delivery);
    upstream.wait_for(1);
    asked.body.send_reset(Reason::CANCEL);
    assert_eq!(client.ask(&delivery).code(), "event_in_flight");
    latch.open();
    let line = gateway.wait_for_log(SOON, |line| line["verdict"] == "valid");
    assert_eq!(
        (line["outcome"].as_str(), line["upstream_status"].as_u64()),
        (Some("client_gone"), Some(200))
    );
    let retry = client.ask(&Delivery::of(delivery.body()));
    assert!(
        ["duplicate_event", "replayed_event"].contains(&retry.code().as_str())
            || retry.status == 200
    );
    assert_eq!(upstream.count(), 1);
}

#[test]
fn h2_18_a_bad_stream_harms_no_other() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[]);
    let mut client = tls.client();
    let deliveries: Vec<_> = (0..10)
        .map(|number| match number {
            4 => Delivery::fresh().set("X-Webhook-Signature-256", "0".repeat(64)),
            _ => Delivery::fresh(),
        })
        .collect();
    let asked: Vec<_> = deliveries
        .iter()
        .map(|delivery| client.send(delivery))
        .collect();
    let statuses: Vec<_> = asked
        .into_iter()
        .map(|asked| client.answer(asked).unwrap().status)
        .collect();
    assert_eq!(statuses, [200, 200, 200, 200, 401, 200, 200, 200, 200, 200]);
}

#[test]
fn a_connection_that_stops_says_so_and_serves_what_it_has_begun() {
    let upstream = Upstream::start();
    let (mut gateway, tls) = start(&upstream, &[]);
    let latch = Latch::closed();
    upstream.behave(Behaviour::answer_after(&latch, &Reply::new(200)));
    let mut busy = tls.client();
    let asked = busy.send(&Delivery::fresh());
    upstream.wait_for(1);
    // One that answers nothing at all, not even the ping.
    let mut silent = tls.open();
    gateway.signal("TERM");
    let mut told = None;
    while let Some(came) = silent.next_within(SOON) {
        told = Some(came).filter(|came| came.kind == GOAWAY).or(told);
    }
    assert_eq!(told.map(|came| came.code()), Some(0));
    latch.open();
    assert_eq!(busy.answer(asked).unwrap().status, 200);
    assert!(busy.end(SOON).is_ok());
    assert!(
        gateway
            .wait_exit(SOON)
            .is_some_and(|status| status.success())
    );
}

/// In TLS 1.2 the preface is on its way for as long as the end of the handshake.
#[test]
fn a_preface_that_is_on_its_way_at_the_stop_is_served() {
    let upstream = Upstream::start();
    let (mut gateway, tls) = start(&upstream, &[]);
    let mut frames = tls.connect();
    gateway.signal("TERM");
    assert!(gateway.says("stopping: "));
    frames.send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat());
    let delivery = Delivery::fresh();
    frames.head(1, &lines_of(&delivery), true);
    frames.send(frame(0, END_STREAM, 1, delivery.body()));
    let head = frames.wait_for(SOON, |came| came.kind == HEADERS);
    assert_eq!(head.map(|head| head.status()), Some(200));
    assert!(
        gateway
            .wait_exit(SOON)
            .is_some_and(|status| status.success())
    );
}

#[test]
fn h2_08_a_silent_connection_ends() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(
        &upstream,
        &[("head_timeout", "\"1s\""), ("idle_timeout", "\"1s\"")],
    );
    assert_eq!(tls.connect().end(SOON), None, "no preface");
    assert_eq!(tls.open().end(SOON), Some(0), "no request");
    let mut idle = tls.open();
    let delivery = Delivery::fresh();
    idle.head(1, &lines_of(&delivery), true);
    idle.send(frame(0, END_STREAM, 1, delivery.body()));
    assert_eq!(
        idle.wait_for(SOON, |came| came.kind == HEADERS)
            .unwrap()
            .status(),
        200
    );
    assert_eq!(idle.end(SOON), Some(0), "no further request");
}

#[test]
fn pings_are_answered() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[]);
    let mut frames = tls.open();
    frames.send(frame(PING, 0, 0, b"12345678"));
    let pong = frames
        .wait_for(SOON, |came| came.kind == PING && came.flags == 1)
        .unwrap();
    assert_eq!(pong.payload, b"12345678");
}

#[test]
fn rx_22_each_stream_after_the_first_counts_like_a_connection() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(
        &upstream,
        &[("max_connections", "16"), ("body_timeout", "\"3s\"")],
    );
    let mut client = tls.client();
    let delivery = Delivery::fresh();
    let begun: Vec<_> = (0..4)
        .map(|_| client.begin(request_of(&delivery), true))
        .collect();
    let is_refused = |client: &mut crate::support::http2::Http2| {
        let reply = client.ask(&Delivery::fresh());
        (reply.status, reply.code().as_str()) == (503, "overloaded")
    };
    assert!(
        eventually(SOON, || is_refused(&mut client)),
        "a fifth stream"
    );
    gateway
        .connect()
        .ask(Delivery::fresh().bytes())
        .expect_refusal(503, "overloaded");
    for asked in begun {
        assert_eq!(client.answer(asked).unwrap().code(), "body_timeout");
    }
    let has_room = || client.ask(&Delivery::fresh()).status == 200;
    assert!(eventually(LATE, has_room), "places come back");
    gateway.expect_serving();
}

#[test]
fn rx_22_an_idle_connection_ends_for_a_newcomer_and_a_busy_one_does_not() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(&upstream, &[("max_connections", "4")]);
    let mut own = tls.client();
    assert_eq!(own.ask(&Delivery::fresh()).status, 200);
    let connect = |last: u8| Client::connect_from([127, 0, 0, last].into(), gateway.addr());
    let mut others: Vec<_> = (2..=4).map(connect).collect();
    for other in &mut others {
        other.ask(Delivery::fresh().bytes()).expect_status(200);
    }
    connect(5).ask(Delivery::fresh().bytes()).expect_status(200);
    assert!(own.end(SOON).is_ok(), "it is told");
    // Now one that has a request under way, while the others idle.
    others.truncate(2);
    let mut busy = None;
    let has_place = || {
        let mut client = tls.client();
        let is_served = client.ask(&Delivery::fresh()).status == 200;
        busy = Some(client).filter(|_| is_served);
        is_served
    };
    assert!(eventually(SOON, has_place));
    let mut busy = busy.unwrap();
    let latch = Latch::closed();
    upstream.next(Behaviour::answer_after(&latch, &Reply::new(200)));
    let before = upstream.count();
    let asked = busy.send(&Delivery::fresh());
    upstream.wait_for(before + 1);
    for last in 6..=8 {
        let mut newcomer = connect(last);
        newcomer.ask(Delivery::fresh().bytes()).expect_status(200);
        others.push(newcomer);
    }
    latch.open();
    assert_eq!(busy.answer(asked).unwrap().status, 200);
}

#[test]
fn heads_are_charged_to_the_budget() {
    let upstream = Upstream::start();
    let (gateway, tls) = start(
        &upstream,
        &[("max_buffered", "\"1MiB\""), ("body_timeout", "\"30s\"")],
    );
    let mut client = tls.client();
    let held = || gateway.metrics().value("verigate_buffered_bytes", &[]);
    assert!(held() < 0.5);
    let heavy = (0..4).fold(Delivery::fresh(), |delivery, number| {
        delivery.with(&format!("X-Much-{number}"), "a".repeat(12_000))
    });
    let mut begun: Vec<_> = (0..5)
        .map(|_| client.begin(request_of(&heavy), true))
        .collect();
    assert!(eventually(SOON, || held() > 240_000.0), "{} bytes", held());
    // A quarter of the budget is this client's.
    let reply = client.ask(&heavy);
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    for asked in &mut begun {
        asked.body.send_reset(Reason::CANCEL);
    }
    assert!(eventually(SOON, || held() < 0.5), "{} bytes", held());
    assert_eq!(client.ask(&heavy).status, 200);
}

#[test]
fn streams_above_the_limit_are_refused() {
    let upstream = Upstream::start();
    let (_gateway, tls) = start(&upstream, &[("body_timeout", "\"1s\"")]);
    let mut frames = tls.open();
    let lines = lines_of(&Delivery::fresh());
    for stream in (1..400).step_by(2) {
        assert!(frames.head(stream, &lines, true));
    }
    let (mut refused, mut late) = (0, 0);
    while refused + late < 200 {
        let came = frames
            .wait_for(SOON, |came| matches!(came.kind, RST_STREAM | HEADERS))
            .expect("an answer to each stream");
        match came.kind {
            HEADERS => late += 1,
            _ if came.code() == 7 => refused += 1,
            _ => {}
        }
    }
    assert_eq!((refused, late), (100, 100));
}
