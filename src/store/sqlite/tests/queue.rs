//! What is accepted is there after any end, in order and unchanged, until it is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::{delivery, entry, until, wait};
use crate::clock::{Clock, UnixMillis};
use crate::queue::{Attempt, AttemptEnd, Change, Delivery, Number, Progress, RouteNumber, State};
use crate::replay::passing;
use crate::store::sealing::Keyring;
use crate::store::sqlite::{MetaKey, OpenError, QueueDb};
use crate::store::{Content, QueueStore as _, StoreError};
use crate::verify::claim::ClaimKey;

fn opened(dir: &Path) -> QueueDb {
    QueueDb::open(dir, &Clock::system(), None).unwrap()
}

fn deliveries(queue: &QueueDb) -> Vec<Delivery> {
    let mut found = Vec::new();
    queue
        .deliveries(&mut |delivery| found.push(delivery))
        .unwrap();
    found
}

fn claims(queue: &QueueDb) -> Vec<passing::Change> {
    let mut found = Vec::new();
    queue.claims(&mut |change| found.push(change)).unwrap();
    found
}

pub(super) const LATER: Progress = Progress {
    state: State::Retrying,
    attempts: 3,
    round: 2,
    due: UnixMillis(1_750_000_009_000),
    aged_from: UnixMillis(1_750_000_000_001),
    last_status: Some(503),
};

#[test]
fn what_was_accepted_is_there_after_a_stop_and_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    assert!(queue.is_new());
    let pending: Vec<_> = (0..10)
        .map(|name| queue.accept(delivery(name, 100)))
        .collect();
    let numbers: Vec<_> = pending
        .into_iter()
        .map(|pending| wait(pending).unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    wait(queue.change(numbers[3], Change::Progress(LATER))).unwrap();
    wait(queue.change(numbers[4], Change::Gone)).unwrap();
    // The files as they are while it runs, which is what a crash leaves.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["queue.db", "queue.db-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let stats = queue.stats();
    assert_eq!((stats.deliveries, stats.bytes), (9, 9 * 102));
    assert!(stats.free_bytes.unwrap() > 0 && stats.failing.is_none());
    drop(queue);
    for dir in [folder.path(), crashed.path()] {
        let queue = opened(dir);
        assert!(!queue.is_new());
        assert_eq!(
            (queue.stats().deliveries, queue.stats().bytes),
            (9, 9 * 102)
        );
        let found = deliveries(&queue);
        let names: Vec<_> = found.iter().map(|delivery| delivery.number).collect();
        let kept: Vec<_> = numbers
            .iter()
            .copied()
            .filter(|n| *n != numbers[4])
            .collect();
        assert_eq!(names, kept);
        let sent = delivery(3, 100);
        assert_eq!(
            found[3],
            Delivery {
                number: numbers[3],
                id: sent.id,
                route: sent.route,
                bytes: 102,
                account: sent.account,
                order: None,
                progress: LATER,
            }
        );
        assert_eq!(found[0].progress.state, State::Waiting);
        assert_eq!(found[0].progress.due, sent.id.received());
        let all: Vec<_> = (0..10).map(entry).collect();
        assert_eq!(claims(&queue), all, "the claim of what is gone stays");
        let content = Content {
            head: sent.head,
            body: sent.body,
        };
        assert_eq!(wait(queue.read(numbers[3])).unwrap(), Some(content));
        assert_eq!(wait(queue.read(numbers[4])).unwrap(), None);
        let next = wait(queue.accept(delivery(11, 1))).unwrap();
        assert!(next > numbers[9]);
    }
}

#[test]
fn a_number_is_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = Number(0);
    for _ in 0..3 {
        let queue = opened(folder.path());
        let number = wait(queue.accept(delivery(1, 1))).unwrap();
        assert!(number > last);
        wait(queue.change(number, Change::Gone)).unwrap();
        last = number;
    }
}

#[test]
fn a_large_body_is_written_in_pieces_and_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let sizes = [1 << 20, (1 << 20) + 1, (3 << 20) + 17, 5 << 20, 3];
    let pending: Vec<_> = (0..)
        .zip(sizes)
        .map(|(name, size)| (queue.accept(delivery(name, size)), name, size))
        .collect();
    let mut numbers = Vec::new();
    for (pending, name, size) in pending {
        let number = wait(pending).unwrap();
        let content = wait(queue.read(number)).unwrap().unwrap();
        assert!(content.body == delivery(name, size).body, "{size}");
        numbers.push(number);
    }
    assert_eq!(claims(&queue).len(), sizes.len());
    let pieces = || {
        let database = Connection::open(folder.path().join("queue.db")).unwrap();
        let count = "select count(*) from piece";
        database
            .query_row(count, (), |row| row.get::<_, u64>(0))
            .unwrap()
    };
    assert_eq!(pieces(), 2 + 4 + 5);
    for number in numbers {
        wait(queue.change(number, Change::Gone)).unwrap();
    }
    assert_eq!(queue.stats().bytes, 0);
    until(|| pieces() == 0);
}

/// Another process may be writing the others.
#[test]
fn qu_24_pieces_of_a_body_whose_delivery_never_came_are_removed_by_a_start_that_is_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let database = Connection::open(folder.path().join("queue.db")).unwrap();
    let insert = "insert into piece values ((999 << 12) | 0, x'00'), ((999 << 12) | 1, x'00')";
    database.execute(insert, ()).unwrap();
    let pieces = || -> u64 {
        let count = "select count(*) from piece";
        database.query_row(count, (), |row| row.get(0)).unwrap()
    };
    let (clock, keys) = (Clock::system(), Keyring::default());
    let queue = QueueDb::open_with(folder.path(), &clock, None, keys, true).unwrap();
    for name in 0..10 {
        wait(queue.accept(delivery(name, 1))).unwrap();
    }
    assert_eq!(pieces(), 2);
    drop(queue);
    let queue = opened(folder.path());
    until(|| pieces() == 0);
    drop(queue);
}

#[test]
fn routes_have_numbers_that_stay_and_another_provider_makes_another_route() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let one = queue.route("one", "itellico").unwrap();
    let other = queue.route("one", "github").unwrap();
    assert_ne!(one, other);
    drop(queue);
    let queue = opened(folder.path());
    assert_eq!(queue.route("one", "github").unwrap(), other);
    assert_eq!(queue.route("one", "itellico").unwrap(), one);
    let routes = queue.routes().unwrap();
    assert_eq!(routes.len(), 2);
    assert_eq!(
        (routes[0].number, &*routes[0].name),
        (RouteNumber(1), "one")
    );
}

#[test]
fn facts_are_kept_until_they_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let pause = MetaKey::Pause(RouteNumber(3));
    queue.set_meta(pause, Some(b"by hand")).unwrap();
    queue.set_meta(MetaKey::CleanStop, Some(b"")).unwrap();
    queue.set_meta(MetaKey::CleanStop, None).unwrap();
    drop(queue);
    let queue = opened(folder.path());
    assert_eq!(queue.meta(pause).unwrap(), Some(b"by hand".to_vec()));
    assert_eq!(queue.meta(MetaKey::CleanStop).unwrap(), None);
    assert_eq!(queue.meta(MetaKey::Pause(RouteNumber(4))).unwrap(), None);
}

#[test]
fn what_the_window_forgot_is_written_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    wait(queue.accept(delivery(1, 1))).unwrap();
    let gone = passing::Change::Gone(ClaimKey(1));
    // More than a row takes.
    let many: Vec<_> = (10..2000).map(entry).collect();
    let first = queue.change_claims(vec![gone.clone()]);
    let second = queue.change_claims(many.clone());
    wait(first).unwrap();
    wait(second).unwrap();
    let mut all = vec![entry(1), gone];
    all.extend(many);
    assert!(claims(&queue) == all);
}

#[test]
fn the_file_is_for_its_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let queue = opened(folder.path());
    wait(queue.accept(delivery(1, 1))).unwrap();
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let found = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn after_the_end_everything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let accepted = queue.accept(delivery(1, 2 << 20));
    queue.close();
    let number = wait(accepted).expect("what was asked for before the end");
    let refused = StoreError::Unavailable("the store is closed".into());
    assert_eq!(wait(queue.accept(delivery(1, 1))), Err(refused.clone()));
    assert_eq!(
        wait(queue.change(number, Change::Gone)),
        Err(refused.clone())
    );
    assert_eq!(wait(queue.read(number)), Err(refused.clone()));
    assert_eq!(queue.route("one", "github"), Err(refused));
    let wal = fs::metadata(folder.path().join("queue.db-wal"));
    assert!(wal.is_err(), "the log is put into the database at the end");
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let refusal = || match QueueDb::open(folder.path(), &Clock::system(), None) {
        Ok(_) => panic!("it opens"),
        Err(error) => error,
    };
    fs::write(&path, [b'x'; 8192]).unwrap();
    let error = refusal();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("queue.db is damaged"), "{error}");

    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("create table t (x)").unwrap();
    drop(other);
    let error = refusal();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    fs::remove_file(&path).unwrap();
    drop(opened(folder.path()));
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let error = refusal();
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("schema 7"), "{error}");
}

#[test]
fn damage_is_named_by_file_table_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    for name in 1..4 {
        wait(queue.accept(delivery(name, 1))).unwrap();
    }
    drop(queue);
    let path = folder.path().join("queue.db");
    let database = Connection::open(&path).unwrap();
    let change = |sql| assert_eq!(database.execute(sql, ()).unwrap(), 1);
    change("update delivery set state = 9 where number = 2");
    change("update claim set bytes = substr(bytes, 1, 60) where number = 3");
    drop(database);
    let queue = opened(folder.path());
    let said = |result: Result<(), StoreError>| match result {
        Err(StoreError::Damaged(said)) => said.to_string(),
        other => panic!("{other:?}"),
    };
    let deliveries = said(queue.deliveries(&mut |_| {}));
    assert!(
        deliveries.contains("queue.db: row 2 of the table delivery"),
        "{deliveries}"
    );
    let claims = said(queue.claims(&mut |_| {}));
    assert!(
        claims.contains("queue.db: row 3 of the table claim"),
        "{claims}"
    );
}

#[test]
fn the_latest_attempts_of_a_delivery_are_kept_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let queue = opened(folder.path());
    let [one, other] = [0, 1].map(|name| wait(queue.accept(delivery(name, 1))).unwrap());
    let ends = [
        AttemptEnd::Status(503),
        AttemptEnd::Unreachable,
        AttemptEnd::Timeout,
        AttemptEnd::Failed,
    ];
    let made = (1..=45).zip(ends.into_iter().cycle());
    let made: Vec<_> = made
        .map(|(number, end)| Attempt {
            number,
            began: UnixMillis(1_750_000_000_000 + i64::from(number)),
            took: Duration::from_millis(u64::from(number)),
            cause: (end == AttemptEnd::Unreachable).then(|| "nobody listens".to_owned()),
            end,
        })
        .collect();
    for attempt in &made {
        let progress = Progress {
            attempts: attempt.number,
            ..LATER
        };
        wait(queue.failed(one, progress, attempt.clone())).unwrap();
    }
    wait(queue.failed(other, LATER, made[2].clone())).unwrap();
    drop(queue);
    let queue = opened(folder.path());
    assert_eq!(queue.attempts(one).unwrap(), made[25..]);
    assert_eq!(queue.attempts(other).unwrap(), made[2..3]);
    assert_eq!(deliveries(&queue)[0].progress.attempts, 45);
    let faults = || {
        let checked = crate::store::sqlite::check(folder.path(), &Keyring::default());
        checked.unwrap().faults
    };
    assert_eq!(faults(), [""; 0]);
    wait(queue.change(one, Change::Gone)).unwrap();
    assert_eq!(queue.attempts(one).unwrap(), []);
    assert_eq!(queue.attempts(other).unwrap(), made[2..3]);
    assert_eq!(faults(), [""; 0]);
    drop(queue);
    let edited = Connection::open(folder.path().join("queue.db")).unwrap();
    edited.execute("delete from delivery", ()).unwrap();
    drop(edited);
    let said = faults().join("\n");
    assert!(said.contains("has attempts but no row"), "{said}");
}
