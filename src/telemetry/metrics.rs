//! All metrics of a gateway (contract: Metrics), and how they are shown. Their names, help texts
//! and labels are in `descriptions`.
//!
//! Label values come from the configuration or from a fixed set, so traffic cannot add series
//! without end. The handles of a route are made at load (`route_metrics`). Each [`Metrics`] has a
//! registry of its own, so that tests can have several.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge, TextEncoder};

use super::descriptions::{
    ACME_ORDERS, BUFFERED_BYTES, BUILD_INFO, CERTIFICATE_NOT_AFTER, CONFIG_RELOADS, Description,
    LOG_LINES_DROPPED, MAX_BUFFERED, MAX_CONNECTIONS, OPEN_CONNECTIONS, RELOAD_SUCCESS_TIME,
    RELOAD_SUCCESSFUL, REPLAY_CAPACITY, REPLAY_ENTRIES, REPLAY_EVICTIONS, TLS_HANDSHAKES,
    UPSTREAM_ADDRESSES_AGE, UPSTREAM_HEALTHY,
};
use super::handshakes::{AcmeOrder, HandshakeResult};
use super::process::ProcessMetrics;
use super::queue_metrics::QueueMetrics;
use super::route_metrics::{RouteMetrics, RouteSeries};
use super::series::{Series, merged};
use crate::clock::UnixMillis;
use crate::replay::Evictions;

/// The `Content-Type` of the text that [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The `route` label where no route matched.
pub const NO_ROUTE: &str = "-";

/// All metrics of one gateway. Cheap to clone; clones share the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Body bytes held now; changed by their holders, or set when metrics are scraped.
    pub buffered_bytes: IntGauge,
    /// Client connections open now.
    pub open_connections: IntGauge,
    /// Access-log lines lost, for [`super::access_log::AccessLog::start`].
    pub log_lines_dropped: IntCounter,
    replay_entries: IntGauge,
    evictions_fresh: IntCounter,
    evictions_capacity: IntCounter,
    reloads_ok: IntCounter,
    reloads_error: IntCounter,
    handshakes: [IntCounter; HandshakeResult::ALL.len()],
    reload_successful: IntGauge,
    reload_success_time: IntGauge,
    /// The limits beside the fills, set when metrics are scraped.
    pub replay_capacity: IntGauge,
    /// Body bytes that may be held.
    pub max_buffered: IntGauge,
    /// Client connections that may be open.
    pub max_connections: IntGauge,
    acme_orders: [IntCounter; 3],
    process: Arc<ProcessMetrics>,
    series: Series,
    remembered: Arc<Remembered>,
}

/// The series of a metric that are shown, by their labels.
type Shown<const LABELS: usize> = Mutex<HashMap<[String; LABELS], IntGauge>>;

#[derive(Debug, Default)]
struct Remembered {
    // Plain locks: the first is taken when a configuration is loaded, the others when metrics are
    // scraped.
    routes: Mutex<HashMap<String, Arc<RouteSeries>>>,
    evictions: Mutex<Evictions>,
    address_ages: Shown<1>,
    certificates: Shown<1>,
    healthy: Shown<2>,
}

impl Metrics {
    /// All metrics at zero, for a gateway of this version.
    pub fn new(version: &str) -> Self {
        let series = Series::default();
        series.gauge(&BUILD_INFO, &[version]).set(1);
        Self {
            buffered_bytes: series.gauge(&BUFFERED_BYTES, &[]),
            open_connections: series.gauge(&OPEN_CONNECTIONS, &[]),
            log_lines_dropped: series.counter(&LOG_LINES_DROPPED, &[]),
            replay_entries: series.gauge(&REPLAY_ENTRIES, &[]),
            evictions_fresh: series.counter(&REPLAY_EVICTIONS, &["fresh"]),
            evictions_capacity: series.counter(&REPLAY_EVICTIONS, &["capacity"]),
            reloads_ok: series.counter(&CONFIG_RELOADS, &["ok"]),
            reloads_error: series.counter(&CONFIG_RELOADS, &["error"]),
            handshakes: HandshakeResult::ALL
                .map(|result| series.counter(&TLS_HANDSHAKES, &[result.as_str()])),
            reload_successful: series.gauge(&RELOAD_SUCCESSFUL, &[]),
            reload_success_time: series.gauge(&RELOAD_SUCCESS_TIME, &[]),
            replay_capacity: series.gauge(&REPLAY_CAPACITY, &[]),
            max_buffered: series.gauge(&MAX_BUFFERED, &[]),
            max_connections: series.gauge(&MAX_CONNECTIONS, &[]),
            acme_orders: ["issued", "failed", "limited"]
                .map(|result| series.counter(&ACME_ORDERS, &[result])),
            process: Arc::new(ProcessMetrics::new(&series)),
            series,
            remembered: Arc::default(),
        }
    }

    /// The handles of a route with secrets of these names. Asked for at load, not for each request.
    ///
    /// A route that survives a reload goes on counting from where it was. [`Metrics::keep_only`]
    /// forgets the series of a route that is gone.
    pub fn route<'a>(
        &self,
        name: &str,
        secrets: impl IntoIterator<Item = &'a str>,
    ) -> RouteMetrics {
        let route = self.route_series(name);
        route.make_expected();
        RouteMetrics::new(route, secrets)
    }

    /// The handles for requests that match no route, labelled [`NO_ROUTE`].
    pub fn no_route(&self) -> RouteMetrics {
        RouteMetrics::new(self.route_series(NO_ROUTE), [])
    }

    /// The metrics of the queue. Asked for once, where there is a queue.
    pub fn queue(&self) -> QueueMetrics {
        QueueMetrics::new(&self.series)
    }

    fn route_series(&self, name: &str) -> Arc<RouteSeries> {
        let mut routes = self
            .remembered
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let route = routes
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(RouteSeries::new(name)));
        Arc::clone(route)
    }

    /// Shows the series of these routes and their secrets, and no others besides [`NO_ROUTE`].
    ///
    /// Called when a configuration is put in force. A request that is still in flight under the
    /// configuration before goes on counting, but what it counts for a route that is gone is not
    /// shown.
    pub fn keep_only<'a>(&self, in_force: impl IntoIterator<Item = &'a RouteMetrics>) {
        let mut routes = self
            .remembered
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        routes.retain(|name, _| name == NO_ROUTE);
        for route in in_force {
            route.forget_other_secrets();
            routes.insert(route.name().to_owned(), route.series());
        }
    }

    /// Sets the state of the replay window, at each scrape: entries held now, and evictions since
    /// the start.
    pub fn set_replay(&self, entries: usize, evictions: Evictions) {
        self.replay_entries
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
        let mut seen = self
            .remembered
            .evictions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.evictions_fresh
            .inc_by(evictions.fresh.saturating_sub(seen.fresh));
        self.evictions_capacity
            .inc_by(evictions.old.saturating_sub(seen.old));
        // Of two scrapes at the same moment the older reading may come last. The differences are
        // then zero, so nothing is counted twice.
        seen.fresh = seen.fresh.max(evictions.fresh);
        seen.old = seen.old.max(evictions.old);
    }

    /// Sets the age of the addresses of each upstream's name, at each scrape. The series of a name
    /// without addresses, or that no route uses any more, ends.
    pub fn set_address_ages(&self, ages: impl IntoIterator<Item = (String, Duration)>) {
        let secs = |(name, age): (_, Duration)| (name, i64::try_from(age.as_secs()));
        let values = ages.into_iter().map(secs);
        let values = values.map(|(name, secs)| ([name], secs.unwrap_or(i64::MAX)));
        let shown = &self.remembered.address_ages;
        self.replace(shown, &UPSTREAM_ADDRESSES_AGE, values.collect());
    }

    /// Counts a TLS handshake that has ended.
    pub fn count_handshake(&self, result: HandshakeResult) {
        if let Some(counter) = self.handshakes.get(result as usize) {
            counter.inc();
        }
    }

    /// Sets the end of each TLS certificate by its name, at each scrape. The series of a certificate
    /// that is in use no more ends.
    pub fn set_certificates(&self, ends: impl IntoIterator<Item = (String, UnixMillis)>) {
        let mut values = BTreeMap::new();
        for (name, end) in ends {
            // Of two certificates of the same name, the one that ends first is shown.
            let secs = end.0.div_euclid(1000);
            let known = values.entry([name]).or_insert(secs);
            *known = secs.min(*known);
        }
        let shown = &self.remembered.certificates;
        self.replace(shown, &CERTIFICATE_NOT_AFTER, values);
    }

    /// Sets whether each upstream of a route is in service, at each scrape. The labels are route and
    /// upstream.
    pub fn set_healthy(&self, upstreams: impl IntoIterator<Item = ([String; 2], bool)>) {
        let values = upstreams.into_iter();
        let values = values.map(|(labels, is_healthy)| (labels, i64::from(is_healthy)));
        let shown = &self.remembered.healthy;
        self.replace(shown, &UPSTREAM_HEALTHY, values.collect());
    }

    /// Shows these values of a metric, by its labels, and no others.
    fn replace<const LABELS: usize>(
        &self,
        shown: &Shown<LABELS>,
        metric: &Description,
        values: BTreeMap<[String; LABELS], i64>,
    ) {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *shown);
        for (labels, value) in values {
            let gauge = before.remove(&labels).unwrap_or_else(|| {
                let labels = labels.each_ref().map(String::as_str);
                self.series.gauge(metric, &labels)
            });
            gauge.set(value);
            shown.insert(labels, gauge);
        }
        for gauge in before.into_values() {
            self.series.end(gauge);
        }
    }

    /// Counts a reload that ended at `wall`: `is_loaded` if the new configuration runs, not if the
    /// old one was kept.
    pub fn count_reload(&self, is_loaded: bool, wall: UnixMillis) {
        if is_loaded {
            self.reloads_ok.inc();
            self.set_loaded(wall);
        } else {
            self.reloads_error.inc();
            self.reload_successful.set(0);
        }
    }

    /// Counts an order of a certificate that has ended.
    pub fn count_acme_order(&self, order: AcmeOrder) {
        let [issued, failed, limited] = &self.acme_orders;
        match order {
            AcmeOrder::Issued => issued.inc(),
            AcmeOrder::Failed => failed.inc(),
            AcmeOrder::Limited => limited.inc(),
        }
    }

    /// Shows that the configuration in force was loaded at `wall`.
    pub fn set_loaded(&self, wall: UnixMillis) {
        self.reload_successful.set(1);
        self.reload_success_time.set(wall.0.div_euclid(1000));
    }

    /// All metrics in Prometheus' text form, of type [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        self.process.update();
        let mut collections = vec![self.series.gather()];
        let routes = self
            .remembered
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut routes: Vec<_> = routes.values().map(Arc::clone).collect();
        routes.sort_by(|one, other| one.name().cmp(other.name()));
        collections.extend(routes.iter().map(|route| route.gather()));
        TextEncoder::new()
            .encode_to_string(&merged(collections))
            .unwrap_or_else(|error| {
                log::error!("metrics cannot be shown: {error}");
                String::new()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::descriptions::DESCRIPTIONS;
    use crate::telemetry::sample;

    fn has_line(metrics: &Metrics, line: &str) -> bool {
        metrics.render().lines().any(|found| found == line)
    }

    #[test]
    fn every_metric_is_shown_with_its_help_and_type_as_soon_as_a_route_is_loaded() {
        let metrics = Metrics::new("1.2.3");
        let end = Some(UnixMillis::from_secs(1_800_000_000));
        metrics.route("r", ["s"]).set_secrets(1, [("s", end)]);
        metrics.set_address_ages([("app".to_owned(), Duration::ZERO)]);
        metrics.set_certificates([("a.example".to_owned(), UnixMillis(0))]);
        metrics.set_healthy([(["r", "http://a"].map(str::to_owned), true)]);
        metrics.queue().attempted("r", None);
        let rendered = metrics.render();
        let missing: Vec<_> = DESCRIPTIONS
            .iter()
            .flat_map(|metric| {
                [
                    format!("# HELP {} {}\n", metric.name, metric.help),
                    format!("# TYPE {} {}\n", metric.name, metric.kind),
                ]
            })
            .filter(|line| !rendered.contains(line.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?} in {rendered}");
        assert_eq!(rendered.matches("# TYPE").count(), DESCRIPTIONS.len());
        let version = "verigate_build_info{version=\"1.2.3\"} 1\n";
        assert!(rendered.contains(version), "{rendered}");
    }

    #[test]
    fn the_age_of_a_names_addresses_is_shown_as_long_as_it_has_any() {
        let metrics = Metrics::new("1");
        let line = |age| {
            format!("verigate_upstream_addresses_age_seconds{{upstream=\"app.internal\"}} {age}")
        };
        for age in [3, 40, 0] {
            metrics.set_address_ages([("app.internal".to_owned(), Duration::from_secs(age))]);
            assert!(has_line(&metrics, &line(age)), "{}", metrics.render());
        }
        metrics.set_address_ages([]);
        assert!(!metrics.render().contains("app.internal"));
        metrics.set_address_ages([("app.internal".to_owned(), Duration::ZERO)]);
        assert!(has_line(&metrics, &line(0)), "{}", metrics.render());
    }

    #[test]
    fn two_gateways_do_not_share_their_counts() {
        let (one, other) = (Metrics::new("1"), Metrics::new("1"));
        one.count_reload(true, UnixMillis(1_750_000_000_999));
        assert!(has_line(
            &one,
            "verigate_config_reloads_total{result=\"ok\"} 1"
        ));
        assert!(has_line(
            &other,
            "verigate_config_reloads_total{result=\"ok\"} 0"
        ));
        assert!(has_line(
            &one,
            "verigate_config_reloads_total{result=\"error\"} 0"
        ));
    }

    #[test]
    fn the_last_reload_tells_whether_and_when_its_configuration_was_loaded() {
        let metrics = Metrics::new("1");
        let shown = |successful: u8, time: u64| {
            has_line(
                &metrics,
                &format!("verigate_config_last_reload_successful {successful}"),
            ) && has_line(
                &metrics,
                &format!("verigate_config_last_reload_success_timestamp_seconds {time}"),
            )
        };
        metrics.set_loaded(UnixMillis(1_750_000_000_999));
        assert!(shown(1, 1_750_000_000));
        metrics.count_reload(false, UnixMillis(1_750_000_100_000));
        assert!(shown(0, 1_750_000_000));
        metrics.count_reload(true, UnixMillis(1_750_000_200_000));
        assert!(shown(1, 1_750_000_200));
    }

    #[test]
    fn series_vanish_with_their_routes_and_secrets() {
        let metrics = Metrics::new("1");
        let first = [
            metrics.route("gone", ["s"]),
            metrics.route("stays", ["old", "both"]),
        ];
        for route in &first {
            route.count(&sample::forwarded());
            route.set_secrets(
                1,
                [("s", Some(UnixMillis(0))), ("old", Some(UnixMillis(0)))],
            );
        }
        metrics.no_route().count(&sample::unread());
        let second = [metrics.route("stays", ["both", "new"])];
        metrics.keep_only(&second);
        // A request in flight under the old configuration ends.
        first[0].count(&sample::unread());
        let rendered = metrics.render();
        let series = || rendered.lines().filter(|line| !line.starts_with('#'));
        assert!(series().any(|line| line.contains("route=\"-\"")));
        assert!(
            !series().any(|line| line.contains("route=\"gone\"")),
            "{rendered}"
        );
        assert!(
            !series().any(|line| line.contains("secret=\"old\"")),
            "{rendered}"
        );
        for secret in ["both", "new"] {
            let label =
                format!("verigate_secret_matches_total{{route=\"stays\",secret=\"{secret}\"}} 0");
            assert!(series().any(|line| line == label), "{label} in {rendered}");
        }
        assert!(has_line(
            &metrics,
            "verigate_requests_total{route=\"stays\",verdict=\"valid\"} 1"
        ));
        assert_eq!(
            rendered.matches("# TYPE verigate_requests_total ").count(),
            1
        );
        // A route that comes back begins at zero.
        metrics.keep_only(&[metrics.route("gone", ["s"])]);
        assert!(has_line(
            &metrics,
            "verigate_requests_total{route=\"gone\",verdict=\"valid\"} 0"
        ));
    }

    #[test]
    fn evictions_are_counted_once_however_often_they_are_told() {
        let metrics = Metrics::new("1");
        for (entries, old, fresh) in [(7, 3, 1), (8, 3, 1), (9, 5, 1), (9, 4, 0), (9, 5, 2)] {
            metrics.set_replay(entries, Evictions { old, fresh });
        }
        assert!(has_line(&metrics, "verigate_replay_entries 9"));
        assert!(has_line(
            &metrics,
            "verigate_replay_evictions_total{reason=\"capacity\"} 5"
        ));
        assert!(has_line(
            &metrics,
            "verigate_replay_evictions_total{reason=\"fresh\"} 2"
        ));
    }

    #[test]
    fn a_reloaded_route_goes_on_counting_where_it_stood() {
        let metrics = Metrics::new("1");
        metrics
            .route("itellico", ["env:S"])
            .count(&sample::forwarded());
        let reloaded = metrics.route("itellico", ["new", "env:S"]);
        reloaded.count(&sample::forwarded());
        assert!(has_line(
            &metrics,
            "verigate_requests_total{route=\"itellico\",verdict=\"valid\"} 2"
        ));
        assert!(has_line(
            &metrics,
            "verigate_secret_matches_total{route=\"itellico\",secret=\"env:S\"} 2"
        ));
        assert!(has_line(
            &metrics,
            "verigate_secret_matches_total{route=\"itellico\",secret=\"new\"} 0"
        ));
    }

    #[test]
    fn names_that_read_the_same_side_by_side_are_counted_apart() {
        let metrics = Metrics::new("1");
        let record = crate::telemetry::Record {
            secret: Some("bc".into()),
            ..sample::forwarded()
        };
        metrics.route("a", ["bc"]).count(&record);
        metrics.route("ab", ["c"]);
        assert!(has_line(
            &metrics,
            "verigate_secret_matches_total{route=\"a\",secret=\"bc\"} 1"
        ));
        assert!(has_line(
            &metrics,
            "verigate_secret_matches_total{route=\"ab\",secret=\"c\"} 0"
        ));
    }

    #[test]
    fn a_label_from_the_configuration_cannot_break_its_line() {
        let metrics = Metrics::new("1\"}\n2");
        assert!(
            has_line(&metrics, r#"verigate_build_info{version="1\"}\n2"} 1"#),
            "{}",
            metrics.render()
        );
    }
}
