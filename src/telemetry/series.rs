//! Single series: how each is made and registered.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use super::descriptions::Description;

/// Makes and registers single series.
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

fn options(description: &Description, values: &[&str]) -> Opts {
    description.labels.iter().zip(values).fold(
        Opts::new(description.name, description.help),
        |options, (label, value)| options.const_label(*label, *value),
    )
}
