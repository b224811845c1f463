//! What an operator sees of a queue in trouble (contract: Queue): why attempts fail, what is turned away, and what is
//! held.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use serde_json::Value;

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::{ClosedPort, Upstream};
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

/// A gateway with a queue in front of an app at `url`.
fn config(url: &str, queue: &str) -> Config {
    without_token(url, queue)
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
}

/// The same, with an admin port that shows its metrics to everybody and has no pages of the queue.
fn without_token(url: &str, queue: &str) -> Config {
    in_mode("queue", url, queue)
}

fn in_mode(mode: &str, url: &str, queue: &str) -> Config {
    let never = Upstream::start();
    let route = Route::itellico(&never)
        .set("upstream", &format!("\"{url}\""))
        .set("mode", &format!("\"{mode}\""));
    Config::new()
        .route(route)
        .extra(&format!("[route.queue]\n{queue}"))
        .extra("[state]\ndir = \"state\"")
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
    let gateway = Gateway::start(&config(&url, "retry = [\"100ms\"]"));
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
fn an_app_that_refuses_deliveries_is_warned_about_once() {
    let upstream = Upstream::with(Behaviour::status(401));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"100ms\"]"));
    send(&gateway);
    let said = message(&gateway, &["the app answers 401"]);
    let words = "WARN  route itellico: the app answers 401 to deliveries of the queue; they are tried again until \
                 `max_age` (3d): `verigate queue list --route itellico --state retrying`";
    assert!(said.contains(words), "{said}");
    // A third attempt has begun, so the second has ended.
    upstream.wait_for(3);
    let all = gateway.stderr();
    assert_eq!(all.matches("the app answers").count(), 1, "{all}");
}

#[test]
fn a_refusal_that_is_final_is_told_as_a_death_alone() {
    let upstream = Upstream::with(Behaviour::status(410));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"100ms\"]"));
    send(&gateway);
    message(&gateway, &["WARN", "is dead after attempt 1"]);
    let all = gateway.stderr();
    assert!(!all.contains("the app answers"), "{all}");
}

#[test]
fn a_backlog_of_a_route_that_is_back_in_relay_mode_is_told() {
    let upstream = Upstream::with(Behaviour::status(500));
    let queue = config(&upstream.url(), "retry = [\"1h\"]");
    let relay = in_mode("relay", &upstream.url(), "retry = [\"1h\"]")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let gateway = Gateway::start(&queue);
    for _ in 0..2 {
        send(&gateway);
    }
    upstream.wait_for(2);
    gateway.rewrite(&relay);
    asked(&gateway, "POST", "/reload", "");
    let words = "route itellico: 2 deliveries accepted in queue mode go on being delivered";
    message(&gateway, &["INFO", words]);
    let mut check = binary();
    check.arg("check").arg(gateway.config_file());
    check.envs(relay.environment.iter().map(|(name, value)| (name, value)));
    let shown = check.output().expect("the binary runs").stdout;
    let shown = String::from_utf8_lossy(&shown);
    let row = "2 deliveries of the route itellico, accepted in queue mode: a gateway goes on delivering them";
    assert!(shown.contains(row), "{shown}");
}

#[test]
fn an_answer_that_opens_the_breaker_is_named() {
    let upstream = Upstream::with(Behaviour::status(503));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"100ms\"]"));
    for _ in 0..4 {
        send(&gateway);
    }
    let opened = message(&gateway, &["does not take deliveries"]);
    assert!(opened.contains("(it answered 503)"), "{opened}");
}

#[test]
fn a_full_route_is_named_with_the_limit_that_it_has_reached() {
    let upstream = Upstream::with(Behaviour::status(500));
    let queue = "retry = [\"1h\"]\nmax_deliveries = 2";
    let gateway = Gateway::start(&without_token(&upstream.url(), queue));
    for _ in 0..2 {
        send(&gateway);
    }
    for _ in 0..3 {
        let delivery = Delivery::of(event_with(&fresh_event_id()));
        gateway.ask(delivery).expect_refusal(503, "queue_full");
    }
    let said = message(
        &gateway,
        &[
            "ERROR",
            "route itellico: its queue is full (2 of 2 deliveries",
        ],
    );
    assert!(
        said.contains("raise `max_deliveries` in `[route.queue]`"),
        "{said}"
    );
    let times = gateway.stderr().matches("its queue is full").count();
    assert_eq!(times, 1, "{}", gateway.stderr());
    let metrics = gateway.metrics();
    let of = |name: &str| metrics.value(name, &[("route", "itellico")]);
    assert!((of("verigate_queue_route_max_deliveries") - 2.0).abs() < 0.5);
    assert!(of("verigate_queue_route_max_bytes") > of("verigate_queue_route_bytes"));
    assert!(of("verigate_queue_route_bytes") > 100.0);
}

#[test]
fn deliveries_of_a_route_that_is_gone_are_named_at_reload_and_start_and_in_a_plan() {
    let upstream = Upstream::with(Behaviour::status(500));
    let before = config(&upstream.url(), "retry = [\"1h\"]");
    let gateway = Gateway::start(&before);
    for _ in 0..2 {
        send(&gateway);
    }
    let renamed = Route::itellico(&upstream)
        .set("name", "\"other\"")
        .set("mode", "\"queue\"");
    let after = Config::new()
        .route(renamed)
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    gateway.rewrite(&after);
    asked(&gateway, "POST", "/reload", "");
    let words = ["WARN", "route itellico: 2 deliveries wait and are held"];
    let said = message(&gateway, &words);
    assert!(
        said.contains("verigate queue discard --route itellico"),
        "{said}"
    );
    let plan = asked(&gateway, "POST", "/queue/plan", "{\"route\":\"itellico\"}");
    assert_eq!(plan["removed_routes"], serde_json::json!(["itellico"]));
    let gateway = gateway.killed_and_started(&after);
    message(&gateway, &words);
    // Put back, it holds nothing any more.
    gateway.rewrite(&before);
    asked(&gateway, "POST", "/reload", "");
    let plan = asked(&gateway, "POST", "/queue/plan", "{\"route\":\"itellico\"}");
    assert_eq!(plan["removed_routes"], serde_json::json!([]));
}

#[test]
fn a_delivery_that_dies_after_its_route_was_removed_is_told_with_the_name_of_the_route() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(410)));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"1h\"]"));
    send(&gateway);
    upstream.wait_for(1);
    let other = Config::new()
        .route(Route::plain(&upstream))
        .extra("[state]\ndir = \"state\"")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    gateway.rewrite(&other);
    asked(&gateway, "POST", "/reload", "");
    latch.open();
    message(&gateway, &["route itellico, ", "is dead after attempt 1"]);
}

#[test]
fn the_log_has_the_delivery_and_the_attempt_and_names_the_event_that_is_discarded_or_dies() {
    let upstream = Upstream::with(Behaviour::status(500));
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"1h\"]"));
    let [one, planned, dead] = [(); 3].map(|()| {
        let id = send(&gateway);
        let is_it = |line: &Value| line["event_id"] == id.as_str();
        let accepted =
            gateway.wait_for_log(LATE, |line| is_it(line) && line["outcome"] == "queued");
        let tried = gateway.wait_for_log(LATE, |line| is_it(line) && line["outcome"] != "queued");
        let name = accepted["delivery_id"].as_str().expect("a name").to_owned();
        assert!(accepted["attempt"].is_null(), "{accepted}");
        assert_eq!(
            (&tried["delivery_id"], &tried["attempt"]),
            (&accepted["delivery_id"], &serde_json::json!(1))
        );
        assert_eq!(tried["request_id"], accepted["request_id"]);
        (id, name)
    });
    let found = |(event, name): &(String, String), what: &str| {
        let event = format!("route itellico, event {event}, type ");
        let said = message(&gateway, &[&event, &format!("the delivery {name} {what}")]);
        assert!(said.contains(", received 20"), "{said}");
    };
    upstream.behave(Behaviour::status(410));
    let retry = |(_, name): &(String, String)| format!("{{\"delivery_id\":\"{name}\"}}");
    asked(&gateway, "POST", "/queue/retry", &retry(&dead));
    let (_, name) = &dead;
    found(
        &dead,
        &format!(
            "is dead after attempt 2: the app answered 410, which `dead_on` lists; `verigate queue show {name}` has"
        ),
    );
    asked(&gateway, "POST", "/queue/discard", &retry(&one));
    found(&one, "was discarded by ");
    let plan = asked(&gateway, "POST", "/queue/plan", "{\"state\":\"retrying\"}");
    let plan = plan["plan"].as_str().expect("a plan");
    let begun = asked(
        &gateway,
        "POST",
        "/queue/discard",
        &format!("{{\"plan\":\"{plan}\"}}"),
    );
    assert_eq!(begun["deliveries"], 1, "{begun}");
    found(&planned, "was discarded by the plan ");
}

#[test]
fn a_pause_or_its_end_that_changes_nothing_is_not_logged_as_one() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream.url(), "retry = [\"1h\"]"));
    let route = "{\"route\":\"itellico\"}";
    asked(&gateway, "POST", "/queue/resume", route);
    message(&gateway, &["INFO", "it was not paused"]);
    for _ in 0..2 {
        asked(&gateway, "POST", "/queue/pause", route);
    }
    message(&gateway, &["INFO", "it was paused before"]);
    let times = gateway
        .stderr()
        .matches("route itellico: paused by")
        .count();
    assert_eq!(times, 1, "{}", gateway.stderr());
    assert!(!gateway.says("route itellico: resumed by"));
}
