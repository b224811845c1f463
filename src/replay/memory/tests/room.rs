//! Capacities: which entry makes room, in which order, and how routes are protected from each
//! other.

use super::*;

#[test]
fn rp_11_a_capacity_holds_exactly_so_many() {
    for (capacity, shards) in [(1, 1), (2, 1), (3, 1), (8, 4), (100, 16)] {
        let it = Setting::sharded(capacity, shards);
        for id in 0..=capacity as u128 {
            it.done(event(1, id));
            assert_eq!(
                it.window.entries(),
                capacity.min(usize::try_from(id).unwrap() + 1),
                "{capacity} in {shards}"
            );
        }
        for id in 1..=capacity as u128 {
            assert_eq!(
                it.denied(event(1, id)),
                Some(Decision::Replay),
                "{id} of {capacity} in {shards}"
            );
        }
        assert_eq!(it.window.evictions(), Evictions { old: 0, fresh: 1 });
        assert_eq!(
            it.denied(event(1, 0)),
            None,
            "the stated limit: the first of {capacity} in {shards} is gone"
        );
    }
}

#[test]
fn a_window_without_capacity_refuses_all() {
    let it = Setting::new(0);
    assert_eq!(it.claim(event(1, 1)), Err(WindowError::Full));
    assert_eq!(it.window.entries(), 0);
}

#[test]
fn rp_11_an_entry_in_flight_is_never_evicted() {
    for shards in [1, 4] {
        let it = Setting::sharded(2, shards);
        let open = it.granted(event(1, 1));
        for id in 2..10 {
            it.done(event(1, id));
        }
        assert_eq!(it.denied(event(1, 1)), Some(Decision::InFlight));
        let other = it.granted(event(1, 20));
        assert_eq!(
            it.claim(event(1, 21)),
            Err(WindowError::Full),
            "both are in flight"
        );
        assert_eq!(
            it.claim(event(1, 20)),
            Ok(Claimed::Denied(Decision::InFlight)),
            "full, but this one is known"
        );
        it.commit(open);
        it.commit(other);
        assert_eq!(it.window.entries(), 2);
        it.granted(event(1, 21));
    }
}

#[test]
fn the_least_recently_used_goes_first_and_refusing_a_copy_is_use() {
    for shards in [1, 4] {
        let it = Setting::sharded(3, shards);
        for id in 1..=3 {
            it.done(event(1, id));
        }
        assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
        it.done(event(1, 4));
        assert_eq!(
            it.denied(event(1, 1)),
            Some(Decision::Replay),
            "in {shards} shards"
        );
        assert_eq!(it.denied(event(1, 3)), Some(Decision::Replay));
        assert_eq!(it.denied(event(1, 4)), Some(Decision::Replay));
        assert_eq!(it.denied(event(1, 2)), None, "in {shards} shards");
    }
}

/// Entries kept 16 bits of the order of use. A captured delivery that is denied moves that order on,
/// and so an entry that was used 65,536 denials after its neighbour passed for an old one.
#[test]
fn rp_51_no_number_of_denied_copies_makes_a_newer_entry_go_before_an_older_one() {
    let it = Setting::sharded(5, 4);
    let in_shard = |shard, nth| {
        let is_there = |id: &u128| event(1, *id).key.0 >> 112 & 3 == shard;
        event(1, (1..).filter(is_there).nth(nth).unwrap())
    };
    let captured = in_shard(2, 0);
    let deny = |times| {
        for _ in 0..times {
            assert_eq!(it.denied(captured), Some(Decision::Replay));
        }
    };
    it.done(captured);
    it.done(in_shard(0, 0));
    it.done(in_shard(1, 0));
    deny(40_000);
    it.done(in_shard(1, 1));
    deny(30_000);
    it.done(in_shard(0, 1));
    // The shards of the entries in the order of use are now: 0, 1, 1, 2 (captured), 0.
    for nth in 0..3 {
        it.done(in_shard(3, nth));
    }
    for kept in [captured, in_shard(0, 1)] {
        assert_eq!(it.denied(kept), Some(Decision::Replay), "{kept:?}");
    }
    for gone in [in_shard(0, 0), in_shard(1, 0), in_shard(1, 1)] {
        assert_eq!(it.denied(gone), None, "{gone:?}");
    }
}

/// An arrival of a route whose share of the window is `share` entries.
fn shared(share: usize, arrival: Arrival) -> Arrival {
    Arrival { share, ..arrival }
}

#[test]
fn rp_49_a_route_that_holds_its_share_makes_room_itself() {
    for shards in [1, 4] {
        let it = Setting::sharded(20, shards);
        for id in 0..10 {
            it.done(shared(10, event(1, id)));
        }
        for id in 0..1000 {
            it.done(shared(10, event(2, id)));
        }
        for id in 0..10 {
            assert_eq!(
                it.denied(event(1, id)),
                Some(Decision::Replay),
                "{id} in {shards} shards"
            );
        }
        assert_eq!(it.window.evictions(), Evictions { old: 0, fresh: 990 });
    }
}

#[test]
fn a_route_below_its_share_takes_the_room_of_the_largest() {
    for shards in [1, 4] {
        let it = Setting::sharded(12, shards);
        for id in 0..7 {
            it.done(shared(4, event(1, id)));
        }
        for id in 0..5 {
            it.done(shared(4, event(2, id)));
        }
        // Route 1 gives up its three oldest: two until it is as large as route 2, and then the
        // larger of the two gives.
        for id in 0..4 {
            it.done(shared(4, event(3, id)));
        }
        let held = |route: u128| {
            let route = it.window.route_count(Fingerprint(route));
            route.held.load(Ordering::Relaxed)
        };
        assert_eq!([1, 2, 3].map(held), [4, 4, 4], "in {shards} shards");
        // At its share a route makes room itself.
        it.done(shared(4, event(3, 4)));
        assert_eq!([1, 2, 3].map(held), [4, 4, 4], "in {shards} shards");
        assert_eq!(it.denied(shared(4, event(3, 0))), None);
        for id in 3..7 {
            assert_eq!(it.denied(event(1, id)), Some(Decision::Replay), "{id}");
        }
    }
}

#[test]
fn a_small_route_gets_room_even_if_the_largest_is_in_flight() {
    let it = Setting::new(4);
    let open: Vec<_> = (0..3)
        .map(|id| it.granted(shared(1, event(1, id))))
        .collect();
    it.done(shared(1, event(2, 0)));
    it.done(shared(1, event(3, 0)));
    assert_eq!(
        it.denied(shared(1, event(2, 0))),
        None,
        "the only done entry went"
    );
    it.done(shared(1, event(4, 0)));
    assert_eq!(
        it.claim(shared(1, event(1, 9))),
        Err(WindowError::Full),
        "route 1 holds its share, and all of it is in flight"
    );
    for ticket in open {
        it.commit(ticket);
    }
    it.done(shared(1, event(1, 9)));
}

#[test]
fn an_entry_without_a_timestamp_is_fresh_until_its_ttl_is_over() {
    let it = Setting::new(2);
    it.done(undated(event(1, 1)));
    it.done(event(1, 2));
    it.clock.step(TOLERANCE_MS + 1, Duration::from_secs(301));
    it.done(undated(event(1, 3)));
    assert_eq!(it.window.evictions(), Evictions { old: 0, fresh: 1 });
    it.done(undated(event(1, 4)));
    assert_eq!(
        it.window.evictions(),
        Evictions { old: 1, fresh: 1 },
        "the second was outside its tolerance"
    );
}

#[test]
fn a_due_entry_of_any_route_goes_before_a_fresh_one() {
    for shards in [1, 4] {
        let it = Setting::sharded(40, shards);
        for id in 0..20 {
            it.done(shared(10, undated(event(1, id))));
        }
        it.clock.step(0, TTL);
        for id in 0..20 {
            it.done(shared(10, undated(event(2, id))));
        }
        it.clock.step(0, Duration::from_secs(1));
        for id in 20..30 {
            it.done(shared(10, undated(event(2, id))));
        }
        assert_eq!(
            it.window.evictions(),
            Evictions::default(),
            "in {shards} shards"
        );
    }
}

#[test]
fn a_route_with_its_own_capacity_keeps_to_it_exactly() {
    for shards in [1, 16] {
        let it = Setting::sharded(100_000, shards);
        let small = |id| Arrival {
            route_capacity: Some(3),
            ..event(1, id)
        };
        it.done(event(2, 1));
        for id in 0..50 {
            it.done(small(id));
            assert_eq!(
                it.window.entries(),
                1 + 3.min(usize::try_from(id).unwrap() + 1)
            );
        }
        for id in 47..50 {
            assert_eq!(
                it.denied(small(id)),
                Some(Decision::Replay),
                "{id} in {shards} shards"
            );
        }
        assert_eq!(
            it.denied(event(2, 1)),
            Some(Decision::Replay),
            "another route's entry makes no room"
        );
        assert_eq!(it.denied(small(46)), None);
    }
}

#[test]
fn a_route_whose_own_capacity_is_in_flight_is_full() {
    let it = Setting::sharded(100, 4);
    let small = |id| Arrival {
        route_capacity: Some(2),
        ..event(1, id)
    };
    let first = it.granted(small(1));
    it.granted(small(2));
    assert_eq!(it.claim(small(3)), Err(WindowError::Full));
    it.granted(event(2, 1));
    ready(it.window.release(first)).unwrap();
    it.granted(small(3));
}

#[test]
fn a_lowered_route_capacity_is_reached_step_by_step() {
    for shards in [1, 4] {
        let it = Setting::sharded(1000, shards);
        for id in 0..20 {
            it.done(event(1, id));
        }
        let small = |id| Arrival {
            route_capacity: Some(5),
            ..event(1, id)
        };
        let mut held = 20;
        for id in 100.. {
            it.done(small(id));
            let left = it.window.entries();
            assert!(
                left < held && held - left <= 2,
                "{held}, then {left} in {shards} shards"
            );
            held = left;
            if held == 5 {
                break;
            }
        }
        it.done(small(200));
        assert_eq!(it.window.entries(), 5);
    }
}

#[test]
fn a_full_window_of_forgotten_entries_evicts_nothing() {
    for shards in [1, 4] {
        let it = Setting::sharded(10, shards);
        for id in 0..10 {
            it.done(undated(event(1, id)));
        }
        it.clock.step(0, TTL + Duration::from_secs(1));
        it.done(event(2, 1));
        assert_eq!(
            it.window.evictions(),
            Evictions::default(),
            "in {shards} shards"
        );
    }
}

#[test]
fn shards_come_with_capacity() {
    for (capacity, shards) in [
        (0, 1),
        (2, 1),
        (8191, 1),
        (8192, 2),
        (50_000, 8),
        (1_000_000, 16),
        (100_000_000, 16),
        (300_000_000, 64),
        (usize::MAX, 1024),
    ] {
        assert_eq!(
            MemoryWindow::new(capacity).shards.len(),
            shards,
            "{capacity}"
        );
    }
}

/// Four threads claim the same events in four orders, while the indexes grow; each event is released
/// once. Then all is forgotten, and the next events take the same slots.
#[test]
fn of_many_threads_exactly_one_gets_each_claim_while_the_window_grows() {
    const EVENTS: u128 = 30_011;
    let it = Setting::sharded(100_000, 4);
    for round in 0..2 {
        let granted = AtomicUsize::new(0);
        thread::scope(|scope| {
            for step in [1, 7, 1009, EVENTS - 1] {
                let (it, granted) = (&it, &granted);
                scope.spawn(move || {
                    for number in 0..EVENTS {
                        let id = number * step % EVENTS;
                        if let Ok(Claimed::Granted(ticket)) = it.claim(undated(event(round, id))) {
                            it.commit(ticket);
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner() as u128, EVENTS, "round {round}");
        for id in 0..EVENTS {
            let again = it.denied(undated(event(round, id)));
            assert_eq!(again, Some(Decision::Redelivery), "{id}");
        }
        it.clock.step(0, TTL + Duration::from_secs(1));
    }
    let slots = |shard| lock(shard).slots() as usize;
    let slots: usize = it.window.shards.iter().map(slots).sum();
    assert!(slots < 35_000, "{slots} slots: slots are not used again");
    assert_eq!(it.window.evictions(), Evictions::default());
}

#[test]
fn many_threads_never_exceed_a_capacity_and_leave_the_counts_right() {
    let it = Setting::sharded(50, 4);
    thread::scope(|scope| {
        for worker in 0..8_u128 {
            let it = &it;
            scope.spawn(move || {
                for step in 0..2000_u128 {
                    let arrival = Arrival {
                        route_capacity: (worker % 2 == 0).then_some(10),
                        ..event(worker % 3 + worker % 2 * 10, step * 7 % 90)
                    };
                    if let Ok(Claimed::Granted(ticket)) = it.claim(arrival) {
                        if step % 3 == 0 {
                            it.window.abandon(ticket);
                        } else {
                            it.commit(ticket);
                        }
                    }
                    assert!(it.window.entries() <= 50);
                }
            });
        }
    });
    let held: usize = it
        .window
        .shards
        .iter()
        .map(|shard| lock(shard).matching(|_| true).count())
        .sum();
    assert_eq!(held, it.window.entries());
    for route in [0, 1, 2, 10, 11, 12] {
        let held: usize = it
            .window
            .shards
            .iter()
            .map(|shard| {
                lock(shard)
                    .victim(Fingerprint(route))
                    .map_or(0, |own| own.among)
            })
            .sum();
        assert_eq!(
            held,
            it.window
                .route_count(Fingerprint(route))
                .held
                .load(Ordering::Relaxed),
            "route {route}"
        );
    }
}
