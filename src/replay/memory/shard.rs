//! A shard of the memory window: its entries, and which of them makes room (contract: The window).
//!
//! Everything here runs under the shard's lock and takes constant time, except [`Shard::matching`],
//! which only an operator's command calls. [`super`] makes room across shards.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::slab::{Chain, Class, Entry, List, Slab, Slot, nanos};
use crate::clock::{Now, UnixMillis};
use crate::replay::Ticket;
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint, Stored, decide};

/// The slots that each claim checks for entries to be forgotten. A claim fills at most a single
/// slot, so entries are found faster than new entries come, and no claim pays for many.
const SWEPT_PER_CLAIM: u32 = 2;

/// The entries that a search for a victim moves from [`Class::Fresh`] to [`Class::Stale`], and
/// back, at most. This bounds the cost of a step of the wall clock for a single claim.
const RECLASSED_PER_SEARCH: usize = 8;

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
    /// The number of entries evicted for room that were within the tolerance.
    pub(super) evicted_fresh: AtomicU64,
    /// The next place in the order of use, which is also the next serial.
    order: AtomicU64,
}

/// The reasons why a done entry may make room, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Both clocks allow the entry to be forgotten.
    Forgettable,
    /// Freshness refuses a replay of the entry.
    Stale,
    /// The entry has no timestamp, so nothing says how long a replay of it is a danger.
    Undated,
    /// The entry is of the arriving route.
    Own,
    /// The entry is of another route and within its tolerance.
    Foreign,
}

/// A done entry that could make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim {
    slot: Slot,
    pub(super) rank: Rank,
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
    stale: List,
    undated: List,
    fresh: List,
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
            stale: List::through(Chain::Class),
            undated: List::through(Chain::Class),
            fresh: List::through(Chain::Class),
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
            Some(entry) if entry.is_done() => Some(Stored::Done {
                body: entry.body,
                signed_at: entry.signed_at(),
            }),
            Some(_) => Some(Stored::InFlight),
            None if self.was_forgotten(arrival) => Some(Stored::Forgotten),
            None => None,
        };
        if let (Some(slot), Some(Stored::Done { .. })) = (slot, &stored) {
            self.unlink(slot);
            // A copy that was signed later can be replayed for longer than the copy that was
            // forwarded.
            self.slab.at_mut(slot).stays_fresh_with(arrival);
            self.link_as_last_used(slot, now);
        }
        decide(stored.as_ref(), arrival)
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
            if self.forget_if_due(slot, now) {
                continue;
            }
            let entry = self.slab.at(slot);
            if entry.class == Class::Fresh && !entry.is_fresh(now.wall) {
                self.reclass(slot, Class::Stale);
            }
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
                done: List::through(Chain::Route),
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
        let Some(slot) = self.find_claim(ticket) else {
            return;
        };
        let entry = self.slab.at_mut(slot);
        entry.keep_ns = entry.keep_ns.saturating_add(nanos(now.mono));
        self.link_as_last_used(slot, now);
    }

    /// Settles a claim as released. Nothing happens if it was settled before.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if let Some(slot) = self.find_claim(ticket) {
            self.remove(slot);
        }
    }

    /// The done entry that would make room for an entry of `route`, in the order of [`Rank`].
    pub(super) fn victim(&mut self, route: Fingerprint, now: Now) -> Option<Victim> {
        self.reclass_heads(now);
        let fresh_again = |slot: &Slot| self.slab.at(*slot).is_fresh(now.wall);
        let due = |slot: &Slot| self.slab.at(*slot).is_forgettable(now);
        let stale = self.stale.head().filter(|slot| !fresh_again(slot));
        let undated = self.undated.head();
        let own = self.own_list(route);
        let (slot, rank, list) = if let Some(slot) = stale.filter(due) {
            (slot, Rank::Forgettable, &self.stale)
        } else if let Some(slot) = undated.filter(due) {
            (slot, Rank::Forgettable, &self.undated)
        } else if let Some(slot) = stale {
            (slot, Rank::Stale, &self.stale)
        } else if let Some(slot) = undated {
            (slot, Rank::Undated, &self.undated)
        } else if let Some((slot, own)) = own.and_then(|own| Some((own.head()?, own))) {
            (slot, Rank::Own, own)
        } else if let Some(slot) = self.fresh.head() {
            (slot, Rank::Foreign, &self.fresh)
        } else {
            // After a step back of the wall clock, more entries are fresh again than
            // `reclass_heads` has just moved.
            (self.stale.head()?, Rank::Foreign, &self.stale)
        };
        Some(Victim {
            slot,
            rank,
            order: self.slab.at(slot).order,
            among: list.len(),
        })
    }

    /// The least recently used done entry of `route`.
    pub(super) fn own_victim(&self, route: Fingerprint) -> Option<Victim> {
        let own = self.own_list(route)?;
        let slot = own.head()?;
        Some(Victim {
            slot,
            rank: Rank::Own,
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
        let fresh = self.slab.at(victim.slot).is_fresh(now.wall);
        let counter = if fresh {
            &self.counts.evicted_fresh
        } else {
            &self.counts.evicted_old
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.remove(victim.slot);
    }

    /// Every entry for which `wanted` is true, by a scan of all slots.
    pub(super) fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> impl Iterator<Item = &Entry> {
        (0..self.slab.slots())
            .map(|slot| self.slab.at(slot))
            .filter(move |entry| entry.class != Class::Vacant && wanted(entry))
    }

    /// Drops the done entry of `key` for an operator, and returns whether there was such an entry.
    pub(super) fn forget(&mut self, key: ClaimKey) -> bool {
        let done = self.find(key).filter(|slot| self.slab.at(*slot).is_done());
        if let Some(slot) = done {
            self.remove(slot);
        }
        done.is_some()
    }

    fn find(&self, key: ClaimKey) -> Option<Slot> {
        self.index.get(&Digest::of(key.0)).copied()
    }

    fn find_claim(&self, ticket: Ticket) -> Option<Slot> {
        self.find(ticket.key).filter(|slot| {
            let entry = self.slab.at(*slot);
            entry.class == Class::InFlight && entry.order == ticket.serial
        })
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
        self.remove(slot);
        true
    }

    fn reclass_heads(&mut self, now: Now) {
        for _ in 0..RECLASSED_PER_SEARCH {
            match self.fresh.head() {
                Some(slot) if !self.slab.at(slot).is_fresh(now.wall) => {
                    self.reclass(slot, Class::Stale);
                }
                _ => break,
            }
        }
        for _ in 0..RECLASSED_PER_SEARCH {
            match self.stale.head() {
                Some(slot) if self.slab.at(slot).is_fresh(now.wall) => {
                    self.reclass(slot, Class::Fresh);
                }
                _ => break,
            }
        }
    }

    /// Moves an entry to the list of another class. Its place in the list of its route stays the
    /// same.
    fn reclass(&mut self, slot: Slot, class: Class) {
        let before = std::mem::replace(&mut self.slab.at_mut(slot).class, class);
        if let (Some(list), slab) = self.class_list(before) {
            list.remove(slab, slot);
        }
        if let (Some(list), slab) = self.class_list(class) {
            list.push(slab, slot);
        }
    }

    fn link_as_last_used(&mut self, slot: Slot, now: Now) {
        let order = self.counts.order.fetch_add(1, Ordering::Relaxed);
        let entry = self.slab.at_mut(slot);
        entry.order = order;
        entry.class = entry.class_at(now.wall);
        let (route, class) = (entry.route, entry.class);
        if let (Some(list), slab) = self.class_list(class) {
            list.push(slab, slot);
        }
        let (list, slab) = self.route_list(route);
        list.push(slab, slot);
    }

    /// Removes a done entry from its two lists.
    fn unlink(&mut self, slot: Slot) {
        let entry = self.slab.at(slot);
        let (route, class) = (entry.route, entry.class);
        if let (Some(list), slab) = self.class_list(class) {
            list.remove(slab, slot);
            let (list, slab) = self.route_list(route);
            list.remove(slab, slot);
        }
    }

    /// Removes an entry, done or in flight, and counts it out of the window and the route.
    fn remove(&mut self, slot: Slot) {
        self.unlink(slot);
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

    /// The list of a class, beside the slab through which it runs. Entries of some classes are in
    /// no list, and then it is `None`.
    fn class_list(&mut self, class: Class) -> (Option<&mut List>, &mut Slab) {
        let list = match class {
            Class::Vacant | Class::InFlight => None,
            Class::Stale => Some(&mut self.stale),
            Class::Undated => Some(&mut self.undated),
            Class::Fresh => Some(&mut self.fresh),
        };
        (list, &mut self.slab)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by route alone, and routes are never removed"
    )]
    fn route_list(&mut self, route: u32) -> (&mut List, &mut Slab) {
        (&mut self.routes[route as usize].done, &mut self.slab)
    }

    fn own_list(&self, route: Fingerprint) -> Option<&List> {
        self.route_numbers
            .get(&Digest::of(route.0))
            .map(|number| &self.share(*number).done)
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
