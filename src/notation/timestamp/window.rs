//! The span of the wall clock in which a timestamp counts as fresh (contract: Proof; schemes:
//! Timestamp and tolerance).
//!
//! A window gives the same verdict as [`Unit::judge`], and does so for every moment. So it can be
//! kept beside a proof, narrowed by other bounds (the dates of a token), and asked again later.

use super::unit::{Tolerance, Unit, millis};
use crate::clock::UnixMillis;
use crate::verdict::Code;

/// The span of the wall clock in which a timestamp counts as fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment at which the timestamp does not lie in the future; `None` if the future is
    /// not judged.
    pub from: Option<UnixMillis>,
    /// The first moment at which the timestamp is stale; `None` if it never is.
    pub until: Option<UnixMillis>,
}

impl Window {
    /// A window without bounds: fresh at any time.
    pub const ALWAYS: Self = Self {
        from: None,
        until: None,
    };

    /// Judges freshness at `wall`.
    ///
    /// # Errors
    /// `stale_timestamp` from `until` on, even before `from` if the window is empty;
    /// `future_timestamp` before `from`.
    pub fn judge(self, wall: UnixMillis) -> Result<(), Code> {
        if self.until.is_some_and(|until| wall >= until) {
            Err(Code::StaleTimestamp)
        } else if self.from.is_some_and(|from| wall < from) {
            Err(Code::FutureTimestamp)
        } else {
            Ok(())
        }
    }

    /// The time that lies in both windows; the result is empty if they do not overlap.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        // `Option` orders `None` first. That is right for `from`, where `None` is no lower bound,
        // but not for `until`: so take the least bound that exists.
        let until = self.until.into_iter().chain(other.until).min();
        Self {
            from: self.from.max(other.from),
            until,
        }
    }
}

impl Unit {
    /// The window in which the timestamp `at` is fresh, as [`judge`](Self::judge) decides.
    ///
    /// A bound outside the range of [`UnixMillis`] becomes the end of that range, which no clock
    /// shows. A bound that could never refuse is `None`.
    pub fn window(self, at: UnixMillis, past: Tolerance, future: Tolerance) -> Window {
        let step = self.step();
        // The remainder of a sum is that of the sum of remainders, which needs no wide division.
        let rest = at.0.rem_euclid(step);
        let rest_beside = |other: i64| (rest + other.rem_euclid(step)).rem_euclid(step);
        let at = i128::from(at.0);
        // The clock is judged in whole units, so each bound is the beginning of a unit.
        let from = match future {
            Tolerance::Off => None,
            Tolerance::Within(future) => {
                let future = millis(future);
                let over = rest_beside(-future);
                let up = if over == 0 { 0 } else { step - over };
                let from = at - i128::from(future) + i128::from(up);
                (from > i128::from(i64::MIN)).then(|| saturated(from))
            }
        };
        let until = match past {
            Tolerance::Off => None,
            Tolerance::Within(past) => {
                let past = millis(past);
                let last = at + i128::from(past);
                let until = last + i128::from(step - rest_beside(past));
                (until <= i128::from(i64::MAX)).then(|| saturated(until))
            }
        };
        Window { from, until }
    }
}

fn saturated(millis: i128) -> UnixMillis {
    UnixMillis(i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn tolerance() -> impl Strategy<Value = Tolerance> {
        let within = |ms| Tolerance::Within(Duration::from_millis(ms));
        prop_oneof![
            1 => Just(Tolerance::Off),
            1 => Just(Tolerance::Within(Duration::MAX)),
            4 => (0..700_000_u64).prop_map(within),
            1 => any::<u64>().prop_map(within),
        ]
    }

    /// Moments that are near each other: around the epoch, now and the ends of the range. And any
    /// moment.
    fn moment() -> impl Strategy<Value = i64> {
        prop_oneof![
            4 => 1_750_000_000_000 - 800_000..1_750_000_000_000_i64 + 800_000,
            1 => -800_000..800_000_i64,
            1 => i64::MIN + 1000..i64::MIN + 800_000,
            1 => i64::MAX - 800_000..i64::MAX,
            1 => any::<i64>().prop_map(|at| at.clamp(i64::MIN + 1000, i64::MAX - 1)),
        ]
    }

    fn window() -> impl Strategy<Value = Window> {
        let end = || prop::option::of((0..20_i64).prop_map(UnixMillis));
        (end(), end()).prop_map(|(from, until)| Window { from, until })
    }

    #[test]
    fn a_window_in_seconds_holds_whole_seconds() {
        let five_minutes = Tolerance::Within(Duration::from_secs(300));
        let window = Unit::Seconds.window(
            UnixMillis::from_secs(1000),
            five_minutes,
            Tolerance::Within(Duration::ZERO),
        );
        assert_eq!(
            window,
            Window {
                from: Some(UnixMillis(1_000_000)),
                until: Some(UnixMillis(1_301_000))
            }
        );
        assert_eq!(
            Unit::Seconds.window(UnixMillis(5), Tolerance::Off, Tolerance::Off),
            Window::ALWAYS
        );
    }

    #[test]
    fn the_lower_bound_is_in_and_the_upper_one_is_out() {
        let window = Window {
            from: Some(UnixMillis(10)),
            until: Some(UnixMillis(20)),
        };
        let judged = [9, 10, 19, 20].map(|wall| window.judge(UnixMillis(wall)));
        assert_eq!(
            judged,
            [
                Err(Code::FutureTimestamp),
                Ok(()),
                Ok(()),
                Err(Code::StaleTimestamp)
            ]
        );
    }

    #[test]
    fn a_moment_at_the_end_of_the_range_is_in_the_future_for_any_clock() {
        let never = Unit::Seconds.window(
            UnixMillis(i64::MAX),
            Tolerance::Off,
            Tolerance::Within(Duration::ZERO),
        );
        assert_eq!(
            never.judge(UnixMillis(i64::MAX - 1)),
            Err(Code::FutureTimestamp)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_window_says_what_judge_says(
            at in prop_oneof![moment(), any::<i64>()], wall in moment(), past in tolerance(), future in tolerance(),
        ) {
            for unit in Unit::ALL {
                let (at, wall) = (UnixMillis(at), UnixMillis(wall));
                let window = unit.window(at, past, future);
                prop_assert_eq!(window.judge(wall), unit.judge(at, wall, past, future), "{:?} {:?}", unit, window);
                // Judge at both bounds and at the moments just before them.
                for end in [window.from, window.until].into_iter().flatten() {
                    for wall in [end.0.saturating_sub(1), end.0].map(|ms| UnixMillis(ms.clamp(i64::MIN + 1000, i64::MAX - 1))) {
                        prop_assert_eq!(window.judge(wall), unit.judge(at, wall, past, future), "{:?} {:?}", unit, window);
                    }
                }
            }
        }

        #[test]
        fn a_moment_lies_within_two_windows_if_it_lies_in_each(one in window(), other in window(), wall in -1..21_i64) {
            let wall = UnixMillis(wall);
            let both = one.judge(wall).is_ok() && other.judge(wall).is_ok();
            prop_assert_eq!(one.within(other).judge(wall).is_ok(), both);
            prop_assert_eq!(one.within(other), other.within(one));
            prop_assert_eq!(one.within(Window::ALWAYS), one);
        }
    }
}
