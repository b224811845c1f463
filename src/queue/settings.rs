//! What an operator sets for the queue: of each route, and of all together (contract: Queue).

use std::time::Duration;

/// The settings of a route, as the configuration in force has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The delay after each failed attempt of a round, before it is spread by a fifth either way. The
    /// last one is repeated.
    pub retry: Vec<Duration>,
    /// The age from which a failed attempt is the last one.
    pub max_age: Duration,
    /// The statuses after which no attempt follows.
    pub dead_on: Vec<u16>,
    /// The time for which a dead letter is kept.
    pub keep_dead: Duration,
    /// The most attempts at the same time. 0 counts as 1.
    pub concurrency: u16,
    /// The most attempts in a time; `None`: no limit.
    pub rate: Option<Rate>,
    /// The most bytes of all deliveries of the route, dead letters included.
    pub max_bytes: u64,
    /// The most deliveries of the route, dead letters included.
    pub max_deliveries: u64,
    /// Whether deliveries with the same order key are delivered one after the other.
    pub is_ordered: bool,
}

/// A number of attempts in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of attempts. 0 counts as 1.
    pub count: u32,
    /// The time.
    pub per: Duration,
}

/// The limits of all routes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all deliveries, dead letters included.
    pub max_bytes: u64,
    /// The most deliveries, dead letters included.
    pub max_deliveries: u64,
}

impl Settings {
    /// The number of slots for attempts, at least 1.
    pub(super) fn slots(&self) -> u32 {
        u32::from(self.concurrency.max(1))
    }
}

impl Default for Settings {
    /// The settings of a route that sets none, under the limits that `[state]` has by default.
    fn default() -> Self {
        const HOUR: u64 = 3600;
        let retry = [5, 15, 60, 300, 900, 1800, HOUR];
        Self {
            retry: retry.map(Duration::from_secs).to_vec(),
            max_age: Duration::from_secs(72 * HOUR),
            dead_on: vec![410],
            keep_dead: Duration::from_secs(14 * 24 * HOUR),
            concurrency: 16,
            rate: None,
            max_bytes: 10 << 28,
            max_deliveries: 250_000,
            is_ordered: false,
        }
    }
}
