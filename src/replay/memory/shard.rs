//! A shard of the memory window: its entries, and which of them makes room (contract: The window).
//!
//! Everything here runs under the shard's lock and takes constant time, except [`Shard::matching`],
//! which only an operator's command calls, and [`Shard::due`], which looks at an entry of each
//! route. [`super`] makes room across shards.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::entry::{Entry, Left, Slot};
use super::slab::{List, Slab};
use crate::clock::{Now, UnixMillis};
use crate::replay::Ticket;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint, Stored, decide};

/// The slots that each claim checks for entries to be forgotten. A claim fills at most a single
/// slot, so entries are found faster than new entries come, and no claim pays for many.
const SWEPT_PER_CLAIM: u32 = 2;

/// The counts of all shards together.
///
/// All accesses are `Relaxed`: each count is independent of the others and exact because of its
/// read-modify-write operations. The content of entries is ordered by the shards' locks.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The number of entries that are held, or about to be inserted under a lock.
    pub(super) held: AtomicUsize,
    /// The number of entries evicted for room that were not within the tolerance.
    pub(super) evicted_old: AtomicU64,
    /// The number of entries evicted for room that were within the tolerance, or without a
    /// timestamp.
    pub(super) evicted_fresh: AtomicU64,
    /// The next place in the order of use, which is also the next serial.
    order: AtomicU64,
}

/// A done entry that could make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim {
    slot: Slot,
    /// The entry's place in the order of use, comparable across shards.
    pub(super) order: u64,
    /// The length of the list in which the entry is the least recently used.
    pub(super) among: usize,
}

/// A part of the window, behind its own lock.
#[derive(Debug)]
pub(super) struct Shard {
    // An Arc, because all shards of a window count into it.
    counts: Arc<Counts>,
    index: HashMap<Digest, Slot, BuildHasherDefault<Identity>>,
    slab: Slab,
    routes: Vec<RouteShare>,
    route_numbers: HashMap<Digest, u32, BuildHasherDefault<Identity>>,
    // The next slot to be swept.
    hand: Slot,
}

/// The entries that a shard holds of a route. It is kept as long as the process lives, because
/// routes come from the configuration and not from the network.
#[derive(Debug)]
struct RouteShare {
    /// The route's done entries, least recently used first.
    done: List,
    /// The number of the route's entries in all shards, which share it by this Arc.
    held: Arc<AtomicUsize>,
    /// The latest moment at which any of the forgotten entries of the route became stale.
    forgotten: Option<UnixMillis>,
}

impl Shard {
    /// An empty shard of the window whose counts are `counts`.
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self {
            counts,
            index: HashMap::default(),
            slab: Slab::new(),
            routes: Vec::new(),
            route_numbers: HashMap::default(),
            hand: 0,
        }
    }

    /// Decides on an arrival by the entries of this shard. A done entry that denies the arrival
    /// counts as used, because an event that is being replayed now should be evicted last. Its time
    /// to live stays as it is.
    pub(super) fn judge(&mut self, arrival: &Arrival, now: Now) -> Decision {
        let slot = self
            .find(arrival.key)
            .filter(|slot| !self.forget_if_due(*slot, now));
        let stored = match slot.map(|slot| self.slab.at(slot)) {
            Some(entry) => Some(Stored::Entry(entry.known(arrival, now))),
            None if self.was_forgotten(arrival) => Some(Stored::Forgotten),
            None => None,
        };
        if let Some(slot) = slot
            && self.slab.at(slot).is_done()
        {
            self.unlink(slot);
            // A copy that was signed later can be replayed for longer than the copy that was
            // forwarded.
            self.slab.at_mut(slot).stays_fresh_with(arrival);
            self.link_as_last_used(slot);
        }
        decide(stored.as_ref(), arrival)
    }

    /// Takes a granted claim into the entry that its key already has. `None` if there is no entry.
    pub(super) fn join(&mut self, arrival: &Arrival, now: Now) -> Option<Ticket> {
        let slot = self.find(arrival.key)?;
        if self.slab.at(slot).is_done() {
            self.unlink(slot);
        }
        let serial = self.counts.order.fetch_add(1, Ordering::Relaxed);
        self.slab.at_mut(slot).join(arrival, serial, now);
        Some(Ticket {
            key: arrival.key,
            serial,
        })
    }

    /// Forgets the entries that are due among the next few slots.
    pub(super) fn sweep(&mut self, now: Now) {
        for _ in 0..SWEPT_PER_CLAIM.min(self.slab.slots()) {
            let slot = self.hand;
            self.hand = if slot + 1 < self.slab.slots() {
                slot + 1
            } else {
                0
            };
            self.forget_if_due(slot, now);
        }
    }

    /// The number of a route in this shard. When the shard first meets the route, `shared` gives
    /// the count of its entries in all shards.
    pub(super) fn route(
        &mut self,
        route: Fingerprint,
        shared: impl FnOnce() -> Arc<AtomicUsize>,
    ) -> u32 {
        let next = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        let number = *self
            .route_numbers
            .entry(Digest::of(route.0))
            .or_insert(next);
        if number == next {
            self.routes.push(RouteShare {
                done: List::new(),
                held: shared(),
                forgotten: None,
            });
        }
        number
    }

    /// The count of a route's entries in all shards.
    pub(super) fn route_held(&self, route: u32) -> &AtomicUsize {
        &self.share(route).held
    }

    /// Inserts a claim in flight. The caller has counted it for the window and the route. If the
    /// numbers for slots run out, the counts are given back and `None` is returned.
    pub(super) fn insert(&mut self, arrival: &Arrival, route: u32) -> Option<Ticket> {
        let serial = self.counts.order.fetch_add(1, Ordering::Relaxed);
        let Some(slot) = self.slab.insert(Entry::in_flight(arrival, route, serial)) else {
            self.uncount(route);
            return None;
        };
        self.index.insert(Digest::of(arrival.key.0), slot);
        Some(Ticket {
            key: arrival.key,
            serial,
        })
    }

    /// Settles a claim as done. Nothing happens if it was settled before.
    pub(super) fn commit(&mut self, ticket: Ticket, now: Now) {
        let Some(slot) = self.find(ticket.key) else {
            return;
        };
        let entry = self.slab.at_mut(slot);
        if entry.commit(ticket.serial, now) && entry.is_done() {
            self.link_as_last_used(slot);
        }
    }

    /// Settles a claim as released. Nothing happens if it was settled before.
    pub(super) fn release(&mut self, ticket: Ticket) {
        let Some(slot) = self.find(ticket.key) else {
            return;
        };
        match self.slab.at_mut(slot).release(ticket.serial) {
            Some(Left::Nothing) => self.remove(slot),
            Some(Left::Done) => self.link_as_last_used(slot),
            Some(Left::InFlight) | None => {}
        }
    }

    /// Forgets an entry that is due, if it is the least recently used of any route. Returns whether
    /// there was such an entry.
    pub(super) fn due(&mut self, now: Now) -> bool {
        let heads = self.routes.iter().filter_map(|route| route.done.head());
        let due = heads
            .into_iter()
            .find(|slot| self.slab.at(*slot).is_forgettable(now));
        due.is_some_and(|slot| self.forget_if_due(slot, now))
    }

    /// The least recently used done entry of `route`.
    pub(super) fn victim(&self, route: Fingerprint) -> Option<Victim> {
        let number = self.route_numbers.get(&Digest::of(route.0))?;
        let own = &self.share(*number).done;
        let slot = own.head()?;
        Some(Victim {
            slot,
            order: self.slab.at(slot).order,
            among: own.len(),
        })
    }

    /// Removes a victim, which must have been found under the same hold of the lock. It counts as
    /// evicted unless it was due to be forgotten.
    pub(super) fn evict(&mut self, victim: Victim, now: Now) {
        if self.forget_if_due(victim.slot, now) {
            return;
        }
        let counter = if self.slab.at(victim.slot).is_fresh(now) {
            &self.counts.evicted_fresh
        } else {
            &self.counts.evicted_old
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.unlink(victim.slot);
        self.remove(victim.slot);
    }

    /// Every entry for which `wanted` is true, by a scan of all slots.
    pub(super) fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &Entry> {
        (0..self.slab.slots())
            .map(|slot| self.slab.at(slot))
            .filter(move |entry| !entry.is_vacant() && wanted(entry))
    }

    /// Drops the done entry of `key` for an operator, and returns whether there was such an entry.
    pub(super) fn forget(&mut self, key: ClaimKey) -> bool {
        let done = self.find(key).filter(|slot| self.slab.at(*slot).is_done());
        if let Some(slot) = done {
            self.unlink(slot);
            self.remove(slot);
        }
        done.is_some()
    }

    fn find(&self, key: ClaimKey) -> Option<Slot> {
        self.index.get(&Digest::of(key.0)).copied()
    }

    /// Whether an entry that is gone could have refused `arrival`: see [`Stored::Forgotten`]. If
    /// freshness is not judged, entries are forgotten by their time to live alone, as promised, and
    /// this is `false`.
    fn was_forgotten(&self, arrival: &Arrival) -> bool {
        let Some(fresh_until) = arrival.fresh_until else {
            return false;
        };
        let share = self
            .route_numbers
            .get(&Digest::of(arrival.route.0))
            .map(|number| self.share(*number));
        share
            .and_then(|share| share.forgotten)
            .is_some_and(|latest| fresh_until <= latest)
    }

    fn forget_if_due(&mut self, slot: Slot, now: Now) -> bool {
        let entry = self.slab.at(slot);
        if !entry.is_forgettable(now) {
            return false;
        }
        let (route, fresh_until) = (entry.route, entry.fresh_until());
        let share = self.share_mut(route);
        share.forgotten = share.forgotten.max(fresh_until);
        self.unlink(slot);
        self.remove(slot);
        true
    }

    fn link_as_last_used(&mut self, slot: Slot) {
        let order = self.counts.order.fetch_add(1, Ordering::Relaxed);
        let entry = self.slab.at_mut(slot);
        entry.order = order;
        let route = entry.route;
        let (list, slab) = self.route_list(route);
        list.push(slab, slot);
    }

    /// Takes a done entry out of the list of its route.
    fn unlink(&mut self, slot: Slot) {
        let route = self.slab.at(slot).route;
        let (list, slab) = self.route_list(route);
        list.remove(slab, slot);
    }

    /// Removes an entry that is in no list, and counts it out of the window and the route.
    fn remove(&mut self, slot: Slot) {
        let entry = self.slab.at(slot);
        let (key, route) = (entry.key, entry.route);
        self.index.remove(&Digest::of(key.0));
        self.slab.vacate(slot);
        self.uncount(route);
    }

    fn uncount(&self, route: u32) {
        self.share(route).held.fetch_sub(1, Ordering::Relaxed);
        self.counts.held.fetch_sub(1, Ordering::Relaxed);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by route alone, and routes are never removed"
    )]
    fn route_list(&mut self, route: u32) -> (&mut List, &mut Slab) {
        (&mut self.routes[route as usize].done, &mut self.slab)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by route alone, and routes are never removed"
    )]
    fn share(&self, route: u32) -> &RouteShare {
        &self.routes[route as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by route alone, and routes are never removed"
    )]
    fn share_mut(&mut self, route: u32) -> &mut RouteShare {
        &mut self.routes[route as usize]
    }
}

/// A digest as the key of a map. It is made of bytes, because the alignment of a number would cost
/// the map 12 bytes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest([u8; 16]);

impl Digest {
    fn of(digest: u128) -> Self {
        Self(digest.to_le_bytes())
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(
            self.0
                .first_chunk()
                .map_or(0, |low| u64::from_le_bytes(*low)),
        );
    }
}

/// A hasher that turns a [`Digest`] into its own low half. It is safe against chosen keys: a digest
/// is the output of a keyed function whose key the sender does not know, so its bits are as good as
/// those of any hash. The high half picks the shard.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write_u64(&mut self, low_half: u64) {
        self.0 = low_half;
    }

    /// Never called by a [`Digest`]. It gives any other input a hash too.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
