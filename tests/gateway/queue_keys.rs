//! Keys of `[state]` (contract: State): what waits cannot be read on disk, keys are rotated, a missing one holds its
//! deliveries, and what was changed on disk is never sent.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::support::answer::Answer;
use crate::support::behaviour::Behaviour;
use crate::support::config::{Config, Route};
use crate::support::delivery::{Delivery, event_with, fresh_event_id};
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::Upstream;
use crate::support::{LATE, eventually};

const TOKEN: &str = "admin-token-0123456789abcdef";

/// Two keys, and their ids.
const KEYS: [(&str, &str); 2] = [
    ("old.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("new.key", "IyIhIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQ="),
];
const OLD_ID: &str = "82cb:1478:715e:e7a7";

/// A gateway with one queue route and these keys, whose app is tried again after a tenth of a second.
fn config(upstream: &Upstream, keys: &[&str]) -> Config {
    let route = Route::itellico(upstream).set("mode", "\"queue\"");
    let keys: Vec<_> = keys.iter().map(|key| format!("\"file:{key}\"")).collect();
    let keys = if keys.is_empty() {
        String::new()
    } else {
        format!("keys = [{}]", keys.join(", "))
    };
    Config::new()
        .route(route)
        .extra("[route.queue]\nretry = [\"100ms\"]")
        .extra(&format!("[state]\ndir = \"state\"\n{keys}"))
        .admin("token", "\"env:ADMIN_TOKEN\"")
        .env("ADMIN_TOKEN", TOKEN)
}

fn started(upstream: &Upstream, keys: &[&str]) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, key) in KEYS {
        let path = folder.path().join(name);
        fs::write(&path, key).expect("a key");
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("a mode");
    }
    Gateway::start_in(folder, &config(upstream, keys))
}

/// A delivery, and the id of its event, which is in its body and, as a header, in its head.
fn fresh() -> (Delivery, String) {
    let id = fresh_event_id();
    (Delivery::of(event_with(&id)).with("X-Own", &id), id)
}

#[track_caller]
fn take(gateway: &Gateway) -> (Delivery, String) {
    let (delivery, id) = fresh();
    gateway.ask(delivery.bytes()).expect_status(200);
    (delivery, id)
}

/// The failed attempts of each delivery on a page of the list, as they are on disk.
fn histories(gateway: &Gateway, list: &str) -> Vec<Vec<serde_json::Value>> {
    let all = |json: &serde_json::Value, key: &str| {
        let list = json.get(key).and_then(serde_json::Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let history = |one: &serde_json::Value| {
        let id = one.get("delivery_id").and_then(serde_json::Value::as_str);
        let path = format!("/queue/{}", id.expect("an id"));
        all(&page(gateway, &path).json(), "history")
    };
    let listed = all(&page(gateway, list).json(), "deliveries");
    listed.iter().map(history).collect()
}

/// Whether a text is in a file of the state directory.
fn is_on_disk(gateway: &Gateway, text: &str) -> bool {
    let files = fs::read_dir(gateway.folder().join("state")).expect("a directory");
    let mut files = files.filter_map(|file| fs::read(file.ok()?.path()).ok());
    files.any(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some())
}

fn came(upstream: &Upstream, wanted: &Delivery) -> bool {
    let requests = upstream.requests();
    requests.iter().any(|got| got.body == wanted.body())
}

/// Changes a value of the stopped gateway's database by one bit.
fn flip(state: &Path, table: &str, column: &str, number: u64) {
    let database = Connection::open(state.join("queue.db")).expect("a database");
    let select = format!("select {column} from {table} where number = {number}");
    let mut bytes: Vec<u8> = database
        .query_row(&select, (), |row| row.get(0))
        .expect("a value");
    *bytes.last_mut().expect("a byte") ^= 1;
    let update = format!("update {table} set {column} = ?1 where number = {number}");
    database.execute(&update, [bytes]).expect("an update");
}

/// A page of the admin port.
#[track_caller]
fn page(gateway: &Gateway, path: &str) -> Answer {
    let token = format!("Bearer {TOKEN}");
    let answer = gateway.admin("GET", path, &[("Authorization", &token)], "");
    answer.expect_status(200);
    answer
}

/// Whether the metrics have this line.
fn shows(gateway: &Gateway, line: &str) -> bool {
    let metrics = page(gateway, "/metrics").body;
    let metrics = String::from_utf8_lossy(&metrics);
    metrics.lines().any(|shown| shown == line)
}

/// Waits until so many deliveries are held.
#[track_caller]
fn expect_held(gateway: &Gateway, count: usize) {
    let line = format!("verigate_queue_held{{route=\"itellico\"}} {count}");
    let is_so = eventually(LATE, || shows(gateway, &line));
    assert!(is_so, "not {count} are held: {}", gateway.stderr());
}

#[test]
fn qu_20_what_is_encrypted_survives_kill_9_and_nothing_of_it_is_readable_on_disk() {
    let upstream = Upstream::with(Behaviour::status(500));
    let gateway = started(&upstream, &["old.key"]);
    let deliveries: Vec<_> = (0..5).map(|_| take(&gateway)).collect();
    upstream.wait_for(5);
    for (_, id) in &deliveries {
        assert!(!is_on_disk(&gateway, id), "{id} is readable");
    }
    let seen = upstream.count();
    let gateway = gateway.killed_then(&config(&upstream, &["old.key"]), || {
        upstream.behave(Behaviour::status(200));
    });
    let arrived = |wanted: &Delivery, id: &str| {
        let later = upstream.requests().into_iter().skip(seen);
        let mut same = later.filter(|got| got.body == wanted.body());
        same.any(|got| got.header("X-Own").as_deref() == Some(id))
    };
    for (delivery, id) in &deliveries {
        assert!(eventually(LATE, || arrived(delivery, id)), "{id} is lost");
        assert!(!is_on_disk(&gateway, id), "{id} is readable");
    }
    let said = gateway.stderr() + &gateway.stdout();
    assert!(KEYS.iter().all(|(_, key)| !said.contains(key)), "{said}");
}

#[test]
fn the_first_start_with_keys_encrypts_what_waits_and_a_start_without_them_holds_it() {
    let upstream = Upstream::with(Behaviour::status(500));
    let gateway = started(&upstream, &[]);
    let deliveries: Vec<_> = (0..5).map(|_| take(&gateway)).collect();
    for (_, id) in &deliveries {
        assert!(is_on_disk(&gateway, id), "the test looks for nothing");
    }
    // No reload does it: it may take long.
    gateway.rewrite(&config(&upstream, &["old.key"]));
    gateway.signal("HUP");
    let words = "keys cannot change while running: state.keys";
    assert!(gateway.says(words), "{}", gateway.stderr());
    let gateway = gateway.killed_and_started(&config(&upstream, &["old.key"]));
    assert!(gateway.says("5 of the deliveries were stored before there were keys"));
    for (_, id) in &deliveries {
        assert!(!is_on_disk(&gateway, id), "{id} is readable");
    }
    let mut seen = 0;
    let gateway = gateway.killed_then(&config(&upstream, &[]), || {
        let is_over = || upstream.open_connections() == 0;
        assert!(eventually(LATE, is_over), "connections outlive the process");
        seen = upstream.count();
        upstream.behave(Behaviour::status(200));
    });
    let words = format!("the key {OLD_ID} is not in `state.keys`, and 5 of the deliveries need it");
    assert!(gateway.says(&words), "{}", gateway.stderr());
    expect_held(&gateway, 5);
    let (new, _) = take(&gateway);
    assert!(eventually(LATE, || came(&upstream, &new)));
    let others = upstream.requests().split_off(seen).into_iter();
    assert!(others.into_iter().all(|got| got.body == new.body()));
    let gateway = gateway.killed_and_started(&config(&upstream, &["old.key"]));
    for (delivery, id) in &deliveries {
        let again = || {
            let later = upstream.requests().split_off(seen);
            later.iter().any(|got| got.body == delivery.body())
        };
        assert!(
            eventually(LATE, again),
            "{id} is lost: {}",
            gateway.stderr()
        );
    }
}

/// Whoever can write to the disk removed the record that all is encrypted, and put a delivery of their
/// own in the place of an encrypted one: the next start encrypted it, and it was sent as genuine.
#[test]
fn qu_23_a_forged_delivery_is_not_sent_though_the_record_of_the_first_start_is_removed() {
    let upstream = Upstream::with(Behaviour::status(500));
    let mut theirs = started(&upstream, &[]);
    let forged = [take(&theirs), take(&theirs)].map(|(delivery, _)| delivery);
    theirs.signal("TERM");
    theirs.wait_exit(LATE).expect("its end");
    let gateway = started(&upstream, &["old.key"]);
    let (good, _) = take(&gateway);
    take(&gateway);
    let with_keys = config(&upstream, &["old.key"]);
    let mut seen = 0;
    let file = gateway.folder().join("state/queue.db");
    let gateway = gateway.killed_then(&with_keys, || {
        let change = format!(
            "attach '{}' as other;
             delete from meta where name = 'keys';
             delete from delivery where number = 2;
             delete from content where number = 2;
             insert into delivery select * from other.delivery where number = 2;
             insert into content select * from other.content where number = 2;",
            theirs.folder().join("state/queue.db").display()
        );
        let database = Connection::open(&file).expect("a database");
        database.execute_batch(&change).expect("a change");
        seen = upstream.count();
        upstream.behave(Behaviour::status(200));
    });
    let again = || {
        let later = upstream.requests().split_off(seen);
        later.iter().any(|got| got.body == good.body())
    };
    assert!(eventually(LATE, again), "{}", gateway.stderr());
    let line = "verigate_queue_dead_total{reason=\"damaged\",route=\"itellico\"} 1";
    assert!(
        eventually(LATE, || shows(&gateway, line)),
        "{}",
        gateway.stderr()
    );
    let words = "1 of the deliveries are not encrypted, and others are";
    assert!(gateway.says(words), "{}", gateway.stderr());
    for got in upstream.requests().split_off(seen) {
        assert!(
            forged.iter().all(|forged| got.body != forged.body()),
            "it was sent"
        );
    }
}

#[test]
fn qu_20_a_first_start_with_keys_that_is_killed_again_and_again_loses_nothing() {
    let upstream = Upstream::with(Behaviour::status(500));
    let mut gateway = started(&upstream, &[]);
    let mut client = gateway.connect();
    // More than is encrypted in one transaction.
    let deliveries: Vec<_> = (0..600).map(|_| fresh()).collect();
    for (delivery, _) in &deliveries {
        client.ask(delivery.bytes()).expect_status(200);
    }
    gateway.signal("KILL");
    gateway.wait_exit(LATE).expect("the kernel ends it");
    let with_keys = config(&upstream, &["old.key"]);
    gateway.rewrite(&with_keys);
    for pause in [10, 20, 30, 40, 60, 80, 120] {
        let mut start = binary();
        start.args(["run", "--config"]).arg(gateway.config_file());
        start.stdout(Stdio::null()).stderr(Stdio::null());
        for (name, value) in &with_keys.environment {
            start.env(name, value);
        }
        let mut child = start.spawn().expect("the binary runs");
        // It is killed at whatever it does then.
        thread::sleep(Duration::from_millis(pause));
        child.kill().expect("a signal");
        child.wait().expect("its end");
    }
    upstream.behave(Behaviour::status(200));
    let gateway = gateway.started_again(&with_keys);
    let all_came = || {
        let taken = "verigate_queue_deliveries{route=\"itellico\",state=";
        let metrics = page(&gateway, "/metrics").body;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let mut lines = metrics.lines().filter(|line| line.starts_with(taken));
        lines.all(|line| line.ends_with(" 0"))
    };
    assert!(eventually(LATE, all_came), "{}", gateway.stderr());
    let bodies: HashSet<_> = upstream
        .requests()
        .into_iter()
        .map(|got| got.body.clone())
        .collect();
    for (delivery, id) in &deliveries {
        assert!(bodies.contains(delivery.body()), "{id} is lost");
    }
    for (_, id) in deliveries.iter().step_by(50) {
        assert!(!is_on_disk(&gateway, id), "{id} is readable");
    }
}

#[test]
fn qu_22_a_reload_puts_a_key_in_front_and_a_missing_key_holds_its_deliveries_until_it_is_back() {
    let upstream = Upstream::with(Behaviour::status(500));
    let gateway = started(&upstream, &["old.key"]);
    let (old, _) = take(&gateway);
    let both = config(&upstream, &["new.key", "old.key"]);
    gateway.rewrite(&both);
    gateway.signal("HUP");
    assert!(
        gateway.says("is loaded and in force"),
        "{}",
        gateway.stderr()
    );
    let (new, id) = take(&gateway);
    assert!(!is_on_disk(&gateway, &id));
    upstream.wait_for(2);
    // No reload takes away a key that is needed, nor does one whose file is another key by mistake.
    let only_new = config(&upstream, &["new.key"]);
    gateway.rewrite(&only_new);
    gateway.signal("HUP");
    let words = format!("1 of the deliveries on disk need the key {OLD_ID}");
    assert!(gateway.says(&words), "{}", gateway.stderr());
    let seen = upstream.count();
    let gateway = gateway.killed_then(&only_new, || upstream.behave(Behaviour::status(200)));
    let words = format!("the key {OLD_ID} is not in `state.keys`, and 1 of the deliveries need it");
    assert!(gateway.says(&words), "{}", gateway.stderr());
    expect_held(&gateway, 1);
    let later = |wanted: &Delivery| {
        let later = upstream.requests().split_off(seen);
        later.iter().any(|got| got.body == wanted.body())
    };
    assert!(eventually(LATE, || later(&new)), "{}", gateway.stderr());
    assert!(!later(&old));
    let state = gateway.folder().join("state").display().to_string();
    let file = gateway.config_file().display().to_string();
    let id = page(&gateway, "/queue").json()["deliveries"][0]["delivery_id"].clone();
    let id = id.as_str().expect("the one that is held");
    for query in ["", "?body=1"] {
        let shown = page(&gateway, &format!("/queue/{id}{query}")).json();
        let why = shown["unreadable"].as_str().unwrap_or_default();
        assert!(why.contains(OLD_ID), "{shown}");
    }
    let words =
        format!("route itellico: the delivery {id} cannot be read and is held: it is encrypted");
    assert!(gateway.says(&words), "{}", gateway.stderr());
    // A retry by hand changes nothing, and says so.
    let token = format!("Bearer {TOKEN}");
    let post = |path: &str, body: &str| {
        let answer = gateway.admin("POST", path, &[("Authorization", &token)], body);
        answer.expect_status(200);
        answer.json()
    };
    let planned = post("/queue/plan", r#"{"route":"itellico"}"#);
    let route = &planned["routes"][0];
    assert_eq!(
        (&route["unreadable"], &route["missing_keys"][0]),
        (&1.into(), &OLD_ID.into()),
        "{planned}"
    );
    let retried = post("/queue/retry", &format!("{{\"delivery_id\":\"{id}\"}}"));
    assert_eq!(retried["missing_key"], OLD_ID, "{retried}");
    expect_held(&gateway, 1);
    for command in [
        &["state", "info", &state][..],
        &["state", "check", &state, "--config", &file],
        &["check", &file],
    ] {
        let mut run = binary();
        let run = run.args(command).envs(
            only_new
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        let shown = run.output().expect("the binary runs");
        let warned = String::from_utf8_lossy(&shown.stderr).into_owned();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(OLD_ID), "{command:?}: {shown}");
        if command.contains(&"state") && command.contains(&"check") {
            let last = shown.lines().last();
            assert_eq!(last, Some("no fault was found in what could be checked"));
        }
        let is_warned = warned.contains("[held-deliveries]") && warned.contains(OLD_ID);
        assert_eq!(is_warned, command[0] == "check", "{command:?}: {warned}");
    }
    // Any reload tries it: the disk may give by now what it did not.
    gateway.signal("HUP");
    assert!(
        gateway.says("tried again, of those that were held: 1"),
        "{}",
        gateway.stderr()
    );
    expect_held(&gateway, 1);
    gateway.rewrite(&both);
    gateway.signal("HUP");
    assert!(eventually(LATE, || later(&old)), "{}", gateway.stderr());
    expect_held(&gateway, 0);
}

#[test]
fn qu_21_what_was_changed_on_disk_is_dead_and_does_not_stop_the_others() {
    for keys in [&["old.key"][..], &[]] {
        let upstream = Upstream::with(Behaviour::status(500));
        let gateway = started(&upstream, keys);
        let deliveries: Vec<_> = (0..4).map(|_| take(&gateway)).collect();
        upstream.wait_for(4);
        // What became of the attempts is on disk a moment later.
        let is_written = || {
            histories(&gateway, "/queue")
                .iter()
                .all(|ends| !ends.is_empty())
        };
        assert!(eventually(LATE, is_written), "{}", gateway.stderr());
        let state = gateway.folder().join("state");
        let seen = upstream.count();
        let gateway = gateway.killed_then(&config(&upstream, keys), || {
            upstream.behave(Behaviour::status(200));
            flip(&state, "content", "body", 1);
            flip(&state, "content", "head", 2);
            let database = Connection::open(state.join("queue.db")).expect("a database");
            let other = "insert into route (name, provider) values ('other', 'itellico')";
            database.execute_batch(other).expect("a route");
            let moved = "update delivery set received_ms = received_ms + 1 where number = 3";
            database.execute_batch(moved).expect("a move");
        });
        let later = || upstream.requests().split_off(seen);
        let (whole, _) = deliveries.last().expect("four");
        let whole_came = || later().iter().any(|got| got.body == whole.body());
        assert!(eventually(LATE, whole_came), "{}", gateway.stderr());
        let dead = "verigate_queue_dead_total{reason=\"damaged\",route=\"itellico\"} 3";
        assert!(
            eventually(LATE, || shows(&gateway, dead)),
            "{}",
            gateway.stderr()
        );
        assert!(later().iter().all(|got| got.body == whole.body()));
        let are_written = || {
            let mut dead = histories(&gateway, "/queue?state=dead").into_iter();
            dead.all(|ends| ends.last().is_some_and(|end| end["error"] == "damaged"))
        };
        assert!(eventually(LATE, are_written), "{}", gateway.stderr());
        let listed = page(&gateway, "/queue?state=dead").json();
        let listed = listed["deliveries"].as_array().expect("a list").clone();
        assert_eq!(listed.len(), 3);
        for one in &listed {
            let id = one["delivery_id"].as_str().expect("an id");
            let words = format!("route itellico: the delivery {id} is damaged on disk");
            assert!(gateway.says(&words), "{}", gateway.stderr());
            // The app answered the attempt before with 500.
            assert_eq!(
                (&one["last_status"], &one["last_error"]),
                (&500.into(), &"damaged".into())
            );
            let shown = page(&gateway, &format!("/queue/{id}")).json();
            let last = shown["history"]
                .as_array()
                .and_then(|all| all.last())
                .cloned();
            let last = last.expect("what became of it");
            assert_eq!(last["error"], "damaged", "{shown}");
            assert_eq!(last["cause"], "it is not what was stored", "{shown}");
        }
        // After a restart they are still dead.
        let gateway = gateway.killed_and_started(&config(&upstream, keys));
        let dead = "verigate_queue_deliveries{route=\"itellico\",state=\"dead\"} 3";
        assert!(eventually(LATE, || shows(&gateway, dead)));
        let mut check = binary();
        check.args(["state", "check"]).arg(&state);
        check.arg("--config").arg(gateway.config_file());
        for (name, value) in &config(&upstream, keys).environment {
            check.env(name, value);
        }
        let checked = check.output().expect("the binary runs");
        let shown = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.code(), Some(1), "{shown}");
        for (number, one) in (1..4).zip(&listed) {
            let id = one["delivery_id"].as_str().expect("an id");
            let words = format!("the delivery {id} (number {number}) is damaged");
            assert!(shown.contains(&words), "{words}: {shown}");
        }
        assert!(!shown.contains("number 4"), "{shown}");
    }
}

#[test]
fn an_upgrade_with_another_key_loses_nothing() {
    let upstream = Upstream::with(Behaviour::status(500));
    let old = started(&upstream, &[]);
    let (plain, _) = take(&old);
    let first = config(&upstream, &["old.key"]);
    let new = old.successor(&first);
    let (encrypted, id) = take(&new);
    assert!(!is_on_disk(&new, &id));
    upstream.wait_for(2);
    let newer = new.successor(&config(&upstream, &["new.key", "old.key"]));
    upstream.behave(Behaviour::status(200));
    let seen = upstream.count();
    let later = |wanted: &Delivery| {
        let later = upstream.requests().split_off(seen);
        later.iter().any(|got| got.body == wanted.body())
    };
    for delivery in [&plain, &encrypted] {
        assert!(eventually(LATE, || later(delivery)), "{}", newer.stderr());
    }
}
