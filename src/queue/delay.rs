//! The time until the next attempt (contract: Queue).

use std::time::Duration;

use super::settings::Settings;

/// The longest delay that the app can ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The delay where a route has none. The configuration refuses such a route.
const WITHOUT_SCHEDULE: Duration = Duration::from_secs(60);

/// The delay after the failed attempt that is number `round` (from 1) of its round, before it is
/// spread.
fn step(settings: &Settings, round: u32) -> Duration {
    let place = usize::try_from(round.saturating_sub(1)).unwrap_or(usize::MAX);
    let found = settings
        .retry
        .get(place)
        .or_else(|| settings.retry.last())
        .copied();
    found.unwrap_or(WITHOUT_SCHEDULE)
}

/// The delay in milliseconds after a failed attempt, `chance` being a random number from 0 to 1, by
/// which the delay is spread by a fifth either way. An app that asks for more gets it.
pub(super) fn after_failure(
    settings: &Settings,
    round: u32,
    chance: f64,
    asked: Option<Duration>,
) -> i64 {
    // Whole numbers, so that the longest delay cannot overflow: parts of a million.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is between 0 and a million; not a number becomes 0"
    )]
    let parts = (chance.clamp(0.0, 1.0) * 1e6) as u128;
    let spread = step(settings, round).as_millis() * (800_000 + parts * 2 / 5) / 1_000_000;
    let asked = asked.map_or(0, |asked| asked.min(LONGEST_ASKED).as_millis());
    i64::try_from(spread.max(asked)).unwrap_or(i64::MAX / 4)
}

/// The longest delay in milliseconds that a delivery can have at the start after `round` failed
/// attempts. What is due later than this was written under another clock.
pub(super) fn longest(settings: &Settings, round: u32) -> i64 {
    let own = step(settings, round);
    let spread = i64::try_from(own.as_millis() * 6 / 5).unwrap_or(i64::MAX / 4);
    spread.max(i64::try_from(LONGEST_ASKED.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(retry: &[u64]) -> Settings {
        let retry = retry.iter().copied().map(Duration::from_secs);
        Settings {
            retry: retry.collect(),
            ..Settings::default()
        }
    }

    #[test]
    fn each_failure_waits_for_its_step_and_the_last_step_is_repeated() {
        let settings = settings(&[5, 15, 60]);
        let middle = |round| after_failure(&settings, round, 0.5, None);
        assert_eq!(
            [1, 2, 3, 4, u32::MAX].map(middle),
            [5000, 15_000, 60_000, 60_000, 60_000]
        );
        // A failure that was not counted waits for the first step.
        assert_eq!(middle(0), 5000);
    }

    #[test]
    fn a_delay_is_spread_by_a_fifth_either_way() {
        let settings = settings(&[100]);
        let delay = |chance| after_failure(&settings, 1, chance, None);
        assert_eq!([0.0, 0.25, 1.0].map(delay), [80_000, 90_000, 120_000]);
        assert_eq!(
            [-1.0, f64::NAN, 2.0, f64::INFINITY].map(delay),
            [80_000, 80_000, 120_000, 120_000]
        );
    }

    #[test]
    fn the_app_can_ask_for_a_longer_delay_up_to_an_hour_and_for_no_shorter_one() {
        let settings = settings(&[100]);
        let asked = |seconds| after_failure(&settings, 1, 0.5, Some(Duration::from_secs(seconds)));
        assert_eq!(
            [0, 99, 101, 3600, 9000].map(asked),
            [100_000, 100_000, 101_000, 3_600_000, 3_600_000]
        );
    }

    #[test]
    fn no_setting_overflows() {
        let endless = Settings {
            retry: vec![Duration::MAX],
            ..Settings::default()
        };
        assert!(after_failure(&endless, 1, 1.0, Some(Duration::MAX)) > 0);
        assert!(longest(&endless, 1) > 0);
        assert_eq!(after_failure(&settings(&[]), 1, 0.5, None), 60_000);
        assert_eq!(longest(&settings(&[]), 1), 3_600_000);
        assert_eq!(longest(&settings(&[6000]), 1), 7_200_000);
    }
}
