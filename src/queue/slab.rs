//! Values at places that do not move, in blocks: it grows without copying what it holds.

/// The values of a block.
const BLOCK: usize = 1024;

/// The place of no value.
pub(super) const NONE: u32 = u32::MAX;

#[cfg(test)]
thread_local! {
    /// The looks at values so far: tests measure by them what a call costs.
    pub(super) static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Values at places from 0. A place is used again once its value was taken.
#[derive(Debug)]
pub(super) struct Slab<T> {
    blocks: Vec<Box<[T]>>,
    /// The places that were ever used.
    used: u32,
    free: Vec<u32>,
    /// What is found at a place that does not exist. No place of that kind is ever kept.
    nowhere: T,
}

impl<T: Default> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            let place = self.used;
            self.used += 1;
            place
        });
        if split(place).0 == self.blocks.len() {
            self.blocks
                .push(std::iter::repeat_with(T::default).take(BLOCK).collect());
        }
        *self.at_mut(place) = value;
        place
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, place: u32) -> T {
        let value = std::mem::take(self.at_mut(place));
        self.free.push(place);
        // The memory of a backlog that is gone is given back.
        if self.free.len() == usize::try_from(self.used).unwrap_or(usize::MAX) {
            *self = Self::default();
        }
        value
    }

    pub(super) fn at(&self, place: u32) -> &T {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let (block, within) = split(place);
        let found = self.blocks.get(block).and_then(|block| block.get(within));
        debug_assert!(found.is_some(), "no place {place}");
        found.unwrap_or(&self.nowhere)
    }

    pub(super) fn at_mut(&mut self, place: u32) -> &mut T {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let (block, within) = split(place);
        let found = self
            .blocks
            .get_mut(block)
            .and_then(|block| block.get_mut(within));
        debug_assert!(found.is_some(), "no place {place}");
        found.unwrap_or(&mut self.nowhere)
    }
}

impl<T: Default> Default for Slab<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            used: 0,
            free: Vec::new(),
            nowhere: T::default(),
        }
    }
}

/// The block of a place, and the place within it.
fn split(place: u32) -> (usize, usize) {
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    (place / BLOCK, place % BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_memory_is_given_back_when_all_are_free() {
        let mut slab = Slab::default();
        let places: Vec<u32> = (0..3000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.blocks.len(), 3);
        for (place, value) in places.iter().zip(0..) {
            assert_eq!(*slab.at(*place), value);
        }
        assert_eq!(slab.take(7), 7);
        assert_eq!(slab.insert(9), 7);
        for place in places {
            slab.take(place);
        }
        assert!(slab.blocks.is_empty() && slab.free.is_empty());
        assert_eq!(slab.insert(1), 0);
    }
}
