//! The rate of a route: attempts begin at even distances (contract: Queue).

use std::time::Duration;

use super::settings::Rate;

/// The time by which an attempt may begin late without delaying those after it: timers are not exact.
const SLACK: Duration = Duration::from_millis(10);

/// When the next attempt may begin.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Duration,
}

impl Pace {
    /// The earliest moment of the next attempt on the monotonic clock, if it is later than `now`.
    pub(super) fn wait(&self, rate: Option<Rate>, now: Duration) -> Option<Duration> {
        (rate.is_some() && self.next > now).then_some(self.next)
    }

    /// The route has another rate, or none: the next attempt waits no longer than the new distance from
    /// now, however far away it was by the old one.
    pub(super) fn change(&mut self, rate: Option<Rate>, now: Duration) {
        let distance = rate.map_or(Duration::ZERO, distance);
        self.next = self.next.min(now.saturating_add(distance));
    }

    /// The earliest moment of the next attempt on the monotonic clock, which may be over.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, rate: Option<Rate>, now: Duration) {
        if let Some(rate) = rate {
            let due = self.next.max(now.saturating_sub(SLACK));
            self.next = due.saturating_add(distance(rate));
        }
    }
}

fn distance(rate: Rate) -> Duration {
    rate.per / rate.count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attempts that begin in each of `seconds`, when a timer comes `late`.
    fn counts(rate: Rate, seconds: u64, late: Duration) -> Vec<usize> {
        let mut pace = Pace::default();
        let start = Duration::from_secs(100);
        let mut now = start;
        let mut begun = Vec::new();
        while now < start + Duration::from_secs(seconds) {
            if let Some(at) = pace.wait(Some(rate), now) {
                now = at + late;
            } else {
                pace.begin(Some(rate), now);
                begun.push(now.as_secs() - start.as_secs());
            }
        }
        let in_second = |second| begun.iter().filter(|at| **at == second).count();
        (0..seconds).map(in_second).collect()
    }

    #[test]
    fn attempts_begin_at_even_distances_and_timers_that_are_late_cost_none() {
        let rate = |count| Rate {
            count,
            per: Duration::from_secs(1),
        };
        for (rate, late) in [(rate(10), 0), (rate(100), 1), (rate(5000), 2)] {
            let count = usize::try_from(rate.count).unwrap();
            let late = Duration::from_millis(late);
            for found in counts(rate, 5, late) {
                let most = count + count / 50 + 1;
                assert!(
                    (count - count / 50 - 1..=most).contains(&found),
                    "{rate:?}: {found}"
                );
            }
        }
    }
}
