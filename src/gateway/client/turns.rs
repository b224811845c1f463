//! Turns: how tasks with much to hash share a worker thread with everyone else (contract: Body).
//!
//! A task that has hashed for a while waits for its turn before it goes on. Turns are given in the
//! order in which they were asked for, and between two of them the thread looks at its sockets and
//! timers. So many large bodies at a time hold up a small delivery no longer than a single body.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// The turns of all tasks, as many at a time as there are worker threads.
#[derive(Debug)]
pub(crate) struct Turns {
    hashing: Semaphore,
    aside: Semaphore,
}

/// The bytes after which a task that hashes asks for a turn.
pub(crate) const BETWEEN_TURNS: usize = 256 * 1024;

/// The bytes of a body that may be read at a stretch by work that cannot pause.
const AT_A_STRETCH: usize = 512 * 1024;

impl Turns {
    /// Turns for this many worker threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            hashing: Semaphore::new(threads),
            aside: Semaphore::new(threads),
        }
    }

    /// Does work that reads `bytes` of a body and cannot pause. If they are many, everything else
    /// on the thread goes on meanwhile, on another thread; as much of such work as there are worker
    /// threads is done at a time, in the order in which it was asked for.
    ///
    /// A delivery that is proved may be large too, and some schemes do not sign the body: whoever
    /// has captured a head can send any body with it.
    pub(crate) async fn aside<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        let can_hand_over = || {
            Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
        };
        if bytes <= AT_A_STRETCH || !can_hand_over() {
            return work();
        }
        // The semaphore is never closed, so the error cannot come.
        let _permit = self.aside.acquire().await;
        block_in_place(work)
    }

    /// Returns when it is this task's turn, after everything else on the thread had one.
    pub(crate) async fn next(&self) {
        // The semaphore is never closed, so the error cannot come. The permit is held across the
        // pause: a single task per thread goes on for each round of the thread.
        let _permit = self.hashing.acquire().await;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// The work waits for another task of the same worker thread, and the only worker thread is the
    /// thread that works.
    #[test]
    fn rx_26_a_large_body_is_read_while_everything_else_on_the_thread_goes_on() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let (done, others) = mpsc::channel();
        let task = runtime.spawn(async move {
            tokio::spawn(async move { done.send(7) });
            let work = move || others.recv_timeout(Duration::from_secs(60));
            Turns::new(1).aside(AT_A_STRETCH + 1, work).await
        });
        assert_eq!(runtime.block_on(task).unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn a_small_body_is_read_at_once_and_a_large_one_on_a_runtime_without_threads_too() {
        let turns = Turns::new(1);
        for bytes in [0, AT_A_STRETCH, AT_A_STRETCH + 1] {
            assert_eq!(turns.aside(bytes, || bytes).await, bytes);
        }
    }
}
