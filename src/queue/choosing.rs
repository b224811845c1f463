//! What is tried next (contract: Queue).

use std::time::Duration;

use super::accounts::Kind;
use super::entry::Place;
use super::heap::Heap;
use super::index::{Flight, Queue, millis};
use super::slab::NONE;
use super::{DeliveryId, Number, RouteNumber};
use crate::clock::Now;

/// The most timers of a route that are looked at in one go.
const MOST_TIMERS: u32 = 32;

/// The most goes in one call after which timers of a route are left. The others follow in the next call,
/// so that nobody waits long for the queue.
const MOST_GOES: u32 = 8;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This delivery is tried now. [`Queue::ended`] must follow, whatever becomes of it.
    Try(Lease),
    /// Nothing is tried before this moment of the monotonic clock, unless something changes: a
    /// delivery is added, an attempt ends, or an operator acts. If the moment is now, so much is due
    /// that the rest is left to the next call.
    Wait(Option<Duration>),
}

/// An attempt that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The delivery.
    pub number: Number,
    /// Its name.
    pub id: DeliveryId,
    /// Its route.
    pub route: RouteNumber,
    /// Its account: the same number for the deliveries of an account of a route, as long as there are
    /// any.
    pub account: u32,
    /// The bytes of its head and body as they are stored.
    pub bytes: u64,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Whether the attempt is a probe while the breaker is open.
    pub is_probe: bool,
}

/// The next probe of a route whose breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It begins at this moment of the monotonic clock, which may be now, unless something changes.
    At(Duration),
    /// It waits for the end of an attempt.
    AfterAttempt,
    /// No delivery can be tried: it waits for one.
    Nothing,
}

/// What a route has to offer.
enum Offer {
    Try(u32),
    /// Nothing before this moment, or before something changes.
    Wait(Option<Duration>),
    /// Not all timers were looked at.
    Again,
}

impl Queue {
    /// The attempt that begins now. Routes take turns; each call begins one attempt at most.
    pub fn next(&mut self, now: Now) -> Next {
        self.observe(now);
        if !self.late.is_empty() {
            self.place_late(now);
        }
        while let Some((at, place)) = self.wakes.first().copied()
            && at <= now.mono
        {
            self.wakes.remove(&(at, place));
            self.routes.at_mut(place).wake = None;
            self.look_at(place);
        }
        let mut goes = 0;
        while let Some(place) = self.looking.pop_front() {
            match self.offer(place, now) {
                Offer::Try(slot) => {
                    self.looking.push_back(place);
                    return Next::Try(self.begin(place, slot, now));
                }
                Offer::Again => {
                    self.looking.push_back(place);
                    goes += 1;
                    if goes == MOST_GOES {
                        return Next::Wait(Some(now.mono));
                    }
                }
                Offer::Wait(wake) => {
                    let route = self.routes.at_mut(place);
                    route.is_looked_at = false;
                    if let Some(old) = std::mem::replace(&mut route.wake, wake) {
                        self.wakes.remove(&(old, place));
                    }
                    if let Some(at) = wake {
                        self.wakes.insert((at, place));
                    }
                }
            }
        }
        Next::Wait(self.wakes.first().map(|(at, _)| *at))
    }

    fn offer(&mut self, place: u32, now: Now) -> Offer {
        let at = millis(now);
        let route = self.routes.at_mut(place);
        if !route.is_listed || route.is_paused {
            return Offer::Wait(None);
        }
        if let Some(until) = route.asked.wait(at) {
            return Offer::Wait(Some(moment(until)));
        }
        if route.asked.until().is_some_and(|until| until <= at) {
            route.asked.end();
            route.interruptions += 1;
        }
        let is_all_due = self.line_up_due(place, at);
        let route = self.routes.at_mut(place);
        if !route.has_slot() {
            return Offer::Wait(None);
        }
        if let Some((probe, slot)) = self.probe(place, now) {
            return match probe {
                Probe::At(from) if from <= now.mono => Offer::Try(slot),
                Probe::At(from) => Offer::Wait(Some(from)),
                Probe::AfterAttempt | Probe::Nothing => Offer::Wait(None),
            };
        }
        let route = self.routes.at_mut(place);
        let timers = [&route.timed, &route.delayed];
        let firsts = timers.into_iter().filter_map(Heap::first);
        let first_due = firsts.map(|slot| self.entries.at(slot).due).min();
        let chosen = route.choose(at).map(|kind| self.first_of(place, kind));
        let route = self.routes.at_mut(place);
        match chosen.filter(|slot| *slot != NONE) {
            Some(slot) => match route.pace.wait(route.rate(), now.mono) {
                Some(wait) => Offer::Wait(Some(wait)),
                None => Offer::Try(slot),
            },
            None if !is_all_due => Offer::Again,
            None => Offer::Wait(first_due.map(moment)),
        }
    }

    /// Puts deliveries whose time has come into their lines, and says whether these were all.
    fn line_up_due(&mut self, place: u32, at: i64) -> bool {
        for _ in 0..MOST_TIMERS {
            let route = self.routes.at(place);
            let timers = [&route.timed, &route.delayed];
            let firsts = timers.into_iter().filter_map(Heap::first);
            let due = firsts.filter(|slot| self.entries.at(*slot).due <= at);
            let Some(slot) = due.min_by_key(|slot| self.entries.at(*slot).due) else {
                return true;
            };
            self.unlink(slot);
            self.put(slot, Place::Lined);
        }
        false
    }

    /// The first delivery of the account whose turn it is.
    fn first_of(&self, place: u32, kind: Kind) -> u32 {
        let turns = self.routes.at(place).ready.of(kind);
        let account = turns.first_key_value().map(|(_, account)| *account);
        account.map_or(NONE, |account| self.accounts.first(account, kind))
    }

    /// The next probe, and its delivery, or [`NONE`]; nothing while the breaker is closed.
    ///
    /// A delivery that the app asked to delay is taken once its time has come, or where an operator
    /// wants the probe and there is no other delivery.
    pub(super) fn probe(&self, place: u32, now: Now) -> Option<(Probe, u32)> {
        let at = millis(now);
        let route = self.routes.at(place);
        let from = match route.breaker.next_probe() {
            Ok(None) => return None,
            Ok(Some(from)) if route.has_slot() => from,
            Ok(Some(_)) | Err(_) => return Some((Probe::AfterAttempt, NONE)),
        };
        if !route.is_listed || route.is_paused {
            return Some((Probe::Nothing, NONE));
        }
        let delayed = || {
            let slot = route.delayed.first()?;
            let due = self.entries.at(slot).due;
            let is_by_hand = route.breaker.is_by_hand();
            Some((slot, if is_by_hand { from } else { from.max(due) }))
        };
        let found = self.undelayed(place).map(|slot| (slot, from));
        let Some((slot, from)) = found.or_else(delayed) else {
            let is_any = route.in_flight > 0;
            let why = if is_any {
                Probe::AfterAttempt
            } else {
                Probe::Nothing
            };
            return Some((why, NONE));
        };
        let asked = route.asked.wait(at).map(moment);
        let paced = route.pace.wait(route.rate(), now.mono);
        let waits = [Some(moment(from)), asked, paced].into_iter().flatten();
        Some((Probe::At(waits.fold(now.mono, Duration::max)), slot))
    }

    /// The delivery of a probe, of those that the app did not ask to delay: one that was never tried;
    /// otherwise one that is due, or will be; and the one that was probed last only if there is no
    /// other.
    fn undelayed(&self, place: u32) -> Option<u32> {
        let found = |slot: u32| Some(slot).filter(|slot| *slot != NONE);
        let route = self.routes.at(place);
        let last = route.breaker.last().map_or(u64::MAX, |number| number.0);
        let is_other = |slot: &u32| self.entries.at(*slot).number != last;
        let retry = found(self.first_of(place, Kind::Retry));
        let after = |slot: u32| found(self.entries.at(slot).after);
        let of_second = || {
            let second = route.ready.of(Kind::Retry).values().nth(1)?;
            found(self.accounts.first(*second, Kind::Retry))
        };
        found(self.first_of(place, Kind::First))
            .or_else(|| retry.filter(is_other))
            .or_else(|| retry.and_then(after))
            .or_else(of_second)
            .or_else(|| route.timed.first_other(&self.entries, last))
            .or(retry)
            .or_else(|| route.timed.first())
    }

    fn begin(&mut self, place: u32, slot: u32, now: Now) -> Lease {
        self.unlink(slot);
        let entry = self.entries.at_mut(slot);
        entry.place = Place::InFlight;
        let kind = Kind::of(entry.state);
        let number = Number(entry.number);
        let route = self.routes.at_mut(place);
        let is_probe = route.breaker.is_open();
        let is_by_hand = route.breaker.probe(number, millis(now)) | route.asked.begin();
        if is_by_hand {
            route.hurried = Some(millis(now));
        }
        route.in_flight += 1;
        route.retries_in_flight += u32::from(kind == Kind::Retry);
        route.pace.begin(route.rate(), now.mono);
        self.accounts.begin(&mut route.ready, entry.account, kind);
        let flight = Flight {
            slot,
            begun: now,
            interruptions: route.interruptions,
            steps: self.steps,
            is_retry: kind == Kind::Retry,
        };
        self.flights.insert(entry.number, flight);
        Lease {
            number,
            id: entry.id(),
            route: route.number,
            account: entry.account,
            bytes: u64::from(entry.bytes),
            attempt: entry.attempts.saturating_add(1),
            is_probe,
        }
    }

    /// An attempt is no longer in flight.
    pub(super) fn end_flight(&mut self, number: u64) {
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        let place = self.route_of(flight.slot);
        let route = self.routes.at_mut(place);
        route.in_flight = route.in_flight.saturating_sub(1);
        let was_retry = u32::from(flight.is_retry);
        route.retries_in_flight = route.retries_in_flight.saturating_sub(was_retry);
        let account = self.entries.at(flight.slot).account;
        self.accounts.end(&mut route.ready, account);
        self.look_at(place);
    }
}

/// A moment of the monotonic clock.
pub(super) fn moment(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
