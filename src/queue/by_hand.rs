//! What an operator does: pause and resume routes, retry and discard deliveries; and the end of dead
//! letters by age (contract: Queue).

use super::entry::Place;
use super::index::{Queue, millis};
use super::{Change, DeliveryId, Number, RouteNumber, State};
use crate::clock::Now;

/// The time in milliseconds for which the process and the wall clock must have been steady before a
/// dead letter is deleted for its age: a clock that is wrong at the start is put right by then.
const STEADY: i64 = 3_600_000;

/// What came of a command for one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByHand {
    /// It is done, and this is to be stored.
    Done(Change),
    /// It is in flight. Its end decides.
    InFlight,
    /// There is none of this number.
    Unknown,
}

/// A dead letter that was kept long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its number. [`Change::Gone`] is to be stored for it.
    pub number: Number,
    /// Its name.
    pub id: DeliveryId,
    /// Its route.
    pub route: RouteNumber,
}

impl Queue {
    /// Begins no attempt in a route until [`Self::resume`]. Says whether that is new. The pause is not
    /// kept here: it is repeated at the start.
    pub fn pause(&mut self, route: RouteNumber) -> bool {
        let place = self.route_place(route);
        let route = self.routes.at_mut(place);
        if route.is_paused {
            return false;
        }
        route.is_paused = true;
        route.interruptions += 1;
        true
    }

    /// Ends the pause of a route, both an operator's and one that the app asked for. Says whether there
    /// was one. While the breaker is open, the next probe is made at once, as after [`Self::retry`].
    pub fn resume(&mut self, route: RouteNumber, now: Now) -> bool {
        self.observe(now);
        let place = self.route_place(route);
        let route = self.routes.at_mut(place);
        let was_asked = route.asked.end();
        let was_paused = std::mem::take(&mut route.is_paused) || was_asked;
        route.interruptions += u64::from(was_paused);
        route.hurry(millis(now));
        self.look_at(place);
        was_paused
    }

    /// Tries a delivery again, whatever its state: a new round of the schedule begins now, and its age
    /// counts from now. With an order key it goes behind all others.
    ///
    /// While its route is only probed, or paused because the app asked for it, one attempt of the route
    /// begins at once, or 5 s after the last one that an operator had begin at once. Such a probe waits
    /// for no delay that the app asked for.
    pub fn retry(&mut self, number: Number, now: Now) -> ByHand {
        self.observe(now);
        let Some(slot) = self.slot(number) else {
            return ByHand::Unknown;
        };
        if self.entries.at(slot).place == Place::InFlight {
            return ByHand::InFlight;
        }
        self.leave_place(slot, now);
        let state = if self.entries.at(slot).attempts == 0 {
            State::Waiting
        } else {
            State::Retrying
        };
        self.set_state(slot, state);
        let entry = self.entries.at_mut(slot);
        entry.round = 0;
        entry.due = millis(now);
        entry.aged_from = now.wall.0;
        self.go_last(slot, now);
        let route = self.route_of(slot);
        self.routes.at_mut(route).hurry(millis(now));
        self.look_at(route);
        ByHand::Done(Change::Progress(self.progress(slot, now)))
    }

    /// Lets deliveries that are held be tried again, since what they lacked may be there. Returns
    /// their number. Takes a time that grows with the number of all deliveries.
    pub fn release_held(&mut self, now: Now) -> usize {
        self.observe(now);
        let all = self.numbers.from(0).map(|(_, slot)| slot);
        let held: Vec<u32> = all
            .filter(|slot| self.entries.at(*slot).place == Place::Held)
            .collect();
        for slot in &held {
            // It has its order key all along.
            self.unlink(*slot);
            self.put_by_time(*slot, now);
        }
        held.len()
    }

    /// Takes a delivery out for good.
    pub fn discard(&mut self, number: Number, now: Now) -> ByHand {
        self.observe(now);
        let Some(slot) = self.slot(number) else {
            return ByHand::Unknown;
        };
        if self.entries.at(slot).place == Place::InFlight {
            return ByHand::InFlight;
        }
        self.remove(slot, now);
        ByHand::Done(Change::Gone)
    }

    /// Takes out at most `limit` dead letters that were kept long enough. None within an hour after the
    /// start or a step of the wall clock above a minute, and none of a route that was never set.
    pub fn expire(&mut self, now: Now, limit: usize) -> Vec<Expired> {
        self.observe(now);
        let mut expired = Vec::new();
        if millis(now).saturating_sub(self.steady_since) < STEADY {
            return expired;
        }
        let routes: Vec<u32> = self.route_places.values().copied().collect();
        for place in routes {
            while expired.len() < limit {
                let route = self.routes.at(place);
                let (Some(slot), Some(settings)) = (route.dead.first(), &route.settings) else {
                    break;
                };
                let kept = i64::try_from(settings.keep_dead.as_millis()).unwrap_or(i64::MAX);
                let entry = self.entries.at(slot);
                if entry.due.saturating_add(kept) > now.wall.0 {
                    break;
                }
                expired.push(Expired {
                    number: Number(entry.number),
                    id: entry.id(),
                    route: route.number,
                });
                self.remove(slot, now);
            }
        }
        expired
    }
}
