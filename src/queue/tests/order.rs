//! Order keys.

use super::*;

#[test]
fn deliveries_of_a_key_go_one_after_the_other() {
    let mut bench = Bench::new(ordered());
    for (number, key) in [(1, 1), (2, 1), (3, 2), (4, 1), (5, 2)] {
        bench.add_in_order(number, key);
    }
    bench.add(6);
    bench.add(7);
    assert_eq!(bench.begin_all(), [1, 3, 6, 7]);
    assert!(bench.listed(2).is_behind);
    assert_eq!(bench.listed(4).behind, Some(bench.listed(1).delivery.id));
    assert_eq!(bench.listed(1).behind, None);
    // A waiting retry holds its key.
    bench.end_with(1, 500);
    bench.end_with(3, 200);
    assert_eq!(bench.begin_all(), [5]);
    bench.pass(5.0);
    assert_eq!(bench.begin_all(), [1]);
    // A dead one lets the next pass.
    bench.end_with(1, 410);
    assert_eq!(bench.begin_all(), [2]);
    bench.end_with(2, 200);
    assert_eq!(bench.begin_all(), [4]);
    // So does one that is discarded while it waits.
    bench.end_with(4, 500);
    bench.add_in_order(8, 1);
    bench.queue.discard(Number(4), bench.now());
    assert_eq!(bench.begin_all(), [8]);
}

#[test]
fn age_counts_from_becoming_the_first() {
    let settings = Settings {
        max_age: Duration::from_secs(100),
        retry: vec![Duration::from_secs(60)],
        ..ordered()
    };
    let mut bench = Bench::new(settings.clone());
    bench.add_in_order(1, 1);
    bench.add_in_order(2, 1);
    for dead in [None, None, Some(DeadReason::Age)] {
        bench.lease().unwrap();
        assert_eq!(bench.end_with(1, 500).dead, dead);
        bench.pass(60.0);
    }
    // The second one became the first 60 s ago.
    for (dead, pass) in [(None, 60.0), (Some(DeadReason::Age), 0.0)] {
        let lease = bench.lease().unwrap();
        assert_eq!(lease.number, Number(2));
        let ended = bench.end_with(2, 500);
        assert_eq!(ended.dead, dead);
        if dead.is_none() {
            let stored = bench.stored();
            // That moment survives a restart.
            let mut next = bench.restart(60.0, settings.clone(), &stored);
            next.lease().unwrap();
            assert_eq!(next.end_with(2, 500).dead, Some(DeadReason::Age));
        }
        bench.pass(pass);
    }
}

#[test]
fn a_retry_by_hand_goes_last() {
    let mut bench = Bench::new(ordered());
    for number in 1..=3 {
        bench.add_in_order(number, 1);
    }
    bench.lease().unwrap();
    bench.end_with(1, 410);
    bench.queue.retry(Number(1), bench.now());
    bench.add_in_order(4, 1);
    // Before and after a restart, which cannot tell that 4 came later.
    let stored = bench.stored();
    let mut next = bench.restart(1.0, ordered(), &stored);
    for (bench, order) in [(&mut bench, [2, 3, 1, 4]), (&mut next, [2, 3, 4, 1])] {
        if let Some(lease) = bench.lease() {
            assert_eq!(lease.number, Number(2));
        }
        for number in order {
            let ended = bench.end_with(number, 200);
            assert_eq!(ended.change, Some(Change::Gone), "{number}");
            bench.lease();
        }
    }
    // The first of a key that waits for its time, and is retried by hand, lets the others pass.
    for number in 5..=6 {
        bench.add_in_order(number, 1);
    }
    bench.lease().unwrap();
    bench.end_with(5, 500);
    bench.queue.retry(Number(5), bench.now());
    assert_eq!(bench.begin_all(), [6]);
    bench.end_with(6, 200);
    assert_eq!(bench.begin_all(), [5]);
}

#[test]
fn one_that_was_the_first_is_the_first_after_a_restart() {
    let mut bench = Bench::new(ordered());
    for number in 1..=3 {
        bench.add_in_order(number, 1);
    }
    bench.lease().unwrap();
    bench.end_with(1, 410);
    bench.queue.retry(Number(1), bench.now());
    for number in [2, 3] {
        bench.lease();
        bench.end_with(number, 200);
    }
    // 1 is the first now, fails, and holds the key.
    bench.add_in_order(4, 1);
    bench.lease();
    bench.end_with(1, 500);
    let stored = bench.stored();
    let mut next = bench.restart(1.0, ordered(), &stored);
    assert_eq!(next.begin_all(), [0; 0]);
    next.pass(5.0);
    assert_eq!(next.begin_all(), [1]);
    // One with a higher number that had begun goes before those that had not.
    let mut stored = next.stored();
    stored.reverse();
    for (delivery, number) in stored.iter_mut().zip([1, 4]) {
        delivery.number = Number(number);
    }
    let mut next = next.restart(10.0, ordered(), &stored);
    assert_eq!(next.begin_all(), [4]);
}

#[test]
fn one_that_cannot_be_read_holds_its_key() {
    let mut bench = Bench::new(ordered());
    bench.add_in_order(1, 1);
    bench.add_in_order(2, 1);
    bench.lease().unwrap();
    bench.end(1, Outcome::Undeliverable);
    assert_eq!(bench.begin_all(), [0; 0]);
    bench.queue.discard(Number(1), bench.now());
    assert_eq!(bench.begin_all(), [2]);
}

#[test]
fn those_that_overtook_each_other_on_their_way_are_put_in_order() {
    let mut bench = Bench::new(ordered());
    bench.add_in_order(1, 1);
    for number in [4, 2, 3] {
        bench.add_in_order(number, 1);
    }
    for number in 1..=4 {
        assert_eq!(bench.begin_all(), [number]);
        bench.end_with(number, 200);
    }
}

#[test]
fn order_is_switched_on_and_off_by_a_reload() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=4 {
        bench.add_in_order(number, 1);
    }
    bench.set(slots(2));
    assert_eq!(bench.begin_all(), [1, 2]);
    bench.set(ordered());
    assert_eq!(bench.begin_all(), [0; 0]);
    bench.end_with(2, 500);
    bench.end_with(1, 200);
    // 2 waits for its time and holds the key.
    assert_eq!(bench.begin_all(), [0; 0]);
    bench.pass(5.0);
    assert_eq!(bench.begin_all(), [2]);
    bench.end_with(2, 200);
    assert_eq!(bench.begin_all(), [3]);
    bench.add_in_order(5, 1);
    bench.set(Settings::default());
    assert_eq!(bench.begin_all(), [4, 5]);
}
