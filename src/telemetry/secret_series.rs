//! The series of one secret of a route (contract: Metrics): its matches, the time of the last, and
//! the time of its end.

use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounter, IntGauge};

use super::descriptions::{SECRET_LAST_MATCH, SECRET_MATCHES, SECRET_NOT_AFTER};
use super::series::Series;
use crate::clock::UnixMillis;

/// The series of one secret.
#[derive(Debug)]
pub(super) struct SecretSeries {
    route: Box<str>,
    name: Box<str>,
    matches: IntCounter,
    last_match: IntGauge,
    // `None` while the secret has no end. A plain lock: taken when metrics are scraped, and at load.
    end: Mutex<Option<IntGauge>>,
}

impl SecretSeries {
    pub(super) fn new(route: &str, name: &str, series: &Series) -> Self {
        Self {
            route: route.into(),
            name: name.into(),
            matches: series.counter(&SECRET_MATCHES, &[route, name]),
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
        self.matches.inc();
        self.last_match.set(time.0.div_euclid(1000));
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
        series.forget(self.matches.clone());
        series.forget(self.last_match.clone());
        self.set_end(None, series);
    }
}
