//! Deliveries by the moment at which they are due: a heap that knows the place of each, so that any
//! of them can be taken out.

use super::entry::Entries;

/// A heap of deliveries. [`super::entry::Entry::before`] is the place of each.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: Vec<u32>,
}

impl Timers {
    /// The one that is due first.
    pub(super) fn first(&self) -> Option<u32> {
        self.heap.first().copied()
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        self.heap.iter().copied()
    }

    /// The one that is due first, without the one of this number.
    pub(super) fn first_other(&self, entries: &Entries, number: u64) -> Option<u32> {
        let first = self.first()?;
        if entries.at(first).number != number {
            return Some(first);
        }
        let children = [self.heap.get(1), self.heap.get(2)];
        let children = children.into_iter().flatten().copied();
        children.min_by_key(|slot| key(entries, *slot))
    }

    pub(super) fn insert(&mut self, entries: &mut Entries, slot: u32) {
        self.heap.push(slot);
        self.rise(entries, self.heap.len() - 1, slot);
    }

    /// Takes a delivery out that is in this heap.
    pub(super) fn remove(&mut self, entries: &mut Entries, slot: u32) {
        let Ok(place) = usize::try_from(entries.at(slot).before) else {
            return;
        };
        debug_assert_eq!(self.heap.get(place), Some(&slot));
        let Some(last) = self.heap.pop() else {
            return;
        };
        if last != slot {
            // The last one takes the place, and is moved to where it belongs.
            let place = self.rise(entries, place, last);
            self.sink(entries, place, last);
        }
        if self.heap.is_empty() {
            self.heap = Vec::new();
        }
    }

    /// Puts a delivery at a place, or higher as long as its parents are due later.
    fn rise(&mut self, entries: &mut Entries, mut place: usize, slot: u32) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            match self.heap.get(parent).copied() {
                Some(above) if key(entries, above) > key(entries, slot) => {
                    self.put(entries, place, above);
                    place = parent;
                }
                _ => break,
            }
        }
        self.put(entries, place, slot);
        place
    }

    /// Puts a delivery at a place, or lower as long as its children are due earlier.
    fn sink(&mut self, entries: &mut Entries, mut place: usize, slot: u32) {
        loop {
            let children = [2 * place + 1, 2 * place + 2].into_iter();
            let known = children.filter_map(|child| Some((child, *self.heap.get(child)?)));
            match known.min_by_key(|(_, below)| key(entries, *below)) {
                Some((child, below)) if key(entries, below) < key(entries, slot) => {
                    self.put(entries, place, below);
                    place = child;
                }
                _ => break,
            }
        }
        self.put(entries, place, slot);
    }

    fn put(&mut self, entries: &mut Entries, place: usize, slot: u32) {
        if let Some(at) = self.heap.get_mut(place) {
            *at = slot;
            entries.at_mut(slot).before = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }
}

fn key(entries: &Entries, slot: u32) -> (i64, u64) {
    let entry = entries.at(slot);
    (entry.due, entry.number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::queue::entry::Entry;
    use crate::queue::{DeliveryId, Number};

    #[test]
    fn any_delivery_can_be_taken_out_and_the_first_is_always_the_one_due_first() {
        let mut entries = Entries::default();
        let mut timers = Timers::default();
        let mut model: BTreeSet<(i64, u64, u32)> = BTreeSet::new();
        let mut random = 1_u64;
        for number in 0..5000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let draw = random >> 33;
            if draw.is_multiple_of(3) && !model.is_empty() {
                let place = usize::try_from(draw / 3).unwrap() % model.len();
                let gone = *model.iter().nth(place).unwrap();
                model.remove(&gone);
                timers.remove(&mut entries, gone.2);
            } else {
                let due = i64::try_from(draw % 500).unwrap();
                let slot = entries.insert(Entry {
                    due,
                    ..Entry::new(Number(number), DeliveryId(0))
                });
                timers.insert(&mut entries, slot);
                model.insert((due, number, slot));
            }
            assert_eq!(timers.heap.len(), model.len());
            let mut first = model.iter();
            let expected = first.next();
            assert_eq!(timers.first(), expected.map(|(_, _, slot)| *slot));
            if let Some((_, number, slot)) = expected {
                let second = first.next().map(|(_, _, slot)| *slot);
                assert_eq!(timers.first_other(&entries, *number), second);
                assert_eq!(timers.first_other(&entries, u64::MAX), Some(*slot));
            }
        }
    }
}
