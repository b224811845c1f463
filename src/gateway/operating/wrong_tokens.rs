//! Wrong tokens on the admin port: each is logged, and after a few within a minute the further wrong
//! ones are left unanswered, so that guessing is slow (contract: Admin port).
//!
//! The limit is for all peers together, so its memory is bounded, and a peer with many addresses
//! gains nothing. The right token is never limited.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Now;
use crate::telemetry::rate_limit::RateLimit;

/// The number of wrong tokens within [`WINDOW`] that are answered.
const ANSWERED: usize = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// The least time between two messages about unanswered tokens.
const INTERVAL: Duration = Duration::from_secs(10);

/// The wrong tokens of the last minute.
pub(super) struct WrongTokens {
    // The monotonic times of the answered ones. A plain lock: held for a comparison, and only for
    // requests with a wrong token.
    answered: Mutex<VecDeque<Duration>>,
    unanswered: RateLimit,
}

impl WrongTokens {
    pub(super) const fn new() -> Self {
        Self {
            answered: Mutex::new(VecDeque::new()),
            unanswered: RateLimit::new(INTERVAL),
        }
    }

    /// Logs a wrong token. Returns whether its request is answered.
    pub(super) fn note(&self, peer: Option<IpAddr>, now: Now) -> bool {
        let is_answered = self.is_answered(now.mono);
        let peer = super::shown_peer(peer);
        if is_answered {
            log::warn!("the admin port got a wrong token from {peer}");
        } else if let Some(others) = self.unanswered.allow(now.mono) {
            log::warn!(
                "the admin port left a wrong token from {peer} unanswered, after {ANSWERED} within a minute \
                 (and {others} more since the last such message)"
            );
        }
        is_answered
    }

    fn is_answered(&self, now: Duration) -> bool {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        while answered
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= WINDOW)
        {
            answered.pop_front();
        }
        let has_room = answered.len() < ANSWERED;
        if has_room {
            answered.push_back(now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cf_21_ten_within_any_minute_are_answered() {
        let tokens = WrongTokens::new();
        let count = |from_ms: u64, to_ms: u64| {
            (from_ms..to_ms)
                .filter(|ms| tokens.is_answered(Duration::from_millis(*ms)))
                .count()
        };
        assert_eq!(count(0, 1000), 10);
        assert_eq!(count(1000, 60_000), 0);
        // The first ten came in the first ten milliseconds, and each place is free after a minute.
        assert_eq!(count(60_000, 60_005), 5);
        assert_eq!(count(60_005, 61_000), 5);
        assert_eq!(count(61_000, 119_000), 0);
        assert!(tokens.answered.lock().unwrap().len() <= ANSWERED);
    }
}
