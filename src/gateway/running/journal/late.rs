//! Answers of the store for which a request waits no longer (contract: State).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::lock;
use crate::store::Pending;

/// Answers of the store that did not come in time.
#[derive(Debug)]
pub(super) struct Late {
    timeout: Duration,
    /// Whether there are `answers`. Changed under their lock; relaxed, since whoever reads it without
    /// that only asks whether it is so by now.
    is_any: AtomicBool,
    // A plain lock: it is taken while answers are late.
    answers: Mutex<Vec<Pending<()>>>,
}

impl Late {
    /// None is late. A request waits at most `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            is_any: AtomicBool::new(false),
            answers: Mutex::default(),
        }
    }

    /// Whether an answer is late.
    pub(super) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// Waits for an answer, as long as a request may wait.
    pub(super) async fn wait(&self, mut pending: Pending<()>) {
        if self.is_any() {
            // This one comes after those that are late.
            return;
        }
        if timeout(self.timeout, &mut pending).await.is_err() {
            let mut answers = lock(&self.answers);
            answers.push(pending);
            let is_first = !self.is_any.swap(true, Ordering::Relaxed);
            drop(answers);
            if is_first {
                log::error!(
                    "state: window.db does not answer within {:?}; it counts as not writable until it does",
                    self.timeout
                );
            }
        }
    }

    /// Looks for answers that have come.
    pub(super) fn look(&self) {
        // An error is told by the writer, and so is its end.
        if self.last_came() == Some(true) {
            log::info!("state: window.db answers again");
        }
    }

    /// Whether the last of the late answers has come by now, and says that something was written.
    /// `None`: it has not come, or none was late.
    fn last_came(&self) -> Option<bool> {
        if !self.is_any() {
            return None;
        }
        let mut answers = lock(&self.answers);
        let mut is_written = false;
        answers.retain_mut(|pending| match pending.try_recv() {
            Ok(None) => true,
            answered => {
                is_written = matches!(answered, Ok(Some(Ok(()))));
                false
            }
        });
        if !answers.is_empty() {
            return None;
        }
        self.is_any.store(false, Ordering::Relaxed);
        Some(is_written)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_channel::oneshot;

    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_late_answer_that_is_an_error_is_no_sign_that_the_file_can_be_written() {
        let unavailable = || Err(StoreError::Unavailable("an error of the disk".into()));
        for (answers, expected) in [
            (vec![Ok(()), Ok(())], Some(true)),
            (vec![unavailable(), Ok(())], Some(true)),
            (vec![Ok(()), unavailable()], Some(false)),
        ] {
            let (senders, pending): (Vec<_>, Vec<_>) =
                answers.iter().map(|_| oneshot::channel()).unzip();
            let late = Late {
                timeout: Duration::from_secs(2),
                is_any: AtomicBool::new(true),
                answers: Mutex::new(pending),
            };
            assert_eq!(late.last_came(), None);
            for (sender, answer) in senders.into_iter().zip(answers) {
                sender.send(answer).unwrap();
            }
            assert_eq!(late.last_came(), expected);
            assert_eq!(late.last_came(), None, "it is told once");
        }
        let (sender, pending) = oneshot::channel();
        let late = Late {
            timeout: Duration::from_secs(2),
            is_any: AtomicBool::new(true),
            answers: Mutex::new(vec![pending]),
        };
        drop(sender);
        assert_eq!(late.last_came(), Some(false), "the writer has ended");
    }

    /// It was said that an answer is late before that answer was there to be looked at. A look between
    /// the two found none, and a file that hung counted as writable.
    #[tokio::test]
    async fn a_look_at_any_moment_leaves_the_file_unwritable_until_the_late_answer_comes() {
        let late = Arc::new(Late::new(Duration::ZERO));
        let is_over = Arc::new(AtomicBool::new(false));
        let looking = std::thread::spawn({
            let (late, is_over) = (Arc::clone(&late), Arc::clone(&is_over));
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    late.look();
                }
            }
        });
        let mut lost = 0;
        for _ in 0..1000 {
            let (sender, pending) = oneshot::channel();
            late.wait(pending).await;
            lost += u32::from(!late.is_any());
            sender.send(Ok(())).unwrap();
            while late.is_any() {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
        assert_eq!(lost, 0);
    }
}
