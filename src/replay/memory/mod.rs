//! The replay window in memory: sharded, bounded, expiring (SPEC 4).
//!
//! **Keeping.** An entry in flight stays until it is settled. A done entry is forgotten when its ttl has passed by the
//! monotonic clock and its timestamp is outside the tolerance by the wall clock. Found due by its own key it is gone at
//! once; the others are found by a hand that moves over two slots with every claim, so no claim pays for many, and
//! [`ReplayWindow::entries`] may count what is due but not found yet. A copy signed later keeps the entry until that
//! copy is stale as well. What was forgotten leaves a mark behind, so that a step back of the wall clock, which makes
//! its timestamp fresh once more, lets no replay in ([`Stored::Forgotten`](crate::verify::claim::Stored::Forgotten)).
//!
//! **Room.** Never more entries than the capacity, nor of a route than its own. Where one is reached, a done entry
//! makes room: for a route's own capacity, that route's least recently used; for the window's, in this order, the least
//! recently used one that
//! 1. is due to be forgotten, or is out of its tolerance, so that freshness refuses a replay of it;
//! 2. has no timestamp that could say so;
//! 3. is of the arriving route, whatever its age;
//! 4. is another route's.
//!
//! So no route's traffic evicts another's entry that is within its tolerance while it has any done entry of its own.
//! Entries of schemes without a timestamp are not protected from other routes: give a busy route a capacity of its own.
//! An entry is used when it is settled, and whenever it refuses a copy: the last to go is what is being replayed now.
//! Across shards "least recently used" is exact for lists up to 64 entries a shard, and within the oldest few per cent
//! of larger ones: up to a capacity of 8,191 there is one shard, and all is exact.
//!
//! **Memory and pauses.** An entry takes 128 bytes and 24 to 48 in the index: 170 MB for a million. It is taken as
//! entries come, and kept for further ones afterwards. Entries never move; the one work that comes in a lump is an
//! index arranging itself anew, of one shard, which happens once in thousands of claims.
//!
//! Every decision is [`crate::verify::claim::decide`]'s. A restart forgets all: closing that gap is the caller's.

mod shard;
mod slab;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shard::{Counts, Rank, Shard, Victim};
use slab::Entry;

use super::{Claimed, Evictions, Forget, Forgotten, ReplayWindow, Ticket, WindowError};
use crate::clock::Now;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint};

/// More would make the search across all of them dearer; 16 keep a lock's share of the time low on any machine that
/// two network ports can keep busy.
const MOST_SHARDS: usize = 16;

/// Entries of capacity per shard, at least.
const LEAST_PER_SHARD: usize = 4096;

/// A shard with at least so many candidates evicts its own oldest; with fewer, all shards are asked.
const ENOUGH_TO_CHOOSE_FROM: usize = 64;

/// How often a claim tries to make room before it gives up: others may take what it freed. Only reached where
/// almost everything is in flight.
const ATTEMPTS: usize = 16;

/// The store of claims of one process.
#[derive(Debug)]
pub struct MemoryWindow {
    // Mutex, not RwLock: every operation writes (the order of use, if nothing else). std's, not tokio's: it is held for
    // a few hundred nanoseconds and never across an await. One thread holds one shard's lock at a time, so no order of
    // locking is needed. Poison is ignored: nothing under it panics unless our own bookkeeping is broken, and then one
    // failed exchange is better than a window that refuses every delivery from there on.
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
    // Arc: each shard counts into it.
    counts: Arc<Counts>,
    // How many entries each route has in all shards; shards keep clones of the inner Arcs. A Mutex, locked only when
    // a shard meets a route for the first time.
    routes: Mutex<HashMap<Fingerprint, Arc<AtomicUsize>>>,
}

impl MemoryWindow {
    /// An empty window for at most `capacity` entries (of 0, every claim is refused as [`WindowError::Full`]). Takes
    /// memory only as entries come.
    pub fn new(capacity: usize) -> Self {
        Self::with_shards(capacity, (capacity / LEAST_PER_SHARD).clamp(1, MOST_SHARDS))
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
        }
    }

    fn try_claim(&self, arrival: &Arrival, now: Now) -> Result<Claimed, WindowError> {
        let home = self.home(arrival.key);
        lock(home).sweep(now);
        let mut evicted = 0;
        for _ in 0..ATTEMPTS {
            let mut shard = lock(home);
            match shard.judge(arrival, now) {
                Decision::Claim => {}
                denied => return Ok(Claimed::Denied(denied)),
            }
            let route = shard.route(arrival.route, || self.route_count(arrival.route));
            let search =
                match self.reserve(shard.route_held(route), arrival.route_capacity, evicted) {
                    Ok(()) => {
                        return shard
                            .insert(arrival, route)
                            .map(Claimed::Granted)
                            .ok_or(WindowError::Full);
                    }
                    Err(search) => search,
                };
            evicted += match search.within(&mut shard, arrival.route, now) {
                Some(victim) if self.is_good_enough(victim) => {
                    shard.evict(victim, now);
                    1
                }
                _ => {
                    drop(shard);
                    usize::from(self.evict_from_any(search, arrival.route, now)?)
                }
            };
        }
        Err(WindowError::Full)
    }

    /// Counts one more entry for the window and the route, or says where room must be made first.
    ///
    /// `evicted` entries made room for this claim already. A route that holds more than its capacity (which a reload
    /// has lowered) gives up two or three for every one it takes, so that it shrinks without a pause.
    fn reserve(
        &self,
        route_held: &AtomicUsize,
        limit: Option<usize>,
        evicted: usize,
    ) -> Result<(), Search> {
        let limit = limit.unwrap_or(usize::MAX);
        let one_more =
            |held: usize| (held < limit || (held > limit && evicted >= 2)).then_some(held + 1);
        if route_held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_err()
        {
            return Err(Search::OfRoute);
        }
        let one_more = |held: usize| (held < self.capacity).then_some(held + 1);
        if self
            .counts
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_err()
        {
            route_held.fetch_sub(1, Ordering::Relaxed);
            return Err(Search::OfWindow);
        }
        Ok(())
    }

    /// Whether a shard's own candidate may go without asking the other shards.
    fn is_good_enough(&self, victim: Victim) -> bool {
        self.shards.len() == 1
            || victim.rank == Rank::Forgettable
            || (victim.rank != Rank::Foreign && victim.among >= ENOUGH_TO_CHOOSE_FROM)
    }

    /// Evicts the best candidate of all shards. No lock is held between finding it and evicting it: where it is gone
    /// by then, its shard's next one goes if it is as good, else nothing does and the caller tries again. Says whether
    /// one went; an error where all that could go are in flight.
    fn evict_from_any(
        &self,
        search: Search,
        route: Fingerprint,
        now: Now,
    ) -> Result<bool, WindowError> {
        let candidates = self.shards.iter().filter_map(|shard| {
            let victim = search.within(&mut lock(shard), route, now)?;
            Some((victim, shard))
        });
        let (best, shard) = candidates
            .min_by_key(|(victim, _)| (victim.rank, victim.order))
            .ok_or(WindowError::Full)?;
        let mut shard = lock(shard);
        let victim = search
            .within(&mut shard, route, now)
            .filter(|victim| victim.rank <= best.rank);
        if let Some(victim) = victim {
            shard.evict(victim, now);
        }
        Ok(victim.is_some())
    }

    fn route_count(&self, route: Fingerprint) -> Arc<AtomicUsize> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(route).or_default())
    }

    /// The shard of a key: by bits that its shard's index does not start from.
    #[expect(
        clippy::indexing_slicing,
        reason = "the number of shards is a power of two, and at least one"
    )]
    fn home(&self, key: ClaimKey) -> &Mutex<Shard> {
        let high = usize::try_from(key.0 >> 112).unwrap_or(0);
        &self.shards[high & (self.shards.len() - 1)]
    }

    /// The keys of what an operator named; an error where one of them is in flight.
    fn named(&self, what: Forget) -> Result<Vec<ClaimKey>, Forgotten> {
        let event = match what {
            Forget::Event(event) => Some(event),
            Forget::Request(request) => self.shards.iter().find_map(|shard| {
                let shard = lock(shard);
                shard
                    .matching(|entry| entry.request == request)
                    .find_map(Entry::event)
            }),
        };
        let mut keys = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let of_request = |request| matches!(what, Forget::Request(wanted) if wanted == request);
            for entry in shard.matching(|entry| {
                of_request(entry.request) || (event.is_some() && entry.event() == event)
            }) {
                if !entry.is_done() {
                    return Err(Forgotten::InFlight);
                }
                keys.push(entry.key);
            }
        }
        Ok(keys)
    }
}

/// Whose entries may make room.
#[derive(Clone, Copy, Debug)]
enum Search {
    /// The route's own: it has reached its own capacity.
    OfRoute,
    /// All: the window is full.
    OfWindow,
}

impl Search {
    fn within(self, shard: &mut Shard, route: Fingerprint, now: Now) -> Option<Victim> {
        match self {
            Self::OfRoute => shard.own_victim(route),
            Self::OfWindow => shard.victim(route, now),
        }
    }
}

impl ReplayWindow for MemoryWindow {
    async fn claim(&self, arrival: Arrival, now: Now) -> Result<Claimed, WindowError> {
        self.try_claim(&arrival, now)
    }

    async fn commit(&self, ticket: Ticket, now: Now) -> Result<(), WindowError> {
        lock(self.home(ticket.key)).commit(ticket, now);
        Ok(())
    }

    async fn release(&self, ticket: Ticket) -> Result<(), WindowError> {
        self.abandon(ticket);
        Ok(())
    }

    fn abandon(&self, ticket: Ticket) {
        lock(self.home(ticket.key)).release(ticket);
    }

    /// Looks at every entry, a shard at a time: some milliseconds for a million, during which claims of one shard wait.
    async fn forget(&self, what: Forget) -> Result<Forgotten, WindowError> {
        let keys = match self.named(what) {
            Ok(keys) => keys,
            Err(in_flight) => return Ok(in_flight),
        };
        // What was claimed anew in between is as if claimed after this call: it stays.
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
