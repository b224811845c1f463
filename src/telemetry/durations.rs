//! Lengths of time counted by buckets, and their sum: a histogram in whole numbers, shown as
//! `prometheus` shows its own. An observation is two additions.

use std::time::Duration;

use prometheus::proto::{Bucket, Histogram};

/// The upper bounds of `N` buckets in microseconds, in rising order. A bucket holds its bound.
pub(super) type Bounds<const N: usize> = [u64; N];

/// The observations of a histogram with `N` bounds.
#[derive(Clone, Debug)]
pub(super) struct Durations<const N: usize> {
    within: [u64; N],
    /// Observations above every bound.
    beyond: u64,
    /// The sum in nanoseconds. It has room for 584 years.
    nanos: u64,
}

impl<const N: usize> Durations<N> {
    /// No observation.
    pub(super) const NOTHING: Self = Self {
        within: [0; N],
        beyond: 0,
        nanos: 0,
    };

    /// Counts a length of time.
    pub(super) fn observe(&mut self, bounds: &Bounds<N>, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // From the lowest bound: nearly all observations are in the first few buckets.
        let bucket = bounds
            .iter()
            .zip(&mut self.within)
            .find(|(bound, _)| nanos <= **bound * 1000)
            .map_or(&mut self.beyond, |(_, count)| count);
        *bucket = bucket.wrapping_add(1);
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// Adds the observations of another thread.
    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.within.iter_mut().zip(other.within) {
            *count = count.wrapping_add(more);
        }
        self.beyond = self.beyond.wrapping_add(other.beyond);
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// The number of observations.
    pub(super) fn count(&self) -> u64 {
        self.within
            .iter()
            .fold(self.beyond, |sum, count| sum.wrapping_add(*count))
    }

    /// The histogram in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the bounds are exact, and of a sum of over 104 days the nanoseconds do not count"
    )]
    pub(super) fn shown(&self, bounds: &Bounds<N>) -> Histogram {
        let mut so_far = 0_u64;
        let buckets = bounds.iter().zip(self.within).map(|(micros, count)| {
            so_far = so_far.wrapping_add(count);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*micros as f64 / 1e6);
            bucket.set_cumulative_count(so_far);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.count());
        histogram.set_sample_sum(self.nanos as f64 / 1e9);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus::HistogramOpts;
    use prometheus::core::Collector;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds<4> = [5, 500, 2_500, 60_000_000];

    /// The same observations in a histogram of `prometheus`.
    fn plain(times: &[Duration]) -> Histogram {
        let options =
            HistogramOpts::new("h", "help").buckets(vec![0.000_005, 0.000_5, 0.002_5, 60.0]);
        let histogram = prometheus::Histogram::with_opts(options).unwrap();
        for time in times {
            histogram.observe(time.as_secs_f64());
        }
        histogram.collect()[0].get_metric()[0]
            .get_histogram()
            .clone()
    }

    fn nanos() -> impl Strategy<Value = u64> {
        let near = |bound: u64| bound * 1000 - 1..=bound * 1000 + 1;
        prop_oneof![
            near(5),
            near(500),
            near(2_500),
            near(60_000_000),
            0..6_000_u64,
            0..4_000_000_u64,
            0..100_000_000_000_u64
        ]
    }

    proptest! {
        #[test]
        fn it_shows_what_prometheus_would_show(times in vec(nanos(), 0..20)) {
            let times: Vec<_> = times.into_iter().map(Duration::from_nanos).collect();
            let (one, other) = times.split_at(times.len() / 2);
            let [mut sum, mut more] = [Durations::NOTHING, Durations::NOTHING];
            for time in one {
                sum.observe(&BOUNDS, *time);
            }
            for time in other {
                more.observe(&BOUNDS, *time);
            }
            sum.add(&more);
            let (found, expected) = (sum.shown(&BOUNDS), plain(&times));
            prop_assert_eq!(found.get_bucket(), expected.get_bucket());
            prop_assert_eq!(found.get_sample_count(), expected.get_sample_count());
            prop_assert!((found.get_sample_sum() - expected.get_sample_sum()).abs() < 1e-6);
        }
    }
}
