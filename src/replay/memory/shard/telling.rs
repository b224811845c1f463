//! What a shard does, as it is written down (contract: The window on disk).
//!
//! Written are entries of which something is done, whenever that changes, and that such an entry was
//! evicted, or forgotten by an operator. An entry that is forgotten in its time is not mentioned: who
//! reads it later forgets it too. A claim in flight is none of it.

use super::super::packed::Slot;
use super::Shard;
use crate::replay::journal::Told;
use crate::replay::passing::Change;
use crate::verify::claim::ClaimKey;

impl Shard {
    /// Begins to tell what is done.
    pub(in super::super) fn begin_telling(&mut self) {
        self.told.get_or_insert_default();
    }

    /// Takes what was told since the last call; `None`: nothing.
    pub(in super::super) fn take_told(&mut self) -> Option<Vec<Told>> {
        let told = self.told.as_mut().filter(|told| !told.is_empty())?;
        Some(std::mem::take(told))
    }

    /// Every entry of which something is done.
    pub(in super::super) fn tell_all(&mut self) {
        for slot in 0..self.slab.slots() {
            if self.held(slot).is_some() {
                self.tell(slot);
            }
        }
    }

    /// Drops the done entry of `key` for an operator, and returns whether there was such an entry.
    pub(in super::super) fn forget(&mut self, key: ClaimKey) -> bool {
        let done = self.find(key).filter(|slot| self.slab.is_done(*slot));
        if let Some(slot) = done {
            self.tell_gone(slot);
            self.unlink(slot);
            self.remove(slot);
        }
        done.is_some()
    }

    /// Tells an entry as it is now.
    pub(super) fn tell(&mut self, slot: Slot) {
        if self.told.is_none() {
            return;
        }
        let kept = self.kept(slot, None);
        if let Some(told) = self.told.as_mut().filter(|_| kept.was_done()) {
            told.push((kept.route, Change::Entry(kept)));
        }
    }

    /// Tells that an entry of which something was done is no more.
    pub(super) fn tell_gone(&mut self, slot: Slot) {
        let entry = self.slab.at(slot);
        let (key, route) = (entry.key(), self.share(entry.route()).route);
        if let Some(told) = &mut self.told {
            told.push((route, Change::Gone(key)));
        }
    }
}
