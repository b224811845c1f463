//! The numbers of a route that every exchange moves (contract: Metrics): counted by each thread for
//! itself, under a lock that no other thread wants until metrics are scraped.
//!
//! What an exchange counts as is decided in `route_metrics`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::proto::{Metric, MetricFamily};

use super::descriptions::{
    REQUEST_DURATION, REQUESTS, UPSTREAM_DURATION, UPSTREAM_RESPONSES, VERIFICATION_DURATION,
};
use super::durations::{Bounds, Durations};
use super::series::{Series, Summed, counter, family, histogram};
use super::sharded::Sharded;
use crate::verdict::Code;

/// Upper bounds in microseconds for exchanges: half a millisecond for a refusal on the same machine,
/// a minute for the longest timeouts in use.
pub(super) const EXCHANGE_BOUNDS: Bounds<16> = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Upper bounds in microseconds for judgements: a few microseconds for a small body, tens of
/// milliseconds for the largest body with several secrets.
pub(super) const JUDGEMENT_BOUNDS: Bounds<11> =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000];

/// The places of the labels that `verdict` can have beside the codes: they follow the codes' own
/// places.
pub(super) const VALID: usize = Code::ALL.len();
pub(super) const NOT_JUDGED: usize = VALID + 1;
const VERDICTS: usize = NOT_JUDGED + 1;

/// The values of `class`; the first is for an upstream without an answer.
const CLASSES: [&str; 5] = ["none", "2xx", "3xx", "4xx", "5xx"];

/// The numbers of a thread.
#[derive(Debug)]
pub(super) struct Counts {
    /// Exchanges by verdict.
    pub(super) requests: [u64; VERDICTS],
    /// Answers of the upstream by class.
    pub(super) responses: [u64; CLASSES.len()],
    pub(super) exchanges: Durations<16>,
    pub(super) judgements: Durations<11>,
    pub(super) upstream: Durations<16>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: [0; VERDICTS],
            responses: [0; CLASSES.len()],
            exchanges: Durations::NOTHING,
            judgements: Durations::NOTHING,
            upstream: Durations::NOTHING,
        }
    }
}

/// The numbers of all threads.
#[derive(Debug, Default)]
pub(super) struct RouteCounts {
    // Plain locks, each of a thread of its own: an exchange takes its lock once for all numbers, and
    // a scrape takes each for a copy, so that it sees every exchange whole.
    threads: Sharded<Mutex<Counts>>,
    is_expected: AtomicBool,
}

impl RouteCounts {
    /// Counts that `series` shows under the route's name.
    pub(super) fn shown_in(series: &Series, route: &str) -> Arc<Self> {
        let counts = Arc::new(Self::default());
        let descriptions = [
            REQUESTS,
            UPSTREAM_RESPONSES,
            REQUEST_DURATION,
            VERIFICATION_DURATION,
            UPSTREAM_DURATION,
        ];
        let (shown, name) = (Arc::clone(&counts), Box::<str>::from(route));
        series.show(Summed::new(&descriptions, &[route], move || {
            shown.families(&name)
        }));
        counts
    }

    /// The numbers of the calling thread.
    pub(super) fn own(&self) -> MutexGuard<'_, Counts> {
        let own = self.threads.own().lock();
        // A panic in between would leave an exchange counted in part.
        own.unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows from now on, even at zero, the series that every configured route is expected to use:
    /// a rate sees the first increment only of a series that was already shown at zero.
    pub(super) fn expect_use(&self) {
        // Relaxed: nothing else depends on it.
        self.is_expected.store(true, Ordering::Relaxed);
    }

    fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for thread in self.threads.all() {
            let counts = thread.lock().unwrap_or_else(PoisonError::into_inner);
            for (count, more) in sum.requests.iter_mut().zip(counts.requests) {
                *count += more;
            }
            for (count, more) in sum.responses.iter_mut().zip(counts.responses) {
                *count += more;
            }
            sum.exchanges.add(&counts.exchanges);
            sum.judgements.add(&counts.judgements);
            sum.upstream.add(&counts.upstream);
        }
        sum
    }

    fn families(&self, route: &str) -> Vec<MetricFamily> {
        let sum = self.sum();
        let is_expected = self.is_expected.load(Ordering::Relaxed);
        let requests = sum
            .requests
            .iter()
            .enumerate()
            .filter_map(|(verdict, count)| {
                let is_always_shown = verdict == VALID || verdict == Code::BadSignature as usize;
                let label = match Code::ALL.get(verdict) {
                    Some(code) => code.name(),
                    None if verdict == VALID => "valid",
                    None => "none",
                };
                (*count > 0 || is_expected && is_always_shown)
                    .then(|| counter(&REQUESTS, &[route, label], *count))
            });
        let responses = CLASSES.iter().zip(sum.responses);
        let responses = responses.filter(|(_, count)| *count > 0 || is_expected);
        let responses =
            responses.map(|(class, count)| counter(&UPSTREAM_RESPONSES, &[route, class], count));
        let of = |description, count, shown| -> Vec<Metric> {
            let metric = || histogram(description, &[route], shown);
            (count > 0 || is_expected)
                .then(metric)
                .into_iter()
                .collect()
        };
        vec![
            family(&REQUESTS, requests.collect()),
            family(&UPSTREAM_RESPONSES, responses.collect()),
            family(
                &REQUEST_DURATION,
                of(
                    &REQUEST_DURATION,
                    sum.exchanges.count(),
                    sum.exchanges.shown(&EXCHANGE_BOUNDS),
                ),
            ),
            family(
                &VERIFICATION_DURATION,
                of(
                    &VERIFICATION_DURATION,
                    sum.judgements.count(),
                    sum.judgements.shown(&JUDGEMENT_BOUNDS),
                ),
            ),
            family(
                &UPSTREAM_DURATION,
                of(
                    &UPSTREAM_DURATION,
                    sum.upstream.count(),
                    sum.upstream.shown(&EXCHANGE_BOUNDS),
                ),
            ),
        ]
    }
}
