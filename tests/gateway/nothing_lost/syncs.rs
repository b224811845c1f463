//! A disk that hangs in a sync, and one whose sync or read fails: `strace` holds the system calls of the real binary.

use serde_json::json;

use super::book::{has_pieces, ids_in};
use super::config_in;
use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_of};
use crate::support::gateway::Gateway;
use crate::support::held::{FOR_GOOD, Held};
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

fn asked(gateway: &Gateway, method: &str, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    let answer = gateway.admin(method, path, &[("Authorization", &token)], body);
    answer.expect_status(200);
    answer
}

fn config(upstream: &Upstream) -> Config {
    config_in(
        upstream,
        "state",
        "retry = [\"100ms\"]",
        "timeout = \"1s\"\nkeep_free = \"0B\"",
    )
}

/// Sends a delivery and a copy of it into a sync that is held, and reads what both get until the wait has ended.
fn send_into_the_hold(gateway: &Gateway, delivery: &Delivery) {
    let mut pair = [(); 2].map(|()| Client::connect(gateway.addr()));
    for client in &mut pair {
        client.send(delivery.bytes());
    }
    let mut answers = pair.map(|mut client| {
        let answer = client.answer_within(SOON);
        assert_eq!(answer.status, 503, "{answer}");
        answer.code()
    });
    answers.sort();
    assert_eq!(answers, ["event_in_flight", "queue_unavailable"]);
    // Nobody waits for it any more, and still nobody else may have it.
    gateway
        .ask(delivery.bytes())
        .expect_refusal(503, "event_in_flight");
}

#[test]
fn qu_07_a_sync_that_hangs_ends_the_wait_and_keeps_the_delivery() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    gateway.ask(Delivery::fresh()).expect_status(200);
    upstream.wait_for(1);
    let Some(held) = Held::every_sync(&gateway, "") else {
        return;
    };
    let delivery = Delivery::fresh();
    send_into_the_hold(&gateway, &delivery);
    let copy = || gateway.ask(delivery.bytes()).code();
    assert!(eventually(LATE, || copy() == "replayed_event"));
    drop(held);
    upstream.wait_for(2);
    gateway.ask(Delivery::fresh()).expect_status(200);
    let arrived = upstream.wait_for(3);
    let own = arrived.iter().filter(|got| got.body == delivery.body());
    assert_eq!(own.count(), 1);
}

#[test]
fn qu_07_a_sync_that_hangs_and_fails_frees_the_claim_and_a_later_copy_is_taken_once() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    gateway.ask(Delivery::fresh()).expect_status(200);
    upstream.wait_for(1);
    let Some(held) = Held::every_sync(&gateway, ":error=EIO") else {
        return;
    };
    let delivery = Delivery::fresh();
    send_into_the_hold(&gateway, &delivery);
    let copy = || gateway.ask(delivery.bytes());
    // The sync has failed: the claim is free, and nothing is acknowledged.
    assert!(eventually(LATE, || copy().code() == "queue_unavailable"));
    assert!(gateway.says("nothing is acknowledged until the file can be written again"));
    let ready = || gateway.admin("GET", "/readyz", &[], "");
    assert!(
        eventually(LATE, || ready().status == 503),
        "it seems to be ready"
    );
    ready().expect_refusal(503, "queue_unavailable");
    assert_eq!(upstream.count(), 1);
    drop(held);
    assert!(eventually(LATE, || copy().status == 200));
    assert!(eventually(LATE, || ready().status == 200));
    copy().expect_refusal(409, "replayed_event");
    upstream.wait_for(2);
    // Before it has written that the app took it, it would deliver it once more.
    let state = gateway.folder().join("state");
    assert!(eventually(LATE, || ids_in(&state).is_empty()));
    let gateway = gateway.killed_and_started(&config);
    gateway
        .ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
    gateway.ask(Delivery::fresh()).expect_status(200);
    let arrived = upstream.wait_for(3);
    let own = arrived.iter().filter(|got| got.body == delivery.body());
    assert_eq!(own.count(), 1);
}

/// SQLite tells a read that fails as damage of the file. The delivery stayed until the next start, and no line said why.
#[test]
fn qu_07_a_delivery_that_the_disk_does_not_give_is_held_and_goes_out_once_it_does() {
    let upstream = Upstream::with(Behaviour::status(500));
    let config = config_in(&upstream, "state", "retry = [\"1h\"]", "")
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN);
    let mut gateway = Gateway::start(&config);
    let delivery = Delivery::of(event_of(200_000));
    gateway.ask(delivery.bytes()).expect_status(200);
    upstream.wait_for(1);
    let listed = |gateway: &Gateway| asked(gateway, "GET", "/queue?state=retrying", "").json();
    let id = |gateway: &Gateway| listed(gateway)["deliveries"][0]["delivery_id"].clone();
    assert!(eventually(LATE, || id(&gateway).is_string()));
    // What this process has read of the file is not read again.
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("its end");
    let gateway = gateway.started_again(&config);
    upstream.behave(Behaviour::status(200));
    let id = id(&gateway);
    let retry = || {
        asked(
            &gateway,
            "POST",
            "/queue/retry",
            &json!({ "delivery_id": id }).to_string(),
        )
    };

    let Some(held) = Held::every(&gateway, "pread64", "error=EIO") else {
        return;
    };
    retry();
    let id = id.as_str().expect("an id");
    let line =
        format!("the delivery {id} cannot be read and is held: the store is damaged: queue.db:");
    assert!(
        eventually(LATE, || gateway.says(&line)),
        "{}",
        gateway.stderr()
    );
    assert!(gateway.says("or the disk fails to read it (SQLite error 11)"));
    let is_counted = || {
        let metrics = asked(&gateway, "GET", "/metrics", "").body;
        String::from_utf8_lossy(&metrics).contains("verigate_queue_held{route=\"itellico\"} 1")
    };
    assert!(eventually(LATE, is_counted));
    assert_eq!(upstream.count(), 1);

    drop(held);
    retry();
    let arrived = upstream.wait_for(2);
    assert_eq!(arrived[1].body, delivery.body());
    gateway.ask(Delivery::fresh()).expect_status(200);
    upstream.wait_for(3);
}

/// A delivery of which the gateway has stored the first pieces, and its client.
fn large_under_way(gateway: &Gateway) -> (Delivery, Client) {
    let delivery = Delivery::of(event_of(4_000_000));
    let mut client = Client::connect(gateway.addr());
    client.send(delivery.bytes());
    let state = gateway.folder().join("state");
    assert!(eventually(LATE, || has_pieces(&state)));
    (delivery, client)
}

/// Its pieces have no delivery until all of them are written, and the new process took them for rests of a crash.
#[test]
fn qu_24_a_body_that_the_old_process_still_writes_is_whole_after_an_upgrade() {
    let upstream = Upstream::start();
    let config = config_in(&upstream, "state", "", "timeout = \"30s\"");
    let mut old = Gateway::start(&config);
    // Between two pieces the new process finds the file without a lock.
    let Some(_slow) = Held::every(&old, "fcntl", "delay_enter=150000") else {
        return;
    };
    let (delivery, mut client) = large_under_way(&old);
    let new = old.successor(&config);
    client.answer_within(LATE).expect_status(200);
    drop(client);
    old.wait_exit(LATE).expect("its end");
    let arrived = upstream.wait_for(1);
    arrived[0].expect_body(delivery.body());
    new.ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
}

/// The old process has the file for longer than a writer waits for another program, and asks for it again at once: each
/// piece of the large body is a transaction of its own. The new one writes before it takes over, too: a route of its own
/// gets a number.
#[test]
fn an_upgrade_on_a_slow_disk_refuses_nothing() {
    let upstream = Upstream::start();
    let config = config_in(&upstream, "state", "", "timeout = \"30s\"");
    let mut old = Gateway::start(&config);
    let Some(_slow) = Held::every(&old, "fdatasync", "delay_enter=1300000") else {
        return;
    };
    let (large, mut client) = large_under_way(&old);
    let more = Route::itellico(&upstream)
        .set("name", "\"more\"")
        .set("path", "\"/more\"")
        .set("mode", "\"queue\"");
    let new = old.successor(&config.route(more));
    let small = Delivery::fresh();
    new.ask(small.bytes()).expect_status(200);
    client.answer_within(LATE).expect_status(200);
    drop(client);
    old.wait_exit(LATE).expect("its end");
    upstream.wait_for(2);
    for delivery in [&large, &small] {
        let copy = new.ask(delivery.bytes());
        copy.expect_refusal(409, "replayed_event");
    }
    for gateway in [&old, &new] {
        let failed = "nothing is acknowledged until";
        assert!(!gateway.says(failed), "{}", gateway.stderr());
    }
}

/// The old process waits for two seconds at most for what it asks the new one.
#[test]
fn during_an_upgrade_on_a_slow_disk_claims_do_not_wait_for_each_other() {
    let upstream = Upstream::start();
    let config = config_in(&upstream, "state", "", "timeout = \"30s\"");
    let mut old = Gateway::start(&config);
    let Some(slow) = Held::every(&old, "fdatasync", "delay_enter=4000000") else {
        return;
    };
    let deliveries: Vec<_> = (0..12).map(|_| Delivery::fresh()).collect();
    let begin = |delivery: &Delivery| {
        let mut client = Client::connect(old.addr());
        client.send(delivery.bytes());
        client
    };
    let mut clients: Vec<_> = deliveries.iter().map(begin).collect();
    let are_claimed = || old.metrics().value("verigate_replay_entries", &[]) >= 12.0;
    assert!(eventually(LATE, are_claimed));
    let new = old.successor(&config);
    let _slow_too = Held::every(&new, "fdatasync", "delay_enter=300000");
    drop(slow);
    for client in &mut clients {
        client.answer_within(LATE).expect_status(200);
    }
    drop(clients);
    old.wait_exit(LATE).expect("its end");
    let unsettled = "could not be settled";
    assert!(!old.says(unsettled), "{}", old.stderr());
    for delivery in &deliveries {
        let copy = new.ask(delivery.bytes());
        copy.expect_refusal(409, "replayed_event");
    }
}

/// The claim was given back as the process ended, and then the delivery was stored.
#[test]
fn rx_34_a_delivery_that_the_old_process_stores_as_it_ends_is_let_in_by_no_copy() {
    let upstream = Upstream::start();
    let config = config_in(&upstream, "state", "", "timeout = \"30s\"");
    let config = config.server("shutdown_grace", "\"1s\"");
    let mut old = Gateway::start(&config);
    let Some(held) = Held::every(&old, "fdatasync", FOR_GOOD) else {
        return;
    };
    let delivery = Delivery::fresh();
    let mut client = Client::connect(old.addr());
    client.send(delivery.bytes());
    let is_claimed = || old.metrics().value("verigate_replay_entries", &[]) >= 1.0;
    assert!(eventually(LATE, is_claimed));
    let new = old.successor(&config);
    let ends = || {
        old.stderr()
            .contains("deliveries that were still being stored")
    };
    assert!(eventually(LATE, ends), "{}", old.stderr());
    drop(held);
    old.wait_exit(LATE).expect("its end");
    let arrived = upstream.wait_for(1);
    arrived[0].expect_body(delivery.body());
    new.ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
}

/// A lease lasts for six seconds here: a process is taken for stopped when it was silent for so long, and not when its disk
/// is slow.
#[test]
fn rx_35_a_delivery_that_the_old_process_still_writes_is_let_in_by_no_copy() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream)
        .set("mode", "\"queue\"")
        .set("max_body", "\"4MiB\"")
        .set("upstream_timeout", "\"1s\"");
    let state = "[state]\ndir = \"state\"\ntimeout = \"30s\"\n";
    let config = Config::new().route(route).extra(state);
    let mut old = Gateway::start(&config);
    let Some(_slow) = Held::every(&old, "fdatasync", "delay_enter=3000000") else {
        return;
    };
    let (delivery, mut client) = large_under_way(&old);
    let new = old.successor(&config);
    let mut statuses = Vec::new();
    let is_written = || {
        let answer = new.ask(delivery.bytes());
        statuses.push(answer.status);
        answer.status != 503
    };
    assert!(eventually(LATE, is_written), "{}", new.stderr());
    assert_eq!(statuses.last(), Some(&409), "{statuses:?}");
    client.answer_within(LATE).expect_status(200);
    drop(client);
    old.wait_exit(LATE).expect("its end");
    new.ask(Delivery::fresh()).expect_status(200);
    upstream.wait_for(2);
    new.ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
    assert_eq!(upstream.count(), 2);
    assert!(!new.says("as if it were stopped"), "{}", new.stderr());
}

/// A route in this mode, in a configuration that is watched each second.
fn watched(upstream: &Upstream, mode: &str) -> Config {
    let route = Route::itellico(upstream).set("mode", &format!("\"{mode}\""));
    Config::new()
        .server("watch", "\"1s\"")
        .route(route)
        .extra("[state]\ndir = \"state\"\n")
}

/// Stops the gateway, has `queue.db` changed by a statement, and starts another one in its folder.
fn changed_and_started(mut gateway: Gateway, statement: &str, config: &Config) -> Gateway {
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("its end");
    change_queue(&gateway, statement);
    gateway.started_again(config)
}

fn change_queue(gateway: &Gateway, statement: &str) {
    let path = gateway.folder().join("state/queue.db");
    let connection = rusqlite::Connection::open(path).expect("the database");
    connection.execute_batch(statement).expect(statement);
}

/// What a reload had to write was written by the task that waits for signals, or by the only thread of the admin port,
/// and without a limit of time.
#[test]
fn a_reload_that_waits_for_the_disk_is_refused_in_time_and_keeps_no_signal_waiting() {
    let upstream = Upstream::start();
    let (relay, queue) = (watched(&upstream, "relay"), watched(&upstream, "queue"));
    // The route has its number, and only that its claims are stored is not noted.
    let forget = "delete from meta where name = 'stored_routes'";
    let gateway = changed_and_started(Gateway::start(&queue), forget, &relay);
    let Some(_held) = Held::every(&gateway, "fsync,fdatasync", FOR_GOOD) else {
        return;
    };
    gateway.rewrite(&queue);
    let is_refused = || gateway.says("cannot be watched: a reading has not ended");
    assert!(eventually(LATE, is_refused), "{}", gateway.stderr());
    gateway.admin("GET", "/readyz", &[], "").expect_status(200);
    gateway.signal("TERM");
    let has_heard = || gateway.says("stopping: 0 connections are open");
    assert!(eventually(SOON, has_heard), "{}", gateway.stderr());
}

/// What was known at the new process's start was delivered: the old one had sent a part of it, and had accepted more.
#[test]
fn qu_24_an_upgrade_whose_queue_cannot_be_read_again_delivers_nothing_until_it_can() {
    let latch = Latch::closed();
    let upstream = Upstream::with(Behaviour::answer_after(&latch, &Reply::new(200)));
    let config = config_in(&upstream, "state", "", "");
    let mut old = Gateway::start(&config);
    let first = Delivery::fresh();
    old.ask(first.bytes()).expect_status(200);
    upstream.wait_for(1);
    let new = old.successor(&config);
    let second = Delivery::fresh();
    new.ask(second.bytes()).expect_status(200);
    // Each reading opens the file.
    let Some(held) = Held::every(&new, "openat", "error=EIO") else {
        return;
    };
    latch.open();
    old.wait_exit(LATE).expect("its end");
    let is_said = || new.says("the queue cannot be read again after the upgrade: ");
    assert!(eventually(LATE, is_said), "{}", new.stderr());
    new.ask(Delivery::fresh()).expect_status(200);
    assert_eq!(upstream.count(), 1);
    drop(held);
    let arrived = upstream.wait_for(3);
    let own = arrived.iter().filter(|got| got.body == first.body());
    assert_eq!(own.count(), 1);
    assert!(new.says("the queue was read again: deliveries are tried"));
    assert!(eventually(LATE, || ids_in(&new.folder().join("state")).is_empty()));
    assert_eq!(upstream.count(), 3);
}

/// The time is kept each ten seconds, and the housekeeping waited for that.
#[test]
fn while_the_disk_hangs_idle_connections_of_relay_routes_are_closed_in_time() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream).extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let Some(_held) = Held::every(&gateway, "fsync,fdatasync", FOR_GOOD) else {
        return;
    };
    let is_held = || Held::is_waiting(&gateway, "queue.db-write");
    let mut rounds_held = 0;
    // One round may begin before the housekeeping has asked for something.
    while rounds_held < 4 {
        rounds_held += u32::from(is_held());
        gateway.ask(Delivery::fresh()).expect_status(200);
        let is_closed = || upstream.open_connections() == 0;
        assert!(eventually(LATE, is_closed), "{}", gateway.stderr());
    }
}

/// A scrape asked the disk how much of it is free, and showed no such number.
#[test]
fn metrics_are_shown_while_the_disk_does_not_even_say_what_is_free() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&upstream));
    let Some(_held) = Held::every(&gateway, "statfs", FOR_GOOD) else {
        return;
    };
    let is_asked = || Held::is_waiting(&gateway, "");
    assert!(eventually(LATE, is_asked), "nobody looks at the disk");
    let metrics = gateway.metrics();
    let errors = metrics.value("verigate_state_errors_total", &[("kind", "full")]);
    assert!(errors.abs() < 0.5, "{errors}");
}
