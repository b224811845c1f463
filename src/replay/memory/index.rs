//! The index of a shard: from a claim key to its entry, by linear hashing (Litwin, 1980).
//!
//! The number of buckets grows by one whenever there are more than [`FULL`] entries to a bucket, and
//! then the entries of a single bucket are divided between it and the new bucket. So the index never
//! stops to rebuild itself.
//!
//! A bucket is a line of 64 bytes, which is what a processor fetches from memory at once: 15 slots,
//! each with 8 bits of its entry's key. Most new keys share these bits with no entry of their
//! bucket, and then no entry is looked at. To remove an entry, only its bucket is read. So in a large
//! window, a new claim and the entry that goes for it cost one fetch of the index each. What does not
//! fit into a line is in further lines, which the bucket names. A line and its further lines take
//! 7 to 8 bytes an entry.
//!
//! Bits of the key are used as they are. A key is the output of a keyed function whose key the
//! sender does not know, so nobody can choose keys of one bucket. A bucket has 20 entries on average
//! right before it is divided, and 10 after that. So even of the fullest buckets, one in seventy has
//! a third line, and one in a trillion a fifth.

use super::chunks::Chunks;
use super::packed::{NONE, Slot};
use super::slab::{Slab, some};
use crate::verify::claim::ClaimKey;

/// The most entries for each bucket on average. With more of them, many buckets would need further
/// lines; with fewer, an entry would take more than 64 bytes all told.
const FULL: u64 = 10;

/// The index. Its entries are in the slab that each call is given.
#[derive(Debug)]
pub(super) struct Index {
    /// The first line of each bucket.
    buckets: Chunks<Line>,
    /// The lines beyond the first.
    further: Chunks<Line>,
    /// The first of the further lines that no bucket uses. Each names the next.
    free: u32,
    entries: u32,
}

/// A line of a bucket. Places are taken from the first on. The entries of a bucket fill all of its
/// lines but one: that is the second, or the first if there is no second.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line {
    places: [Place; 15],
    /// The number of the next line of the same bucket, or [`NONE`].
    next: u32,
}

/// A slot in the low 24 bits, and 8 bits of its entry's key above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

/// No slot has this number, because [`SLOTS`](super::packed::SLOTS) is smaller.
const EMPTY: Place = Place(u32::MAX);

impl Place {
    fn of(key: ClaimKey, slot: Slot) -> Self {
        Self(Self::tag(key) | slot)
    }

    /// Eight bits of a key. The number of the bucket comes from others.
    fn tag(key: ClaimKey) -> u32 {
        ((key.0 >> 32 & 0xff) as u32) << 24
    }

    fn may_be_of(self, tag: u32) -> bool {
        self.0 & 0xff << 24 == tag && self != EMPTY
    }

    fn slot(self) -> Slot {
        self.0 & 0x00ff_ffff
    }
}

impl Line {
    const EMPTY: Self = Self {
        places: [EMPTY; 15],
        next: NONE,
    };

    fn taken(&self) -> impl Iterator<Item = Place> {
        self.places.into_iter().take_while(|place| *place != EMPTY)
    }

    /// Writes `new` into the first place that is `old`. `false` if there is no such place.
    fn replace(&mut self, old: Place, new: Place) -> bool {
        let found = self.places.iter_mut().find(|place| **place == old);
        found.map(|place| *place = new).is_some()
    }

    /// Empties the last place that is taken, and returns what it held.
    fn pop(&mut self) -> Place {
        let last = self.places.iter_mut().rfind(|place| **place != EMPTY);
        last.map_or(EMPTY, |place| std::mem::replace(place, EMPTY))
    }

    fn is_empty(&self) -> bool {
        self.places.first() == Some(&EMPTY)
    }
}

impl Index {
    /// An index without entries, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            buckets: Chunks::new(),
            further: Chunks::new(),
            free: NONE,
            entries: 0,
        }
    }

    /// The slot of the entry with this key.
    pub(super) fn find(&self, slab: &Slab, key: ClaimKey) -> Option<Slot> {
        let tag = Place::tag(key);
        let mut line = self.buckets.get(self.number(key))?;
        loop {
            let mut slots = line.places.iter().filter(|place| place.may_be_of(tag));
            if let Some(found) = slots.find(|place| slab.at(place.slot()).key() == key) {
                return Some(found.slot());
            }
            line = self.further.at(some(line.next)?);
        }
    }

    /// Adds an entry, whose key must not be in the index.
    pub(super) fn insert(&mut self, slab: &Slab, slot: Slot) {
        self.entries += 1;
        if u64::from(self.entries) > u64::from(self.buckets.len()) * FULL {
            self.grow(slab);
        }
        self.push(slab.at(slot).key(), slot);
    }

    /// Removes an entry, which must be in the index.
    pub(super) fn remove(&mut self, slab: &Slab, slot: Slot) {
        self.entries -= 1;
        let key = slab.at(slot).key();
        let number = self.number(key);
        let removed = Place::of(key, slot);
        let last = self.pop(number);
        if last == removed {
            return;
        }
        let mut line = self.buckets.at_mut(number);
        while !line.replace(removed, last) {
            let Some(next) = some(line.next) else {
                return;
            };
            line = self.further.at_mut(next);
        }
    }

    /// Adds a bucket, and moves into it those entries of an older bucket that belong there now.
    fn grow(&mut self, slab: &Slab) {
        let Some(new) = self.buckets.push(Line::EMPTY) else {
            return;
        };
        // The older bucket is that in which the new number was looked for so far.
        let Some(highest) = new.checked_ilog2() else {
            return;
        };
        let old = new & !(1 << highest);
        let mut line = std::mem::replace(self.buckets.at_mut(old), Line::EMPTY);
        loop {
            for place in line.taken() {
                self.push(slab.at(place.slot()).key(), place.slot());
            }
            let Some(next) = some(line.next) else {
                return;
            };
            line = *self.further.at(next);
            self.set_free(next);
        }
    }

    /// Puts an entry into the bucket of its key.
    fn push(&mut self, key: ClaimKey, slot: Slot) {
        let number = self.number(key);
        let place = Place::of(key, slot);
        let first = self.buckets.at_mut(number);
        let next = first.next;
        let line = match some(next) {
            Some(second) => self.further.at_mut(second),
            None => first,
        };
        if !line.replace(EMPTY, place) {
            let mut line = Line {
                next,
                ..Line::EMPTY
            };
            line.replace(EMPTY, place);
            self.buckets.at_mut(number).next = self.further_line(line);
        }
    }

    /// Takes an entry out of a bucket: one whose place no other entry has to fill.
    fn pop(&mut self, number: u32) -> Place {
        let first = self.buckets.at_mut(number);
        let Some(second) = some(first.next) else {
            return first.pop();
        };
        let line = self.further.at_mut(second);
        let place = line.pop();
        if line.is_empty() {
            first.next = line.next;
            self.set_free(second);
        }
        place
    }

    /// Keeps a further line, and returns its number.
    fn further_line(&mut self, line: Line) -> u32 {
        match some(self.free) {
            Some(number) => {
                self.free = std::mem::replace(self.further.at_mut(number), line).next;
                number
            }
            // Each further line has an entry, so their numbers run out no sooner than those of slots.
            None => self.further.push(line).unwrap_or(NONE),
        }
    }

    fn set_free(&mut self, number: u32) {
        self.further.at_mut(number).next = self.free;
        self.free = number;
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

fn low(key: ClaimKey) -> u32 {
    (key.0 & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::iter::successors;

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

    /// The most entries of a bucket, and the number of all entries.
    fn counted(slab: &Slab, index: &Index) -> (usize, usize) {
        let mut lengths = Vec::new();
        let mut further = 0;
        for number in 0..index.buckets.len() {
            let first = index.buckets.at(number);
            let next = |line: &&Line| some(line.next).map(|number| index.further.at(number));
            let lines: Vec<_> = successors(Some(first), next).collect();
            let mut slots = Vec::new();
            for (place, line) in lines.iter().enumerate() {
                let taken = line.taken().count();
                assert!(line.places[taken..].iter().all(|place| *place == EMPTY));
                assert!(taken == 15 || place == (lines.len() - 1).min(1), "{place}");
                assert!(taken > 0 || place == 0);
                slots.extend(line.taken());
            }
            for place in &slots {
                let key = slab.at(place.slot()).key();
                assert_eq!(index.number(key), number);
                assert_eq!(*place, Place::of(key, place.slot()));
            }
            further += lines.len() - 1;
            lengths.push(slots.len());
        }
        let next = |number: &u32| some(index.further.at(*number).next);
        let free = successors(some(index.free), next).count();
        assert_eq!(further + free, index.further.len() as usize);
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
            // Half of the keys have equal low halves, so that buckets have many lines.
            let key = if step % 2 == 0 {
                (word % 3000) << 64
            } else {
                word
            };
            match map.remove(&key) {
                Some(slot) => {
                    index.remove(&slab, slot);
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
                assert_eq!(counted(&slab, &index).1, map.len());
            }
        }
    }

    /// A bucket is added every tenth time, so each border of growth is crossed with all entries in a
    /// single bucket, and with entries in each bucket.
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
                assert_eq!(counted(&slab, &index).1, slots.len());
            }
            for (place, (key, slot)) in slots.iter().enumerate() {
                index.remove(&slab, *slot);
                slab.vacate(*slot);
                assert_eq!(index.find(&slab, ClaimKey(*key)), None);
                assert_eq!(counted(&slab, &index).1, slots.len() - place - 1);
            }
        }
    }

    #[test]
    fn buckets_and_their_further_lines_are_few() {
        let mut slab = Slab::new();
        let mut index = Index::new();
        for id in 0..20_000 {
            inserted(&mut slab, &mut index, event(1, id).key.0);
            if id % 500 == 499 {
                let lines = index.buckets.len() + index.further.len();
                let bytes = u128::from(lines) * 64 / (id + 1);
                assert!(bytes < 8, "{bytes} for each of {id}");
            }
        }
        let (longest, all) = counted(&slab, &index);
        assert_eq!((all, index.buckets.len()), (20_000, 2000));
        assert!(longest < 45, "{longest}");
    }
}
