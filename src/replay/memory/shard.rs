//! A shard of the memory window: its entries, and which of them makes room (contract: The window).
//!
//! Everything here runs under the shard's lock and takes constant time, except [`Shard::matching`],
//! which only an operator's command calls, and [`Shard::due`], which looks at an entry of each
//! route. [`super`] makes room across shards.

mod passing;
mod telling;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::entry::{Left, Phase, State};
use super::index::Index;
use super::packed::{Entry, ROUTES, Slot};
use super::slab::{List, Slab};
use crate::clock::{Now, UnixMillis};
use crate::replay::Ticket;
use crate::replay::journal::Told;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint, Mark, Stored, decide};

/// Every so many claims, twice as many slots are checked for entries to be forgotten. A claim fills
/// at most a single slot, so entries are found faster than new entries come, and no claim pays for
/// many. Neighbours are checked together, because memory is read fastest in a row.
const CLAIMS_PER_SWEEP: u32 = 8;
const SWEPT: u32 = 2 * CLAIMS_PER_SWEEP;

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
}

/// The numbers of a route in all shards together. All accesses are `Relaxed`, as with [`Counts`].
#[derive(Debug, Default)]
pub(super) struct RouteCounts {
    /// The number of entries that are held, or about to be inserted under a lock.
    pub(super) held: AtomicUsize,
    /// The next place in the order in which the route uses entries.
    uses: AtomicU64,
}

/// A done entry that could make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim {
    slot: Slot,
    /// The entry's place in the order in which its route used entries, in all shards.
    pub(super) order: u64,
    /// The length of the list in which the entry is the least recently used.
    pub(super) among: usize,
}

/// An entry, as far as a search by an operator looks at it.
#[derive(Debug)]
pub(super) struct Held<'a> {
    entry: &'a Entry,
    /// The digest of route and event id; `None` if the delivery has no id.
    pub(super) event: Option<Mark>,
    /// Whether nothing of the entry is in flight.
    pub(super) is_done: bool,
}

impl Held<'_> {
    /// The claimed key.
    pub(super) fn key(&self) -> ClaimKey {
        self.entry.key()
    }

    /// Whether this request made the entry.
    pub(super) fn is_of_request(&self, request: Mark) -> bool {
        self.entry.is_of_request(request)
    }
}

/// A part of the window, behind its own lock.
#[derive(Debug)]
pub(super) struct Shard {
    // An Arc, because all shards of a window count into it.
    counts: Arc<Counts>,
    index: Index,
    slab: Slab,
    routes: Vec<RouteShare>,
    route_numbers: HashMap<Digest, u32, BuildHasherDefault<Identity>>,
    // The next slot to be swept, and the number of claims since the last sweep.
    hand: Slot,
    claims: u32,
    // The serial of the latest ticket.
    serial: u64,
    // The keys of entries that changed, the latest last, while the window passes to another process.
    noted: Option<Vec<ClaimKey>>,
    // What is to be written down, oldest first; `None`: nothing is.
    told: Option<Vec<Told>>,
    is_elsewhere: bool,
}

/// The entries that a shard holds of a route. It is kept as long as the process lives, because
/// routes come from the configuration and not from the network.
#[derive(Debug)]
struct RouteShare {
    /// The route's digest.
    route: Fingerprint,
    /// The route's done entries, least recently used first.
    done: List,
    /// What the shards count together, by this Arc.
    counts: Arc<RouteCounts>,
    /// The latest moment at which any of the forgotten entries of the route became stale.
    forgotten: Option<UnixMillis>,
}

impl Shard {
    /// An empty shard of the window whose counts are `counts`.
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self {
            counts,
            index: Index::new(),
            slab: Slab::new(),
            routes: Vec::new(),
            route_numbers: HashMap::default(),
            hand: 0,
            claims: 0,
            serial: 0,
            noted: None,
            told: None,
            is_elsewhere: false,
        }
    }

    /// Decides on an arrival by the entries of this shard, and names the entry of its key. A done
    /// entry that denies the arrival counts as used, because an event that is being replayed now
    /// should be evicted last. Its time to live stays as it is.
    pub(super) fn judge(&mut self, arrival: &Arrival, now: Now) -> (Decision, Option<Slot>) {
        let slot = self
            .find(arrival.key)
            .filter(|slot| !self.forget_if_due(*slot, now));
        let stored = match slot {
            Some(slot) => Some(Stored::Entry(self.slab.known(slot, arrival, now))),
            None if self.was_forgotten(arrival) => Some(Stored::Forgotten),
            None => None,
        };
        if let Some(slot) = slot {
            // A copy that was signed later can be replayed for longer than the copy that was
            // forwarded or is in flight.
            if self.slab.fresh_until(slot) < arrival.fresh_until {
                let mut state = self.slab.unpack(slot);
                state.stays_fresh_with(arrival);
                self.slab.pack(slot, state);
                self.note(arrival.key);
                self.tell(slot);
            }
            if self.slab.is_done(slot) {
                self.unlink(slot);
                self.link_as_last_used(slot);
            }
        }
        (decide(stored.as_ref(), arrival), slot)
    }

    /// Takes a granted claim into the entry that its key already has.
    pub(super) fn join(&mut self, slot: Slot, arrival: &Arrival, now: Now) -> Ticket {
        if self.slab.is_done(slot) {
            self.unlink(slot);
        }
        let serial = self.next_serial();
        let mut state = self.slab.unpack(slot);
        state.join(arrival, serial, now);
        self.slab.pack(slot, state);
        self.note(arrival.key);
        Ticket {
            key: arrival.key,
            slot,
            serial,
        }
    }

    /// Forgets the entries that are due among the next few slots, at every eighth call.
    pub(super) fn sweep(&mut self, now: Now) {
        self.claims += 1;
        if self.claims < CLAIMS_PER_SWEEP {
            return;
        }
        self.claims = 0;
        for _ in 0..SWEPT.min(self.slab.slots()) {
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
    /// its counts in all shards. `None` if the numbers for routes run out, which would take
    /// [`ROUTES`] names in the life of a process.
    pub(super) fn route(
        &mut self,
        route: Fingerprint,
        shared: impl FnOnce() -> Arc<RouteCounts>,
    ) -> Option<u32> {
        if let Some(number) = self.route_numbers.get(&Digest::of(route.0)) {
            return Some(*number);
        }
        let number = u32::try_from(self.routes.len()).ok()?;
        if number >= ROUTES {
            return None;
        }
        self.route_numbers.insert(Digest::of(route.0), number);
        self.routes.push(RouteShare {
            route,
            done: List::new(),
            counts: shared(),
            forgotten: None,
        });
        Some(number)
    }

    /// The count of a route's entries in all shards.
    pub(super) fn route_held(&self, route: u32) -> &AtomicUsize {
        &self.share(route).counts.held
    }

    /// Inserts a claim in flight. The caller has counted it for the window and the route. If the
    /// numbers for slots run out, the counts are given back and `None` is returned.
    pub(super) fn insert(&mut self, arrival: &Arrival, route: u32) -> Option<Ticket> {
        let serial = self.next_serial();
        let state = State::in_flight(arrival, serial);
        let inserted = self.slab.insert(arrival.key, arrival.request, route, state);
        let Some(slot) = inserted else {
            self.uncount(route);
            return None;
        };
        self.index.insert(&self.slab, slot);
        self.note(arrival.key);
        Some(Ticket {
            key: arrival.key,
            slot,
            serial,
        })
    }

    /// Settles a claim as done. Nothing happens if it was settled before. `is_stored`: this is
    /// written down already.
    pub(super) fn commit(&mut self, ticket: Ticket, now: Now, is_stored: bool) {
        let Some(slot) = self.slab.holding(ticket.slot, ticket.key) else {
            return;
        };
        let mut state = self.slab.unpack(slot);
        let is_new = state.commit(ticket.serial, now);
        let is_done = state.is_done();
        self.slab.pack(slot, state);
        self.note(ticket.key);
        if is_new && is_done {
            self.link_as_last_used(slot);
        }
        if is_new && !is_stored {
            self.tell(slot);
        }
    }

    /// Settles a claim as released. Nothing happens if it was settled before.
    pub(super) fn release(&mut self, ticket: Ticket) {
        let Some(slot) = self.slab.holding(ticket.slot, ticket.key) else {
            return;
        };
        let mut state = self.slab.unpack(slot);
        let left = state.release(ticket.serial);
        self.slab.pack(slot, state);
        self.note(ticket.key);
        match left {
            Some(Left::Nothing) => self.remove(slot),
            Some(Left::Done) => {
                self.link_as_last_used(slot);
                // The claim may have prolonged the time for which the entry is kept.
                self.tell(slot);
            }
            Some(Left::InFlight) | None => {}
        }
    }

    /// Forgets an entry that is due, if it is the least recently used of any route. Returns whether
    /// there was such an entry.
    pub(super) fn due(&mut self, now: Now) -> bool {
        let heads = self.routes.iter().filter_map(|route| route.done.head());
        let due = heads
            .into_iter()
            .find(|slot| self.slab.is_forgettable(*slot, now));
        due.is_some_and(|slot| self.forget_if_due(slot, now))
    }

    /// The least recently used done entry of `route`.
    pub(super) fn victim(&self, route: Fingerprint) -> Option<Victim> {
        let number = self.route_numbers.get(&Digest::of(route.0))?;
        let own = &self.share(*number).done;
        let slot = own.head()?;
        Some(Victim {
            slot,
            order: own.order(),
            among: own.len(),
        })
    }

    /// Removes a victim, which must have been found under the same hold of the lock. It counts as
    /// evicted unless it was due to be forgotten.
    pub(super) fn evict(&mut self, victim: Victim, now: Now) {
        if self.forget_if_due(victim.slot, now) {
            return;
        }
        let counter = if self.slab.is_fresh(victim.slot, now) {
            &self.counts.evicted_fresh
        } else {
            &self.counts.evicted_old
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.tell_gone(victim.slot);
        self.unlink(victim.slot);
        self.remove(victim.slot);
    }

    /// Every entry for which `wanted` is true, by a scan of all slots.
    pub(super) fn matching(
        &self,
        wanted: impl Fn(&Held<'_>) -> bool,
    ) -> impl Iterator<Item = Held<'_>> {
        (0..self.slab.slots())
            .filter_map(|slot| self.held(slot))
            .filter(wanted)
    }

    /// The number of slots, vacant slots included.
    #[cfg(test)]
    pub(super) fn slots(&self) -> Slot {
        self.slab.slots()
    }

    fn held(&self, slot: Slot) -> Option<Held<'_>> {
        let entry = self.slab.at(slot);
        (entry.phase() != Phase::Vacant).then(|| Held {
            entry,
            event: self.slab.facts(slot).event,
            is_done: self.slab.is_done(slot),
        })
    }

    fn find(&self, key: ClaimKey) -> Option<Slot> {
        self.index.find(&self.slab, key)
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
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
        if !self.slab.is_forgettable(slot, now) {
            return false;
        }
        let fresh_until = self.slab.fresh_until(slot);
        let share = self.share_mut(self.slab.at(slot).route());
        share.forgotten = share.forgotten.max(fresh_until);
        self.unlink(slot);
        self.remove(slot);
        true
    }

    fn link_as_last_used(&mut self, slot: Slot) {
        self.note(self.slab.at(slot).key());
        let route = self.slab.at(slot).route();
        let uses = &self.share(route).counts.uses;
        let order = uses.fetch_add(1, Ordering::Relaxed);
        let (list, slab) = self.route_list(route);
        list.push(slab, slot, order);
    }

    /// Takes a done entry out of the list of its route.
    fn unlink(&mut self, slot: Slot) {
        let route = self.slab.at(slot).route();
        let (list, slab) = self.route_list(route);
        list.remove(slab, slot);
    }

    /// Removes an entry that is in no list, and counts it out of the window and the route.
    fn remove(&mut self, slot: Slot) {
        self.note(self.slab.at(slot).key());
        let route = self.slab.at(slot).route();
        self.index.remove(&self.slab, slot);
        self.slab.vacate(slot);
        self.uncount(route);
    }

    fn uncount(&self, route: u32) {
        self.share(route)
            .counts
            .held
            .fetch_sub(1, Ordering::Relaxed);
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

/// The digest of a route as the key of a map.
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
