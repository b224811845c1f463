//! `server.watch` (contract: Reload; CF-23): what is written is loaded without a signal, whole or not at all.

#![expect(clippy::unwrap_used, reason = "test code: a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::config::{Config, Route, text};
use crate::support::delivery::{Delivery, event};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;
use crate::support::{LATE, SECRET, eventually, now};

const OTHER: &str = "another-secret-of-the-test-0123456789";

/// A configuration that is watched each second, with its secret in the file `secret`.
fn watched(upstream: &Upstream) -> Config {
    let route = Route::itellico(upstream).set("secrets", "[\"file:secret\"]");
    Config::new().server("watch", "\"1s\"").route(route)
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    folder
}

fn status(gateway: &Gateway, secret: &str) -> u16 {
    let delivery = Delivery::signed(secret, event(), &now().to_string());
    gateway.ask(delivery).status
}

fn reloads(gateway: &Gateway, result: &str) -> u64 {
    let count = gateway
        .metrics()
        .value("verigate_config_reloads_total", &[("result", result)]);
    format!("{count:.0}").parse().unwrap_or(u64::MAX)
}

/// A route in another name, so that a test sees which configuration is in force.
fn named(upstream: &Upstream, name: &str) -> Route {
    Route::itellico(upstream)
        .set("name", &text(name))
        .set("path", &text(&format!("/{name}")))
        .set("secrets", "[\"file:secret\"]")
}

#[test]
fn cf_23_another_configuration_or_secret_is_loaded_without_a_signal() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_in(folder(), &watched(&upstream));
    assert_eq!(status(&gateway, SECRET), 200);
    // An agent rewrites the secret's file in place.
    fs::write(gateway.folder().join("secret"), OTHER).unwrap();
    assert!(eventually(LATE, || status(&gateway, OTHER) == 200));
    assert_eq!(status(&gateway, SECRET), 401);
    // The same bytes again are no change.
    fs::write(gateway.folder().join("secret"), OTHER).unwrap();
    gateway.rewrite(&watched(&upstream).route(named(&upstream, "second")));
    let is_there = || {
        let delivery = Delivery::signed(OTHER, event(), &now().to_string());
        gateway.ask(delivery.target("/second")).status == 200
    };
    assert!(eventually(LATE, is_there));
    assert_eq!(
        (reloads(&gateway, "ok"), reloads(&gateway, "error")),
        (2, 0)
    );
    assert!(gateway.says("in force: a watched file has changed"));
}

/// Kubernetes mounts files as links through `..data`, a link to a folder that is swapped as a whole.
#[test]
fn cf_23_a_folder_that_is_swapped_by_a_link_is_loaded_as_a_whole() {
    let upstream = Upstream::start();
    let mount = tempfile::tempdir().unwrap();
    let put = |version: &str, secret: &str| {
        let folder = mount.path().join(version);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("secret"), secret).unwrap();
        symlink(version, mount.path().join("..new")).unwrap();
        fs::rename(mount.path().join("..new"), mount.path().join("..data")).unwrap();
    };
    put("..1", SECRET);
    symlink("..data/secret", mount.path().join("secret")).unwrap();
    let file = mount.path().join("secret");
    let route = Route::itellico(&upstream).set(
        "secrets",
        &format!("[{}]", text(&format!("file:{}", file.display()))),
    );
    let gateway = Gateway::start(&Config::new().server("watch", "\"1s\"").route(route));
    assert_eq!(status(&gateway, SECRET), 200);
    put("..2", OTHER);
    fs::remove_dir_all(mount.path().join("..1")).unwrap();
    assert!(eventually(LATE, || status(&gateway, OTHER) == 200));
    assert_eq!(status(&gateway, SECRET), 401);
}

/// While a file is written again and again, nothing is loaded; then the last content is.
#[test]
fn cf_23_a_file_that_is_half_written_is_not_loaded() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_in(folder(), &watched(&upstream));
    let secret = gateway.folder().join("secret");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0_u64;
            while !is_done.load(Ordering::Relaxed) {
                n += 1;
                fs::write(&secret, format!("a-part-of-a-secret-{n}")).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let waits = eventually(LATE, || gateway.stderr().contains("are being written"));
        is_done.store(true, Ordering::Relaxed);
        assert!(waits, "{}", gateway.stderr());
    });
    assert_eq!(status(&gateway, SECRET), 200);
    assert_eq!(
        (reloads(&gateway, "ok"), reloads(&gateway, "error")),
        (0, 0)
    );
    fs::write(&secret, OTHER).unwrap();
    assert!(eventually(LATE, || status(&gateway, OTHER) == 200));
    assert_eq!(
        (reloads(&gateway, "ok"), reloads(&gateway, "error")),
        (1, 0)
    );
}

#[test]
fn cf_23_a_bad_file_is_said_once_and_the_running_one_stays() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_in(folder(), &watched(&upstream));
    gateway.rewrite(&watched(&upstream).extra("[[route]]\nnme = 1\n"));
    assert!(eventually(LATE, || reloads(&gateway, "error") == 1));
    assert_eq!(status(&gateway, SECRET), 200);
    // The next change is seen by a later look, and no look between said the problem again.
    gateway.rewrite(&watched(&upstream).route(named(&upstream, "second")));
    assert!(eventually(LATE, || reloads(&gateway, "ok") == 1));
    assert_eq!(reloads(&gateway, "error"), 1);
    assert_eq!(gateway.stderr().matches("is not loaded").count(), 1);
}

#[test]
fn cf_23_a_file_that_vanished_keeps_serving_and_is_warned_about() {
    let upstream = Upstream::start();
    let gateway = Gateway::start_in(folder(), &watched(&upstream));
    let vanished = |at: &Path| {
        fs::remove_file(at).unwrap();
        let warning = format!("{} can no longer be read", at.display());
        assert!(eventually(LATE, || gateway.stderr().contains(&warning)));
        assert_eq!(status(&gateway, SECRET), 200);
    };
    let secret = gateway.folder().join("secret");
    vanished(&secret);
    fs::write(&secret, SECRET).unwrap();
    vanished(&gateway.config_file());
    assert_eq!(
        (reloads(&gateway, "ok"), reloads(&gateway, "error")),
        (0, 0)
    );
    assert_eq!(gateway.stderr().matches("can no longer be read").count(), 2);
    // It comes back with other content.
    gateway.rewrite(&watched(&upstream).route(named(&upstream, "second")));
    assert!(eventually(LATE, || reloads(&gateway, "ok") == 1));
}

#[test]
fn without_watch_nothing_is_loaded_until_somebody_asks() {
    let upstream = Upstream::start();
    let config = watched(&upstream);
    let gateway = Gateway::start_in(folder(), &config);
    // The configuration that is loaded by the watch ends the watch.
    let off = watched(&upstream).server("watch", "\"off\"");
    gateway.rewrite(&off);
    assert!(eventually(LATE, || reloads(&gateway, "ok") == 1));
    gateway.rewrite(&off.route(named(&upstream, "second")));
    let pause = std::time::Duration::from_millis(2500);
    assert!(!eventually(pause, || reloads(&gateway, "ok") == 2));
    gateway.signal("HUP");
    assert!(eventually(LATE, || reloads(&gateway, "ok") == 2));
}
