//! What is written down: enough for another window to refuse the same, and nothing that is in flight.

use std::sync::Arc;

use super::*;
use crate::replay::journal::{Journal, Notes};
use crate::replay::passing::Change;

fn noted(it: &Setting) -> Arc<Notes> {
    let notes = Arc::<Notes>::default();
    it.window
        .set_journal(Arc::<Notes>::clone(&notes) as Arc<dyn Journal>);
    notes
}

/// The window of a process that begins with what another has written.
fn read_back(it: &Setting, notes: &Notes) -> Setting {
    let other = Setting {
        window: MemoryWindow::with_shards(100, 4),
        clock: it.clock.clone(),
    };
    for (_, change) in &*notes.0.lock().unwrap() {
        other.window.take_over(change);
    }
    for (key, serial) in other.window.in_flight() {
        let ticket = other.window.ticket(key, serial).unwrap();
        ready(other.window.release(ticket)).unwrap();
    }
    other
}

#[test]
fn what_is_done_is_told_and_what_is_in_flight_or_released_is_not() {
    let it = Setting::sharded(100, 2);
    let notes = noted(&it);
    it.done(event(1, 1));
    it.granted(event(1, 2));
    let released = it.granted(event(1, 3));
    ready(it.window.release(released)).unwrap();
    assert_eq!(notes.0.lock().unwrap().len(), 1);
    let other = read_back(&it, &notes);
    assert_eq!(other.window.entries(), 1);
    assert_eq!(other.denied(event(1, 1)), Some(Decision::Replay));
}

#[test]
fn a_copy_that_was_signed_later_prolongs_what_is_told() {
    let it = Setting::new(100);
    let notes = noted(&it);
    it.done(event(1, 1));
    let later = UnixMillis(START.0 + TOLERANCE_MS);
    let copy = signed_at(event(1, 1), later);
    assert_eq!(it.denied(copy), Some(Decision::Redelivery));
    it.clock
        .step(TOLERANCE_MS + 10, TTL + Duration::from_secs(1));
    let other = read_back(&it, &notes);
    assert!(other.denied(copy).is_some());
}

#[test]
fn what_is_evicted_or_forgotten_by_an_operator_is_gone() {
    let it = Setting::new(2);
    let notes = noted(&it);
    for id in 1..=3 {
        it.done(event(1, id));
    }
    let forget = Forget::Request(event(1, 2).request);
    assert_eq!(ready(it.window.forget(forget)), Ok(Forgotten::Dropped(1)));
    assert!(it.window.told().is_some());
    let other = read_back(&it, &notes);
    assert_eq!(other.window.entries(), 1);
    assert_eq!(other.denied(event(1, 3)), Some(Decision::Replay));
}

#[test]
fn a_further_variant_in_flight_is_not_done_for_who_reads_it() {
    let it = Setting::new(100);
    let notes = noted(&it);
    let of_variant = |variant| Arrival {
        variant: Mark(variant),
        variants: 3,
        ..event(1, 1)
    };
    it.done(of_variant(1));
    it.granted(of_variant(2));
    it.done(of_variant(3));
    let other = read_back(&it, &notes);
    assert_eq!(other.denied(of_variant(1)), Some(Decision::Replay));
    assert_eq!(other.denied(of_variant(3)), Some(Decision::Replay));
    other.granted(of_variant(2));
}

#[test]
fn what_is_stored_with_a_delivery_is_not_told_and_all_is_told_where_it_is_asked_for() {
    let it = Setting::sharded(100, 2);
    let notes = noted(&it);
    let ticket = it.granted(event(1, 1));
    it.window
        .settle(ticket, Settled::Stored(it.clock.now()))
        .unwrap();
    assert!(notes.0.lock().unwrap().is_empty());
    for shard in 0..it.window.shards() {
        it.window.write_down_again(shard);
    }
    let told = notes.0.lock().unwrap();
    assert!(
        matches!(told.as_slice(), [(Fingerprint(1), Change::Entry(_))]),
        "{told:?}"
    );
}

/// Two journals may tell of one entry, and no order is known between them.
#[test]
fn an_entry_of_two_journals_is_what_the_richer_one_says() {
    let of_variant = |variant| Arrival {
        variant: Mark(variant),
        variants: 3,
        ..event(1, 1)
    };
    let it = Setting::new(100);
    let notes = noted(&it);
    it.done(of_variant(1));
    it.done(of_variant(2));
    it.done(event(1, 5));
    let told: Vec<_> = notes.0.lock().unwrap().clone();
    let [(_, poor), (_, rich), (_, other)] = told.as_slice() else {
        panic!("{told:?}");
    };
    let gone = Change::Gone(event(1, 5).key);
    for order in [[poor, rich], [rich, poor]] {
        let read = Setting {
            window: MemoryWindow::with_shards(100, 4),
            clock: it.clock.clone(),
        };
        read.window.take_over(other);
        for change in order.into_iter().chain([&gone]) {
            read.window.take_beside(change);
        }
        for known in [of_variant(1), of_variant(2), event(1, 5)] {
            assert_eq!(read.denied(known), Some(Decision::Replay));
        }
    }
}

/// What came last in queue mode was evicted first, because its file is read last and the window was
/// full by then; and what came last in relay mode, because its file is read first.
#[test]
fn the_entries_of_two_journals_are_evicted_in_the_order_of_time() {
    let it = Setting::new(100);
    let notes = noted(&it);
    let mut queued = Vec::new();
    // Relay mode, queue mode, and relay mode again.
    for id in 1..=30 {
        it.clock.step(2000, Duration::from_secs(2));
        match id {
            11..=20 => queued.push(Change::Done(Box::new(event(1, id)), it.clock.now())),
            _ => it.done(event(1, id)),
        }
    }
    let relayed = notes.0.lock().unwrap().clone();
    for kept in [5, 15, 25] {
        let read = Setting {
            window: MemoryWindow::with_shards(kept, 4),
            clock: it.clock.clone(),
        };
        for (_, change) in &relayed {
            read.window.take_over(change);
        }
        assert!(read.window.routes().contains(&Fingerprint(1)));
        for change in &queued {
            read.window.take_beside(change);
        }
        read.window.put_in_order(Fingerprint(1));
        read.window.fit(it.clock.now());
        assert_eq!(read.window.entries(), kept);
        let latest = u128::try_from(31 - kept).unwrap()..=30;
        for id in latest {
            let seen = read.denied(event(1, id));
            assert_eq!(seen, Some(Decision::Replay), "{id} of the last {kept}");
        }
        // The next one takes the place of the oldest, in whichever shard that is.
        read.done(event(1, 31));
        assert_eq!(read.denied(event(1, 30)), Some(Decision::Replay));
    }
}
