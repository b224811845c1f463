//! The schedule, and the ends of deliveries.

use super::*;

#[test]
fn a_delivery_is_tried_until_it_is_taken() {
    let mut bench = Bench::new(Settings::default());
    bench.add(1);
    let received = bench.now().wall;
    let schedule = [5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 3600.0];
    for (attempt, delay) in (1..).zip(schedule) {
        let lease = bench.lease().unwrap();
        assert_eq!((lease.number, lease.attempt), (Number(1), attempt));
        assert_eq!((lease.id.received(), lease.route), (received, ROUTE));
        assert_eq!(bench.lease(), None);
        let ended = bench.end_with(1, 500);
        let progress = Bench::progress(&ended);
        assert_eq!(ended.dead, None);
        let due = i64::try_from(Duration::from_secs_f64(delay).as_millis()).unwrap();
        let expected = Progress {
            state: State::Retrying,
            attempts: attempt,
            round: attempt,
            due: UnixMillis(bench.now().wall.0 + due),
            aged_from: received,
            last_status: Some(500),
        };
        assert_eq!(progress, expected);
        assert_eq!(bench.wait(), Some(delay));
        bench.pass(delay - 0.001);
        assert_eq!(bench.lease(), None);
        bench.pass(0.001);
    }
    assert_eq!(bench.begin_all(), [1]);
    assert_eq!(bench.end_with(1, 204).change, Some(Change::Gone));
    assert_eq!(bench.queue.totals(), (0, 0));
    assert_eq!(bench.wait(), None);
    // The end of an attempt counts once.
    assert_eq!(bench.end_with(1, 500), Ended::default());
}

#[test]
fn every_other_end_than_2xx_is_tried_again_and_dead_on_is_not() {
    let settings = Settings {
        dead_on: vec![410, 422],
        ..Settings::default()
    };
    let rows: [(Outcome, Option<DeadReason>, Option<u16>); 9] = [
        (Outcome::Status(301, None), None, Some(301)),
        (Outcome::Status(400, None), None, Some(400)),
        (Outcome::Status(401, None), None, Some(401)),
        (
            Outcome::Status(410, None),
            Some(DeadReason::Status),
            Some(410),
        ),
        (
            Outcome::Status(422, None),
            Some(DeadReason::Status),
            Some(422),
        ),
        (Outcome::Status(599, None), None, Some(599)),
        (Outcome::Unreachable, None, None),
        (Outcome::Timeout, None, None),
        (Outcome::Failed, None, None),
    ];
    for (outcome, dead, last_status) in rows {
        let mut bench = Bench::new(settings.clone());
        bench.add(1);
        bench.lease().unwrap();
        let ended = bench.end(1, outcome);
        let progress = Bench::progress(&ended);
        assert_eq!(ended.dead, dead, "{outcome:?}");
        assert_eq!(progress.last_status, last_status, "{outcome:?}");
        let state = dead.map_or(State::Retrying, |_| State::Dead);
        assert_eq!(progress.state, state, "{outcome:?}");
        if dead.is_some() {
            assert_eq!(progress.due, bench.now().wall);
            assert_eq!(bench.wait(), None);
        }
    }
}

#[test]
fn a_delivery_dies_of_an_attempt_that_begins_after_its_age() {
    let settings = Settings {
        max_age: Duration::from_secs(100),
        retry: vec![Duration::from_secs(60)],
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    bench.add(1);
    // Attempts at 0, 60, 120 s.
    for dead in [None, None, Some(DeadReason::Age)] {
        bench.lease().unwrap();
        assert_eq!(bench.end_with(1, 500).dead, dead);
        bench.pass(60.0);
    }
    assert_eq!(bench.lease(), None);
    // An attempt that began before its age does not kill it, however long it took.
    bench.add(2);
    bench.pass(99.9);
    bench.lease().unwrap();
    bench.pass(10.0);
    assert_eq!(bench.end(2, Outcome::Timeout).dead, None);
}

/// Something that keeps a route from going on, for a moment.
type Interruption = fn(&mut Bench);

#[test]
fn each_delivery_gets_one_more_attempt_after_an_interruption() {
    let settings = Settings {
        max_age: Duration::from_secs(100),
        retry: vec![Duration::from_secs(10)],
        ..Settings::default()
    };
    let interruptions: [(&str, Interruption); 3] = [
        ("a pause", |bench| {
            assert!(bench.queue.pause(ROUTE));
            assert!(bench.resume());
        }),
        ("removal of the route", |bench| {
            let settings = bench.queue.routes.at(0).settings.clone().unwrap();
            bench.queue.set_routes([], bench.clock.now());
            bench.set(settings);
        }),
        ("a step of the clock", |bench| {
            bench.clock.step(-60_001, Duration::ZERO);
        }),
    ];
    for (name, interrupt) in interruptions {
        let mut bench = Bench::new(settings.clone());
        bench.add(1);
        bench.pass(200.0);
        bench.lease().unwrap();
        interrupt(&mut bench);
        assert_eq!(bench.end_with(1, 500).dead, None, "{name}");
        bench.pass(10.0);
        bench.lease().unwrap();
        let dead = bench.end_with(1, 500).dead;
        assert_eq!(dead, Some(DeadReason::Age), "{name}");
    }
    // Small steps, as those of a clock that is being put right, are none.
    let mut bench = Bench::new(settings);
    bench.add(1);
    bench.pass(200.0);
    bench.lease().unwrap();
    bench.clock.step(-60_000, Duration::ZERO);
    assert_eq!(bench.end_with(1, 500).dead, Some(DeadReason::Age));
}

#[test]
fn an_attempt_under_an_interruption_that_lasts_kills_nothing() {
    let settings = Settings {
        max_age: Duration::from_secs(100),
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    bench.add(1);
    bench.pass(200.0);
    bench.lease().unwrap();
    bench.queue.pause(ROUTE);
    assert_eq!(bench.end_with(1, 500).dead, None);
    bench.pass(3600.0);
    assert_eq!(bench.lease(), None);
    bench.resume();
    bench.lease().unwrap();
    assert_eq!(bench.end_with(1, 500).dead, Some(DeadReason::Age));
}

#[test]
fn the_app_delays_a_delivery_with_retry_after() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=3 {
        bench.add(number);
        bench.lease().unwrap();
    }
    let asked = |seconds| Some(Duration::from_secs(seconds));
    bench.end(1, Outcome::Status(500, asked(20)));
    bench.end(2, Outcome::Status(429, asked(2)));
    bench.end(3, Outcome::Status(503, asked(7200)));
    assert_eq!(bench.wait(), Some(5.0));
    bench.pass(5.0);
    assert_eq!(bench.begin_all(), [2]);
    assert_eq!(bench.wait(), Some(15.0));
    bench.pass(15.0);
    assert_eq!(bench.begin_all(), [1]);
    // An hour at most.
    assert_eq!(bench.wait(), Some(3580.0));
}

#[test]
fn an_attempt_that_was_not_made_is_not_counted() {
    let mut bench = Bench::new(slots(1));
    bench.add(1);
    bench.add(2);
    assert_eq!(bench.begin_all(), [1]);
    assert_eq!(bench.end(1, Outcome::GivenBack), Ended::default());
    // It keeps its place.
    let lease = bench.lease().unwrap();
    assert_eq!((lease.number.0, lease.attempt), (1, 1));
    let later = Outcome::Postponed(Duration::from_secs(2));
    assert_eq!(bench.end(1, later), Ended::default());
    assert_eq!(bench.listed(1).delivery.progress.state, State::Waiting);
    assert_eq!(bench.begin_all(), [2]);
    bench.end_with(2, 200);
    assert_eq!(bench.wait(), Some(2.0));
    bench.pass(2.0);
    let lease = bench.lease().unwrap();
    assert_eq!((lease.number.0, lease.attempt), (1, 1));
    // One that cannot be read is held until somebody asks for it.
    assert_eq!(bench.end(1, Outcome::Undeliverable), Ended::default());
    assert_eq!(bench.wait(), None);
    assert!(bench.listed(1).is_held);
    assert_eq!(bench.status().counts.held, 1);
    bench.queue.retry(Number(1), bench.now());
    assert_eq!(bench.status().counts.held, 0);
    assert_eq!(bench.begin_all(), [1]);
}

#[test]
fn what_is_held_is_tried_again_where_it_was_once_it_can_be_read() {
    let mut bench = Bench::new(slots(1));
    for name in 1..4 {
        bench.add(name);
    }
    for name in 1..3 {
        assert_eq!(bench.begin_all(), [name]);
        bench.end(name, Outcome::Undeliverable);
    }
    assert_eq!(bench.begin_all(), [3]);
    assert_eq!(bench.queue.release_held(bench.now()), 2);
    assert_eq!(bench.status().counts.held, 0);
    bench.end_with(3, 200);
    for name in 1..3 {
        assert_eq!(bench.begin_all(), [name]);
        bench.end_with(name, 200);
    }
    assert_eq!(bench.queue.release_held(bench.now()), 0);
}

#[test]
fn a_damaged_delivery_is_dead_without_an_attempt() {
    let mut bench = Bench::new(slots(1));
    bench.add(1);
    bench.add(2);
    assert_eq!(bench.begin_all(), [1]);
    let ended = bench.end(1, Outcome::Damaged);
    assert_eq!(ended.dead, Some(DeadReason::Damaged));
    let progress = bench.listed(1).delivery.progress;
    assert_eq!(ended.change, Some(Change::Progress(progress)));
    assert_eq!((progress.state, progress.attempts), (State::Dead, 0));
    assert_eq!(bench.begin_all(), [2]);
    // Whoever has put it right may ask for it.
    bench.queue.retry(Number(1), bench.now());
    assert_eq!(bench.listed(1).delivery.progress.state, State::Waiting);
}

#[test]
fn a_retry_by_hand_begins_a_new_round() {
    let settings = Settings {
        max_age: Duration::from_secs(100),
        ..Settings::default()
    };
    let mut bench = Bench::new(settings);
    bench.add(1);
    bench.lease().unwrap();
    assert_eq!(bench.queue.retry(Number(1), bench.now()), ByHand::InFlight);
    assert_eq!(bench.end_with(1, 410).dead, Some(DeadReason::Status));
    bench.pass(1000.0);
    let now = bench.now();
    let expected = Progress {
        state: State::Retrying,
        attempts: 1,
        round: 0,
        due: now.wall,
        aged_from: now.wall,
        last_status: Some(410),
    };
    assert_eq!(
        bench.queue.retry(Number(1), now),
        ByHand::Done(Change::Progress(expected))
    );
    let lease = bench.lease().unwrap();
    assert_eq!(lease.attempt, 2);
    let progress = Bench::progress(&bench.end_with(1, 500));
    assert_eq!(progress.state, State::Retrying);
    assert_eq!(progress.due.0, now.wall.0 + 5000);
    // A delivery that waits for its time is tried at once.
    bench.queue.retry(Number(1), now);
    assert_eq!(bench.begin_all(), [1]);
    assert_eq!(bench.queue.retry(Number(2), now), ByHand::Unknown);
}

#[test]
fn a_delivery_is_discarded_by_hand_unless_it_is_in_flight() {
    let mut bench = Bench::new(Settings::default());
    for number in 1..=3 {
        bench.add(number);
    }
    let now = bench.now();
    assert_eq!(
        bench.queue.discard(Number(2), now),
        ByHand::Done(Change::Gone)
    );
    assert_eq!(bench.queue.discard(Number(2), now), ByHand::Unknown);
    assert_eq!(bench.begin_all(), [1, 3]);
    assert_eq!(bench.queue.discard(Number(1), now), ByHand::InFlight);
    bench.end_with(1, 410);
    assert_eq!(
        bench.queue.discard(Number(1), now),
        ByHand::Done(Change::Gone)
    );
    assert_eq!(bench.queue.totals(), (1, 1000));
}

#[test]
fn qu_04_dead_letters_are_kept_for_their_time() {
    let day = 24.0 * 3600.0;
    let mut bench = Bench::new(Settings::default());
    for number in [1, 2] {
        bench.add(number);
        bench.lease().unwrap();
        bench.end_with(number, 410);
        bench.pass(day);
    }
    bench.pass(12.0 * day - 1.0);
    assert_eq!(bench.queue.expire(bench.now(), 10), []);
    bench.pass(1.0);
    let expired = bench.queue.expire(bench.now(), 10);
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].number, Number(1));
    // A step of the clock, and the first hour of a process, delete nothing.
    let stored = bench.stored();
    bench.clock.step(1_000_000_000_000, Duration::ZERO);
    assert_eq!(bench.queue.expire(bench.now(), 10), []);
    bench.pass(3599.0);
    assert_eq!(bench.queue.expire(bench.now(), 10), []);
    let mut next = bench.restart(0.0, Settings::default(), &stored);
    assert_eq!(next.queue.expire(next.now(), 10), []);
    next.pass(3600.0);
    assert_eq!(next.queue.expire(next.now(), 0), []);
    assert_eq!(next.queue.expire(next.now(), 10).len(), 1);
    assert_eq!(next.queue.totals(), (0, 0));
}

#[test]
fn qu_02_due_times_survive_a_restart_and_a_clock_that_was_set() {
    let mut bench = Bench::new(Settings::default());
    bench.add(1);
    bench.lease().unwrap();
    for _ in 0..3 {
        bench.end_with(1, 500);
        bench.pass(60.0);
        bench.lease().unwrap();
    }
    // Due in 5 minutes.
    bench.end_with(1, 500);
    let stored = bench.stored();
    let settings = Settings::default;
    assert_eq!(
        bench.restart(100.0, settings(), &stored).wait(),
        Some(200.0)
    );
    assert_eq!(bench.restart(1000.0, settings(), &stored).begin_all(), [1]);
    // A clock that was set back by a year keeps nothing back for a year.
    let early = bench.restart(-0.0, settings(), &[]);
    early.clock.step(-31_536_000_000, Duration::ZERO);
    let mut early = early.restart(0.0, settings(), &stored);
    assert_eq!(early.wait(), Some(3600.0));
    // In a running process, a step changes no delay.
    for step in [-31_536_000_000, 31_536_000_000] {
        let mut bench = bench.restart(0.0, settings(), &stored);
        bench.wait();
        bench.clock.step(step, Duration::ZERO);
        assert_eq!(bench.wait(), Some(300.0), "{step}");
        let due = bench.listed(1).delivery.progress.due;
        assert_eq!(due.0, bench.now().wall.0 + 300_000, "{step}");
    }
}

#[test]
fn what_a_route_could_have_decided_is_known_once_it_was_set() {
    let long = || Settings {
        retry: vec![Duration::from_secs(6 * 3600)],
        ..Settings::default()
    };
    let mut bench = Bench::new(long());
    for number in 1..=3 {
        bench.add(number);
        bench.lease().unwrap();
        bench.end_with(number, 500);
    }
    let stored = bench.stored();
    // Not in the configuration at the start, and put back by a reload; or there at once.
    for is_absent in [false, true] {
        for (step, left) in [(0, 6.0), (-31_536_000_000, 7.2)] {
            let mut next = bench.restart(0.0, long(), &[]);
            next.clock.step(step, Duration::ZERO);
            let now = next.now();
            next.queue = Queue::new(LIMITS);
            if !is_absent {
                next.set(long());
            }
            for delivery in &stored {
                next.queue.add(delivery, now);
            }
            if is_absent {
                assert_eq!(next.wait(), None);
                next.set(long());
            }
            assert_eq!(next.wait(), Some(left * 3600.0), "{is_absent}, {step}");
            next.pass(left * 3600.0);
            assert_eq!(next.begin_all().len(), 3);
        }
    }
}
