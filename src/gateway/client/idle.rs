//! A connection between two requests: since when it waits, and whether it shall end for another one or
//! because it is judged otherwise (contract: Shares, Reload).

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Whether a connection idles between two requests, since when, and whether it shall end.
#[derive(Debug)]
pub(crate) struct Idle {
    // Milliseconds since the port began, or [`BUSY`]. Relaxed: a connection that becomes busy while
    // it is chosen serves its request and ends then.
    since: AtomicU64,
    // Relaxed: the notification after it orders it for whoever waits, and whoever does not wait
    // learns of it a request later.
    is_over: AtomicBool,
    ending: Notify,
    retiring: Notify,
    began: Instant,
}

/// The connection is not between two requests.
const BUSY: u64 = u64::MAX;

impl Idle {
    /// The idleness of a connection that has just come to a port which `began` at a moment.
    pub(super) fn new(began: Instant) -> Self {
        Self {
            since: AtomicU64::new(BUSY),
            is_over: AtomicBool::new(false),
            ending: Notify::new(),
            retiring: Notify::new(),
            began,
        }
    }

    /// The connection waits for its next request, since `now`.
    pub(crate) fn begin(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(BUSY - 1);
        self.since.store(since, Ordering::Relaxed);
    }

    /// The connection has its next request.
    pub(crate) fn end(&self) {
        self.since.store(BUSY, Ordering::Relaxed);
    }

    /// The milliseconds since the port began at which the connection began to wait; `None` if it does
    /// not wait.
    pub(super) fn since(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed);
        (since != BUSY).then_some(since)
    }

    /// Lets the connection take no further request.
    pub(super) fn end_now(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.ending.notify_one();
    }

    /// Whether the connection was chosen to end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Resolves when the connection shall take no further request.
    pub(crate) fn ending(&self) -> impl Future<Output = ()> {
        self.ending.notified()
    }

    /// Lets the connection end without losing a request: HTTP/1 says so with its next answer, and
    /// HTTP/2 at once, since that loses none.
    pub(crate) fn retire(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.retiring.notify_one();
    }

    /// Resolves when a connection of HTTP/2 shall [retire](Self::retire).
    pub(crate) fn retiring(&self) -> impl Future<Output = ()> {
        self.retiring.notified()
    }
}
