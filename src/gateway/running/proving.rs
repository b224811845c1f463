//! The threads on which a verification runs that would hold up a worker thread (contract: Body).
//!
//! There are as many as worker threads, and no queue: work that a stranger can cause must not pile
//! up. While all are busy, a delivery that needs a thread is refused, and its sender tries again.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::verdict::{Code, Refusal};

/// The threads, each free or busy.
#[derive(Clone, Debug)]
pub(crate) struct ProvingThreads(Arc<Semaphore>);

const BUSY: Refusal = Refusal::because(
    Code::Overloaded,
    "every thread for large verifications is busy",
);

impl ProvingThreads {
    /// This many threads, all of them free. The runtime starts a thread when it is first needed.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Semaphore::new(threads)))
    }

    /// Runs `work` on a free thread. The thread finishes it even if this future is dropped.
    ///
    /// # Errors
    /// `overloaded` if no thread is free. Nothing runs then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(free) = Arc::clone(&self.0).try_acquire_owned() else {
            return Err(BUSY);
        };
        let done = spawn_blocking(move || {
            let _busy = free;
            work()
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime drops the work only when it ends itself.
                Err(_) => Err(Code::InternalError.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_beyond_the_threads_is_refused_and_a_free_thread_is_used_again() {
        let threads = ProvingThreads::new(2);
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let (threads, (end, ended)) = (threads.clone(), mpsc::channel::<()>());
                let task = tokio::spawn(async move {
                    threads.run(move || ended.recv().map(|()| number)).await
                });
                (end, task)
            })
            .collect();
        while threads.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = threads.run(|| ()).await.unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        for (expected, (end, task)) in waiting.into_iter().enumerate() {
            end.send(()).unwrap();
            assert_eq!(task.await.unwrap().unwrap(), Ok(expected));
        }
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_frees_the_thread() {
        let threads = ProvingThreads::new(1);
        let own = threads.clone();
        let task = tokio::spawn(async move {
            own.run(|| assert!(std::hint::black_box(false), "broken"))
                .await
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }
}
