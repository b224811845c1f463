//! The moments at which certificates are ordered: at once where there is none, before the end of the
//! one that is held, or when the authority suggests it (RFC 9773).

use std::time::Duration;

use super::ledger::{Ledger, later};
use crate::clock::UnixMillis;

/// The certificate that is held for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The moment from which it counts.
    pub not_before: UnixMillis,
    /// The first moment at which it counts no more.
    pub not_after: UnixMillis,
    /// The place of this certificate between the ends of a span of time: all renewals of the world
    /// at the same moment would be a burden to their authority. It belongs to the certificate, so
    /// that a restart does not choose again.
    pub spread: u16,
}

/// The span of time in which the authority suggests to renew a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub start: UnixMillis,
    /// The moment after its last.
    pub end: UnixMillis,
}

/// The suggestion of an authority cannot put a renewal off into the last part of this many of the
/// time for which the certificate counts.
const LAST: i64 = 12;

/// The waits after an attempt that came to no order, because the authority could not be reached or
/// gave no account: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Held {
    /// The moment at which the certificate is to be renewed: when two thirds of its time are over,
    /// or up to a twelfth of it earlier, or within the window that the authority suggests.
    ///
    /// A window that ends before it begins counts for nothing, and none can put the renewal off into
    /// the last twelfth of the certificate's time.
    pub fn renewal(&self, window: Option<Window>) -> UnixMillis {
        let life = self.not_after.0.saturating_sub(self.not_before.0).max(0);
        let within = |span: i64| {
            let place = i128::from(span) * i128::from(self.spread) / (i128::from(u16::MAX) + 1);
            i64::try_from(place).unwrap_or(0)
        };
        let usual = self.not_before.0.saturating_add(life / 3 * 2);
        let usual = usual.saturating_sub(within(life / 12));
        let at = match window {
            Some(Window { start, end }) if start < end => {
                let latest = self.not_after.0.saturating_sub(life / LAST);
                let span = end.0.saturating_sub(start.0);
                start.0.saturating_add(within(span)).min(latest)
            }
            _ => usual,
        };
        UnixMillis(at)
    }
}

/// The moment at which a certificate for the name may and should be ordered; `now` or earlier if it
/// should be now.
///
/// `settled` is the moment from which this process orders at all.
pub fn due(
    name: &str,
    held: Option<&Held>,
    window: Option<Window>,
    ledger: &Ledger,
    settled: UnixMillis,
    now: UnixMillis,
) -> UnixMillis {
    let wanted = held.map_or(now, |held| held.renewal(window));
    wanted.max(settled).max(ledger.earliest(name, now))
}

/// The wait after this many attempts in a row that came to no order, of which the last one has just
/// failed. `asked` is the wait that the authority asked for.
pub fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let own = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let asked = asked.unwrap_or_default().min(super::ledger::LONGEST_WAIT);
    own.max(asked)
}

/// The wait of a process that finds no count of orders in the directory: its first order comes so
/// much later than its start. A process that ends sooner, again and again, each time with an emptied
/// directory, orders nothing. `spread` parts those that start together.
pub fn settling(spread: u16) -> Duration {
    Duration::from_secs(10) + Duration::from_millis(u64::from(spread) * 10_000 / 65_536)
}

/// The moment at which the authority is asked again for a window, as it wishes, within reason.
pub fn ask_again(now: UnixMillis, wished: Duration) -> UnixMillis {
    const SHORTEST: Duration = Duration::from_secs(3600);
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    later(now, wished.clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::ledger::{A_DAY, DAY};

    const DAY_MS: i64 = 24 * 3_600_000;
    const START: UnixMillis = UnixMillis(1_795_392_000_000);

    fn held(days: i64, spread: u16) -> Held {
        Held {
            not_before: START,
            not_after: UnixMillis(START.0 + days * DAY_MS),
            spread,
        }
    }

    /// The days since the start, in hundredths.
    fn days(moment: UnixMillis) -> i64 {
        (moment.0 - START.0) * 100 / DAY_MS
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_are_over_or_in_the_window_of_the_authority() {
        let window = |from: i64, to: i64| {
            Some(Window {
                start: UnixMillis(START.0 + from * DAY_MS),
                end: UnixMillis(START.0 + to * DAY_MS),
            })
        };
        let rows = [
            (held(90, 0), None, 6000),
            (held(90, u16::MAX), None, 5250),
            (held(6, 0), None, 400),
            (held(90, 0), window(40, 42), 4000),
            (held(90, u16::MAX), window(40, 42), 4200),
            // Revoked tomorrow: the window lies in the past.
            (held(90, 0), window(-3, -1), -300),
            // A window that is none, and one that would let the certificate end.
            (held(90, 0), window(42, 40), 6000),
            (held(90, 0), window(40, 40), 6000),
            (held(90, 0), window(4000, 5000), 8250),
            (held(90, u16::MAX), window(80, 5000), 8250),
        ];
        let mut failures = Vec::new();
        for (held, window, expected) in rows {
            let found = days(held.renewal(window));
            if (found - expected).abs() > 1 {
                failures.push((held, window, expected, found));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
        let extreme = Held {
            not_before: UnixMillis(i64::MIN),
            not_after: UnixMillis(i64::MAX),
            spread: u16::MAX,
        };
        let all = Window {
            start: UnixMillis(i64::MIN),
            end: UnixMillis(i64::MAX),
        };
        let _ = (extreme.renewal(None), extreme.renewal(Some(all)));
    }

    #[test]
    fn an_authority_that_cannot_be_reached_is_asked_at_most_once_an_hour() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let waits: Vec<_> = (1..=8).map(|failures| pause(failures, None)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60].map(minutes));
        assert_eq!(pause(u32::MAX, None), minutes(60));
        assert_eq!(pause(1, Some(minutes(90))), minutes(90));
        assert_eq!(pause(9, Some(minutes(1))), minutes(60));
        assert_eq!(pause(1, Some(Duration::MAX)), minutes(7 * 24 * 60));
    }

    #[test]
    fn a_new_directory_waits_ten_to_twenty_seconds() {
        assert_eq!(settling(0), Duration::from_secs(10));
        assert_eq!(settling(u16::MAX).as_secs(), 19);
    }

    /// Numbers that are the same at each run (xorshift).
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// What becomes of a name over a year, with an authority that fails at these `odds` of a hundred
    /// and a process that starts anew at each attempt with these odds, in the middle of its order.
    /// Returns the moments of the orders, and how long no certificate counted after the first.
    fn year(seed: u64, failing: u64, crashing: u64, life: i64) -> (Vec<i64>, i64) {
        let mut chance = Chance(seed * 7919 + 1);
        let mut ledger = Ledger::default();
        let mut held: Option<Held> = None;
        let (mut orders, mut without) = (Vec::new(), 0);
        let mut now = START;
        while days(now) < 36_500 {
            let due = due("a.example", held.as_ref(), None, &ledger, START, now);
            if due > now {
                if let Some(held) = held {
                    without +=
                        (due.0.min(START.0 + 365 * DAY_MS) - held.not_after.0.max(now.0)).max(0);
                }
                now = due;
                continue;
            }
            ledger.order("a.example", now);
            orders.push(now.0);
            if chance.below(100) < crashing {
                // The next process knows what was written down.
                ledger = Ledger::read(ledger.text().as_bytes()).unwrap();
            } else if chance.below(100) >= failing {
                ledger.issued("a.example");
                held = Some(Held {
                    not_before: now,
                    not_after: UnixMillis(now.0 + life * DAY_MS),
                    spread: u16::try_from(chance.below(65_536)).unwrap(),
                });
            } else if chance.below(4) == 0 {
                ledger.wait(
                    "a.example",
                    now,
                    Duration::from_secs(chance.below(1_000_000)),
                );
            }
            now = UnixMillis(now.0 + 1000);
        }
        (orders, without)
    }

    #[test]
    fn tl_10_no_day_of_a_year_has_more_orders_than_allowed_and_no_certificate_lapses_without_need()
    {
        let day = i64::try_from(DAY.as_millis()).unwrap();
        for seed in 1..=40 {
            for (failing, crashing, life) in [
                (0, 0, 90),
                (30, 10, 90),
                (0, 0, 6),
                (20, 20, 6),
                (100, 0, 90),
                (0, 100, 90),
                (60, 60, 1),
            ] {
                let (orders, without) = year(seed, failing, crashing, life);
                let crowded = orders.windows(A_DAY + 1).find(|four| match four {
                    [first, .., last] => last - first < day,
                    _ => false,
                });
                assert_eq!(crowded, None, "seed {seed}, {failing} {crashing} {life}");
                assert!(!orders.is_empty());
                if failing == 0 && crashing == 0 {
                    assert_eq!(without, 0, "seed {seed}, {life}");
                    let most = 365 * 12 / 7 / life + 2;
                    assert!(
                        i64::try_from(orders.len()).unwrap() <= most,
                        "{} orders",
                        orders.len()
                    );
                } else if failing + crashing < 50 && life == 90 {
                    assert_eq!(without, 0, "seed {seed}, {life}");
                }
                if failing == 100 || crashing == 100 {
                    assert!(
                        orders.len() > 365 / 7,
                        "{} orders: the name is given up",
                        orders.len()
                    );
                }
            }
        }
    }
}
