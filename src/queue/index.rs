//! The queue as a whole: what it holds, and how deliveries come and go (contract: Queue).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::accounts::Accounts;
use super::delay;
use super::entry::{Entries, Entry, Place};
use super::keys::Keys;
use super::names::Names;
use super::numbers::Numbers;
use super::room::{Full, Reserved, Room};
use super::route::Route;
use super::settings::{Limits, Settings};
use super::slab::{NONE, Slab};
use super::{Delivery, Number, Progress, RouteNumber, State};
use crate::clock::{Now, UnixMillis};

/// A step of the wall clock, in milliseconds, above which deliveries get one more attempt and dead
/// letters are kept for an hour more.
const STEP: i64 = 60_000;

/// All deliveries that wait, are in flight or are dead, and when each is tried. A delivery takes about
/// 100 bytes; an account or an order key that has deliveries about 200 more.
///
/// It is one value under one lock: each call takes a time that grows with the logarithm of what it
/// holds, but for those that say otherwise.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    pub(super) entries: Entries,
    pub(super) numbers: Numbers,
    pub(super) names: Names,
    pub(super) accounts: Accounts,
    pub(super) keys: Keys,
    pub(super) routes: Slab<Route>,
    pub(super) route_places: BTreeMap<RouteNumber, u32>,
    /// Attempts in flight.
    pub(super) flights: HashMap<u64, Flight, RandomState>,
    /// Deliveries that were retried by hand before the start.
    pub(super) late: BTreeSet<u32>,
    /// Routes in which something may be tried, each with its turn.
    pub(super) looking: VecDeque<u32>,
    /// Routes in which something may be tried from a moment on.
    pub(super) wakes: BTreeSet<(Duration, u32)>,
    pub(super) deliveries: u64,
    pub(super) bytes: u64,
    /// Shared with the rooms that are held.
    pub(super) reserved: Arc<Reserved>,
    /// Steps of the wall clock so far, the distance between the clocks, and since when it is steady.
    pub(super) steps: u64,
    distance: Option<i64>,
    pub(super) steady_since: i64,
}

/// An attempt in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) slot: u32,
    /// The moment at which it began, by both clocks.
    pub(super) begun: Now,
    /// [`Route::interruptions`] and [`Queue::steps`] at that moment.
    pub(super) interruptions: u64,
    pub(super) steps: u64,
    pub(super) is_retry: bool,
}

impl Queue {
    /// A queue without deliveries or routes.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Entries::default(),
            numbers: Numbers::default(),
            names: Names::default(),
            accounts: Accounts::default(),
            keys: Keys::default(),
            routes: Slab::default(),
            route_places: BTreeMap::new(),
            flights: HashMap::default(),
            late: BTreeSet::new(),
            looking: VecDeque::new(),
            wakes: BTreeSet::new(),
            deliveries: 0,
            bytes: 0,
            reserved: Arc::default(),
            steps: 0,
            distance: None,
            steady_since: 0,
        }
    }

    /// Sets the routes of the configuration in force. Routes that are not among them hold their
    /// deliveries until they are listed again. Takes a time that grows with the number of all
    /// deliveries where a route begins or ceases to be ordered, and with that of the deliveries that a
    /// route has already when it is set for the first time.
    pub fn set_routes(
        &mut self,
        listed: impl IntoIterator<Item = (RouteNumber, Settings)>,
        now: Now,
    ) {
        self.observe(now);
        let mut gone: BTreeSet<u32> = self.route_places.values().copied().collect();
        let (mut reordered, mut first_set) = (Vec::new(), Vec::new());
        for (number, settings) in listed {
            let place = self.route_place(number);
            gone.remove(&place);
            let route = self.routes.at_mut(place);
            if !route.is_listed {
                route.is_listed = true;
                route.interruptions += 1;
            }
            if route.is_ordered() != settings.is_ordered {
                reordered.push(place);
            }
            route.pace.change(settings.rate, now.mono);
            if route.settings.replace(settings).is_none() {
                first_set.push(place);
            }
        }
        for place in gone {
            let route = self.routes.at_mut(place);
            if route.is_listed {
                route.is_listed = false;
                route.interruptions += 1;
            }
        }
        for place in first_set {
            self.cut_delays(place, now);
        }
        for place in reordered {
            self.reorder(place, now);
        }
        let all: Vec<u32> = self.route_places.values().copied().collect();
        for place in all {
            self.look_at(place);
        }
    }

    /// Reserves room for a delivery of `bytes` that is to be stored. A route that was never set has no
    /// limits of its own.
    pub fn admit(&self, route: RouteNumber, bytes: u64) -> Result<Room, Full> {
        let fits = |held: (u64, u64), reserved: (u64, u64), limits: Limits| {
            let sum = |a: u64, b: u64, c: u64| a.saturating_add(b).saturating_add(c);
            sum(held.0, reserved.0, bytes) <= limits.max_bytes
                && sum(held.1, reserved.1, 1) <= limits.max_deliveries
        };
        let all = (self.bytes, self.deliveries);
        if !fits(all, self.reserved.held(), self.limits) {
            return Err(Full::All);
        }
        let none = Arc::default();
        let known = self
            .route_places
            .get(&route)
            .map(|place| self.routes.at(*place));
        if let Some(route) = known
            && let Some(settings) = &route.settings
        {
            let held = (route.counts.bytes, route.counts.deliveries());
            let limits = Limits {
                max_bytes: settings.max_bytes,
                max_deliveries: settings.max_deliveries,
            };
            if !fits(held, route.reserved.held(), limits) {
                return Err(Full::Route);
            }
        }
        let own = known.map_or(&none, |route| &route.reserved);
        Ok(Room::take(own, &self.reserved, bytes))
    }

    /// Adds a delivery: at the start all that are stored, in the order of their numbers, and then each
    /// one once it is stored. A number that is there already is left alone.
    ///
    /// Deliveries of the same order key must be added in the order of their numbers: one that is added
    /// after a later one has begun cannot go before it.
    pub fn add(&mut self, delivery: &Delivery, now: Now) {
        self.observe(now);
        let number = delivery.number.0;
        if self.numbers.get(number).is_some() {
            return;
        }
        let progress = delivery.progress;
        let route = self.route_place(delivery.route);
        let account = self.accounts.join(route, delivery.account);
        let key = delivery
            .order
            .map_or(NONE, |mark| self.keys.join(route, mark));
        let at = millis(now);
        self.routes.at_mut(route).saw_account(delivery.account, at);
        let due = match progress.state {
            State::Dead => progress.due.0,
            State::Waiting | State::Retrying => {
                // A delivery waits as long as was decided, but no longer than could be decided: the
                // clock may have been set back since. What could be is known once the route was set.
                let settings = self.routes.at(route).settings.as_ref();
                let longest = settings.map_or(i64::MAX, |own| delay::longest(own, progress.round));
                let left = progress.due.0.saturating_sub(now.wall.0);
                at.saturating_add(left.min(longest))
            }
        };
        let slot = self.entries.insert(Entry {
            due,
            aged_from: progress.aged_from.0,
            account,
            key,
            attempts: progress.attempts,
            round: progress.round,
            bytes: u32::try_from(delivery.bytes).unwrap_or(u32::MAX),
            last_status: progress.last_status.unwrap_or(0),
            state: progress.state,
            ..Entry::new(delivery.number, delivery.id)
        });
        self.numbers.insert(number, slot);
        self.names.insert(&self.entries, slot);
        self.count(slot, true);
        if progress.state == State::Dead {
            self.entries.at_mut(slot).place = Place::Dead;
            let dead = &mut self.routes.at_mut(route).dead;
            dead.insert(&mut self.entries, slot);
            return;
        }
        let known_from = &mut self.routes.at_mut(route).oldest_from;
        *known_from = number.min(*known_from);
        let is_by_hand = progress.attempts > 0 && progress.round == 0;
        if key != NONE && is_by_hand {
            self.entries.at_mut(slot).place = Place::Late;
            self.late.insert(slot);
        } else {
            self.settle_in(slot, now);
        }
        self.look_at(route);
    }

    /// Takes a delivery out that is gone.
    pub(super) fn remove(&mut self, slot: u32, now: Now) {
        let route = self.route_of(slot);
        self.leave_place(slot, now);
        self.count(slot, false);
        self.names.remove(&self.entries, self.entries.at(slot).id());
        let entry = self.entries.take(slot);
        self.numbers.remove(entry.number);
        self.accounts.leave(entry.account);
        if entry.key != NONE {
            self.keys.leave(entry.key);
        }
        self.look_at(route);
    }

    /// Changes the state of a delivery in all counts.
    pub(super) fn set_state(&mut self, slot: u32, state: State) {
        let route = self.route_of(slot);
        let counts = &mut self.routes.at_mut(route).counts;
        let entry = self.entries.at_mut(slot);
        let before = counts.of(entry.state);
        *before = before.saturating_sub(1);
        *counts.of(state) += 1;
        if entry.state == State::Dead {
            let known_from = &mut self.routes.at_mut(route).oldest_from;
            *known_from = entry.number.min(*known_from);
        }
        entry.state = state;
    }

    fn count(&mut self, slot: u32, comes: bool) {
        let route = self.route_of(slot);
        let entry = self.entries.at(slot);
        let counts = &mut self.routes.at_mut(route).counts;
        let bytes = u64::from(entry.bytes);
        if comes {
            *counts.of(entry.state) += 1;
            counts.bytes += bytes;
            self.deliveries += 1;
            self.bytes += bytes;
        } else {
            let of_state = counts.of(entry.state);
            *of_state = of_state.saturating_sub(1);
            counts.bytes = counts.bytes.saturating_sub(bytes);
            self.deliveries = self.deliveries.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Compares the clocks. A step of the wall clock above a minute is counted.
    pub(super) fn observe(&mut self, now: Now) {
        let distance = now.wall.0.saturating_sub(millis(now));
        match self.distance {
            Some(known) if known.abs_diff(distance) <= STEP.unsigned_abs() => {}
            Some(_) => {
                self.steps += 1;
                self.steady_since = millis(now);
            }
            None => self.steady_since = millis(now),
        }
        self.distance = Some(distance);
    }

    /// What is stored about a delivery.
    pub(super) fn progress(&self, slot: u32, now: Now) -> Progress {
        let entry = self.entries.at(slot);
        let due = if entry.state == State::Dead {
            entry.due
        } else {
            let left = entry.due.saturating_sub(millis(now));
            now.wall.0.saturating_add(left)
        };
        Progress {
            state: entry.state,
            attempts: entry.attempts,
            round: entry.round,
            due: UnixMillis(due),
            aged_from: UnixMillis(entry.aged_from),
            last_status: Some(entry.last_status).filter(|status| *status != 0),
        }
    }

    pub(super) fn slot(&self, number: Number) -> Option<u32> {
        self.numbers.get(number.0)
    }

    pub(super) fn route_of(&self, slot: u32) -> u32 {
        self.accounts.route(self.entries.at(slot).account)
    }

    /// The place of a route, which is made where it is new. Routes stay for ever: their numbers do.
    pub(super) fn route_place(&mut self, number: RouteNumber) -> u32 {
        let routes = &mut self.routes;
        *self
            .route_places
            .entry(number)
            .or_insert_with(|| routes.insert(Route::new(number)))
    }

    /// Something may be tried in a route from now on.
    pub(super) fn look_at(&mut self, place: u32) {
        let route = self.routes.at_mut(place);
        if !route.is_looked_at {
            route.is_looked_at = true;
            self.looking.push_back(place);
        }
    }
}

/// The monotonic clock in milliseconds, by which deliveries are due.
pub(super) fn millis(now: Now) -> i64 {
    i64::try_from(now.mono.as_millis()).unwrap_or(i64::MAX)
}
