//! The places of a shard's entries: slots in chunks, and linked lists through them.
//!
//! Slots are numbers, so linking an entry into lists needs no allocation. Memory is taken chunk by
//! chunk as entries come, and growing moves and copies nothing. This file decides nothing: `shard`
//! chooses which entry leaves.

use std::time::Duration;

use crate::clock::{Now, UnixMillis};
use crate::verify::claim::{Arrival, ClaimKey, Fingerprint};

/// The number of an entry's place in its shard's [`Slab`].
pub(super) type Slot = u32;

/// The number of entries per allocation, which takes 32 KiB.
const CHUNK: usize = 256;

/// The state of an entry. For a done entry it also says which list of its shard holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// No entry: the slot can be used again.
    Vacant,
    /// Claimed and not settled. The entry is in no list, so a search through lists cannot evict it.
    InFlight,
    /// Done, with a timestamp that was outside the tolerance when it was last compared: freshness
    /// refuses a replay.
    Stale,
    /// Done, without a timestamp that could become stale: only the entry itself refuses a replay.
    Undated,
    /// Done, with a timestamp that was within the tolerance when it was last compared.
    Fresh,
}

/// A claim, in 128 bytes: two cache lines. To keep that size, flags say which values are present.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: ClaimKey,
    pub(super) body: Fingerprint,
    pub(super) request: Fingerprint,
    event: Fingerprint,
    signed_at: UnixMillis,
    fresh_until: UnixMillis,
    /// In nanoseconds: for an entry in flight its ttl; for a done entry the last moment of the
    /// monotonic clock at which it must be kept.
    pub(super) keep_ns: u64,
    /// For an entry in flight, the serial of its ticket; for a done entry, its place in the order
    /// of use.
    pub(super) order: u64,
    /// The number of the entry's route in the shard.
    pub(super) route: u32,
    pub(super) class: Class,
    has_event: bool,
    is_signed: bool,
    links: [Link; 2],
}

/// The value of [`Entry::fresh_until`] for an entry without a timestamp: it is fresh at no moment.
const UNDATED: UnixMillis = UnixMillis(i64::MIN);

impl Entry {
    /// A claim in flight.
    pub(super) fn in_flight(arrival: &Arrival, route: u32, serial: u64) -> Self {
        Self {
            key: arrival.key,
            body: arrival.body,
            request: arrival.request,
            event: arrival.event.unwrap_or(Fingerprint(0)),
            signed_at: arrival.signed_at.unwrap_or(UNDATED),
            fresh_until: arrival.fresh_until.unwrap_or(UNDATED),
            keep_ns: nanos(arrival.ttl),
            order: serial,
            route,
            class: Class::InFlight,
            has_event: arrival.event.is_some(),
            is_signed: arrival.signed_at.is_some(),
            links: [UNLINKED; 2],
        }
    }

    /// Whether the entry is done: its delivery was forwarded, and the entry prevents a second
    /// forwarding.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.class, Class::Stale | Class::Undated | Class::Fresh)
    }

    /// Whether the signed timestamp is within the tolerance at `wall`.
    pub(super) fn is_fresh(&self, wall: UnixMillis) -> bool {
        wall < self.fresh_until
    }

    /// The moment from which on the entry is stale; `None` if it has no timestamp that becomes
    /// stale.
    pub(super) fn fresh_until(&self) -> Option<UnixMillis> {
        (self.fresh_until != UNDATED).then_some(self.fresh_until)
    }

    /// Keeps the entry at least until a later copy of the same event is stale too.
    pub(super) fn stays_fresh_with(&mut self, copy: &Arrival) {
        self.fresh_until = self.fresh_until.max(copy.fresh_until.unwrap_or(UNDATED));
    }

    /// Whether the entry is done and may be forgotten, which both clocks must allow (contract: The
    /// window). At exactly its ttl it is still kept.
    pub(super) fn is_forgettable(&self, now: Now) -> bool {
        self.is_done() && !self.is_fresh(now.wall) && nanos(now.mono) > self.keep_ns
    }

    /// The class of a done entry at `wall`.
    pub(super) fn class_at(&self, wall: UnixMillis) -> Class {
        if self.fresh_until == UNDATED {
            Class::Undated
        } else if self.is_fresh(wall) {
            Class::Fresh
        } else {
            Class::Stale
        }
    }

    /// The signed timestamp, if there is any.
    pub(super) fn signed_at(&self) -> Option<UnixMillis> {
        self.is_signed.then_some(self.signed_at)
    }

    /// The digest of route and event id; `None` if the delivery has no id.
    pub(super) fn event(&self) -> Option<Fingerprint> {
        self.has_event.then_some(self.event)
    }
}

/// The whole nanoseconds of a time. They suffice for 584 years, and a longer time never ends.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The slots for entries. A slab never shrinks. The slot that was vacated last is used again first.
#[derive(Debug)]
pub(super) struct Slab {
    chunks: Vec<Vec<Entry>>,
    // The first vacant slot. Vacant slots are chained through their route links.
    vacant: Slot,
    len: Slot,
}

impl Slab {
    /// A slab without slots, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: NONE,
            len: 0,
        }
    }

    /// Puts an entry into a slot; `None` if the numbers for slots run out, at 2³² − 1.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Slot> {
        if let Some(slot) = some(self.vacant) {
            self.vacant = self.link(Chain::Route, slot).next;
            *self.at_mut(slot) = entry;
            return Some(slot);
        }
        let slot = some(self.len)?;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
        Some(slot)
    }

    /// Makes a slot vacant. Its entry must be in no list.
    pub(super) fn vacate(&mut self, slot: Slot) {
        self.at_mut(slot).class = Class::Vacant;
        self.link_mut(Chain::Route, slot).next = self.vacant;
        self.vacant = slot;
    }

    /// The number of slots, vacant slots included. All smaller numbers are slots.
    pub(super) fn slots(&self) -> Slot {
        self.len
    }

    /// The entry in a slot of this slab.
    #[expect(
        clippy::indexing_slicing,
        reason = "slots are made by insert alone, and chunks never shrink"
    )]
    pub(super) fn at(&self, slot: Slot) -> &Entry {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    /// The entry in a slot of this slab, for changes.
    #[expect(
        clippy::indexing_slicing,
        reason = "slots are made by insert alone, and chunks never shrink"
    )]
    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    fn link(&self, chain: Chain, slot: Slot) -> Link {
        let [route, class] = self.at(slot).links;
        match chain {
            Chain::Route => route,
            Chain::Class => class,
        }
    }

    fn link_mut(&mut self, chain: Chain, slot: Slot) -> &mut Link {
        let [route, class] = &mut self.at_mut(slot).links;
        match chain {
            Chain::Route => route,
            Chain::Class => class,
        }
    }
}

/// The choice between an entry's two pairs of links. An entry can be in a list of each chain at the
/// same time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chain {
    /// The chain of a route's done entries.
    Route,
    /// The chain of a class's done entries.
    Class,
}

/// The value for "no slot" in a link: an `Option` would double its size.
const NONE: Slot = Slot::MAX;

fn some(slot: Slot) -> Option<Slot> {
    (slot != NONE).then_some(slot)
}

/// The neighbours of an entry in a list.
#[derive(Clone, Copy, Debug)]
struct Link {
    prev: Slot,
    next: Slot,
}

const UNLINKED: Link = Link {
    prev: NONE,
    next: NONE,
};

/// Entries in the order in which they were pushed. Every operation takes constant time.
#[derive(Debug)]
pub(super) struct List {
    chain: Chain,
    head: Slot,
    tail: Slot,
    len: usize,
}

impl List {
    /// An empty list through `chain`.
    pub(super) fn through(chain: Chain) -> Self {
        Self {
            chain,
            head: NONE,
            tail: NONE,
            len: 0,
        }
    }

    /// The entry that was pushed first.
    pub(super) fn head(&self) -> Option<Slot> {
        some(self.head)
    }

    /// How many entries it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry behind all others. It must be in no list of this chain.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: Slot) {
        *slab.link_mut(self.chain, slot) = Link {
            prev: self.tail,
            next: NONE,
        };
        match some(self.tail) {
            Some(tail) => slab.link_mut(self.chain, tail).next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Removes an entry, which must be in this list.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        let Link { prev, next } = std::mem::replace(slab.link_mut(self.chain, slot), UNLINKED);
        match some(prev) {
            Some(prev) => slab.link_mut(self.chain, prev).next = next,
            None => self.head = next,
        }
        match some(next) {
            Some(next) => slab.link_mut(self.chain, next).prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::claim::ClaimKey;

    fn entry(serial: u64) -> Entry {
        let arrival = Arrival {
            key: ClaimKey(u128::from(serial)),
            body: Fingerprint(0),
            signed_at: None,
            route: Fingerprint(0),
            event: None,
            request: Fingerprint(0),
            ttl: Duration::from_secs(60),
            fresh_until: None,
            route_capacity: None,
        };
        Entry::in_flight(&arrival, 0, serial)
    }

    fn forwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(list.head(), |slot| some(slab.link(list.chain, *slot).next)).collect()
    }

    fn backwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(some(list.tail), |slot| {
            some(slab.link(list.chain, *slot).prev)
        })
        .collect()
    }

    #[test]
    fn an_entry_takes_two_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
    }

    #[test]
    fn an_empty_slab_takes_no_memory() {
        assert_eq!(Slab::new().chunks.capacity(), 0);
    }

    #[test]
    fn vacant_slots_are_used_again_before_new_ones() {
        let mut slab = Slab::new();
        for serial in 0..600 {
            assert_eq!(
                slab.insert(entry(serial)),
                Some(Slot::try_from(serial).unwrap())
            );
        }
        slab.vacate(3);
        slab.vacate(500);
        assert_eq!(slab.at(3).class, Class::Vacant);
        let reused = [
            slab.insert(entry(1000)),
            slab.insert(entry(1001)),
            slab.insert(entry(1002)),
        ];
        assert_eq!(reused, [Some(500), Some(3), Some(600)]);
        assert_eq!(
            (slab.at(500).order, slab.at(3).order, slab.slots()),
            (1000, 1001, 601)
        );
    }

    #[test]
    fn a_list_keeps_its_order_whatever_is_taken_out() {
        // The rows remove the first, the middle and the last entry.
        for (out, left) in [(0, vec![1, 2]), (1, vec![0, 2]), (2, vec![0, 1])] {
            let mut slab = Slab::new();
            let mut list = List::through(Chain::Class);
            for serial in 0..3 {
                let slot = slab.insert(entry(serial)).unwrap();
                list.push(&mut slab, slot);
            }
            list.remove(&mut slab, out);
            assert_eq!(forwards(&slab, &list), left);
            assert_eq!(
                backwards(&slab, &list),
                left.iter().rev().copied().collect::<Vec<_>>()
            );
            assert_eq!(list.len(), 2);
            list.push(&mut slab, out);
            assert_eq!(forwards(&slab, &list), [left, vec![out]].concat());
        }
    }

    #[test]
    fn a_list_can_be_emptied_and_filled_again() {
        let mut slab = Slab::new();
        let mut list = List::through(Chain::Route);
        let slot = slab.insert(entry(0)).unwrap();
        for _ in 0..2 {
            list.push(&mut slab, slot);
            assert_eq!((list.head(), list.len()), (Some(slot), 1));
            list.remove(&mut slab, slot);
            assert_eq!((list.head(), list.len(), list.tail), (None, 0, NONE));
        }
    }

    #[test]
    fn the_two_chains_do_not_touch_each_other() {
        let mut slab = Slab::new();
        let (mut route, mut class) = (List::through(Chain::Route), List::through(Chain::Class));
        for serial in 0..3 {
            let slot = slab.insert(entry(serial)).unwrap();
            route.push(&mut slab, slot);
            class.push(&mut slab, slot);
        }
        class.remove(&mut slab, 1);
        assert_eq!(forwards(&slab, &route), [0, 1, 2]);
        assert_eq!(forwards(&slab, &class), [0, 2]);
    }
}
