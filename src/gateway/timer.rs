//! A timer that is set once and moved lazily, so that a deadline which is never reached costs a
//! request nothing.
//!
//! A client's connection keeps a timer for reads and another for writes; a connection to an
//! upstream keeps a single timer. Deadlines mostly move forward, and the runtime's timer is touched
//! only when the old deadline passes or a new deadline is earlier.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The deadline passed before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elapsed;

/// A timer that serves deadlines in turn.
#[derive(Debug, Default)]
pub(super) struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// Waits for `future` until `deadline`.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline passes first; the future is dropped then.
    pub(super) async fn bound<F: Future>(
        &mut self,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        self.race(|| deadline, future).await
    }

    /// Waits for `future` for at most `limit`, counted from the first poll that finds it
    /// unfinished: a future that is ready at once costs no look at the clock.
    ///
    /// # Errors
    /// [`Elapsed`], as in [`Self::bound`].
    pub(super) async fn within<F: Future>(
        &mut self,
        limit: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        self.race(|| Instant::now() + limit, future).await
    }

    async fn race<F: Future>(
        &mut self,
        end: impl Fn() -> Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut deadline = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let deadline = *deadline.get_or_insert_with(&end);
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            while sleep.as_mut().poll(cx).is_ready() {
                if sleep.deadline() >= deadline {
                    return Poll::Ready(Err(Elapsed));
                }
                sleep.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_whichever_way_it_moved() {
        let mut timer = LazyTimer::default();
        let start = Instant::now();
        for millis in [50, 500, 20] {
            let began = start.elapsed();
            let deadline = Instant::now() + Duration::from_millis(millis);
            assert_eq!(timer.bound(deadline, pending::<()>()).await, Err(Elapsed));
            let waited = start.elapsed().checked_sub(began).unwrap();
            assert!(
                waited >= Duration::from_millis(millis),
                "{waited:?} for {millis} ms"
            );
            assert!(
                waited <= Duration::from_millis(millis + 5),
                "{waited:?} for {millis} ms"
            );
        }
    }

    #[tokio::test]
    async fn a_ready_future_wins_over_a_passed_deadline() {
        assert_eq!(
            LazyTimer::default()
                .bound(Instant::now(), async { 7 })
                .await,
            Ok(7)
        );
    }
}
