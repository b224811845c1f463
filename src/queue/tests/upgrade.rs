//! Deliveries in flight while one process replaces another.

use super::*;

#[test]
fn a_delivery_in_flight_elsewhere_is_left_alone_until_its_end_is_known() {
    let mut old = Bench::new(Settings::default());
    for number in 1..=5 {
        old.add(number);
    }
    let stored = old.stored();
    old.begin_all();
    old.pass(3.0);
    let flights = old.queue.flights(old.now());
    let left = Duration::from_secs(12);
    let all: Vec<_> = (1..=5).map(|number| (Number(number), left)).collect();
    assert_eq!(flights, all);

    let mut new = old.restart(0.0, Settings::default(), &stored);
    for (number, time) in flights {
        assert!(new.queue.hold(number, time, new.clock.now()));
    }
    assert!(!new.queue.hold(Number(99), left, new.clock.now()));
    assert_eq!(new.wait(), Some(12.0));
    assert!(new.listed(1).is_in_flight);
    let now = new.now();
    assert_eq!(new.queue.discard(Number(1), now), ByHand::InFlight);
    // Delivered, failed, dead, given back; and one of which nothing is heard.
    assert!(
        new.queue
            .release(Number(1), old.end_with(1, 200).change, now)
    );
    let failed = old.end_with(2, 500).change;
    assert!(new.queue.release(Number(2), failed, now));
    let dead = old.end_with(3, 410).change;
    assert!(new.queue.release(Number(3), dead, now));
    assert!(new.queue.release(Number(4), None, now));
    assert!(!new.queue.release(Number(4), None, now));
    let counts = new.status().counts;
    assert_eq!((counts.waiting, counts.retrying, counts.dead), (2, 1, 1));
    assert_eq!(new.begin_all(), [4]);
    assert_eq!(new.wait(), Some(5.0));
    new.pass(5.0);
    let lease = new.lease().unwrap();
    assert_eq!((lease.number.0, lease.attempt), (2, 2));
    new.pass(7.0);
    assert_eq!(new.begin_all(), [5]);
}

#[test]
fn a_key_is_held_by_what_is_in_flight_elsewhere() {
    let mut old = Bench::new(ordered());
    for number in 1..=3 {
        old.add_in_order(number, 1);
    }
    old.lease().unwrap();
    old.end_with(1, 410);
    // 2 is taken, and 1, which was retried by hand, is in flight before 3, which came later.
    old.queue.retry(Number(1), old.now());
    let mut behind = old.fresh(4);
    behind.order = Some(Mark(1));
    for number in [2, 3] {
        old.lease().unwrap();
        old.end_with(number, 200);
    }
    assert_eq!(old.begin_all(), [1]);
    old.queue.add(&behind, old.now());
    let stored = old.stored();
    let mut new = old.restart(0.0, ordered(), &stored);
    for (number, time) in old.queue.flights(old.now()) {
        new.queue.hold(number, time, new.clock.now());
    }
    assert_eq!(new.begin_all(), [0; 0]);
    new.add_in_order(5, 1);
    assert_eq!(new.begin_all(), [0; 0]);
    let now = new.now();
    let gone = old.end_with(1, 200).change;
    new.queue.release(Number(1), gone, now);
    assert_eq!(new.begin_all(), [4]);
    new.end_with(4, 200);
    assert_eq!(new.begin_all(), [5]);
}
