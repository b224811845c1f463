//! The promises of the memory window, case by case: claims, clocks and forgetting in this file,
//! capacity in [`room`], another window in [`passing`].

mod passing;
mod room;
#[cfg(test)]
mod simulation;
mod telling;

use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, UnixMillis};
use crate::scheme::Repeats;
use crate::verify::claim::{Conflict, Mark};

const TTL: Duration = Duration::from_secs(3600);
const TOLERANCE_MS: i64 = 300_000;
const START: UnixMillis = UnixMillis(1_750_000_000_000);

/// Polls a future of the window, which is ready at the first poll.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory window never waits"),
    }
}

/// A window, its clock, and routes by number.
struct Setting {
    window: MemoryWindow,
    clock: Clock,
}

impl Setting {
    fn new(capacity: usize) -> Self {
        Self::sharded(capacity, 1)
    }

    fn sharded(capacity: usize, shards: usize) -> Self {
        Self {
            window: MemoryWindow::with_shards(capacity, shards),
            clock: Clock::set_to(START),
        }
    }

    fn claim(&self, arrival: Arrival) -> Result<Claimed, WindowError> {
        ready(self.window.claim(&arrival, self.clock.now()))
    }

    fn granted(&self, arrival: Arrival) -> Ticket {
        match self.claim(arrival) {
            Ok(Claimed::Granted(ticket)) => ticket,
            other => panic!("{other:?} instead of a claim"),
        }
    }

    fn commit(&self, ticket: Ticket) {
        ready(self.window.commit(ticket, self.clock.now())).unwrap();
    }

    fn done(&self, arrival: Arrival) {
        self.commit(self.granted(arrival));
    }

    fn denied(&self, arrival: Arrival) -> Option<Decision> {
        match self.claim(arrival) {
            Ok(Claimed::Denied(decision)) => Some(decision),
            Ok(Claimed::Granted(ticket)) => {
                ready(self.window.release(ticket)).unwrap();
                None
            }
            Err(error) => panic!("{error} instead of an answer"),
        }
    }

    fn forget(&self, what: Forget) -> Forgotten {
        ready(self.window.forget(what)).unwrap()
    }
}

/// The low half of a number, as a mark.
fn mark(number: u128) -> Mark {
    Mark(u64::try_from(number & u128::from(u64::MAX)).unwrap())
}

/// An arrival with event number `id` of a route, signed at the start.
pub(in crate::replay::memory) fn event(route: u128, id: u128) -> Arrival {
    Arrival {
        // The factor spreads keys over the shards.
        key: ClaimKey((route << 64 | id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        body: mark(id),
        path: None,
        variant: Mark(0),
        variants: 1,
        repeats: None,
        signed_at: Some(START),
        route: Fingerprint(route),
        event: Some(mark(route << 48 | id)),
        request: mark(route << 48 | id | 1 << 60),
        ttl: TTL,
        fresh_until: Some(UnixMillis(START.0 + TOLERANCE_MS + 1)),
        route_capacity: None,
        share: 0,
    }
}

fn signed_at(arrival: Arrival, at: UnixMillis) -> Arrival {
    Arrival {
        signed_at: Some(at),
        fresh_until: Some(UnixMillis(at.0 + TOLERANCE_MS + 1)),
        ..arrival
    }
}

fn undated(arrival: Arrival) -> Arrival {
    Arrival {
        signed_at: None,
        fresh_until: None,
        ..arrival
    }
}

#[test]
fn rp_01_rp_02_a_done_event_is_replayed_redelivered_or_in_conflict() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(
        it.denied(signed_at(event(1, 1), UnixMillis(START.0 + 1000))),
        Some(Decision::Redelivery)
    );
    assert_eq!(
        it.denied(Arrival {
            body: Mark(99),
            ..event(1, 1)
        }),
        Some(Decision::Conflict(Conflict::Body))
    );
    assert_eq!(it.window.entries(), 1);
}

#[test]
fn rp_18_content_with_a_timestamp_is_a_replay_and_without_one_a_redelivery() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    it.done(undated(event(1, 2)));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(it.denied(undated(event(1, 2))), Some(Decision::Redelivery));
}

#[test]
fn rp_04_of_sixty_four_copies_at_one_instant_exactly_one_is_granted() {
    let it = Setting::sharded(1000, 4);
    for round in 0..20 {
        let start = Barrier::new(64);
        let answers: Vec<_> = thread::scope(|scope| {
            let copies: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        it.claim(event(1, round))
                    })
                })
                .collect();
            copies
                .into_iter()
                .map(|copy| copy.join().unwrap().unwrap())
                .collect()
        });
        let in_flight = answers
            .iter()
            .filter(|answer| **answer == Claimed::Denied(Decision::InFlight))
            .count();
        assert_eq!(in_flight, 63, "round {round}: {answers:?}");
        let ticket = answers.into_iter().find_map(|answer| match answer {
            Claimed::Granted(ticket) => Some(ticket),
            Claimed::Denied(_) => None,
        });
        it.commit(ticket.unwrap());
        assert_eq!(it.denied(event(1, round)), Some(Decision::Replay));
    }
}

#[test]
fn rp_05_rp_08_a_released_claim_lets_the_next_copy_through() {
    let it = Setting::new(10);
    let ticket = it.granted(event(1, 1));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::InFlight));
    ready(it.window.release(ticket)).unwrap();
    assert_eq!(it.window.entries(), 0);
    it.done(event(1, 1));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
}

#[test]
fn a_ticket_settles_nothing_in_a_slot_that_another_event_has_now() {
    let it = Setting::new(1);
    let settled = it.granted(event(1, 1));
    it.window.abandon(settled);
    let open = it.granted(event(1, 2));
    assert_eq!(open.slot, settled.slot);
    for forged in [
        settled,
        Ticket {
            key: open.key,
            ..settled
        },
    ] {
        it.window.abandon(forged);
        it.commit(forged);
        assert_eq!(it.denied(event(1, 2)), Some(Decision::InFlight));
    }
    it.commit(open);
    for late in [settled, open] {
        it.window.abandon(late);
        assert_eq!(it.denied(event(1, 2)), Some(Decision::Replay));
    }
}

#[test]
fn a_panic_while_a_shard_is_locked_stops_no_later_claim() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    let open = it.granted(event(1, 2));
    thread::scope(|scope| {
        let panics = || {
            let _shard = lock(it.window.home(event(1, 1).key));
            let _routes = it.window.routes.lock().unwrap();
            panic!("under the locks (expected by this test)");
        };
        assert!(scope.spawn(panics).join().is_err());
    });
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    it.commit(open);
    it.done(event(2, 3));
    assert_eq!(it.window.entries(), 3);
}

#[test]
fn a_ticket_settles_its_own_claim_only() {
    let it = Setting::new(10);
    let first = it.granted(event(1, 1));
    it.window.abandon(first);
    let second = it.granted(event(1, 1));
    // This comes too late: the claim is over.
    it.window.abandon(first);
    it.commit(first);
    assert_eq!(it.denied(event(1, 1)), Some(Decision::InFlight));
    it.commit(second);
    it.window.abandon(second);
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(it.window.entries(), 1);
}

#[test]
fn a_future_that_is_never_polled_claims_nothing() {
    let it = Setting::new(10);
    drop(it.window.claim(&event(1, 1), it.clock.now()));
    assert_eq!(it.window.entries(), 0);
    it.granted(event(1, 1));
}

#[test]
fn rp_12_the_ttl_is_over_only_after_it() {
    let it = Setting::new(10);
    it.done(undated(event(1, 1)));
    it.clock
        .step(0, TTL.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(
        it.denied(undated(event(1, 1))),
        Some(Decision::Redelivery),
        "ttl - 1 s"
    );
    it.clock.step(0, Duration::from_secs(1));
    assert_eq!(
        it.denied(undated(event(1, 1))),
        Some(Decision::Redelivery),
        "ttl: being refused did not prolong it"
    );
    it.clock.step(0, Duration::from_secs(1));
    assert_eq!(it.denied(undated(event(1, 1))), None, "ttl + 1 s");
}

#[test]
fn the_ttl_counts_from_when_it_was_done() {
    let it = Setting::new(10);
    let ticket = it.granted(undated(event(1, 1)));
    it.clock.step(0, TTL * 2);
    assert_eq!(
        it.denied(undated(event(1, 1))),
        Some(Decision::InFlight),
        "a claim in flight never expires"
    );
    it.commit(ticket);
    it.clock.step(0, TTL);
    assert_eq!(it.denied(undated(event(1, 1))), Some(Decision::Redelivery));
}

#[test]
fn rp_12_a_step_of_either_clock_lets_no_replay_in() {
    // Each row has steps of the wall clock in milliseconds, and the time of the monotonic clock
    // that passes with each step.
    const HOUR: i64 = 3_600_000;
    const TEN_YEARS: i64 = 87_660 * HOUR;
    let long = TTL + Duration::from_secs(1);
    let rows: &[(&str, &[(i64, Duration)])] = &[
        ("an hour back", &[(-HOUR, Duration::ZERO)]),
        ("an hour on", &[(HOUR, Duration::ZERO)]),
        ("ten years on", &[(TEN_YEARS, Duration::ZERO)]),
        (
            "ten years on and back",
            &[(TEN_YEARS, Duration::ZERO), (-TEN_YEARS, Duration::ZERO)],
        ),
        (
            "an hour back, then the ttl passes",
            &[(-HOUR, Duration::ZERO), (0, long)],
        ),
        (
            "the ttl passes while the wall clock stands still",
            &[(0, long)],
        ),
        (
            "both pass, then the wall clock is set back",
            &[(HOUR, long), (-HOUR, Duration::ZERO)],
        ),
        (
            "ten years on, the ttl passes, and back",
            &[(TEN_YEARS, long), (-TEN_YEARS, Duration::ZERO)],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, steps) in rows {
        // The entry is looked at by its own key after the steps, first alone and then after sweeps
        // by other claims.
        for busy in [false, true] {
            let it = Setting::new(100);
            it.done(event(1, 1));
            for (wall, mono) in *steps {
                it.clock.step(*wall, *mono);
                for id in 0..if busy { 10 } else { 0 } {
                    it.denied(signed_at(event(1, 100 + id), it.clock.now().wall));
                }
            }
            let fresh = it.clock.now().wall < event(1, 1).fresh_until.unwrap();
            if fresh && it.denied(event(1, 1)) != Some(Decision::Replay) {
                wrong.push((name, busy));
            }
            it.denied(event(1, 1));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn forgetting_stale_entries_refuses_no_honest_delivery() {
    let it = Setting::new(100);
    for hour in 0..50 {
        let now = it.clock.now().wall;
        assert_eq!(
            it.denied(signed_at(
                event(1, hour * 3),
                UnixMillis(now.0 - TOLERANCE_MS)
            )),
            None,
            "as old as can be"
        );
        it.done(signed_at(event(1, hour * 3 + 1), now));
        it.done(signed_at(
            event(1, hour * 3 + 2),
            UnixMillis(now.0 + TOLERANCE_MS),
        ));
        it.clock.step(1_800_000, Duration::from_secs(1800));
    }
    assert!(
        it.window.entries() < 20,
        "{} entries: stale ones stay",
        it.window.entries()
    );
    assert_eq!(it.window.evictions(), Evictions::default());
}

#[test]
fn an_entry_outlives_the_latest_copy_it_refused() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    it.clock.step(3_599_000, Duration::from_secs(3599));
    let redelivery = signed_at(event(1, 1), it.clock.now().wall);
    assert_eq!(it.denied(redelivery), Some(Decision::Redelivery));
    // The ttl is over. The first copy has long been stale; the redelivery has not.
    it.clock.step(10_000, Duration::from_secs(10));
    assert_eq!(it.denied(redelivery), Some(Decision::Redelivery));
}

/// The wall clock is set back after the event was done. So its ttl passes while the copy that came
/// in between is still fresh.
#[test]
fn an_entry_outlives_the_latest_copy_that_came_while_it_was_in_flight() {
    let it = Setting::new(10);
    let first = event(1, 1);
    let copy = signed_at(first, UnixMillis(START.0 + 10_000));
    let ticket = it.granted(first);
    assert_eq!(it.denied(copy), Some(Decision::InFlight));
    it.commit(ticket);
    let until_stale = first.fresh_until.unwrap().0 - START.0;
    it.clock.step(until_stale, TTL + Duration::from_secs(1));
    assert_eq!(it.denied(copy), Some(Decision::Redelivery));
}

#[test]
fn what_both_clocks_let_go_is_found_by_later_claims_and_is_no_eviction() {
    let it = Setting::new(1000);
    for id in 0..100 {
        it.done(event(1, id));
    }
    it.clock.step(7_200_000, TTL * 2);
    for id in 0..60 {
        it.done(signed_at(event(2, id), it.clock.now().wall));
    }
    assert_eq!(it.window.entries(), 60);
    assert_eq!(it.window.evictions(), Evictions::default());
}

#[test]
fn rp_17_forget_drops_a_done_event_and_lets_the_same_bytes_through_once() {
    let it = Setting::sharded(100, 4);
    let named = event(1, 1).event.unwrap();
    assert_eq!(it.forget(Forget::Event(named)), Forgotten::Unknown);
    let ticket = it.granted(event(1, 1));
    it.done(event(1, 2));
    assert_eq!(it.forget(Forget::Event(named)), Forgotten::InFlight);
    it.commit(ticket);
    assert_eq!(it.forget(Forget::Event(named)), Forgotten::Dropped(1));
    assert_eq!(it.window.entries(), 1);
    it.done(event(1, 1));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(
        it.denied(event(1, 2)),
        Some(Decision::Replay),
        "another event stays"
    );
}

#[test]
fn forget_by_request_drops_every_entry_of_the_same_event() {
    let it = Setting::sharded(100, 4);
    // Three contents share an unsigned id, and each has its own key.
    let shared = Some(Mark(77));
    let contents: Vec<_> = (0..3)
        .map(|id| Arrival {
            event: shared,
            ..event(1, id)
        })
        .collect();
    for content in &contents {
        it.done(*content);
    }
    it.done(event(1, 9));
    assert_eq!(it.forget(Forget::Request(Mark(5))), Forgotten::Unknown);
    let open = it.granted(Arrival {
        event: shared,
        ..event(1, 4)
    });
    assert_eq!(
        it.forget(Forget::Request(contents[1].request)),
        Forgotten::InFlight
    );
    assert_eq!(
        it.window.entries(),
        5,
        "one is in flight: nothing is dropped"
    );
    it.window.abandon(open);
    assert_eq!(
        it.forget(Forget::Request(contents[1].request)),
        Forgotten::Dropped(3)
    );
    assert_eq!(it.denied(event(1, 9)), Some(Decision::Replay));
}

#[test]
fn forget_by_request_drops_an_entry_without_an_event_id_alone() {
    let it = Setting::new(100);
    let nameless = |id| Arrival {
        event: None,
        ..event(1, id)
    };
    it.done(nameless(1));
    it.done(nameless(2));
    assert_eq!(
        it.forget(Forget::Request(nameless(1).request)),
        Forgotten::Dropped(1)
    );
    assert_eq!(it.denied(nameless(1)), None);
    assert_eq!(it.denied(nameless(2)), Some(Decision::Replay));
}

/// An arrival of a type, of which an entry takes so many.
fn typed(event_type: u128, variants: u16, arrival: Arrival) -> Arrival {
    Arrival {
        variant: mark(event_type),
        variants,
        ..arrival
    }
}

const OTHER_TYPE: Decision = Decision::Conflict(Conflict::Variant);

#[test]
fn rp_40_invented_types_of_a_captured_delivery_neither_get_in_nor_take_room() {
    let it = Setting::new(3);
    it.done(event(2, 1));
    it.done(typed(1, 1, event(1, 1)));
    for event_type in 2..100 {
        assert_eq!(
            it.denied(typed(event_type, 1, event(1, 1))),
            Some(OTHER_TYPE)
        );
    }
    assert_eq!(it.window.entries(), 2);
    assert_eq!(it.denied(event(2, 1)), Some(Decision::Replay));
    assert_eq!(it.denied(typed(1, 1, event(1, 1))), Some(Decision::Replay));
}

#[test]
fn rp_41_types_that_share_a_body_have_a_state_each_in_a_single_entry() {
    let it = Setting::new(10);
    let of = |event_type| typed(event_type, 4, event(1, 1));
    let open = it.granted(of(1));
    // What was released takes no place.
    for event_type in 20..30 {
        let ticket = it.granted(of(event_type));
        it.window.abandon(ticket);
    }
    assert_eq!(it.denied(of(1)), Some(Decision::InFlight));
    for event_type in 2..=4 {
        it.done(of(event_type));
    }
    assert_eq!(
        it.denied(of(5)),
        Some(Decision::InFlight),
        "the first may be released"
    );
    it.commit(open);
    assert_eq!(it.denied(of(5)), Some(OTHER_TYPE));
    for event_type in 1..=4 {
        assert_eq!(
            it.denied(of(event_type)),
            Some(Decision::Replay),
            "{event_type}"
        );
    }
    assert_eq!(it.window.entries(), 1);
    assert_eq!(
        it.forget(Forget::Event(event(1, 1).event.unwrap())),
        Forgotten::Dropped(1)
    );
    it.done(of(5));
}

/// A reload has raised the ttl between the two types, and the first is done last or never.
#[test]
fn a_type_that_is_done_first_is_kept_for_its_own_ttl() {
    for first_is_done in [false, true] {
        let it = Setting::new(10);
        let of = |event_type, ttl| Arrival {
            ttl,
            ..typed(event_type, 4, undated(event(1, 1)))
        };
        let first = it.granted(of(1, TTL));
        it.done(of(2, 2 * TTL));
        if first_is_done {
            it.commit(first);
        } else {
            it.window.abandon(first);
        }
        it.clock.step(0, 2 * TTL);
        assert_eq!(it.denied(of(2, TTL)), Some(Decision::Redelivery));
        it.clock.step(0, Duration::from_secs(1));
        assert_eq!(it.denied(of(2, TTL)), None);
    }
}

#[test]
fn an_entry_with_a_type_in_flight_is_neither_evicted_nor_forgotten() {
    let it = Setting::new(2);
    it.done(typed(1, 4, event(1, 1)));
    let open = it.granted(typed(2, 4, event(1, 1)));
    it.clock.step(2 * 3_600_000, TTL * 2);
    for id in 2..9 {
        it.done(signed_at(event(1, id), it.clock.now().wall));
    }
    assert_eq!(
        it.denied(typed(2, 4, event(1, 1))),
        Some(Decision::InFlight)
    );
    assert_eq!(
        it.forget(Forget::Event(event(1, 1).event.unwrap())),
        Forgotten::InFlight
    );
    it.commit(open);
    assert_eq!(it.denied(typed(2, 4, event(1, 1))), Some(Decision::Replay));
}

#[test]
fn the_first_type_may_be_released_while_another_is_kept() {
    let it = Setting::new(10);
    let of = |event_type| typed(event_type, 4, undated(event(1, 1)));
    let (first, second) = (it.granted(of(1)), it.granted(of(2)));
    it.commit(second);
    it.window.abandon(first);
    it.window.abandon(first);
    assert_eq!(it.denied(of(2)), Some(Decision::Redelivery));
    it.done(of(1));
    assert_eq!(it.denied(of(1)), Some(Decision::Redelivery));
    assert_eq!(it.window.entries(), 1);
}

#[test]
fn rp_46_repeats_are_granted_one_at_a_time_and_a_failed_one_does_not_count() {
    let it = Setting::new(10);
    let asks = Arrival {
        repeats: Some(Repeats {
            most: 2,
            within: Duration::from_secs(600),
        }),
        ..undated(event(1, 1))
    };
    it.done(asks);
    for _ in 0..3 {
        let ticket = it.granted(asks);
        assert_eq!(it.claim(asks), Ok(Claimed::Denied(Decision::InFlight)));
        it.window.abandon(ticket);
    }
    it.done(asks);
    it.clock.step(600_000, Duration::from_secs(600));
    it.done(asks);
    assert_eq!(
        it.denied(asks),
        Some(Decision::Replay),
        "two repeats were done"
    );
    let later = Arrival {
        key: ClaimKey(7),
        ..asks
    };
    it.done(later);
    it.clock.step(600_001, Duration::from_millis(600_001));
    assert_eq!(it.denied(later), Some(Decision::Replay), "too late");
}
