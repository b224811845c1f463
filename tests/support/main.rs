//! The support code against itself: the raw client and the recording upstream, without the gateway between them.

#[path = "mod.rs"]
mod support;

use std::time::Duration;

use support::SOON;
use support::answer::{Framing, gateway_answer_faults};
use support::behaviour::{Behaviour, Latch, Reply};
use support::cases::Cases;
use support::client::{Client, Missing};
use support::config::Config;
use support::delivery::{Delivery, event_of, fresh_event_id, sign, sign_body};
use support::gateway::Metrics;
use support::upstream::{ClosedPort, Upstream};

#[test]
fn an_upstream_records_what_a_client_sends_and_answers_in_order() {
    let upstream = Upstream::start();
    let mut client = Client::connect(upstream.addr());
    let first = Delivery::of(event_of(400)).with("X-A", b"\xff\xfe");
    let second = Delivery::fresh().chunked_by(7);
    client.send(first.bytes());
    client.send(second.bytes());
    client.answer().expect_status(200);
    assert_eq!(client.answer().json()["received"], true);
    let requests = upstream.wait_for(2);
    requests[0].expect_body(first.body());
    assert_eq!(requests[0].headers_named("x-a"), [b"\xff\xfe"]);
    assert_eq!(requests[0].raw_head, first.head());
    assert_eq!(requests[1].body, second.body());
    assert_eq!(
        (
            requests[0].connection,
            requests[1].connection,
            upstream.connections()
        ),
        (0, 0, 1)
    );
}

#[test]
fn a_cut_body_is_recorded_as_incomplete() {
    let upstream = Upstream::start();
    let mut client = Client::connect(upstream.addr());
    client.send(Delivery::fresh().set("Content-Length", "9999").bytes());
    client.finish();
    assert!(!upstream.wait_for(1)[0].complete);
}

#[test]
fn each_behaviour_looks_to_a_client_as_it_says() {
    let reply = Reply::new(201).with("X-B", "c").body("hello");
    let latch = Latch::closed();
    let mut cases = Cases::new();
    let upstream = Upstream::start();
    let ask = |behaviour: Behaviour| {
        upstream.next(behaviour);
        let mut client = Client::connect(upstream.addr());
        client.send(Delivery::fresh().bytes());
        client
    };
    for (name, behaviour, framing) in [
        ("length", Behaviour::answer(&reply), Framing::Length),
        ("chunked", Behaviour::chunked(&reply, 2), Framing::Chunked),
        ("close", Behaviour::close_delimited(&reply), Framing::Close),
        ("early", Behaviour::early(&reply), Framing::Length),
        (
            "drip",
            Behaviour::drip(&reply, Duration::from_millis(1)),
            Framing::Length,
        ),
    ] {
        cases.case(name, || {
            let answer = ask(behaviour).answer();
            assert_eq!(
                (answer.status, answer.framing, answer.body.as_slice()),
                (201, framing, &b"hello"[..])
            );
            assert_eq!(answer.header("x-b"), Some("c"));
        });
    }
    for (name, behaviour) in [
        ("closed", Behaviour::close()),
        ("reset", Behaviour::reset()),
    ] {
        cases.case(name, || {
            assert_eq!(
                ask(behaviour).try_answer(SOON).unwrap_err(),
                Missing::Closed
            );
        });
    }
    cases.case("truncated", || {
        let missing = ask(Behaviour::raw_then_close(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell",
        ))
        .try_answer(SOON);
        assert!(matches!(missing, Err(Missing::Truncated(_))), "{missing:?}");
    });
    cases.case("never", || {
        let missing = ask(Behaviour::never()).try_answer(Duration::from_millis(50));
        assert_eq!(missing.unwrap_err(), Missing::TimedOut(Vec::new()));
    });
    cases.case("latch", || {
        let mut client = ask(Behaviour::answer_after(&latch, &reply));
        assert!(!client.has_heard(Duration::from_millis(50)));
        latch.open();
        client.answer().expect_status(201);
    });
    cases.finish();
}

#[test]
fn the_client_refuses_answers_that_a_strict_reader_would() {
    let upstream = Upstream::start();
    let mut cases = Cases::new();
    for (name, raw) in [
        (
            "length beside chunked",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "bad chunk size",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ),
        (
            "bare line feed",
            "HTTP/1.1 200 OK\r\nX: a\nb: c\r\nContent-Length: 0\r\n\r\n",
        ),
        ("no status", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        cases.case(name, || {
            upstream.next(Behaviour::raw_then_close(raw));
            let mut client = Client::connect(upstream.addr());
            client.send(Delivery::fresh().bytes());
            let missing = client.try_answer(SOON);
            assert!(matches!(missing, Err(Missing::Malformed(_))), "{missing:?}");
        });
    }
    cases.finish();
}

#[test]
fn the_faults_of_an_answer_are_all_named() {
    let upstream = Upstream::start();
    let good = "{\"ok\":false,\"error\":\"no route\",\"code\":\"no_route\"}";
    let reply = Reply::new(404)
        .with("Content-Type", "application/json")
        .with("X-Request-Id", "1")
        .body(good);
    let faults = |reply: &Reply| {
        upstream.next(Behaviour::answer(reply));
        gateway_answer_faults(&Client::connect(upstream.addr()).ask(Delivery::fresh().bytes()))
    };
    assert_eq!(faults(&reply), Vec::<String>::new());
    let bad = Reply::new(400)
        .with("x_verigate-route", "a")
        .with("Server", "Pingora")
        .body("{\"ok\":false,\"code\":\"no_route\"}");
    assert_eq!(faults(&bad).len(), 6, "{:?}", faults(&bad));
    assert_eq!(
        faults(&Reply::new(200)).len(),
        5,
        "{:?}",
        faults(&Reply::new(200))
    );
}

#[test]
fn a_closed_port_refuses_connections() {
    let port = ClosedPort::take();
    assert!(Client::try_connect(port.addr()).is_err());
}

#[test]
fn the_signer_agrees_with_a_value_made_by_another_program() {
    // printf '{}.1' | openssl dgst -sha256 -hmac key
    assert_eq!(
        sign("key", b"{}", "1"),
        "adef8d1dc2523856d9a079ce8a2c4cb40483716003df2c16b60fb1f131734388"
    );
    assert_eq!(sign_body("key", b"{}.1"), sign("key", b"{}", "1"));
}

#[test]
fn a_delivery_has_one_oddity_at_a_time() {
    let delivery = Delivery::fresh()
        .set("content-length", "+5")
        .without("Host")
        .with_first_line("A : b")
        .target("/x");
    let head = String::from_utf8(delivery.head()).unwrap();
    assert!(
        head.starts_with(
            "POST /x HTTP/1.1\r\nA : b\r\ncontent-length: +5\r\nX-Webhook-Timestamp: "
        ),
        "{head}"
    );
    assert_eq!(event_of(300).len(), 300);
    assert_ne!(fresh_event_id(), fresh_event_id());
}

#[test]
fn a_configuration_is_written_as_toml() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream)
        .server("head_timeout", "\"1s\"")
        .replay("capacity", "10");
    let toml = config.toml();
    for part in [
        "[server]\n",
        "head_timeout = \"1s\"",
        "[replay]\ncapacity = 10",
        "[route.scheme]\nalgorithm",
        &upstream.url(),
    ] {
        assert!(toml.contains(part), "{part} is not in\n{toml}");
    }
}

#[test]
fn metrics_are_summed_by_label() {
    let metrics = Metrics {
        text: "# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\nab 7\n".to_owned(),
    };
    assert!((metrics.value("a", &[("x", "1")]) - 7.0).abs() < 1e-9);
    assert_eq!(metrics.series("a", &[("y", "3")]).len(), 1);
    assert!((metrics.value("ab", &[]) - 7.0).abs() < 1e-9);
}

#[test]
fn a_table_names_every_case_that_failed() {
    let failed = std::panic::catch_unwind(|| {
        let mut cases = Cases::new();
        cases.case("good", || {});
        cases.case("first", || panic!("one"));
        cases.case("second", || panic!("two"));
        cases.finish();
    });
    let text = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.contains("2 of 3") && text.contains("first: one") && text.contains("second: two"),
        "{text}"
    );
}
