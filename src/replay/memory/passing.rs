//! The window as it passes to another process (contract: Upgrade).
//!
//! The former owner copies shard by shard, while it goes on deciding, and notes what changes. Then
//! it sends the changes, which are few, freezes the shards with the last ones, and decides nothing
//! more. If the other process does not take over, it thaws the shards and goes on as if nothing had
//! been. The monotonic clocks of both must agree.

use std::collections::HashSet;

use super::{MemoryWindow, Settled, lock};
use crate::clock::Now;
use crate::replay::Claimed;
use crate::replay::journal::Written;
use crate::replay::passing::{Change, Kept};
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint};

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
        self.shards.get(shard).map_or_else(Vec::new, |shard| {
            let mut shard = lock(shard);
            drop(self.write_down(&mut shard));
            shard.freeze()
        })
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
            Change::Done(arrival, at) => {
                let counts = self.route_count(arrival.route);
                lock(self.home(arrival.key)).take_over_done(arrival, *at, counts);
            }
            Change::Forgotten(..) | Change::Serial(_) => {
                for shard in &self.shards {
                    lock(shard).take_over_beside(change, |route| self.route_count(route));
                }
            }
        }
    }

    /// Takes a change over from a journal beside the one that was taken over before. An entry that is
    /// known better here stays as it is.
    pub fn take_beside(&self, change: &Change) {
        match change {
            Change::Entry(kept) if lock(self.home(kept.key)).knows_more(kept) => {}
            Change::Gone(_) => {}
            other => self.take_over(other),
        }
    }

    /// The routes that have entries.
    pub fn routes(&self) -> HashSet<Fingerprint> {
        self.largest_routes().into_iter().collect()
    }

    /// Puts the done entries of a route in the order of time, after they were taken over from two
    /// journals one after the other. Neither has the moments of all uses, so an entry counts as used
    /// when the time began for which it is kept: the one that ends first is the oldest. It takes 24
    /// bytes for each entry of the route.
    pub fn put_in_order(&self, route: Fingerprint) {
        let mut all = Vec::new();
        for (number, shard) in (0_u32..).zip(&self.shards) {
            let shard = lock(shard);
            let used = shard.used(route);
            all.extend(used.map(|(until, order, slot)| (until, order, number, slot)));
        }
        all.sort_unstable();
        for (number, shard) in (0_u32..).zip(&self.shards) {
            let own = (0_u64..).zip(&all).filter(|(_, entry)| entry.2 == number);
            lock(shard).put_in_order(route, own.map(|(order, entry)| (entry.3, order)));
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

    /// The entry of a key.
    pub(in crate::replay) fn entry(&self, key: ClaimKey) -> Option<Kept> {
        lock(self.home(key)).entry(key)
    }

    /// The ticket of a claim of which another window knows the key and the serial.
    #[cfg(test)]
    pub(super) fn ticket(&self, key: ClaimKey, serial: u64) -> Option<crate::replay::Ticket> {
        lock(self.home(key)).ticket(key, serial)
    }

    /// Settles a claim of which another process knows the key and the serial, as [`settle`] does.
    ///
    /// [`settle`]: Self::settle
    pub(in crate::replay) fn settle_named(
        &self,
        (key, serial): (ClaimKey, u64),
        how: Settled,
    ) -> Option<Written> {
        let ticket = lock(self.home(key)).ticket(key, serial)?;
        // A window that has passed on answers for nobody.
        self.settle(ticket, how).ok().flatten()
    }

    /// Releases a claim in flight, and returns its delivery; `None` if there is no such claim.
    pub(in crate::replay) fn let_go(&self, (key, serial): (ClaimKey, u64)) -> Option<Arrival> {
        let mut shard = lock(self.home(key));
        let ticket = shard.ticket(key, serial)?;
        let arrival = shard.arrival(ticket)?;
        shard.release(ticket);
        drop(self.write_down(&mut shard));
        Some(arrival)
    }

    /// Notes that a delivery was done whose claim was [let go](Self::let_go). The claim of a copy that
    /// is in flight counts as settled from then on.
    pub(in crate::replay) fn note_done(&self, arrival: &Arrival, now: Now) -> Option<Written> {
        let ticket = match self.try_claim(arrival, now) {
            Ok((Claimed::Granted(ticket), _)) => ticket,
            Ok((Claimed::Denied(Decision::InFlight), _)) => {
                lock(self.home(arrival.key)).ticket_of(arrival)?
            }
            // It is known as done already. A window in which all is in flight has no room for it.
            Ok((Claimed::Denied(_), written)) => return written,
            Err(_) => return None,
        };
        self.settle(ticket, Settled::Done(now)).ok().flatten()
    }
}
