//! A shard as it passes to another process: what it has, what has changed since then, and what it
//! takes over (contract: Upgrade).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::entry::{Facts, More, Phase, State};
use super::super::packed::Slot;
use super::{Digest, RouteCounts, Shard};
use crate::clock::Now;
use crate::replay::Ticket;
use crate::replay::passing::{self, Change, Kept, Variant};
use crate::verify::claim::{Arrival, ClaimKey, Decision, Fingerprint};

impl Shard {
    /// Whether another process has the window, so that nothing may be decided here.
    pub(in super::super) fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Notes that the entry of `key` has changed, if anybody follows the changes.
    pub(super) fn note(&mut self, key: ClaimKey) {
        if let Some(noted) = &mut self.noted {
            noted.push(key);
        }
    }

    /// Every entry, each route's done ones in the order of their use. From now on changes are noted.
    pub(in super::super) fn copy(&mut self) -> Vec<Change> {
        self.noted = Some(Vec::new());
        let slots = 0..self.slab.slots();
        let mut all = Vec::with_capacity(self.slab.slots() as usize);
        for route in &self.routes {
            let done = route.done.walk(&self.slab);
            all.extend(done.map(|(slot, order)| Change::Entry(self.kept(slot, Some(order)))));
        }
        let is_in_flight =
            |slot: &Slot| self.slab.at(*slot).phase() != Phase::Vacant && !self.slab.is_done(*slot);
        let in_flight = slots.filter(is_in_flight);
        all.extend(in_flight.map(|slot| Change::Entry(self.kept(slot, None))));
        all
    }

    /// What has changed since the last call, or since the copy: each entry as it is now, in the order
    /// of their last changes.
    pub(in super::super) fn changes(&mut self) -> Vec<Change> {
        let Some(noted) = self.noted.as_mut().map(std::mem::take) else {
            return Vec::new();
        };
        let mut seen = HashSet::with_capacity(noted.len());
        let latest = noted.into_iter().rev().filter(|key| seen.insert(key.0));
        let mut latest: Vec<_> = latest.collect();
        latest.reverse();
        let change = |key| match self.find(key) {
            Some(slot) => Change::Entry(self.kept(slot, None)),
            None => Change::Gone(key),
        };
        latest.into_iter().map(change).collect()
    }

    /// The last changes. From now on nothing is decided here, until [`thaw`](Self::thaw).
    pub(in super::super) fn freeze(&mut self) -> Vec<Change> {
        let mut last = self.changes();
        self.noted = None;
        self.is_elsewhere = true;
        last.push(Change::Serial(self.serial));
        let forgotten = self.routes.iter();
        last.extend(
            forgotten.filter_map(|route| Some(Change::Forgotten(route.route, route.forgotten?))),
        );
        last
    }

    /// Decides here again, as before the copy.
    pub(in super::super) fn thaw(&mut self) {
        self.noted = None;
        self.is_elsewhere = false;
    }

    /// Takes an entry over, in place of the one with its key. The route is known by `counts`.
    pub(in super::super) fn take_over(&mut self, kept: &Kept, counts: Arc<RouteCounts>) {
        self.drop_entry(kept.key);
        let Some(route) = self.route(kept.route, || counts) else {
            return;
        };
        let state = State::of_passing(kept);
        let share = self.share(route);
        share.counts.held.fetch_add(1, Ordering::Relaxed);
        self.counts.held.fetch_add(1, Ordering::Relaxed);
        let Some(slot) = self.slab.insert(kept.key, kept.request, route, state) else {
            self.uncount(route);
            return;
        };
        self.index.insert(&self.slab, slot);
        if self.slab.is_done(slot) {
            let share = self.share(route);
            let order = match kept.order {
                // Orders must grow within a list, which may be put together of several.
                Some(order) => order.max(share.done.last),
                None => share.counts.uses.load(Ordering::Relaxed),
            };
            share
                .counts
                .uses
                .fetch_max(order.saturating_add(1), Ordering::Relaxed);
            let (list, slab) = self.route_list(route);
            list.push(slab, slot, order);
        }
    }

    /// Takes over that a delivery was done at a moment. Whether the window has room for it is not asked:
    /// the oldest entry is not known before all was taken over.
    pub(in super::super) fn take_over_done(
        &mut self,
        arrival: &Arrival,
        at: Now,
        counts: Arc<RouteCounts>,
    ) {
        self.sweep(at);
        let ticket = match self.judge(arrival, at) {
            (Decision::Claim, Some(slot)) => self.join(slot, arrival, at),
            (Decision::Claim, None) => {
                let Some(route) = self.route(arrival.route, || counts) else {
                    return;
                };
                self.route_held(route).fetch_add(1, Ordering::Relaxed);
                self.counts.held.fetch_add(1, Ordering::Relaxed);
                let Some(ticket) = self.insert(arrival, route) else {
                    return;
                };
                ticket
            }
            // It was done already.
            _ => return,
        };
        self.commit(ticket, at, true);
    }

    /// The done entries of a route in the order of their use: the second of the monotonic clock until
    /// which each must be kept, its place in the order, and its slot.
    pub(in super::super) fn used(
        &self,
        route: Fingerprint,
    ) -> impl Iterator<Item = (u32, u64, Slot)> {
        let number = self.route_numbers.get(&Digest::of(route.0));
        let shares = number.map(|number| self.share(*number)).into_iter();
        let walked = shares.flat_map(|share| share.done.walk(&self.slab));
        walked.map(|(slot, order)| (self.slab.at(slot).keep_s, order, slot))
    }

    /// Gives the done entries of a route other places in the order of their use, which must grow.
    pub(in super::super) fn put_in_order(
        &mut self,
        route: Fingerprint,
        places: impl Iterator<Item = (Slot, u64)>,
    ) {
        let Some(number) = self.route_numbers.get(&Digest::of(route.0)).copied() else {
            return;
        };
        let (list, slab) = self.route_list(number);
        while let Some(slot) = list.head() {
            list.remove(slab, slot);
        }
        for (slot, order) in places {
            list.push(slab, slot, order);
        }
    }

    /// Whether more is done here of the entry, or as much that is fresh for longer.
    pub(in super::super) fn knows_more(&self, kept: &Kept) -> bool {
        self.find(kept.key).is_some_and(|slot| {
            let own = self.kept(slot, None);
            (own.done(), own.fresh_until) > (kept.done(), kept.fresh_until)
        })
    }

    /// Drops the entry of `key`, if there is one.
    pub(in super::super) fn drop_entry(&mut self, key: ClaimKey) {
        if let Some(slot) = self.find(key) {
            if self.slab.is_done(slot) {
                self.unlink(slot);
            }
            self.remove(slot);
        }
    }

    /// Takes over what is known of forgotten entries and of serials. `counts` are those of the route.
    pub(in super::super) fn take_over_beside(
        &mut self,
        change: &Change,
        counts: impl FnOnce(Fingerprint) -> Arc<RouteCounts>,
    ) {
        match change {
            Change::Serial(serial) => self.serial = self.serial.max(*serial),
            Change::Forgotten(route, until) => {
                if let Some(number) = self.route(*route, || counts(*route)) {
                    let share = self.share_mut(number);
                    share.forgotten = share.forgotten.max(Some(*until));
                }
            }
            Change::Entry(_) | Change::Gone(_) | Change::Done(..) => {}
        }
    }

    /// The keys and serials of all claims in flight.
    pub(in super::super) fn in_flight(&self) -> Vec<(ClaimKey, u64)> {
        let slots = 0..self.slab.slots();
        let taken = slots.filter(|slot| self.slab.at(*slot).phase() != Phase::Vacant);
        let kept = taken.filter(|slot| !self.slab.is_done(*slot));
        kept.map(|slot| self.kept(slot, None))
            .flat_map(|kept| {
                let serials: Vec<_> = kept.in_flight().collect();
                serials.into_iter().map(move |serial| (kept.key, serial))
            })
            .collect()
    }

    /// The ticket of a claim of which another process knows the key and the serial.
    pub(in super::super) fn ticket(&self, key: ClaimKey, serial: u64) -> Option<Ticket> {
        let slot = self.find(key)?;
        Some(Ticket { key, slot, serial })
    }

    /// The entry of a key.
    pub(in super::super) fn entry(&self, key: ClaimKey) -> Option<Kept> {
        self.find(key).map(|slot| self.kept(slot, None))
    }

    /// The delivery that has a claim in flight.
    pub(in super::super) fn arrival(&self, ticket: Ticket) -> Option<Arrival> {
        self.entry(ticket.key)?.arrival(ticket.serial)
    }

    /// The ticket of the claim in flight of a copy of this delivery.
    pub(in super::super) fn ticket_of(&self, arrival: &Arrival) -> Option<Ticket> {
        let slot = self.find(arrival.key)?;
        let kept = self.kept(slot, None);
        let serial = kept.in_flight().find(|serial| {
            let own = kept.arrival(*serial);
            own.is_some_and(|own| own.variant == arrival.variant)
        });
        serial.map(|serial| Ticket {
            key: arrival.key,
            slot,
            serial,
        })
    }

    pub(super) fn kept(&self, slot: Slot, order: Option<u64>) -> Kept {
        let entry = self.slab.at(slot);
        let facts = self.slab.facts(slot);
        let phase = entry.phase();
        Kept {
            key: entry.key(),
            route: self.share(entry.route()).route,
            request: entry.request(),
            body: facts.body,
            event: facts.event,
            path: facts.path,
            fresh_until: facts.fresh_until,
            keep_s: entry.keep_s,
            order,
            first: Variant {
                variant: facts.variant,
                signed_at: facts.signed_at,
                phase: phase.passing(),
                serial: if phase.is_in_flight() {
                    entry.serial()
                } else {
                    0
                },
            },
            further: self.slab.more(slot).map(More::passing).map(Box::new),
        }
    }
}

impl State {
    fn of_passing(kept: &Kept) -> Self {
        Self {
            facts: Facts {
                body: kept.body,
                variant: kept.first.variant,
                event: kept.event,
                path: kept.path,
                signed_at: kept.first.signed_at,
                fresh_until: kept.fresh_until,
            },
            phase: Phase::of_passing(kept.first.phase),
            serial: kept.first.serial,
            keep_s: kept.keep_s,
            more: kept.further.as_deref().map(More::of_passing).map(Box::new),
        }
    }
}

impl Phase {
    pub(in super::super) fn passing(self) -> passing::Phase {
        match self {
            Self::InFlight => passing::Phase::InFlight,
            Self::Again => passing::Phase::Again,
            // A vacant slot is never passed on.
            Self::Done | Self::Vacant => passing::Phase::Done,
        }
    }

    pub(in super::super) fn of_passing(phase: passing::Phase) -> Self {
        match phase {
            passing::Phase::InFlight => Self::InFlight,
            passing::Phase::Done => Self::Done,
            passing::Phase::Again => Self::Again,
        }
    }
}
