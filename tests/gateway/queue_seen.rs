//! What an operator sees of a queue in trouble (contract: Queue): why attempts fail, what is turned away, and what is
//! held.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use serde_json::Value;

use crate::support::behaviour::Behaviour;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::Gateway;
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

/// A gateway with a queue in front of an app at `url`.
fn config(url: &str, queue: &str, state: &str) -> Config {
    let never = Upstream::start();
    let route = Route::itellico(&never)
        .set("upstream", &format!("\"{url}\""))
        .set("mode", "\"queue\"");
    Config::new()
        .route(route)
        .extra(&format!("[route.queue]\n{queue}"))
        .extra(&format!("[state]\ndir = \"state\"\n{state}"))
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
}

/// What the admin port answers to the holder of the token.
#[track_caller]
fn asked(gateway: &Gateway, method: &str, path: &str, body: &str) -> Value {
    let token = format!("Bearer {TOKEN}");
    let answer = gateway.admin(method, path, &[("Authorization", &token)], body);
    answer.expect_status(200);
    answer.json()
}

/// Sends a new event, and returns its id.
#[track_caller]
fn send(gateway: &Gateway) -> String {
    let id = fresh_event_id();
    gateway
        .ask(Delivery::of(event_with(&id)))
        .expect_status(200);
    id
}

/// The first message on standard error that has all these words.
#[track_caller]
fn message(gateway: &Gateway, words: &[&str]) -> String {
    let find = || {
        let all = gateway.stderr();
        let mut lines = all.lines();
        let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
        found.map(str::to_owned)
    };
    let is_there = || find().is_some();
    assert!(
        eventually(LATE, is_there),
        "{words:?} is not in {}",
        gateway.stderr()
    );
    find().expect("a message")
}

#[test]
fn the_log_and_the_history_say_why_an_attempt_failed() {
    let closed = ClosedPort::take();
    let url = closed.url();
    let gateway = Gateway::start(&config(&url, "retry = [\"100ms\"]", ""));
    for _ in 0..4 {
        send(&gateway);
    }
    let warning = message(&gateway, &["WARN", "route itellico: upstream", &url]);
    assert!(warning.contains("refused"), "{warning}");
    let opened = message(&gateway, &["does not take deliveries", &url]);
    assert!(opened.contains("refused"), "{opened}");
    let line = gateway.wait_for_log(LATE, |line| line["outcome"] == "upstream_failed");
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("upstream"), "{line}");
    // Each of them was tried by now, and what became of it is stored without a wait.
    let cause = || {
        let listed = asked(&gateway, "GET", "/queue", "");
        let id = listed["deliveries"][0]["delivery_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let shown = asked(&gateway, "GET", &format!("/queue/{id}"), "");
        shown["history"][0].clone()
    };
    assert!(eventually(LATE, || cause().is_object()));
    let attempt = cause();
    assert_eq!(attempt["error"], "upstream_unreachable");
    let words = attempt["cause"].as_str().unwrap_or_default();
    assert!(
        words.contains(&url) && words.contains("refused"),
        "{attempt}"
    );
    drop(closed);
}

#[test]
fn an_answer_that_opens_the_breaker_is_named() {
    let upstream = Upstream::with(Behaviour::status(503));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"100ms\"]", ""));
    for _ in 0..4 {
        send(&gateway);
    }
    let opened = message(&gateway, &["does not take deliveries"]);
    assert!(opened.contains("(it answered 503)"), "{opened}");
}
