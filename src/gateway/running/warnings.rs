//! The operational warnings that traffic can provoke. Each kind is shown at most once in ten
//! seconds, with the number of the others (contract: Access log).

use std::time::Duration;

use crate::clock::Now;
use crate::gateway::upstream::forward::ForwardError;
use crate::telemetry::rate_limit::RateLimit;

const INTERVAL: Duration = Duration::from_secs(10);

/// A limit for each kind of warning.
pub(crate) struct Warnings {
    conflict: RateLimit,
    upstream: RateLimit,
    overload: RateLimit,
    eviction: RateLimit,
    learning: RateLimit,
}

impl Warnings {
    /// Limits that have shown no warning yet.
    pub(crate) const fn new() -> Self {
        Self {
            conflict: RateLimit::new(INTERVAL),
            upstream: RateLimit::new(INTERVAL),
            overload: RateLimit::new(INTERVAL),
            eviction: RateLimit::new(INTERVAL),
            learning: RateLimit::new(INTERVAL),
        }
    }

    /// Warns that an event id came again with another body.
    ///
    /// `is_preset` says that the place of the id is the provider's own. Then the provider has
    /// probably rendered the body of a retry again, and the delivery is answered as a duplicate.
    pub(crate) fn conflict(&self, route: &str, is_preset: bool, request_id: &str, now: Now) {
        if let Some(others) = self.conflict.allow(now.mono) {
            let advice = if is_preset {
                "it was answered as a duplicate; `POST /replay/forget` lets it through"
            } else {
                "if this goes on, check the place of `event_id`"
            };
            log::warn!(
                "route {route}, request {request_id}: an event id was seen again with another body: {advice}{}",
                more(others)
            );
        }
    }

    /// Warns that an upstream could not be reached, was late, or broke off.
    pub(crate) fn upstream(&self, route: &str, upstream: &str, error: &ForwardError, now: Now) {
        if let Some(others) = self.upstream.allow(now.mono) {
            log::warn!(
                "route {route}: upstream {upstream}: {error}{}",
                more(others)
            );
        }
    }

    /// Warns that a connection was refused because too many are open.
    pub(crate) fn overload(&self, open: usize, now: Now) {
        if let Some(others) = self.overload.allow(now.mono) {
            log::warn!(
                "{open} connections are open, more than `server.max_connections`: refused a new connection{}",
                more(others)
            );
        }
    }

    /// Warns that the secret of a handshake was not taken.
    pub(crate) fn learning(&self, route: &str, reason: &dyn std::fmt::Display, now: Now) {
        if let Some(others) = self.learning.allow(now.mono) {
            log::warn!(
                "route {route}: the secret of a handshake was not taken: {reason}{}",
                more(others)
            );
        }
    }

    /// Warns that events which could still be replayed were forgotten to make room.
    pub(crate) fn eviction(&self, evicted: u64, now: Now) {
        if let Some(others) = self.eviction.allow(now.mono) {
            log::warn!(
                "the replay window is full: forgot {evicted} events within their tolerance; raise `replay.capacity`{}",
                more(others)
            );
        }
    }
}

fn more(others: u64) -> String {
    if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more like this)")
    }
}
