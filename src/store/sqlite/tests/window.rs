//! What the window has done is read back in order, and its journal does not grow without end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::{entry, until, wait};
use crate::clock::{Clock, UnixMillis};
use crate::replay::passing::{Change, Kept};
use crate::store::sqlite::faults::Step;
use crate::store::sqlite::{ErrorKind, MetaKey, WindowDb};
use crate::store::{StoreError, WindowStore as _};
use crate::verify::claim::{ClaimKey, Fingerprint};

/// The moment at which a delivery of [`entry`] is stale, and a long time more.
const LATER: UnixMillis = UnixMillis::from_secs(1_750_000_000);

fn opened(dir: &Path, clock: &Clock) -> WindowDb {
    WindowDb::open(dir, clock, None).unwrap()
}

fn changes(window: &WindowDb) -> Vec<Change> {
    let mut found = Vec::new();
    window.changes(&mut |change| found.push(change)).unwrap();
    found
}

fn of_route(key: u128, route: u128) -> Change {
    let Change::Entry(kept) = entry(key) else {
        unreachable!();
    };
    Change::Entry(Kept {
        route: Fingerprint(route),
        ..kept
    })
}

#[test]
fn what_was_appended_is_read_back_in_order_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let window = opened(folder.path(), &clock);
    let mut expected = Vec::new();
    let pending: Vec<_> = (0..100_u128)
        .map(|key| {
            let changes = vec![entry(key), Change::Gone(ClaimKey(key / 2))];
            expected.extend(changes.clone());
            window.append(changes)
        })
        .collect();
    for pending in pending {
        wait(pending).unwrap();
    }
    // The files as they are while it runs, which is what the end of the process leaves.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["window.db", "window.db-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    window.set_meta(MetaKey::Boot, Some(b"boot")).unwrap();
    drop(window);
    for dir in [folder.path(), crashed.path()] {
        assert!(changes(&opened(dir, &clock)) == expected);
    }
    let again = opened(folder.path(), &clock);
    assert_eq!(again.meta(MetaKey::Boot).unwrap(), Some(b"boot".to_vec()));
}

#[test]
fn the_log_is_synced_soon_after_a_change_though_no_commit_does_so() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&syncs);
    let observer = move |_: Duration| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let observer: crate::store::sqlite::Observer = std::sync::Arc::new(observer);
    let clock = Clock::system();
    let window = WindowDb::open(folder.path(), &clock, Some(observer)).unwrap();
    wait(window.append(vec![entry(1)])).unwrap();
    until(|| syncs.load(std::sync::atomic::Ordering::Relaxed) == 1);
}

#[test]
fn a_compacted_journal_tells_the_same_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(LATER);
    let window = opened(folder.path(), &clock);
    // Keys are written again, and every tenth is gone. Of each the last change counts.
    let mut number = 0_u64;
    let mut told = std::collections::HashMap::new();
    let write = |changes: Vec<Change>| wait(window.append(changes)).unwrap();
    while number < 200_000 {
        let mut batch = Vec::new();
        for _ in 0..1000 {
            let key = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % 20_000;
            if number.is_multiple_of(10) {
                batch.push(Change::Gone(ClaimKey(key)));
                told.remove(&key);
            } else {
                let change = of_route(key, u128::from(number));
                told.insert(key, change.clone());
                batch.push(change);
            }
            number += 1;
        }
        batch.push(Change::Forgotten(
            Fingerprint(3),
            UnixMillis(number.cast_signed()),
        ));
        batch.push(Change::Serial(number));
        write(batch);
    }
    until(|| window.stats().changes < 150_000);
    write(vec![of_route(77, 99)]);
    told.insert(77, of_route(77, 99));
    drop(window);
    let window = opened(folder.path(), &clock);
    let (mut found, mut forgotten, mut serial) = (std::collections::HashMap::new(), 0, 0);
    for change in changes(&window) {
        match change {
            Change::Gone(key) => {
                found.remove(&key.0);
            }
            Change::Entry(ref kept) => {
                found.insert(kept.key.0, change);
            }
            Change::Forgotten(Fingerprint(3), until) => forgotten = until.0.max(forgotten),
            Change::Serial(number) => serial = number.max(serial),
            Change::Forgotten(..) | Change::Done(..) => panic!("{change:?}"),
        }
    }
    assert!(found == told);
    assert_eq!((forgotten, serial), (200_000, 200_000));
}

#[test]
fn entries_that_are_over_are_left_out_and_stay_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(LATER);
    let window = opened(folder.path(), &clock);
    let of_routes = |keys: std::ops::Range<u128>| keys.map(|key| of_route(key, key % 2)).collect();
    // So few that nothing is compacted before the clock is stepped.
    wait(window.append(of_routes(0..60_000))).unwrap();
    clock.step(0, Duration::from_secs(2 * 3600 + 1));
    wait(window.append(of_routes(60_000..70_000))).unwrap();
    until(|| window.stats().changes < 10);
    let forgotten = |route| Change::Forgotten(Fingerprint(route), UnixMillis(5));
    let mut left = changes(&window);
    left.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(left, [forgotten(0), forgotten(1)]);
}

#[test]
fn what_cannot_be_written_is_refused_at_once_and_follows() {
    for step in [Step::Begin, Step::Write, Step::Commit, Step::Sync] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let window = opened(folder.path(), &clock);
        // It goes on failing until the test has seen all of it.
        let mut plan = vec![Step::Checkpoint; 1000];
        plan.insert(0, step);
        window.faults().plan(plan);
        let first = wait(window.append(vec![entry(1)]));
        if step == Step::Sync {
            first.unwrap();
        } else {
            assert!(matches!(first, Err(StoreError::Unavailable(_))), "{step:?}");
        }
        until(|| window.stats().errors.of(ErrorKind::Sync) >= 2);
        assert!(window.stats().failing.is_some(), "{step:?}");
        let second = wait(window.append(vec![entry(2)]));
        assert!(
            matches!(second, Err(StoreError::Unavailable(_))),
            "{step:?}"
        );
        window.faults().plan(Vec::new());
        until(|| window.stats().failing.is_none());
        wait(window.append(vec![entry(3)])).unwrap();
        assert!(!window.is_behind());
        assert_eq!(changes(&window), [entry(1), entry(2), entry(3)], "{step:?}");
    }
}

#[test]
fn while_nothing_can_be_written_a_wish_for_an_answer_alone_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::set_to(LATER);
    let window = opened(folder.path(), &clock);
    window.faults().plan(vec![Step::Write, Step::Checkpoint]);
    assert!(wait(window.append(vec![entry(1)])).is_err());
    // The next attempt to recover waits for the clock, which stands still.
    until(|| window.stats().errors.of(ErrorKind::Sync) == 2);
    let before = window.transactions();
    for _ in 0..1000 {
        assert!(wait(window.append(Vec::new())).is_err());
    }
    clock.step(1000, Duration::from_secs(1));
    until(|| window.stats().failing.is_none());
    window.flush().unwrap();
    assert_eq!(window.transactions() - before, 1);
    assert_eq!(changes(&window), [entry(1)]);
}

#[test]
fn a_row_that_is_damaged_is_named_and_nothing_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let window = opened(folder.path(), &clock);
    wait(window.append(vec![entry(1)])).unwrap();
    drop(window);
    let database = Connection::open(folder.path().join("window.db")).unwrap();
    let spoil = "update claim set bytes = x'09'";
    assert_eq!(database.execute(spoil, ()).unwrap(), 1);
    drop(database);
    let window = opened(folder.path(), &clock);
    let Err(StoreError::Damaged(said)) = window.changes(&mut |_| {}) else {
        panic!("it is read");
    };
    assert!(
        said.contains("window.db: row 1 of the table claim"),
        "{said}"
    );
}
