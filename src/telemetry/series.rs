//! Single series: how each is made and registered.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Counter, IntCounter, IntGauge, Opts, Registry, proto};

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

    pub(super) fn gauge(&self, description: &Description, values: &[&str]) -> IntGauge {
        self.register(
            description,
            IntGauge::with_opts(options(description, values)),
        )
    }

    pub(super) fn fractional_counter(&self, description: &Description) -> Counter {
        self.register(description, Counter::with_opts(options(description, &[])))
    }

    /// Shows series whose values are added up at each scrape.
    pub(super) fn show(&self, summed: Summed) {
        if let Err(error) = self.registry.register(Box::new(summed)) {
            log::error!("series will be missing from the metrics: {error}");
        }
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

/// Series whose values are added up at each scrape. Clones are the same series.
#[derive(Clone)]
pub(super) struct Summed {
    described: Arc<[Desc]>,
    sum: Arc<dyn Fn() -> Vec<MetricFamily> + Send + Sync>,
}

impl Summed {
    /// The families that `sum` returns, of these descriptions. All their series have `values` as the
    /// values of their first labels.
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, each of which a test makes"
    )]
    pub(super) fn new(
        descriptions: &[Description],
        values: &[&str],
        sum: impl Fn() -> Vec<MetricFamily> + Send + Sync + 'static,
    ) -> Self {
        let described = descriptions.iter().map(|description| {
            let pairs = description.labels.iter().zip(values);
            let of_all = pairs.map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
            let others = description.labels.iter().skip(values.len());
            Desc::new(
                description.name.to_owned(),
                description.help.to_owned(),
                others.map(|label| (*label).to_owned()).collect(),
                of_all.collect(),
            )
        });
        let described = described.collect::<Result<_, _>>();
        Self {
            described: described.expect("a declared metric is well-formed"),
            sum: Arc::new(sum),
        }
    }
}

impl Collector for Summed {
    fn desc(&self) -> Vec<&Desc> {
        self.described.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.sum)()
    }
}

impl fmt::Debug for Summed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.described.iter()).finish()
    }
}

/// The family of these series. A family without series is not shown.
pub(super) fn family(description: &Description, series: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(description.name.to_owned());
    family.set_help(description.help.to_owned());
    family.set_field_type(match description.kind {
        "histogram" => MetricType::HISTOGRAM,
        "gauge" => MetricType::GAUGE,
        _ => MetricType::COUNTER,
    });
    family.set_metric(series);
    family
}

/// A counter that shows `count`.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn counter(description: &Description, values: &[&str], count: u64) -> Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(count as f64);
    let mut metric = Metric::from_label(labels(description, values));
    metric.set_counter(counter);
    metric
}

/// A histogram.
pub(super) fn histogram(
    description: &Description,
    values: &[&str],
    histogram: Histogram,
) -> Metric {
    let mut metric = Metric::from_label(labels(description, values));
    metric.set_histogram(histogram);
    metric
}

/// Sets a gauge of a time. Within a second all threads read the same value, and none takes it from
/// the others by writing it again.
pub(super) fn set_if_other(gauge: &IntGauge, value: i64) {
    if gauge.get() != value {
        gauge.set(value);
    }
}

/// The labels of a series, in the order of their names, which is that of all series.
fn labels(description: &Description, values: &[&str]) -> Vec<LabelPair> {
    let pairs = description.labels.iter().zip(values);
    let mut labels: Vec<_> = pairs
        .map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        })
        .collect();
    labels.sort_by(|one, other| one.name().cmp(other.name()));
    labels
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
