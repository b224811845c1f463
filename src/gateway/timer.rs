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
        self.until(|| deadline, future).await
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
        self.until(|| Instant::now() + limit, future).await
    }

    /// Waits for `future` until the deadline that `end` gives, which is called once, at the first
    /// poll that finds the future unfinished.
    ///
    /// # Errors
    /// [`Elapsed`], as in [`Self::bound`].
    pub(super) async fn until<F: Future>(
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

    use proptest::prelude::*;
    use tokio::task::consume_budget;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// A wait as the timer serves it: after `pause` ms, with `limit` ms, for something that comes
    /// after `comes` ms, by a task of its own or not.
    type Wait = (u64, u64, u64, bool);

    /// The outcome of each wait, and the milliseconds that it took.
    async fn outcomes(waits: Vec<Wait>) -> Vec<(bool, u128)> {
        let mut timer = LazyTimer::default();
        let mut outcomes = Vec::new();
        for (pause, limit, comes, is_elsewhere) in waits {
            sleep(Duration::from_millis(pause)).await;
            let wait = async move {
                let start = Instant::now();
                let (deadline, future) = (
                    start + Duration::from_millis(limit),
                    sleep(Duration::from_millis(comes)),
                );
                let outcome = timer.bound(deadline, future).await;
                (timer, (outcome.is_ok(), start.elapsed().as_millis()))
            };
            let outcome;
            (timer, outcome) = if is_elsewhere {
                tokio::spawn(wait).await.unwrap()
            } else {
                wait.await
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    proptest! {
        #[test]
        fn each_wait_ends_as_with_a_timer_of_its_own(
            waits in prop::collection::vec((0..40u64, 1..60u64, 1..60u64, any::<bool>()), 1..12)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            // What is ready at the deadline itself may win or lose.
            let waits: Vec<Wait> = waits.into_iter().filter(|wait| wait.1 != wait.2).collect();
            let found = runtime.block_on(outcomes(waits.clone()));
            for ((_, limit, comes, _), (is_ready, took)) in waits.into_iter().zip(found) {
                prop_assert_eq!(is_ready, comes < limit);
                let expected = u128::from(comes.min(limit));
                prop_assert!((expected..=expected + 1).contains(&took), "{took} of {expected}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_for_a_task_that_has_used_up_its_share() {
        let mut timer = LazyTimer::default();
        let second = Duration::from_secs(1);
        let mut wait = pin!(timer.within(second, pending::<()>()));
        let mut has_run = false;
        let wait = poll_fn(|cx| {
            while !has_run && pin!(consume_budget()).poll(cx).is_ready() {}
            has_run = true;
            wait.as_mut().poll(cx)
        });
        assert_eq!(timeout(2 * second, wait).await, Ok(Err(Elapsed)));
    }

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
