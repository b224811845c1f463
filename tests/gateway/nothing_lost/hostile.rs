//! What a sender with a valid secret can do to the queue, and what a stranger cannot (contract: Queue).

use std::fs;
use std::path::Path;

use serde_json::json;

use super::config_in;
use crate::support::behaviour::{Behaviour, Step};
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of, event_with_size, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::transport::is_http1_only;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

#[test]
fn qu_08_a_body_of_all_the_memory_for_bodies_holds_nobody_up() {
    if is_http1_only("heads that a client's share does not count") {
        return;
    }
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream)
        .set("mode", "\"queue\"")
        .set("max_body", "\"1MiB\"");
    let config = Config::new()
        .server("max_buffered", "\"4MiB\"")
        .route(route)
        .extra("[state]\ndir = \"state\"\nkeep_free = \"0B\"");
    let gateway = Gateway::start(&config);
    let large: Vec<_> = (0..2).map(|_| Delivery::of(event_of(1 << 20))).collect();
    let small = Delivery::fresh();
    for delivery in large.iter().chain([&small]) {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    let arrived = upstream.wait_for(3);
    for delivery in large.iter().chain([&small]) {
        assert!(arrived.iter().any(|got| got.body == delivery.body()));
    }
}

/// Attempts hold the memory of their bodies until they end.
#[test]
fn qu_13_large_bodies_of_an_app_that_hangs_leave_memory_for_those_of_others() {
    let (hangs, works) = (Upstream::with(Behaviour::never()), Upstream::start());
    let queue = |route: Route| route.set("mode", "\"queue\"");
    let config = Config::new()
        .server("max_buffered", "\"4MiB\"")
        .route(queue(Route::itellico(&hangs)).set("upstream_timeout", "\"2m\""))
        .route(queue(Route::plain(&works)))
        .extra("[state]\ndir = \"state\"\nkeep_free = \"0B\"");
    let gateway = Gateway::start(&config);
    for _ in 0..3 {
        let large = Delivery::of(event_of(600 * 1024));
        gateway.ask(large.bytes()).expect_status(200);
    }
    hangs.wait_for(1);
    let small = Delivery::plain("a small one");
    gateway.ask(small.bytes()).expect_status(200);
    works.wait_for(1);
    assert_eq!(hangs.count(), 1, "the others wait for its memory");
}

/// The status line decides, whenever the rest of the answer comes.
#[test]
fn qu_14_a_taken_delivery_is_settled_before_the_body_of_its_answer_comes() {
    let slow = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", &b"a"[..]].concat();
    let upstream = Upstream::with(Behaviour(vec![
        Step::ReadBody,
        Step::Send(slow),
        Step::Hold,
    ]));
    let gateway = Gateway::start(&config_in(&upstream, "state", "", "keep_free = \"0B\""));
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    let labels = &[("route", "itellico"), ("class", "2xx")];
    let taken = || {
        gateway
            .metrics()
            .value("verigate_queue_attempts_total", labels)
    };
    let settled = || (taken() - 1.0).abs() < 0.5;
    assert!(eventually(SOON, settled));
}

#[test]
fn qu_09_whatever_a_relay_would_forward_can_be_stored_and_is_delivered() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config_in(&upstream, "state", "", "keep_free = \"0B\""));
    let many = |delivery: Delivery| {
        (0..80).fold(delivery, |delivery, number| {
            delivery.with(&format!("X-Many-{number}"), "a".repeat(90))
        })
    };
    let all_bytes: Vec<u8> = (0x20..0x7f).chain(0x80..=0xff).collect();
    let path = "/webhooks/itellico";
    let mut rows: Vec<(&str, Delivery)> = vec![
        ("many and large headers", many(Delivery::fresh())),
        (
            "all bytes of a value",
            Delivery::fresh().with("X-Bytes", all_bytes),
        ),
        ("an empty value", Delivery::fresh().with("X-Empty", "")),
        ("a name of one byte", Delivery::fresh().with("!", "a")),
        (
            "a query of odd bytes",
            Delivery::fresh().target(format!("{path}?{}", "%00%ff&=&&a=[]|\"<>`{}^")),
        ),
        (
            "a query of thousands of bytes",
            Delivery::fresh().target(format!("{path}?{}", "q=".repeat(1500))),
        ),
        (
            "names of the gateway",
            Delivery::fresh()
                .with("X-Verigate-Delivery-Id", "1")
                .with("X-Verigate-Attempt", "99")
                .with("X_Verigate_Attempt", "99"),
        ),
        (
            "no more body than its envelope",
            Delivery::of(event_with_size(&fresh_event_id(), 300)),
        ),
        (
            "an expectation",
            Delivery::fresh().with("X-Expect", "100-continue"),
        ),
    ];
    if !is_http1_only("versions and targets of its own") {
        rows.push((
            "HTTP/1.0 without Host",
            Delivery::fresh()
                .without("Host")
                .request_line(format!("POST {path} HTTP/1.0")),
        ));
        rows.push((
            "a connection that names headers",
            Delivery::fresh()
                .with("X-Hop", "1")
                .with("Connection", "x-hop, x-none"),
        ));
        rows.push((
            "an absolute target",
            Delivery::fresh().target(format!("http://a{path}")),
        ));
    }
    let mut faults = Vec::new();
    for (name, delivery) in rows {
        let Some(answer) = gateway.connect().ask_unless_reset(delivery.bytes()) else {
            continue;
        };
        let came = || {
            let requests = upstream.requests();
            requests.iter().any(|got| got.body == delivery.body())
        };
        // What is refused is not stored, and what is acknowledged is delivered.
        match answer.status {
            200 if !eventually(SOON, came) => faults.push(format!("{name} did not come")),
            200..500 => {}
            _ => faults.push(format!("{name}: {answer}")),
        }
        eprintln!("{name}: {}", answer.status);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let last = Delivery::fresh();
    gateway.ask(last.bytes()).expect_status(200);
    let came = || {
        upstream
            .requests()
            .iter()
            .any(|got| got.body == last.body())
    };
    assert!(eventually(SOON, came), "{}", gateway.stderr());
    assert!(!gateway.stderr().contains("damaged"));
}

/// Whether a file below this folder has these bytes.
fn has_bytes(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        let content = fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn qu_10_nothing_of_a_stranger_reaches_the_disk() {
    let upstream = Upstream::with(Behaviour::status(500));
    let mut gateway = Gateway::start(&config_in(&upstream, "state", "", "keep_free = \"0B\""));
    let marked = |size: usize| {
        let mut body = event_of(size);
        let at = body.len() - 40;
        body[at..at + 16].copy_from_slice(b"written-by-nobod");
        body
    };
    for size in [400, 70_000, 2_000_000] {
        let forged = Delivery::signed("not-the-secret-of-anybody", marked(size), "1");
        let forged = forged.set(
            "X-Webhook-Timestamp",
            crate::support::now().to_string().as_bytes(),
        );
        gateway.ask(forged.bytes()).expect_status(401);
        let unsigned = Delivery::unsigned("/webhooks/itellico", marked(size));
        gateway.ask(unsigned.bytes()).expect_status(401);
    }
    // The same from a sender who is known, to see that the search would find it.
    gateway
        .ask(Delivery::of(event_of(400)).with("X-Own", "written-by-a-sender"))
        .expect_status(200);
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("it ends");
    let state = gateway.folder().join("state");
    assert!(has_bytes(&state, b"written-by-a-sender"));
    assert!(!has_bytes(&state, b"written-by-nobod"));
}

#[test]
fn qu_11_dead_letters_that_fill_a_queue_are_kept_until_somebody_discards_them() {
    let upstream = Upstream::with(Behaviour::status(410));
    let config = config_in(
        &upstream,
        "state",
        "max_deliveries = 3",
        "keep_free = \"0B\"",
    )
    .admin("token", "\"env:ADMIN_TOKEN\"")
    .env("ADMIN_TOKEN", "admin-token-0123456789abcdef");
    let gateway = Gateway::start(&config);
    for _ in 0..3 {
        gateway.ask(Delivery::fresh()).expect_status(200);
    }
    let token = [("Authorization", "Bearer admin-token-0123456789abcdef")];
    let count = |gateway: &Gateway, state: &str| {
        let listed = gateway.admin("GET", &format!("/queue?state={state}"), &token, "");
        listed.expect_status(200);
        let listed = listed.json();
        listed["deliveries"].as_array().expect("a list").len()
    };
    assert!(eventually(LATE, || count(&gateway, "dead") == 3));
    let refused = Delivery::fresh();
    gateway
        .ask(refused.bytes())
        .expect_refusal(503, "queue_full");
    // A restart frees nothing.
    let gateway = gateway.killed_and_started(&config);
    assert!(eventually(LATE, || count(&gateway, "dead") == 3));
    gateway
        .ask(refused.bytes())
        .expect_refusal(503, "queue_full");
    let ask = |method: &str, path: &str, body: &str| {
        let answer = gateway.admin(method, path, &token, body);
        answer.expect_status(200);
        answer.json()
    };
    let listed = ask("GET", "/queue?state=dead&limit=1", "");
    let id = &listed["deliveries"][0]["delivery_id"];
    ask(
        "POST",
        "/queue/discard",
        &json!({"delivery_id": id}).to_string(),
    );
    upstream.behave(Behaviour::status(200));
    // The provider's next retry of what was refused is taken.
    gateway.ask(refused.bytes()).expect_status(200);
    let came = || {
        upstream
            .requests()
            .iter()
            .any(|got| got.body == refused.body())
    };
    assert!(eventually(LATE, came));
    let is_gone = || count(&gateway, "waiting") + count(&gateway, "retrying") == 0;
    assert!(eventually(LATE, is_gone));
    assert_eq!(count(&gateway, "dead"), 2);
}
