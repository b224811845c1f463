//! The index of a shard: from a claim key to its entry, by linear hashing (Litwin, 1980).
//!
//! A bucket names its first entry, and each entry the next of its bucket. The number of buckets
//! grows by one whenever there are more than [`FULL`] entries to a bucket, and then the entries of
//! a single bucket are divided between it and the new bucket. So the index never stops to rebuild
//! itself. A bucket takes 8 bytes, 3.6 an entry.
//!
//! A bucket also has a filter of 32 bits: a bit for each of its entries, chosen by the key. Most new
//! keys are not in the filter, and then no entry is looked at. That is the common claim: it reads a
//! bucket, and memory that was used just before.
//!
//! Bits of the key are used as they are. A key is the output of a keyed function whose key the
//! sender does not know, so nobody can choose keys of one bucket.

use super::chunks::Chunks;
use super::packed::{NONE, Slot};
use super::slab::{Slab, some};
use crate::verify::claim::ClaimKey;

/// The most entries for each bucket on average, as a fraction. Few are in a bucket's chain, and
/// buckets take little memory.
const FULL: (u64, u64) = (9, 4);

/// The index. Its entries are in the slab that each call is given.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Chunks<Bucket>,
    entries: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: Slot,
    filter: u32,
}

impl Bucket {
    const EMPTY: Self = Self {
        first: NONE,
        filter: 0,
    };

    /// Puts an entry in front of the chain.
    fn push(&mut self, slab: &mut Slab, slot: Slot) {
        let entry = slab.at_mut(slot);
        entry.chain = self.first;
        self.filter |= filter_bit(entry.key());
        self.first = slot;
    }
}

impl Index {
    /// An index without entries, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            buckets: Chunks::new(),
            entries: 0,
        }
    }

    /// The slot of the entry with this key.
    pub(super) fn find(&self, slab: &Slab, key: ClaimKey) -> Option<Slot> {
        let bucket = self.buckets.get(self.number(key))?;
        if bucket.filter & filter_bit(key) == 0 {
            return None;
        }
        let mut next = bucket.first;
        while let Some(slot) = some(next) {
            let entry = slab.at(slot);
            if entry.key() == key {
                return Some(slot);
            }
            next = entry.chain;
        }
        None
    }

    /// Adds an entry, whose key must not be in the index.
    pub(super) fn insert(&mut self, slab: &mut Slab, slot: Slot) {
        let (entries, buckets) = FULL;
        self.entries += 1;
        if u64::from(self.entries) * buckets > u64::from(self.buckets.len()) * entries {
            self.grow(slab);
        }
        let number = self.number(slab.at(slot).key());
        self.buckets.at_mut(number).push(slab, slot);
    }

    /// Removes an entry, which must be in the index.
    pub(super) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        self.entries -= 1;
        let number = self.number(slab.at(slot).key());
        let bucket = self.buckets.at_mut(number);
        // The chain is built again without the entry, because its bit of the filter may belong to
        // another entry as well.
        let mut next = std::mem::replace(bucket, Bucket::EMPTY).first;
        while let Some(each) = some(next) {
            next = slab.at(each).chain;
            if each != slot {
                bucket.push(slab, each);
            }
        }
    }

    /// Adds a bucket, and moves into it those entries of an older bucket that belong there now.
    fn grow(&mut self, slab: &mut Slab) {
        let Some(new) = self.buckets.push(Bucket::EMPTY) else {
            return;
        };
        // The older bucket is that in which the new number was looked for so far.
        let Some(highest) = new.checked_ilog2() else {
            return;
        };
        let old = new & !(1 << highest);
        let mut next = std::mem::replace(self.buckets.at_mut(old), Bucket::EMPTY).first;
        while let Some(slot) = some(next) {
            let entry = slab.at(slot);
            next = entry.chain;
            let number = self.number(entry.key());
            self.buckets.at_mut(number).push(slab, slot);
        }
    }

    /// The number of a key's bucket: as many low bits of the key as number all buckets, or a bit
    /// less if there is no such bucket yet. 0 if there is no bucket at all.
    fn number(&self, key: ClaimKey) -> u32 {
        let buckets = self.buckets.len();
        let Some(highest) = buckets.saturating_sub(1).checked_ilog2() else {
            return 0;
        };
        let half = (1 << highest) - 1;
        let number = low(key) & (half << 1 | 1);
        if number < buckets {
            number
        } else {
            number & half
        }
    }
}

/// The bit of a key in the filter of its bucket. It comes from other bits than the number.
fn filter_bit(key: ClaimKey) -> u32 {
    1 << (key.0 >> 32 & 31)
}

fn low(key: ClaimKey) -> u32 {
    (key.0 & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::event;
    use super::*;
    use crate::replay::memory::entry::State;
    use crate::verify::claim::{Arrival, Mark};

    fn inserted(slab: &mut Slab, index: &mut Index, key: u128) -> Slot {
        let arrival = Arrival {
            key: ClaimKey(key),
            ..event(1, 1)
        };
        let state = State::in_flight(&arrival, 1);
        let slot = slab
            .insert(arrival.key, Mark(0), 0, state)
            .expect("there are slots");
        index.insert(slab, slot);
        slot
    }

    /// The longest chain, and the number of all entries in chains.
    fn chains(slab: &Slab, index: &Index) -> (usize, usize) {
        let mut lengths = Vec::new();
        for number in 0..index.buckets.len() {
            let first = some(index.buckets.at(number).first);
            let chain = std::iter::successors(first, |slot| some(slab.at(*slot).chain));
            let mut filter = 0;
            let mut length = 0;
            for slot in chain {
                let key = slab.at(slot).key();
                assert_eq!(index.number(key), number);
                filter |= filter_bit(key);
                length += 1;
            }
            assert_eq!(filter, index.buckets.at(number).filter, "bucket {number}");
            lengths.push(length);
        }
        (
            lengths.iter().copied().max().unwrap_or(0),
            lengths.iter().sum(),
        )
    }

    #[test]
    fn it_finds_what_a_map_finds_whatever_comes_and_goes() {
        let mut slab = Slab::new();
        let mut index = Index::new();
        let mut map = HashMap::new();
        assert_eq!(index.find(&slab, ClaimKey(1)), None);
        let mut word = 1_u128;
        for step in 0..6000_u128 {
            word = word.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645) + 1;
            // Half of the keys have equal low halves, so that chains are long.
            let key = if step % 2 == 0 {
                (word % 3000) << 64
            } else {
                word
            };
            match map.remove(&key) {
                Some(slot) => {
                    index.remove(&mut slab, slot);
                    slab.vacate(slot);
                }
                None => {
                    map.insert(key, inserted(&mut slab, &mut index, key));
                }
            }
            assert_eq!(
                index.find(&slab, ClaimKey(key)),
                map.get(&key).copied(),
                "step {step}"
            );
            if step % 500 == 0 {
                for (key, slot) in &map {
                    assert_eq!(index.find(&slab, ClaimKey(*key)), Some(*slot));
                }
                assert_eq!(chains(&slab, &index).1, map.len());
            }
        }
    }

    /// A bucket is added every second or third time, so each border of growth is crossed in both
    /// directions: with few entries, all of a bucket, and with an entry of each bucket.
    #[test]
    fn every_key_is_found_after_every_step_of_growth() {
        for spread in [1, 1 << 32, (1 << 32) - 1, 0x9e37_79b9_7f4a_7c15] {
            let mut slab = Slab::new();
            let mut index = Index::new();
            let mut slots = Vec::new();
            for number in 0..300 {
                let key = number * spread;
                slots.push((key, inserted(&mut slab, &mut index, key)));
                for (key, slot) in &slots {
                    assert_eq!(index.find(&slab, ClaimKey(*key)), Some(*slot), "{number}");
                }
                assert_eq!(index.find(&slab, ClaimKey((number + 1) * spread)), None);
                assert_eq!(chains(&slab, &index).1, slots.len());
            }
            for (place, (key, slot)) in slots.iter().enumerate() {
                index.remove(&mut slab, *slot);
                slab.vacate(*slot);
                assert_eq!(index.find(&slab, ClaimKey(*key)), None);
                assert_eq!(chains(&slab, &index).1, slots.len() - place - 1);
            }
        }
    }

    #[test]
    fn chains_stay_short_and_buckets_few() {
        let mut slab = Slab::new();
        let mut index = Index::new();
        for id in 0..20_000 {
            inserted(&mut slab, &mut index, event(1, id).key.0);
        }
        let (longest, all) = chains(&slab, &index);
        assert_eq!((all, index.buckets.len()), (20_000, 8889));
        assert!(longest < 24, "{longest}");
    }
}
