//! Turns: how tasks with much to hash share a worker thread with everyone else (contract: Body).
//!
//! A task that has hashed for a while waits for its turn before it goes on. Turns are given in the
//! order in which they were asked for, and between two of them the thread looks at its sockets and
//! timers. So many large bodies at a time hold up a small delivery no longer than a single body.

use tokio::sync::Semaphore;

/// The turns of all tasks, as many at a time as there are worker threads.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

/// The bytes after which a task that hashes asks for a turn.
pub(crate) const BETWEEN_TURNS: usize = 256 * 1024;

impl Turns {
    /// Turns for this many worker threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Semaphore::new(threads))
    }

    /// Returns when it is this task's turn, after everything else on the thread had one.
    pub(crate) async fn next(&self) {
        // The semaphore is never closed, so the error cannot come. The permit is held across the
        // pause: a single task per thread goes on for each round of the thread.
        let _permit = self.0.acquire().await;
        tokio::task::yield_now().await;
    }
}
