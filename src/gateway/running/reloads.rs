//! The order of reloads: a reading that began later counts more than a reading that began earlier,
//! whichever of them ends first (contract: Reload).
//!
//! Readings run beside each other, each on a thread of its own, so that a reading that hangs (a file
//! on a dead mount) keeps no other waiting. Their number is bounded, because a thread that hangs
//! cannot be ended.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::FileSet;

/// The most readings at the same time, those that hang included.
const MAX_READINGS: usize = 16;

/// The reloads of a gateway since its start.
pub(crate) struct Reloads {
    // Relaxed: only the order of the numbers counts.
    begun: AtomicU64,
    // Relaxed: no other memory is read by way of it.
    readings: Arc<AtomicUsize>,
    // Held while a snapshot is put in force, never across a wait for a disk: tasks take it that answer
    // signals and the admin port, and an upgrade with its window frozen.
    latest: Mutex<Latest>,
}

/// The latest configuration that was considered.
#[derive(Debug)]
pub(crate) struct Latest {
    /// The turn whose configuration is in force; 0 is the start.
    pub(crate) in_force: u64,
    /// The turn of which `files` are.
    seen: u64,
    /// The files of the latest configuration, whether it was put in force or had problems.
    files: FileSet,
    /// Whether another process takes over, which looks at the files itself: nothing is put in force
    /// here any more.
    pub(crate) is_over: bool,
    /// The limit of connections in force; `None` where it is not lowered.
    lowered: Option<Lowered>,
}

/// A limit of connections that is lower than the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lowered {
    /// The sentence for the operator.
    pub(crate) words: String,
}

impl Lowered {
    /// Logs the sentence.
    pub(crate) fn say(&self) {
        log::warn!("{}", self.words);
    }
}

impl Reloads {
    /// No reload yet; the configuration in force was read from `files`. `lowered` is its
    /// limit of connections, if that was lowered.
    pub(crate) fn new(files: FileSet, lowered: Option<Lowered>) -> Self {
        Self {
            begun: AtomicU64::new(0),
            readings: Arc::default(),
            latest: Mutex::new(Latest {
                in_force: 0,
                seen: 0,
                files,
                is_over: false,
                lowered,
            }),
        }
    }

    /// The turn of a reload that begins now.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A place for one more reading; `None` if there are too many already.
    pub(crate) fn place(&self) -> Option<ReadingPlace> {
        let before = self.readings.fetch_add(1, Ordering::Relaxed);
        let place = ReadingPlace(Arc::clone(&self.readings));
        (before < MAX_READINGS).then_some(place)
    }

    /// The files of the latest configuration.
    pub(crate) fn files(&self) -> FileSet {
        self.latest().files.clone()
    }

    /// Whether a reading has not ended yet.
    #[cfg(test)]
    pub(crate) fn is_reading(&self) -> bool {
        self.readings.load(Ordering::Relaxed) > 0
    }

    /// The latest configuration, which nobody else changes meanwhile.
    pub(crate) fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    /// Remembers the files of a reload, unless those of a later reload are remembered already.
    pub(crate) fn saw(&mut self, turn: u64, files: FileSet) {
        if turn >= self.seen {
            self.seen = turn;
            self.files = files;
        }
    }

    /// Remembers whether a configuration that takes effect lowers the limit of connections. Returns
    /// the sentence about it, unless the configuration before it said the same.
    pub(crate) fn lowers(&mut self, lowered: Option<Lowered>) -> Option<Lowered> {
        if self.lowered == lowered {
            return None;
        }
        self.lowered.clone_from(&lowered);
        lowered
    }
}

/// A reading that is counted while this value lives.
pub(crate) struct ReadingPlace(Arc<AtomicUsize>);

impl Drop for ReadingPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_given_back_is_given_again() {
        let reloads = Reloads::new(FileSet::default(), None);
        let mut places: Vec<_> = (0..MAX_READINGS).map(|_| reloads.place()).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(reloads.place().is_none());
        places.pop();
        assert!(reloads.place().is_some());
    }
}
