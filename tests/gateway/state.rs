//! `[state] dir` (contract: State): made for its user alone, held by one gateway at a time, and fixed while it runs.

#![expect(clippy::expect_used, reason = "test code: a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;

use crate::support::config::{Config, Route, text};
use crate::support::delivery::Delivery;
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::Upstream;
use crate::support::{SOON, now};

fn with_dir(upstream: &Upstream, dir: &Path) -> Config {
    let dir = text(&dir.display().to_string());
    let config = Config::for_upstream(upstream).with_own_ports();
    config.extra(&format!("[state]\ndir = {dir}"))
}

/// What a gateway says that does not start.
fn failed(config: &Config) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("verigate.toml");
    fs::write(&file, config.toml()).expect("a configuration");
    binary()
        .args(["run", "--config"])
        .arg(&file)
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the binary runs")
}

#[track_caller]
fn expect_failure(config: &Config, words: &[&str]) {
    let output = failed(config);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word} in {said}");
    }
}

#[test]
fn the_directory_is_made_and_a_second_gateway_is_told_who_has_it() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("state");
    let config = with_dir(&upstream, &dir);
    let mut first = Gateway::start(&config);
    assert_eq!(
        fs::metadata(&dir).expect("the directory").mode() & 0o7777,
        0o700
    );
    let pid = format!("the process {};", first.pid());
    expect_failure(&config, &["state.dir", &pid, "--upgrade"]);
    let check = |gateway: &Gateway| {
        let mut check = binary();
        check.arg("check").arg(gateway.config_file());
        check.envs(config.environment.iter().map(|(name, value)| (name, value)));
        let output = check.output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = check(&first);
    let holder = format!(
        "state in use    a gateway runs with it (process {}): reload that one, or take over with `run --upgrade`",
        first.pid()
    );
    assert!(shown.contains(&holder), "{shown}");
    first.expect_serving();
    // The lock of a process that is killed ends with it.
    first.signal("KILL");
    assert!(first.wait_exit(SOON).is_some());
    assert!(!check(&first).contains("state in use"));
    Gateway::start(&config).expect_serving();
}

/// The name and the niceness of each thread (`proc_pid_stat(5)`).
#[cfg(target_os = "linux")]
fn niceness(gateway: &Gateway) -> Vec<(String, i64)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("it runs");
    let of = |task: std::io::Result<fs::DirEntry>| {
        let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (start, rest) = stat.rsplit_once(") ")?;
        let (_, name) = start.split_once('(')?;
        let nice = rest.split(' ').nth(16)?.parse().ok()?;
        Some((name.to_owned(), nice))
    };
    tasks.filter_map(of).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_make_checkpoints_are_nicer_than_the_others() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(&with_dir(&upstream, &folder.path().join("state")));
    let usual = niceness(&gateway).first().expect("the main thread").1;
    // A thread sets it when it begins to run.
    let is_set = || {
        let threads = niceness(&gateway);
        let keepers = threads.iter().filter(|(name, _)| name.ends_with("-keep"));
        keepers.clone().count() > 0
            && keepers
                .clone()
                .all(|(_, nice)| *nice == (usual + 10).min(19))
    };
    assert!(
        crate::support::eventually(SOON, is_set),
        "{:?}",
        niceness(&gateway)
    );
    for (name, nice) in niceness(&gateway) {
        assert!(name.ends_with("-keep") || nice == usual, "{name}: {nice}");
    }
}

#[test]
fn a_directory_that_others_may_enter_is_refused_with_what_would_be_right() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("state");
    fs::create_dir(&dir).expect("a directory");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).expect("a mode");
    let help = format!("chmod 700 {}", dir.display());
    expect_failure(&with_dir(&upstream, &dir), &["state.dir", "0750", &help]);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("a mode");
    Gateway::start(&with_dir(&upstream, &dir)).expect_serving();
}

#[test]
fn a_reload_cannot_change_it() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(&with_dir(&upstream, &folder.path().join("one")));
    gateway.rewrite(&with_dir(&upstream, &folder.path().join("other")));
    gateway.signal("HUP");
    let words = "while running: state.dir; restart to change them, as they name another socket";
    assert!(gateway.says(words), "{}", gateway.stderr());
    let threads = with_dir(&upstream, &folder.path().join("one")).server("threads", "3");
    gateway.rewrite(&threads);
    gateway.signal("HUP");
    let words = "while running: server.threads; start `verigate run --upgrade` with this file";
    assert!(gateway.says(words), "{}", gateway.stderr());
    let without = Gateway::start(&Config::for_upstream(&upstream));
    without.rewrite(&Config::for_upstream(&upstream).server("threads", "3"));
    without.signal("HUP");
    let words = "server.threads; restart to change them (a gateway that was started with `server.upgrade_socket`";
    assert!(without.says(words), "{}", without.stderr());
    gateway.expect_serving();
    assert!(!folder.path().join("other").exists());
}

/// A configuration with this directory and these other keys of `[state]`.
fn with_keys(upstream: &Upstream, dir: &Path, keys: &str) -> Config {
    let dir = text(&dir.display().to_string());
    Config::for_upstream(upstream).extra(&format!("[state]\ndir = {dir}\n{keys}"))
}

#[test]
fn a_reload_does_not_change_its_limits() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("state");
    let config = with_keys(&upstream, &dir, "");
    let gateway = Gateway::start(&config);
    let changed = "timeout = \"1s\"\nmax_deliveries = 9";
    gateway.rewrite(&with_keys(&upstream, &dir, changed));
    gateway.signal("HUP");
    let words = "state.timeout, state.max_deliveries";
    assert!(gateway.says(words), "{}", gateway.stderr());
    gateway.rewrite(&config);
    gateway.signal("HUP");
    let words = "is loaded and in force";
    assert!(gateway.says(words), "{}", gateway.stderr());
    gateway.expect_serving();
}

#[test]
fn a_start_without_it_says_that_a_restart_forgets() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().expect("a folder");
    let without = Gateway::start(&Config::for_upstream(&upstream));
    assert!(
        without.says("a restart forgets which deliveries came"),
        "{}",
        without.stderr()
    );
    let with = Gateway::start(&with_dir(&upstream, &folder.path().join("state")));
    with.expect_serving();
    assert!(!with.stderr().contains("a restart forgets"));
}

/// Such a start said no more than "state: new".
#[test]
fn a_queue_that_is_gone_is_told_as_lost_and_what_it_may_have_known_is_refused_until_it_is_stale() {
    let upstream = Upstream::start();
    let route = Route::itellico(&upstream).set("mode", "\"queue\"");
    let config = Config::new().route(route);
    let config = config.extra("[state]\ndir = \"state\"");
    let gateway = Gateway::start(&config);
    let known = Delivery::fresh();
    gateway.ask(known.bytes()).expect_status(200);
    let state = gateway.folder().join("state");
    let gateway = gateway.killed_then(&config, || {
        for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
            fs::remove_file(state.join(name)).expect("a file");
        }
    });
    let words = "the deliveries that it held are lost";
    assert!(gateway.says(words), "{}", gateway.stderr());
    let copy = gateway.ask(known.bytes());
    copy.expect_refusal(503, "replay_store_unavailable");
    // A provider that signs each attempt signs the next one after the start.
    let later = Delivery::at(known.body(), now() + 2);
    gateway.ask(later.bytes()).expect_status(200);
}

/// SQLite goes on with a file that was moved away, and the next start would find nothing of what came since.
#[test]
fn nothing_is_acknowledged_while_a_database_is_not_in_its_place() {
    for (mode, file, code) in [
        ("queue", "queue.db", "queue_unavailable"),
        ("relay", "window.db", "replay_store_unavailable"),
    ] {
        let upstream = Upstream::start();
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("state");
        let state = text(&dir.display().to_string());
        let config = Config::new()
            .route(Route::itellico(&upstream).set("mode", &text(mode)))
            .extra(&format!("[state]\ndir = {state}"));
        let gateway = Gateway::start(&config);
        let is_taken = || gateway.ask(Delivery::fresh().bytes()).status == 200;
        let is_refused = || {
            let answer = gateway.ask(Delivery::fresh().bytes());
            answer.status == 503 && answer.code() == code
        };
        assert!(is_taken());
        let (path, away) = (dir.join(file), folder.path().join(file));
        fs::rename(&path, &away).expect("it is moved");
        // What the queue acknowledges, it has on disk; the window is looked at each second.
        assert!(mode == "queue" || crate::support::eventually(SOON, is_refused));
        assert!(is_refused(), "{mode}");
        assert!(gateway.says("the file was moved, removed or replaced"));
        // Another file of the same name is not the one that is in use.
        fs::copy(&away, &path).expect("it is copied");
        for _ in 0..3 {
            assert!(is_refused(), "{mode}");
        }
        fs::rename(&away, &path).expect("it is put back");
        assert!(
            crate::support::eventually(SOON, is_taken),
            "{}",
            gateway.stderr()
        );
    }
}
