//! Disk full, and errors at every step: nothing is acknowledged that is not on disk, everything that
//! was stays there, and it goes on by itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::queue::LATER;
use super::{delivery, entry, until, wait};
use crate::clock::{Clock, UnixMillis};
use crate::queue::{Attempt, AttemptEnd, Change, Progress};
use crate::store::sqlite::faults::Step;
use crate::store::sqlite::{ErrorKind, QueueDb};
use crate::store::{QueueStore as _, StoreError};

fn opened(dir: &Path) -> QueueDb {
    QueueDb::open(dir, &Clock::system(), None).unwrap()
}

fn numbers_of(queue: &QueueDb) -> Vec<u64> {
    let mut found = Vec::new();
    queue
        .deliveries(&mut |delivery| found.push(delivery.number.0))
        .unwrap();
    found
}

#[test]
fn a_failure_at_any_step_refuses_what_waits_and_loses_nothing() {
    for step in [Step::Begin, Step::Write, Step::Commit] {
        for checkpoints in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let queue = opened(folder.path());
            let mut kept = Vec::new();
            for name in 0..3 {
                kept.push(wait(queue.accept(delivery(name, 10))).unwrap());
            }
            let mut plan = vec![step];
            plan.extend((0..checkpoints).map(|_| Step::Checkpoint));
            queue.faults().plan(plan);
            let refused = wait(queue.accept(delivery(4, 10)));
            assert!(
                matches!(refused, Err(StoreError::Unavailable(_))),
                "{step:?}"
            );
            // What became of a delivery is written as soon as that is possible.
            let change = queue.change(kept[0], Change::Gone);
            wait(change).unwrap();
            until(|| queue.stats().failing.is_none());
            assert_eq!(queue.stats().errors.of(ErrorKind::Sync), 1 + checkpoints);
            kept.remove(0);
            kept.push(wait(queue.accept(delivery(5, 10))).unwrap());
            let expected: Vec<_> = kept.iter().map(|number| number.0).collect();
            assert_eq!(numbers_of(&queue), expected, "{step:?}");
            assert_eq!(queue.stats().deliveries, 3);
            drop(queue);
            assert_eq!(numbers_of(&opened(folder.path())), expected, "{step:?}");
        }
    }
}

#[test]
fn what_fails_again_after_a_recovery_waits_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
    let queue = QueueDb::open(folder.path(), &clock, None).unwrap();
    let number = wait(queue.accept(delivery(1, 10))).unwrap();
    // The disk is full, and an empty log is put into the database without any room: every recovery
    // succeeds, and what is written afterwards fails.
    queue.faults().plan(vec![Step::Write; 4]);
    let change = queue.change(number, Change::Gone);
    let errors = || queue.stats().errors.of(ErrorKind::Sync);
    until(|| errors() == 2);
    // The second failure waits for the clock, which stands still.
    for _ in 0..100 {
        assert!(wait(queue.accept(delivery(2, 10))).is_err());
    }
    assert_eq!(errors(), 2);
    for failures in 3..=4 {
        clock.step(1000, Duration::from_secs(1));
        until(|| errors() == failures);
    }
    clock.step(1000, Duration::from_secs(1));
    wait(change).unwrap();
    assert_eq!(numbers_of(&queue), [0; 0]);
}

#[test]
fn while_nothing_can_be_written_the_last_change_of_each_delivery_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(UnixMillis(1_750_000_000_000));
    let queue = QueueDb::open(folder.path(), &clock, None).unwrap();
    let [one, other] = [0, 1].map(|name| wait(queue.accept(delivery(name, 10))).unwrap());
    queue.faults().plan(vec![Step::Write, Step::Checkpoint]);
    let errors = || queue.stats().errors.of(ErrorKind::Sync);
    assert!(wait(queue.accept(delivery(2, 10))).is_err());
    // The next attempt to recover waits for the clock, which stands still.
    until(|| errors() == 2);
    let before = queue.transactions();
    // Of a transaction's 256 records there would be 157.
    let mut last = Vec::new();
    for attempts in 1..=20_000 {
        let progress = Progress { attempts, ..LATER };
        last = vec![
            queue.change(one, Change::Progress(progress)),
            queue.change_claims(vec![entry(u128::from(attempts % 2))]),
        ];
    }
    last.push(queue.change(other, Change::Gone));
    clock.step(1000, Duration::from_secs(1));
    for pending in last {
        wait(pending).unwrap();
    }
    let needed = queue.transactions() - before;
    assert!(needed <= 40, "{needed} transactions");
    let mut found = Vec::new();
    queue
        .deliveries(&mut |delivery| found.push((delivery.number, delivery.progress.attempts)))
        .unwrap();
    assert_eq!(found, [(one, 20_000)]);
}

#[test]
fn a_damaged_page_concerns_the_deliveries_on_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let numbers: Vec<_> = (0..20)
        .map(|name| wait(queue.accept(delivery(name, 3000))).unwrap())
        .collect();
    drop(queue);
    // The leaf on which the content of a delivery in the middle is. A row takes most of a page.
    let path = folder.path().join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    let body = delivery(10, 3000).body;
    let found = bytes.windows(64).position(|part| part == &body[1000..1064]);
    let page = found.unwrap() / 4096 * 4096;
    bytes[page..page + 8].fill(0xff);
    fs::write(&path, bytes).unwrap();

    let queue = opened(folder.path());
    let heads = queue.heads(&numbers).unwrap();
    let unreadable = heads.iter().filter(|head| head.is_err()).count();
    assert!((1..3).contains(&unreadable), "{heads:?}");
    let gone: Vec<_> = numbers
        .iter()
        .map(|number| queue.change(*number, Change::Gone))
        .collect();
    let gone: Vec<_> = gone.into_iter().map(wait).collect();
    // A row is also taken out of its neighbours' pages, which may be the damaged one.
    let failed = gone.iter().filter(|gone| gone.is_err()).count();
    assert!((unreadable..6).contains(&failed), "{gone:?}");
    assert!(
        gone.iter()
            .zip(&heads)
            .all(|(gone, head)| gone.is_err() || head.is_ok())
    );
    assert!(queue.stats().failing.is_none());
    let new = wait(queue.accept(delivery(30, 10))).unwrap();
    let left = numbers.iter().zip(&gone).filter(|(_, gone)| gone.is_err());
    let mut left: Vec<_> = left.map(|(number, _)| number.0).collect();
    left.push(new.0);
    assert_eq!(numbers_of(&queue), left);
}

/// The attempts of new deliveries go to the last leaf. All that was in one transaction with them was refused.
#[test]
fn where_attempts_cannot_be_remembered_the_rest_of_them_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let number = wait(queue.accept(delivery(1, 10))).unwrap();
    let attempt = |number| Attempt {
        number,
        began: UnixMillis(1_750_000_000_000),
        took: Duration::ZERO,
        cause: Some("nobody listens at that address".repeat(4)),
        end: AttemptEnd::Unreachable,
    };
    for place in 1..=20 {
        wait(queue.failed(number, LATER, attempt(place))).unwrap();
    }
    drop(queue);
    let path = folder.path().join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    let words = b"nobody listens at that address";
    let found = bytes.windows(words.len()).position(|part| part == words);
    let page = found.unwrap() / 4096 * 4096;
    bytes[page..page + 8].fill(0xff);
    fs::write(&path, bytes).unwrap();

    let queue = opened(folder.path());
    let asked = [
        queue.failed(
            number,
            Progress {
                attempts: 21,
                ..LATER
            },
            attempt(21),
        ),
        queue.change(
            number,
            Change::Progress(Progress {
                attempts: 22,
                ..LATER
            }),
        ),
    ];
    let accepted: Vec<_> = (2..12)
        .map(|name| queue.accept(delivery(name, 10)))
        .collect();
    for answer in asked {
        wait(answer).unwrap();
    }
    for answer in accepted {
        wait(answer).unwrap();
    }
    assert!(queue.stats().errors.of(ErrorKind::Damaged) > 0);
    assert_eq!(queue.last_ends(&[number]).unwrap(), [None]);
    assert_eq!(queue.attempts(number).unwrap(), []);
    let mut stored = Vec::new();
    let each = &mut |delivery: crate::queue::Delivery| stored.push(delivery.progress.attempts);
    queue.deliveries(each).unwrap();
    assert_eq!(stored, [22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_large_body_that_fails_half_way_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    wait(queue.accept(delivery(1, 10))).unwrap();
    queue.faults().plan_after(3, vec![Step::Write]);
    let refused = wait(queue.accept(delivery(2, 6 << 20)));
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let pieces = || {
        let database = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
        let count = "select count(*) from piece";
        database
            .query_row(count, (), |row| row.get::<_, u64>(0))
            .unwrap()
    };
    until(|| queue.stats().failing.is_none() && pieces() == 0);
    assert_eq!(numbers_of(&queue).len(), 1);
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    queue.limit(100);
    let mut kept = Vec::new();
    let error = loop {
        match wait(queue.accept(delivery(1, 5000))) {
            Ok(number) => kept.push(number.0),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, StoreError::Unavailable(said) if said.contains("full")),
        "{error}"
    );
    assert!(kept.len() > 10, "{kept:?}");
    assert_eq!(numbers_of(&queue), kept);
    assert!(queue.stats().errors.of(ErrorKind::Full) >= 1);
    // It can be written again, and is full again. What becomes of a delivery needs no room.
    until(|| queue.stats().failing.is_none());
    wait(queue.change(crate::queue::Number(kept[0]), Change::Gone)).unwrap();
    until(|| queue.stats().failing.is_none());
    queue.limit(100_000);
    kept.remove(0);
    kept.push(wait(queue.accept(delivery(1, 5000))).unwrap().0);
    drop(queue);
    assert_eq!(numbers_of(&opened(folder.path())), kept);
}

#[test]
fn a_failed_sync_of_the_database_beside_the_writer_refuses_until_all_of_the_log_is_in_it() {
    for step in [Step::CheckpointBeside, Step::SyncDatabase] {
        let folder = tempfile::tempdir().unwrap();
        let queue = opened(folder.path());
        let mut plan = vec![step];
        plan.resize(1000, Step::Checkpoint);
        queue.faults().plan(plan);
        let first = wait(queue.accept(delivery(1, 10))).unwrap();
        until(|| queue.stats().errors.of(ErrorKind::Sync) > 1);
        assert!(wait(queue.accept(delivery(2, 10))).is_err(), "{step:?}");
        queue.faults().plan(Vec::new());
        until(|| queue.stats().failing.is_none());
        let second = wait(queue.accept(delivery(3, 10))).unwrap();
        assert_eq!(numbers_of(&queue), [first.0, second.0]);
    }
}

#[test]
fn what_a_failed_sync_of_the_database_may_have_lost_is_put_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = opened(folder.path());
    let accept = |name| wait(queue.accept(delivery(name, 10)));
    let before = fs::read(&path).unwrap();
    let first = accept(1).unwrap();
    // A reader keeps checkpoints from their end, at which SQLite itself would sync the database.
    let reader = rusqlite::Connection::open(&path).unwrap();
    let count = || {
        let count = "select count(*) from delivery";
        reader.query_row(count, (), |row| row.get::<_, u64>(0))
    };
    reader.execute_batch("begin").unwrap();
    assert_eq!(count().unwrap(), 1);
    let second = accept(2).unwrap();
    let mut plan = vec![Step::SyncDatabase];
    plan.resize(1000, Step::Checkpoint);
    queue.faults().plan(plan);
    until(|| queue.stats().errors.of(ErrorKind::Sync) > 1);
    // The disk has what it had before: the pages that were put there are in memory alone, and the system
    // takes them for written.
    let written = fs::read(&path).unwrap();
    assert_ne!(written, before, "the checkpoint has put something there");
    let mut lost = before;
    lost.resize(written.len(), 0);
    fs::write(&path, lost).unwrap();
    assert!(accept(3).is_err());
    reader.execute_batch("commit").unwrap();
    queue.faults().plan(Vec::new());
    until(|| queue.stats().failing.is_none());
    let third = accept(4).unwrap();
    drop(queue);
    let kept = [first.0, second.0, third.0];
    assert_eq!(numbers_of(&opened(folder.path())), kept);
}

#[test]
fn the_number_of_a_route_that_has_one_is_told_while_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let known = opened(folder.path()).route("known", "github").unwrap();
    let queue = opened(folder.path());
    let mut plan = vec![Step::Begin];
    plan.extend([Step::Checkpoint; 1000]);
    queue.faults().plan(plan);
    wait(queue.accept(delivery(1, 10))).unwrap_err();
    assert_eq!(queue.route("known", "github"), Ok(known));
    // Another provider is another route.
    for (name, provider) in [("new", "github"), ("known", "stripe")] {
        assert!(queue.route(name, provider).is_err(), "{name} {provider}");
    }
    queue.faults().plan(Vec::new());
    until(|| queue.stats().failing.is_none());
    let new = queue.route("new", "github").unwrap();
    assert_ne!(new, known);
    assert_eq!(queue.route("new", "github"), Ok(new));
}

#[test]
fn a_file_that_another_gateway_has_for_long_is_no_failure_during_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let has_it = || {
        let other = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
        other.execute_batch("begin immediate").unwrap();
        other
    };
    let waits = || queue.stats().errors.of(ErrorKind::Busy);
    queue.share(true);
    let other = has_it();
    let accepted = queue.accept(delivery(1, 10));
    until(|| waits() == 2);
    assert_eq!(queue.stats().failing, None);
    drop(other);
    let number = wait(accepted).unwrap();
    // One that does not let go is another program after all, and nothing waits for it for good.
    let _other = has_it();
    let refused = wait(queue.accept(delivery(2, 10)));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    assert!(waits() >= 7, "{}", waits());
    assert_eq!(numbers_of(&queue), [number.0]);
}
