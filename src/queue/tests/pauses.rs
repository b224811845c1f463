//! Why a route waits: pauses, the breaker, and a configuration without it.

use super::*;

fn asks(seconds: u64) -> Outcome {
    Outcome::Status(503, Some(Duration::from_secs(seconds)))
}

/// A bench whose breaker is open, with deliveries 1 to 10 that wait for their time.
fn opened() -> Bench {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=10 {
        bench.add(number);
        bench.lease().unwrap();
        let ended = bench.end(number, Outcome::Unreachable);
        let opened = (number == 10).then_some(BreakerTurn::Opened);
        assert_eq!(ended.breaker, opened);
    }
    assert!(bench.queue.status(ROUTE).is_breaker_open);
    bench
}

#[test]
fn a_paused_route_begins_nothing() {
    let mut bench = Bench::new(Settings::default());
    bench.add(1);
    bench.add(2);
    bench.lease().unwrap();
    assert!(bench.queue.pause(ROUTE));
    assert!(!bench.queue.pause(ROUTE));
    assert_eq!(bench.wait(), None);
    bench.add(3);
    assert_eq!(bench.end_with(1, 200).change, Some(Change::Gone));
    assert_eq!(bench.wait(), None);
    // A reload does not end it.
    bench.set(Settings::default());
    assert_eq!(bench.wait(), None);
    assert!(bench.resume());
    assert!(!bench.resume());
    assert_eq!(bench.begin_all(), [2, 3]);
}

#[test]
fn three_deliveries_in_a_row_that_are_asked_to_wait_pause_the_route() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=5 {
        bench.add(number);
    }
    bench.add(6);
    let begun = bench.begin_all();
    assert_eq!(begun, [1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.end(1, asks(30)).pause, None);
    assert_eq!(bench.end(2, asks(30)).pause, None);
    let began = PauseTurn::Began(Duration::from_secs(30));
    assert_eq!(bench.end(3, asks(30)).pause, Some(began));
    bench.add(7);
    assert_eq!(bench.wait(), Some(30.0));
    bench.pass(30.0);
    assert!(bench.begin_all().contains(&7));
    // Any 2xx ends it.
    for number in [4, 5, 7] {
        bench.end(number, asks(60));
    }
    bench.add(8);
    assert_eq!(bench.wait(), Some(60.0));
    assert_eq!(bench.end_with(6, 200).pause, Some(PauseTurn::Ended));
    assert!(bench.begin_all().contains(&8));
}

#[test]
fn resume_ends_the_pause_that_the_app_asked_for() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=4 {
        bench.add(number);
    }
    bench.begin_all();
    for number in 1..=3 {
        bench.end(number, asks(60));
    }
    assert!(bench.queue.status(ROUTE).asked_until.is_some());
    assert!(bench.resume());
    bench.add(5);
    assert_eq!(bench.begin_all(), [5]);
}

#[test]
fn resume_has_the_next_probe_made_at_once_and_so_has_a_retry_by_hand() {
    type Act = fn(&mut Bench);
    let by_hand: [(&str, Act); 2] = [
        ("resume", |bench| {
            assert!(!bench.resume(), "no pause ends, and the breaker stays open");
        }),
        ("retry", |bench| bench.retry(3)),
    ];
    for (what, act) in by_hand {
        let mut bench = opened();
        for gap in [5.0, 10.0, 20.0, 40.0, 60.0] {
            bench.pass(gap);
            let probe = bench.lease().unwrap().number.0;
            bench.end(probe, Outcome::Timeout);
        }
        assert_eq!(bench.wait(), Some(60.0), "{what}");
        bench.pass(1.0);
        act(&mut bench);
        let now = bench.now().mono;
        let status = bench.queue.status(ROUTE);
        assert_eq!(status.next_probe, Some(now), "{what}");
        let lease = bench.lease().unwrap();
        assert!(lease.is_probe, "{what}");
        assert_eq!(bench.lease(), None, "{what}: there is one at a time");
        assert_eq!(bench.queue.status(ROUTE).next_probe, None, "{what}");
        bench.end(lease.number.0, Outcome::Unreachable);
        // The app is not there after all: the gaps begin again.
        assert_eq!(bench.wait(), Some(5.0), "{what}");
        bench.pass(1.0);
        act(&mut bench);
        if what == "retry" {
            // A plan retries thousands: that makes no more probes.
            assert_eq!(bench.wait(), Some(4.0));
            bench.pass(4.0);
        }
        let lease = bench.lease().unwrap();
        let ended = bench.end_with(lease.number.0, 200);
        assert_eq!(ended.breaker, Some(BreakerTurn::Closed), "{what}");
        assert!(!bench.begin_all().is_empty(), "{what}: the others follow");
    }
}

#[test]
fn a_retry_by_hand_lets_one_attempt_through_a_pause_that_the_app_asked_for() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=6 {
        bench.add(number);
    }
    bench.begin_all();
    for number in 1..=3 {
        bench.end(number, asks(60));
    }
    bench.add(7);
    bench.add(8);
    assert_eq!(bench.wait(), Some(60.0));
    bench.pass(1.0);
    bench.retry(2);
    assert_eq!(bench.begin_all(), [2]);
    // It is no pause of its own that ends, so the others wait on.
    assert_eq!(bench.end_with(2, 500).pause, None);
    assert_eq!(bench.wait(), Some(59.0));
    bench.pass(5.0);
    bench.retry(3);
    assert_eq!(bench.begin_all(), [3]);
    assert_eq!(bench.end_with(3, 200).pause, Some(PauseTurn::Ended));
    // The other one is due again by then.
    assert_eq!(bench.begin_all(), [2, 7, 8]);
}

#[test]
fn an_operators_pause_holds_what_is_retried_by_hand() {
    let mut bench = opened();
    bench.queue.pause(ROUTE);
    bench.retry(3);
    assert_eq!(bench.wait(), None);
    bench.queue.set_routes([], bench.now());
    assert!(bench.resume());
    assert_eq!(bench.wait(), None, "nor does the route come back by it");
    bench.set(Settings::default());
    assert!(bench.lease().unwrap().is_probe);
}

#[test]
fn a_route_says_that_its_rate_holds_deliveries_up() {
    let mut bench = Bench::new(Settings {
        rate: Some(Rate {
            count: 1,
            per: Duration::from_secs(10),
        }),
        ..Settings::default()
    });
    bench.add(1);
    assert_eq!(bench.begin_all(), [1]);
    assert_eq!(bench.queue.status(ROUTE).paced_until, None, "nothing waits");
    bench.add(2);
    assert_eq!(bench.begin_all(), [0; 0]);
    let until = bench.queue.status(ROUTE).paced_until.unwrap();
    assert!(until > bench.now().mono);
    bench.pass(10.0);
    assert_eq!(bench.begin_all(), [2]);
}

#[test]
fn an_open_breaker_lets_single_probes_through_with_different_deliveries() {
    let mut bench = opened();
    bench.add(11);
    bench.add(12);
    let mut probed = Vec::new();
    for gap in [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
        assert_eq!(bench.wait(), Some(gap));
        bench.pass(gap);
        let lease = bench.lease().unwrap();
        assert!(lease.is_probe);
        assert_eq!(bench.lease(), None);
        let ended = bench.end(lease.number.0, Outcome::Timeout);
        assert_eq!((ended.breaker, ended.dead), (None, None));
        probed.push(lease.number.0);
    }
    // Those that were never tried go first.
    assert_eq!(probed[..2], [11, 12]);
    let distinct: std::collections::BTreeSet<u64> = probed.iter().copied().collect();
    assert_eq!(distinct.len(), probed.len(), "{probed:?}");
    // A probe that is taken lets all others follow.
    bench.pass(60.0);
    let lease = bench.lease().unwrap();
    let ended = bench.end_with(lease.number.0, 404);
    assert_eq!(ended.breaker, Some(BreakerTurn::Closed));
    assert!(bench.begin_all().len() > 5);
}

#[test]
fn a_probe_does_not_wait_for_a_delivery_to_be_due() {
    let mut bench = Bench::new(Settings {
        retry: vec![Duration::from_secs(3600)],
        ..Settings::default()
    });
    for number in 1..=3 {
        bench.add(number);
    }
    for _ in 0..4 {
        for number in bench.begin_all() {
            bench.end(number, Outcome::Unreachable);
        }
        bench.pass(3600.0);
    }
    assert!(bench.queue.status(ROUTE).is_breaker_open);
    let mut last = 0;
    for _ in 0..20 {
        bench.pass(60.0);
        let lease = bench.lease().unwrap();
        assert!(lease.is_probe);
        assert_ne!(lease.number.0, last);
        last = lease.number.0;
        bench.end(last, Outcome::Unreachable);
    }
    // One alone is probed again and again.
    for number in (1..=3).filter(|number| *number != last) {
        bench.queue.discard(Number(number), bench.now());
    }
    for _ in 0..5 {
        bench.pass(60.0);
        assert_eq!(bench.lease().unwrap().number.0, last);
        bench.end(last, Outcome::Unreachable);
    }
}

#[test]
fn a_probe_kills_no_delivery_by_its_age_and_dead_on_does() {
    let mut bench = opened();
    bench.pass(100.0 * 3600.0);
    for _ in 0..15 {
        bench.pass(60.0);
        let lease = bench.lease().unwrap();
        let ended = bench.end(lease.number.0, Outcome::Status(502, None));
        assert_eq!(ended.dead, None);
    }
    bench.pass(60.0);
    let lease = bench.lease().unwrap();
    let ended = bench.end_with(lease.number.0, 410);
    assert_eq!(ended.dead, Some(DeadReason::Status));
    assert_eq!(ended.breaker, Some(BreakerTurn::Closed));
    // Now each gets one more attempt, and dies.
    let begun = bench.begin_all();
    assert_eq!(begun.len(), 9);
    for number in begun {
        assert_eq!(bench.end_with(number, 500).dead, Some(DeadReason::Age));
    }
}

#[test]
fn a_probe_that_was_not_made_is_followed_by_another() {
    let mut bench = opened();
    bench.add(11);
    bench.add(12);
    bench.pass(5.0);
    assert_eq!(bench.lease().unwrap().number.0, 11);
    bench.end(11, Outcome::Undeliverable);
    assert_eq!(bench.lease().unwrap().number.0, 12);
}

#[test]
fn a_probe_waits_for_a_slot() {
    let mut bench = Bench::new(slots(2));
    bench.add(100);
    assert_eq!(bench.begin_all(), [100]);
    for number in 1..=10 {
        bench.add(number);
        assert_eq!(bench.begin_all(), [number]);
        bench.end(number, Outcome::Unreachable);
    }
    bench.set(slots(1));
    bench.pass(60.0);
    assert_eq!(bench.begin_all(), [0; 0]);
    bench.end_with(100, 500);
    assert!(bench.lease().unwrap().is_probe);
}

#[test]
fn with_order_a_probe_is_the_first_of_another_key() {
    let mut bench = Bench::new(ordered());
    for number in 1..=12 {
        bench.add_in_order(number, number % 3);
    }
    let mut at_most = 100;
    while !bench.queue.status(ROUTE).is_breaker_open {
        for number in bench.begin_all() {
            bench.end(number, Outcome::Timeout);
        }
        bench.pass(60.0);
        at_most -= 1;
        assert!(at_most > 0);
    }
    let mut last = 0;
    for _ in 0..10 {
        bench.pass(60.0);
        let lease = bench.lease().unwrap();
        assert!((1..=3).contains(&lease.number.0) && lease.number.0 != last);
        last = lease.number.0;
        bench.end(last, Outcome::Timeout);
    }
}

#[test]
fn a_route_without_configuration_holds_its_deliveries() {
    let mut bench = Bench::new(Settings::default());
    let unknown = RouteNumber(99);
    let delivery = Delivery {
        route: unknown,
        ..bench.fresh(1)
    };
    bench.queue.add(&delivery, bench.now());
    bench.add(2);
    bench.queue.set_routes([], bench.now());
    assert_eq!(bench.wait(), None);
    assert!(!bench.queue.status(ROUTE).is_listed);
    let routes: Vec<_> = bench.queue.routes().collect();
    assert_eq!(routes, [ROUTE, unknown]);
    let both = [ROUTE, unknown].map(|route| (route, Settings::default()));
    bench.queue.set_routes(both, bench.now());
    let mut begun = bench.begin_all();
    begun.sort_unstable();
    assert_eq!(begun, [1, 2]);
    // An attempt that was in flight when the route went ends as any other.
    bench.queue.set_routes([], bench.now());
    assert_eq!(bench.end_with(2, 200).change, Some(Change::Gone));
    let progress = Bench::progress(&bench.end_with(1, 500));
    assert_eq!(progress.state, State::Retrying);
}
