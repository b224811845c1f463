//! The clock: wall time and monotonic time. No other file reads the machine's clocks (contract: The
//! window).
//!
//! Reading a clock is the dearest call that every request makes several times, so a reading of the
//! monotonic clock serves for both: wall time is that reading and the distance between the two
//! clocks, which is measured again after [`REMEASURE`]. A reader of this clock sees what a reader
//! sees on a machine whose wall clock is stepped at most that much later, so every promise about
//! steps holds.
//!
//! Every function that judges time takes a [`Now`], so a request sees one moment, and tests can
//! choose it.
//!
//! Entered by: readings of time. May import: no room.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
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

/// The monotonic time, in nanoseconds, after which the distance to the wall clock is measured again.
/// A step of the wall clock, or the time for which the machine slept, is seen this much later at
/// most.
const REMEASURE: i64 = 2_000_000;

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
    System(Arc<System>),
    // Both are in milliseconds. They are shared, so that a test can move clocks that others hold.
    Set {
        wall: Arc<AtomicI64>,
        mono: Arc<AtomicI64>,
    },
}

impl Clock {
    /// A clock that reads the machine's clocks.
    pub fn system() -> Self {
        Self::begun(Duration::ZERO)
    }

    /// A clock that reads the machine's clocks, with `mono` as its monotonic time now: it goes on with
    /// the time of another process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this file is the one reader of the clocks"
    )]
    pub fn begun(mono: Duration) -> Self {
        let now = Instant::now();
        Self(Source::System(Arc::new(System {
            start: now.checked_sub(mono).unwrap_or(now),
            measured: AtomicI64::new(NEVER),
            distance: AtomicI64::new(0),
            measuring: Mutex::new(()),
        })))
    }

    /// A clock for tests: it shows `wall` until it is moved.
    pub fn set_to(wall: UnixMillis) -> Self {
        Self(Source::Set {
            wall: Arc::new(AtomicI64::new(wall.0)),
            mono: Arc::new(AtomicI64::new(0)),
        })
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::System(system) => system.now(wall_nanos),
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

    /// Reads the monotonic clock alone, to measure a duration.
    pub fn mono(&self) -> Duration {
        match &self.0 {
            Source::System(system) => system.start.elapsed(),
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

/// The machine's clocks.
#[derive(Debug)]
struct System {
    start: Instant,
    /// The monotonic time of the last measurement, in nanoseconds; [`NEVER`] before the first.
    measured: AtomicI64,
    /// The nanoseconds to add to monotonic time for wall time.
    distance: AtomicI64,
    /// Held by the thread that states a measurement. No thread waits for it: as long as nothing is
    /// stated, each reads the wall clock itself.
    measuring: Mutex<()>,
}

/// Longer ago than any reading.
const NEVER: i64 = i64::MIN;

impl System {
    /// Both clocks. `wall` reads the wall clock in nanoseconds.
    fn now(&self, wall: impl FnOnce() -> i64) -> Now {
        let mono = self.start.elapsed();
        let at = nanos(mono);
        // Acquire: whoever sees the time of a measurement sees its distance, or a later one.
        let measured = self.measured.load(Ordering::Acquire);
        let wall = if at.saturating_sub(measured) >= REMEASURE {
            let wall = wall();
            // No distance is used that is wrong by more than this, however long a thread is held up:
            // it measures too much if that happens between its readings, and if it happens later,
            // another thread may have measured meanwhile.
            if let Ok(_alone) = self.measuring.try_lock()
                && self.measured.load(Ordering::Relaxed) == measured
                && nanos(self.start.elapsed()).saturating_sub(at) < REMEASURE
            {
                self.distance
                    .store(wall.saturating_sub(at), Ordering::Relaxed);
                self.measured.store(at, Ordering::Release);
            }
            wall
        } else {
            at.saturating_add(self.distance.load(Ordering::Relaxed))
        };
        Now {
            wall: UnixMillis(wall.div_euclid(1_000_000)),
            mono,
        }
    }
}

fn nanos(mono: Duration) -> i64 {
    i64::try_from(mono.as_nanos()).unwrap_or(i64::MAX)
}

/// The wall clock in nanoseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is the one reader of the clocks"
)]
fn wall_nanos() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine's clocks, begun `ago`.
    fn begun(ago: Duration) -> System {
        let Source::System(system) = Clock::system().0 else {
            unreachable!("a system clock");
        };
        System {
            start: system.start.checked_sub(ago).unwrap(),
            measured: AtomicI64::new(NEVER),
            distance: AtomicI64::new(0),
            measuring: Mutex::new(()),
        }
    }

    #[test]
    fn wall_time_is_that_of_the_machine() {
        let clock = Clock::system();
        for _ in 0..1000 {
            let before = wall_nanos() / 1_000_000;
            let found = clock.now().wall.0;
            let after = wall_nanos() / 1_000_000;
            // The clock of the machine may be slewed meanwhile.
            assert!(
                (before - 1..=after + 1).contains(&found),
                "{before} {found} {after}"
            );
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_is_followed_as_soon_as_the_distance_is_measured_again() {
        const HOUR: i64 = 3_600_000_000_000;
        let system = begun(Duration::from_secs(5));
        let first = system.now(|| 10 * HOUR);
        assert_eq!(first.wall.0, 10 * HOUR / 1_000_000);
        // Measured a moment ago: the clock is not read, and time goes on.
        system.measured.fetch_add(HOUR, Ordering::Relaxed);
        let second = system.now(|| unreachable!("the distance is known"));
        assert!(second.wall >= first.wall && second.mono >= first.mono);
        assert!(second.wall.0 - first.wall.0 < HOUR / 1_000_000);
        // Measured long enough ago: steps forward and back are followed at once.
        for wall in [20 * HOUR, HOUR, -HOUR] {
            system.measured.store(
                i64::try_from(system.start.elapsed().as_nanos()).unwrap() - REMEASURE,
                Ordering::Relaxed,
            );
            assert_eq!(system.now(|| wall).wall.0, wall / 1_000_000);
        }
    }

    #[test]
    fn a_thread_that_was_held_up_while_it_measured_states_no_distance() {
        const DAY: i64 = 86_400_000_000_000;
        // Held up between its readings, while another thread measured or not, and before it states
        // what it has measured.
        let system = begun(Duration::from_secs(5));
        let held_up = || {
            std::thread::sleep(Duration::from_nanos(REMEASURE.unsigned_abs()));
            DAY
        };
        assert_eq!(system.now(held_up).wall.0, DAY / 1_000_000);
        assert_eq!(system.measured.load(Ordering::Relaxed), NEVER);
        let overtaken = || {
            system.now(|| DAY);
            2 * DAY
        };
        assert_eq!(system.now(overtaken).wall.0, 2 * DAY / 1_000_000);
        let distance = system.distance.load(Ordering::Relaxed);
        assert!((DAY - DAY / 100..DAY).contains(&distance), "{distance}");
        system.measured.store(NEVER, Ordering::Relaxed);
        let other = system.measuring.lock().unwrap();
        assert_eq!(system.now(|| 3 * DAY).wall.0, 3 * DAY / 1_000_000);
        drop(other);
        assert_eq!(system.distance.load(Ordering::Relaxed), distance);
    }

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
