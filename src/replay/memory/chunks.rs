//! A sequence that grows piece by piece: growing moves no item, and takes a piece of memory at a
//! time.

/// The number of items per allocation.
const CHUNK: usize = 1024;

/// Items in the order in which they were pushed. None is ever removed.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
}

impl<T> Chunks<T> {
    /// A sequence without items, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }

    /// The number of items.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds an item and returns its number; `None` if the numbers run out, at 2³² − 1.
    pub(super) fn push(&mut self, item: T) -> Option<u32> {
        let number = self.len;
        self.len = number.checked_add(1)?;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
        Some(number)
    }

    /// The item with this number; `None` if there is no such item.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    /// The item with this number, which `push` must have returned.
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by push alone, and no item is ever removed"
    )]
    pub(super) fn at(&self, number: u32) -> &T {
        &self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }

    /// The item with this number, for changes.
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers are made by push alone, and no item is ever removed"
    )]
    pub(super) fn at_mut(&mut self, number: u32) -> &mut T {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_sequence_takes_no_memory() {
        assert_eq!(Chunks::<u64>::new().chunks.capacity(), 0);
    }

    #[test]
    fn items_keep_their_numbers_and_places() {
        let mut chunks = Chunks::new();
        assert_eq!(chunks.push(0), Some(0));
        let first: *const usize = chunks.at(0);
        for item in 1..5000 {
            assert_eq!(chunks.push(item), Some(u32::try_from(item).unwrap()));
        }
        assert_eq!((chunks.len(), *chunks.at(4999)), (5000, 4999));
        assert_eq!((chunks.get(4999), chunks.get(5000)), (Some(&4999), None));
        *chunks.at_mut(1024) = 7;
        assert_eq!((*chunks.at(1023), *chunks.at(1024)), (1023, 7));
        assert!(std::ptr::eq(first, chunks.at(0)));
    }
}
