//! System calls of the real binary that a test holds or lets fail, by `strace`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::gateway::Gateway;
use super::{SOON, eventually};

/// How long a sync is held: longer than the tests let a store take.
const HELD: Duration = Duration::from_secs(8);

/// So long that no wait of a test ends with it.
pub(crate) const FOR_GOOD: &str = "delay_enter=300000000";

/// System calls of a process in a tracer's hands.
pub(crate) struct Held {
    tracer: Child,
}

impl Held {
    /// Holds every sync of the gateway from now on, and then lets it end as `what` says. `None`, said aloud, where
    /// nothing can be traced.
    pub(crate) fn every_sync(gateway: &Gateway, what: &str) -> Option<Self> {
        let micros = HELD.as_micros();
        Self::every(
            gateway,
            "fsync,fdatasync",
            &format!("delay_enter={micros}{what}"),
        )
    }

    /// Does this to every such call of the gateway from now on. `None`, said aloud, where nothing can be traced.
    pub(crate) fn every(gateway: &Gateway, calls: &str, what: &str) -> Option<Self> {
        let pid = gateway.pid();
        let started = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-p", &pid.to_string()])
            .args(["-e", &format!("trace={calls}"), "-e"])
            .arg(format!("inject={calls}:{what}"))
            .stderr(Stdio::null())
            .spawn();
        let mut tracer = match started {
            Ok(tracer) => tracer,
            Err(error) => {
                eprintln!("skipped: strace cannot be run: {error}");
                return None;
            }
        };
        let is_traced = |task: std::io::Result<std::fs::DirEntry>| {
            let status = task.map(|task| task.path().join("status"));
            let status = status.and_then(std::fs::read_to_string);
            // A thread that has ended meanwhile needs no tracer.
            status.map_or(true, |status| !status.contains("TracerPid:\t0\n"))
        };
        let all_are = || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
            tasks.into_iter().all(is_traced)
        };
        let ended = |tracer: &mut Child| tracer.try_wait().expect("a child").is_some();
        let _ = eventually(SOON, || all_are() || ended(&mut tracer));
        if ended(&mut tracer) {
            eprintln!("skipped: nothing can be traced here");
            return None;
        }
        assert!(all_are(), "not all threads are traced");
        Some(Self { tracer })
    }

    /// Whether a thread of the gateway whose name begins so waits at a call that is held.
    pub(crate) fn is_waiting(gateway: &Gateway, thread: &str) -> bool {
        let tasks = format!("/proc/{}/task", gateway.pid());
        let mut tasks = std::fs::read_dir(tasks).expect("a process");
        tasks.any(|task| {
            let status = task.map(|task| task.path().join("status"));
            let status = status.and_then(std::fs::read_to_string).unwrap_or_default();
            status.starts_with(&format!("Name:\t{thread}")) && status.contains("\nState:\tt")
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let pid = self.tracer.id().to_string();
        let _ = Command::new("kill").args(["-s", "INT", &pid]).status();
        let _ = self.tracer.wait();
    }
}
