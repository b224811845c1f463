//! A limit on messages that traffic can provoke: at most one per interval, with the number of those
//! left out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A limit of one message per interval. The others are counted, and the next message says how many
/// they were.
///
/// Reads no clock: the caller passes the monotonic time.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    // Relaxed throughout: each of the two numbers is used by itself, and no other memory is read
    // because of it.
    // The monotonic time, in nanoseconds, from which the next message is allowed.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// A limit whose first message is allowed at once.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether a message may be shown at `now` (monotonic): `Some` with the number suppressed since
    /// the last message that was shown.
    pub fn allow(&self, now: Duration) -> Option<u64> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = nanos(now.saturating_add(self.interval));
        // Of several threads at the same instant a single one wins the exchange; the messages of
        // the others count as suppressed.
        let allowed = nanos(now) >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if allowed {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_per_interval_tells_how_many_were_suppressed() {
        let limit = RateLimit::new(Duration::from_secs(10));
        let at = Duration::from_millis;
        assert_eq!(limit.allow(at(0)), Some(0));
        assert_eq!(limit.allow(at(1)), None);
        assert_eq!(limit.allow(at(9_999)), None);
        assert_eq!(limit.allow(at(10_000)), Some(2));
        assert_eq!(limit.allow(at(10_001)), None);
        assert_eq!(limit.allow(at(60_000)), Some(1));
    }

    #[test]
    fn of_many_at_one_instant_exactly_one_is_allowed_and_none_is_forgotten() {
        let limit = RateLimit::new(Duration::from_secs(1));
        let allowed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .filter_map(|_| limit.allow(Duration::ZERO))
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(allowed, 1);
        // The winner may already have reported some of the messages that were suppressed early on.
        assert!(
            limit
                .allow(Duration::from_secs(1))
                .is_some_and(|suppressed| suppressed <= 3999)
        );
    }
}
