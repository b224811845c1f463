//! The accounts of routes: each has a line of deliveries that can be tried, and takes its turn
//! (contract: Queue).

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::State;
use super::entry::Entries;
use super::heap::{Heap, Order};
use super::list::List;
use super::slab::{NONE, Slab};
use crate::verify::claim::Mark;

/// The two kinds of attempts, which have slots of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first attempt of a delivery.
    First,
    /// A later one.
    Retry,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::First, Self::Retry];

    /// The kind of the next attempt of a delivery in this state.
    pub(super) fn of(state: State) -> Self {
        match state {
            State::Waiting => Self::First,
            State::Retrying | State::Dead => Self::Retry,
        }
    }
}

/// An account with deliveries in a route, or those of the route without an account.
#[derive(Debug)]
struct Account {
    route: u32,
    mark: Option<Mark>,
    deliveries: u32,
    in_flight: u32,
    /// Those that can be tried and never were, in the order of acceptance, in which any of them may
    /// come back.
    first: Heap,
    /// Those that can be tried again, in the order of becoming due.
    retry: List,
    /// For each kind, what rises with each turn that the account has had.
    first_turn: u64,
    retry_turn: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            route: NONE,
            mark: None,
            deliveries: 0,
            in_flight: 0,
            first: Heap::new(Order::ByNumber),
            retry: List::default(),
            first_turn: 0,
            retry_turn: 0,
        }
    }
}

impl Account {
    /// The first delivery of this kind that can be tried, or [`NONE`].
    fn first(&self, kind: Kind) -> u32 {
        match kind {
            Kind::First => self.first.first().unwrap_or(NONE),
            Kind::Retry => self.retry.first(),
        }
    }

    fn has(&self, kind: Kind) -> bool {
        self.first(kind) != NONE
    }

    fn turn(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::First => &mut self.first_turn,
            Kind::Retry => &mut self.retry_turn,
        }
    }
}

/// The accounts of a route that have deliveries to be tried, of one kind: the account with the fewest
/// attempts in flight goes first, among those the one that has waited longest for its turn.
pub(super) type Turns = BTreeMap<(u32, u64), u32>;

/// The turns of a route.
#[derive(Debug, Default)]
pub(super) struct Ready {
    first: Turns,
    retry: Turns,
}

impl Ready {
    pub(super) fn of(&self, kind: Kind) -> &Turns {
        match kind {
            Kind::First => &self.first,
            Kind::Retry => &self.retry,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Turns {
        match kind {
            Kind::First => &mut self.first,
            Kind::Retry => &mut self.retry,
        }
    }
}

/// The accounts of all routes.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    all: Slab<Account>,
    places: HashMap<(u32, Option<u64>), u32, RandomState>,
    turn: u64,
}

impl Accounts {
    /// The place of an account, for one more delivery.
    pub(super) fn join(&mut self, route: u32, mark: Option<Mark>) -> u32 {
        let key = (route, mark.map(|mark| mark.0));
        let place = *self.places.entry(key).or_insert_with(|| {
            self.all.insert(Account {
                route,
                mark,
                ..Account::default()
            })
        });
        self.all.at_mut(place).deliveries += 1;
        place
    }

    /// A delivery of the account is gone.
    pub(super) fn leave(&mut self, place: u32) {
        let account = self.all.at_mut(place);
        account.deliveries = account.deliveries.saturating_sub(1);
        if account.deliveries == 0 {
            let key = (account.route, account.mark.map(|mark| mark.0));
            self.places.remove(&key);
            self.all.take(place);
        }
    }

    pub(super) fn route(&self, place: u32) -> u32 {
        self.all.at(place).route
    }

    pub(super) fn mark(&self, place: u32) -> Option<Mark> {
        self.all.at(place).mark
    }

    /// The first delivery in the line of an account.
    pub(super) fn first(&self, place: u32, kind: Kind) -> u32 {
        self.all.at(place).first(kind)
    }

    /// Puts a delivery in the line of its account: one that was never tried in the order of acceptance,
    /// another one in that of becoming due, or at the front if it was there before.
    pub(super) fn line_up(
        &mut self,
        entries: &mut Entries,
        ready: &mut Ready,
        slot: u32,
        is_back: bool,
    ) {
        let (place, kind) = (entries.at(slot).account, Kind::of(entries.at(slot).state));
        let account = self.all.at_mut(place);
        let in_flight = account.in_flight;
        if !account.has(kind) {
            self.turn += 1;
            *account.turn(kind) = self.turn;
            ready.of_mut(kind).insert((in_flight, self.turn), place);
        }
        match kind {
            Kind::First => account.first.insert(entries, slot),
            Kind::Retry if is_back => account.retry.push_front(entries, slot),
            Kind::Retry => account.retry.push_back(entries, slot),
        }
    }

    /// Takes a delivery out of its line.
    pub(super) fn step_out(&mut self, entries: &mut Entries, ready: &mut Ready, slot: u32) {
        let (place, kind) = (entries.at(slot).account, Kind::of(entries.at(slot).state));
        let account = self.all.at_mut(place);
        let in_flight = account.in_flight;
        match kind {
            Kind::First => account.first.remove(entries, slot),
            Kind::Retry => account.retry.remove(entries, slot),
        }
        if !account.has(kind) {
            ready.of_mut(kind).remove(&(in_flight, *account.turn(kind)));
        }
    }

    /// An attempt of the account begins: its turn is over.
    pub(super) fn begin(&mut self, ready: &mut Ready, place: u32, kind: Kind) {
        self.turn += 1;
        let turn = self.turn;
        self.count(ready, place, |account| {
            account.in_flight += 1;
            *account.turn(kind) = turn;
        });
    }

    /// An attempt of the account has ended.
    pub(super) fn end(&mut self, ready: &mut Ready, place: u32) {
        self.count(ready, place, |account| {
            account.in_flight = account.in_flight.saturating_sub(1);
        });
    }

    fn count(&mut self, ready: &mut Ready, place: u32, change: impl FnOnce(&mut Account)) {
        let account = self.all.at_mut(place);
        for kind in Kind::ALL {
            let key = (account.in_flight, *account.turn(kind));
            if account.has(kind) {
                ready.of_mut(kind).remove(&key);
            }
        }
        change(account);
        for kind in Kind::ALL {
            let key = (account.in_flight, *account.turn(kind));
            if account.has(kind) {
                ready.of_mut(kind).insert(key, place);
            }
        }
    }
}
