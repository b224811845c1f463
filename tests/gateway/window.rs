//! The replay window on disk (contract: The window on disk): what was answered is refused after a crash, a
//! restart and an upgrade; while nothing can be written, nothing is let in; and after a loss of power
//! nothing that may be missing.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rusqlite::Connection;

use super::upgrade::{expect_failure, failed_successor};
use crate::support::answer::Answer;
use crate::support::behaviour::{Behaviour, Latch, Reply};
use crate::support::client::Client;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::{Recorded, Upstream};
use crate::support::{LATE, eventually, now};

fn config(upstream: &Upstream) -> Config {
    Config::for_upstream(upstream).extra("[state]\ndir = \"state\"\ntimeout = \"500ms\"")
}

#[track_caller]
fn expect_seen(gateway: &Gateway, delivery: &Delivery) {
    gateway
        .ask(delivery.bytes())
        .expect_refusal(409, "replayed_event");
}

/// Stops the gateway in order, and starts another one in its folder.
#[track_caller]
fn ended_and_started(mut gateway: Gateway, config: &Config) -> Gateway {
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("it ends");
    gateway.started_again(config)
}

#[track_caller]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Runs a statement on a database.
#[track_caller]
fn change_file(path: &Path, statement: &str) {
    let connection = Connection::open(path).expect("the database");
    connection.execute_batch(statement).expect(statement);
}

/// An operator lets the delivery with this answer be let in again.
#[track_caller]
fn forget(gateway: &Gateway, answer: &Answer) {
    let id = answer.header("X-Request-Id").expect("an id");
    let body = format!("{{\"route\":\"itellico\",\"request_id\":\"{id}\"}}");
    let json = [("Content-Type", "application/json")];
    gateway
        .admin("POST", "/replay/forget", &json, &body)
        .expect_status(200);
}

/// Deliveries with `X-Slow` wait for the latch; all others are answered at once.
fn upstream_with(latch: &Latch) -> Upstream {
    let latch = latch.clone();
    let upstream = Upstream::start();
    upstream.behave_by(move |request: &Recorded| {
        if request.has("X-Slow") {
            Behaviour::answer_after(&latch, &Reply::new(200))
        } else {
            Behaviour::status(200)
        }
    });
    upstream
}

#[test]
fn rp_14_after_kill_9_what_was_answered_is_refused_and_what_was_not_may_come_again() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    let (done, forgotten, slow) = (Delivery::fresh(), Delivery::fresh(), Delivery::fresh());
    let slow = slow.with("X-Slow", "1");
    gateway.ask(done.bytes()).expect_status(200);
    let answer = gateway.ask(forgotten.bytes());
    answer.expect_status(200);
    forget(&gateway, &answer);
    let mut waiting = gateway.connect();
    waiting.send(slow.bytes());
    upstream.wait_for(3);
    let gateway = gateway.killed_and_started(&config);
    expect_seen(&gateway, &done);
    gateway.ask(forgotten.bytes()).expect_status(200);
    latch.open();
    gateway.ask(slow.bytes()).expect_status(200);
    let gateway = gateway.killed_and_started(&config);
    for delivery in [&done, &forgotten, &slow] {
        expect_seen(&gateway, delivery);
    }
    assert_eq!(upstream.count(), 5);
}

#[test]
fn rp_14_after_a_restart_all_is_known_and_the_window_is_complete_since_the_first_start() {
    let upstream = Upstream::start();
    let config = config(&upstream).replay("refuse_older_than_start", "true");
    let gateway = Gateway::start(&config);
    let signed_at = now() + 2;
    let delivery = Delivery::at(event(), signed_at);
    gateway.ask(delivery.bytes()).expect_status(200);
    assert!(eventually(LATE, || now() > signed_at + 1));
    let gateway = ended_and_started(gateway, &config);
    assert!(
        gateway.says("the replay window has 1 events"),
        "{}",
        gateway.stderr()
    );
    expect_seen(&gateway, &delivery);
    // It was signed before this start, and the window is complete for longer.
    gateway
        .ask(Delivery::at(event(), signed_at).bytes())
        .expect_status(200);
}

#[test]
fn after_an_upgrade_the_new_process_writes_and_nothing_is_forgotten() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let before = Delivery::fresh();
    old.ask(before.bytes()).expect_status(200);
    let new = old.successor(&config);
    assert!(old.wait_exit(LATE).is_some());
    let after = Delivery::fresh();
    new.ask(after.bytes()).expect_status(200);
    let last = new.killed_and_started(&config);
    expect_seen(&last, &before);
    expect_seen(&last, &after);
}

/// Another program has the database for itself.
fn locked(gateway: &Gateway) -> Connection {
    let path = gateway.folder().join("state/window.db");
    let connection = Connection::open(path).expect("the database");
    connection
        .execute_batch("begin immediate")
        .expect("a transaction");
    connection
}

#[test]
fn rp_21_while_nothing_can_be_written_nothing_is_forwarded_and_later_all_is_written() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    let connection = locked(&gateway);
    let first = Delivery::fresh();
    // The app has taken it, so its answer is relayed.
    gateway.ask(first.bytes()).expect_status(200);
    let refused = Delivery::fresh();
    gateway
        .ask(refused.bytes())
        .expect_refusal(503, "replay_store_unavailable");
    expect_seen(&gateway, &first);
    assert_eq!(upstream.count(), 1);
    // First it does not answer in time, then it gives up.
    let is_counted = || {
        let metrics = gateway.metrics();
        metrics.value("verigate_state_errors_total", &[("kind", "busy")]) >= 1.0
    };
    assert!(eventually(LATE, is_counted), "{}", gateway.stderr());
    gateway
        .ask(refused.bytes())
        .expect_refusal(503, "replay_store_unavailable");
    drop(connection);
    let is_back = || gateway.ask(Delivery::fresh().bytes()).status == 200;
    assert!(eventually(LATE, is_back), "{}", gateway.stderr());
    gateway.ask(refused.bytes()).expect_status(200);
    let gateway = gateway.killed_and_started(&config);
    expect_seen(&gateway, &first);
    expect_seen(&gateway, &refused);
}

#[test]
fn rp_21_with_on_error_memory_deliveries_are_let_in_and_an_error_says_so() {
    let upstream = Upstream::start();
    let config = config(&upstream).replay("on_error", "\"memory\"");
    let gateway = Gateway::start(&config);
    let connection = locked(&gateway);
    let deliveries: Vec<_> = (0..3).map(|_| Delivery::fresh()).collect();
    for delivery in &deliveries {
        gateway.ask(delivery.bytes()).expect_status(200);
        expect_seen(&gateway, delivery);
    }
    let is_said = || gateway.says("`replay.on_error` is `memory`");
    assert!(eventually(LATE, is_said), "{}", gateway.stderr());
    drop(connection);
    let is_written =
        || gateway.says("window.db can be written again") || gateway.says("answers again");
    assert!(eventually(LATE, is_written), "{}", gateway.stderr());
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    let gateway = gateway.killed_and_started(&config);
    for delivery in &deliveries {
        expect_seen(&gateway, delivery);
    }
}

/// The process that would take over has to read the file, so the old one goes on until it can be written.
#[test]
fn rx_36_an_upgrade_while_the_file_cannot_be_written_is_refused_and_nothing_is_forgotten() {
    let upstream = Upstream::start();
    let config = config(&upstream).replay("on_error", "\"memory\"");
    let mut old = Gateway::start(&config);
    let connection = locked(&old);
    let before = Delivery::fresh();
    old.ask(before.bytes()).expect_status(200);
    let refused = failed_successor(&old, &config);
    expect_failure(&refused, &["refuses the upgrade", "window.db"]);
    let after = Delivery::fresh();
    old.ask(after.bytes()).expect_status(200);
    let has_failed = || old.says("nothing is acknowledged until the file can be written again");
    assert!(eventually(LATE, has_failed), "{}", old.stderr());
    drop(connection);
    let is_written = || old.says("window.db can be written again");
    assert!(eventually(LATE, is_written), "{}", old.stderr());
    let new = old.successor(&config);
    assert!(old.wait_exit(LATE).is_some());
    let last = new.killed_and_started(&config);
    for delivery in [&before, &after] {
        expect_seen(&last, delivery);
    }
}

/// Sends deliveries until the gateway is gone. Returns those whose answers were read, and the one that was
/// under way.
fn send_until_the_end(
    gateway: &Gateway,
    answered: &AtomicUsize,
) -> (Vec<Delivery>, Option<Delivery>) {
    let mut client = gateway.connect();
    let mut read = Vec::new();
    loop {
        let delivery = Delivery::fresh();
        client.send(delivery.bytes());
        let Ok(answer) = client.try_answer(LATE) else {
            return (read, Some(delivery));
        };
        answer.expect_status(200);
        answered.fetch_add(1, Ordering::Relaxed);
        read.push(delivery);
    }
}

/// Kills the gateway so often while deliveries come. Panics if one is let in whose answer was read, or if
/// one is lost.
fn kills_under_load(times: usize) {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut gateway = Gateway::start(&config);
    let mut all = Vec::new();
    for round in 0..times {
        let answered = AtomicUsize::new(0);
        let sent: Vec<_> = thread::scope(|scope| {
            let send = || send_until_the_end(&gateway, &answered);
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
            let is_enough = || answered.load(Ordering::Relaxed) > 20 + 7 * (round % 10);
            assert!(eventually(LATE, is_enough));
            gateway.signal("KILL");
            let ended = clients.into_iter().map(thread::ScopedJoinHandle::join);
            ended.map(|sent| sent.expect("a client")).collect()
        });
        gateway = gateway.killed_and_started(&config);
        for (read, under_way) in sent {
            for delivery in &read {
                expect_seen(&gateway, delivery);
            }
            // Its sender has no answer, so it sends it again: it is let in, or was done.
            if let Some(delivery) = &under_way {
                let status = gateway.ask(delivery.bytes()).status;
                assert!(matches!(status, 200 | 409), "{status}");
                expect_seen(&gateway, delivery);
            }
            all.extend(read.into_iter().map(|delivery| (delivery, 1)));
            all.extend(under_way.into_iter().map(|delivery| (delivery, 2)));
        }
    }
    let mut came: HashMap<Vec<u8>, usize> = HashMap::new();
    for request in upstream.requests() {
        *came.entry(request.body.clone()).or_default() += 1;
    }
    for (delivery, most) in all {
        let times = came.get(delivery.body()).copied().unwrap_or_default();
        assert!((1..=most).contains(&times), "the app has it {times} times");
    }
    expect_sound(&gateway);
}

/// `verigate state check` finds nothing wrong.
#[track_caller]
fn expect_sound(gateway: &Gateway) {
    let mut check = binary();
    check
        .args(["state", "check"])
        .arg(gateway.folder().join("state"));
    let output = check.output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn rp_14_no_delivery_whose_answer_was_read_is_let_in_and_none_is_lost_over_kills_under_load() {
    kills_under_load(10);
}

#[test]
#[ignore = "long: a hundred kills"]
fn rp_14_no_delivery_whose_answer_was_read_is_let_in_and_none_is_lost_over_a_hundred_kills() {
    kills_under_load(100);
}

/// A gateway with a delivery that waits for the app's answer.
fn one_that_waits(upstream: &Upstream, config: &Config) -> (Gateway, Delivery, Client) {
    let gateway = Gateway::start(config);
    let slow = Delivery::fresh().with("X-Slow", "1");
    let mut waiting = gateway.connect();
    waiting.send(slow.bytes());
    upstream.wait_for(1);
    (gateway, slow, waiting)
}

#[test]
fn rx_36_a_request_of_the_old_process_is_written_by_the_new_one_before_it_is_answered() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let (mut old, slow, mut waiting) = one_that_waits(&upstream, &config);
    let new = old.successor(&config);
    latch.open();
    waiting.answer().expect_status(200);
    let last = new.killed_then(&config, || {
        assert!(old.wait_exit(LATE).is_some());
    });
    expect_seen(&last, &slow);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rx_36_a_request_of_the_old_process_is_written_by_it_where_the_new_one_is_gone() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let (mut old, slow, mut waiting) = one_that_waits(&upstream, &config);
    let new = old.successor(&config);
    let last = new.killed_then(&config, || {
        latch.open();
        waiting.answer().expect_status(200);
        assert!(old.wait_exit(LATE).is_some());
    });
    expect_seen(&last, &slow);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rx_36_what_the_new_process_granted_is_written_by_the_old_one_where_the_new_one_is_gone() {
    let latch = Latch::closed();
    let upstream = upstream_with(&latch);
    let config = config(&upstream);
    let mut old = Gateway::start(&config);
    let slow = Delivery::fresh().with("X-Slow", "1");
    let bytes = slow.bytes();
    let mut uploading = old.connect();
    uploading.send(&bytes[..bytes.len() - 5]);
    let new = old.successor(&config);
    uploading.send(&bytes[bytes.len() - 5..]);
    upstream.wait_for(1);
    let last = new.killed_then(&config, || {
        latch.open();
        uploading.answer().expect_status(200);
        assert!(old.wait_exit(LATE).is_some());
    });
    expect_seen(&last, &slow);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn rx_36_a_gateway_without_a_directory_hands_its_window_to_one_with_a_new_directory() {
    let upstream = Upstream::start();
    let socket = "\"upgrade.sock\"";
    let without = Config::for_upstream(&upstream).server("upgrade_socket", socket);
    let with = config(&upstream).server("upgrade_socket", socket);
    let folder = tempfile::tempdir().expect("a folder");
    set_mode(folder.path(), 0o700);
    let old = Gateway::start_in(folder, &without);
    let before = Delivery::fresh();
    old.ask(before.bytes()).expect_status(200);
    let new = old.successor(&with);
    let is_written = || new.says("window.db has the whole replay window");
    assert!(eventually(LATE, is_written), "{}", new.stderr());
    new.ask(Delivery::fresh().bytes()).expect_status(200);
    let last = new.killed_and_started(&with);
    expect_seen(&last, &before);
}

/// Writes down that a gateway, which has ended, ran before the last boot of the machine.
#[track_caller]
pub(super) fn boot(folder: &Path) {
    let file = folder.join("state/window.db");
    change_file(&file, "update meta set value = x'00' where name = 'boot'");
}

/// Sees to it that the next start takes the stop for a loss of power, as on a machine that booted since.
#[track_caller]
pub(super) fn lose_power(gateway: Gateway, config: &Config) -> Gateway {
    let folder = gateway.folder().to_owned();
    gateway.killed_then(config, || boot(&folder))
}

#[test]
fn rp_14_after_a_loss_of_power_what_may_be_missing_is_refused_until_it_is_stale() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let gateway = Gateway::start(&config);
    let before = now();
    let (known, unknown) = (Delivery::fresh(), Delivery::fresh());
    gateway.ask(known.bytes()).expect_status(200);
    let gateway = lose_power(gateway, &config);
    assert!(
        gateway.says("the machine lost power"),
        "{}",
        gateway.stderr()
    );
    // What is known is answered as ever.
    expect_seen(&gateway, &known);
    gateway
        .ask(unknown.bytes())
        .expect_refusal(503, "replay_store_unavailable");
    // A provider that signs each attempt signs the next one after the start.
    let again = now() + 2;
    let retried = Delivery::at(unknown.body(), again);
    gateway.ask(retried.bytes()).expect_status(200);
    // What was signed long before the last sync was not under way then.
    let early = Delivery::at(event(), now() - 120);
    gateway.ask(early.bytes()).expect_status(200);
    // Without a time nothing tells, and the other routes go on.
    gateway
        .ask(Delivery::plain(event()).bytes())
        .expect_status(200);
    // A restart in order meanwhile forgets nothing of this.
    let gateway = ended_and_started(gateway, &config);
    let copy = gateway.ask(unknown.bytes());
    assert_eq!(copy.json()["duplicate"], true, "{copy:?}");
    gateway
        .ask(Delivery::at(event(), before).bytes())
        .expect_refusal(503, "replay_store_unavailable");
    gateway
        .ask(Delivery::at(event(), now() + 3).bytes())
        .expect_status(200);
}

/// A queue route took again what it had acknowledged since the copy, and the log said that it would not.
#[test]
fn rp_14_a_restored_backup_refuses_what_came_since_on_relay_and_queue_routes() {
    let upstream = Upstream::start();
    let config = Config::new()
        .route(Route::itellico(&upstream))
        .route(
            Route::itellico(&upstream)
                .set("name", "\"queued\"")
                .set("path", "\"/queued\"")
                .set("mode", "\"queue\""),
        )
        .extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let known = Delivery::fresh().target("/queued");
    gateway.ask(known.bytes()).expect_status(200);
    let (state, copy) = (
        gateway.folder().join("state"),
        gateway.folder().join("copy"),
    );
    let mut backup = binary();
    backup.args(["state", "backup"]).arg(&state).arg(&copy);
    let output = backup.output().expect("the binary");
    assert!(output.status.success(), "{output:?}");
    let since = [Delivery::fresh(), Delivery::fresh().target("/queued")];
    for delivery in &since {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    let restored = || {
        fs::rename(&state, state.with_extension("old")).expect("the old files are moved away");
        fs::rename(&copy, &state).expect("the copies are put in their place");
        set_mode(&state, 0o700);
    };
    let gateway = gateway.killed_then(&config, restored);
    assert!(gateway.says("those of a backup"), "{}", gateway.stderr());
    let expect_refused = |gateway: &Gateway| {
        for delivery in &since {
            gateway
                .ask(delivery.bytes())
                .expect_refusal(503, "replay_store_unavailable");
        }
    };
    expect_refused(&gateway);
    expect_seen(&gateway, &known);
    let later = Delivery::at(event(), now() + 2).target("/queued");
    gateway.ask(later.bytes()).expect_status(200);
    // A restart in order forgets nothing of this. A loss of power takes nothing of a queue route.
    expect_refused(&ended_and_started(gateway, &config));
    let gateway = Gateway::start(&config);
    let queued = Delivery::fresh().target("/queued");
    let gateway = lose_power(gateway, &config);
    gateway.ask(queued.bytes()).expect_status(200);
}

#[test]
fn rp_14_a_stop_in_order_lacks_nothing_whatever_becomes_of_the_machine() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut gateway = Gateway::start(&config);
    gateway.ask(Delivery::fresh().bytes()).expect_status(200);
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("it ends");
    boot(gateway.folder());
    let unknown = Delivery::fresh();
    let gateway = gateway.started_again(&config);
    assert!(!gateway.says("lost power"), "{}", gateway.stderr());
    gateway.ask(unknown.bytes()).expect_status(200);
}

#[test]
fn files_of_two_gateways_are_refused() {
    let upstream = Upstream::start();
    let config = config(&upstream);
    let mut gateway = Gateway::start(&config);
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("it ends");
    let file = gateway.folder().join("state/window.db");
    let other = "update meta set value = zeroblob(16) where name = 'digest_key'";
    change_file(&file, other);
    let mut run = binary();
    run.envs(config.environment.iter().cloned())
        .arg("run")
        .arg("--config")
        .arg(gateway.config_file());
    let output = run
        .current_dir(gateway.folder())
        .output()
        .expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("not written by the same gateway"),
        "{said}"
    );
}

#[test]
fn check_says_what_becomes_of_relay_routes_when_the_disk_or_the_power_fails() {
    let upstream = Upstream::start();
    let config = config(&upstream).replay("on_error", "\"memory\"");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("verigate.toml");
    fs::write(&file, config.toml()).expect("a configuration file");
    config.write_certificate(folder.path());
    let said = |arguments: &[&str]| {
        let mut check = binary();
        check.arg("check").args(arguments).arg(&file);
        check.envs(config.environment.iter().cloned());
        let output = check.output().expect("the binary");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = said(&[]);
    let row = |title: &str| text.lines().find(|line| line.starts_with(title));
    let power = row("loses power").expect("a row");
    assert!(
        power.contains("plain") && !power.contains("itellico"),
        "{power}"
    );
    let disk = row("cannot write").expect("a row");
    assert!(disk.contains("lets in"), "{disk}");
    let json: serde_json::Value = serde_json::from_str(&said(&["--json"])).expect("JSON");
    assert_eq!(json["state"]["on_error"], "memory");
    assert_eq!(
        json["state"]["open_after_power_loss"],
        serde_json::json!(["plain"])
    );
}

#[test]
fn what_came_before_a_route_changed_its_mode_is_refused_over_restarts() {
    let upstream = Upstream::start();
    let with_mode = |mode: &str| {
        let route = Route::itellico(&upstream).set("mode", &format!("\"{mode}\""));
        Config::new()
            .route(route)
            .extra("[state]\ndir = \"state\"\ntimeout = \"500ms\"")
    };
    let (relay, queue) = (with_mode("relay"), with_mode("queue"));
    let [relayed, queued, forgotten] = [(); 3].map(|()| Delivery::fresh());
    let gateway = Gateway::start(&relay);
    gateway.ask(relayed.bytes()).expect_status(200);
    let gateway = gateway.killed_and_started(&queue);
    expect_seen(&gateway, &relayed);
    gateway.ask(queued.bytes()).expect_status(200);
    let answer = gateway.ask(forgotten.bytes());
    answer.expect_status(200);
    upstream.wait_for(3);
    forget(&gateway, &answer);
    let gateway = gateway.killed_and_started(&relay);
    for delivery in [&relayed, &queued] {
        expect_seen(&gateway, delivery);
    }
    gateway.ask(forgotten.bytes()).expect_status(200);
    let gateway = gateway.killed_and_started(&queue);
    for delivery in [&relayed, &queued, &forgotten] {
        expect_seen(&gateway, delivery);
    }
    expect_sound(&gateway);
}

/// The file that has an event is that of the mode which its route had when the event came.
#[test]
fn what_an_operator_let_be_forgotten_stays_so_after_its_route_changed_its_mode() {
    for (first, second) in [("relay", "queue"), ("queue", "relay")] {
        let upstream = Upstream::start();
        let with_mode = |mode: &str| {
            let route = Route::itellico(&upstream).set("mode", &format!("\"{mode}\""));
            Config::new().route(route).extra("[state]\ndir = \"state\"")
        };
        let [forgotten, kept] = [(); 2].map(|()| Delivery::fresh());
        let gateway = Gateway::start(&with_mode(first));
        let answer = gateway.ask(forgotten.bytes());
        answer.expect_status(200);
        gateway.ask(kept.bytes()).expect_status(200);
        upstream.wait_for(2);
        let gateway = gateway.killed_and_started(&with_mode(second));
        expect_seen(&gateway, &forgotten);
        forget(&gateway, &answer);
        let gateway = gateway.killed_and_started(&with_mode(second));
        expect_seen(&gateway, &kept);
        gateway.ask(forgotten.bytes()).expect_status(200);
        upstream.wait_for(3);
        let gateway = gateway.killed_and_started(&with_mode(first));
        expect_seen(&gateway, &forgotten);
    }
}

/// The start took a route for noted that it could not note. Once the route was back in relay mode, a restart did not know
/// that `queue.db` has events of it, and what was forgotten of them there was known again.
#[test]
fn a_route_that_the_start_cannot_note_is_noted_once_that_can_be_written() {
    let upstream = Upstream::start();
    let with_mode = |mode: &str| {
        let route = Route::itellico(&upstream).set("mode", &format!("\"{mode}\""));
        Config::new().route(route).extra("[state]\ndir = \"state\"")
    };
    let file = |gateway: &Gateway| gateway.folder().join("state/queue.db");
    let mut gateway = Gateway::start(&with_mode("queue"));
    gateway.signal("TERM");
    gateway.wait_exit(LATE).expect("it ends");
    // The number of the route is known, and that it stores its deliveries is not.
    let refuse = "delete from meta where name = 'stored_routes';
        create trigger refuse before insert on meta when new.name = 'stored_routes'
        begin select raise(abort, 'refused by a test'); end";
    change_file(&file(&gateway), refuse);
    let gateway = gateway.started_again(&with_mode("relay"));
    // A reload that cannot note it is refused.
    gateway.rewrite(&with_mode("queue"));
    let refused = gateway.admin("POST", "/reload", &[], "");
    refused.expect_status(422);
    assert!(gateway.says("refused by a test"), "{}", gateway.stderr());
    // A start is not.
    let gateway = ended_and_started(gateway, &with_mode("queue"));
    assert!(gateway.says("queue.db cannot note which routes store their deliveries"));
    change_file(&file(&gateway), "drop trigger refuse");
    let is_noted = || gateway.says("queue.db has noted which routes store their deliveries");
    assert!(eventually(LATE, is_noted), "{}", gateway.stderr());
    let can_store = || gateway.ask(Delivery::fresh()).status == 200;
    assert!(eventually(LATE, can_store), "{}", gateway.stderr());
    let forgotten = Delivery::fresh();
    let answer = gateway.ask(forgotten.bytes());
    answer.expect_status(200);
    upstream.wait_for(2);
    let gateway = gateway.killed_and_started(&with_mode("relay"));
    forget(&gateway, &answer);
    let gateway = gateway.killed_and_started(&with_mode("relay"));
    gateway.ask(forgotten.bytes()).expect_status(200);
}

/// A window that is full forgets what came first, in whichever file that is.
#[test]
fn rp_14_what_was_evicted_does_not_push_newer_events_out_after_a_restart() {
    let upstream = Upstream::start();
    let with = |mode: Option<&str>| {
        let config = Config::new()
            .replay("capacity", "8")
            .route(Route::plain(&upstream))
            .extra("[state]\ndir = \"state\"");
        match mode {
            Some(mode) => {
                config.route(Route::itellico(&upstream).set("mode", &format!("\"{mode}\"")))
            }
            None => config,
        }
    };
    // The route has another mode later, or is gone.
    for (first, second) in [
        (Some("queue"), Some("relay")),
        (Some("relay"), Some("queue")),
        (Some("queue"), None),
    ] {
        let gateway = Gateway::start(&with(first));
        for _ in 0..8 {
            gateway.ask(Delivery::fresh().bytes()).expect_status(200);
        }
        let gateway = ended_and_started(gateway, &with(second));
        let make = || match second {
            Some(_) => Delivery::fresh(),
            None => Delivery::plain(event()),
        };
        let newer: Vec<_> = (0..8).map(|_| make()).collect();
        for delivery in &newer {
            gateway.ask(delivery.bytes()).expect_status(200);
        }
        let gateway = ended_and_started(gateway, &with(second));
        if second.is_some() {
            for delivery in &newer {
                expect_seen(&gateway, delivery);
            }
            continue;
        }
        // Two routes share the window evenly.
        for delivery in newer.iter().rev().take(4) {
            gateway.ask(delivery.bytes()).expect_duplicate();
        }
    }
}
