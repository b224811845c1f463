//! The window as it passes to another process (contract: Upgrade).
//!
//! The former owner copies shard by shard, while it goes on deciding, and notes what changes. Then
//! it sends the changes, which are few, freezes the shards with the last ones, and decides nothing
//! more. If the other process does not take over, it thaws the shards and goes on as if nothing had
//! been. The monotonic clocks of both must agree.

use super::{MemoryWindow, lock};
use crate::clock::Now;
use crate::replay::Ticket;
use crate::replay::passing::Change;
use crate::verify::claim::ClaimKey;

impl MemoryWindow {
    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Every entry of a shard. From now on its changes are noted. Claims of the shard wait meanwhile:
    /// some milliseconds for 60,000 entries.
    pub fn copy(&self, shard: usize) -> Vec<Change> {
        self.shards
            .get(shard)
            .map_or_else(Vec::new, |shard| lock(shard).copy())
    }

    /// What has changed in a shard since the last call, or since it was copied.
    pub fn changes(&self, shard: usize) -> Vec<Change> {
        self.shards
            .get(shard)
            .map_or_else(Vec::new, |shard| lock(shard).changes())
    }

    /// The last changes of a shard. From now on every question about it is answered
    /// [`Elsewhere`](crate::replay::WindowError::Elsewhere).
    pub fn freeze(&self, shard: usize) -> Vec<Change> {
        self.shards
            .get(shard)
            .map_or_else(Vec::new, |shard| lock(shard).freeze())
    }

    /// Decides here again, whatever was copied or frozen.
    pub fn thaw(&self) {
        for shard in &self.shards {
            lock(shard).thaw();
        }
    }

    /// Takes a change over from another window, whose number of shards does not matter.
    pub fn take_over(&self, change: &Change) {
        match change {
            Change::Entry(kept) => {
                let counts = self.route_count(kept.route);
                lock(self.home(kept.key)).take_over(kept, counts);
            }
            Change::Gone(key) => lock(self.home(*key)).drop_entry(*key),
            Change::Forgotten(..) | Change::Serial(_) => {
                for shard in &self.shards {
                    lock(shard).take_over_beside(change, |route| self.route_count(route));
                }
            }
        }
    }

    /// Evicts what was taken over beyond the capacity, as far as it is not in flight.
    pub fn fit(&self, now: Now) {
        use std::sync::atomic::Ordering::Relaxed;
        while self.counts.held.load(Relaxed) > self.capacity {
            if self.evict_from(&self.largest_routes(), now).is_err() {
                return;
            }
        }
    }

    /// The keys and serials of all claims in flight.
    pub fn in_flight(&self) -> Vec<(ClaimKey, u64)> {
        let shards = self.shards.iter();
        shards.flat_map(|shard| lock(shard).in_flight()).collect()
    }

    /// The ticket of a claim of which another process knows the key and the serial; `None` if there is
    /// no entry of that key.
    pub fn ticket(&self, key: ClaimKey, serial: u64) -> Option<Ticket> {
        lock(self.home(key)).ticket(key, serial)
    }
}
