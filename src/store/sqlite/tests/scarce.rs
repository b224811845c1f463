//! A disk with little room: the log is never longer than what is free, and what becomes of deliveries
//! that are kept is written when nothing else is.

use std::path::Path;
use std::time::Duration;

use super::{delivery, entry, until, wait};
use crate::clock::{Clock, UnixMillis};
use crate::queue::{Attempt, AttemptEnd, Change, Number, Progress, State};
use crate::store::sqlite::{ErrorKind, QueueDb, RESERVE, WindowDb};
use crate::store::{QueueStore as _, StoreError, WindowStore as _};

const MIB: u64 = 1 << 20;

fn opened(dir: &Path) -> QueueDb {
    QueueDb::open(dir, &Clock::system(), None).unwrap()
}

const FAILED: Progress = Progress {
    state: State::Retrying,
    attempts: 1,
    round: 1,
    due: UnixMillis(1_750_000_009_000),
    aged_from: UnixMillis(1_750_000_000_000),
    last_status: Some(500),
};

fn attempt() -> Attempt {
    Attempt {
        number: 1,
        began: UnixMillis(1_750_000_000_000),
        took: Duration::from_millis(1),
        end: AttemptEnd::Status(500),
        cause: None,
    }
}

fn attempts(queue: &QueueDb) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    queue
        .deliveries(&mut |one| found.push((one.number.0, one.progress.attempts)))
        .unwrap();
    found
}

#[test]
fn the_log_is_never_longer_than_what_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    queue.pretend_free(Some(7 * MIB));
    for name in 0..40 {
        wait(queue.accept(delivery(name, 300_000))).unwrap();
        let log = queue.stats().log_bytes;
        assert!(log <= 7 * MIB, "{log} after {name}");
    }
}

#[test]
fn what_becomes_of_a_delivery_is_written_where_no_other_finds_room() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let mut kept = Vec::new();
    for name in 0..20 {
        kept.push(wait(queue.accept(delivery(name, 5000))).unwrap());
    }
    queue.pretend_free(Some(RESERVE / 2));
    let refused = wait(queue.accept(delivery(1, 5000)));
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(said)) if said.contains("no room")),
        "{refused:?}"
    );
    assert_eq!(queue.stats().errors.of(ErrorKind::Full), 1);
    // A large body, of which every piece is a transaction, too.
    assert!(wait(queue.accept(delivery(1, 3 << 20))).is_err());
    // The progress is kept, and the history of attempts is not.
    wait(queue.failed(kept[0], FAILED, attempt())).unwrap();
    assert_eq!(queue.attempts(kept[0]).unwrap(), [] as [Attempt; 0]);
    wait(queue.change(kept[1], Change::Gone)).unwrap();
    assert!(queue.stats().failing.is_none());
    let mut expected: Vec<_> = kept.iter().map(|number| (number.0, 0)).collect();
    expected[0].1 = 1;
    expected.remove(1);
    assert_eq!(attempts(&queue), expected);
    queue.pretend_free(None);
    wait(queue.failed(kept[0], FAILED, attempt())).unwrap();
    assert_eq!(queue.attempts(kept[0]).unwrap().len(), 1);
    wait(queue.accept(delivery(1, 5000))).unwrap();
}

#[test]
fn on_a_full_disk_deliveries_are_taken_out_and_their_pages_are_the_room_for_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let accept = |name, body| wait(queue.accept(delivery(name, body))).unwrap();
    let first = accept(1, 5000);
    let large: Vec<Number> = (2..6).map(|name| accept(name, 700_000)).collect();
    let second = accept(6, 5000);
    // It is enough for the log alone.
    queue.pretend_free(Some(MIB));
    let mut progress = queue.failed(first, FAILED, attempt());
    until(|| queue.stats().failing.is_some());
    // The delivery is gone before its progress is written, and leaves no attempt behind.
    let mut late = queue.failed(second, FAILED, attempt());
    wait(queue.change(second, Change::Gone)).unwrap();
    assert!(progress.try_recv().unwrap().is_none());
    assert!(late.try_recv().unwrap().is_none());
    for number in &large {
        drop(queue.change(*number, Change::Gone));
    }
    queue.pretend_free(Some(3 * MIB / 2));
    wait(progress).unwrap();
    wait(late).unwrap();
    until(|| queue.stats().failing.is_none());
    assert_eq!(attempts(&queue), [(first.0, 1)]);
    assert_eq!(queue.attempts(second).unwrap(), [] as [Attempt; 0]);
}

#[test]
fn what_was_asked_for_before_a_flush_is_written_before_it_in_small_transactions_too() {
    let folder = tempfile::tempdir().unwrap();
    let window = WindowDb::open(folder.path(), &Clock::system(), None).unwrap();
    window.pretend_free(Some(40 * MIB));
    let pending: Vec<_> = (0..100)
        .map(|key| window.append(vec![entry(key)]))
        .collect();
    window.flush().unwrap();
    for mut answer in pending {
        assert_eq!(answer.try_recv().unwrap(), Some(Ok(())));
    }
}
