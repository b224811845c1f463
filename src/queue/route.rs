//! A route as the queue sees it: its settings, why it waits, and what it holds.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Kind, Ready};
use super::asked::Asked;
use super::breaker::Breaker;
use super::heap::{Heap, Order};
use super::pace::Pace;
use super::room::Reserved;
use super::settings::{Rate, Settings};
use super::{AttemptEnd, RouteNumber, State};
use crate::clock::UnixMillis;
use crate::verify::claim::Mark;

/// The time in milliseconds for which an account is expected to have further deliveries.
const LATELY: i64 = 60_000;

/// The time in milliseconds within which an operator has one attempt begin at once: a plan that retries
/// thousands is not to make as many probes, nor is somebody who resumes again and again.
const HURRIED: i64 = 5_000;

/// A route that is configured, or has deliveries.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) number: RouteNumber,
    /// The last settings that it had in this process.
    pub(super) settings: Option<Settings>,
    /// Whether the configuration in force has it.
    pub(super) is_listed: bool,
    /// Whether an operator paused it.
    pub(super) is_paused: bool,
    pub(super) asked: Asked,
    pub(super) breaker: Breaker,
    /// The beginning of the last attempt that an operator had begin at once, by the monotonic clock.
    pub(super) hurried: Option<i64>,
    /// The end of the last attempt, and its moment by the wall clock.
    pub(super) last: Option<(AttemptEnd, UnixMillis)>,
    /// Rises with each beginning and end of an interruption.
    pub(super) interruptions: u64,
    pub(super) pace: Pace,
    /// Attempts in flight, and those of them that are retries.
    pub(super) in_flight: u32,
    pub(super) retries_in_flight: u32,
    /// The account of the last delivery, and the last delivery of any other one, each with the moment
    /// of its arrival by the monotonic clock.
    last_accounts: [Option<(Option<Mark>, i64)>; 2],
    /// Choices between a first attempt and a retry so far.
    pub(super) choices: u8,
    pub(super) ready: Ready,
    /// Deliveries that wait for the schedule, and those that wait longer because somebody asked.
    pub(super) timed: Heap,
    pub(super) delayed: Heap,
    pub(super) dead: Heap,
    pub(super) counts: Counts,
    /// Shared with the rooms that are held.
    pub(super) reserved: Arc<Reserved>,
    /// No delivery with a lower number is to be delivered.
    pub(super) oldest_from: u64,
    /// Whether it waits for [`super::Queue::next`] to look at it.
    pub(super) is_looked_at: bool,
    /// The moment at which it is looked at again.
    pub(super) wake: Option<Duration>,
}

/// The deliveries of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that were never tried.
    pub waiting: u64,
    /// Those that are tried again.
    pub retrying: u64,
    /// The dead letters.
    pub dead: u64,
    /// Those that could not be read, whatever their state.
    pub held: u64,
    /// The bytes of all.
    pub bytes: u64,
}

impl Counts {
    /// The number of all.
    pub fn deliveries(self) -> u64 {
        self.waiting + self.retrying + self.dead
    }

    pub(super) fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Waiting => &mut self.waiting,
            State::Retrying => &mut self.retrying,
            State::Dead => &mut self.dead,
        }
    }
}

impl Route {
    pub(super) fn new(number: RouteNumber) -> Self {
        Self {
            number,
            settings: None,
            is_listed: false,
            is_paused: false,
            asked: Asked::default(),
            breaker: Breaker::default(),
            hurried: None,
            last: None,
            interruptions: 0,
            pace: Pace::default(),
            in_flight: 0,
            retries_in_flight: 0,
            last_accounts: [None; 2],
            choices: 0,
            ready: Ready::default(),
            timed: Heap::new(Order::ByTime),
            delayed: Heap::new(Order::ByTime),
            dead: Heap::new(Order::ByTime),
            counts: Counts::default(),
            reserved: Arc::default(),
            oldest_from: 0,
            is_looked_at: false,
            wake: None,
        }
    }

    /// Whether deliveries wait for another reason than their own.
    pub(super) fn is_interrupted(&self) -> bool {
        !self.is_listed || self.is_paused || self.asked.until().is_some() || self.breaker.is_open()
    }

    /// An operator wants to see at once whether the app is back: while it is only probed, or has asked
    /// for a pause, one attempt begins now, or 5 s after the last one that began for this reason.
    pub(super) fn hurry(&mut self, now: i64) {
        let after_last = self.hurried.map(|at| at.saturating_add(HURRIED));
        let from = after_last.unwrap_or(now).max(now);
        self.breaker.hurry(from);
        self.asked.let_one_through(from);
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.settings
            .as_ref()
            .is_some_and(|settings| settings.is_ordered)
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        self.settings.as_ref().and_then(|settings| settings.rate)
    }

    fn slots(&self) -> u32 {
        self.settings.as_ref().map_or(1, Settings::slots)
    }

    /// Whether deliveries could be tried, if the route let them.
    pub(super) fn has_ready(&self) -> bool {
        [Kind::First, Kind::Retry]
            .into_iter()
            .any(|kind| !self.ready.of(kind).is_empty())
    }

    pub(super) fn has_slot(&self) -> bool {
        self.in_flight < self.slots()
    }

    /// A delivery of this account has arrived.
    pub(super) fn saw_account(&mut self, account: Option<Mark>, now: i64) {
        let [last, other] = &mut self.last_accounts;
        if last.is_some_and(|(known, _)| known != account) {
            *other = *last;
        }
        *last = Some((account, now));
    }

    /// Whether another account than that of the last delivery had one lately.
    fn has_several_accounts(&self, now: i64) -> bool {
        let [_, other] = self.last_accounts;
        other.is_some_and(|(_, at)| now.saturating_sub(at) < LATELY)
    }

    /// The kind of the next attempt, of those for which there are a delivery and a slot.
    ///
    /// A quarter of the slots belongs to retries. These may take more while no first attempt waits,
    /// but leave a quarter to first attempts, so that those need not wait until retries end that an
    /// app keeps open. With fewer than four slots, each fourth choice goes to a retry.
    ///
    /// For the same reason an account that is not the only one of the last minute has at most three
    /// quarters as many attempts in flight as there are slots for first attempts.
    pub(super) fn choose(&mut self, now: i64) -> Option<Kind> {
        if !self.has_slot() {
            return None;
        }
        let slots = self.slots();
        let quarter = slots / 4;
        let share = slots - quarter;
        let most_of_one = if self.has_several_accounts(now) {
            share - share / 4
        } else {
            u32::MAX
        };
        let has = |kind| {
            // The account whose turn it is has the fewest attempts in flight.
            let turn = self.ready.of(kind).first_key_value();
            turn.is_some_and(|((in_flight, _), _)| *in_flight < most_of_one)
        };
        let firsts = self.in_flight.saturating_sub(self.retries_in_flight);
        let first = has(Kind::First) && firsts < share;
        let retry = has(Kind::Retry) && self.retries_in_flight < share;
        match (first, retry) {
            (true, true) if quarter > 0 => Some(if self.retries_in_flight < quarter {
                Kind::Retry
            } else {
                Kind::First
            }),
            (true, true) => {
                self.choices = self.choices.wrapping_add(1);
                Some(if self.choices.is_multiple_of(4) {
                    Kind::Retry
                } else {
                    Kind::First
                })
            }
            (true, false) => Some(Kind::First),
            (false, true) => Some(Kind::Retry),
            (false, false) => None,
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Self::new(RouteNumber(u32::MAX))
    }
}
