//! A value for each thread, so that threads that count at the same time do not take cache lines from
//! each other. Whoever shows a number adds up the values of all threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places for threads. A thread beyond this number shares the place of another, which costs
/// time and nothing else.
const PLACES: usize = 16;

/// Values of the same kind, each for a thread. A value is made when its thread first uses it.
#[derive(Debug, Default)]
pub(super) struct Sharded<T> {
    places: [OnceLock<Box<Alone<T>>>; PLACES],
}

/// A value with no other in its cache lines. Processors fetch lines of 64 bytes in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone<T>(T);

impl<T: Default> Sharded<T> {
    /// The value of the calling thread. Another thread may have the same.
    pub(super) fn own(&self) -> &T {
        let [first, ..] = &self.places;
        let place = self.places.get(own_place()).unwrap_or(first);
        &place.get_or_init(Box::default).0
    }

    /// The values of all threads.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        let made = self.places.iter().filter_map(OnceLock::get);
        made.map(|alone| &alone.0)
    }
}

/// The place of the calling thread. Threads take turns, so that as many threads as there are places
/// have a place each.
fn own_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Relaxed: the number alone counts.
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_that_any_thread_counts_is_lost() {
        let counts = Sharded::<AtomicU64>::default();
        thread::scope(|scope| {
            for _ in 0..3 * PLACES {
                scope.spawn(|| {
                    for _ in 0..100 {
                        counts.own().fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let sum: u64 = counts
            .all()
            .map(|count| count.load(Ordering::Relaxed))
            .sum();
        assert_eq!(sum, 3 * PLACES as u64 * 100);
        assert!(counts.all().count() > 1);
    }

    #[test]
    fn a_thread_finds_its_own_value_again() {
        let counts = Sharded::<AtomicU64>::default();
        assert!(std::ptr::eq(counts.own(), counts.own()));
    }
}
