//! The clock handle: wall and monotonic time, the only reader of either (SPEC 4 needs both).
//!
//! Everything that judges time takes a [`Now`], so one request sees one moment and tests choose it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The moment that is `seconds` after the epoch; saturates at the ends of the range.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time: what timestamps are judged by. May step either way.
    pub wall: UnixMillis,
    /// Time since the clock handle was made: what ages are measured by. Never steps back.
    pub mono: Duration,
}

/// A source of [`Now`]. Cheap to clone; clones share the same source.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System {
        start: Instant,
    },
    // both in milliseconds, shared so that a test can move what others hold
    Set {
        wall: Arc<AtomicI64>,
        mono: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the one reader of the clocks"
    )]
    pub fn system() -> Self {
        Self(Source::System {
            start: Instant::now(),
        })
    }

    /// A clock that stands still at `wall` until it is moved.
    pub fn set_to(wall: UnixMillis) -> Self {
        Self(Source::Set {
            wall: Arc::new(AtomicI64::new(wall.0)),
            mono: Arc::new(AtomicI64::new(0)),
        })
    }

    /// Both clocks now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the one reader of the clocks"
    )]
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::System { start } => {
                let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
                    Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                    Err(before) => {
                        -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)
                    }
                };
                Now {
                    wall: UnixMillis(wall),
                    mono: start.elapsed(),
                }
            }
            // Relaxed: a test moves the clock and reads it from one thread, or joins in between.
            Source::Set { wall, mono } => Now {
                wall: UnixMillis(wall.load(Ordering::Relaxed)),
                mono: Duration::from_millis(
                    u64::try_from(mono.load(Ordering::Relaxed)).unwrap_or(0),
                ),
            },
        }
    }

    /// The monotonic clock alone, for measuring: half the cost of [`Self::now`].
    pub fn mono(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Set { .. } => self.now().mono,
        }
    }

    /// Moves a set clock: `wall` by milliseconds either way, the monotonic clock by `mono`.
    /// The system's clocks cannot be moved; the call does nothing there.
    pub fn step(&self, wall: i64, mono: Duration) {
        if let Source::Set { wall: w, mono: m } = &self.0 {
            w.fetch_add(wall, Ordering::Relaxed);
            m.fetch_add(
                i64::try_from(mono.as_millis()).unwrap_or(i64::MAX),
                Ordering::Relaxed,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_moves_only_when_told_and_its_clones_with_it() {
        let clock = Clock::set_to(UnixMillis::from_secs(1_750_000_000));
        let copy = clock.clone();
        assert_eq!(clock.now(), copy.now());
        clock.step(-3_600_000, Duration::from_secs(5));
        assert_eq!(copy.now().wall, UnixMillis::from_secs(1_749_996_400));
        assert_eq!(copy.now().mono, Duration::from_secs(5));
    }
}
