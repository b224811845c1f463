//! What the queue holds, for operators and metrics (contract: Queue).

use std::time::Duration;

use super::choosing::{Probe, moment};
use super::entry::Place;
use super::index::Queue;
use super::route::Counts;
use super::slab::NONE;
use super::{AttemptEnd, Delivery, DeliveryId, Limits, Number, RouteNumber, State};
use crate::clock::{Now, UnixMillis};

/// The most deliveries that are looked at for one page.
const MOST_LOOKED_AT: usize = 10_000;

/// The deliveries that are asked for: those to which all of this applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// They are of this route.
    pub route: Option<RouteNumber>,
    /// They are in this state.
    pub state: Option<State>,
    /// They were accepted at this moment or later.
    pub since: Option<UnixMillis>,
    /// The last answer had this status.
    pub status: Option<u16>,
}

/// A part of the deliveries that are asked for, in the order of acceptance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The deliveries.
    pub deliveries: Vec<Listed>,
    /// Where the next page begins; `None`: this is the last one. A page may be short, or empty, and
    /// not be the last: a call looks at 10,000 deliveries at most.
    pub next: Option<Number>,
}

/// A delivery, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What is stored of it.
    pub delivery: Delivery,
    /// Whether it is in flight.
    pub is_in_flight: bool,
    /// Whether it cannot be read.
    pub is_held: bool,
    /// Whether it waits behind another one of its order key.
    pub is_behind: bool,
    /// The delivery that holds its order key, where it waits behind that one.
    pub behind: Option<DeliveryId>,
}

/// Why a route waits, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteStatus {
    /// Whether the configuration in force has the route.
    pub is_listed: bool,
    /// Whether an operator paused it.
    pub is_paused: bool,
    /// The end of the pause that the app asked for, by the monotonic clock.
    pub asked_until: Option<Duration>,
    /// Whether its breaker is open.
    pub is_breaker_open: bool,
    /// While it is open, the next probe, as [`Queue::next`] makes it.
    pub next_probe: Option<Probe>,
    /// The end of its last attempt in this process, and the moment of that.
    pub last: Option<(AttemptEnd, UnixMillis)>,
    /// The moment before which deliveries that could be tried wait for the route's rate, by the
    /// monotonic clock; it may be over. `None`: no delivery waits for it.
    pub paced_until: Option<Duration>,
    /// The attempts in flight.
    pub in_flight: u32,
    /// What it holds.
    pub counts: Counts,
    /// What it may hold, by the last settings that it had; `None`: it had none in this process.
    pub limits: Option<Limits>,
    /// The acceptance of the oldest delivery that is not dead.
    pub oldest: Option<UnixMillis>,
}

impl Queue {
    /// The deliveries that match a filter, from number `after` on without it, at most `limit`.
    pub fn list(&self, filter: &Filter, after: Option<Number>, limit: usize, now: Now) -> Page {
        let from = after.map_or(0, |after| after.0.saturating_add(1));
        let route = match filter.route {
            None => None,
            Some(number) => match self.route_places.get(&number) {
                None => return Page::default(),
                Some(place) => Some(*place),
            },
        };
        let mut page = Page::default();
        for (looked_at, (number, slot)) in self.numbers.from(from).enumerate() {
            if looked_at == MOST_LOOKED_AT || page.deliveries.len() == limit {
                page.next = Some(Number(number.saturating_sub(1)));
                break;
            }
            let entry = self.entries.at(slot);
            let is_meant = route.is_none_or(|route| self.route_of(slot) == route)
                && filter.state.is_none_or(|state| entry.state == state)
                && filter
                    .since
                    .is_none_or(|since| entry.id().received() >= since)
                && filter.status.is_none_or(|of| entry.last_status == of);
            if is_meant {
                page.deliveries.push(self.listed(slot, now));
            }
        }
        page
    }

    /// The number of the delivery of this name.
    pub fn find(&self, id: DeliveryId) -> Option<Number> {
        let slot = self.names.find(&self.entries, id)?;
        Some(Number(self.entries.at(slot).number))
    }

    /// The delivery of this number.
    pub fn get(&self, number: Number, now: Now) -> Option<Listed> {
        Some(self.listed(self.slot(number)?, now))
    }

    /// Every route that is configured or has deliveries.
    pub fn routes(&self) -> impl Iterator<Item = RouteNumber> {
        self.route_places.keys().copied()
    }

    /// The route of the delivery of this number, and its state.
    pub fn whose(&self, number: Number) -> Option<(RouteNumber, State)> {
        let slot = self.slot(number)?;
        let route = self.routes.at(self.route_of(slot)).number;
        Some((route, self.entries.at(slot).state))
    }

    /// Whether deliveries of a route are tried: it is in the configuration in force, and no operator
    /// paused it.
    pub fn is_tried(&self, route: RouteNumber) -> bool {
        let place = self.route_places.get(&route);
        let route = place.map(|place| self.routes.at(*place));
        route.is_some_and(|route| route.is_listed && !route.is_paused)
    }

    /// Whether the configuration in force has a route.
    pub fn is_listed(&self, route: RouteNumber) -> bool {
        let place = self.route_places.get(&route);
        place.is_some_and(|place| self.routes.at(*place).is_listed)
    }

    /// Why a route waits, and what it holds. The search for its oldest delivery goes on where the last
    /// one ended.
    pub fn status(&mut self, route: RouteNumber, now: Now) -> RouteStatus {
        let Some(place) = self.route_places.get(&route).copied() else {
            return RouteStatus::default();
        };
        let oldest = self.oldest(place);
        let next_probe = self.probe(place, now).map(|(probe, _)| probe);
        let route = self.routes.at(place);
        RouteStatus {
            is_listed: route.is_listed,
            is_paused: route.is_paused,
            asked_until: route.asked.until().map(moment),
            is_breaker_open: route.breaker.is_open(),
            next_probe,
            last: route.last,
            paced_until: (route.rate().is_some() && route.has_ready()).then(|| route.pace.next()),
            in_flight: route.in_flight,
            counts: route.counts,
            limits: route.settings.as_ref().map(|settings| Limits {
                max_bytes: settings.max_bytes,
                max_deliveries: settings.max_deliveries,
            }),
            oldest,
        }
    }

    /// The deliveries of all routes, dead letters included, and their bytes.
    pub fn totals(&self) -> (u64, u64) {
        (self.deliveries, self.bytes)
    }

    /// The deliveries that are being stored, and their bytes.
    pub fn being_stored(&self) -> (u64, u64) {
        let (bytes, deliveries) = self.reserved.held();
        (deliveries, bytes)
    }

    fn oldest(&mut self, place: u32) -> Option<UnixMillis> {
        let route = self.routes.at(place);
        if route.counts.waiting + route.counts.retrying == 0 {
            return None;
        }
        let mut all = self.numbers.from(route.oldest_from);
        let (number, slot) = all.find(|(_, slot)| {
            let is_dead = self.entries.at(*slot).state == State::Dead;
            !is_dead && self.route_of(*slot) == place
        })?;
        self.routes.at_mut(place).oldest_from = number;
        Some(self.entries.at(slot).id().received())
    }

    /// The delivery that holds the order key of one that waits behind it.
    fn holder(&self, slot: u32) -> Option<DeliveryId> {
        let entry = self.entries.at(slot);
        if entry.place != Place::Blocked {
            return None;
        }
        let key = self.keys.at(entry.key);
        let head = (key.holders > 0).then(|| self.entries.at(key.head))?;
        // Where the order was set while several were in flight, the last one may be gone already.
        (head.key == entry.key && head.place.holds_key()).then(|| head.id())
    }

    fn listed(&self, slot: u32, now: Now) -> Listed {
        let entry = self.entries.at(slot);
        Listed {
            delivery: Delivery {
                number: Number(entry.number),
                id: entry.id(),
                route: self.routes.at(self.route_of(slot)).number,
                bytes: u64::from(entry.bytes),
                account: self.accounts.mark(entry.account),
                order: Some(entry.key)
                    .filter(|key| *key != NONE)
                    .and_then(|key| self.keys.mark(key)),
                progress: self.progress(slot, now),
            },
            is_in_flight: entry.place == Place::InFlight,
            is_held: entry.place == Place::Held,
            is_behind: entry.place == Place::Blocked,
            behind: self.holder(slot),
        }
    }
}
