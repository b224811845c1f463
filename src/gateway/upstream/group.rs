//! The upstreams of a route: which of them gets a delivery, and which are left out (contract: Several
//! upstreams). Routes that list the same upstreams share a group, and a reload keeps it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::balance::{Turns, bit};
use super::ejection::{Ejections, Failing, OUT};
use super::pool::{Target, Upstream};
use crate::config::Balance;

/// What makes two groups the same: their upstreams with their weights, and how they are balanced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) members: Vec<(Target, u8)>,
    pub(super) balance: Balance,
}

/// The upstreams of a route.
pub(crate) struct Group {
    members: Box<[Arc<Upstream>]>,
    balance: Balance,
    // Held for a pass over the members, and not at all where there is a single one.
    state: Mutex<State>,
}

struct State {
    turns: Turns,
    ejections: Ejections,
}

/// The members that a delivery has tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried(u64);

/// A delivery in the hands of an upstream. It counts until it is dropped.
pub(crate) struct Busy(Arc<Upstream>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Group {
    /// A group of these upstreams, each with its weight. There is at least one.
    pub(super) fn new(members: Vec<(Arc<Upstream>, u8)>, balance: Balance) -> Self {
        let (members, weights): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let state = State {
            turns: Turns::new(weights.into()),
            ejections: Ejections::new(members.len()),
        };
        Self {
            members: members.into(),
            balance,
            state: Mutex::new(state),
        }
    }

    /// The upstreams, in the order of the configuration.
    pub(crate) fn members(&self) -> &[Arc<Upstream>] {
        &self.members
    }

    /// The name of a member for logs; empty where there is no such member.
    pub(crate) fn label(&self, place: usize) -> &str {
        self.members.get(place).map_or("", |member| &member.label)
    }

    /// The value of `Host` for a request that has none: that of the first member, since it is the
    /// same whoever gets the request.
    pub(crate) fn authority(&self) -> String {
        let first = self.members.first();
        first.map_or_else(String::new, |first| first.target.address.authority())
    }

    /// Whether there is a choice.
    pub(crate) fn has_choice(&self) -> bool {
        self.members.len() > 1
    }

    /// The member that gets a delivery which has `tried` others before, and its place. Those that
    /// are left out, and those that fail their health checks, come only where nobody else is left to
    /// try. `None`: all were tried. It is `now`.
    pub(super) fn choose(
        &self,
        tried: &mut Tried,
        now: Instant,
    ) -> Option<(usize, &Arc<Upstream>)> {
        let place = if self.has_choice() {
            let untried = self.all() & !tried.0;
            let mut state = self.state();
            let good = self.passing() & untried & !state.ejections.out(now);
            let mut among = if good == 0 { untried } else { good };
            if self.balance == Balance::LeastBusy {
                among = state.turns.least_busy(among, |place| {
                    let member = self.members.get(place);
                    member.map_or(0, |member| member.busy.load(Ordering::Relaxed))
                });
            }
            let place = state.turns.next(among)?;
            state.ejections.chosen(place, now);
            place
        } else if tried.0 == 0 {
            0
        } else {
            return None;
        };
        tried.0 |= bit(place);
        Some((place, self.members.get(place)?))
    }

    /// The number of members that a delivery has not tried yet.
    pub(super) fn left(&self, tried: Tried) -> u32 {
        (self.all() & !tried.0).count_ones()
    }

    /// Counts a delivery that a member has in hand, where the choice depends on it.
    pub(super) fn busy(&self, member: &Arc<Upstream>) -> Option<Busy> {
        if self.balance != Balance::LeastBusy {
            return None;
        }
        member.busy.fetch_add(1, Ordering::Relaxed);
        Some(Busy(Arc::clone(member)))
    }

    /// Notes that no connection to a member could be made, and why.
    pub(super) fn failed(&self, place: usize, why: &dyn std::fmt::Display) {
        if !self.has_choice() {
            return;
        }
        let passing = self.passing();
        let failing = self
            .state()
            .ejections
            .failed(place, passing, Instant::now());
        let label = self.label(place);
        match failing {
            None => {}
            Some(Failing::Out) => log::warn!(
                "upstream {label}: {why}; left out after 3 failures to connect in a row, and tried again every {} s",
                OUT.as_secs()
            ),
            Some(Failing::Last) => log::warn!(
                "upstream {label}: {why}; it goes on getting deliveries after 3 failures to connect in a row, because \
                 no other upstream is in service"
            ),
        }
    }

    /// Notes that a connection to a member was made.
    pub(super) fn worked(&self, place: usize) {
        if !self.has_choice() {
            return;
        }
        let failing = self.state().ejections.worked(place, Instant::now());
        if let Some(failing) = failing {
            log::info!(
                "upstream {} takes connections again, after {} s",
                self.label(place),
                failing.as_secs()
            );
        }
    }

    /// Whether each member is in service: it passes its health checks, and is not left out. `None`
    /// where nothing is known of health: a single upstream without checks.
    pub(crate) fn in_service(&self) -> Option<Vec<(&str, bool)>> {
        let is_checked = |member: &Arc<Upstream>| member.target.health.is_some();
        if !self.has_choice() && !self.members.iter().any(is_checked) {
            return None;
        }
        let good = self.passing() & !self.state().ejections.out(Instant::now());
        let members = self.members.iter().enumerate();
        let members =
            members.map(|(place, member)| (member.label.as_ref(), good & bit(place) != 0));
        Some(members.collect())
    }

    fn all(&self) -> u64 {
        (0..self.members.len()).fold(0, |all, place| all | bit(place))
    }

    fn passing(&self) -> u64 {
        let members = self.members.iter().enumerate();
        let passing = members.filter(|(_, member)| member.passes_checks.load(Ordering::Relaxed));
        passing.fold(0, |all, (place, _)| all | bit(place))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
