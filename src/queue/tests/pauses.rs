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
    assert!(bench.status().is_breaker_open);
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

/// A route with so many deliveries in flight but for the first three, each of which was answered with
/// a pause of a minute.
fn paused(deliveries: u64) -> Bench {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=deliveries {
        bench.add(number);
    }
    bench.begin_all();
    for number in 1..=3 {
        bench.end(number, asks(60));
    }
    bench
}

#[test]
fn resume_ends_the_pause_that_the_app_asked_for() {
    let mut bench = paused(4);
    assert!(bench.status().asked_until.is_some());
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
        let at_once = Probe::At(bench.now().mono);
        assert_eq!(bench.status().next_probe, Some(at_once), "{what}");
        let lease = bench.lease().unwrap();
        assert!(lease.is_probe, "{what}");
        assert_eq!(bench.lease(), None, "{what}: there is one at a time");
        let next = bench.status().next_probe;
        assert_eq!(next, Some(Probe::AfterAttempt), "{what}");
        bench.end(lease.number.0, Outcome::Unreachable);
        // The app is not there after all: the gaps begin again.
        assert_eq!(bench.wait(), Some(5.0), "{what}");
        bench.pass(5.0);
        let lease = bench.lease().unwrap();
        bench.end(lease.number.0, Outcome::Unreachable);
        bench.pass(1.0);
        act(&mut bench);
        let lease = bench.lease().unwrap();
        let ended = bench.end_with(lease.number.0, 200);
        assert_eq!(ended.breaker, Some(BreakerTurn::Closed), "{what}");
        assert!(!bench.begin_all().is_empty(), "{what}: the others follow");
    }
}

#[test]
fn a_retry_by_hand_lets_one_attempt_through_a_pause_that_the_app_asked_for() {
    let mut bench = paused(6);
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
    assert_eq!(bench.status().paced_until, None, "nothing waits");
    bench.add(2);
    assert_eq!(bench.begin_all(), [0; 0]);
    let until = bench.status().paced_until.unwrap();
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
    assert!(bench.status().is_breaker_open);
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
    while !bench.status().is_breaker_open {
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
    assert!(!bench.status().is_listed);
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

/// A bench whose breaker is open, with ten deliveries that the app asked to delay for half an hour.
fn opened_and_delayed() -> Bench {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=10 {
        bench.add(number);
        bench.lease().unwrap();
        let asks = Duration::from_secs(1800);
        bench.end(number, Outcome::Status(429, Some(asks)));
    }
    bench
}

/// What the route says of its next probe, in seconds from now, is what it does.
#[track_caller]
fn expect_probe(bench: &mut Bench, seconds: f64) {
    let now = bench.now().mono;
    let at = now + Duration::from_secs_f64(seconds);
    assert_eq!(bench.status().next_probe, Some(Probe::At(at)));
    if seconds > 0.0 {
        assert_eq!(bench.wait(), Some(seconds));
    }
}

#[test]
fn a_probe_waits_until_the_app_wants_a_delivery_again_unless_an_operator_wants_one() {
    let mut bench = opened_and_delayed();
    expect_probe(&mut bench, 1800.0);
    bench.pass(60.0);
    assert!(!bench.resume(), "the breaker stays open");
    expect_probe(&mut bench, 0.0);
    let lease = bench.lease().unwrap();
    assert_eq!((lease.number.0, lease.is_probe), (1, true), "the earliest");
    bench.end(1, asks(1800));
    // The others wait on, for what is left of their time.
    expect_probe(&mut bench, 1740.0);
    bench.pass(1740.0);
    assert_eq!(bench.lease().unwrap().number.0, 2);
    let ended = bench.end_with(2, 200);
    assert_eq!(ended.breaker, Some(BreakerTurn::Closed));
}

#[test]
fn an_operators_probe_takes_what_need_not_wait_first() {
    let mut bench = opened_and_delayed();
    bench.retry(7);
    assert_eq!(bench.lease().unwrap().number.0, 7);
    bench.end(7, Outcome::Unreachable);
    expect_probe(&mut bench, 5.0);
    bench.add(11);
    bench.pass(1.0);
    bench.resume();
    expect_probe(&mut bench, 4.0);
    bench.pass(4.0);
    assert_eq!(bench.lease().unwrap().number.0, 11);
}

#[test]
fn whatever_an_operator_repeats_has_a_probe_made_each_5_s_at_most() {
    type Act = fn(&mut Bench, u64);
    let acts: [(&str, Act); 2] = [
        ("resume", |bench, _| {
            bench.resume();
        }),
        ("retry", |bench, turn| bench.retry(1 + turn % 10)),
    ];
    for (what, act) in acts {
        let mut bench = opened_and_delayed();
        let mut probed = Vec::new();
        for turn in 0..200 {
            act(&mut bench, turn);
            while let Some(lease) = bench.lease() {
                assert!(lease.is_probe, "{what}");
                probed.push(turn);
                bench.end(lease.number.0, asks(1800));
            }
            bench.pass(0.1);
        }
        assert_eq!(probed, [0, 50, 100, 150], "{what}");
    }
}

#[test]
fn a_retry_by_hand_is_let_through_a_pause_each_5_s_at_most() {
    let mut bench = paused(6);
    bench.retry(1);
    bench.retry(2);
    assert_eq!(bench.begin_all(), [1]);
    bench.end(1, asks(60));
    bench.pass(1.0);
    bench.retry(3);
    assert_eq!(bench.wait(), Some(4.0));
    bench.pass(4.0);
    assert_eq!(bench.begin_all(), [2]);
    assert_eq!(bench.wait(), Some(55.0));
}

#[test]
fn a_route_without_a_delivery_to_probe_with_says_so_and_probes_with_the_next() {
    let mut bench = opened();
    for number in 1..=9 {
        bench.queue.discard(Number(number), bench.now());
    }
    bench.pass(5.0);
    assert_eq!(bench.lease().unwrap().number.0, 10);
    assert_eq!(bench.status().next_probe, Some(Probe::AfterAttempt));
    bench.end(10, Outcome::Damaged);
    for _ in 0..2 {
        assert_eq!(bench.status().next_probe, Some(Probe::Nothing));
        assert_eq!(bench.wait(), None);
        bench.resume();
    }
    bench.add(11);
    expect_probe(&mut bench, 0.0);
    bench.queue.pause(ROUTE);
    assert_eq!(bench.status().next_probe, Some(Probe::Nothing));
    bench.resume();
    assert!(bench.lease().unwrap().is_probe);
}

#[test]
fn a_probe_that_the_rate_or_a_pause_holds_up_is_not_said_to_be_due() {
    let mut bench = Bench::new(Settings {
        rate: Some(Rate {
            count: 1,
            per: Duration::from_secs(20),
        }),
        retry: vec![Duration::from_secs(3600)],
        ..Settings::default()
    });
    for number in 1..=10 {
        bench.add(number);
        bench.lease().unwrap();
        bench.end(number, Outcome::Timeout);
        bench.pass(20.0);
    }
    bench.resume();
    let probe = bench.lease().unwrap().number.0;
    bench.end(probe, Outcome::Timeout);
    bench.pass(10.0);
    bench.resume();
    let next = bench.status().next_probe;
    let wait = bench.wait().unwrap();
    assert!((9.0..=10.0).contains(&wait), "{wait}");
    let at = bench.now().mono + Duration::from_secs_f64(wait);
    assert_eq!(next, Some(Probe::At(at)));
}
