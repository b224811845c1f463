//! A restored backup (contract: The window on disk): as a whole it is taken for the state of a machine that has lost
//! power, and files that do not belong together are refused.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::LATE;
use crate::support::config::{Config, Route};
use crate::support::delivery::Delivery;
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::Upstream;

/// The directory of a gateway with a relay route and a queue route, and one with a backup of it.
struct Restoring {
    config: Config,
    gateway: Gateway,
    /// Deliveries that came after the backup, on either route.
    since: [Delivery; 2],
}

/// A gateway of which there is a backup, and that has ended since without a word: there are logs beside its files.
fn killed(upstream: &Upstream) -> Restoring {
    let config = Config::new()
        .with_own_ports()
        .route(Route::itellico(upstream))
        .route(
            Route::itellico(upstream)
                .set("name", "\"queued\"")
                .set("path", "\"/queued\"")
                .set("mode", "\"queue\""),
        )
        .extra("[state]\ndir = \"state\"");
    let mut gateway = Gateway::start(&config);
    let deliveries = || [Delivery::fresh(), Delivery::fresh().target("/queued")];
    for delivery in deliveries() {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    let backup = command(&gateway, &config, &["state", "backup", "state", "copy"]);
    assert!(backup.status.success(), "{backup:?}");
    let since = deliveries();
    for delivery in &since {
        gateway.ask(delivery.bytes()).expect_status(200);
    }
    gateway.signal("KILL");
    gateway.wait_exit(LATE).expect("the kernel ends it");
    Restoring {
        config,
        gateway,
        since,
    }
}

fn command(gateway: &Gateway, config: &Config, arguments: &[&str]) -> Output {
    binary()
        .args(arguments)
        .envs(config.environment.iter().cloned())
        .current_dir(gateway.folder())
        .output()
        .expect("the binary")
}

impl Restoring {
    fn folder(&self) -> &Path {
        self.gateway.folder()
    }

    /// Puts these files of the backup over those of the gateway.
    fn restore(&self, names: &[&str]) {
        for name in names {
            let from = self.folder().join("copy").join(name);
            fs::copy(from, self.folder().join("state").join(name)).expect("a copy");
        }
    }

    fn remove(&self, names: &[&str]) {
        for name in names {
            fs::remove_file(self.folder().join("state").join(name)).expect("a file");
        }
    }

    /// No gateway starts, and both checks say why in the same words.
    #[track_caller]
    fn expect_refused(&self, words: &str) {
        let file = self.gateway.config_file();
        let file = file.to_str().expect("a path");
        for (arguments, code) in [
            (&["check", file][..], 2),
            (&["state", "check", "state"], 1),
            (&["state", "backup", "state", "other"], 1),
            (&["run", "--config", file], 1),
        ] {
            let output = command(&self.gateway, &self.config, arguments);
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.contains(words), "{arguments:?}: no {words} in {said}");
        }
    }

    /// A gateway starts, says this, and refuses what came since the backup on as many routes, the last ones.
    #[track_caller]
    fn expect_started(&self, words: &str, routes: usize) {
        let gateway = self.gateway.started_again(&self.config);
        assert!(gateway.says(words), "{}", gateway.stderr());
        for delivery in self.since.iter().rev().take(routes) {
            gateway
                .ask(delivery.bytes())
                .expect_refusal(503, "replay_store_unavailable");
        }
    }
}

const LOGS: [&str; 4] = [
    "queue.db-wal",
    "queue.db-shm",
    "window.db-wal",
    "window.db-shm",
];

/// What was in the old logs was read as a part of the backup: there was no warning, and what came since was taken
/// again.
#[test]
fn rp_14_a_backup_beside_the_logs_of_a_killed_gateway_is_refused_until_they_are_moved_away() {
    let upstream = Upstream::start();
    let restoring = killed(&upstream);
    restoring.restore(&["queue.db", "window.db"]);
    restoring.expect_refused("queue.db-wal beside it is the log of another database");
    restoring.remove(&LOGS[..2]);
    restoring.expect_refused("window.db-wal beside it is the log of another database");
    restoring.remove(&LOGS[2..]);
    restoring.expect_started("the files are those of a backup", 2);
}

#[test]
fn rp_14_a_queue_of_a_backup_beside_the_window_that_was_there_is_refused() {
    let upstream = Upstream::start();
    let restoring = killed(&upstream);
    restoring.remove(&LOGS[..2]);
    restoring.restore(&["queue.db"]);
    restoring
        .expect_refused("queue.db is a backup, and window.db beside it is not of the same backup");
    // What the message proposes. The queue may lack what came since all the same.
    restoring.remove(&["window.db", "window.db-wal", "window.db-shm"]);
    restoring.expect_started("queue.db goes back to a backup: it may lack", 1);
}

#[test]
fn rp_14_a_window_of_a_backup_beside_the_queue_that_was_there_is_taken_for_a_backup() {
    let upstream = Upstream::start();
    let restoring = killed(&upstream);
    restoring.remove(&LOGS[2..]);
    restoring.restore(&["window.db"]);
    let gateway = restoring.gateway.started_again(&restoring.config);
    assert!(
        gateway.says("the files are those of a backup"),
        "{}",
        gateway.stderr()
    );
    let [relayed, queued] = &restoring.since;
    gateway
        .ask(relayed.bytes())
        .expect_refusal(503, "replay_store_unavailable");
    // The queue has what it has acknowledged.
    gateway
        .ask(queued.bytes())
        .expect_refusal(409, "replayed_event");
}
