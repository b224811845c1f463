//! The pause that the app asks for: three deliveries in a row got a 503 with `Retry-After`
//! (contract: Queue).

use std::time::Duration;

use super::Number;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// A beginning or an end of a pause that the app asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseTurn {
    /// The route pauses for so long.
    Began(Duration),
    /// It goes on before its time, because the app took a delivery.
    Ended,
}

/// The end of an attempt as it counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// 2xx.
    Taken,
    /// 503 with `Retry-After`.
    Asked(Duration),
    /// Any other end.
    Other,
}

/// What a route knows of it. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The deliveries of the present row but the last one.
    row: [Option<Number>; 2],
    until: Option<i64>,
    /// The moment from which one attempt may begin before the end of the pause.
    lets_one_from: Option<i64>,
}

impl Asked {
    /// The end of the present pause.
    pub(super) fn until(&self) -> Option<i64> {
        self.until
    }

    /// The moment until which no attempt begins; `None`: one may begin now, because the pause is over
    /// or an operator wants to see one.
    pub(super) fn wait(&self, now: i64) -> Option<i64> {
        let until = self.until?;
        let from = self.lets_one_from.map_or(until, |from| from.min(until));
        (from > now).then_some(from)
    }

    /// Somebody has mended the app, or says so: one attempt begins at `from` in spite of the pause. If
    /// the app takes it, the pause ends.
    pub(super) fn let_one_through(&mut self, from: i64) {
        self.lets_one_from = self.until.map(|_| from);
    }

    /// An attempt begins. Says whether an operator wanted it.
    pub(super) fn begin(&mut self) -> bool {
        self.lets_one_from.take().is_some()
    }

    /// Ends the pause, and says whether there was one.
    pub(super) fn end(&mut self) -> bool {
        self.row = [None; 2];
        self.lets_one_from = None;
        self.until.take().is_some()
    }

    /// An attempt has ended.
    pub(super) fn saw(&mut self, number: Number, reply: Reply, now: i64) -> Option<PauseTurn> {
        match reply {
            Reply::Taken => self.end().then_some(PauseTurn::Ended),
            Reply::Other => {
                self.row = [None; 2];
                None
            }
            Reply::Asked(_) if self.until.is_some() || self.row.contains(&Some(number)) => None,
            Reply::Asked(delay) => {
                if let Some(free) = self.row.iter_mut().find(|known| known.is_none()) {
                    *free = Some(number);
                    return None;
                }
                self.row = [None; 2];
                let delay = delay.min(LONGEST);
                if delay.is_zero() {
                    return None;
                }
                let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                self.until = Some(now.saturating_add(millis));
                Some(PauseTurn::Began(delay))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Reply = Reply::Asked(Duration::from_secs(30));

    #[test]
    fn three_deliveries_in_a_row_pause_the_route() {
        let mut asked = Asked::default();
        assert_eq!(asked.saw(Number(1), ASKED, 0), None);
        assert_eq!(asked.saw(Number(2), ASKED, 0), None);
        let turn = asked.saw(Number(3), ASKED, 1000);
        assert_eq!(turn, Some(PauseTurn::Began(Duration::from_secs(30))));
        assert_eq!(asked.until(), Some(31_000));
        // Those that were under way do not make it longer.
        for number in 4..10 {
            assert_eq!(asked.saw(Number(number), ASKED, 2000), None);
        }
        assert_eq!(asked.until(), Some(31_000));
    }

    #[test]
    fn one_delivery_does_not_count_twice_and_any_other_end_breaks_the_row() {
        let mut asked = Asked::default();
        for number in [1, 2, 2, 1, 1] {
            assert_eq!(asked.saw(Number(number), ASKED, 0), None);
        }
        assert_eq!(asked.saw(Number(9), Reply::Other, 0), None);
        assert_eq!(asked.saw(Number(3), ASKED, 0), None);
        assert_eq!(asked.saw(Number(4), ASKED, 0), None);
        assert_eq!(asked.saw(Number(9), Reply::Taken, 0), None);
        assert_eq!(asked.saw(Number(5), ASKED, 0), None);
        assert_eq!(asked.saw(Number(6), ASKED, 0), None);
        assert!(asked.saw(Number(7), ASKED, 0).is_some());
    }

    #[test]
    fn one_attempt_is_let_through_and_the_pause_goes_on_behind_it() {
        let mut asked = Asked::default();
        asked.let_one_through(0);
        for number in 1..=3 {
            asked.saw(Number(number), ASKED, 0);
        }
        assert_eq!(asked.wait(0), Some(30_000), "there was no pause then");
        asked.let_one_through(50);
        assert_eq!((asked.wait(0), asked.wait(50)), (Some(50), None));
        assert!(asked.begin() && !asked.begin());
        assert_eq!(asked.wait(50), Some(30_000));
        assert_eq!(asked.saw(Number(4), ASKED, 100), None);
        assert_eq!(asked.wait(100), Some(30_000));
        assert_eq!(asked.wait(30_000), None);
        asked.let_one_through(200);
        asked.begin();
        let turn = asked.saw(Number(5), Reply::Taken, 200);
        assert_eq!((turn, asked.wait(200)), (Some(PauseTurn::Ended), None));
    }

    #[test]
    fn a_pause_lasts_a_minute_at_most_and_ends_with_a_delivery() {
        let mut asked = Asked::default();
        let long = Reply::Asked(Duration::from_secs(3600));
        for number in 1..=3 {
            asked.saw(Number(number), long, 0);
        }
        assert_eq!(asked.until(), Some(60_000));
        assert_eq!(asked.saw(Number(4), Reply::Other, 1), None);
        assert_eq!(
            asked.saw(Number(5), Reply::Taken, 1),
            Some(PauseTurn::Ended)
        );
        assert_eq!(asked.until(), None);
        // A delay of nothing is no pause.
        for number in 1..=3 {
            let none = Reply::Asked(Duration::ZERO);
            assert_eq!(asked.saw(Number(number), none, 0), None);
        }
    }
}
