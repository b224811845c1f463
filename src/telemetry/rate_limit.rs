//! Limits on messages that traffic can provoke: at most one per interval, for each cause or for all
//! together, with the number of those left out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
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

/// The most causes that have a limit of their own at a time, and the most bytes of the text of one.
const MAX_CAUSES: usize = 32;
const MAX_TEXT: usize = 300;

/// A limit of one message per interval for each cause, so that a frequent cause does not hide another.
///
/// Causes are texts, of which strangers may write a part. At most [`MAX_CAUSES`] have a limit of their
/// own at a time; the others share one.
#[derive(Debug)]
pub struct RateLimits {
    interval: Duration,
    /// Each with the moment from which its next message is allowed, and the number suppressed.
    // A lock of the standard library: it is held for a look-up alone, and only on the way to a message.
    causes: Mutex<BTreeMap<String, (Duration, u64)>>,
    others: RateLimit,
}

impl RateLimits {
    /// Limits under which no cause is known.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            causes: Mutex::new(BTreeMap::new()),
            others: RateLimit::new(interval),
        }
    }

    /// Whether a message of this cause may be shown at `now` (monotonic): `Some` with the number
    /// suppressed since the last one of the same cause. A cause that was silent for an interval may be
    /// forgotten with its number.
    pub fn allow(&self, cause: &str, now: Duration) -> Option<u64> {
        let mut ends = (0..=cause.len().min(MAX_TEXT)).rev();
        let end = ends.find(|end| cause.is_char_boundary(*end));
        let cause = end.and_then(|end| cause.get(..end)).unwrap_or_default();
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((next, suppressed)) = causes.get_mut(cause) {
            if now < *next {
                *suppressed += 1;
                return None;
            }
            *next = now.saturating_add(self.interval);
            return Some(std::mem::take(suppressed));
        }
        if causes.len() >= MAX_CAUSES {
            causes.retain(|_, (next, _)| now < *next);
        }
        if causes.len() >= MAX_CAUSES {
            drop(causes);
            return self.others.allow(now);
        }
        causes.insert(cause.to_owned(), (now.saturating_add(self.interval), 0));
        Some(0)
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

    #[test]
    fn one_cause_does_not_hide_another_and_their_number_is_bounded() {
        let limits = RateLimits::new(Duration::from_secs(10));
        let at = Duration::from_secs;
        assert_eq!(limits.allow("a", at(0)), Some(0));
        assert_eq!(limits.allow("b", at(1)), Some(0));
        assert_eq!(limits.allow("a", at(2)), None);
        assert_eq!(limits.allow("a", at(10)), Some(1));
        assert_eq!(limits.allow("b", at(10)), None);
        // A stranger who makes many causes gets no message for each, and hides none that is known.
        let shown = (0..1000).filter(|n| limits.allow(&format!("x{n}"), at(10)).is_some());
        assert_eq!(shown.count(), MAX_CAUSES - 2 + 1);
        assert_eq!(limits.causes.lock().unwrap().len(), MAX_CAUSES);
        assert_eq!(limits.allow("b", at(11)), Some(1));
        // Once they are silent for an interval, there is room again.
        assert_eq!(limits.allow("c", at(25)), Some(0));
        let long = "\u{e9}".repeat(1000);
        assert_eq!(limits.allow(&long, at(25)), Some(0));
        assert_eq!(limits.allow(&long, at(25)), None);
        let causes = limits.causes.lock().unwrap();
        assert!(causes.keys().all(|cause| cause.len() <= MAX_TEXT));
    }
}
