//! Deliveries in flight while one process replaces another: the new one leaves them alone until the
//! old one has said what became of them (contract: Queue, Upgrade).

use std::time::Duration;

use super::entry::Place;
use super::index::{Queue, millis};
use super::slab::NONE;
use super::{Change, Number, State};
use crate::clock::Now;

/// The time beyond the longest attempt for which a delivery is left to the process that is replaced.
const GRACE: Duration = Duration::from_secs(5);

impl Queue {
    /// The deliveries in flight here, each with the time for which a successor leaves it alone: the
    /// longest time of its attempt and 5 s.
    pub fn flights(&self, now: Now) -> Vec<(Number, Duration)> {
        let mut flights: Vec<(Number, Duration)> = self
            .flights
            .iter()
            .map(|(number, flight)| {
                let route = self.routes.at(self.route_of(flight.slot));
                let settings = route.settings.as_ref();
                let longest = settings.map_or(Duration::ZERO, |of| of.upstream_timeout);
                let until = flight
                    .begun
                    .mono
                    .saturating_add(longest.saturating_add(GRACE));
                (Number(*number), until.saturating_sub(now.mono))
            })
            .collect();
        flights.sort_unstable();
        flights
    }

    /// Leaves a delivery alone that is in flight in another process, until [`Self::release`] or until
    /// `time` has passed. To be called before the first attempt of this process. Says whether there is
    /// such a delivery, and it is not in flight here.
    pub fn hold(&mut self, number: Number, time: Duration, now: Now) -> bool {
        self.observe(now);
        let Some(slot) = self.slot(number) else {
            return false;
        };
        let entry = self.entries.at(slot);
        if entry.state == State::Dead || entry.place == Place::InFlight {
            return false;
        }
        let held_key = entry.place.holds_key();
        let place = entry.key;
        self.unlink(slot);
        if !held_key && place != NONE {
            // The other process had a reason to try it first.
            let head = self.keys.at(place).head;
            if self.keys.at(place).holders > 0 {
                let of_head = self.entries.at(head);
                let waits = matches!(of_head.place, Place::Lined | Place::Timed | Place::Delayed);
                if of_head.key == place && waits {
                    self.push_behind(head);
                }
            }
            let key = self.keys.at_mut(place);
            key.holders += 1;
            key.head = slot;
        }
        self.entries.at_mut(slot).place = Place::Away;
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let until = millis(now).saturating_add(time);
        let route = self.route_of(slot);
        self.routes.at_mut(route).away += 1;
        self.away.insert(number.0, until);
        self.away_until.insert((until, number.0));
        true
    }

    /// Goes on with a delivery that [`Self::hold`] left alone, after what the other process has stored
    /// about it. `None`: it has stored nothing. Says whether there is such a delivery.
    pub fn release(&mut self, number: Number, change: Option<Change>, now: Now) -> bool {
        self.observe(now);
        if !self.away.contains_key(&number.0) {
            return false;
        }
        let Some(slot) = self.slot(number) else {
            return false;
        };
        let Some(Change::Progress(progress)) = change else {
            if change.is_none() {
                self.unlink(slot);
                self.put_by_time(slot, now);
            } else {
                self.remove(slot, now);
            }
            return true;
        };
        let entry = self.entries.at_mut(slot);
        entry.attempts = progress.attempts;
        entry.round = progress.round;
        entry.aged_from = progress.aged_from.0;
        entry.last_status = progress.last_status.unwrap_or(0);
        if progress.state == State::Dead {
            self.die(slot, progress.due, now);
        } else {
            let left = progress.due.0.saturating_sub(now.wall.0);
            entry.due = millis(now).saturating_add(left);
            self.unlink(slot);
            self.set_state(slot, progress.state);
            self.put_by_time(slot, now);
        }
        true
    }

    /// Goes on with the deliveries whose time has passed.
    pub(super) fn return_away(&mut self, now: Now) {
        while let Some((until, number)) = self.away_until.first().copied()
            && until <= millis(now)
        {
            self.release(Number(number), None, now);
        }
    }
}
