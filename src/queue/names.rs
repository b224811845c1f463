//! Deliveries by their id.

use super::DeliveryId;
use super::entry::{Entries, Entry};
use super::slab::NONE;

/// A table of the places of deliveries, at the hash of their ids or behind it. It holds 4 bytes for
/// each, at most three quarters full, where a map of the standard library would hold the id too.
#[derive(Debug, Default)]
pub(super) struct Names {
    slots: Vec<u32>,
    used: usize,
}

impl Names {
    pub(super) fn find(&self, entries: &Entries, id: DeliveryId) -> Option<u32> {
        self.place(entries, id)
            .and_then(|place| self.slots.get(place))
            .copied()
    }

    pub(super) fn insert(&mut self, entries: &Entries, slot: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let grown = (self.slots.len() * 2).max(16);
            let old = std::mem::replace(&mut self.slots, vec![NONE; grown]);
            for slot in old.into_iter().filter(|slot| *slot != NONE) {
                self.put(entries, slot);
            }
        }
        self.put(entries, slot);
        self.used += 1;
    }

    pub(super) fn remove(&mut self, entries: &Entries, id: DeliveryId) {
        let Some(mut hole) = self.place(entries, id) else {
            return;
        };
        // Those behind it move up, so that each is found without a gap between its hash and it.
        let mut place = self.next(hole);
        loop {
            let slot = self.at(place);
            if slot == NONE {
                break;
            }
            let home = self.home(entries.at(slot).id());
            let distance = |from: usize| place.wrapping_sub(from) & (self.slots.len() - 1);
            if distance(home) >= distance(hole) {
                self.set(hole, slot);
                hole = place;
            }
            place = self.next(place);
        }
        self.set(hole, NONE);
        self.used -= 1;
        if self.used == 0 {
            self.slots = Vec::new();
        }
    }

    fn put(&mut self, entries: &Entries, slot: u32) {
        let mut place = self.home(entries.at(slot).id());
        while self.at(place) != NONE {
            place = self.next(place);
        }
        self.set(place, slot);
    }

    fn place(&self, entries: &Entries, id: DeliveryId) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut place = self.home(id);
        loop {
            match self.at(place) {
                NONE => return None,
                slot if entries.at(slot).id() == id => return Some(place),
                _ => place = self.next(place),
            }
        }
    }

    /// The place at which the search for an id begins.
    fn home(&self, id: DeliveryId) -> usize {
        let hash = usize::try_from(Entry::hash(id) >> 32).unwrap_or(0);
        hash & (self.slots.len() - 1)
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.slots.len() - 1)
    }

    fn at(&self, place: usize) -> u32 {
        self.slots.get(place).copied().unwrap_or(NONE)
    }

    fn set(&mut self, place: usize, slot: u32) {
        if let Some(at) = self.slots.get_mut(place) {
            *at = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::queue::Number;

    #[test]
    fn ids_are_found_while_others_come_and_go() {
        let mut entries = Entries::default();
        let mut names = Names::default();
        let mut model = BTreeMap::new();
        let mut random = 1_u64;
        for number in 0..20_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Few different ids, and such that many begin at the same place.
            let id = DeliveryId(u128::from(random >> 55));
            match model.remove(&id) {
                Some(slot) => {
                    names.remove(&entries, id);
                    entries.take(slot);
                }
                None => {
                    let slot = entries.insert(Entry::new(Number(number), id));
                    names.insert(&entries, slot);
                    model.insert(id, slot);
                }
            }
            assert_eq!(names.used, model.len());
            for id in (0..512).step_by(37).map(DeliveryId) {
                assert_eq!(names.find(&entries, id), model.get(&id).copied());
            }
        }
    }
}
