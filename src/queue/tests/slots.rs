//! Who gets the slots of a route: first attempts and retries, accounts in turn, the rate.

use super::*;

#[test]
fn a_route_has_no_more_attempts_than_slots() {
    let mut bench = Bench::new(slots(3));
    for number in 1..=10 {
        bench.add(number);
    }
    assert_eq!(bench.begin_all(), [1, 2, 3]);
    assert_eq!(bench.wait(), None);
    bench.end_with(2, 200);
    assert_eq!(bench.begin_all(), [4]);
    bench.set(slots(6));
    assert_eq!(bench.begin_all(), [5, 6]);
}

/// A bench with `retries` deliveries that are due again, from 1, and `firsts` others behind them.
fn with_retries(concurrency: u16, retries: u64, firsts: u64) -> Bench {
    let mut bench = Bench::new(slots(concurrency));
    for number in 1..=retries {
        bench.add(number);
        bench.lease().unwrap();
        bench.end_with(number, 500);
    }
    bench.pass(6.0);
    for number in retries + 1..=retries + firsts {
        bench.add(number);
    }
    bench
}

#[test]
fn a_quarter_of_the_slots_belongs_to_retries() {
    // Both wait: a quarter for retries, and the rest for first attempts.
    let mut bench = with_retries(16, 50, 50);
    let begun = bench.begin_all();
    assert_eq!(begun.len(), 16);
    assert_eq!(begun.iter().filter(|number| **number <= 50).count(), 4);
    // First attempts alone leave the quarter free, and a retry gets in at once.
    let mut bench = with_retries(16, 0, 50);
    assert_eq!(bench.begin_all().len(), 12);
    // Retries alone leave a quarter to first attempts.
    let mut bench = with_retries(16, 50, 0);
    assert_eq!(bench.begin_all().len(), 12);
    for number in 51..=60 {
        bench.add(number);
    }
    assert_eq!(bench.begin_all(), [51, 52, 53, 54]);
}

#[test]
fn with_few_slots_each_fourth_choice_is_a_retry() {
    for concurrency in 1..=3 {
        let mut bench = with_retries(concurrency, 20, 100);
        let mut retries = 0;
        let mut flying: Vec<u64> = Vec::new();
        for _ in 0..40 {
            while let Some(lease) = bench.lease() {
                retries += u64::from(lease.number.0 <= 20);
                flying.push(lease.number.0);
            }
            let number = flying.remove(0);
            bench.end_with(number, 200);
        }
        assert!((9..=11).contains(&retries), "{concurrency}: {retries}");
    }
}

#[test]
fn accounts_take_slots_in_turn() {
    let mut bench = Bench::new(slots(8));
    let mut number = 0;
    for (account, deliveries) in [(1, 100), (2, 3), (3, 1)] {
        for _ in 0..deliveries {
            number += 1;
            bench.add_of(number, account);
        }
    }
    number += 1;
    bench.add(number);
    // Numbers 1 to 100 are of the first account, then 3, then 1, and the last one has none.
    assert_eq!(bench.begin_all(), [1, 101, 104, 105, 2, 102]);
    for ended in [1, 101] {
        bench.end_with(ended, 200);
    }
    assert_eq!(bench.begin_all(), [3, 103]);
    // An account whose attempts take long does not take the slots of another one.
    for _ in 0..50 {
        number += 1;
        bench.add_of(number, 9);
        assert_eq!(bench.begin_all(), [0; 0]);
        bench.end_with(103.max(number - 1), 200);
        assert_eq!(bench.begin_all(), [number]);
    }
}

#[test]
fn retries_of_accounts_take_turns_too() {
    let mut bench = Bench::new(slots(16));
    for number in 1..=30 {
        bench.add_of(number, u64::from(number > 28));
        bench.lease().unwrap();
        bench.end_with(number, 500);
    }
    bench.pass(6.0);
    let begun = bench.begin_all();
    assert!(begun.contains(&29) && begun.contains(&30), "{begun:?}");
    let places = |number| begun.iter().position(|begun| *begun == number);
    assert!(places(29) < Some(2) && places(30) < Some(4), "{begun:?}");
}

#[test]
fn attempts_keep_to_the_rate() {
    let settings = Settings {
        rate: Some(Rate {
            count: 10,
            per: Duration::from_secs(1),
        }),
        ..slots(100)
    };
    let mut bench = Bench::new(settings);
    for number in 1..=70 {
        bench.add(number);
    }
    let mut begun = bench.begin_all().len();
    for _ in 0..50 {
        let wait = bench.wait().unwrap();
        assert!(wait <= 0.1);
        bench.pass(wait);
        begun += bench.begin_all().len();
    }
    assert_eq!(begun, 51);
}

#[test]
fn a_rate_that_is_raised_holds_nobody_to_the_old_distance() {
    let rated = |rate: Option<(u32, u64)>| Settings {
        rate: rate.map(|(count, per)| Rate {
            count,
            per: Duration::from_secs(per),
        }),
        ..slots(100)
    };
    let slow = || rated(Some((1, 3600)));
    for (changes, distance) in [
        (vec![rated(Some((100, 1)))], 0.01),
        (vec![rated(None)], 0.0),
        // The far moment of the slow rate does not come back with the next rate.
        (vec![rated(None), rated(Some((10, 1)))], 0.1),
        // The same rate again, and a slower one, put off nothing.
        (vec![slow(), rated(Some((1, 7200)))], 3500.0),
    ] {
        let mut bench = Bench::new(slow());
        for number in 1..=3 {
            bench.add(number);
        }
        assert_eq!(bench.begin_all(), [1]);
        bench.pass(100.0);
        for settings in changes {
            bench.set(settings);
        }
        let mut waited = 0.0;
        let begun = loop {
            let begun = bench.begin_all();
            if !begun.is_empty() {
                break begun;
            }
            // A timer may come late, and there may be looks in between.
            let wait = bench.wait().unwrap() / 2.0 + 0.001;
            bench.pass(wait);
            waited += wait;
            assert!(waited < distance + 0.01, "{waited} of {distance}");
        };
        assert!(begun.starts_with(&[2]), "{begun:?}");
    }
}

#[test]
fn routes_do_not_wait_for_each_other() {
    let other = RouteNumber(9);
    let mut bench = Bench::new(slots(1));
    bench
        .queue
        .set_routes([(ROUTE, slots(1)), (other, slots(2))], bench.clock.now());
    for number in 1..=4 {
        bench.add(number);
    }
    for number in 5..=8 {
        let delivery = Delivery {
            route: other,
            ..bench.fresh(number)
        };
        bench.queue.add(&delivery, bench.now());
    }
    assert_eq!(bench.begin_all(), [1, 5, 6]);
    bench.end_with(5, 200);
    assert_eq!(bench.begin_all(), [7]);
}
