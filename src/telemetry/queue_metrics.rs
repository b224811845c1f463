//! The metrics of the queue (contract: Metrics): what waits, what was tried, and how long the store
//! takes. A gateway without a queue has none of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::descriptions::{
    Description, QUEUE_ACCEPT_DURATION, QUEUE_ATTEMPTS, QUEUE_BREAKER_OPEN, QUEUE_BYTES,
    QUEUE_DEAD, QUEUE_DELIVERIES, QUEUE_HELD, QUEUE_MAX_BYTES, QUEUE_MAX_DELIVERIES, QUEUE_OLDEST,
    QUEUE_PAUSED, QUEUE_ROUTE_BYTES, QUEUE_ROUTE_MAX_BYTES, QUEUE_ROUTE_MAX_DELIVERIES,
    STATE_ERRORS, STATE_SYNC_DURATION,
};
use super::durations::Durations;
use super::route_counts::EXCHANGE_BOUNDS;
use super::series::{Series, Summed, family, histogram};
use crate::queue::{Counts, DeadReason, State};
use crate::store::sqlite::{ErrorKind, Errors};

/// The values of `class`; the first is for an attempt without an answer.
const CLASSES: [&str; 5] = ["none", "2xx", "3xx", "4xx", "5xx"];

/// The values of `reason` of a route that waits: an operator paused it, the app asked for it, or the
/// configuration in force does not have the route.
const PAUSES: [&str; 3] = ["operator", "app", "removed"];

/// What a route holds, and why it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a series of its own, and any of them may hold beside the others"
)]
pub struct RouteNow {
    /// What it holds.
    pub counts: Counts,
    /// The most bytes and deliveries that it may hold; 0 where it stores nothing more.
    pub max_bytes: u64,
    /// The most deliveries, likewise.
    pub max_deliveries: u64,
    /// The age of the oldest delivery that is not dead.
    pub oldest: Option<Duration>,
    /// Whether an operator paused it.
    pub is_paused: bool,
    /// Whether it waits because the app asked for it.
    pub is_asked: bool,
    /// Whether the configuration in force does not have it.
    pub is_removed: bool,
    /// Whether its breaker is open.
    pub is_breaker_open: bool,
}

impl RouteNow {
    /// Adds what another route of the same name holds: one that had another provider.
    pub fn add(&mut self, other: &Self) {
        self.counts.waiting += other.counts.waiting;
        self.counts.retrying += other.counts.retrying;
        self.counts.dead += other.counts.dead;
        self.counts.held += other.counts.held;
        self.counts.bytes += other.counts.bytes;
        self.max_bytes = self.max_bytes.max(other.max_bytes);
        self.max_deliveries = self.max_deliveries.max(other.max_deliveries);
        self.oldest = self.oldest.max(other.oldest);
        self.is_paused |= other.is_paused;
        self.is_asked |= other.is_asked;
        self.is_removed |= other.is_removed;
        self.is_breaker_open |= other.is_breaker_open;
    }
}

/// The metrics of a queue. Cheap to clone; clones share the same series.
#[derive(Clone)]
pub struct QueueMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    series: Series,
    bytes: IntGauge,
    max_bytes: IntGauge,
    max_deliveries: IntGauge,
    accepted: Arc<Mutex<Durations<16>>>,
    synced: Arc<Mutex<Durations<16>>>,
    errors: [IntCounter; ErrorKind::ALL.len()],
    // Plain locks: an attempt takes the second one once, a scrape both.
    errors_seen: Mutex<Errors>,
    routes: Mutex<BTreeMap<String, OfRoute>>,
}

/// The series of a route.
struct OfRoute {
    deliveries: [IntGauge; State::ALL.len()],
    bytes: IntGauge,
    max_bytes: IntGauge,
    max_deliveries: IntGauge,
    held: IntGauge,
    oldest: IntGauge,
    paused: [IntGauge; PAUSES.len()],
    breaker_open: IntGauge,
    attempts: [IntCounter; CLASSES.len()],
    dead: [IntCounter; DeadReason::ALL.len()],
}

impl fmt::Debug for QueueMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueMetrics").finish_non_exhaustive()
    }
}

impl QueueMetrics {
    pub(super) fn new(series: &Series) -> Self {
        let errors = ErrorKind::ALL.map(|kind| series.counter(&STATE_ERRORS, &[kind.name()]));
        Self {
            shared: Arc::new(Shared {
                bytes: series.gauge(&QUEUE_BYTES, &[]),
                max_bytes: series.gauge(&QUEUE_MAX_BYTES, &[]),
                max_deliveries: series.gauge(&QUEUE_MAX_DELIVERIES, &[]),
                accepted: durations(series, &QUEUE_ACCEPT_DURATION),
                synced: durations(series, &STATE_SYNC_DURATION),
                errors,
                errors_seen: Mutex::default(),
                routes: Mutex::default(),
                series: series.clone(),
            }),
        }
    }

    /// Counts the time from a delivery's proof to the sync that covered it.
    pub fn accepted(&self, time: Duration) {
        locked(&self.shared.accepted).observe(&EXCHANGE_BOUNDS, time);
    }

    /// Counts the time of a commit of the store, its sync included.
    pub fn synced(&self, time: Duration) {
        locked(&self.shared.synced).observe(&EXCHANGE_BOUNDS, time);
    }

    /// Counts an attempt in a route that ended with this status; `None`: without an answer.
    pub fn attempted(&self, route: &str, status: Option<u16>) {
        let class = status.map_or(0, |status| match status {
            200..=599 => usize::from(status / 100 - 1),
            _ => 0,
        });
        self.of_route(route, |own| {
            if let Some(counter) = own.attempts.get(class) {
                counter.inc();
            }
        });
    }

    /// Counts a delivery of a route that has become a dead letter.
    pub fn died(&self, route: &str, reason: DeadReason) {
        self.of_route(route, |own| {
            if let Some(counter) = own.dead.get(reason as usize) {
                counter.inc();
            }
        });
    }

    /// Sets the live bytes and both limits, at each scrape.
    pub fn set_totals(&self, bytes: u64, max_bytes: u64, max_deliveries: u64) {
        let shared = &self.shared;
        shared.bytes.set(shown(bytes));
        shared.max_bytes.set(shown(max_bytes));
        shared.max_deliveries.set(shown(max_deliveries));
    }

    /// Sets the errors of the store since the start, at each scrape.
    pub fn set_errors(&self, errors: Errors) {
        let mut seen = locked(&self.shared.errors_seen);
        for (kind, counter) in ErrorKind::ALL.iter().zip(&self.shared.errors) {
            counter.inc_by(errors.of(*kind).saturating_sub(seen.of(*kind)));
        }
        *seen = errors;
    }

    /// Sets what the routes hold, at each scrape. The series of a route that is not among them end.
    pub fn set_routes(&self, now: &BTreeMap<String, RouteNow>) {
        for (name, values) in now {
            self.of_route(name, |own| own.set(values));
        }
        let mut routes = locked(&self.shared.routes);
        routes.retain(|name, own| {
            let stays = now.contains_key(name);
            if !stays {
                own.end(&self.shared.series);
            }
            stays
        });
    }

    /// The series of a route are made when they are first needed, all at zero: a rate sees the first
    /// increment only of a series that was already shown.
    fn of_route(&self, name: &str, change: impl FnOnce(&OfRoute)) {
        let mut routes = locked(&self.shared.routes);
        match routes.get(name) {
            Some(own) => change(own),
            None => {
                let own = OfRoute::new(&self.shared.series, name);
                change(&own);
                routes.insert(name.to_owned(), own);
            }
        }
    }
}

impl OfRoute {
    fn new(series: &Series, name: &str) -> Self {
        let by = |metric, label| series.gauge(metric, &[name, label]);
        Self {
            deliveries: State::ALL.map(|state| by(&QUEUE_DELIVERIES, state.name())),
            bytes: series.gauge(&QUEUE_ROUTE_BYTES, &[name]),
            max_bytes: series.gauge(&QUEUE_ROUTE_MAX_BYTES, &[name]),
            max_deliveries: series.gauge(&QUEUE_ROUTE_MAX_DELIVERIES, &[name]),
            held: series.gauge(&QUEUE_HELD, &[name]),
            oldest: series.gauge(&QUEUE_OLDEST, &[name]),
            paused: PAUSES.map(|reason| by(&QUEUE_PAUSED, reason)),
            breaker_open: series.gauge(&QUEUE_BREAKER_OPEN, &[name]),
            attempts: CLASSES.map(|class| series.counter(&QUEUE_ATTEMPTS, &[name, class])),
            dead: DeadReason::ALL.map(|reason| series.counter(&QUEUE_DEAD, &[name, reason.name()])),
        }
    }

    fn set(&self, now: &RouteNow) {
        let counts = [now.counts.waiting, now.counts.retrying, now.counts.dead];
        for (gauge, count) in self.deliveries.iter().zip(counts) {
            gauge.set(shown(count));
        }
        self.bytes.set(shown(now.counts.bytes));
        self.max_bytes.set(shown(now.max_bytes));
        self.max_deliveries.set(shown(now.max_deliveries));
        self.held.set(shown(now.counts.held));
        self.oldest
            .set(shown(now.oldest.unwrap_or_default().as_secs()));
        let pauses = [now.is_paused, now.is_asked, now.is_removed];
        for (gauge, is_so) in self.paused.iter().zip(pauses) {
            gauge.set(i64::from(is_so));
        }
        self.breaker_open.set(i64::from(now.is_breaker_open));
    }

    fn end(&self, series: &Series) {
        let gauges = self.deliveries.iter().chain(&self.paused);
        let others = [
            &self.bytes,
            &self.max_bytes,
            &self.max_deliveries,
            &self.held,
            &self.oldest,
            &self.breaker_open,
        ];
        for gauge in gauges.chain(others) {
            series.end(gauge.clone());
        }
        for counter in self.attempts.iter().chain(&self.dead) {
            series.end(counter.clone());
        }
    }
}

/// A histogram that `series` shows.
fn durations(series: &Series, description: &'static Description) -> Arc<Mutex<Durations<16>>> {
    let durations = Arc::new(Mutex::new(Durations::NOTHING));
    let own = Arc::clone(&durations);
    series.show(Summed::new(&[*description], &[], move || {
        let shown = locked(&own).shown(&EXCHANGE_BOUNDS);
        vec![family(
            description,
            vec![histogram(description, &[], shown)],
        )]
    }));
    durations
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shown(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_route_is_shown_while_it_is_told_of_and_counts_by_class_and_reason() {
        let metrics = Metrics::new("1");
        let queue = metrics.queue();
        let now = RouteNow {
            counts: Counts {
                waiting: 3,
                dead: 1,
                bytes: 700,
                ..Counts::default()
            },
            max_bytes: 1000,
            max_deliveries: 10,
            oldest: Some(Duration::from_millis(61_900)),
            is_paused: true,
            ..RouteNow::default()
        };
        queue.set_routes(&BTreeMap::from([("r".to_owned(), now)]));
        for status in [None, Some(204), Some(503), Some(503)] {
            queue.attempted("r", status);
        }
        queue.died("r", DeadReason::Age);
        let lines = [
            "verigate_queue_deliveries{route=\"r\",state=\"waiting\"} 3",
            "verigate_queue_deliveries{route=\"r\",state=\"retrying\"} 0",
            "verigate_queue_deliveries{route=\"r\",state=\"dead\"} 1",
            "verigate_queue_oldest_seconds{route=\"r\"} 61",
            "verigate_queue_route_bytes{route=\"r\"} 700",
            "verigate_queue_route_max_bytes{route=\"r\"} 1000",
            "verigate_queue_route_max_deliveries{route=\"r\"} 10",
            "verigate_queue_paused{reason=\"operator\",route=\"r\"} 1",
            "verigate_queue_paused{reason=\"app\",route=\"r\"} 0",
            "verigate_queue_attempts_total{class=\"none\",route=\"r\"} 1",
            "verigate_queue_attempts_total{class=\"2xx\",route=\"r\"} 1",
            "verigate_queue_attempts_total{class=\"5xx\",route=\"r\"} 2",
            "verigate_queue_dead_total{reason=\"age\",route=\"r\"} 1",
            "verigate_queue_dead_total{reason=\"status\",route=\"r\"} 0",
        ];
        let text = metrics.render();
        let missing: Vec<_> = lines
            .iter()
            .filter(|line| !text.lines().any(|found| found == **line))
            .collect();
        assert!(missing.is_empty(), "{missing:?} in {text}");
        queue.set_routes(&BTreeMap::new());
        assert!(!metrics.render().contains("route=\"r\""));
    }

    #[test]
    fn two_routes_of_a_name_are_one_series() {
        let one = RouteNow {
            oldest: Some(Duration::from_secs(5)),
            is_removed: true,
            ..RouteNow::default()
        };
        let mut sum = RouteNow {
            counts: Counts {
                dead: 2,
                ..Counts::default()
            },
            ..RouteNow::default()
        };
        sum.add(&one);
        assert_eq!((sum.counts.dead, sum.oldest), (2, one.oldest));
        assert!(sum.is_removed);
    }
}
