//! The window of a process that may pass it on to another while requests are in flight: there is one
//! authority for claims at any time (contract: Upgrade).
//!
//! Claims are decided in memory until the shards are frozen. From then on each claim and each
//! settling asks the [`Authority`]. It waits until it is clear who has the window, and says so if it
//! is here again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::memory::Settled;
use super::passing::{Question, Reply};
use super::{
    Claimed, Evictions, Forget, Forgotten, MemoryWindow, ReplayWindow, Ticket, WindowError,
};
use crate::clock::Now;
use crate::verify::claim::Arrival;

/// The reason why an authority does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The window did not pass: it is here, and decides again.
    IsHere,
    /// It passed, and the process that has it does not answer.
    Failed,
}

/// An answer that is to come.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Reply, Unanswered>> + Send + 'a>>;

/// The process that has the window.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Asks. If the future is dropped, a claim that was granted meanwhile is given back.
    fn ask(&self, question: Question) -> Answering<'_>;

    /// Gives a claim back without waiting.
    ///
    /// # Errors
    /// The window is here.
    fn release(&self, ticket: Ticket) -> Result<(), Unanswered>;
}

/// A window in memory that may pass to another process.
#[derive(Debug)]
pub struct SharedWindow {
    here: MemoryWindow,
    // A plain lock: taken only for claims after the window has passed.
    authority: Mutex<Option<Arc<dyn Authority>>>,
}

impl SharedWindow {
    /// An empty window for at most `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self {
            here: MemoryWindow::new(capacity),
            authority: Mutex::new(None),
        }
    }

    /// The window of this process.
    pub fn here(&self) -> &MemoryWindow {
        &self.here
    }

    /// Names the process that is asked once the shards are frozen; `None`: they are frozen no more.
    pub fn set_authority(&self, authority: Option<Arc<dyn Authority>>) {
        *self
            .authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = authority;
    }

    fn authority(&self) -> Option<Arc<dyn Authority>> {
        let authority = self.authority.lock();
        authority.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does `here`, or asks the authority where the window is elsewhere.
    async fn decide<T>(
        &self,
        question: Question,
        here: impl Fn(&MemoryWindow) -> Result<T, WindowError> + Send,
        of_reply: impl Fn(Reply) -> Result<T, WindowError> + Send,
    ) -> Result<T, WindowError> {
        // The window may come back once for each upgrade that fails, and those are rare.
        for _ in 0..8 {
            match here(&self.here) {
                Err(WindowError::Elsewhere) => {}
                decided => return decided,
            }
            let Some(authority) = self.authority() else {
                continue;
            };
            match authority.ask(question).await {
                Ok(reply) => return of_reply(reply),
                Err(Unanswered::IsHere) => {}
                Err(Unanswered::Failed) => return Err(WindowError::Unavailable),
            }
        }
        Err(WindowError::Unavailable)
    }

    async fn settle(
        &self,
        question: Question,
        here: impl Fn(&MemoryWindow) -> Result<(), WindowError> + Send,
    ) -> Result<(), WindowError> {
        self.decide(question, here, |_| Ok(())).await
    }
}

impl ReplayWindow for SharedWindow {
    async fn claim(&self, arrival: &Arrival, now: Now) -> Result<Claimed, WindowError> {
        let here = |window: &MemoryWindow| {
            let (claimed, written) = window.try_claim(arrival, now)?;
            // The event of a copy that is answered as seen may have become done, or be kept for
            // longer, only now.
            let written = match claimed {
                Claimed::Granted(_) => None,
                Claimed::Denied(decision) => window.seen(decision, arrival, written),
            };
            Ok((claimed, written))
        };
        let (claimed, written) = match here(&self.here) {
            Err(WindowError::Elsewhere) => {
                let of_reply = |reply| match reply {
                    Reply::Claimed(claimed) => Ok((claimed?, None)),
                    Reply::Settled => Err(WindowError::Unavailable),
                };
                // In a box: few claims come here, and every exchange would have room for it.
                Box::pin(self.decide(Question::Claim(*arrival), here, of_reply)).await?
            }
            decided => decided?,
        };
        if let Some(written) = written {
            written.await;
        }
        Ok(claimed)
    }

    async fn commit(&self, ticket: Ticket, now: Now) -> Result<(), WindowError> {
        let here = |window: &MemoryWindow| window.settle(ticket, Settled::Done(now));
        let settled = match here(&self.here) {
            Err(WindowError::Elsewhere) => {
                Box::pin(self.decide(Question::Commit(ticket), here, |_| Ok(None))).await
            }
            settled => settled,
        };
        let written = match settled {
            Err(WindowError::Unavailable) => {
                let written = self.here.write_down_done(ticket, now);
                Some(written.ok_or(WindowError::Unavailable)?)
            }
            settled => settled?,
        };
        if let Some(written) = written {
            written.await;
        }
        Ok(())
    }

    async fn commit_stored(&self, ticket: Ticket, now: Now) -> Result<(), WindowError> {
        match self.here.settle(ticket, Settled::Stored(now)) {
            Err(WindowError::Elsewhere) => {}
            settled => return settled.map(drop),
        }
        let here = |window: &MemoryWindow| window.settle(ticket, Settled::Stored(now)).map(drop);
        Box::pin(self.settle(Question::Stored(ticket), here)).await
    }

    async fn release(&self, ticket: Ticket) -> Result<(), WindowError> {
        match self.here.settle(ticket, Settled::Released) {
            Err(WindowError::Elsewhere) => {}
            settled => return settled.map(drop),
        }
        let here = |window: &MemoryWindow| window.settle(ticket, Settled::Released).map(drop);
        Box::pin(self.settle(Question::Release(ticket), here)).await
    }

    fn abandon(&self, ticket: Ticket) {
        for _ in 0..8 {
            match self.here.settle(ticket, Settled::Released) {
                Err(WindowError::Elsewhere) => {}
                Ok(_) | Err(_) => return,
            }
            let given_back = self.authority().map(|authority| authority.release(ticket));
            if given_back == Some(Ok(())) {
                return;
            }
        }
    }

    /// Fails once the window has passed: the process that has it is the one to be told.
    async fn forget(&self, what: Forget) -> Result<Forgotten, WindowError> {
        let forgotten = self.here.forget(what).await;
        if let Some(written) = self.here.told() {
            written.await;
        }
        forgotten
    }

    fn entries(&self) -> usize {
        self.here.entries()
    }

    fn evictions(&self) -> Evictions {
        self.here.evictions()
    }
}
