//! Deliveries in an order, in which any of them can come and go: a heap that knows the place of each.

use super::entry::{Entries, Entry};

/// The order of deliveries in a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By the moment at which they are due.
    ByTime,
    /// By their number, which is that of their acceptance.
    ByNumber,
}

/// A heap of deliveries. [`Entry::before`] is the place of each.
#[derive(Debug)]
pub(super) struct Heap {
    order: Order,
    slots: Vec<u32>,
}

impl Heap {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            slots: Vec::new(),
        }
    }

    /// The first one in the order.
    pub(super) fn first(&self) -> Option<u32> {
        self.slots.first().copied()
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().copied()
    }

    /// The first one in the order, without the one of this number.
    pub(super) fn first_other(&self, entries: &Entries, number: u64) -> Option<u32> {
        let first = self.first()?;
        if entries.at(first).number != number {
            return Some(first);
        }
        let children = [self.slots.get(1), self.slots.get(2)];
        let children = children.into_iter().flatten().copied();
        children.min_by_key(|slot| self.key(entries, *slot))
    }

    pub(super) fn insert(&mut self, entries: &mut Entries, slot: u32) {
        self.slots.push(slot);
        self.rise(entries, self.slots.len() - 1, slot);
    }

    /// Takes a delivery out that is in this heap.
    pub(super) fn remove(&mut self, entries: &mut Entries, slot: u32) {
        let Ok(place) = usize::try_from(entries.at(slot).before) else {
            return;
        };
        debug_assert_eq!(self.slots.get(place), Some(&slot));
        let Some(last) = self.slots.pop() else {
            return;
        };
        if last != slot {
            // The last one takes the place, and is moved to where it belongs.
            let place = self.rise(entries, place, last);
            self.sink(entries, place, last);
        }
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
    }

    /// Puts a delivery at a place, or higher as long as its parents come later in the order.
    fn rise(&mut self, entries: &mut Entries, mut place: usize, slot: u32) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            match self.slots.get(parent).copied() {
                Some(above) if self.key(entries, above) > self.key(entries, slot) => {
                    self.put(entries, place, above);
                    place = parent;
                }
                _ => break,
            }
        }
        self.put(entries, place, slot);
        place
    }

    /// Puts a delivery at a place, or lower as long as its children come earlier.
    fn sink(&mut self, entries: &mut Entries, mut place: usize, slot: u32) {
        loop {
            let children = [2 * place + 1, 2 * place + 2].into_iter();
            let known = children.filter_map(|child| Some((child, *self.slots.get(child)?)));
            match known.min_by_key(|(_, below)| self.key(entries, *below)) {
                Some((child, below)) if self.key(entries, below) < self.key(entries, slot) => {
                    self.put(entries, place, below);
                    place = child;
                }
                _ => break,
            }
        }
        self.put(entries, place, slot);
    }

    fn put(&mut self, entries: &mut Entries, place: usize, slot: u32) {
        if let Some(at) = self.slots.get_mut(place) {
            *at = slot;
            entries.at_mut(slot).before = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }

    fn key(&self, entries: &Entries, slot: u32) -> (i64, u64) {
        let Entry { due, number, .. } = entries.at(slot);
        match self.order {
            Order::ByTime => (*due, *number),
            Order::ByNumber => (0, *number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::queue::{DeliveryId, Number};

    #[test]
    fn any_delivery_can_be_taken_out_and_the_first_is_always_the_one_that_comes_first() {
        for order in [Order::ByTime, Order::ByNumber] {
            let mut entries = Entries::default();
            let mut heap = Heap::new(order);
            let mut model: BTreeSet<(i64, u64, u32)> = BTreeSet::new();
            let mut random = 1_u64;
            for number in 0..5000_u64 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let draw = random >> 33;
                // No number is there twice.
                let number = (draw << 16) | number;
                if draw.is_multiple_of(3) && !model.is_empty() {
                    let place = usize::try_from(draw / 3).unwrap() % model.len();
                    let gone = *model.iter().nth(place).unwrap();
                    model.remove(&gone);
                    heap.remove(&mut entries, gone.2);
                } else {
                    let due = i64::try_from(draw % 500).unwrap();
                    let slot = entries.insert(Entry {
                        due,
                        ..Entry::new(Number(number), DeliveryId(0))
                    });
                    heap.insert(&mut entries, slot);
                    let due = if order == Order::ByTime { due } else { 0 };
                    model.insert((due, number, slot));
                }
                assert_eq!(heap.slots.len(), model.len());
                let mut first = model.iter();
                let expected = first.next();
                assert_eq!(heap.first(), expected.map(|(_, _, slot)| *slot));
                if let Some((_, number, slot)) = expected {
                    let second = first.next().map(|(_, _, slot)| *slot);
                    assert_eq!(heap.first_other(&entries, *number), second);
                    assert_eq!(heap.first_other(&entries, u64::MAX), Some(*slot));
                }
            }
        }
    }
}
