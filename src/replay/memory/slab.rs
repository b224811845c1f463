//! The places of a shard's entries: slots, and a linked list for each route through them.
//!
//! Slots are numbers, so linking an entry into lists needs no allocation. This file decides
//! nothing: `shard` chooses which entry leaves.

use super::chunks::Chunks;
use super::entry::{Facts, More, Phase, State};
use super::packed::{Entry, Link, NONE, Rare, Slot, UNLINKED};
use crate::clock::{Now, UnixMillis};
use crate::verify::claim::{Arrival, ClaimKey, Known, Mark};

/// The slots for entries. A slab never shrinks. The slot that was vacated last is used again first.
#[derive(Debug)]
pub(super) struct Slab {
    entries: Chunks<Entry>,
    // The first vacant slot. Vacant slots are chained.
    vacant: Slot,
    rares: Chunks<Place>,
    // The first free place for a `Rare`. Free places are chained.
    free: u32,
}

/// A place for the rare parts of an entry.
#[derive(Debug)]
enum Place {
    /// Free, with the number of the next free place.
    Free(u32),
    Taken(Rare),
}

impl Slab {
    /// A slab without slots, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            entries: Chunks::new(),
            vacant: NONE,
            rares: Chunks::new(),
            free: NONE,
        }
    }

    /// Puts an entry into a slot; `None` if the numbers for slots run out, at 2³² − 1.
    pub(super) fn insert(
        &mut self,
        key: ClaimKey,
        request: Mark,
        route: u32,
        state: State,
    ) -> Option<Slot> {
        let slot = match some(self.vacant) {
            Some(slot) => {
                self.vacant = self.at(slot).chain;
                slot
            }
            None => self.entries.push(Entry::vacant())?,
        };
        let entry = self.at_mut(slot);
        entry.name(key, request, route);
        entry.link = UNLINKED;
        self.pack(slot, state);
        Some(slot)
    }

    /// Makes a slot vacant. Its entry must be in no list and in no index.
    pub(super) fn vacate(&mut self, slot: Slot) {
        let vacant = self.vacant;
        self.free_rare(slot);
        let entry = self.at_mut(slot);
        entry.set_phase(Phase::Vacant);
        entry.chain = vacant;
        self.vacant = slot;
    }

    /// The number of slots, vacant slots included. All smaller numbers are slots.
    pub(super) fn slots(&self) -> Slot {
        self.entries.len()
    }

    /// The slot that a ticket names, if it still has the entry of this key.
    pub(super) fn holding(&self, slot: Slot, key: ClaimKey) -> Option<Slot> {
        let entry = self.entries.get(slot)?;
        (entry.phase() != Phase::Vacant && entry.key() == key).then_some(slot)
    }

    /// The entry in a slot of this slab.
    pub(super) fn at(&self, slot: Slot) -> &Entry {
        self.entries.at(slot)
    }

    /// The entry in a slot of this slab, for changes.
    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        self.entries.at_mut(slot)
    }

    /// Takes out the state of an entry, which [`Self::pack`] must put back.
    pub(super) fn unpack(&mut self, slot: Slot) -> State {
        let facts = self.facts(slot);
        let number = self.at(slot).rare();
        let more = match number.map(|number| self.rares.at_mut(number)) {
            Some(Place::Taken(rare)) => rare.take_more(),
            Some(Place::Free(_)) | None => None,
        };
        let entry = self.at(slot);
        State {
            facts,
            phase: entry.phase(),
            serial: entry.serial(),
            keep_s: entry.keep_s,
            more,
        }
    }

    /// Puts the state of an entry into its slot. If the first variant is in flight, the entry must be
    /// in no list.
    pub(super) fn pack(&mut self, slot: Slot, state: State) {
        self.free_rare(slot);
        let entry = self.at_mut(slot);
        entry.set_phase(state.phase);
        if state.phase.is_in_flight() {
            entry.set_serial(state.serial);
        }
        entry.keep_s = state.keep_s;
        if state.more.is_none() && entry.keep(&state.facts) {
            return;
        }
        let rare = Place::Taken(Rare::new(&state.facts, state.more));
        let number = match some(self.free) {
            Some(number) => {
                let place = self.rares.at_mut(number);
                if let Place::Free(next) = std::mem::replace(place, rare) {
                    self.free = next;
                }
                number
            }
            // There are not more rare parts than slots, so their numbers cannot run out.
            None => self.rares.push(rare).unwrap_or(NONE),
        };
        self.at_mut(slot).set_rare(number);
    }

    /// The facts of an entry.
    pub(super) fn facts(&self, slot: Slot) -> Facts {
        self.rare(slot)
            .map_or_else(|| self.at(slot).facts(), Rare::facts)
    }

    /// The entry as the decision about `arrival` sees it.
    pub(super) fn known(&self, slot: Slot, arrival: &Arrival, now: Now) -> Known {
        let phase = self.at(slot).phase();
        self.facts(slot).known(phase, self.more(slot), arrival, now)
    }

    /// Whether nothing of the entry is in flight; `false` for a vacant slot.
    pub(super) fn is_done(&self, slot: Slot) -> bool {
        self.at(slot).phase() == Phase::Done && !self.more(slot).is_some_and(More::is_in_flight)
    }

    /// The moment from which on the entry is stale; `None` if it has no timestamp that becomes
    /// stale.
    pub(super) fn fresh_until(&self, slot: Slot) -> Option<UnixMillis> {
        match self.rare(slot) {
            Some(rare) => rare.facts().fresh_until,
            None => self.at(slot).fresh_until(),
        }
    }

    /// Whether a replay of the entry's delivery would be let through if the entry were not there:
    /// within the tolerance, and without a timestamp until the ttl is over.
    pub(super) fn is_fresh(&self, slot: Slot, now: Now) -> bool {
        match self.fresh_until(slot) {
            Some(until) => now.wall < until,
            None => !self.is_over(slot, now),
        }
    }

    /// Whether the entry is done and may be forgotten, which both clocks must allow (contract: The
    /// window). At exactly its ttl it is still kept.
    pub(super) fn is_forgettable(&self, slot: Slot, now: Now) -> bool {
        self.at(slot).phase() == Phase::Done
            && self.is_over(slot, now)
            && self.fresh_until(slot).is_none_or(|until| now.wall >= until)
            && self.is_done(slot)
    }

    /// Whether the ttl has passed.
    fn is_over(&self, slot: Slot, now: Now) -> bool {
        now.mono > std::time::Duration::from_secs(u64::from(self.at(slot).keep_s))
    }

    fn more(&self, slot: Slot) -> Option<&More> {
        self.rare(slot)?.more()
    }

    fn rare(&self, slot: Slot) -> Option<&Rare> {
        match self.rares.get(self.at(slot).rare()?)? {
            Place::Taken(rare) => Some(rare),
            Place::Free(_) => None,
        }
    }

    fn free_rare(&mut self, slot: Slot) {
        if let Some(number) = self.at(slot).rare() {
            *self.rares.at_mut(number) = Place::Free(self.free);
            self.free = number;
            self.at_mut(slot).keep(&Facts::default());
        }
    }
}

/// A slot or number that is not [`NONE`].
pub(super) fn some(slot: Slot) -> Option<Slot> {
    (slot != NONE).then_some(slot)
}

/// Entries in the order in which they were pushed. Every operation takes constant time.
#[derive(Debug)]
pub(super) struct List {
    head: Slot,
    tail: Slot,
    len: usize,
    // The place of the head in the order of use.
    order: u64,
}

impl List {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            len: 0,
            order: 0,
        }
    }

    /// The entry that was pushed first.
    pub(super) fn head(&self) -> Option<Slot> {
        some(self.head)
    }

    /// The place of the head in the order of use. Entries keep the low 16 bits of theirs, which
    /// count on from the place of the head. So it is exact as long as neighbours in the list were
    /// used within 65,536 uses of the same route in all shards, and too low otherwise.
    pub(super) fn order(&self) -> u64 {
        self.order
    }

    /// How many entries it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry behind all others. It must be in no list, and `order` must grow from call to
    /// call.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: Slot, order: u64) {
        let entry = slab.at_mut(slot);
        entry.link = Link {
            prev: self.tail,
            next: NONE,
        };
        entry.order = low(order);
        match some(self.tail) {
            Some(tail) => slab.at_mut(tail).link.next = slot,
            None => {
                self.head = slot;
                self.order = order;
            }
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Removes an entry, which must be in this list.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        let Link { prev, next } = std::mem::replace(&mut slab.at_mut(slot).link, UNLINKED);
        match (some(prev), some(next)) {
            (Some(prev), _) => slab.at_mut(prev).link.next = next,
            (None, Some(head)) => {
                let further = slab.at(head).order.wrapping_sub(low(self.order));
                self.order += u64::from(further);
                self.head = head;
            }
            (None, None) => self.head = NONE,
        }
        match some(next) {
            Some(next) => slab.at_mut(next).link.prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }
}

fn low(order: u64) -> u16 {
    (order & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    fn inserted(slab: &mut Slab, serial: u64) -> Option<Slot> {
        let arrival = event(1, u128::from(serial));
        let state = State::in_flight(&arrival, serial);
        slab.insert(arrival.key, arrival.request, 0, state)
    }

    fn forwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(list.head(), |slot| some(slab.at(*slot).link.next)).collect()
    }

    fn backwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(some(list.tail), |slot| some(slab.at(*slot).link.prev)).collect()
    }

    #[test]
    fn vacant_slots_are_used_again_before_new_ones() {
        let mut slab = Slab::new();
        for serial in 0..600 {
            assert_eq!(
                inserted(&mut slab, serial),
                Some(Slot::try_from(serial).unwrap())
            );
        }
        slab.vacate(3);
        slab.vacate(500);
        assert!(!slab.is_done(3));
        assert_eq!(slab.holding(3, event(1, 3).key), None);
        let reused = [1000, 1001, 1002].map(|serial| inserted(&mut slab, serial));
        assert_eq!(reused, [Some(500), Some(3), Some(600)]);
        assert_eq!(
            (slab.at(500).serial(), slab.at(3).serial(), slab.slots()),
            (1000, 1001, 601)
        );
        assert_eq!(slab.holding(3, event(1, 1001).key), Some(3));
        assert_eq!(slab.holding(3, event(1, 3).key), None);
        assert_eq!(slab.holding(700, event(1, 3).key), None);
    }

    #[test]
    fn places_of_rare_parts_are_used_again() {
        let mut slab = Slab::new();
        let rare = |id: u64| Arrival {
            path: Some(Mark(id)),
            event: None,
            ..event(1, u128::from(id))
        };
        for round in 0..3 {
            let slots: Vec<_> = (0..400)
                .map(|id| {
                    let arrival = rare(round * 1000 + id);
                    let state = State::in_flight(&arrival, id);
                    slab.insert(arrival.key, arrival.request, 0, state).unwrap()
                })
                .collect();
            for (id, slot) in (0..).zip(&slots) {
                assert_eq!(slab.facts(*slot).path, Some(Mark(round * 1000 + id)));
                let mut state = slab.unpack(*slot);
                state.facts.path = (id % 2 == 0).then_some(Mark(id));
                slab.pack(*slot, state);
                assert_eq!(slab.at(*slot).rare().is_some(), id % 2 == 0);
            }
            for (id, slot) in (0..).zip(slots) {
                let path = slab.facts(slot).path;
                assert_eq!(path, (id % 2 == 0).then_some(Mark(id)));
                slab.vacate(slot);
            }
        }
        assert_eq!((slab.slots(), slab.rares.len()), (400, 400));
    }

    #[test]
    fn a_list_keeps_its_order_whatever_is_taken_out() {
        // The rows remove the first, the middle and the last entry.
        for (out, left, order) in [
            (0, vec![1, 2], 70_001),
            (1, vec![0, 2], 70_000),
            (2, vec![0, 1], 70_000),
        ] {
            let mut slab = Slab::new();
            let mut list = List::new();
            for serial in 0..3 {
                let slot = inserted(&mut slab, serial).unwrap();
                list.push(&mut slab, slot, 70_000 + serial);
            }
            list.remove(&mut slab, out);
            assert_eq!(forwards(&slab, &list), left);
            assert_eq!(
                backwards(&slab, &list),
                left.iter().rev().copied().collect::<Vec<_>>()
            );
            assert_eq!((list.len(), list.order()), (2, order));
            list.push(&mut slab, out, 90_000);
            assert_eq!(forwards(&slab, &list), [left, vec![out]].concat());
        }
    }

    #[test]
    fn the_order_of_the_head_counts_on_over_sixteen_bits() {
        let mut slab = Slab::new();
        let mut list = List::new();
        let orders: Vec<u64> = (1..300).map(|step| step * 60_001).collect();
        for (serial, order) in (0..).zip(&orders) {
            let slot = inserted(&mut slab, serial).unwrap();
            list.push(&mut slab, slot, *order);
        }
        for order in orders {
            assert_eq!(list.order(), order);
            list.remove(&mut slab, list.head().unwrap());
        }
    }

    #[test]
    fn a_list_can_be_emptied_and_filled_again() {
        let mut slab = Slab::new();
        let mut list = List::new();
        let slot = inserted(&mut slab, 0).unwrap();
        for order in [5, 100_000] {
            list.push(&mut slab, slot, order);
            assert_eq!(
                (list.head(), list.len(), list.order()),
                (Some(slot), 1, order)
            );
            list.remove(&mut slab, slot);
            assert_eq!((list.head(), list.len(), list.tail), (None, 0, NONE));
        }
    }
}
