//! The places of a shard's entries: slots in chunks, and a linked list for each route through them.
//!
//! Slots are numbers, so linking an entry into lists needs no allocation. Memory is taken chunk by
//! chunk as entries come, and growing moves and copies nothing. This file decides nothing: `shard`
//! chooses which entry leaves.

use super::entry::{Entry, Link, NONE, Slot, UNLINKED};

/// The number of entries per allocation, which takes 32 KiB.
const CHUNK: usize = 256;

/// The slots for entries. A slab never shrinks. The slot that was vacated last is used again first.
#[derive(Debug)]
pub(super) struct Slab {
    chunks: Vec<Vec<Entry>>,
    // The first vacant slot. Vacant slots are chained through their links.
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
            self.vacant = self.at(slot).link.next;
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
        let vacant = self.vacant;
        let entry = self.at_mut(slot);
        entry.vacate();
        entry.link.next = vacant;
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
}

fn some(slot: Slot) -> Option<Slot> {
    (slot != NONE).then_some(slot)
}

/// Entries in the order in which they were pushed. Every operation takes constant time.
#[derive(Debug)]
pub(super) struct List {
    head: Slot,
    tail: Slot,
    len: usize,
}

impl List {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
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

    /// Adds an entry behind all others. It must be in no list.
    pub(super) fn push(&mut self, slab: &mut Slab, slot: Slot) {
        slab.at_mut(slot).link = Link {
            prev: self.tail,
            next: NONE,
        };
        match some(self.tail) {
            Some(tail) => slab.at_mut(tail).link.next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Removes an entry, which must be in this list.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        let Link { prev, next } = std::mem::replace(&mut slab.at_mut(slot).link, UNLINKED);
        match some(prev) {
            Some(prev) => slab.at_mut(prev).link.next = next,
            None => self.head = next,
        }
        match some(next) {
            Some(next) => slab.at_mut(next).link.prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    fn entry(serial: u64) -> Entry {
        Entry::in_flight(&event(1, u128::from(serial)), 0, serial)
    }

    fn forwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(list.head(), |slot| some(slab.at(*slot).link.next)).collect()
    }

    fn backwards(slab: &Slab, list: &List) -> Vec<Slot> {
        std::iter::successors(some(list.tail), |slot| some(slab.at(*slot).link.prev)).collect()
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
        assert!(slab.at(3).is_vacant());
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
            let mut list = List::new();
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
        let mut list = List::new();
        let slot = slab.insert(entry(0)).unwrap();
        for _ in 0..2 {
            list.push(&mut slab, slot);
            assert_eq!((list.head(), list.len()), (Some(slot), 1));
            list.remove(&mut slab, slot);
            assert_eq!((list.head(), list.len(), list.tail), (None, 0, NONE));
        }
    }
}
