//! The window of a process that may pass it on to another while requests are in flight: there is one
//! authority for claims at any time (contract: Upgrade).
//!
//! Claims are decided in memory until the shards are frozen. From then on each claim and each
//! settling asks the [`Authority`]. It waits until it is clear who has the window, and says so if it
//! is here again.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::journal::Written;
use super::memory::Settled;
use super::passing::{Question, Reply};
use super::{
    Claimed, Evictions, Forget, Forgotten, MemoryWindow, ReplayWindow, Ticket, WindowError,
};
use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey};

/// The reason why an authority does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The window did not pass: it is here, and decides again.
    IsHere,
    /// The process that has it has not answered in time. It may do what it was asked for later.
    Late,
    /// It passed, and the process that has it cannot be asked any more.
    Over,
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

    /// Asks nothing more, and returns what was not answered and nobody waits for.
    fn end(&self) -> Vec<Question>;
}

/// A window in memory that may pass to another process.
#[derive(Debug)]
pub struct SharedWindow {
    here: MemoryWindow,
    // A plain lock: taken only for claims after the window has passed.
    authority: Mutex<Option<Arc<dyn Authority>>>,
    /// What the authority has granted and nobody has settled, by key and serial: the entries are in its
    /// window alone. As many at most as this process has claimed since the window passed.
    // A plain lock, likewise.
    granted: Mutex<HashMap<(ClaimKey, u64), Arrival>>,
}

impl SharedWindow {
    /// An empty window for at most `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self {
            here: MemoryWindow::new(capacity),
            authority: Mutex::new(None),
            granted: Mutex::default(),
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

    fn granted(&self) -> MutexGuard<'_, HashMap<(ClaimKey, u64), Arrival>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delivery whose claim the authority has granted, which is settled now.
    fn take_granted(&self, ticket: Ticket) -> Option<Arrival> {
        self.granted().remove(&(ticket.key, ticket.serial))
    }

    /// Asks the other process nothing more: it cannot be asked, or this one ends. What it did not answer is
    /// written down.
    pub fn ask_no_more(&self, now: Now) {
        let left = self.authority().map(|authority| authority.end());
        for question in left.into_iter().flatten() {
            self.settle_here(question, now);
        }
    }

    /// Does what a question asks for, as far as it can be done here. Nobody waits for its answer any more,
    /// and nobody else is left to be asked.
    pub fn settle_here(&self, question: Question, now: Now) {
        let (ticket, how) = match question {
            Question::Claim(_) => return,
            Question::Commit(ticket) => (ticket, Settled::Done(now)),
            Question::Stored(ticket) => (ticket, Settled::Stored(now)),
            Question::Release(ticket) => (ticket, Settled::Released),
        };
        let settled = self.here.settle(ticket, how);
        if let (Err(WindowError::Elsewhere), Settled::Done(_)) = (settled, how) {
            drop(self.write_down_done(ticket, now));
        }
    }

    /// Writes a claim down as done, as [`MemoryWindow::write_down_done`] does; also one that the authority
    /// has granted.
    fn write_down_done(&self, ticket: Ticket, now: Now) -> Option<Written> {
        match self.take_granted(ticket) {
            Some(arrival) => self.here.write_down_arrival(arrival, now),
            None => self.here.write_down_done(ticket, now),
        }
    }

    /// Does `here`, or asks the authority where the window is elsewhere.
    ///
    /// # Errors
    /// [`Unanswered`] by the authority.
    async fn decide<T>(
        &self,
        question: Question,
        here: impl Fn(&MemoryWindow) -> Result<T, WindowError> + Send,
        of_reply: impl Fn(Reply) -> Result<T, WindowError> + Send,
    ) -> Result<Result<T, WindowError>, Unanswered> {
        // The window may come back once for each upgrade that fails, and those are rare.
        for _ in 0..8 {
            match here(&self.here) {
                Err(WindowError::Elsewhere) => {}
                decided => return Ok(decided),
            }
            let Some(authority) = self.authority() else {
                continue;
            };
            match authority.ask(question).await {
                Ok(reply) => return Ok(of_reply(reply)),
                Err(Unanswered::IsHere) => {}
                Err(unanswered) => return Err(unanswered),
            }
        }
        Ok(Err(WindowError::Unavailable))
    }

    /// Settles a claim where the window is elsewhere.
    async fn settle(
        &self,
        question: Question,
        ticket: Ticket,
        how: Settled,
    ) -> Result<(), WindowError> {
        let here = |window: &MemoryWindow| window.settle(ticket, how).map(drop);
        let settled = self.decide(question, here, |_| Ok(())).await;
        self.take_granted(ticket);
        settled.unwrap_or(Err(WindowError::Unavailable))
    }
}

impl ReplayWindow for SharedWindow {
    async fn claim(&self, arrival: &Arrival, now: Now) -> Result<Claimed, WindowError> {
        let here = |window: &MemoryWindow| window.answer(arrival, now);
        let (claimed, written) = match here(&self.here) {
            Err(WindowError::Elsewhere) => {
                let of_reply = |reply| match reply {
                    Reply::Claimed(claimed) => {
                        let claimed = claimed?;
                        if let Claimed::Granted(ticket) = claimed {
                            let name = (ticket.key, ticket.serial);
                            self.granted().insert(name, *arrival);
                        }
                        Ok((claimed, None))
                    }
                    Reply::Settled => Err(WindowError::Unavailable),
                };
                // In a box: few claims come here, and every exchange would have room for it.
                let decided = Box::pin(self.decide(Question::Claim(*arrival), here, of_reply));
                decided.await.unwrap_or(Err(WindowError::Unavailable))?
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
        let written = match here(&self.here) {
            Err(WindowError::Elsewhere) => {
                match Box::pin(self.decide(Question::Commit(ticket), here, |_| Ok(None))).await {
                    Ok(settled) => {
                        self.take_granted(ticket);
                        settled?
                    }
                    Err(Unanswered::Over) => {
                        let written = self.write_down_done(ticket, now);
                        Some(written.ok_or(WindowError::Unavailable)?)
                    }
                    // The authority is asked all the same, or `settle_here` follows.
                    Err(Unanswered::Late | Unanswered::IsHere) => {
                        return Err(WindowError::Unavailable);
                    }
                }
            }
            settled => settled?,
        };
        if let Some(written) = written {
            written.await;
        }
        Ok(())
    }

    async fn commit_stored(&self, ticket: Ticket, now: Now) -> Result<(), WindowError> {
        let how = Settled::Stored(now);
        match self.here.settle(ticket, how) {
            Err(WindowError::Elsewhere) => {}
            settled => return settled.map(drop),
        }
        Box::pin(self.settle(Question::Stored(ticket), ticket, how)).await
    }

    async fn release(&self, ticket: Ticket) -> Result<(), WindowError> {
        match self.here.settle(ticket, Settled::Released) {
            Err(WindowError::Elsewhere) => {}
            settled => return settled.map(drop),
        }
        Box::pin(self.settle(Question::Release(ticket), ticket, Settled::Released)).await
    }

    fn abandon(&self, ticket: Ticket) {
        for _ in 0..8 {
            match self.here.settle(ticket, Settled::Released) {
                Err(WindowError::Elsewhere) => {}
                Ok(_) | Err(_) => return,
            }
            // Whoever waited for a commit may be gone before its answer, and it may have to be written down.
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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::clock::{Clock, UnixMillis};
    use crate::replay::journal::{Journal, Notes};
    use crate::replay::passing::Change;
    use crate::verify::claim::{Decision, sample};

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing waits here"),
        }
    }

    /// Grants every claim, with a ticket of another window, and settles none, for this reason.
    #[derive(Debug)]
    struct Granting(Unanswered);

    impl Authority for Granting {
        fn ask(&self, question: Question) -> Answering<'_> {
            let answer = match question {
                Question::Claim(arrival) => {
                    let (key, slot, serial) = (arrival.key, 77, 1000);
                    let ticket = Ticket { key, slot, serial };
                    Ok(Reply::Claimed(Ok(Claimed::Granted(ticket))))
                }
                _ => Err(self.0),
            };
            Box::pin(std::future::ready(answer))
        }

        fn release(&self, _: Ticket) -> Result<(), Unanswered> {
            Ok(())
        }

        fn end(&self) -> Vec<Question> {
            Vec::new()
        }
    }

    /// A window with the claim 1, which then has passed to an authority.
    struct Setting {
        window: SharedWindow,
        notes: Arc<Notes>,
        clock: Clock,
        own: Ticket,
    }

    impl Setting {
        fn new(unanswered: Unanswered) -> Self {
            let (window, notes) = (SharedWindow::new(10), Arc::<Notes>::default());
            let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
            window
                .here()
                .set_journal(Arc::<Notes>::clone(&notes) as Arc<dyn Journal>);
            let own = claimed(&window, 1, &clock);
            window.here().freeze(0);
            window.set_authority(Some(Arc::new(Granting(unanswered))));
            Self {
                window,
                notes,
                clock,
                own,
            }
        }

        /// What the next process finds of the claim 1 and of the claim 2.
        fn found(&self) -> [Option<Decision>; 2] {
            let next = MemoryWindow::new(10);
            for (_, change) in &*self.notes.0.lock().unwrap() {
                next.take_over(change);
            }
            [1, 2].map(|id| match next.try_claim(&sample(id), self.clock.now()) {
                Ok((Claimed::Denied(decision), _)) => Some(decision),
                _ => None,
            })
        }
    }

    #[track_caller]
    fn claimed(window: &SharedWindow, id: u128, clock: &Clock) -> Ticket {
        match ready(window.claim(&sample(id), clock.now())) {
            Ok(Claimed::Granted(ticket)) => ticket,
            other => panic!("{other:?} instead of a claim"),
        }
    }

    /// Of a claim that the other process had granted nothing was written, because its entry was there alone.
    #[test]
    fn rx_36_where_the_authority_is_gone_what_it_granted_is_written_down_as_done_too() {
        let it = Setting::new(Unanswered::Over);
        let (seen, now) = (Some(Decision::Replay), it.clock.now());
        let granted = claimed(&it.window, 2, &it.clock);
        assert_eq!(it.found(), [None, None]);
        assert_eq!(ready(it.window.commit(granted, now)), Ok(()));
        assert_eq!(it.found(), [None, seen]);
        assert_eq!(ready(it.window.commit(it.own, now)), Ok(()));
        assert_eq!(it.found(), [seen, seen]);
        let kept = &it.notes.0.lock().unwrap()[0].1;
        assert!(matches!(kept, Change::Done(done, _) if **done == sample(2)));
        assert!(it.window.granted().is_empty());
    }

    #[test]
    fn an_authority_that_is_slow_is_the_one_to_write() {
        let it = Setting::new(Unanswered::Late);
        let granted = claimed(&it.window, 2, &it.clock);
        for ticket in [it.own, granted] {
            let settled = ready(it.window.commit(ticket, it.clock.now()));
            assert_eq!(settled, Err(WindowError::Unavailable));
        }
        assert_eq!(it.found(), [None, None]);
        // It was never heard again.
        for ticket in [it.own, granted] {
            it.window
                .settle_here(Question::Commit(ticket), it.clock.now());
        }
        assert_eq!(it.found(), [Some(Decision::Replay); 2]);
    }

    #[test]
    fn what_was_granted_elsewhere_is_forgotten_once_it_is_settled() {
        let it = Setting::new(Unanswered::Late);
        let settle: [&dyn Fn(Ticket); 2] = [
            &|ticket| assert!(ready(it.window.commit_stored(ticket, it.clock.now())).is_err()),
            &|ticket| assert!(ready(it.window.release(ticket)).is_err()),
        ];
        for settle in settle {
            let granted = claimed(&it.window, 2, &it.clock);
            assert_eq!(it.window.granted().len(), 1);
            settle(granted);
            assert!(it.window.granted().is_empty());
        }
    }

    /// Whoever waits for a commit may be gone before its answer, as where the grace of a process is over.
    #[test]
    fn what_was_granted_elsewhere_is_written_down_also_where_its_commit_was_cut_short() {
        let it = Setting::new(Unanswered::Late);
        let granted = claimed(&it.window, 2, &it.clock);
        it.window.abandon(granted);
        it.window
            .settle_here(Question::Commit(granted), it.clock.now());
        assert_eq!(it.found(), [None, Some(Decision::Replay)]);
    }
}
