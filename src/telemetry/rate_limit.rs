//! A limit on messages that traffic can provoke: one per interval, with a count of those left out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// At most one message per interval; the others are counted, for the next one to tell.
///
/// Reads no clock: whoever asks passes the monotonic time.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    // Relaxed throughout: each is a number of its own, nothing else is read on the strength of it.
    // Nanoseconds of monotonic time.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// A limit of one message per `interval`; the first is allowed at once.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether a message may be shown at `now` (monotonic): `Some` with the number suppressed since the last one.
    pub fn allow(&self, now: Duration) -> Option<u64> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = nanos(now.saturating_add(self.interval));
        // of several at the same instant one wins the exchange, the others count as suppressed
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
        // the winner may have taken some of the early ones along
        assert!(
            limit
                .allow(Duration::from_secs(1))
                .is_some_and(|suppressed| suppressed <= 3999)
        );
    }
}
