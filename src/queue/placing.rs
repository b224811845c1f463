//! Where a delivery waits: in the line of its account, behind its order key, or for its time.

use super::State;
use super::delay;
use super::entry::Place;
use super::index::{Queue, millis};
use super::slab::NONE;
use crate::clock::Now;

impl Queue {
    /// Puts a delivery that is to be tried, and is nowhere, where it waits: behind the others of its
    /// order key, or where its time says.
    pub(super) fn settle_in(&mut self, slot: u32, now: Now) {
        let route = self.route_of(slot);
        let entry = self.entries.at(slot);
        if entry.key == NONE || !self.routes.at(route).is_ordered() {
            self.activate(slot, now);
            return;
        }
        let begun = entry.round > 0;
        let key = self.keys.at_mut(entry.key);
        if key.holders == 0 && key.waiting.is_empty() {
            self.activate(slot, now);
            return;
        }
        // At the start, one that has failed in its round held the key before, whoever comes before it.
        let (place, head) = (entry.key, key.head);
        let is_displaced = begun && key.holders > 0 && {
            let head = self.entries.at(head);
            head.key == place && head.round == 0 && head.place == Place::Lined
        };
        if is_displaced {
            self.push_behind(head);
            self.activate(slot, now);
            return;
        }
        let key = self.keys.at_mut(self.entries.at(slot).key);
        self.entries.at_mut(slot).place = Place::Blocked;
        key.waiting.push_by_number(&mut self.entries, slot);
    }

    /// Takes the order key from a delivery that waits in line, and puts it first among those behind.
    pub(super) fn push_behind(&mut self, slot: u32) {
        self.unlink(slot);
        let key = self.keys.at_mut(self.entries.at(slot).key);
        key.holders = key.holders.saturating_sub(1);
        key.waiting.push_front(&mut self.entries, slot);
        self.entries.at_mut(slot).place = Place::Blocked;
    }

    /// Gives a delivery its order key, and puts it where its time says.
    pub(super) fn activate(&mut self, slot: u32, now: Now) {
        let route = self.route_of(slot);
        let is_ordered = self.routes.at(route).is_ordered();
        let entry = self.entries.at_mut(slot);
        if entry.key != NONE {
            let key = self.keys.at_mut(entry.key);
            key.holders += 1;
            key.head = slot;
            if is_ordered && entry.round == 0 {
                entry.aged_from = now.wall.0;
            }
        }
        self.put_by_time(slot, now);
    }

    /// Puts a delivery that is nowhere and holds its key where its time says.
    pub(super) fn put_by_time(&mut self, slot: u32, now: Now) {
        let entry = self.entries.at(slot);
        let waits = entry.state == State::Retrying && entry.due > millis(now);
        self.put(slot, if waits { Place::Timed } else { Place::Lined });
    }

    /// Puts a delivery that is nowhere and holds its key into its line or among the timers.
    pub(super) fn put(&mut self, slot: u32, place: Place) {
        let number = self.route_of(slot);
        let route = self.routes.at_mut(number);
        self.entries.at_mut(slot).place = place;
        match place {
            Place::Timed => route.timed.insert(&mut self.entries, slot),
            Place::Delayed => route.delayed.insert(&mut self.entries, slot),
            Place::Held => route.counts.held += 1,
            _ => {
                self.entries.at_mut(slot).place = Place::Lined;
                self.accounts
                    .line_up(&mut self.entries, &mut route.ready, slot, false);
            }
        }
        self.look_at(number);
    }

    /// Puts a delivery whose attempt was not made back in its line, where it was.
    pub(super) fn put_back(&mut self, slot: u32) {
        let number = self.route_of(slot);
        let route = self.routes.at_mut(number);
        self.entries.at_mut(slot).place = Place::Lined;
        self.accounts
            .line_up(&mut self.entries, &mut route.ready, slot, true);
        self.look_at(number);
    }

    /// Takes a delivery from where it is. If it held its order key, the next one takes it.
    pub(super) fn leave_place(&mut self, slot: u32, now: Now) {
        let held_key = self.entries.at(slot).place.holds_key();
        self.unlink(slot);
        if held_key {
            self.pass_key(slot, now);
        }
    }

    /// A delivery gives up its order key.
    fn pass_key(&mut self, slot: u32, now: Now) {
        let place = self.entries.at(slot).key;
        if place == NONE {
            return;
        }
        let key = self.keys.at_mut(place);
        key.holders = key.holders.saturating_sub(1);
        let next = key.waiting.first();
        if key.holders == 0 && next != NONE {
            key.waiting.remove(&mut self.entries, next);
            self.entries.at_mut(next).place = Place::Nowhere;
            self.activate(next, now);
        }
    }

    /// Takes a delivery out of the list or heap that it is in.
    pub(super) fn unlink(&mut self, slot: u32) {
        let number = self.route_of(slot);
        let route = self.routes.at_mut(number);
        let entry = self.entries.at_mut(slot);
        match std::mem::take(&mut entry.place) {
            Place::Nowhere => {}
            Place::Blocked => {
                let key = self.keys.at_mut(entry.key);
                key.waiting.remove(&mut self.entries, slot);
            }
            Place::Lined => {
                let ready = &mut route.ready;
                self.accounts.step_out(&mut self.entries, ready, slot);
            }
            Place::Timed => route.timed.remove(&mut self.entries, slot),
            Place::Delayed => route.delayed.remove(&mut self.entries, slot),
            Place::Dead => route.dead.remove(&mut self.entries, slot),
            Place::Held => route.counts.held = route.counts.held.saturating_sub(1),
            Place::Late => {
                self.late.remove(&slot);
            }
            Place::InFlight => {
                let number = entry.number;
                self.end_flight(number);
            }
        }
    }

    /// Puts those that were retried by hand before the start last, in the order of that.
    pub(super) fn place_late(&mut self, now: Now) {
        let mut late = Vec::from_iter(std::mem::take(&mut self.late));
        late.sort_by_key(|slot| {
            let entry = self.entries.at(*slot);
            (entry.aged_from, entry.number)
        });
        for slot in late {
            self.entries.at_mut(slot).place = Place::Nowhere;
            self.go_last(slot, now);
        }
    }

    /// Puts a delivery behind all others of its order key.
    pub(super) fn go_last(&mut self, slot: u32, now: Now) {
        let route = self.route_of(slot);
        let place = self.entries.at(slot).key;
        if place == NONE || !self.routes.at(route).is_ordered() {
            self.activate(slot, now);
            return;
        }
        let key = self.keys.at_mut(place);
        if key.holders == 0 && key.waiting.is_empty() {
            self.activate(slot, now);
        } else {
            key.waiting.push_back(&mut self.entries, slot);
            self.entries.at_mut(slot).place = Place::Blocked;
        }
    }

    /// Cuts the delays that deliveries of a route have brought along to those that it could have given
    /// them, now that its settings are known.
    pub(super) fn cut_delays(&mut self, place: u32, now: Now) {
        let route = self.routes.at(place);
        let Some(settings) = route.settings.clone() else {
            return;
        };
        let late = self.late.iter().copied();
        let late = late.filter(|slot| self.route_of(*slot) == place);
        let slots: Vec<u32> = route.timed.all().chain(late).collect();
        for slot in slots {
            let entry = self.entries.at(slot);
            let longest = delay::longest(&settings, entry.round);
            let latest = millis(now).saturating_add(longest);
            if entry.due <= latest {
                continue;
            }
            let is_timed = entry.place == Place::Timed;
            if is_timed {
                self.unlink(slot);
            }
            self.entries.at_mut(slot).due = latest;
            if is_timed {
                self.put(slot, Place::Timed);
            }
        }
    }

    /// Puts the deliveries of a route where they belong, because it began or ceased to be ordered.
    pub(super) fn reorder(&mut self, route: u32, now: Now) {
        let of_route = |slot: &u32| self.route_of(*slot) == route;
        let waits = |slot: &u32| {
            let entry = self.entries.at(*slot);
            let is_moved = matches!(
                entry.place,
                Place::Blocked | Place::Lined | Place::Timed | Place::Delayed
            );
            entry.key != NONE && is_moved
        };
        let all = self.numbers.from(0).map(|(_, slot)| slot);
        let moved: Vec<u32> = all.filter(of_route).filter(waits).collect();
        for slot in &moved {
            let held_key = self.entries.at(*slot).place.holds_key();
            self.unlink(*slot);
            if held_key {
                let key = self.keys.at_mut(self.entries.at(*slot).key);
                key.holders = key.holders.saturating_sub(1);
            }
        }
        // Of those that have failed in their round, the first goes first: it held the key, or was about
        // to be tried again.
        let mut others = Vec::new();
        for slot in moved {
            let entry = self.entries.at(slot);
            if entry.round > 0 && self.keys.at(entry.key).holders == 0 {
                self.settle_in(slot, now);
            } else {
                others.push(slot);
            }
        }
        for slot in others {
            self.settle_in(slot, now);
        }
    }
}
