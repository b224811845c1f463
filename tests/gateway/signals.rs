//! Signals (contract: Reload, Shutdown; CF-22, LG-04): stray ones change nothing, a SIGHUP during the start is kept, and
//! an end by a signal leaves no core dump.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::support::cases::Cases;
use crate::support::config::{Config, Route, text};
use crate::support::gateway::{Gateway, binary};
use crate::support::upstream::Upstream;
use crate::support::{LATE, SOON, eventually};

#[test]
fn cf_22_stray_signals_change_nothing() {
    let upstream = Upstream::start();
    let mut gateway = Gateway::start(&Config::for_upstream(&upstream));
    let mut cases = Cases::new();
    for signal in [
        "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PIPE", "WINCH", "URG", "CHLD", "CONT",
    ] {
        cases.case(signal, || {
            for _ in 0..3 {
                gateway.signal(signal);
            }
            gateway.expect_serving();
        });
    }
    cases.finish();
    gateway.signal("HUP");
    assert!(
        gateway.says("in force: asked by SIGHUP"),
        "{}",
        gateway.stderr()
    );
    gateway.expect_serving();
    gateway.signal("TERM");
    let status = gateway.wait_exit(SOON);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

/// Whether the process takes SIGHUP, which is signal 1, instead of ending by it (proc(5)).
fn takes_hangup(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

fn send(pid: u32, signal: &str) {
    let sent = std::process::Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status();
    assert!(sent.is_ok_and(|sent| sent.success()), "{signal} to {pid}");
}

/// The file is large, so that its reading takes a while; the signal comes as soon as it does not end the process.
#[test]
fn cf_22_a_hangup_during_the_start_is_kept() {
    let upstream = Upstream::start();
    let mut config = Config::for_upstream(&upstream);
    for n in 0..400 {
        let route = Route::itellico(&upstream)
            .set("name", &text(&format!("r{n}")))
            .set("path", &text(&format!("/r/{n}")));
        config = config.route(route);
    }
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_after(folder, &config, |pid| {
        assert!(eventually(LATE, || takes_hangup(pid)));
        send(pid, "HUP");
    });
    gateway.expect_serving();
    let reloaded = "in force: asked by SIGHUP";
    assert!(
        eventually(LATE, || gateway.stderr().contains(reloaded)),
        "{}",
        gateway.stderr()
    );
}

/// Standard input does not end, so the configuration is still being read.
#[test]
fn cf_22_while_the_configuration_is_read_a_hangup_is_kept_and_sigterm_ends_the_process() {
    let mut child = binary()
        .args(["run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let taken = eventually(LATE, || takes_hangup(pid));
    for signal in ["HUP", "USR1", "HUP"] {
        send(pid, signal);
    }
    let lives = matches!(child.try_wait(), Ok(None));
    send(pid, "TERM");
    let ended = eventually(SOON, || !matches!(child.try_wait(), Ok(None)));
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(taken && lives && ended, "{taken} {lives} {ended}: {status}");
    assert_eq!(status.signal(), Some(15), "{status}");
}

/// A core dump would hold every secret. The limit on its size is taken away here, so only the process itself forbids it.
#[test]
fn lg_04_a_process_that_is_killed_leaves_no_core_dump() {
    let upstream = Upstream::start();
    let config = Config::for_upstream(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_after(folder, &config, |pid| {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let unlimited = rustix::process::Rlimit {
            current: None,
            maximum: None,
        };
        // Fails where the limit may not be raised; the process then has no core dump anyway.
        let _ = rustix::process::prlimit(pid, rustix::process::Resource::Core, unlimited);
    });
    gateway.expect_serving();
    gateway.signal("ABRT");
    let status = gateway.wait_exit(SOON).unwrap();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped(), "{status:?}");
}
