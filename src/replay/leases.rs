//! The claims that another process has in this window, each under a lease: a process that is stopped
//! must not keep its events from being delivered for ever (contract: Upgrade).
//!
//! A claim whose lease is over is released, so a copy of its delivery may be forwarded. If the process
//! goes on after all and says that the claim is done, that still counts.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::journal::Written;
use super::memory::Settled;
use super::passing::{Change, Kept, Phase};
use super::{MemoryWindow, Ticket};
use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey, Mark};

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

    /// Whether no claim is left that is neither settled nor released, and a lease is over since the process
    /// was heard: it may be doing what needs no claim.
    pub fn are_over(&self, now: Now) -> bool {
        self.held.is_empty() && self.heard.saturating_add(self.time) <= now.mono
    }

    /// Whether [`end`](Self::end) may find leases that are over.
    pub fn is_any_due(&self, now: Now) -> bool {
        let earliest = self.heard.saturating_add(self.time);
        let first = self.ends.front();
        first.is_some_and(|(end, _)| earliest.max(*end) <= now.mono)
    }

    /// Settles what the process has written down as done without saying so, and returns the number of
    /// those claims. `read` calls a function with every change of a journal, in order. A claim is done if
    /// its variant was done more often there than in `window`.
    ///
    /// # Errors
    /// That of `read`.
    pub fn settle_written<E>(
        &mut self,
        window: &MemoryWindow,
        now: Now,
        read: impl FnOnce(&mut dyn FnMut(Change)) -> Result<(), E>,
    ) -> Result<usize, E> {
        let names = self.held.iter().chain(self.over.keys());
        let keys: HashSet<ClaimKey> = names.map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let mut written: HashMap<(ClaimKey, Mark), u32> = HashMap::new();
        read(&mut |change| match change {
            Change::Done(arrival, at)
                if keys.contains(&arrival.key) && !was_over(&arrival, at, now) =>
            {
                *written.entry((arrival.key, arrival.variant)).or_default() += 1;
            }
            Change::Entry(kept) if keys.contains(&kept.key) && !is_over(&kept, now) => {
                let others = kept.further.iter().flat_map(|further| &further.others);
                for variant in others.chain([&kept.first]).map(|own| own.variant) {
                    written.insert((kept.key, variant), times_done(&kept, variant));
                }
            }
            Change::Entry(Kept { key, .. }) | Change::Gone(key) if keys.contains(&key) => {
                written.retain(|(of, _), _| *of != key);
            }
            _ => {}
        })?;
        let is_done = |arrival: &Arrival| {
            let known = window.entry(arrival.key);
            let known = known.map_or(0, |kept| times_done(&kept, arrival.variant));
            let times = written.get(&(arrival.key, arrival.variant));
            times.is_some_and(|times| *times > known)
        };
        let before = self.held.len() + self.over.len();
        self.held.retain(|(key, serial)| {
            let claimed = window.entry(*key).and_then(|kept| kept.arrival(*serial));
            let is_done = claimed.is_some_and(|arrival| is_done(&arrival));
            if is_done {
                drop(window.settle_named((*key, *serial), Settled::Stored(now)));
            }
            !is_done
        });
        self.over.retain(|_, arrival| {
            let is_done = is_done(arrival);
            if is_done {
                drop(window.note_done(arrival, now));
            }
            !is_done
        });
        Ok(before - self.held.len() - self.over.len())
    }

    /// Releases the claims whose leases are over, and returns their number.
    pub fn end(&mut self, window: &MemoryWindow, now: Now) -> usize {
        let mut ended = 0;
        while self.is_any_due(now)
            && let Some((_, name)) = self.ends.pop_front()
        {
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

/// How often this variant of an entry was done.
fn times_done(kept: &Kept, variant: Mark) -> u32 {
    let others = kept.further.iter().flat_map(|further| &further.others);
    let mut own = others.chain([&kept.first]);
    match own.find(|own| own.variant == variant).map(|own| own.phase) {
        None | Some(Phase::InFlight) => 0,
        Some(Phase::Done | Phase::Again) => {
            let repeated = kept.further.as_ref().map_or(0, |further| further.repeated);
            1 + u32::from(repeated)
        }
    }
}

/// Whether an entry may be forgotten, so that its event may have been claimed again since.
fn is_over(kept: &Kept, now: Now) -> bool {
    let is_stale = kept.fresh_until.is_none_or(|until| until < now.wall);
    now.mono > Duration::from_secs(kept.keep_s.into()) && is_stale
}

/// The same for a delivery that was done at a moment.
fn was_over(arrival: &Arrival, at: Now, now: Now) -> bool {
    let is_stale = arrival.fresh_until.is_none_or(|until| until < now.wall);
    now.mono > at.mono.saturating_add(arrival.ttl) && is_stale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixMillis};
    use crate::replay::{Claimed, ReplayWindow as _, WindowError};
    use crate::verify::claim::{Decision, sample};

    const LEASE: Duration = Duration::from_secs(15);

    /// A window, the claims of another process in it, and their clock.
    struct Setting {
        window: MemoryWindow,
        leases: Leases,
        clock: Clock,
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
            let decided = self.window.try_claim(&sample(id), self.clock.now());
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

    impl Setting {
        /// Reads these changes, and returns how many claims were done by them.
        fn read(&mut self, changes: &[Change]) -> usize {
            let now = self.clock.now();
            let read = |each: &mut dyn FnMut(Change)| {
                changes.iter().cloned().for_each(each);
                Ok::<_, ()>(())
            };
            let settled = self.leases.settle_written(&self.window, now, read);
            settled.unwrap()
        }

        fn stored(&self, id: u128) -> Change {
            Change::Done(Box::new(sample(id)), self.clock.now())
        }
    }

    /// A process that was killed after a delivery was stored, and before it said so: the delivery was taken
    /// from the queue, and a copy of it from the provider.
    #[test]
    fn rx_34_what_a_process_has_written_down_as_done_is_not_released_by_its_end() {
        let (mut it, ticket) = Setting::new();
        let other = it.granted(2);
        it.leases.grant(other, it.clock.now());
        let (stored, stranger) = (it.stored(1), it.stored(3));
        assert_eq!(it.read(&[stranger, stored]), 1);
        it.expect_denied(Decision::Replay);
        assert_eq!(it.leases.finish(&it.window), 1);
        it.expect_denied(Decision::Replay);
        it.granted(2);
        it.commit(ticket);
        assert_eq!(it.claim(3).map(|_| it.window.entries()), Ok(3));
    }

    #[test]
    fn what_is_written_of_an_earlier_claim_settles_no_later_one() {
        let (mut it, _) = Setting::new();
        // It is gone since.
        let stored = it.stored(1);
        assert_eq!(it.read(&[stored.clone(), Change::Gone(ClaimKey(1))]), 0);
        // It was forgotten in its time, and claimed again.
        it.clock.step(0, Duration::from_secs(3601));
        assert_eq!(it.read(&[stored]), 0);
        it.expect_denied(Decision::InFlight);
        // A repeat of what was done before.
        let repeats = Some(crate::scheme::Repeats {
            most: 2,
            within: Duration::from_secs(60),
        });
        let repeated = Arrival {
            repeats,
            ..sample(2)
        };
        let now = it.clock.now();
        let claim = |it: &Setting| {
            let decided = it.window.try_claim(&repeated, now);
            match decided.map(|(claimed, _)| claimed) {
                Ok(Claimed::Granted(ticket)) => ticket,
                other => panic!("{other:?} instead of a claim"),
            }
        };
        let first = claim(&it);
        it.settle(first, true);
        let repeat = claim(&it);
        it.leases.grant(repeat, now);
        let done = Change::Done(Box::new(repeated), now);
        assert_eq!(it.read(std::slice::from_ref(&done)), 0);
        assert_eq!(it.read(&[done.clone(), done]), 1);
        assert_eq!(it.leases.finish(&it.window), 1, "that of the event 1");
    }

    #[test]
    fn rx_35_what_is_written_down_as_done_after_its_lease_counts() {
        let (mut it, _) = Setting::new();
        assert_eq!(it.end(), 1);
        let copy = it.granted(1);
        let stored = it.stored(1);
        assert_eq!(it.read(&[stored]), 1);
        it.expect_denied(Decision::Replay);
        it.settle(copy, false);
        it.expect_denied(Decision::Replay);
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
