//! What a call costs, in looks at deliveries, accounts and the like: all is done under one lock.

use super::super::slab::LOOKS;
use super::*;

/// The looks that some work takes.
fn looks(work: impl FnOnce()) -> u64 {
    let before = LOOKS.get();
    work();
    LOOKS.get() - before
}

/// A queue with `count` deliveries that were never tried.
fn stocked(count: u64, settings: Settings, key_of: impl Fn(u64) -> Option<u64>) -> Bench {
    let mut bench = Bench::new(settings);
    for number in 1..=count {
        match key_of(number) {
            Some(key) => bench.add_in_order(number, key),
            None => bench.add(number),
        }
    }
    bench
}

fn retry_all(mut bench: Bench, numbers: impl Iterator<Item = u64>) -> u64 {
    looks(|| numbers.for_each(|number| bench.retry(number)))
}

fn deliver_all(mut bench: Bench) -> u64 {
    looks(|| {
        while let Some(lease) = bench.lease() {
            bench.end_with(lease.number.0, 200);
        }
        assert_eq!(bench.queue.totals(), (0, 0));
    })
}

/// Deliveries of one key of which each second one has failed, before the route was ordered.
fn half_failed(count: u64) -> Bench {
    let mut bench = stocked(count, slots(u16::MAX), |_| Some(1));
    for number in bench.begin_all() {
        let outcome = match number % 2 {
            0 => Outcome::Failed,
            _ => Outcome::GivenBack,
        };
        bench.end(number, outcome);
    }
    bench
}

#[test]
fn what_a_delivery_costs_does_not_grow_with_the_number_of_those_that_wait() {
    type Work = fn(u64) -> u64;
    let works: [(&str, Work); 8] = [
        ("a retry of each that waits", |count| {
            let bench = stocked(count, Settings::default(), |_| None);
            retry_all(bench, 1..=count)
        }),
        ("the same from the last one on", |count| {
            let bench = stocked(count, Settings::default(), |_| None);
            retry_all(bench, (1..=count).rev())
        }),
        ("a retry of each, all with keys of their own", |count| {
            retry_all(stocked(count, ordered(), Some), 1..=count)
        }),
        ("a retry of each, four with a key", |count| {
            let key_of = |number| Some(number % (count / 4));
            retry_all(stocked(count, ordered(), key_of), 1..=count)
        }),
        ("a delivery of each, four with a key", |count| {
            deliver_all(stocked(count, ordered(), |number| {
                Some(number % (count / 4))
            }))
        }),
        ("a delivery of each, half with one key", |count| {
            deliver_all(stocked(count, ordered(), |number| {
                Some(number.max(count / 2))
            }))
        }),
        ("the release of those that were held", |count| {
            let mut bench = stocked(count / 2, slots(u16::MAX), |_| None);
            for number in bench.begin_all() {
                bench.end(number, Outcome::Undeliverable);
            }
            for number in count / 2 + 1..=count {
                bench.add(number);
            }
            looks(|| {
                let released = bench.queue.release_held(bench.clock.now());
                assert_eq!(u64::try_from(released), Ok(count / 2));
            })
        }),
        ("an order that is set while half have failed", |count| {
            let mut bench = half_failed(count);
            looks(|| bench.set(ordered()))
        }),
    ];
    let mut failures = Vec::new();
    for (name, work) in works {
        let [few, many] = [256, 4096].map(|count| work(count) / count);
        // A logarithm grows from 8 to 12.
        if many > few * 2 {
            failures.push(format!("{name}: {few} looks for each, and then {many}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_call_lines_up_a_few_of_those_whose_time_has_come() {
    let mut bench = stocked(3, slots(4), |_| None);
    for number in 1..=3 {
        bench.lease().unwrap();
        bench.end_with(number, 500);
    }
    bench.pass(5.0);
    // These take all slots that retries may have, and hang.
    assert_eq!(bench.begin_all(), [1, 2, 3]);
    for number in 4..=5000 {
        bench.add(number);
        bench.lease().unwrap();
        bench.end_with(number, 500);
    }
    bench.pass(5.0);
    let timers = |bench: &Bench| bench.queue.routes.at(0).timed.all().count();
    let mut left = timers(&bench);
    assert_eq!(left, 4997);
    while left > 0 {
        let now = bench.now();
        let next = bench.queue.next(now);
        let lined_up = left - timers(&bench);
        assert!((1..=300).contains(&lined_up), "{lined_up} in one call");
        left -= lined_up;
        // Whoever holds the lock gives it back, and asks again at once.
        let expected = (left > 0).then_some(now.mono);
        assert_eq!(next, Next::Wait(expected), "{left}");
    }
    bench.end_with(2, 200);
    assert_eq!(bench.begin_all(), [4]);
}
