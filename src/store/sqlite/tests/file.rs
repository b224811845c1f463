//! An older schema is brought up to date in one transaction, and a file shrinks after a backlog.

use super::{delivery, until, wait};
use crate::clock::Clock;
use crate::queue::{Change, Number};
use crate::store::QueueStore as _;
use crate::store::sqlite::QueueDb;
use crate::store::sqlite::file::Kind;

const fn kind(steps: &'static [&'static [&'static str]]) -> Kind {
    Kind {
        name: "old.db",
        application: 7,
        steps,
        commits_sync: true,
    }
}

#[test]
fn an_older_schema_is_migrated_and_a_migration_that_fails_changes_nothing() {
    static OLD: Kind = kind(&[&["create table one (x integer) strict;"]]);
    static BAD: Kind = kind(&[
        &["create table one (x integer) strict;"],
        &["create table two (y integer) strict;", "no statement;"],
    ]);
    static NEW: Kind = kind(&[
        &["create table one (x integer) strict;"],
        &["create table two (y integer) strict;"],
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (old, is_new) = OLD.open(folder.path()).unwrap();
    assert!(is_new);
    old.execute("insert into one values (5)", ()).unwrap();
    drop(old);
    assert!(BAD.open(folder.path()).is_err());
    let (old, is_new) = OLD.open(folder.path()).unwrap();
    assert!(!is_new, "the version is the old one");
    drop(old);
    let (new, is_new) = NEW.open(folder.path()).unwrap();
    assert!(!is_new);
    let x: u32 = new
        .query_row("select x from one", (), |row| row.get(0))
        .unwrap();
    assert_eq!(x, 5);
    new.execute("insert into two values (1)", ()).unwrap();
    drop(new);
    let error = OLD.open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("schema 2") && error.contains("up to 1"),
        "{error}"
    );
}

/// Stores so many deliveries of 100 kB.
fn filled(queue: &QueueDb, count: u32) -> Vec<Number> {
    let accept = |place| queue.accept(delivery(u8::try_from(place % 7).unwrap(), 100_000));
    let pending: Vec<_> = (0..count).map(accept).collect();
    let stored = pending.into_iter().map(|pending| wait(pending).unwrap());
    stored.collect()
}

#[test]
fn a_file_shrinks_once_its_deliveries_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let queue = QueueDb::open(folder.path(), &Clock::system(), None).unwrap();
    let numbers = filled(&queue, 2000);
    until(|| queue.stats().file_bytes > 200_000_000);
    for number in numbers {
        drop(queue.change(number, Change::Gone));
    }
    until(|| queue.stats().deliveries == 0);
    // By and by: what is moved to shrink it is in the log first, which is not to become as long.
    let mut is_between = false;
    until(|| {
        let bytes = queue.stats().file_bytes;
        is_between |= (20_000_000..170_000_000).contains(&bytes);
        bytes < 10_000_000
    });
    assert!(is_between);
}

#[test]
fn a_file_shrinks_while_a_little_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let queue = QueueDb::open(folder.path(), &Clock::system(), None).unwrap();
    let numbers = filled(&queue, 800);
    until(|| queue.stats().file_bytes > 70_000_000);
    for number in numbers {
        drop(queue.change(number, Change::Gone));
    }
    until(|| queue.stats().deliveries == 0);
    until(|| {
        let number = wait(queue.accept(delivery(1, 100))).unwrap();
        drop(queue.change(number, Change::Gone));
        queue.stats().file_bytes < 40_000_000
    });
}
