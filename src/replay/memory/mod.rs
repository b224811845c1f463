//! The replay window in memory: sharded, bounded, expiring (contract: States, The window).
//!
//! **Keeping.** An entry in flight stays until it is settled. A done entry is forgotten when its
//! ttl has passed by the monotonic clock and its timestamp is outside the tolerance by the wall
//! clock. If an arrival has the key of such an entry, the entry is removed at once. All others are
//! found by a hand that moves over two slots with every claim. So no claim pays for many entries,
//! and [`ReplayWindow::entries`] may count entries that are due but not found yet. If a copy
//! arrives that was signed later, the entry is kept until that copy is stale too. Each shard
//! remembers for every route the latest moment at which a forgotten entry became stale. So a step
//! back of the wall clock, which makes timestamps fresh once more, lets no replay in
//! ([`Stored::Forgotten`](crate::verify::claim::Stored::Forgotten)).
//!
//! **Room.** The window never holds more entries than its capacity, nor more entries of a route
//! than that route's own capacity. At such a limit a done entry is evicted, unless an entry that is
//! due to be forgotten is found. At a route's limit, it is that route's least recently used entry.
//! At the window's limit, a route that holds its share of the window or more (the capacity divided
//! by the number of routes) makes room from its own entries; a route below its share takes the room
//! from the route that holds the most. In both cases the least recently used entry goes.
//!
//! So no traffic of a single route can flush the entries of a route that keeps within its share. An
//! entry counts as used when it is settled and whenever it refuses a copy, so an event that is
//! being replayed now is evicted last. Across shards, the order of use is exact for lists up to 64
//! entries a shard. Of longer lists, an entry among the oldest few per cent is evicted. Up to a
//! capacity of 8,191 there is a single shard, and the order is always exact.
//!
//! **Memory and pauses.** An entry takes 56 bytes, and 7 to 8 in the index: 64 MB for a million
//! entries. An entry with a path beside it, with both a body and an id or type that are not signed,
//! or with a second variant takes 64 bytes more, and each further variant or the count of repeats
//! some 100 to 200. Memory is taken as entries come, and kept for later entries. Entries never move,
//! and the index grows by a bucket at a time, so no claim pays for growth.
//!
//! [`crate::verify::claim::decide`] makes every decision. What is done can be
//! written down by a [`Journal`], so that a restart forgets nothing.

mod chunks;
mod entry;
mod index;
mod packed;
mod passing;
mod shard;
mod slab;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use packed::SLOTS;
use shard::{Counts, Held, RouteCounts, Shard, Victim};

use super::journal::{Journal, Written};
use super::passing::Change;
use super::{Claimed, Evictions, Forget, Forgotten, ReplayWindow, Ticket, WindowError};
use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint};

/// The most shards of a window. More would make the search across all of them slower. With 16, each
/// lock is held for a small share of the time on any machine that two network ports can keep busy.
/// Beyond [`MOST_PER_SHARD`] entries each, there are more, because a shard has no more slots.
const MOST_SHARDS: usize = 16;

/// The least capacity per shard, in entries.
const LEAST_PER_SHARD: usize = 4096;

/// The most capacity per shard, in entries. A shard has four times as many slots, because shards are
/// rounded down to a power of two and do not fill evenly.
const MOST_PER_SHARD: usize = SLOTS as usize / 4;

/// The most entries that a configuration may ask for. A larger window has no more shards than one of
/// so many.
const MOST_ENTRIES: usize = u32::MAX as usize;

/// The number of candidates from which on a shard evicts its own oldest without asking the other
/// shards.
const ENOUGH_TO_CHOOSE_FROM: usize = 64;

/// The number of times that a claim tries to make room before it gives up, because other claims may
/// take the room that it made. It is only reached when almost all entries are in flight.
const ATTEMPTS: usize = 16;

/// The store of claims of a single process.
#[derive(Debug)]
pub struct MemoryWindow {
    // A Mutex and not an RwLock, because every operation writes, if only the order of use. It is
    // std's and not tokio's, because it is held for a few hundred nanoseconds and never across an
    // await. A thread holds the lock of a single shard at a time, so the locks need no order.
    // Poison is ignored: nothing under the lock panics unless our own bookkeeping is broken, and
    // then a failed exchange is better than a window that refuses every delivery from then on.
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
    // An Arc, because each shard counts into it.
    counts: Arc<Counts>,
    // The number of entries that each route has in all shards. Shards keep clones of the inner
    // Arcs, so this Mutex is locked only when a shard meets a route for the first time.
    routes: Mutex<HashMap<Fingerprint, Arc<RouteCounts>>>,
    // Where what is done is written down.
    journal: OnceLock<Arc<dyn Journal>>,
}

/// How a claim is settled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled {
    /// It was done at a moment.
    Done(Now),
    /// The same, and this is written down already.
    Stored(Now),
    /// It was released.
    Released,
}

impl MemoryWindow {
    /// An empty window for at most `capacity` entries. With 0, every claim fails with
    /// [`WindowError::Full`]. Memory is taken only as entries come.
    pub fn new(capacity: usize) -> Self {
        let shards = (capacity / LEAST_PER_SHARD).clamp(1, MOST_SHARDS);
        let for_slots = capacity.min(MOST_ENTRIES) / MOST_PER_SHARD;
        Self::with_shards(capacity, shards.max(for_slots))
    }

    /// A window of `shards` shards, rounded down to a power of two.
    fn with_shards(capacity: usize, shards: usize) -> Self {
        let shards = 1 << shards.ilog2();
        let counts = Arc::new(Counts::default());
        Self {
            shards: (0..shards)
                .map(|_| Mutex::new(Shard::new(Arc::clone(&counts))))
                .collect(),
            capacity,
            counts,
            routes: Mutex::new(HashMap::new()),
            journal: OnceLock::new(),
        }
    }

    /// Decides on an arrival, without waiting. What is to be written of it comes beside the answer.
    ///
    /// # Errors
    /// [`WindowError::Full`], or [`WindowError::Elsewhere`] once the window has passed.
    pub(super) fn try_claim(
        &self,
        arrival: &Arrival,
        now: Now,
    ) -> Result<(Claimed, Option<Written>), WindowError> {
        let home = self.home(arrival.key);
        let mut evicted = 0;
        for attempt in 0..ATTEMPTS {
            let mut shard = lock(home);
            if shard.is_elsewhere() {
                return Err(WindowError::Elsewhere);
            }
            if attempt == 0 {
                shard.sweep(now);
            }
            match shard.judge(arrival, now) {
                (Decision::Claim, None) => {}
                (Decision::Claim, Some(slot)) => {
                    let ticket = shard.join(slot, arrival, now);
                    return Ok((Claimed::Granted(ticket), self.write_down(&mut shard)));
                }
                (denied, _) => {
                    return Ok((Claimed::Denied(denied), self.write_down(&mut shard)));
                }
            }
            let Some(route) = shard.route(arrival.route, || self.route_count(arrival.route)) else {
                return Err(WindowError::Full);
            };
            let held = shard.route_held(route);
            let full = match self.reserve(held, arrival.route_capacity, evicted) {
                Ok(()) => {
                    let ticket = shard.insert(arrival, route).ok_or(WindowError::Full)?;
                    return Ok((Claimed::Granted(ticket), self.write_down(&mut shard)));
                }
                Err(full) => full,
            };
            let makes_room_itself =
                full == Limit::OfRoute || held.load(Ordering::Relaxed) >= arrival.share;
            evicted += if full == Limit::OfWindow && shard.due(now) {
                1
            } else if makes_room_itself {
                match shard.victim(arrival.route) {
                    Some(victim) if self.is_good_enough(victim) => {
                        shard.evict(victim, now);
                        drop(self.write_down(&mut shard));
                        1
                    }
                    _ => {
                        drop(shard);
                        usize::from(self.evict_from(&[arrival.route], now)?)
                    }
                }
            } else {
                drop(shard);
                usize::from(self.evict_from(&self.largest_routes(), now)?)
            };
        }
        Err(WindowError::Full)
    }

    /// Decides on an arrival, without waiting. Beside the answer comes what must be written before it is
    /// given: the event of a copy that is answered as seen may have become done, or be kept for longer,
    /// only now.
    ///
    /// # Errors
    /// [`WindowError::Full`], or [`WindowError::Elsewhere`] once the window has passed.
    pub fn answer(
        &self,
        arrival: &Arrival,
        now: Now,
    ) -> Result<(Claimed, Option<Written>), WindowError> {
        let (claimed, written) = self.try_claim(arrival, now)?;
        let written = match claimed {
            Claimed::Granted(_) => None,
            Claimed::Denied(decision) => self.seen(decision, arrival, written),
        };
        Ok((claimed, written))
    }

    /// Settles a claim, without waiting. What is to be written of it is the answer.
    ///
    /// # Errors
    /// [`WindowError::Elsewhere`] once the window has passed.
    pub(super) fn settle(
        &self,
        ticket: Ticket,
        how: Settled,
    ) -> Result<Option<Written>, WindowError> {
        let mut shard = lock(self.home(ticket.key));
        if shard.is_elsewhere() {
            return Err(WindowError::Elsewhere);
        }
        match how {
            Settled::Done(now) => shard.commit(ticket, now, false),
            Settled::Stored(now) => shard.commit(ticket, now, true),
            Settled::Released => shard.release(ticket),
        }
        Ok(self.write_down(&mut shard))
    }

    /// Writes a claim of this window down as done, though another process decides by now: that one does not
    /// hear of it any more. A process that begins after both finds the entry. `None`: it is not written, or
    /// was written before.
    pub(super) fn write_down_done(&self, ticket: Ticket, now: Now) -> Option<Written> {
        let mut shard = lock(self.home(ticket.key));
        shard.commit(ticket, now, false);
        self.write_down(&mut shard)
    }

    /// The same for the claim of a delivery that the other process has granted, of which nothing is here.
    pub(super) fn write_down_arrival(&self, arrival: Arrival, now: Now) -> Option<Written> {
        let change = Change::Done(Box::new(arrival), now);
        Some(self.journal.get()?.append(vec![(arrival.route, change)]))
    }

    /// Begins to write down what is done from now on.
    pub fn set_journal(&self, journal: Arc<dyn Journal>) {
        if self.journal.set(journal).is_ok() {
            for shard in &self.shards {
                lock(shard).begin_telling();
            }
        }
    }

    /// Writes down every entry of a shard of which something is done, as after a time in which nothing
    /// could be written. Claims of the shard wait meanwhile: some milliseconds for 60,000 entries. `false`:
    /// it is frozen, and nothing is written, since the process to which it passes has newer entries.
    pub fn write_down_again(&self, shard: usize) -> bool {
        self.shards.get(shard).is_none_or(|shard| {
            let mut shard = lock(shard);
            if shard.is_elsewhere() {
                return false;
            }
            shard.tell_all();
            drop(self.write_down(&mut shard));
            true
        })
    }

    /// Gives the journal what a shard tells. Its lock is held meanwhile, so that changes of an entry
    /// are written in order.
    fn write_down(&self, shard: &mut Shard) -> Option<Written> {
        let told = shard.take_told()?;
        Some(self.journal.get()?.append(told))
    }

    /// What must be written before a denied arrival is answered. `written` is what it has told
    /// itself, which comes after all else.
    fn seen(
        &self,
        decision: Decision,
        arrival: &Arrival,
        written: Option<Written>,
    ) -> Option<Written> {
        let journal = self.journal.get()?;
        if decision == Decision::InFlight {
            return written;
        }
        written.or_else(|| Some(journal.up_to_now(arrival.route)))
    }

    /// Gives the journal what the shards tell.
    pub(super) fn told(&self) -> Option<Written> {
        let mut last = None;
        for shard in &self.shards {
            last = self.write_down(&mut lock(shard)).or(last);
        }
        last
    }

    /// Counts another entry of the window and of the route. The error is the limit that is reached.
    ///
    /// `evicted` entries have already made room for this claim. A route may hold more than its
    /// capacity after a reload has lowered it. Such a route gives up two or three entries for each
    /// that it takes, so that it shrinks without a pause.
    fn reserve(
        &self,
        route_held: &AtomicUsize,
        limit: Option<usize>,
        evicted: usize,
    ) -> Result<(), Limit> {
        let limit = limit.unwrap_or(usize::MAX);
        let one_more =
            |held: usize| (held < limit || (held > limit && evicted >= 2)).then_some(held + 1);
        if route_held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_err()
        {
            return Err(Limit::OfRoute);
        }
        let one_more = |held: usize| (held < self.capacity).then_some(held + 1);
        if self
            .counts
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_err()
        {
            route_held.fetch_sub(1, Ordering::Relaxed);
            return Err(Limit::OfWindow);
        }
        Ok(())
    }

    /// Whether a shard's own candidate may be evicted without asking the other shards.
    fn is_good_enough(&self, victim: Victim) -> bool {
        self.shards.len() == 1 || victim.among >= ENOUGH_TO_CHOOSE_FROM
    }

    /// Evicts the least recently used entry of the first of these routes that has a done entry, and
    /// returns whether an entry was evicted. No lock is held between the search and the eviction.
    /// If the candidate is gone by then, its shard's next candidate is evicted; if there is none,
    /// the caller tries again.
    ///
    /// Fails if all entries of these routes are in flight.
    fn evict_from(&self, routes: &[Fingerprint], now: Now) -> Result<bool, WindowError> {
        let oldest_of = |route: &Fingerprint| {
            let victims = self.shards.iter().filter_map(|shard| {
                let victim = lock(shard).victim(*route)?;
                Some((victim.order, shard))
            });
            let (_, shard) = victims.min_by_key(|(order, _)| *order)?;
            Some((*route, shard))
        };
        let (route, shard) = routes.iter().find_map(oldest_of).ok_or(WindowError::Full)?;
        let mut shard = lock(shard);
        let victim = shard.victim(route);
        if let Some(victim) = victim {
            shard.evict(victim, now);
            drop(self.write_down(&mut shard));
        }
        Ok(victim.is_some())
    }

    /// The routes that hold entries, from the largest to the smallest.
    fn largest_routes(&self) -> Vec<Fingerprint> {
        let mut routes: Vec<_> = self
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(route, counts)| (counts.held.load(Ordering::Relaxed), *route))
            .filter(|(held, _)| *held > 0)
            .collect();
        routes.sort_unstable_by_key(|(held, route)| (std::cmp::Reverse(*held), route.0));
        routes.into_iter().map(|(_, route)| route).collect()
    }

    fn route_count(&self, route: Fingerprint) -> Arc<RouteCounts> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(route).or_default())
    }

    /// The shard of a key, chosen by its high bits; the index within a shard uses the low half.
    #[expect(
        clippy::indexing_slicing,
        reason = "the number of shards is a power of two, and at least one"
    )]
    fn home(&self, key: ClaimKey) -> &Mutex<Shard> {
        let high = usize::try_from(key.0 >> 112).unwrap_or(0);
        &self.shards[high & (self.shards.len() - 1)]
    }

    /// The keys of the delivery that an operator named. Fails if an entry of it is in flight.
    fn named(&self, what: Forget) -> Result<Vec<ClaimKey>, Forgotten> {
        let event = match what {
            Forget::Event(event) => Some(event),
            Forget::Request(request) => self.shards.iter().find_map(|shard| {
                let shard = lock(shard);
                shard
                    .matching(|entry| entry.is_of_request(request))
                    .find_map(|entry| entry.event)
            }),
        };
        let mut keys = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let is_wanted = |entry: &Held<'_>| match what {
                Forget::Request(request) if entry.is_of_request(request) => true,
                _ => event.is_some() && entry.event == event,
            };
            for entry in shard.matching(is_wanted) {
                if !entry.is_done {
                    return Err(Forgotten::InFlight);
                }
                keys.push(entry.key());
            }
        }
        Ok(keys)
    }
}

/// A limit that a claim has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// The arriving route has reached its own capacity.
    OfRoute,
    /// The window is full.
    OfWindow,
}

impl ReplayWindow for MemoryWindow {
    async fn claim(&self, arrival: &Arrival, now: Now) -> Result<Claimed, WindowError> {
        self.try_claim(arrival, now).map(|(claimed, _)| claimed)
    }

    async fn commit(&self, ticket: Ticket, now: Now) -> Result<(), WindowError> {
        self.settle(ticket, Settled::Done(now)).map(drop)
    }

    async fn release(&self, ticket: Ticket) -> Result<(), WindowError> {
        self.settle(ticket, Settled::Released).map(drop)
    }

    fn abandon(&self, ticket: Ticket) {
        // Once the window has passed, the process that has it knows what becomes of the claim.
        let _ = self.settle(ticket, Settled::Released);
    }

    /// Looks at every entry, shard by shard. This takes some milliseconds for a million entries,
    /// and the claims of a shard wait while it is searched.
    async fn forget(&self, what: Forget) -> Result<Forgotten, WindowError> {
        if self.shards.iter().any(|shard| lock(shard).is_elsewhere()) {
            return Err(WindowError::Unavailable);
        }
        let keys = match self.named(what) {
            Ok(keys) => keys,
            Err(in_flight) => return Ok(in_flight),
        };
        // An entry that was claimed again in between is in flight. It stays, as if it had been
        // claimed after this call.
        let dropped = keys
            .into_iter()
            .filter(|key| lock(self.home(*key)).forget(*key))
            .count();
        Ok(if dropped == 0 {
            Forgotten::Unknown
        } else {
            Forgotten::Dropped(dropped)
        })
    }

    fn entries(&self) -> usize {
        self.counts.held.load(Ordering::Relaxed)
    }

    fn evictions(&self) -> Evictions {
        Evictions {
            old: self.counts.evicted_old.load(Ordering::Relaxed),
            fresh: self.counts.evicted_fresh.load(Ordering::Relaxed),
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
