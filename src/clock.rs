//! The clock: wall time and monotonic time. No other file reads the machine's clocks (contract: The
//! window).
//!
//! Every function that judges time takes a [`Now`], so a request sees one moment, and tests can
//! choose it.
//!
//! Entered by: readings of time. May import: no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The moment that is `seconds` after the epoch; the nearest end of the range if it is outside
    /// of the range.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// The readings of both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time, by which timestamps are judged. It may step forward or back.
    pub wall: UnixMillis,
    /// The time since the [`Clock`] was made, by which ages are measured. It never steps back.
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
    // Both are in milliseconds. They are shared, so that a test can move clocks that others hold.
    Set {
        wall: Arc<AtomicI64>,
        mono: Arc<AtomicI64>,
    },
}

impl Clock {
    /// A clock that reads the machine's clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the one reader of the clocks"
    )]
    pub fn system() -> Self {
        Self(Source::System {
            start: Instant::now(),
        })
    }

    /// A clock for tests: it shows `wall` until it is moved.
    pub fn set_to(wall: UnixMillis) -> Self {
        Self(Source::Set {
            wall: Arc::new(AtomicI64::new(wall.0)),
            mono: Arc::new(AtomicI64::new(0)),
        })
    }

    /// Reads both clocks.
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
            // Relaxed is enough: the same thread moves the clock and reads it, or joins the other
            // thread in between.
            Source::Set { wall, mono } => Now {
                wall: UnixMillis(wall.load(Ordering::Relaxed)),
                mono: Duration::from_millis(
                    u64::try_from(mono.load(Ordering::Relaxed)).unwrap_or(0),
                ),
            },
        }
    }

    /// Reads the monotonic clock alone, to measure a duration. It costs half as much as
    /// [`Self::now`].
    pub fn mono(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Set { .. } => self.now().mono,
        }
    }

    /// Moves a clock made by [`Self::set_to`]: wall time by `wall` milliseconds, forward or back,
    /// and monotonic time by `mono`. A system clock cannot be moved: the call does nothing.
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
    fn a_set_clock_moves_only_when_stepped_and_its_clones_with_it() {
        let clock = Clock::set_to(UnixMillis::from_secs(1_750_000_000));
        let copy = clock.clone();
        assert_eq!(clock.now(), copy.now());
        clock.step(-3_600_000, Duration::from_secs(5));
        assert_eq!(copy.now().wall, UnixMillis::from_secs(1_749_996_400));
        assert_eq!(copy.now().mono, Duration::from_secs(5));
    }
}
