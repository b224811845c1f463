//! What the thread that looks after the files of a database has seen of what was written, and how long it
//! rests between two checkpoints.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use super::stats::Shared;
use super::writer::WAKE_SYNCED_AFTER;

/// The time that a checkpoint of [`WAKE_SYNCED_AFTER`] bytes may take without a rest.
const QUICK: Duration = Duration::from_millis(2);

/// How many times as long as checkpoints took beyond that, on average, the thread rests before the next
/// one, where commits end with a sync: a slow disk shall not be busy with checkpoints most of the time.
const RESTS: u32 = 8;

/// The part that the latest checkpoint has in the average: one of so many.
const LATEST: u32 = 8;

/// What has been written to a database so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The bytes of its log.
    pub(super) bytes: u64,
    /// The transactions with records, which are nothing that the writer did for the thread that looks.
    pub(super) records: u64,
}

impl Written {
    /// What has been written by now.
    pub(super) fn of(shared: &Shared) -> Self {
        // Whoever sees the bytes of a record sees the record too.
        let bytes = shared.written.load(Acquire);
        let records = shared.transactions.load(Relaxed);
        Self { bytes, records }
    }

    /// What a thread has seen that had seen this, and for which the writer has worked until `now`. What was
    /// written for the thread alone is nothing to look after; a record that came meanwhile is.
    pub(super) fn with_own(self, now: Self) -> Self {
        if now.records == self.records {
            now
        } else {
            self
        }
    }
}

/// By how much checkpoints take longer than on a quick disk with a core at hand, on average.
#[derive(Debug, Default)]
pub(super) struct Slowness(Duration);

impl Slowness {
    /// Adds a checkpoint that put so many bytes of the log back.
    pub(super) fn add(&mut self, took: Duration, bytes: u64) {
        let steps = u32::try_from(bytes / WAKE_SYNCED_AFTER).unwrap_or(u32::MAX);
        let slow = took.saturating_sub(QUICK.saturating_mul(steps.max(1)));
        self.0 = self.0.saturating_mul(LATEST - 1).saturating_add(slow) / LATEST;
    }

    /// The rest before the next one.
    pub(super) fn rest(&self) -> Duration {
        self.0.saturating_mul(RESTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest after so many checkpoints, each of which took so long for so many bytes.
    fn rest(count: usize, took: Duration, bytes: u64) -> Duration {
        let mut slowness = Slowness::default();
        for _ in 0..count {
            slowness.add(took, bytes);
        }
        slowness.rest()
    }

    #[test]
    fn only_a_slow_disk_makes_checkpoints_rarer() {
        const MIB: u64 = 1 << 20;
        let ms = Duration::from_millis;
        let none = Duration::ZERO;
        // A quick disk, and a longer log there.
        assert_eq!(rest(100, ms(1), WAKE_SYNCED_AFTER), none);
        assert_eq!(rest(100, ms(2), 0), none);
        assert_eq!(rest(100, ms(16), MIB), none);
        // A disk that takes 4 ms for a sync, which was slow once, or always.
        assert_eq!(rest(1, ms(10), WAKE_SYNCED_AFTER), ms(8));
        assert!(rest(100, ms(10), WAKE_SYNCED_AFTER) > ms(60));
        // One that hangs.
        assert!(rest(100, ms(u64::MAX), MIB) > Duration::from_secs(3600));
    }

    #[test]
    fn a_record_that_comes_while_room_is_given_back_is_not_taken_for_own_work() {
        let seen = Written {
            bytes: 1000,
            records: 7,
        };
        let own = Written {
            bytes: 5000,
            ..seen
        };
        assert_eq!(seen.with_own(own), own);
        let record = Written { records: 8, ..own };
        assert_eq!(seen.with_own(record), seen);
    }

    #[test]
    fn a_disk_that_is_quick_again_is_not_spared() {
        let mut slowness = Slowness::default();
        slowness.add(Duration::from_secs(5), 0);
        assert!(slowness.rest() > Duration::from_secs(4));
        for _ in 0..100 {
            slowness.add(Duration::from_millis(1), 0);
        }
        assert!(slowness.rest() < QUICK, "{:?}", slowness.rest());
    }
}
