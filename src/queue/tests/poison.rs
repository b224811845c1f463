//! Deliveries that an app never takes, and what they cost the others.

use std::collections::BTreeMap;

use super::*;

/// Runs a route for `seconds`: each millisecond of simulated time something may arrive or end. The app
/// takes each delivery in 20 ms, but `poison` of every hundred, all of account 0, run into the time
/// limit. Gives the longest time between acceptance and delivery of the others.
fn longest_delay(settings: Settings, per_second: u64, poison: u64, seconds: u64) -> Duration {
    let timeout = Duration::from_secs(10);
    let mut bench = Bench::new(settings);
    let mut ends: BTreeMap<(Duration, u64), bool> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let is_poison = |number: u64| number % 100 < poison;
    let start = bench.now().mono;
    let mut number = 0;
    while bench.now().mono < start + Duration::from_secs(seconds) {
        let now = bench.now().mono;
        let elapsed = u64::try_from(now.saturating_sub(start).as_millis()).unwrap();
        while number * 1000 < elapsed * per_second {
            number += 1;
            let account = if is_poison(number) {
                0
            } else {
                1 + number % 49
            };
            bench.add_of(number, account);
        }
        while let Some(((at, ended), _)) = ends.first_key_value()
            && *at <= now
        {
            let ended = *ended;
            let at = *at;
            ends.remove(&(at, ended));
            if is_poison(ended) {
                bench.end(ended, Outcome::Timeout);
            } else {
                let received = bench.listed(ended).delivery.id.received().0;
                let took = bench.now().wall.0 - received;
                longest = longest.max(Duration::from_millis(took.unsigned_abs()));
                bench.end_with(ended, 200);
            }
        }
        while let Some(lease) = bench.lease() {
            let takes = if is_poison(lease.number.0) {
                timeout
            } else {
                Duration::from_millis(20)
            };
            ends.insert((now + takes, lease.number.0), true);
        }
        bench.pass(0.001);
    }
    assert!(number > 0 && longest > Duration::ZERO);
    longest
}

#[test]
fn qu_01_one_in_a_hundred_deliveries_that_hang_delay_the_other_accounts_by_less_than_a_second() {
    // 100 deliveries a second, of which one hangs for 10 s at each attempt: more than all slots could
    // take. The other 99 need two slots.
    let longest = longest_delay(Settings::default(), 100, 1, 300);
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    // Ten times as many of them change nothing.
    let longest = longest_delay(Settings::default(), 100, 10, 60);
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
