//! Deliveries by their number, in order.

use std::collections::BTreeMap;

use super::slab::NONE;

/// The numbers of a page.
const PAGE: u64 = 16;

/// The places of a page.
type Slots = [u32; 16];

/// Where the deliveries are, by pages of [`PAGE`] numbers: numbers follow each other, so a page of a
/// backlog is full.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pages: BTreeMap<u64, Box<Slots>>,
}

impl Numbers {
    pub(super) fn get(&self, number: u64) -> Option<u32> {
        let slots = self.pages.get(&(number / PAGE))?;
        slots
            .get(within(number))
            .copied()
            .filter(|slot| *slot != NONE)
    }

    pub(super) fn insert(&mut self, number: u64, slot: u32) {
        let page = self.pages.entry(number / PAGE);
        let slots = page.or_insert_with(|| Box::new([NONE; 16]));
        if let Some(place) = slots.get_mut(within(number)) {
            *place = slot;
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(slots) = self.pages.get_mut(&(number / PAGE)) else {
            return;
        };
        if let Some(place) = slots.get_mut(within(number)) {
            *place = NONE;
        }
        if slots.iter().all(|slot| *slot == NONE) {
            self.pages.remove(&(number / PAGE));
        }
    }

    /// The deliveries from this number on, in order.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, u32)> {
        let pages = self.pages.range(number / PAGE..);
        let all = pages.flat_map(|(page, slots)| {
            let numbers = (0..PAGE).map(move |within| page * PAGE + within);
            numbers.zip(slots.iter().copied())
        });
        all.filter(move |(found, slot)| *found >= number && *slot != NONE)
    }
}

fn within(number: u64) -> usize {
    usize::try_from(number % PAGE).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_follow_in_order() {
        let mut numbers = Numbers::default();
        for number in [1, 15, 16, 17, 5000, u64::MAX] {
            numbers.insert(number, 7);
        }
        numbers.remove(16);
        numbers.remove(2);
        numbers.remove(999);
        assert_eq!([1, 2, 16].map(|n| numbers.get(n)), [Some(7), None, None]);
        let from = |number| numbers.from(number).map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(from(0), [1, 15, 17, 5000, u64::MAX]);
        assert_eq!(from(15), [15, 17, 5000, u64::MAX]);
        assert_eq!(from(18), [5000, u64::MAX]);
        for number in [1, 15, 17, 5000, u64::MAX] {
            numbers.remove(number);
        }
        assert!(numbers.pages.is_empty());
    }
}
