//! The places of a shard's entries: slots, and a linked list for each route through them.
//!
//! Slots are numbers, so linking an entry into lists needs no allocation. This file decides
//! nothing: `shard` chooses which entry leaves.

use std::collections::BTreeMap;

use super::chunks::Chunks;
use super::entry::{Facts, More, Phase, State};
use super::packed::{Entry, Link, NONE, Rare, SLOTS, Slot, UNLINKED};
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

    /// Puts an entry into a slot; `None` if the numbers for slots run out, at [`SLOTS`].
    pub(super) fn insert(
        &mut self,
        key: ClaimKey,
        request: Mark,
        route: u32,
        state: State,
    ) -> Option<Slot> {
        let slot = match some(self.vacant) {
            Some(slot) => {
                self.vacant = self.at(slot).link.next;
                slot
            }
            None if self.slots() < SLOTS => self.entries.push(Entry::vacant())?,
            None => return None,
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
        entry.link.next = vacant;
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

    /// The parts of the entry that few entries have.
    pub(super) fn more(&self, slot: Slot) -> Option<&More> {
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

/// Entries in the order in which they were pushed, and their places in the order of use.
///
/// An entry has room for the step from the entry in front of it, unless that is a long one. A long
/// step comes about only by tens of thousands of uses of the route, so there are few.
#[derive(Debug)]
pub(super) struct List {
    head: Slot,
    tail: Slot,
    len: usize,
    // The places of the head and of the tail in the order of use.
    first: u64,
    pub(super) last: u64,
    // The steps of the entries with the step `LONG`.
    long: BTreeMap<Slot, u64>,
}

/// The least step for which an entry has no room.
const LONG: u16 = u16::MAX;

impl List {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            len: 0,
            first: 0,
            last: 0,
            long: BTreeMap::new(),
        }
    }

    /// The entry that was pushed first.
    pub(super) fn head(&self) -> Option<Slot> {
        some(self.head)
    }

    /// The place of the head in the order of use.
    pub(super) fn order(&self) -> u64 {
        self.first
    }

    /// Its entries from the first to the last, each with its place in the order of use.
    pub(super) fn walk(&self, slab: &Slab) -> impl Iterator<Item = (Slot, u64)> {
        let first = self.head().map(|slot| (slot, self.first));
        std::iter::successors(first, |(slot, order)| {
            let next = some(slab.at(*slot).link.next)?;
            let long = self.long.get(&next).copied();
            Some((next, order + long.unwrap_or(slab.at(next).step.into())))
        })
    }

    /// How many entries it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry behind all others. It must be in no list, and `order` must grow from call to
    /// call.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: Slot, order: u64) {
        slab.at_mut(slot).link = Link {
            prev: self.tail,
            next: NONE,
        };
        match some(self.tail) {
            Some(tail) => {
                slab.at_mut(tail).link.next = slot;
                self.set_step(slab, slot, order.saturating_sub(self.last));
            }
            None => {
                self.head = slot;
                self.first = order;
            }
        }
        self.tail = slot;
        self.last = order;
        self.len += 1;
    }

    /// Removes an entry, which must be in this list.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        let Link { prev, next } = std::mem::replace(&mut slab.at_mut(slot).link, UNLINKED);
        match (some(prev), some(next)) {
            (Some(prev), Some(next)) => {
                let step = self.take_step(slab, slot) + self.take_step(slab, next);
                self.set_step(slab, next, step);
                slab.at_mut(prev).link.next = next;
                slab.at_mut(next).link.prev = prev;
            }
            (Some(prev), None) => {
                self.last -= self.take_step(slab, slot);
                slab.at_mut(prev).link.next = NONE;
                self.tail = prev;
            }
            (None, Some(next)) => {
                self.first += self.take_step(slab, next);
                slab.at_mut(next).link.prev = NONE;
                self.head = next;
            }
            (None, None) => (self.head, self.tail) = (NONE, NONE),
        }
        self.len -= 1;
    }

    fn set_step(&mut self, slab: &mut Slab, slot: Slot, step: u64) {
        let short = u16::try_from(step).unwrap_or(LONG);
        if short == LONG {
            self.long.insert(slot, step);
        }
        slab.at_mut(slot).step = short;
    }

    /// The step from the entry in front, which there must be. It is to be set anew, or the entry
    /// has become the first or has left the list.
    fn take_step(&mut self, slab: &Slab, slot: Slot) -> u64 {
        let short = slab.at(slot).step;
        let long = (short == LONG).then(|| self.long.remove(&slot)).flatten();
        long.unwrap_or(u64::from(short))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

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

    /// The steps are short, as long as an entry has just room for, longer by one, and far longer;
    /// and sums of short steps are long.
    #[test]
    fn the_order_of_the_head_is_exact_however_long_the_steps() {
        const STEPS: [u64; 6] = [1, 40_000, 65_534, 65_535, 65_536, 1 << 40];
        let mut slab = Slab::new();
        let mut list = List::new();
        let mut model = VecDeque::new();
        let mut vacant: Vec<_> = (0..40)
            .map(|serial| inserted(&mut slab, serial).unwrap())
            .collect();
        let (mut order, mut word) = (0, 1_u64);
        for _ in 0..20_000 {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let place = usize::try_from(word >> 33).unwrap();
            if (word >> 32) % 2 == 0
                && let Some(slot) = vacant.pop()
            {
                order += STEPS[place % STEPS.len()];
                list.push(&mut slab, slot, order);
                model.push_back((slot, order));
            } else if !model.is_empty() {
                // Ends are taken more often than any other place.
                let place = [0, model.len() - 1, place % model.len()][place % 3];
                let (slot, _) = model.remove(place).unwrap();
                list.remove(&mut slab, slot);
                vacant.push(slot);
            }
            let head = (list.head(), list.order(), list.len());
            let first = model.front().copied();
            assert_eq!(head.0, first.map(|(slot, _)| slot));
            assert!(first.is_none_or(|(_, order)| head.1 == order), "{model:?}");
            assert_eq!(head.2, model.len());
            assert_eq!(list.long.len(), {
                let steps = model.iter().zip(model.iter().skip(1));
                steps.filter(|(one, two)| two.1 - one.1 >= 65_535).count()
            });
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
