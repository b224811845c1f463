//! What passes to another window: the order of use, what was forgotten, claims in flight. The
//! simulation holds everything else.

use super::*;

/// Another window with everything that this one has, which is frozen from then on.
fn passed_on(it: &Setting, capacity: usize, shards: usize) -> Setting {
    let other = Setting {
        window: MemoryWindow::with_shards(capacity, shards),
        clock: it.clock.clone(),
    };
    let shards = 0..it.window.shards();
    let copied = shards.clone().map(|shard| it.window.copy(shard));
    for change in copied.collect::<Vec<_>>().iter().flatten() {
        other.window.take_over(change);
    }
    for change in shards.flat_map(|shard| it.window.freeze(shard)) {
        other.window.take_over(&change);
    }
    other.window.fit(it.clock.now());
    other
}

/// An entry that refuses a copy is used, and is evicted last, in either window.
#[test]
fn the_order_of_use_passes_on() {
    let it = Setting::new(4);
    for id in 0..4 {
        it.done(event(1, id));
    }
    assert_eq!(it.denied(event(1, 0)), Some(Decision::Replay));
    let other = passed_on(&it, 4, 1);
    other.done(event(1, 10));
    assert_eq!(other.denied(event(1, 0)), Some(Decision::Replay));
    other.done(event(1, 11));
    // The first two in the order of use are gone: 1 and 2. A claim on them makes room, so they are
    // asked for last.
    for (id, is_there) in [(3, true), (0, true), (1, false), (2, false)] {
        assert_eq!(other.denied(event(1, id)).is_some(), is_there, "{id}");
    }
}

#[test]
fn a_smaller_window_keeps_what_is_in_flight_and_what_was_used_last() {
    let it = Setting::sharded(100, 4);
    let ticket = it.granted(event(1, 1));
    for id in 2..40 {
        it.done(event(1, id));
    }
    let other = passed_on(&it, 10, 1);
    assert_eq!(other.window.entries(), 10);
    assert_eq!(other.denied(event(1, 1)), Some(Decision::InFlight));
    let name = (ticket.key, ticket.serial);
    let how = Settled::Done(it.clock.now());
    drop(other.window.settle_named(name, how));
    assert_eq!(other.denied(event(1, 1)), Some(Decision::Replay));
    // A later ticket has a serial of its own, whichever shard it is in.
    let serial = other.granted(event(1, 99)).serial;
    assert!(serial > ticket.serial);
}

#[test]
fn what_was_forgotten_is_no_replay_in_the_other_window_either() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    let later = i64::try_from(TTL.as_millis()).unwrap() + TOLERANCE_MS;
    it.clock.step(later, TTL + Duration::from_secs(1));
    // An arrival that is due is removed at once.
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(it.window.entries(), 0);
    let other = passed_on(&it, 10, 4);
    // The wall clock steps back, and the timestamp is fresh once more.
    it.clock.step(-later, Duration::ZERO);
    assert_eq!(other.denied(event(1, 1)), Some(Decision::Replay));
}

#[test]
fn a_frozen_window_decides_nothing_and_goes_on_where_it_was_when_it_thaws() {
    let it = Setting::new(10);
    it.done(event(1, 1));
    let ticket = it.granted(event(1, 2));
    it.window.freeze(0);
    let elsewhere = Err(WindowError::Elsewhere);
    assert_eq!(it.claim(event(1, 3)), Err(WindowError::Elsewhere));
    assert_eq!(ready(it.window.commit(ticket, it.clock.now())), elsewhere);
    assert_eq!(ready(it.window.release(ticket)), elsewhere);
    let forgotten = ready(it.window.forget(Forget::Request(event(1, 1).request)));
    assert_eq!(forgotten, Err(WindowError::Unavailable));
    it.window.abandon(ticket);
    it.window.thaw();
    assert_eq!(it.denied(event(1, 2)), Some(Decision::InFlight));
    it.commit(ticket);
    assert_eq!(it.denied(event(1, 2)), Some(Decision::Replay));
    assert_eq!(it.denied(event(1, 1)), Some(Decision::Replay));
    assert_eq!(it.window.entries(), 2);
}
