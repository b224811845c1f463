//! The series of one secret of a route (contract: Metrics): its matches, the time of the last, and
//! the time of its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

use super::descriptions::{SECRET_LAST_MATCH, SECRET_MATCHES, SECRET_NOT_AFTER};
use super::series::{Series, Summed, counter, family, set_if_other};
use super::sharded::Sharded;
use crate::clock::UnixMillis;

/// The series of one secret.
#[derive(Debug)]
pub(super) struct SecretSeries {
    route: Box<str>,
    name: Box<str>,
    // Atomics, because threads beyond the places of `Sharded` share them.
    matches: Arc<Sharded<AtomicU64>>,
    shown_matches: Summed,
    last_match: IntGauge,
    // `None` while the secret has no end. A plain lock: taken when metrics are scraped, and at load.
    end: Mutex<Option<IntGauge>>,
}

impl SecretSeries {
    pub(super) fn new(route: &str, name: &str, series: &Series) -> Self {
        let matches = Arc::<Sharded<AtomicU64>>::default();
        let labels = [route, name].map(Box::<str>::from);
        let threads = Arc::clone(&matches);
        let shown_matches = Summed::new(&[SECRET_MATCHES], &[route, name], move || {
            let count = threads
                .all()
                .map(|count| count.load(Ordering::Relaxed))
                .sum();
            let values = labels.each_ref().map(|label| &**label);
            vec![family(
                &SECRET_MATCHES,
                vec![counter(&SECRET_MATCHES, &values, count)],
            )]
        });
        series.show(shown_matches.clone());
        Self {
            route: route.into(),
            name: name.into(),
            matches,
            shown_matches,
            last_match: series.gauge(&SECRET_LAST_MATCH, &[route, name]),
            end: Mutex::default(),
        }
    }

    /// Whether these series are those of the secret `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// Counts a delivery of `time` that the secret has proved.
    pub(super) fn count(&self, time: UnixMillis) {
        // Relaxed: the number alone counts.
        self.matches.own().fetch_add(1, Ordering::Relaxed);
        set_if_other(&self.last_match, time.0.div_euclid(1000));
    }

    /// The time of the last match in Unix seconds.
    pub(super) fn last_match(&self) -> Option<i64> {
        Some(self.last_match.get()).filter(|time| *time != 0)
    }

    /// Shows the time at which the secret ends, or no longer shows it.
    pub(super) fn set_end(&self, time: Option<UnixMillis>, series: &Series) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        match time {
            Some(time) => end
                .get_or_insert_with(|| series.gauge(&SECRET_NOT_AFTER, &[&self.route, &self.name]))
                .set(time.0.div_euclid(1000)),
            None => {
                if let Some(gauge) = end.take() {
                    series.forget(gauge);
                }
            }
        }
    }

    /// No longer shows these series.
    pub(super) fn forget(&self, series: &Series) {
        series.forget(self.shown_matches.clone());
        series.forget(self.last_match.clone());
        self.set_end(None, series);
    }
}
