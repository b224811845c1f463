//! Single series: how each is made and registered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use super::descriptions::Description;

/// Makes and registers single series. Whatever has one of these of its own can be forgotten whole.
///
/// Each is a metric of its own with constant labels: prometheus' vectors find a series by a hash
/// over the values without a separator, so route `a` with secret `bc` would share a series with
/// route `ab` and secret `c`.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    registry: Registry,
}

impl Series {
    /// Everything registered, for showing.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// No longer shows a series. Its handles go on counting.
    pub(super) fn forget<M: Collector + 'static>(&self, metric: M) {
        if let Err(error) = self.registry.unregister(Box::new(metric)) {
            log::error!("a series cannot be taken out of the metrics: {error}");
        }
    }

    pub(super) fn counter(&self, description: &Description, values: &[&str]) -> IntCounter {
        self.register(
            description,
            IntCounter::with_opts(options(description, values)),
        )
    }

    pub(super) fn histogram(
        &self,
        description: &Description,
        values: &[&str],
        buckets: &[f64],
    ) -> Histogram {
        let common_opts = options(description, values);
        self.register(
            description,
            Histogram::with_opts(HistogramOpts {
                common_opts,
                buckets: buckets.to_vec(),
            }),
        )
    }

    pub(super) fn gauge(&self, description: &Description, values: &[&str]) -> IntGauge {
        self.register(
            description,
            IntGauge::with_opts(options(description, values)),
        )
    }

    pub(super) fn fractional_counter(&self, description: &Description) -> Counter {
        self.register(description, Counter::with_opts(options(description, &[])))
    }

    /// Ends a series: it is shown no more.
    pub(super) fn end<M: Collector + 'static>(&self, metric: M) {
        // An error means that it was never registered, so it is not shown either.
        let _ = self.registry.unregister(Box::new(metric));
    }

    #[expect(
        clippy::expect_used,
        reason = "names, labels and buckets are constants, each of which a test makes"
    )]
    fn register<M: Collector + Clone + 'static>(
        &self,
        description: &Description,
        made: Result<M, prometheus::Error>,
    ) -> M {
        let metric = made.expect("a declared metric is well-formed");
        if let Err(error) = self.registry.register(Box::new(metric.clone())) {
            // The series goes on counting, but is not shown. That is no reason to refuse a
            // delivery.
            log::error!(
                "a series of {} will be missing from the metrics: {error}",
                description.name
            );
        }
        metric
    }
}

/// The families of several collections of series, those of the same name together, in the order of
/// their names.
pub(super) fn merged(
    collections: impl IntoIterator<Item = Vec<MetricFamily>>,
) -> Vec<MetricFamily> {
    let mut merged: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for mut family in collections.into_iter().flatten() {
        match merged.entry(family.name().to_owned()) {
            Entry::Vacant(place) => {
                place.insert(family);
            }
            Entry::Occupied(mut known) => {
                known.get_mut().mut_metric().extend(family.take_metric());
            }
        }
    }
    merged.into_values().collect()
}

fn options(description: &Description, values: &[&str]) -> Opts {
    description.labels.iter().zip(values).fold(
        Opts::new(description.name, description.help),
        |options, (label, value)| options.const_label(*label, *value),
    )
}
