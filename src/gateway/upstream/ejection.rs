//! Upstreams that are left out for a while because no connection to them could be made (contract:
//! Several upstreams). The clock comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::balance::bit;

/// The failures to connect in a row after which an upstream is left out.
const FAILURES: u32 = 3;
/// The time for which it is left out.
pub(super) const OUT: Duration = Duration::from_secs(10);

/// What is known of the connections to each upstream of a group.
#[derive(Debug)]
pub(super) struct Ejections(Box<[Known]>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The failures since the last connection.
    failures: u32,
    /// The end of the time for which it is left out.
    until: Option<Instant>,
    /// The moment of the third failure, without a connection since.
    since: Option<Instant>,
    /// What became of it then.
    failing: Option<Failing>,
}

/// What becomes of an upstream that failed three times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// It is left out for a while.
    Out,
    /// It goes on getting deliveries, because no other one is in service.
    Last,
}

impl Ejections {
    /// Nothing is known of so many upstreams.
    pub(super) fn new(count: usize) -> Self {
        Self(vec![Known::default(); count].into())
    }

    /// Those that are left out.
    pub(super) fn out(&self, now: Instant) -> u64 {
        let is_out = |known: &Known| known.until.is_some_and(|until| now < until);
        let out = self.0.iter().enumerate();
        out.filter(|(_, known)| is_out(known))
            .fold(0, |out, (place, _)| out | bit(place))
    }

    /// A delivery is about to go to this upstream. If it was left out before and the time is over, the
    /// delivery is its trial: others stay away until the trial has ended.
    pub(super) fn chosen(&mut self, place: usize, now: Instant) {
        if let Some(known) = self.0.get_mut(place)
            && known.until.is_some()
        {
            known.until = Some(now + OUT);
        }
    }

    /// No connection to this upstream could be made. `others` pass their checks: the last one in
    /// service is never left out. Returns what becomes of it, if that changes now.
    pub(super) fn failed(&mut self, place: usize, others: u64, now: Instant) -> Option<Failing> {
        let others = others & !bit(place) & !self.out(now);
        let known = self.0.get_mut(place)?;
        known.failures = known.failures.saturating_add(1);
        if known.failures < FAILURES {
            return None;
        }
        let failing = if others == 0 {
            known.until = None;
            Failing::Last
        } else {
            known.until = Some(now + OUT);
            Failing::Out
        };
        known.since.get_or_insert(now);
        let before = known.failing.replace(failing);
        (before != Some(failing)).then_some(failing)
    }

    /// A connection to this upstream was made. Returns for how long it was failing, if it was.
    pub(super) fn worked(&mut self, place: usize, now: Instant) -> Option<Duration> {
        let known = std::mem::take(self.0.get_mut(place)?);
        Some(now.saturating_duration_since(known.since?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: u64 = 0b11;

    #[test]
    fn three_failures_in_a_row_leave_an_upstream_out_for_ten_seconds_and_one_delivery_tries_it() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut all = Ejections::new(2);
        let failed = |all: &mut Ejections, secs| all.failed(0, BOTH, at(secs));
        assert_eq!([failed(&mut all, 0), failed(&mut all, 0)], [None; 2]);
        assert_eq!(all.worked(0, at(1)), None, "it was never out");
        assert_eq!([failed(&mut all, 1), failed(&mut all, 1)], [None; 2]);
        assert_eq!(all.out(at(1)), 0);
        assert_eq!(failed(&mut all, 2), Some(Failing::Out));
        assert_eq!((all.out(at(2)), all.out(at(11))), (0b01, 0b01));
        assert_eq!(all.out(at(12)), 0);
        all.chosen(0, at(12));
        assert_eq!(all.out(at(12)), 0b01, "others stay away from the trial");
        assert_eq!(failed(&mut all, 13), None, "it was out before");
        assert_eq!((all.out(at(22)), all.out(at(23))), (0b01, 0));
        all.chosen(0, at(23));
        assert_eq!(all.worked(0, at(24)), Some(Duration::from_secs(22)));
        assert_eq!(all.out(at(24)), 0);
        assert_eq!(failed(&mut all, 24), None, "the failures count anew");
    }

    #[test]
    fn up_18_the_last_one_is_never_left_out() {
        let now = Instant::now();
        let mut all = Ejections::new(2);
        for _ in 0..2 {
            all.failed(0, BOTH, now);
        }
        assert_eq!(all.failed(0, BOTH, now), Some(Failing::Out));
        let tens = |all: &mut Ejections, place, others| {
            let said = (0..10).filter_map(|_| all.failed(place, others, now));
            said.collect::<Vec<_>>()
        };
        assert_eq!(tens(&mut all, 1, BOTH), [Failing::Last], "it is said once");
        assert_eq!(all.out(now), 0b01);
        // Another that fails its health checks is no help either.
        let mut all = Ejections::new(2);
        assert_eq!(tens(&mut all, 0, 0b01), [Failing::Last]);
        assert_eq!(all.out(now), 0);
        let mut alone = Ejections::new(1);
        assert_eq!(tens(&mut alone, 0, 0b1), [Failing::Last]);
        assert_eq!(alone.out(now), 0);
    }

    #[test]
    fn an_upstream_that_was_left_out_is_taken_back_where_the_last_one_leaves_in_its_place() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut all = Ejections::new(2);
        let three = |all: &mut Ejections, place, now| {
            let said = (0..3).filter_map(|_| all.failed(place, BOTH, now));
            said.last()
        };
        assert_eq!(three(&mut all, 0, at(0)), Some(Failing::Out));
        assert_eq!(three(&mut all, 1, at(1)), Some(Failing::Last));
        // The time of the first is over, so it counts as in service, and the second is left out.
        assert_eq!(all.failed(1, BOTH, at(10)), Some(Failing::Out));
        assert_eq!(all.failed(0, BOTH, at(11)), Some(Failing::Last));
        assert_eq!(all.out(at(11)), 0b10);
        assert_eq!(all.worked(0, at(12)), Some(Duration::from_secs(12)));
    }

    #[test]
    fn an_upstream_that_nobody_asks_stays_out_until_the_time_is_over_and_no_longer() {
        let now = Instant::now();
        let mut all = Ejections::new(3);
        (0..3).for_each(|_| {
            all.failed(2, 0b111, now);
        });
        assert_eq!(all.out(now + OUT - Duration::from_millis(1)), 0b100);
        assert_eq!(all.out(now + OUT), 0);
        all.chosen(0, now + OUT);
        assert_eq!(all.out(now + OUT), 0);
    }
}
