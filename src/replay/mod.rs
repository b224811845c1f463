//! The replay window: a trait for stores of claims, and the guard that settles a claim (contract:
//! States, The window).
//!
//! [`crate::verify::claim`] decides. A store keeps entries, makes each claim atomic and forgets
//! entries in time.
//!
//! Entered by: stores of claims, and the promises that each of them makes. May import:
//! [`crate::clock`] and [`crate::verify::claim`]; never a runtime: the caller polls the futures.

pub mod journal;
pub mod leases;
pub mod memory;
pub mod passing;
pub mod shared;

use std::future::Future;
use std::sync::Arc;

use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Mark};

pub use leases::Leases;
pub use memory::MemoryWindow;
pub use shared::SharedWindow;

/// The store with which the gateway runs. Another store is chosen here and nowhere else.
pub type Window = SharedWindow;

/// The right to settle a claim, with the values by which a store finds its entry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The claimed key.
    pub key: ClaimKey,
    /// The place of the entry in its store.
    pub slot: u32,
    /// A number that later claims of the same key do not have.
    pub serial: u64,
}

/// The reason why a store cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Every entry that could make room is in flight: all entries of the window, or of a route with
    /// its own capacity. The answer is `overloaded` (contract: The window).
    #[error("every entry of the replay window is in flight")]
    Full,
    /// The store does not answer.
    #[error("the replay store does not answer")]
    Unavailable,
    /// Another process has the window. [`SharedWindow`] asks it, so nobody else sees this error.
    #[error("another process has the replay window")]
    Elsewhere,
}

/// The answer of a store to an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The claim is granted. The ticket settles it.
    Granted(Ticket),
    /// The claim is denied for this reason, which is never [`Decision::Claim`].
    Denied(Decision),
}

/// The delivery that an operator wants to be let through again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// Every entry with this route and event id ([`Arrival::event`]).
    Event(Mark),
    /// The entry claimed by this request ([`Arrival::request`]), and all others of the same event.
    Request(Mark),
}

/// The result of [`ReplayWindow::forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// The number of entries dropped, at least 1.
    Dropped(usize),
    /// The store has no entry of this delivery.
    Unknown,
    /// An entry of the delivery is in flight, so nothing was dropped.
    InFlight,
}

/// A store of claims. Its futures are `Send` and may be dropped at any point. If a future is
/// dropped that has granted a claim, the store must release that claim itself. (In memory this
/// cannot happen, because `claim` never waits.)
pub trait ReplayWindow: Send + Sync + 'static {
    /// Asks for a claim, atomically with respect to all other claims. Nothing is claimed before the
    /// first poll.
    fn claim(
        &self,
        arrival: &Arrival,
        now: Now,
    ) -> impl Future<Output = Result<Claimed, WindowError>> + Send;

    /// Settles a claim as [`Settlement::Done`]. Nothing happens if the ticket is settled already.
    fn commit(
        &self,
        ticket: Ticket,
        now: Now,
    ) -> impl Future<Output = Result<(), WindowError>> + Send;

    /// Settles a claim as [`Settlement::Stored`].
    fn commit_stored(
        &self,
        ticket: Ticket,
        now: Now,
    ) -> impl Future<Output = Result<(), WindowError>> + Send {
        self.commit(ticket, now)
    }

    /// Settles a claim as [`Settlement::Released`]. Nothing happens if the ticket is settled
    /// already.
    fn release(&self, ticket: Ticket) -> impl Future<Output = Result<(), WindowError>> + Send;

    /// Releases a claim without waiting, for a guard that is dropped unsettled.
    fn abandon(&self, ticket: Ticket);

    /// Drops every entry of a delivery.
    fn forget(&self, what: Forget) -> impl Future<Output = Result<Forgotten, WindowError>> + Send;

    /// The number of entries held now.
    fn entries(&self) -> usize;

    /// The numbers of entries evicted for room so far.
    fn evictions(&self) -> Evictions;
}

/// Entries evicted for room since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evictions {
    /// Entries outside their tolerance: freshness refuses a replay of their delivery.
    pub old: u64,
    /// Entries within their tolerance, and entries without a timestamp: a replay of their delivery
    /// would be let through.
    pub fresh: u64,
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The delivery was processed: from now on, a copy of it is a duplicate.
    Done,
    /// The same, and the caller has written it down with the delivery.
    Stored,
    /// The delivery was not processed: its next copy may be forwarded.
    Released,
}

/// The guard of a granted claim. [`Claim::settle`] settles it. If it is dropped unsettled, it
/// releases the claim.
#[derive(Debug)]
pub struct Claim<W: ReplayWindow = Window> {
    window: Arc<W>,
    ticket: Option<Ticket>,
}

impl<W: ReplayWindow> Claim<W> {
    /// Guards a ticket that `window` has granted.
    pub fn new(window: Arc<W>, ticket: Ticket) -> Self {
        Self {
            window,
            ticket: Some(ticket),
        }
    }

    /// Settles the claim. If the future is dropped before it is ready, the claim is released.
    pub async fn settle(mut self, settlement: Settlement, now: Now) -> Result<(), WindowError> {
        let Some(ticket) = self.ticket else {
            return Ok(());
        };
        let result = match settlement {
            Settlement::Done => self.window.commit(ticket, now).await,
            Settlement::Stored => self.window.commit_stored(ticket, now).await,
            Settlement::Released => self.window.release(ticket).await,
        };
        self.ticket = None;
        result
    }
}

impl<W: ReplayWindow> Drop for Claim<W> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.window.abandon(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::verify::claim::sample;

    const NOW: Now = Now {
        wall: UnixMillis(1_750_000_000_000),
        mono: Duration::ZERO,
    };

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the memory window never waits"),
        }
    }

    fn ask<W: ReplayWindow>(window: &W) -> Result<Claimed, WindowError> {
        ready(window.claim(&sample(1), NOW))
    }

    fn claim<W: ReplayWindow>(window: &Arc<W>) -> Claim<W> {
        match ask(&**window) {
            Ok(Claimed::Granted(ticket)) => Claim::new(Arc::clone(window), ticket),
            other => panic!("{other:?} instead of a claim"),
        }
    }

    #[test]
    fn rp_09_a_claim_dropped_unsettled_is_released() {
        let window = Arc::new(MemoryWindow::new(10));
        let held = claim(&window);
        assert_eq!(ask(&*window), Ok(Claimed::Denied(Decision::InFlight)));
        drop(held);
        assert_eq!(window.entries(), 0);
        ready(claim(&window).settle(Settlement::Done, NOW)).unwrap();
        assert_eq!(ask(&*window), Ok(Claimed::Denied(Decision::Replay)));
    }

    #[test]
    fn rp_09_a_panic_while_holding_a_claim_releases_it() {
        let window = Arc::new(MemoryWindow::new(10));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _held = claim(&window);
            panic!("the exchange breaks (expected by this test)");
        }));
        assert!(caught.is_err());
        ready(claim(&window).settle(Settlement::Released, NOW)).unwrap();
        assert_eq!(window.entries(), 0);
    }

    #[test]
    fn a_settling_dropped_before_its_first_poll_releases() {
        let window = Arc::new(MemoryWindow::new(10));
        drop(claim(&window).settle(Settlement::Done, NOW));
        drop(claim(&window).settle(Settlement::Released, NOW));
        assert_eq!(window.entries(), 0);
    }

    /// A store that never finishes a settling.
    struct Stuck(MemoryWindow);

    impl ReplayWindow for Stuck {
        async fn claim(&self, arrival: &Arrival, now: Now) -> Result<Claimed, WindowError> {
            self.0.claim(arrival, now).await
        }

        async fn commit(&self, _ticket: Ticket, _now: Now) -> Result<(), WindowError> {
            std::future::pending().await
        }

        async fn release(&self, _ticket: Ticket) -> Result<(), WindowError> {
            std::future::pending().await
        }

        fn abandon(&self, ticket: Ticket) {
            self.0.abandon(ticket);
        }

        async fn forget(&self, what: Forget) -> Result<Forgotten, WindowError> {
            self.0.forget(what).await
        }

        fn entries(&self) -> usize {
            self.0.entries()
        }

        fn evictions(&self) -> Evictions {
            self.0.evictions()
        }
    }

    #[test]
    fn a_settling_dropped_half_way_releases() {
        let window = Arc::new(Stuck(MemoryWindow::new(10)));
        {
            let mut commit = pin!(claim(&window).settle(Settlement::Done, NOW));
            assert!(
                commit
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
            assert_eq!(window.entries(), 1);
        }
        assert_eq!(window.entries(), 0);
        {
            let mut release = pin!(claim(&window).settle(Settlement::Released, NOW));
            assert!(
                release
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        assert_eq!(window.entries(), 0);
    }
}
