//! The service manager that started the process, such as systemd: it is told how the gateway is, by
//! the protocol of `sd_notify` (contract: Service managers).
//!
//! A message is a datagram to the socket that `NOTIFY_SOCKET` names. Nothing waits for an answer,
//! and a manager that cannot be reached is no reason to stop.

use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A service manager, or none.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// Relaxed: no other memory is read by way of it.
    is_over: AtomicBool,
}

impl Supervisor {
    /// The manager that the environment of the process names.
    #[expect(
        clippy::disallowed_methods,
        reason = "the variables are those of the service manager and hold no secret"
    )]
    pub fn of_process() -> Self {
        let read = |name: &str| std::env::var(name).ok();
        let address = read("NOTIFY_SOCKET").and_then(|name| address(&name));
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        let own = std::process::id().to_string();
        // The variables may have been meant for the process that started this one.
        let is_ours = read("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let micros = read("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        Self {
            watchdog: micros
                .filter(|micros| is_ours && socket.is_some() && *micros > 0)
                .map(Duration::from_micros),
            socket,
            is_over: AtomicBool::new(false),
        }
    }

    /// The pause between two signs of life, if the manager wants any: half of the time after which
    /// it takes the process for hung.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// A sign of life.
    pub(crate) fn is_alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The gateway serves `routes` routes. `is_successor` says that it took over from another process
    /// of the same service.
    pub(crate) fn ready(&self, routes: usize, is_successor: bool) {
        let noun = if routes == 1 { "route" } else { "routes" };
        let process = if is_successor {
            format!("\nMAINPID={}", std::process::id())
        } else {
            String::new()
        };
        self.tell(&format!("READY=1\nSTATUS=serving {routes} {noun}{process}"));
    }

    /// The configuration is read again. [`reloaded`](Self::reloaded) must follow.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration again"
        ));
    }

    /// The end of a reload. A reload that was refused changes nothing.
    pub(crate) fn reloaded(&self, is_in_force: bool, routes: usize) {
        if is_in_force {
            self.ready(routes, false);
        } else {
            self.tell(
                "READY=1\nSTATUS=the last reload was refused, see the log; the configuration before it \
                 stays in force",
            );
        }
    }

    /// The gateway stops. Nothing but signs of life is told afterwards.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing the requests in flight");
        self.leave();
    }

    /// Tells nothing but signs of life from now on.
    pub(crate) fn leave(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn tell(&self, state: &str) {
        if !self.is_over.load(Ordering::Relaxed) {
            self.send(state);
        }
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            log::debug!("the service manager cannot be told: {error}");
        }
    }
}

/// The address of a socket as the environment names it: a path, or `@` and an abstract name.
fn address(name: &str) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name.as_bytes()).ok();
    }
    name.starts_with('/')
        .then(|| SocketAddr::from_pathname(name).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_or_abstract() {
        assert!(address("relative").is_none() && address("").is_none());
        let at = address("/run/notify").unwrap();
        assert_eq!(at.as_pathname().unwrap().to_str(), Some("/run/notify"));
        if cfg!(target_os = "linux") {
            let at = address("@verigate").unwrap();
            assert!(at.as_pathname().is_none() && !at.is_unnamed());
        }
    }
}
