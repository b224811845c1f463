//! What is seen of the queue: its metrics, and the error about deliveries that wait for long
//! (contract: Queue).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::backlog::{Backlog, locked};
use super::snapshot::Snapshot;
use crate::clock::{Now, UnixMillis};
use crate::notation::shell;
use crate::queue::{Ended, Outcome, RouteNumber, RouteStatus};
use crate::store::sqlite::Errors;
use crate::telemetry::queue_metrics::RouteNow;

/// The age from which on a delivery is said to wait for long: the provider was told that it is taken,
/// and notices nothing any more.
const OVERDUE: Duration = Duration::from_secs(15 * 60);

/// The time after which that is said again.
const AGAIN: Duration = Duration::from_secs(10 * 60);

impl Backlog {
    /// The name of a route by its number.
    pub(crate) fn name(&self, route: RouteNumber) -> Option<Arc<str>> {
        locked(&self.names).get(&route).cloned()
    }

    /// Sets the metrics of the queue, at a scrape. Shown are the routes that store what they take, and
    /// those that hold something.
    pub(super) fn show(&self, snapshot: &Snapshot, now: Now, of_window: Errors) {
        let (_, bytes) = self.queue().totals();
        self.metrics
            .set_totals(bytes, self.limits.max_bytes, self.limits.max_deliveries);
        self.metrics.set_errors(self.store.errors().and(&of_window));
        let mut shown: BTreeMap<String, RouteNow> = BTreeMap::new();
        for (number, status) in self.statuses(now) {
            let own = snapshot.queued_route(number);
            let own = own.and_then(|route| route.queue.as_ref());
            let accepts = own.is_some_and(|own| own.accepts);
            let is_meant = accepts || status.counts.deliveries() > 0;
            if let Some(name) = self.name(number).filter(|_| is_meant) {
                let of_route = now_of(&status, accepts, now.wall);
                shown.entry((*name).to_owned()).or_default().add(&of_route);
            }
        }
        self.metrics.set_routes(&shown);
    }

    /// Every route, and why it waits. The lock is taken for each anew, so that a delivery waits for one
    /// search at most.
    pub(crate) fn statuses(&self, now: Now) -> Vec<(RouteNumber, RouteStatus)> {
        let numbers: Vec<_> = self.queue().routes().collect();
        let statuses = numbers
            .into_iter()
            .map(|number| (number, self.queue().status(number, now)));
        statuses.collect()
    }

    /// Says which routes hold deliveries that nobody tries, because the configuration in force does not
    /// have the route.
    pub(super) fn report_removed(&self, now: Now) {
        let statuses = self.statuses(now);
        let listed = statuses.iter().filter(|(_, status)| status.is_listed);
        let listed: HashSet<_> = listed
            .filter_map(|(number, _)| self.name(*number))
            .collect();
        for (number, status) in &statuses {
            let held = status.counts.waiting + status.counts.retrying;
            if status.is_listed || held == 0 {
                continue;
            }
            let name = self.name(*number);
            let discarding = match &name {
                // A filter by the name would mean the deliveries of the route in force, too.
                Some(name) if listed.contains(name) => {
                    "discard them one by one, by `verigate queue discard ID`".to_owned()
                }
                name => {
                    let option = shell::option("--route", name.as_deref().unwrap_or("-"));
                    format!("`verigate queue discard {option}`")
                }
            };
            log::warn!(
                "route {}: {} and {} held, because the configuration has no route of this name and provider: put it \
                 back, or {discarding}",
                name.as_deref().unwrap_or("-"),
                deliveries_wait(held),
                if held == 1 { "is" } else { "are" },
            );
        }
    }

    /// Says which of these routes, which are in relay mode, still have deliveries that they accepted in
    /// queue mode.
    pub(super) fn report_draining(&self, relays: &[(RouteNumber, &str)], now: Now) {
        for (number, name) in relays {
            let counts = self.queue().status(*number, now).counts;
            let (count, go) = match counts.waiting + counts.retrying {
                0 => continue,
                1 => ("1 delivery".to_owned(), "goes"),
                more => (format!("{more} deliveries"), "go"),
            };
            log::info!("route {name}: {count} accepted in queue mode {go} on being delivered");
        }
    }

    /// Counts the end of an attempt.
    pub(super) fn count(&self, route: RouteNumber, outcome: Outcome, ended: &Ended) {
        let status = match outcome {
            Outcome::Status(status, _) => Some(Some(status)),
            Outcome::Unreachable | Outcome::Timeout | Outcome::Failed => Some(None),
            // No attempt was made.
            Outcome::Damaged => None,
            Outcome::Undeliverable | Outcome::GivenBack | Outcome::Postponed(_) => return,
        };
        let Some(name) = self.name(route) else {
            return;
        };
        if let Some(status) = status {
            self.metrics.attempted(&name, status);
        }
        if let Some(reason) = ended.dead {
            self.metrics.died(&name, reason);
        }
    }

    /// Says, every ten minutes for each route, that a delivery waits which was accepted over a quarter of
    /// an hour ago. It need not have waited all the time: a dead letter that is retried waits again.
    pub(super) fn report_overdue(&self, now: Now) {
        for (number, status) in self.statuses(now) {
            let Some(oldest) = status.oldest else {
                continue;
            };
            let age = age(oldest, now.wall);
            let mut told = locked(&self.overdue);
            let is_told = told
                .get(&number)
                .is_some_and(|last| now.mono.saturating_sub(*last) < AGAIN);
            if age < OVERDUE || is_told {
                continue;
            }
            told.insert(number, now.mono);
            drop(told);
            let name = self.name(number);
            let name = name.as_deref().unwrap_or("-");
            log::error!(
                "route {name}: {}, the oldest accepted {} minutes ago{}: the provider was told that they are taken and \
                 sends them no more; see what the app answers (`verigate queue list {}`)",
                deliveries_wait(status.counts.waiting + status.counts.retrying),
                age.as_secs() / 60,
                why(&status),
                shell::option("--route", name)
            );
        }
    }
}

/// How many deliveries wait, in words.
pub(crate) fn deliveries_wait(count: u64) -> String {
    match count {
        1 => "1 delivery waits".to_owned(),
        _ => format!("{count} deliveries wait"),
    }
}

/// Why a route waits, in words.
fn why(status: &RouteStatus) -> &'static str {
    if status.is_paused {
        ", because an operator paused the route"
    } else if !status.is_listed {
        ", because the route is not in the configuration"
    } else if status.is_breaker_open {
        ", because the app cannot be reached"
    } else {
        ""
    }
}

fn now_of(status: &RouteStatus, accepts: bool, wall: UnixMillis) -> RouteNow {
    let limits = status.limits.filter(|_| accepts);
    RouteNow {
        counts: status.counts,
        max_bytes: limits.map_or(0, |limits| limits.max_bytes),
        max_deliveries: limits.map_or(0, |limits| limits.max_deliveries),
        oldest: status.oldest.map(|oldest| age(oldest, wall)),
        is_paused: status.is_paused,
        is_asked: status.asked_until.is_some(),
        is_removed: !status.is_listed,
        is_breaker_open: status.is_breaker_open,
    }
}

fn age(since: UnixMillis, wall: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(wall.0.saturating_sub(since.0)).unwrap_or(0))
}
