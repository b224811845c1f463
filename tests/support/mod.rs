//! What every test program over real sockets shares: the gateway as a child process, a recording upstream, a
//! raw-socket client, a signer that is not the product's own, and waiting with a deadline.
//!
//! Shared by `#[path = "../support/mod.rs"] mod support;`. Knows the contract and nothing of the product's
//! code. It asserts nothing about one answer in particular; what is true of every answer is in `answer.rs`.

#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code: a panic is how a test fails, and its output is for the one who reads the failure"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests stand outside the product: they sign with the machine's clock and wait by it"
)]

pub(crate) mod answer;
pub(crate) mod authority;
pub(crate) mod behaviour;
pub(crate) mod cases;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod gateway;
pub(crate) mod held;
pub(crate) mod http2;
pub(crate) mod socket;
pub(crate) mod translated;
pub(crate) mod transport;
pub(crate) mod upstream;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a test waits for what should come at once. Far above what a loaded machine needs, and below the
/// gateway's default time limits, so that an answer that only a time limit brought counts as none.
pub(crate) const SOON: Duration = Duration::from_secs(8);

/// For what takes long by its nature: starting a process, 64 MiB bodies, waiting for a configured time limit.
pub(crate) const LATE: Duration = Duration::from_secs(60);

/// The secret of the route that [`config::Route::itellico`] makes; in the child's environment as [`SECRET_VARIABLE`].
pub(crate) const SECRET: &str = "itellico-test-secret-0123456789abcdef";

/// The environment variable that holds [`SECRET`].
pub(crate) const SECRET_VARIABLE: &str = "ITELLICO_WEBHOOK_SECRET";

/// The secret of the route that [`config::Route::plain`] makes; in the child's environment as `PLAIN_SECRET`.
pub(crate) const PLAIN_SECRET: &str = "plain-test-secret-fedcba9876543210";

/// Seconds since 1970 by the machine's clock.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs()
}

/// Asks `condition` again and again until it holds; `false` when `deadline` has passed first.
#[must_use]
pub(crate) fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Deadline::after(deadline);
    loop {
        if condition() {
            return true;
        }
        if until.passed() {
            return condition();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A point in time that waiting ends at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The point `duration` from now.
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// What is left, at least a millisecond (a socket's time limit of zero means none).
    pub(crate) fn left(self) -> Duration {
        self.0
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1))
    }

    /// Whether it is over.
    pub(crate) fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}
