//! Ticks that wake a poll more often than its own timeout can, which has a millisecond's grain.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

/// Wakes a poll again and again until it is dropped.
#[cfg(target_os = "linux")]
pub(crate) struct Ticks(std::fs::File);

#[cfg(target_os = "linux")]
impl Ticks {
    /// Ticks for the poll of `registry`, which reports each as an event of `token`.
    pub(crate) fn start(registry: &Registry, token: Token, every: Duration) -> io::Result<Self> {
        use rustix::fd::AsRawFd as _;
        use rustix::time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
            timerfd_settime,
        };
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let step = Timespec {
            tv_sec: i64::try_from(every.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(every.subsec_nanos()),
        };
        let times = Itimerspec {
            it_interval: step,
            it_value: step,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        registry.register(
            &mut mio::unix::SourceFd(&timer.as_raw_fd()),
            token,
            mio::Interest::READABLE,
        )?;
        Ok(Self(timer.into()))
    }

    /// Takes note of a tick; without that, no other follows.
    pub(crate) fn seen(&mut self) {
        use std::io::Read as _;
        let _ = self.0.read(&mut [0; 8]);
    }

    /// How long a poll may wait beside these ticks.
    pub(crate) fn timeout() -> Duration {
        Duration::from_secs(1)
    }
}

/// Without a timer of the system, the poll itself wakes each millisecond.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Ticks;

#[cfg(not(target_os = "linux"))]
impl Ticks {
    pub(crate) fn start(_: &Registry, _: Token, _: Duration) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn seen(&mut self) {}

    pub(crate) fn timeout() -> Duration {
        Duration::from_millis(1)
    }
}
