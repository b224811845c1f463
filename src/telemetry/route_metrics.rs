//! The metrics of a route (contract: Metrics): handles made at load, so that no exchange has to
//! find a series by its labels.
//!
//! The names and meanings of the metrics are in `descriptions`.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge};

use super::Record;
use super::descriptions::{EVENT_ID_CONFLICTS, LAST_VALID, SECRETS_ACTIVE};
use super::route_counts::{EXCHANGE_BOUNDS, JUDGEMENT_BOUNDS, NOT_JUDGED, RouteCounts, VALID};
use super::secret_series::SecretSeries;
use super::series::{Series, set_if_other};
use crate::clock::UnixMillis;

/// The handles of a route under the configuration that made them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    route: Arc<RouteSeries>,
    // Shared, never changed. A route has a handful of secrets, so the matching one is found by
    // comparing names.
    secrets: Arc<[Arc<SecretSeries>]>,
}

impl RouteMetrics {
    pub(super) fn new<'a>(
        route: Arc<RouteSeries>,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let secrets = secrets
            .into_iter()
            .map(|secret| route.secret(secret))
            .collect();
        Self { route, secrets }
    }

    pub(super) fn name(&self) -> &str {
        self.route.name()
    }

    pub(super) fn series(&self) -> Arc<RouteSeries> {
        Arc::clone(&self.route)
    }

    /// No longer shows the series of secrets that these handles do not know.
    pub(super) fn forget_other_secrets(&self) {
        self.route.secrets().retain(|known| {
            let is_ours = self.secrets.iter().any(|own| Arc::ptr_eq(own, known));
            if !is_ours {
                known.forget(&self.route.series);
            }
            is_ours
        });
    }

    /// Sets, at a scrape, the number of secrets that are active, and the time at which each named
    /// secret ends, if it ends.
    pub fn set_secrets<'a>(
        &self,
        active: usize,
        ends: impl IntoIterator<Item = (&'a str, Option<UnixMillis>)>,
    ) {
        self.route
            .secrets_active()
            .set(i64::try_from(active).unwrap_or(i64::MAX));
        for (name, end) in ends {
            if let Some(secret) = self.secrets.iter().find(|known| known.is(name)) {
                secret.set_end(end, &self.route.series);
            }
        }
    }

    /// The time of the last delivery that the secret of this name proved, in Unix seconds; `None`
    /// if there was none since the start.
    pub fn last_match(&self, secret: &str) -> Option<i64> {
        let known = self.secrets.iter().find(|known| known.is(secret))?;
        known.last_match()
    }

    /// Counts an event id that was seen again with another body, whatever status the delivery is
    /// answered with (contract: Seen again).
    pub fn count_conflict(&self) {
        self.route.conflicts().inc();
    }

    /// Counts an attempt to deliver what waits in the queue. Only `Telemetry::attempted` calls this,
    /// since it logs the attempt as well.
    pub(super) fn count_attempt(&self, record: &Record<'_>) {
        count_upstream(&mut self.route.counts.own(), record);
    }

    /// Counts an exchange that ended. Only `Telemetry::finish` calls this, since it logs the
    /// exchange as well.
    pub(super) fn count(&self, record: &Record<'_>) {
        let verdict = match record.refused {
            Some(code) => code as usize,
            None if record.proved => VALID,
            None => NOT_JUDGED,
        };
        let mut counts = self.route.counts.own();
        if let Some(requests) = counts.requests.get_mut(verdict) {
            *requests += 1;
        }
        counts.exchanges.observe(&EXCHANGE_BOUNDS, record.total);
        // Zero means that nothing was judged: a judgement always takes some time.
        if record.verify > Duration::ZERO {
            counts.judgements.observe(&JUDGEMENT_BOUNDS, record.verify);
        }
        count_upstream(&mut counts, record);
        drop(counts);
        if let Some(name) = record.secret.as_deref()
            && let Some(secret) = self.secrets.iter().find(|known| known.is(name))
        {
            secret.count(record.time);
        }
        if verdict == VALID && record.event.is_some() {
            set_if_other(self.route.last_valid(), record.time.0.div_euclid(1000));
        }
    }
}

/// Counts the upstream's part of an exchange.
fn count_upstream(counts: &mut super::route_counts::Counts, record: &Record<'_>) {
    if record.asked_upstream {
        // The classes from "2xx" on are in the order of their statuses. Other statuses are not
        // final answers and count as no answer.
        let class = record.upstream_status.map_or(0, |status| match status {
            200..=599 => usize::from(status / 100 - 1),
            _ => 0,
        });
        if let Some(responses) = counts.responses.get_mut(class) {
            *responses += 1;
        }
        if let Some(time) = record.upstream_time {
            counts.upstream.observe(&EXCHANGE_BOUNDS, time);
        }
    }
}

/// The series that carry a route's name. Those that an exchange moves are in `counts`; the others
/// are made when they are first used.
#[derive(Debug)]
pub(super) struct RouteSeries {
    name: Box<str>,
    series: Series,
    counts: Arc<RouteCounts>,
    // Once a series is made, reading it is a single atomic load.
    conflicts: OnceLock<IntCounter>,
    last_valid: OnceLock<IntGauge>,
    secrets_active: OnceLock<IntGauge>,
    // A plain lock: taken only at load.
    secrets: Mutex<Vec<Arc<SecretSeries>>>,
}

impl RouteSeries {
    pub(super) fn new(name: &str) -> Self {
        let series = Series::default();
        Self {
            name: name.into(),
            counts: RouteCounts::shown_in(&series, name),
            series,
            conflicts: OnceLock::new(),
            last_valid: OnceLock::new(),
            secrets_active: OnceLock::new(),
            secrets: Mutex::default(),
        }
    }

    /// Makes the series that every configured route is expected to use: a rate sees the first
    /// increment only of a series that was already shown at zero.
    pub(super) fn make_expected(&self) {
        self.counts.expect_use();
        self.conflicts();
        self.last_valid();
        self.secrets_active();
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Every series of the route, for showing.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.series.gather()
    }

    fn last_valid(&self) -> &IntGauge {
        self.last_valid
            .get_or_init(|| self.series.gauge(&LAST_VALID, &[&self.name]))
    }

    fn secrets_active(&self) -> &IntGauge {
        self.secrets_active
            .get_or_init(|| self.series.gauge(&SECRETS_ACTIVE, &[&self.name]))
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<Arc<SecretSeries>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conflicts(&self) -> &IntCounter {
        self.conflicts
            .get_or_init(|| self.series.counter(&EVENT_ID_CONFLICTS, &[&self.name]))
    }

    fn secret(&self, name: &str) -> Arc<SecretSeries> {
        let mut secrets = self.secrets();
        if let Some(known) = secrets.iter().find(|known| known.is(name)) {
            return Arc::clone(known);
        }
        let made = Arc::new(SecretSeries::new(&self.name, name, &self.series));
        secrets.push(Arc::clone(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use crate::telemetry::{RequestId, sample};
    use crate::verdict::Code;
    use crate::verify::envelope::Event;

    /// The series of a metric that are not zero, without their name and without buckets.
    fn counted(metrics: &Metrics, name: &str) -> Vec<String> {
        let rendered = metrics.render();
        let lines = rendered.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter(|line| !line.starts_with('_') && !line.ends_with(" 0"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn each_verdict_has_its_own_series() {
        let mut failures = Vec::new();
        let refusals = Code::ALL
            .iter()
            .map(|code| (false, Some(*code), code.name()));
        for (proved, refused, label) in
            refusals.chain([(true, None, "valid"), (false, None, "none")])
        {
            let metrics = Metrics::new("1");
            metrics.route("r", []).count(&Record {
                refused,
                proved,
                ..sample::forwarded()
            });
            let found = counted(&metrics, "verigate_requests_total");
            if found != [format!("{{route=\"r\",verdict=\"{label}\"}} 1")] {
                failures.push((label, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn the_upstream_is_counted_by_class_only_when_it_was_asked() {
        let rows = [
            (true, Some(200), Some("2xx")),
            (true, Some(302), Some("3xx")),
            (true, Some(404), Some("4xx")),
            (true, Some(599), Some("5xx")),
            (true, Some(101), Some("none")),
            (true, Some(999), Some("none")),
            (true, None, Some("none")),
            (false, None, None),
        ];
        let mut failures = Vec::new();
        for (was_asked, upstream_status, class) in rows {
            let metrics = Metrics::new("1");
            metrics.route("r", []).count(&Record {
                asked_upstream: was_asked,
                upstream_status,
                ..sample::forwarded()
            });
            let found = counted(&metrics, "verigate_upstream_responses_total");
            let expected: Vec<_> = class
                .iter()
                .map(|class| format!("{{class=\"{class}\",route=\"r\"}} 1"))
                .collect();
            if found != expected {
                failures.push((upstream_status, found));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn durations_are_observed_where_there_is_something_to_observe() {
        let metrics = Metrics::new("1");
        metrics.route("r", []).count(&sample::forwarded());
        metrics.no_route().count(&sample::unread());
        let rendered = metrics.render();
        for (line, expected) in [
            (
                "verigate_request_duration_seconds_count{route=\"r\"} 1",
                true,
            ),
            (
                "verigate_verification_duration_seconds_count{route=\"r\"} 1",
                true,
            ),
            (
                "verigate_verification_duration_seconds_bucket{route=\"r\",le=\"0.000005\"} 1",
                true,
            ),
            (
                "verigate_upstream_duration_seconds_count{route=\"r\"} 1",
                true,
            ),
            (
                "verigate_upstream_duration_seconds_sum{route=\"r\"} 0.00425",
                true,
            ),
            (
                "verigate_request_duration_seconds_count{route=\"-\"} 1",
                true,
            ),
            (
                "verigate_verification_duration_seconds_count{route=\"-\"}",
                false,
            ),
            (
                "verigate_upstream_duration_seconds_count{route=\"-\"}",
                false,
            ),
        ] {
            assert_eq!(rendered.contains(line), expected, "{line} in {rendered}");
        }
    }

    #[test]
    fn what_a_stranger_sends_adds_no_series() {
        let metrics = Metrics::new("1");
        let routes = [metrics.route("r", ["env:S"]), metrics.no_route()];
        let exchange = |n: usize| {
            for route in &routes {
                route.count(&Record {
                    request_id: RequestId::Given(&format!("id-{n}")),
                    method: &format!("M{n}"),
                    path: &format!("/p{n}"),
                    event: Some(Event {
                        id: Some(format!("evt-{n}").as_str().into()),
                        event_type: Some(format!("type-{n}").as_str().into()),
                        account: Some(format!("acc-{n}").as_str().into()),
                    }),
                    secret: Some(format!("s-{n}").into()),
                    ..sample::forwarded()
                });
            }
        };
        exchange(0);
        let before = metrics.render().lines().count();
        (1..2000).for_each(exchange);
        assert_eq!(metrics.render().lines().count(), before);
    }

    #[test]
    fn only_valid_events_move_the_time_of_the_last_one() {
        let rows = [
            ("an event", true, true, None, "1750000000"),
            ("a handshake", true, false, None, "0"),
            ("a probe", false, false, None, "0"),
            ("a duplicate", true, true, Some(Code::DuplicateEvent), "0"),
            ("a forgery", false, false, Some(Code::BadSignature), "0"),
        ];
        let mut failures = Vec::new();
        for (name, proved, is_event, refused, expected) in rows {
            let metrics = Metrics::new("1");
            let route = metrics.route("r", ["env:S"]);
            let secret = proved.then(|| "env:S".into());
            route.count(&Record {
                refused,
                proved,
                event: is_event.then(Event::default),
                secret,
                ..sample::forwarded()
            });
            let last =
                format!("verigate_route_last_valid_timestamp_seconds{{route=\"r\"}} {expected}\n");
            let matched = if proved { Some(1_750_000_000) } else { None };
            if !metrics.render().contains(&last) || route.last_match("env:S") != matched {
                failures.push((name, metrics.render()));
            }
        }
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn conflicts_are_counted_by_themselves() {
        let metrics = Metrics::new("1");
        metrics.route("r", []).count_conflict();
        assert_eq!(
            counted(&metrics, "verigate_event_id_conflicts_total"),
            ["{route=\"r\"} 1"]
        );
    }
}
