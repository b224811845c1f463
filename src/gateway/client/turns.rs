//! Turns: how tasks with much to hash share a worker thread with everyone else (contract: Body).
//!
//! A task that has hashed for a while waits for its turn before it goes on. Turns are given in the
//! order in which they were asked for, and between two of them the thread looks at its sockets and
//! timers. So many large bodies at a time hold up a small delivery no longer than a single body.
//!
//! A runtime runs dozens of tasks before it looks at its sockets, so each thread counts what its
//! tasks have done since the last turn ([`spend`]). Once that is as much as a single task may do,
//! all others wait for their turn ([`Turns::paced`]).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::task::{Poll, ready};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

thread_local! {
    /// The work of this thread since a task had a turn on it, in bytes that are hashed.
    static SPENT: Cell<u64> = const { Cell::new(0) };
}

/// Counts work that was done on this thread: `bytes` that were hashed, or other work that takes as
/// long.
pub(crate) fn spend(bytes: u64) {
    SPENT.set(SPENT.get().saturating_add(bytes));
}

/// The turns of all tasks, as many at a time as there are worker threads.
#[derive(Debug)]
pub(crate) struct Turns {
    hashing: Semaphore,
    proving: Semaphore,
    aside: Semaphore,
}

/// The bytes after which a task that hashes asks for a turn.
pub(crate) const BETWEEN_TURNS: usize = 256 * 1024;

/// The work at a stretch that cannot pause, in bytes that are hashed: 1.2 milliseconds.
const AT_A_STRETCH: u64 = 5 * 512 * 1024;

/// The work that nobody waits for and that is not counted: a small delivery never waits.
const UNCOUNTED: u64 = 16 * 1024;

impl Turns {
    /// Turns for this many worker threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            hashing: Semaphore::new(threads),
            proving: Semaphore::new(threads),
            aside: Semaphore::new(threads),
        }
    }

    /// Returns when it is this task's turn for work that cannot pause, and costs as much as hashing
    /// `bytes`. If they are many, everything else on the thread goes on during the work, on another
    /// thread; as much of such work as there are worker threads is done at a time, in the order in which
    /// it was asked for. If they are few, the work is done here, as after [`prove`](Self::prove): handing
    /// everything else over costs some 20 microseconds, and what the processor has at hand of the body.
    ///
    /// A delivery that is proved may be large too, and some schemes do not sign the body: whoever
    /// has captured a head can send any body with it.
    pub(crate) async fn aside(&self, bytes: u64) -> Turn<'_> {
        let can_hand_over = || {
            Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
        };
        if bytes <= UNCOUNTED {
            return Turn { aside: None };
        }
        if bytes <= AT_A_STRETCH || !can_hand_over() {
            self.prove(bytes).await;
            return Turn { aside: None };
        }
        // The semaphore is never closed, so the error cannot come. Boxed, so that the common request
        // is not as large as the rare one.
        let permit = Box::pin(self.aside.acquire()).await;
        Turn { aside: permit.ok() }
    }

    /// Returns when it is this task's turn, after everything else on the thread had one.
    pub(crate) async fn next(&self) {
        take_turn(&self.hashing).await;
    }

    /// Does `work` on a large body, and lets it wait for its turn whenever the tasks of the thread
    /// have done enough.
    pub(crate) async fn paced<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut turn = None;
        poll_fn(|cx| {
            if turn.is_none() && is_spent() {
                turn = Some(Box::pin(self.next()));
            }
            if let Some(next) = &mut turn {
                ready!(next.as_mut().poll(cx));
                turn = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Returns when it is this task's turn for work that costs as much as hashing `bytes`, at most a few
    /// milliseconds, and cannot pause: at once, unless the tasks of the thread have done enough. They
    /// wait in a queue apart from that of large bodies.
    pub(crate) async fn prove(&self, bytes: u64) {
        if bytes > 0 {
            if is_spent() {
                // Boxed, so that the common request is not as large as the rare one.
                Box::pin(take_turn(&self.proving)).await;
            }
            spend(bytes);
        }
    }
}

/// A task's turn for a piece of work that cannot pause.
#[must_use]
pub(crate) struct Turn<'t> {
    /// Present where the work is so much that everything else on the thread goes on meanwhile.
    aside: Option<SemaphorePermit<'t>>,
}

impl Turn<'_> {
    /// Does the work. What it makes is where the caller wants it, and is never moved along with a
    /// future.
    pub(crate) fn work<T>(self, work: impl FnOnce() -> T) -> T {
        match self.aside {
            Some(_permit) => block_in_place(work),
            None => work(),
        }
    }
}

/// Lets the tasks of this thread that are ready now go first.
///
/// Requests that wait here are sent one directly after the other, and not between the proofs of
/// others. An upstream that would have gone to sleep between two of them is woken once, and waking
/// is the dearest part of a send. Without other tasks the wait costs a poll of the task, and no look
/// at the sockets.
pub(crate) async fn after_others() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        // A task that wakes itself goes to the end of its thread's queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether the tasks of this thread have done as much as they may before it looks at its sockets.
fn is_spent() -> bool {
    SPENT.get() >= BETWEEN_TURNS as u64
}

async fn take_turn(queue: &Semaphore) {
    // The semaphore is never closed, so the error cannot come. The permit is held across the pause:
    // a single task per thread goes on for each round of the thread.
    let _permit = queue.acquire().await;
    tokio::task::yield_now().await;
    SPENT.set(0);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, mpsc};
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    /// A runtime of a single worker thread, which can hand its other tasks over.
    fn one_worker() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    }

    /// The work waits for another task of the same worker thread, and the only worker thread is the
    /// thread that works.
    #[test]
    fn rx_26_a_large_body_is_read_while_everything_else_on_the_thread_goes_on() {
        let runtime = one_worker();
        let (done, others) = mpsc::channel();
        let task = runtime.spawn(async move {
            tokio::spawn(async move { done.send(7) });
            let work = move || others.recv_timeout(Duration::from_secs(60));
            Turns::new(1).aside(AT_A_STRETCH + 1).await.work(work)
        });
        assert_eq!(runtime.block_on(task).unwrap(), Ok(7));
    }

    #[test]
    fn requests_that_are_ready_together_are_sent_together() {
        let runtime = one_worker();
        let (steps, taken) = mpsc::channel();
        let together = runtime.spawn(async move {
            for _ in 0..3 {
                let steps = steps.clone();
                tokio::spawn(async move {
                    steps.send("proved").unwrap();
                    after_others().await;
                    steps.send("sent").unwrap();
                });
            }
        });
        runtime.block_on(together).unwrap();
        let order: Vec<_> = taken.iter().collect();
        assert_eq!(
            order,
            ["proved", "proved", "proved", "sent", "sent", "sent"]
        );
    }

    /// A runtime runs dozens of tasks before it looks at its sockets. The task that only yields
    /// goes on when it has looked.
    #[tokio::test]
    async fn rx_27_many_tasks_together_do_no_more_at_a_stretch_than_a_few() {
        let (turns, done) = (Arc::new(Turns::new(1)), Arc::new(AtomicU64::new(0)));
        let work = |is_body: bool| {
            let (turns, done) = (Arc::clone(&turns), Arc::clone(&done));
            async move {
                for _ in 0..5 {
                    let own = || done.fetch_add(1, Ordering::Relaxed);
                    if is_body {
                        turns.paced(async { own() }).await;
                        spend(BETWEEN_TURNS as u64);
                    } else {
                        turns.prove(BETWEEN_TURNS as u64).await;
                        own();
                    }
                }
            }
        };
        let tasks: Vec<_> = (0..100).map(|at| tokio::spawn(work(at % 2 == 0))).collect();
        let (mut before, mut most) = (0, 0);
        while before < 500 {
            tokio::task::yield_now().await;
            let now = done.load(Ordering::Relaxed);
            most = most.max(now - before);
            before = now;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(most <= 4, "{most}");
    }

    #[tokio::test]
    async fn rx_27_what_costs_nothing_waits_for_no_turn() {
        let turns = Turns::new(0);
        spend(u64::MAX);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(turns.prove(0)).poll(&mut context).is_ready());
    }

    #[tokio::test]
    async fn a_small_body_is_read_at_once_and_a_large_one_on_a_runtime_without_threads_too() {
        let turns = Turns::new(1);
        for bytes in [0, AT_A_STRETCH, AT_A_STRETCH + 1] {
            assert_eq!(turns.aside(bytes).await.work(|| bytes), bytes);
        }
    }
}
