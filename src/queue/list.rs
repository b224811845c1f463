//! Lists of deliveries, linked through their entries: each delivery is in one list at most.

use super::entry::Entries;
use super::slab::NONE;

/// A list of deliveries.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl List {
    pub(super) fn is_empty(self) -> bool {
        self.first == NONE
    }

    /// The first one, or [`NONE`].
    pub(super) fn first(self) -> u32 {
        self.first
    }

    pub(super) fn push_front(&mut self, entries: &mut Entries, slot: u32) {
        self.insert_after(entries, NONE, slot);
    }

    pub(super) fn push_back(&mut self, entries: &mut Entries, slot: u32) {
        self.insert_after(entries, self.last, slot);
    }

    /// Adds a delivery behind all with a lower number, as far as these are at the end: deliveries are
    /// added in the order of acceptance but for a few that overtook each other.
    pub(super) fn push_by_number(&mut self, entries: &mut Entries, slot: u32) {
        let number = entries.at(slot).number;
        let mut place = self.last;
        while place != NONE && entries.at(place).number > number {
            place = entries.at(place).before;
        }
        self.insert_after(entries, place, slot);
    }

    /// Adds a delivery behind the one at `place`, or as the first one at [`NONE`].
    fn insert_after(&mut self, entries: &mut Entries, place: u32, slot: u32) {
        let after = if place == NONE {
            std::mem::replace(&mut self.first, slot)
        } else {
            std::mem::replace(&mut entries.at_mut(place).after, slot)
        };
        if after == NONE {
            self.last = slot;
        } else {
            entries.at_mut(after).before = slot;
        }
        let entry = entries.at_mut(slot);
        entry.before = place;
        entry.after = after;
    }

    /// Takes a delivery out that is in this list.
    pub(super) fn remove(&mut self, entries: &mut Entries, slot: u32) {
        let entry = entries.at_mut(slot);
        let before = std::mem::replace(&mut entry.before, NONE);
        let after = std::mem::replace(&mut entry.after, NONE);
        if before == NONE {
            self.first = after;
        } else {
            entries.at_mut(before).after = after;
        }
        if after == NONE {
            self.last = before;
        } else {
            entries.at_mut(after).before = before;
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::entry::Entry;
    use crate::queue::{DeliveryId, Number};

    fn numbers(list: List, entries: &Entries) -> Vec<u64> {
        let mut found = Vec::new();
        let mut slot = list.first();
        while slot != NONE {
            found.push(entries.at(slot).number);
            slot = entries.at(slot).after;
        }
        found
    }

    #[test]
    fn those_that_overtook_each_other_are_put_in_order() {
        let mut entries = Entries::default();
        let slots: Vec<u32> = (0..8)
            .map(|number| entries.insert(Entry::new(Number(number), DeliveryId(0))))
            .collect();
        let mut list = List::default();
        for place in [2, 4, 3, 6, 5, 0] {
            list.push_by_number(&mut entries, slots[place]);
        }
        assert_eq!(numbers(list, &entries), [0, 2, 3, 4, 5, 6]);
        // One that was sent to the end stays in front of those that come after it.
        list.remove(&mut entries, slots[2]);
        list.push_back(&mut entries, slots[2]);
        list.push_by_number(&mut entries, slots[7]);
        list.push_by_number(&mut entries, slots[1]);
        assert_eq!(numbers(list, &entries), [0, 1, 3, 4, 5, 6, 2, 7]);
        list.remove(&mut entries, slots[7]);
        list.remove(&mut entries, slots[0]);
        list.push_front(&mut entries, slots[7]);
        assert_eq!(numbers(list, &entries), [7, 1, 3, 4, 5, 6, 2]);
        for place in [3, 4, 5, 6, 1, 2, 7] {
            list.remove(&mut entries, slots[place]);
        }
        assert!(list.is_empty());
    }
}
