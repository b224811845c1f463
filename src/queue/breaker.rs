//! The breaker of a route: an app that cannot be reached is left alone, but for single probes
//! (contract: Queue).

use super::Number;

/// Failures in a row that open it.
const FAILURES: u32 = 10;
/// The different deliveries that these must be of.
const DELIVERIES: usize = 3;
/// The first gap before a probe in milliseconds, and the longest: each is twice the one before it.
const FIRST_GAP: i64 = 5_000;
const LONGEST_GAP: i64 = 60_000;

/// What the end of an attempt says about the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The app is there: a 2xx, or a 4xx other than 429.
    Well,
    /// It cannot be reached: no connection, no answer in time, 429, or 502 to 504.
    Ill,
    /// Nothing: any other end.
    None,
}

/// A change of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerTurn {
    /// It opened: from now on there are single probes.
    Opened,
    /// It closed: deliveries go on.
    Closed,
}

/// The breaker of a route.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures since the app was last well.
    row: u32,
    /// The first different deliveries among those.
    of: [Option<Number>; DELIVERIES],
    open: Option<Open>,
}

/// What an open breaker knows. Times are monotonic milliseconds.
#[derive(Debug)]
struct Open {
    /// The earliest moment of the next probe.
    next: i64,
    gap: i64,
    /// The delivery that is being tried.
    probing: Option<Number>,
    /// The delivery that was tried last.
    last: Option<Number>,
    /// Whether an operator wants the next probe.
    is_by_hand: bool,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The earliest moment of the next probe: `Ok(None)` while it is closed, an error while a probe
    /// is under way.
    pub(super) fn next_probe(&self) -> Result<Option<i64>, Probing> {
        match &self.open {
            None => Ok(None),
            Some(open) if open.probing.is_some() => Err(Probing),
            Some(open) => Ok(Some(open.next)),
        }
    }

    /// The delivery of the last probe.
    pub(super) fn last(&self) -> Option<Number> {
        self.open.as_ref().and_then(|open| open.last)
    }

    /// Whether an operator wants the next probe, so that it waits for no delay that the app asked for.
    pub(super) fn is_by_hand(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_by_hand)
    }

    /// A probe begins. Says whether an operator wanted it.
    pub(super) fn probe(&mut self, number: Number, now: i64) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        open.gap = open.gap.saturating_mul(2).min(LONGEST_GAP);
        open.next = now.saturating_add(open.gap);
        open.probing = Some(number);
        open.last = Some(number);
        std::mem::take(&mut open.is_by_hand)
    }

    /// A probe was not made after all: the next one need not wait.
    pub(super) fn unprobe(&mut self, number: Number, now: i64) {
        if let Some(open) = &mut self.open
            && open.probing == Some(number)
        {
            open.probing = None;
            open.next = now;
        }
    }

    /// Somebody has mended the app, or says so: the next probe waits until `from` at most, and the gaps
    /// begin again with the first one. A probe that is under way ends first.
    pub(super) fn hurry(&mut self, from: i64) {
        if let Some(open) = &mut self.open {
            open.next = open.next.min(from);
            // The probe makes it twice as long.
            open.gap = FIRST_GAP / 2;
            open.is_by_hand = true;
        }
    }

    /// An attempt has ended.
    pub(super) fn saw(&mut self, number: Number, sign: Sign, now: i64) -> Option<BreakerTurn> {
        if let Some(open) = &mut self.open {
            if open.probing == Some(number) {
                open.probing = None;
            }
            if sign != Sign::Well {
                return None;
            }
            *self = Self::default();
            return Some(BreakerTurn::Closed);
        }
        match sign {
            Sign::None => return None,
            Sign::Well => {
                *self = Self::default();
                return None;
            }
            Sign::Ill => self.row = self.row.saturating_add(1),
        }
        if !self.of.contains(&Some(number))
            && let Some(free) = self.of.iter_mut().find(|known| known.is_none())
        {
            *free = Some(number);
        }
        let is_known_of_enough = self.of.iter().all(Option::is_some);
        if self.row < FAILURES || !is_known_of_enough {
            return None;
        }
        self.open = Some(Open {
            next: now.saturating_add(FIRST_GAP),
            gap: FIRST_GAP,
            probing: None,
            last: None,
            is_by_hand: false,
        });
        Some(BreakerTurn::Opened)
    }
}

/// A probe is under way, and there is no second one beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probing;

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=10 {
            let turn = breaker.saw(Number(number), Sign::Ill, 1000);
            assert_eq!(turn, (number == 10).then_some(BreakerTurn::Opened));
        }
        breaker
    }

    #[test]
    fn ten_failures_in_a_row_of_three_deliveries_open_it() {
        assert!(opened().is_open());
        let mut breaker = Breaker::default();
        for turn in 0..100 {
            assert_eq!(breaker.saw(Number(turn % 2), Sign::Ill, 0), None);
        }
        assert_eq!(
            breaker.saw(Number(7), Sign::Ill, 0),
            Some(BreakerTurn::Opened)
        );
    }

    #[test]
    fn a_good_end_begins_the_row_again_and_another_status_leaves_it_alone() {
        let mut breaker = Breaker::default();
        for number in 1..=9 {
            assert_eq!(breaker.saw(Number(number), Sign::Ill, 0), None);
            assert_eq!(breaker.saw(Number(100), Sign::None, 0), None);
        }
        assert_eq!(breaker.saw(Number(100), Sign::Well, 0), None);
        for number in 1..=9 {
            assert_eq!(breaker.saw(Number(number), Sign::Ill, 0), None);
        }
        assert_eq!(breaker.saw(Number(100), Sign::None, 0), None);
        assert_eq!(
            breaker.saw(Number(1), Sign::Ill, 0),
            Some(BreakerTurn::Opened)
        );
    }

    #[test]
    fn probes_come_alone_after_5_s_and_then_ever_later_up_to_60_s() {
        let mut breaker = opened();
        let mut at = 1000;
        for (gap, number) in [5, 10, 20, 40, 60, 60, 60].into_iter().zip(50..) {
            let next = breaker.next_probe().unwrap().unwrap();
            assert_eq!(next - at, gap * 1000);
            at = next;
            breaker.probe(Number(number), at);
            assert_eq!(breaker.last(), Some(Number(number)));
            assert_eq!(breaker.next_probe(), Err(Probing));
            // The ends of other attempts that fail change nothing.
            assert_eq!(breaker.saw(Number(1), Sign::Ill, at), None);
            assert_eq!(breaker.next_probe(), Err(Probing));
            assert_eq!(breaker.saw(Number(number), Sign::None, at), None);
        }
    }

    #[test]
    fn a_good_end_closes_it_whoever_had_it() {
        for number in [50, 1] {
            let mut breaker = opened();
            breaker.probe(Number(50), 6000);
            assert_eq!(
                breaker.saw(Number(number), Sign::Well, 6001),
                Some(BreakerTurn::Closed)
            );
            assert_eq!(breaker.next_probe(), Ok(None));
            // The row begins again.
            assert_eq!(breaker.saw(Number(50), Sign::Ill, 6002), None);
        }
    }

    #[test]
    fn an_operator_has_the_next_probe_made_at_once_and_the_gaps_begin_again() {
        let mut breaker = Breaker::default();
        breaker.hurry(0);
        assert_eq!(breaker.next_probe(), Ok(None), "it is closed");
        let mut breaker = opened();
        for number in 50..55 {
            let at = breaker.next_probe().unwrap().unwrap();
            breaker.probe(Number(number), at);
            breaker.saw(Number(number), Sign::Ill, at);
        }
        let at = 100_000;
        assert!(breaker.next_probe().unwrap() > Some(at));
        breaker.hurry(at + 10);
        breaker.hurry(at);
        breaker.hurry(at + 20);
        assert_eq!(breaker.next_probe(), Ok(Some(at)));
        assert!(breaker.is_by_hand());
        assert!(breaker.probe(Number(60), at) && !breaker.is_by_hand());
        // One is under way: there is no second one beside it, and the next one follows at once.
        breaker.hurry(at + 100);
        assert_eq!(breaker.next_probe(), Err(Probing));
        breaker.saw(Number(60), Sign::Ill, at + 200);
        assert_eq!(breaker.next_probe(), Ok(Some(at + 100)));
        let mut at = at + 200;
        breaker.probe(Number(61), at);
        breaker.saw(Number(61), Sign::Ill, at);
        for gap in [5, 10, 20, 40, 60, 60] {
            let next = breaker.next_probe().unwrap().unwrap();
            assert_eq!(next - at, gap * 1000);
            at = next;
            breaker.probe(Number(62), at);
            breaker.saw(Number(62), Sign::Ill, at);
        }
    }

    #[test]
    fn a_probe_that_was_not_made_is_followed_at_once_by_another() {
        let mut breaker = opened();
        breaker.probe(Number(50), 6000);
        breaker.unprobe(Number(49), 6001);
        assert_eq!(breaker.next_probe(), Err(Probing));
        breaker.unprobe(Number(50), 6001);
        assert_eq!(breaker.next_probe(), Ok(Some(6001)));
    }
}
