//! Queue mode (contract: Queue): a delivery is on disk before it is acknowledged, and is delivered until the app takes
//! it, over restarts and crashes too.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::{Gateway, binary};
use crate::support::transport::{self, Transport};
use crate::support::upstream::{ClosedPort, Recorded, Upstream};
use crate::support::{LATE, eventually};

/// A gateway with a state directory beside its file and one route that stores what it takes. The app is tried again
/// after a tenth of a second.
fn config(upstream: &Upstream) -> Config {
    config_with(upstream, "retry = [\"100ms\"]")
}

fn config_with(upstream: &Upstream, queue: &str) -> Config {
    let route = Route::itellico(upstream).set("mode", "\"queue\"");
    Config::new()
        .route(route)
        .extra(&format!("[route.queue]\n{queue}"))
        .extra("[state]\ndir = \"state\"")
}

#[test]
fn a_delivery_is_acknowledged_while_the_app_works_and_reaches_it_unchanged() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let gateway = Gateway::start(&config(&upstream));
    let delivery = Delivery::fresh()
        .with("X-Own", "kept")
        .with("Cookie", "a=secret")
        .with("Cookie2", "a=secret");
    let answer = gateway.ask(delivery.bytes());
    answer.expect_status(200);
    assert_eq!(
        answer.json(),
        serde_json::json!({"ok": true, "queued": true})
    );
    let arrived = upstream.wait_for(1);
    let arrived = arrived.first().expect("an attempt");
    arrived.expect_body(delivery.body());
    assert_eq!(arrived.header("X-Own").as_deref(), Some("kept"));
    assert_eq!(
        arrived.header("X-Verigate-Verdict").as_deref(),
        Some("valid")
    );
    assert_eq!(arrived.header("X-Verigate-Attempt").as_deref(), Some("1"));
    let id = arrived.header("X-Verigate-Delivery-Id").expect("an id");
    assert_eq!(id.len(), 36, "{id}");
    let received = arrived.header("X-Verigate-Received-At").expect("a time");
    assert!(
        received.ends_with('Z') && received.len() == 24,
        "{received}"
    );
    for name in ["Cookie", "Cookie2"] {
        assert!(!arrived.has(name), "cookies are not stored");
    }
    latch.open();
    let copy = gateway.ask(delivery.bytes());
    copy.expect_refusal(409, "replayed_event");
}

#[test]
fn what_fails_is_tried_again_with_the_same_id_until_the_app_takes_it() {
    let upstream = Upstream::with(Behaviour::status(500));
    upstream.next(Behaviour::status(503));
    let gateway = Gateway::start(&config(&upstream));
    let delivery = Delivery::fresh();
    gateway.ask(delivery.bytes()).expect_status(200);
    upstream.wait_for(3);
    upstream.behave(Behaviour::status(204));
    let line = gateway.wait_for_log(LATE, |line| line["upstream_status"] == 204);
    assert_eq!(line["outcome"], "forwarded");
    let attempts = upstream.requests();
    let ids: Vec<_> = attempts
        .iter()
        .map(|r| r.header("X-Verigate-Delivery-Id"))
        .collect();
    assert!(
        ids.iter().all(|id| *id == ids[0] && id.is_some()),
        "{ids:?}"
    );
    for (place, attempt) in attempts.iter().enumerate() {
        let number = (place + 1).to_string();
        assert_eq!(attempt.header("X-Verigate-Attempt"), Some(number));
        attempt.expect_body(delivery.body());
    }
}

/// How often the thread of the gateway with this name went to sleep.
fn sleeps(gateway: &Gateway, thread: &str) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("it runs");
    let statuses =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
    let name = format!("Name:\t{thread}\n");
    let mut own = statuses.filter(|status| status.starts_with(&name));
    let own = own.next().expect("a thread of this name");
    let count = own
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let count = count.and_then(|count| count.trim().parse().ok());
    count.expect("a count")
}

#[test]
fn what_is_tried_as_soon_as_it_is_stored_is_not_read_from_the_disk() {
    const MANY: usize = 20;
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    let reads = || sleeps(&gateway, "queue.db-read");
    let before = reads();
    for place in 0..MANY {
        let delivery = Delivery::fresh();
        gateway.ask(delivery.bytes()).expect_status(200);
        let arrived = upstream.wait_for(place + 1);
        arrived[place].expect_body(delivery.body());
    }
    // On a machine that does nothing for a second some are forgotten, and read.
    assert!(reads() < before + MANY as u64 / 2);

    let before = reads();
    upstream.next(Behaviour::status(503));
    let delivery = Delivery::fresh();
    gateway.ask(delivery.bytes()).expect_status(200);
    for arrived in &upstream.wait_for(MANY + 2)[MANY..] {
        arrived.expect_body(delivery.body());
    }
    let has_read = || reads() > before;
    assert!(eventually(LATE, has_read), "a further attempt reads it");
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_what_was_delivered_does_not_come_again() {
    let upstream = Upstream::start();
    let config = config_with(&upstream, "retry = [\"100ms\"]\nconcurrency = 4");
    let gateway = Gateway::start(&config);
    let delivered = Delivery::fresh();
    gateway.ask(delivered.bytes()).expect_status(200);
    let line = gateway.wait_for_log(LATE, |line| line["upstream_status"] == 200);
    assert_eq!(line["outcome"], "forwarded");
    upstream.behave(Behaviour::status(500));
    let waiting: Vec<_> = (0..5).map(|_| Delivery::fresh()).collect();
    for delivery in &waiting {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    let seen = upstream.count();
    upstream.behave(Behaviour::status(200));
    let gateway = gateway.killed_and_started(&config);
    let all_came = || {
        let later: Vec<_> = upstream.requests().into_iter().skip(seen).collect();
        waiting
            .iter()
            .all(|wanted| later.iter().any(|got| got.body == wanted.body()))
    };
    assert!(eventually(LATE, all_came), "{} came", upstream.count());
    for delivery in waiting.iter().chain([&delivered]) {
        gateway
            .ask(delivery.bytes())
            .expect_refusal(409, "replayed_event");
    }
    assert_eq!(attempts(&upstream, &delivered).len(), 1);
}

#[test]
fn a_gateway_whose_app_is_down_takes_deliveries_and_delivers_them_when_it_is_back() {
    let closed = ClosedPort::take();
    let addr = closed.addr();
    let never = Upstream::start();
    let route = Route::itellico(&never)
        .set("upstream", &format!("\"{}\"", closed.url()))
        .set("mode", "\"queue\"");
    let config = Config::new()
        .route(route)
        .extra("[route.queue]\nretry = [\"100ms\"]")
        .extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let deliveries: Vec<_> = (0..3).map(|_| Delivery::fresh()).collect();
    for delivery in &deliveries {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    drop(closed);
    let upstream = Upstream::at(addr, Behaviour::status(200));
    upstream.wait_for(3);
    for delivery in &deliveries {
        assert!(
            upstream
                .requests()
                .iter()
                .any(|got| got.body == delivery.body())
        );
    }
}

#[test]
fn a_stranger_puts_nothing_on_disk_and_a_get_is_not_stored() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    let forged = Delivery::signed("wrong", crate::support::delivery::event(), "1");
    gateway.ask(forged.bytes()).expect_status(401);
    let metrics = gateway.metrics();
    assert!(metrics.value("verigate_queue_bytes", &[]) < 1.0);
    assert_eq!(upstream.count(), 0);
}

/// What an attempt of this delivery said of itself: its id and its number.
fn attempts(upstream: &Upstream, delivery: &Delivery) -> Vec<(String, String)> {
    let requests = upstream.requests();
    let own = requests
        .iter()
        .filter(|request| request.body == delivery.body());
    let value = |request: &Recorded, name| request.header(name).expect("a header of the attempt");
    own.map(|request| {
        let id = value(request, "X-Verigate-Delivery-Id");
        (id, value(request, "X-Verigate-Attempt"))
    })
    .collect()
}

#[test]
fn a_stop_waits_for_the_attempt_in_flight_and_what_waits_is_delivered_after_the_next_start() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let config = config_with(&upstream, "retry = [\"100ms\"]\nconcurrency = 1");
    let mut gateway = Gateway::start(&config);
    let (first, second) = (Delivery::fresh(), Delivery::fresh());
    gateway.ask(first.bytes()).expect_status(200);
    upstream.wait_for(1);
    gateway.ask(second.bytes()).expect_status(200);
    gateway.signal("TERM");
    let refused = || Client::try_connect(gateway.addr()).is_err();
    assert!(
        eventually(LATE, refused),
        "a connection is taken after the stop"
    );
    latch.open();
    let status = gateway.wait_exit(LATE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", gateway.stderr());
    let gateway = gateway.started_again(&config);
    upstream.wait_for(2);
    assert_eq!(attempts(&upstream, &first).len(), 1);
    assert_eq!(attempts(&upstream, &second).len(), 1);
    gateway
        .ask(first.bytes())
        .expect_refusal(409, "replayed_event");
}

#[test]
fn an_upgrade_shares_nothing_out_twice_and_loses_nothing() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let config = config_with(&upstream, "retry = [\"100ms\"]\nconcurrency = 2");
    let mut old = Gateway::start(&config);
    let before: Vec<_> = (0..4).map(|_| Delivery::fresh()).collect();
    for delivery in &before {
        old.ask(delivery.bytes()).expect_status(200);
    }
    upstream.wait_for(2);
    let mut idle = old.connect();
    idle.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect_status(404);
    let new = old.successor(&config);
    // The connection that idled is served by the old process for a second: both store what they take.
    let late = Delivery::fresh();
    idle.ask(late.bytes()).expect_status(200);
    new.ask(late.bytes()).expect_refusal(409, "replayed_event");
    let after: Vec<_> = (0..4).map(|_| Delivery::fresh()).collect();
    for delivery in &after {
        new.ask(delivery.bytes()).expect_status(200);
    }
    for delivery in &before {
        new.ask(delivery.bytes())
            .expect_refusal(409, "replayed_event");
    }
    latch.open();
    let status = old.wait_exit(LATE).expect("the old one ends");
    assert_eq!(status.code(), Some(0), "{}", old.stderr());
    upstream.wait_for(9);
    // One more goes the whole way, so whatever would come twice has come.
    let last = Delivery::fresh();
    new.ask(last.bytes()).expect_status(200);
    upstream.wait_for(10);
    for delivery in before.iter().chain(&after).chain([&late, &last]) {
        assert_eq!(attempts(&upstream, delivery).len(), 1);
    }
}

#[test]
fn a_route_that_a_reload_removes_holds_its_deliveries_until_it_is_back() {
    let upstream = Upstream::with(Behaviour::status(500));
    let other = Route::plain(&upstream);
    let with_both = |queue: bool| {
        let config = Config::new().route(other.clone());
        let config = if queue {
            let route = Route::itellico(&upstream).set("mode", "\"queue\"");
            config
                .route(route)
                .extra("[route.queue]\nretry = [\"100ms\"]")
        } else {
            config
        };
        config.extra("[state]\ndir = \"state\"")
    };
    let config = with_both(true);
    let gateway = Gateway::start(&config);
    let delivery = Delivery::fresh();
    gateway.ask(delivery.bytes()).expect_status(200);
    upstream.wait_for(2);
    gateway.rewrite(&with_both(false));
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    let held = upstream.count();
    let checked = |flags: &[&str]| {
        let mut check = binary();
        check.arg("check").args(flags).arg(gateway.config_file());
        check.envs(config.environment.iter().map(|(name, value)| (name, value)));
        let output = check.output().expect("the binary runs");
        [output.stdout, output.stderr].map(|all| String::from_utf8_lossy(&all).into_owned())
    };
    let check = |flags: &[&str]| checked(flags).concat();
    let [shown, warned] = checked(&[]);
    let words = "no route `itellico` with the provider `itellico`, which holds 1 delivery on disk";
    assert!(warned.contains(words), "{warned}");
    assert!(warned.contains("[held-deliveries]"), "{warned}");
    let row = "1 delivery of the route itellico (provider itellico), which is not in this file";
    assert!(shown.contains(row), "{shown}");
    let shown = check(&["--json"]);
    let held_there = r#""held":[{"deliveries":1,"provider":"itellico","route":"itellico"}]"#;
    let squeezed: String = shown.split_whitespace().collect();
    assert!(squeezed.contains(held_there), "{shown}");
    upstream.behave(Behaviour::status(200));
    gateway.rewrite(&config);
    gateway.admin("POST", "/reload", &[], "").expect_status(200);
    let shown = check(&[]);
    assert!(!shown.contains("which is not in this file"), "{shown}");
    assert!(!shown.contains("held-deliveries"), "{shown}");
    let line = gateway.wait_for_log(LATE, |line| line["upstream_status"] == 200);
    assert_eq!(line["outcome"], "forwarded");
    // An attempt that was due when the route went may still have come.
    assert!(
        upstream.count() <= held + 2,
        "{} after {held}",
        upstream.count()
    );
}

#[test]
fn a_full_queue_takes_nothing_more_and_says_so_before_the_body() {
    let upstream = Upstream::with(Behaviour::status(500));
    let config = config_with(&upstream, "retry = [\"1h\"]\nmax_deliveries = 2");
    let gateway = Gateway::start(&config);
    for _ in 0..2 {
        gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    }
    let third = Delivery::fresh();
    let answer = gateway.ask(third.bytes());
    answer.expect_refusal(503, "queue_full");
    assert_eq!(answer.header("Retry-After"), Some("30"));
    assert_eq!(upstream.wait_for(2).len(), 2);
}

#[test]
fn what_waits_and_what_was_tried_is_in_the_metrics() {
    let upstream = Upstream::with(Behaviour::status(410));
    let gateway = Gateway::start(&config_with(&upstream, "retry = [\"1h\"]"));
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    let route = ("route", "itellico");
    let reaches = |name: &str, label: (&str, &str), value: f64| {
        let is_so = || (gateway.metrics().value(name, &[route, label]) - value).abs() < 0.5;
        assert!(eventually(LATE, is_so), "{name} {label:?} is not {value}");
    };
    reaches("verigate_queue_deliveries", ("state", "dead"), 1.0);
    reaches("verigate_queue_dead_total", ("reason", "status"), 1.0);
    reaches("verigate_queue_attempts_total", ("class", "4xx"), 1.0);
    upstream.behave(Behaviour::status(500));
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    reaches("verigate_queue_deliveries", ("state", "retrying"), 1.0);
    reaches("verigate_queue_attempts_total", ("class", "5xx"), 1.0);
    let metrics = gateway.metrics();
    assert!(metrics.value("verigate_queue_bytes", &[]) > 100.0);
    assert!((metrics.value("verigate_queue_max_deliveries", &[]) - 1_000_000.0).abs() < 0.5);
    let accepted = metrics.value("verigate_queue_accept_duration_seconds_count", &[]);
    assert!((accepted - 2.0).abs() < 0.5, "{accepted}");
    assert!(metrics.value("verigate_state_sync_duration_seconds_count", &[]) >= 1.0);
}

#[test]
fn a_delivery_that_waits_for_over_a_quarter_of_an_hour_is_an_error_in_the_log() {
    let upstream = Upstream::with(Behaviour::status(500));
    let config = config_with(&upstream, "retry = [\"1h\"]");
    let gateway = Gateway::start(&config);
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    gateway.wait_for_log(LATE, |line| line["upstream_status"] == 500);
    assert!(
        !gateway.stderr().contains("the oldest accepted"),
        "it is new"
    );
    let file = gateway.folder().join("state/queue.db");
    let gateway = gateway.killed_then(&config, || {
        // As if it had been accepted 20 minutes earlier.
        let db = rusqlite::Connection::open(&file).expect("the database");
        let id: Vec<u8> = db
            .query_row("select id from delivery", (), |row| row.get(0))
            .expect("a delivery");
        let id = u128::from_be_bytes(id.try_into().expect("an id")) - (1_200_000 << 80);
        let changed = db.execute("update delivery set id = ?1", [&id.to_be_bytes()[..]]);
        assert_eq!(changed.expect("a change"), 1);
    });
    assert!(gateway.says("route itellico: 1 delivery waits, the oldest accepted 20 minutes ago: "));
    let age = gateway
        .metrics()
        .value("verigate_queue_oldest_seconds", &[("route", "itellico")]);
    assert!((1200.0..1500.0).contains(&age), "{age}");
}

/// The head is written again as `Name: value`, by which a line that was received without the blank was a byte too long
/// to be read.
#[test]
fn qu_09_a_line_of_the_greatest_length_is_acknowledged_and_delivered() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    // A line of HTTP/2 counts as one with a space behind the colon.
    let between = if transport::chosen() == Transport::Http2 {
        2
    } else {
        1
    };
    let value = |name: &str| "v".repeat(16_384 - name.len() - between);
    let longest = |name: &str| format!("{name}:{}", value(name));
    let rows = [
        Delivery::fresh().with_line(longest("X-Long")),
        Delivery::fresh().without("Host").with_line(longest("Host")),
    ];
    for (number, delivery) in rows.iter().enumerate() {
        gateway.ask(delivery.bytes()).expect_status(200);
        let arrived = upstream.wait_for(number + 1);
        let arrived = arrived.last().expect("an attempt");
        arrived.expect_body(delivery.body());
    }
    let arrived = upstream.requests();
    let long = arrived.first().and_then(|first| first.header("X-Long"));
    assert_eq!(long.map(|value| value.len()), Some(value("X-Long").len()));
}

/// What an attempt replaces is the part of the path that the route matched when the delivery came, and not as many
/// bytes as the route's path has by now.
#[test]
fn qu_15_a_stored_target_is_kept_when_a_reload_changes_the_path_of_its_route() {
    let upstream = Upstream::with(Behaviour::status(500));
    let with_path = |path: &str, new: Option<&str>| {
        let mut route = Route::itellico(&upstream)
            .set("mode", "\"queue\"")
            .set("path", &format!("\"{path}\""));
        if let Some(new) = new {
            route = route.set("upstream_path", &format!("\"{new}\""));
        }
        Config::new()
            .route(route)
            .extra("[route.queue]\nretry = [\"100ms\"]")
            .extra("[state]\ndir = \"state\"")
    };
    let gateway = Gateway::start(&with_path("/hooks/*", None));
    let delivery = Delivery::fresh().target("/hooks/abc/def?x=1&y=2");
    gateway.ask(delivery.bytes()).expect_status(200);
    upstream.wait_for(1);
    let rows = [
        ("/hooks-new/stripe", "/in", "/in/abc/def?x=1&y=2"),
        ("/hooks-new/*", "/in/", "/in/abc/def?x=1&y=2"),
        ("/h/*", "/other", "/other/abc/def?x=1&y=2"),
    ];
    for (path, new, expected) in rows {
        gateway.rewrite(&with_path(path, Some(new)));
        gateway.admin("POST", "/reload", &[], "").expect_status(200);
        let sent = || {
            let last = upstream.last().target.clone();
            String::from_utf8_lossy(&last).into_owned()
        };
        assert!(
            eventually(LATE, || sent() == expected),
            "{path}: {}",
            sent()
        );
    }
}
