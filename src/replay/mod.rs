//! The replay window: a small trait over a store of claims, and the guard that settles one (SPEC 4).
//!
//! Decisions come from [`crate::verify::claim`]; a store keeps entries, makes a claim atomic and forgets in time.

pub mod memory;

use std::future::Future;
use std::sync::Arc;

use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint};

pub use memory::MemoryWindow;

/// The store of claims that the gateway runs with. Another store takes effect here, and nowhere else.
pub type Window = MemoryWindow;

/// The right to settle one claim. Carries what a store needs to find its entry again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The claimed key.
    pub key: ClaimKey,
    /// Tells this claim from a later one under the same key.
    pub serial: u64,
}

/// Why a store cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Every entry that could make room, of the window or of a route with its own capacity, is in flight (SPEC 4:
    /// `overloaded`).
    #[error("every entry of the replay window is in flight")]
    Full,
    /// The store does not answer.
    #[error("the replay store does not answer")]
    Unavailable,
}

/// A store's answer to an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The claim is ours.
    Granted(Ticket),
    /// It is not; never [`Decision::Claim`].
    Denied(Decision),
}

/// Which delivery an operator wants to be let through again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// Every entry with this route and event id ([`Arrival::event`]).
    Event(Fingerprint),
    /// The entry claimed by this request ([`Arrival::request`]), and all others of the same event.
    Request(Fingerprint),
}

/// What `forget` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// So many entries were dropped.
    Dropped(usize),
    /// Nothing of that name.
    Unknown,
    /// One of them is in flight; nothing was dropped.
    InFlight,
}

/// A store of claims. Futures are `Send` and may be dropped at any point: a claim that was granted inside a dropped
/// future must end by itself (memory: it cannot happen, `claim` never waits).
pub trait ReplayWindow: Send + Sync + 'static {
    /// Asks for the claim of `arrival`, atomically against all others. Nothing is claimed before the first poll.
    fn claim(
        &self,
        arrival: Arrival,
        now: Now,
    ) -> impl Future<Output = Result<Claimed, WindowError>> + Send;

    /// Settles as [`Settlement::Done`]. A ticket that was settled before changes nothing.
    fn commit(
        &self,
        ticket: Ticket,
        now: Now,
    ) -> impl Future<Output = Result<(), WindowError>> + Send;

    /// Settles as [`Settlement::Released`]. A ticket that was settled before changes nothing.
    fn release(&self, ticket: Ticket) -> impl Future<Output = Result<(), WindowError>> + Send;

    /// Releases without waiting, for a guard that is dropped unsettled.
    fn abandon(&self, ticket: Ticket);

    /// Drops every entry of one delivery.
    fn forget(&self, what: Forget) -> impl Future<Output = Result<Forgotten, WindowError>> + Send;

    /// How many entries are held now.
    fn entries(&self) -> usize;

    /// How many entries were evicted for room so far, those still within tolerance counted apart.
    fn evictions(&self) -> Evictions;
}

/// Entries evicted for room since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evictions {
    /// Past their tolerance, or of a scheme without one: harmless or unknowable.
    pub old: u64,
    /// Still within their route's tolerance: a replay of them would be let through.
    pub fresh: u64,
}

/// What a claim is settled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The delivery is processed: a copy of it is a duplicate from now on.
    Done,
    /// The delivery is not processed: its next copy may be forwarded.
    Released,
}

/// A granted claim, to be settled by [`Claim::settle`]. A claim that is dropped unsettled is released.
#[derive(Debug)]
pub struct Claim<W: ReplayWindow = Window> {
    window: Arc<W>,
    ticket: Option<Ticket>,
}

impl<W: ReplayWindow> Claim<W> {
    /// Guards a ticket that `window` has just granted.
    pub fn new(window: Arc<W>, ticket: Ticket) -> Self {
        Self {
            window,
            ticket: Some(ticket),
        }
    }

    /// Settles the claim. Dropped half way, it counts as released.
    pub async fn settle(mut self, settlement: Settlement, now: Now) -> Result<(), WindowError> {
        let Some(ticket) = self.ticket else {
            return Ok(());
        };
        let result = match settlement {
            Settlement::Done => self.window.commit(ticket, now).await,
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
        let arrival = Arrival {
            key: ClaimKey(1),
            body: Fingerprint(2),
            signed_at: None,
            route: Fingerprint(3),
            event: None,
            request: Fingerprint(4),
            ttl: Duration::from_secs(60),
            fresh_until: None,
            route_capacity: None,
        };
        ready(window.claim(arrival, NOW))
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
        assert_eq!(ask(&*window), Ok(Claimed::Denied(Decision::Redelivery)));
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

    /// A store whose settling never comes to an end.
    struct Stuck(MemoryWindow);

    impl ReplayWindow for Stuck {
        async fn claim(&self, arrival: Arrival, now: Now) -> Result<Claimed, WindowError> {
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
