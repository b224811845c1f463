//! The claims that another process has in this window, each under a lease: a process that is stopped
//! must not keep its events from being delivered for ever (contract: Upgrade).
//!
//! A claim whose lease is over is released, so a copy of its delivery may be forwarded. If the process
//! goes on after all and says that the claim is done, that still counts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::journal::Written;
use super::memory::Settled;
use super::{MemoryWindow, Ticket};
use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey};

/// What names a claim in any process: its key and its serial.
type Name = (ClaimKey, u64);

/// The claims of another process.
#[derive(Debug)]
pub struct Leases {
    time: Duration,
    /// The monotonic time at which the process was heard last.
    heard: Duration,
    held: HashSet<Name>,
    /// The claims in the order in which their leases end, the settled ones included, each with the
    /// monotonic time of that end.
    ends: VecDeque<(Duration, Name)>,
    /// The deliveries whose claims were released because their leases were over.
    over: HashMap<Name, Arrival>,
}

impl Leases {
    /// Claims that begin their leases now. Each lease lasts for `time`.
    pub fn new(claims: impl IntoIterator<Item = Name>, time: Duration, now: Now) -> Self {
        let mut leases = Self {
            time,
            heard: now.mono,
            held: HashSet::new(),
            ends: VecDeque::new(),
            over: HashMap::new(),
        };
        for name in claims {
            leases.begin(name, now);
        }
        leases
    }

    /// The process was heard, so it is not stopped: no lease ends before it was silent for as long as a lease
    /// lasts.
    pub fn hear(&mut self, now: Now) {
        self.heard = now.mono;
    }

    /// A claim was granted to the process.
    pub fn grant(&mut self, ticket: Ticket, now: Now) {
        self.begin((ticket.key, ticket.serial), now);
    }

    fn begin(&mut self, name: Name, now: Now) {
        let end = now.mono.saturating_add(self.time);
        self.held.insert(name);
        self.ends.push_back((end, name));
    }

    /// The process says that a claim is done; `is_stored`: it has written that down with the delivery.
    /// Nothing happens if the claim is none of its own, or settled already. What is to be written of it is
    /// the answer.
    pub fn commit(
        &mut self,
        ticket: Ticket,
        is_stored: bool,
        window: &MemoryWindow,
        now: Now,
    ) -> Option<Written> {
        let name = (ticket.key, ticket.serial);
        if self.held.remove(&name) {
            let done = if is_stored {
                Settled::Stored(now)
            } else {
                Settled::Done(now)
            };
            window.settle_named(name, done)
        } else {
            let arrival = self.over.remove(&name)?;
            window.note_done(&arrival, now)
        }
    }

    /// The process gives a claim back. Nothing happens if the claim is none of its own, or settled
    /// already.
    pub fn release(&mut self, ticket: Ticket, window: &MemoryWindow) {
        let name = (ticket.key, ticket.serial);
        if self.held.remove(&name) {
            drop(window.settle_named(name, Settled::Released));
        }
        self.over.remove(&name);
    }

    /// Releases the claims whose leases are over, and returns their number.
    pub fn end(&mut self, window: &MemoryWindow, now: Now) -> usize {
        let mut ended = 0;
        let earliest = self.heard.saturating_add(self.time);
        while let Some((end, name)) = self.ends.front().copied()
            && end.max(earliest) <= now.mono
        {
            self.ends.pop_front();
            if !self.held.remove(&name) {
                continue;
            }
            if let Some(arrival) = window.let_go(name) {
                self.over.insert(name, arrival);
                ended += 1;
            }
        }
        ended
    }

    /// Releases every claim: the process has ended. Returns the number of claims that it has not
    /// settled.
    pub fn finish(&mut self, window: &MemoryWindow) -> usize {
        let left = self.held.len() + self.over.len();
        for name in self.held.drain() {
            drop(window.settle_named(name, Settled::Released));
        }
        self.ends.clear();
        self.over.clear();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixMillis};
    use crate::replay::{Claimed, ReplayWindow as _, WindowError};
    use crate::verify::claim::{Decision, Fingerprint, Mark};

    const LEASE: Duration = Duration::from_secs(15);

    /// A window, the claims of another process in it, and their clock.
    struct Setting {
        window: MemoryWindow,
        leases: Leases,
        clock: Clock,
    }

    fn arrival(id: u128) -> Arrival {
        Arrival {
            key: ClaimKey(id),
            body: Mark(2),
            path: None,
            variant: Mark(0),
            variants: 1,
            repeats: None,
            signed_at: Some(UnixMillis(1_750_000_000_000)),
            route: Fingerprint(3),
            event: None,
            request: Mark(4),
            ttl: Duration::from_secs(3600),
            fresh_until: None,
            route_capacity: None,
            share: 1,
        }
    }

    impl Setting {
        /// Another process has claimed the event 1.
        fn new() -> (Self, Ticket) {
            let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
            let mut it = Self {
                window: MemoryWindow::new(10),
                leases: Leases::new([], LEASE, clock.now()),
                clock,
            };
            let ticket = it.granted(1);
            it.leases.grant(ticket, it.clock.now());
            (it, ticket)
        }

        fn claim(&self, id: u128) -> Result<Claimed, WindowError> {
            let decided = self.window.try_claim(&arrival(id), self.clock.now());
            decided.map(|(claimed, _)| claimed)
        }

        fn granted(&self, id: u128) -> Ticket {
            match self.claim(id) {
                Ok(Claimed::Granted(ticket)) => ticket,
                other => panic!("{other:?} instead of a claim"),
            }
        }

        #[track_caller]
        fn expect_denied(&self, decision: Decision) {
            assert_eq!(self.claim(1), Ok(Claimed::Denied(decision)));
        }

        /// Lets the leases of all claims end.
        fn end(&mut self) -> usize {
            self.clock.step(0, LEASE);
            self.leases.end(&self.window, self.clock.now())
        }

        fn commit(&mut self, ticket: Ticket) {
            let now = self.clock.now();
            drop(self.leases.commit(ticket, false, &self.window, now));
        }

        fn settle(&self, ticket: Ticket, is_done: bool) {
            let how = if is_done {
                Settled::Done(self.clock.now())
            } else {
                Settled::Released
            };
            drop(self.window.settle(ticket, how).unwrap());
        }
    }

    #[test]
    fn rx_35_a_claim_is_held_until_its_lease_is_over_and_a_copy_is_let_in_then() {
        let (mut it, ticket) = Setting::new();
        it.clock.step(0, LEASE.mul_f32(0.9));
        let later = it.granted(2);
        it.leases.grant(later, it.clock.now());
        assert_eq!(it.leases.end(&it.window, it.clock.now()), 0);
        it.expect_denied(Decision::InFlight);
        it.clock.step(0, LEASE.mul_f32(0.1));
        assert_eq!(it.leases.end(&it.window, it.clock.now()), 1);
        assert_eq!(
            it.claim(2),
            Ok(Claimed::Denied(Decision::InFlight)),
            "its lease began later"
        );
        it.granted(1);
        // Its release means nothing for the claim of the copy.
        it.leases.release(ticket, &it.window);
        it.expect_denied(Decision::InFlight);
        assert_eq!(it.leases.finish(&it.window), 1);
        assert!(matches!(it.claim(2), Ok(Claimed::Granted(_))));
    }

    #[test]
    fn rx_35_a_process_that_is_heard_keeps_its_claims_however_long_they_take() {
        let (mut it, _) = Setting::new();
        for _ in 0..5 {
            it.clock.step(0, LEASE.mul_f32(0.6));
            it.leases.hear(it.clock.now());
            assert_eq!(it.leases.end(&it.window, it.clock.now()), 0);
        }
        it.expect_denied(Decision::InFlight);
        assert_eq!(it.end(), 1, "it was silent for as long as a lease lasts");
    }

    #[test]
    fn a_claim_that_is_settled_in_time_has_no_lease_any_more() {
        let (mut it, ticket) = Setting::new();
        it.commit(ticket);
        assert_eq!(it.end(), 0);
        it.expect_denied(Decision::Replay);
        assert_eq!(it.leases.finish(&it.window), 0);
        it.expect_denied(Decision::Replay);
    }

    #[test]
    fn rx_35_what_is_done_after_its_lease_counts_as_done() {
        // What became of a copy meanwhile: none came, it is under way, it failed, it is done.
        type Meanwhile = fn(&Setting) -> Option<(Ticket, Option<bool>)>;
        let rows: [(&str, Meanwhile); 5] = [
            ("no copy", |_| None),
            ("under way, and fails later", |it| {
                Some((it.granted(1), Some(false)))
            }),
            ("under way, and done later", |it| {
                Some((it.granted(1), Some(true)))
            }),
            ("failed", |it| {
                it.settle(it.granted(1), false);
                None
            }),
            ("done", |it| {
                it.settle(it.granted(1), true);
                None
            }),
        ];
        for (row, meanwhile) in rows {
            let (mut it, ticket) = Setting::new();
            assert_eq!(it.end(), 1, "{row}");
            let copy = meanwhile(&it);
            it.commit(ticket);
            it.expect_denied(Decision::Replay);
            if let Some((copy, Some(is_done))) = copy {
                it.settle(copy, is_done);
            }
            it.expect_denied(Decision::Replay);
            assert_eq!(it.window.entries(), 1, "{row}");
            // Once more means nothing.
            it.commit(ticket);
            it.expect_denied(Decision::Replay);
        }
    }

    #[test]
    fn a_claim_of_nobody_is_not_settled() {
        let (mut it, _) = Setting::new();
        let own = it.granted(2);
        it.commit(own);
        it.leases.release(own, &it.window);
        assert_eq!(it.claim(2), Ok(Claimed::Denied(Decision::InFlight)));
    }
}
