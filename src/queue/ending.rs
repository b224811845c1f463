//! The end of an attempt, and what becomes of the delivery (contract: Queue).

use std::time::Duration;

use super::asked::{PauseTurn, Reply};
use super::breaker::{BreakerTurn, Sign};
use super::delay;
use super::entry::Place;
use super::index::{Flight, Queue, millis};
use super::{AttemptEnd, Change, Number, State};
use crate::clock::Now;

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The app answered with a status, and with the `Retry-After` of
    /// [`super::retry_after()`].
    Status(u16, Option<Duration>),
    /// There was no connection.
    Unreachable,
    /// There was no answer in time.
    Timeout,
    /// The attempt failed in another way, as by an answer that was cut off.
    Failed,
    /// The delivery cannot be read now: its key is missing, or the file is damaged. It is held until
    /// the next start, or until [`Queue::release_held`] or an operator lets it be tried again, and it
    /// holds its order key.
    Undeliverable,
    /// The delivery is not what was accepted. It is dead.
    Damaged,
    /// The attempt was not made, or its end will not be known: the process stops, or the worker
    /// panicked. The delivery is tried again at once. No attempt is counted.
    GivenBack,
    /// The attempt could not be made yet: the store did not answer, or there was no memory for the
    /// body. The delivery is tried again after this time. No attempt is counted.
    Postponed(Duration),
}

/// The reason why a delivery is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// The app answered with a status of `dead_on`.
    Status,
    /// An attempt failed after `max_age`.
    Age,
    /// It is not what was accepted, so it was not sent.
    Damaged,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Status, Self::Age, Self::Damaged];

    /// Its name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Age => "age",
            Self::Damaged => "damaged",
        }
    }
}

/// What the end of an attempt brought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What is to be stored; `None` where the attempt was not made.
    pub change: Option<Change>,
    /// The reason, if the delivery is dead now.
    pub dead: Option<DeadReason>,
    /// Whether the breaker opened or closed.
    pub breaker: Option<BreakerTurn>,
    /// Whether a pause began or ended that the app asks for.
    pub pause: Option<PauseTurn>,
}

impl Outcome {
    fn sign(self) -> Sign {
        match self {
            Self::Status(429 | 502..=504, _) | Self::Unreachable | Self::Timeout => Sign::Ill,
            Self::Status(200..=299 | 400..=499, _) => Sign::Well,
            _ => Sign::None,
        }
    }

    fn reply(self) -> Reply {
        match self {
            Self::Status(200..=299, _) => Reply::Taken,
            Self::Status(503, Some(delay)) => Reply::Asked(delay),
            _ => Reply::Other,
        }
    }
}

impl Queue {
    /// The attempt of this delivery, which [`Self::next`] began, has ended. `jitter` gives random
    /// numbers from 0 to 1. A number that is not in flight changes nothing.
    pub fn ended(
        &mut self,
        number: Number,
        outcome: Outcome,
        now: Now,
        jitter: &mut impl FnMut() -> f64,
    ) -> Ended {
        self.observe(now);
        let Some(flight) = self.flights.get(&number.0).copied() else {
            return Ended::default();
        };
        let slot = flight.slot;
        let (status, asked) = match outcome {
            Outcome::Undeliverable | Outcome::GivenBack | Outcome::Postponed(_) => {
                self.not_made(number, slot, outcome, now);
                return Ended::default();
            }
            Outcome::Damaged => return self.damaged(number, slot, now),
            Outcome::Status(status, asked) => (status, asked),
            Outcome::Unreachable | Outcome::Timeout | Outcome::Failed => (0, None),
        };
        let at = millis(now);
        let place = self.route_of(slot);
        let route = self.routes.at_mut(place);
        route.last = AttemptEnd::of(outcome).map(|end| (end, now.wall));
        let breaker = route.breaker.saw(number, outcome.sign(), at);
        let pause = route.asked.saw(number, outcome.reply(), at);
        let turns = u64::from(breaker.is_some()) + u64::from(pause.is_some());
        route.interruptions += turns;

        let entry = self.entries.at_mut(slot);
        entry.attempts = entry.attempts.saturating_add(1);
        entry.last_status = status;
        let mut ended = Ended {
            change: Some(Change::Gone),
            dead: None,
            breaker,
            pause,
        };
        if (200..300).contains(&status) {
            self.remove(slot, now);
            return ended;
        }
        entry.round = entry.round.saturating_add(1);
        ended.dead = self.death(&flight, status);
        if ended.dead.is_some() {
            self.die(slot, now);
        } else {
            self.schedule(slot, asked, at, jitter());
        }
        ended.change = Some(Change::Progress(self.progress(slot, now)));
        ended
    }

    /// The reason why no attempt follows a failed one.
    fn death(&self, flight: &Flight, status: u16) -> Option<DeadReason> {
        let route = self.routes.at(self.route_of(flight.slot));
        let settings = route.settings.as_ref()?;
        if settings.dead_on.contains(&status) {
            return Some(DeadReason::Status);
        }
        // The age is that at the beginning of the attempt, and the attempt counts only if nothing has
        // interrupted the route since.
        let age = flight
            .begun
            .wall
            .0
            .saturating_sub(self.entries.at(flight.slot).aged_from);
        let max_age = i64::try_from(settings.max_age.as_millis()).unwrap_or(i64::MAX);
        let is_undisturbed = !route.is_interrupted()
            && flight.interruptions == route.interruptions
            && flight.steps == self.steps;
        (age >= max_age && is_undisturbed).then_some(DeadReason::Age)
    }

    /// No attempt follows for a delivery, which dies now.
    fn die(&mut self, slot: u32, now: Now) {
        let place = self.route_of(slot);
        self.leave_place(slot, now);
        self.set_state(slot, State::Dead);
        let entry = self.entries.at_mut(slot);
        entry.due = now.wall.0;
        entry.place = Place::Dead;
        let dead = &mut self.routes.at_mut(place).dead;
        dead.insert(&mut self.entries, slot);
    }

    fn schedule(&mut self, slot: u32, asked: Option<Duration>, at: i64, chance: f64) {
        let place = self.route_of(slot);
        self.unlink(slot);
        self.set_state(slot, State::Retrying);
        let round = self.entries.at(slot).round;
        let unset = super::Settings::default();
        let settings = self.routes.at(place).settings.as_ref().unwrap_or(&unset);
        let own = delay::after_failure(settings, round, chance, None);
        let delay = delay::after_failure(settings, round, chance, asked);
        self.entries.at_mut(slot).due = at.saturating_add(delay);
        let was_asked = delay > own;
        self.put(
            slot,
            if was_asked {
                Place::Delayed
            } else {
                Place::Timed
            },
        );
    }

    /// A delivery that is not what was accepted dies without an attempt.
    fn damaged(&mut self, number: Number, slot: u32, now: Now) -> Ended {
        let place = self.route_of(slot);
        self.routes
            .at_mut(place)
            .breaker
            .unprobe(number, millis(now));
        self.die(slot, now);
        Ended {
            change: Some(Change::Progress(self.progress(slot, now))),
            dead: Some(DeadReason::Damaged),
            ..Ended::default()
        }
    }

    fn not_made(&mut self, number: Number, slot: u32, outcome: Outcome, now: Now) {
        let at = millis(now);
        let place = self.route_of(slot);
        self.routes.at_mut(place).breaker.unprobe(number, at);
        self.unlink(slot);
        match outcome {
            Outcome::Undeliverable => self.put(slot, Place::Held),
            Outcome::Postponed(delay) => {
                let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                self.entries.at_mut(slot).due = at.saturating_add(delay);
                self.put(slot, Place::Delayed);
            }
            _ => self.put_back(slot),
        }
    }
}
