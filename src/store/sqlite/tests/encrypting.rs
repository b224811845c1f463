//! What keys do to the file: nothing of a delivery is readable in it, and what is not what was stored
//! is never given back.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use rusqlite::Connection;

use super::{delivery, wait};
use crate::clock::Clock;
use crate::key::secret::SecretText;
use crate::queue::{Change, Number};
use crate::store::sealing::{KeyId, Keyring, Unreadable};
use crate::store::sqlite::{Encrypted, QueueDb, check, info};
use crate::store::{Accepted, QueueStore as _, StoreError};

/// A text that is looked for in the files.
const MARKER: &[u8] = b"a secret of the customer";

fn key(first: u8) -> SecretText {
    SecretText::new((first..first + 32).collect())
}

fn keys(names: &[u8]) -> Keyring {
    Keyring::new(names.iter().map(|name| key(*name)))
}

fn opened(dir: &Path, keys: &Keyring) -> QueueDb {
    QueueDb::open_with(dir, &Clock::system(), None, keys.clone(), false).unwrap()
}

/// A delivery with the marker in its head, and again and again in its body.
fn marked(name: u8, body: usize) -> Accepted {
    let plain = delivery(name, body);
    let head = [&plain.head[..], MARKER].concat();
    let mut body = plain.body.to_vec();
    for place in body.chunks_mut(1000) {
        let length = place.len().min(MARKER.len());
        place[..length].copy_from_slice(&MARKER[..length]);
    }
    Accepted {
        head: head.into(),
        body: body.into(),
        ..plain
    }
}

/// The files of the directory that have the marker.
fn marked_files(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let has_marker = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        memchr::memmem::find(&bytes, MARKER).is_some()
    };
    let named = files.filter(has_marker);
    named
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn accept(queue: &QueueDb, delivery: &Accepted) -> Number {
    wait(queue.accept(delivery.clone())).unwrap()
}

fn read(queue: &QueueDb, number: Number) -> Result<Bytes, StoreError> {
    let content = wait(queue.read(number))?;
    Ok(content.unwrap().body)
}

fn broken(why: Unreadable) -> Result<Bytes, StoreError> {
    Err(StoreError::Content(why))
}

/// Changes the file while nobody has it open: by SQL, or `flip TABLE COLUMN NUMBER`.
fn tampered(dir: &Path, change: &str) {
    let database = Connection::open(dir.join("queue.db")).unwrap();
    let words: Vec<_> = change.split(' ').collect();
    let ["flip", table, column, number] = words[..] else {
        database.execute_batch(change).unwrap();
        return;
    };
    let select = format!("select {column} from {table} where number = {number}");
    let mut bytes: Vec<u8> = database.query_row(&select, (), |row| row.get(0)).unwrap();
    *bytes.last_mut().unwrap() ^= 0x10;
    let update = format!("update {table} set {column} = ?1 where number = {number}");
    database.execute(&update, [bytes]).unwrap();
}

const SIZES: [usize; 6] = [0, 30, 900, 20_000, (1 << 20) + 1, (2 << 20) + 5];

#[test]
fn nothing_of_a_delivery_can_be_read_in_the_files() {
    for (keys, expected) in [(Keyring::default(), 2), (keys(&[1]), 0)] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let queue = opened(dir, &keys);
        for (name, size) in (1..).zip(SIZES) {
            let sent = marked(name, size);
            let number = accept(&queue, &sent);
            let found = wait(queue.read(number)).unwrap().unwrap();
            assert!(found.head == sent.head && found.body == sent.body, "{size}");
            let head = queue.heads(&[number]).unwrap().pop().unwrap();
            assert_eq!(head, Ok(Some(sent.head)));
        }
        // The log, and the file once the log is in it.
        let running = marked_files(dir).len();
        drop(queue);
        let stopped = marked_files(dir).len();
        assert_eq!(running.min(1) + stopped.min(1), expected);
        assert_eq!(check(dir, &keys).unwrap().faults, Vec::<String>::new());
    }
}

#[test]
fn qu_20_the_first_start_with_keys_encrypts_what_is_there_and_leaves_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let queue = opened(dir, &Keyring::default());
    let mut kept = Vec::new();
    // More than a step, many of them gone, and the file is what that has left.
    for round in 0..60 {
        for (name, size) in (1..).zip(SIZES) {
            let size = if size > 30_000 && round > 0 {
                700
            } else {
                size
            };
            let sent = marked(name, size);
            let number = accept(&queue, &sent);
            if (round + usize::from(name)) % 3 == 0 {
                kept.push((number, sent));
            } else {
                wait(queue.change(number, Change::Gone)).unwrap();
            }
        }
    }
    drop(queue);
    assert!(!marked_files(dir).is_empty());
    let first = keys(&[1]);
    let queue = opened(dir, &first);
    assert_eq!(marked_files(dir), Vec::<String>::new());
    for (number, sent) in &kept {
        let found = wait(queue.read(*number)).unwrap().unwrap();
        assert!(found.head == sent.head && found.body == sent.body);
    }
    let all = Encrypted {
        key: first.first(),
        is_readable: true,
        count: kept.len() as u64,
    };
    assert_eq!(queue.encrypted().unwrap(), [all]);
    assert_eq!(queue.stats().deliveries, kept.len() as u64);
    drop(queue);
    assert_eq!(marked_files(dir), Vec::<String>::new());
    assert_eq!(check(dir, &first).unwrap().faults, Vec::<String>::new());
    let unchecked = check(dir, &Keyring::default()).unwrap().unchecked;
    assert_eq!(
        unchecked.into_iter().collect::<Vec<_>>(),
        [(id(1), kept.len() as u64)]
    );
}

fn id(name: u8) -> KeyId {
    keys(&[name]).first().unwrap()
}

#[test]
fn qu_20_a_first_start_with_keys_that_ends_half_way_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let queue = opened(dir, &Keyring::default());
    // More than one transaction takes.
    let sent = marked(1, 100);
    let pending: Vec<_> = (0..300).map(|_| queue.accept(sent.clone())).collect();
    let all: Vec<_> = pending.into_iter().map(|one| wait(one).unwrap()).collect();
    drop(queue);
    tampered(
        dir,
        "create trigger stop before update on delivery when new.number > 290 \
         begin select raise(abort, 'the machine stops here'); end",
    );
    let stopped = QueueDb::open_with(dir, &Clock::system(), None, keys(&[1]), false);
    assert!(stopped.is_err(), "the trigger stops nothing");
    tampered(dir, "drop trigger stop");
    let forms = &info(dir, &keys(&[1])).unwrap()[0].encrypted;
    assert!(
        forms.len() == 2 && forms.iter().all(|one| one.is_readable),
        "{forms:?}"
    );
    // Another key meanwhile, behind which the first one still reads.
    let queue = opened(dir, &keys(&[2, 1]));
    let forms = queue.encrypted().unwrap();
    assert!(forms.iter().all(|one| one.key.is_some()), "{forms:?}");
    for number in all {
        assert_eq!(read(&queue, number), Ok(sent.body.clone()));
    }
    assert_eq!(marked_files(dir), Vec::<String>::new());
}

/// What the file says of its deliveries may be written by whoever can write to the disk. A forged
/// delivery was encrypted and sent as genuine once the record of the first start was removed.
#[test]
fn qu_23_a_plain_delivery_among_encrypted_ones_is_damage_whatever_the_file_says() {
    let of_another_key = hex::encode(keys(&[2]).first_start().unwrap());
    let wrong = hex::encode([keys(&[1]).first_start().unwrap(), vec![0]].concat());
    let rows = [
        "delete from meta where name = 'keys'".to_owned(),
        format!(
            "update meta set name = 'first_start', value = x'{of_another_key}' where name = 'keys'"
        ),
        format!("update meta set name = 'first_start', value = x'{wrong}' where name = 'keys'"),
        "update meta set name = 'first_start' where name = 'keys'".to_owned(),
    ];
    for sql in rows {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let good = accept(&opened(dir, &keys(&[1])), &marked(1, 50));
        // A gateway without keys is what made it, as far as the file can tell.
        let forged = accept(&opened(dir, &Keyring::default()), &marked(2, 50));
        tampered(
            dir,
            "insert or replace into meta (name, value) values ('keys', x'00')",
        );
        tampered(dir, &sql);
        for _ in 0..2 {
            let faults = check(dir, &keys(&[1])).unwrap().faults;
            assert_eq!(faults.len(), 1, "{sql}: {faults:?}");
            for is_shared in [true, false] {
                let queue =
                    QueueDb::open_with(dir, &Clock::system(), None, keys(&[1]), is_shared).unwrap();
                assert_eq!(read(&queue, forged), broken(Unreadable::Plain), "{sql}");
                assert!(read(&queue, good).is_ok());
            }
        }
        // Without keys it is what it says, and once it is gone all is as before.
        let queue = opened(dir, &Keyring::default());
        assert!(read(&queue, forged).is_ok(), "{sql}");
        wait(queue.change(forged, Change::Gone)).unwrap();
        drop(queue);
        let queue = opened(dir, &keys(&[1]));
        assert!(read(&queue, good).is_ok());
        drop(queue);
        assert_eq!(
            check(dir, &keys(&[1])).unwrap().faults,
            Vec::<String>::new()
        );
    }
}

#[test]
fn while_another_process_writes_nothing_is_encrypted_and_nothing_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let old = opened(dir, &Keyring::default());
    let before = accept(&old, &marked(1, 100));
    let shared = |keys: &Keyring| {
        QueueDb::open_with(dir, &Clock::system(), None, keys.clone(), true).unwrap()
    };
    let queue = shared(&keys(&[1]));
    let after = accept(&old, &marked(2, 100));
    drop(old);
    for number in [before, after] {
        assert!(read(&queue, number).is_ok());
    }
    let own = accept(&queue, &marked(3, 100));
    let forms = queue.encrypted().unwrap();
    assert_eq!(
        forms.iter().map(|one| one.count).collect::<Vec<_>>(),
        [2, 1]
    );
    drop(queue);
    let queue = opened(dir, &keys(&[1]));
    assert_eq!(queue.encrypted().unwrap().len(), 1);
    for number in [before, after, own] {
        assert!(read(&queue, number).is_ok());
    }
    assert_eq!(marked_files(dir), Vec::<String>::new());
}

#[test]
fn qu_22_a_key_is_rotated_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let queue = opened(dir, &keys(&[1]));
    let (old, older) = (marked(1, 50), marked(2, (1 << 20) + 9));
    let numbers = [accept(&queue, &old), accept(&queue, &older)];
    queue.set_keys(keys(&[2, 1]));
    let new = accept(&queue, &marked(3, 50));
    for number in numbers.into_iter().chain([new]) {
        assert!(read(&queue, number).is_ok());
    }
    drop(queue);
    let queue = opened(dir, &keys(&[2]));
    let missing = broken(Unreadable::NoKey(id(1)));
    for number in numbers {
        assert_eq!(read(&queue, number), missing);
        let head = queue.heads(&[number]).unwrap().pop().unwrap();
        assert_eq!(head.map(Option::unwrap_or_default), missing);
    }
    assert!(read(&queue, new).is_ok());
    let mut forms: Vec<_> = queue
        .encrypted()
        .unwrap()
        .into_iter()
        .map(|one| (one.key, one.is_readable, one.count))
        .collect();
    forms.sort_by_key(|one| one.2);
    assert_eq!(forms, [(Some(id(2)), true, 1), (Some(id(1)), false, 2)]);
    assert_eq!(info(dir, &keys(&[2])).unwrap()[0].encrypted.len(), 2);
    queue.set_keys(keys(&[2, 1]));
    assert_eq!(read(&queue, numbers[0]), Ok(old.body));
    drop(queue);
    let queue = opened(dir, &Keyring::default());
    assert_eq!(read(&queue, numbers[1]), missing);
    assert_eq!(read(&queue, new), broken(Unreadable::NoKey(id(2))));
}

#[test]
fn qu_21_what_was_changed_on_disk_is_never_given_back() {
    let rows = [
        ("a byte of a head", "flip content head 1"),
        ("a byte of a body", "flip content body 1"),
        ("a byte of a piece", "flip piece bytes 12289"),
        ("the salt, or the checksum", "flip delivery seal 1"),
        (
            "two bodies swapped",
            "update content set body = (select body from content as other where other.number = 3 - content.number) \
             where number < 3",
        ),
        (
            "two contents swapped",
            "update content set number = -number where number < 3; \
             update content set number = 3 + number where number < 0",
        ),
        (
            "two rows swapped",
            "update content set number = -number where number < 3; \
             update content set number = 3 + number where number < 0; \
             update delivery set number = -number where number < 3; \
             update delivery set number = 3 + number where number < 0",
        ),
        ("another route", "update delivery set route = 2"),
        ("another id", "update delivery set id = zeroblob(16)"),
        ("another moment", "update delivery set received_ms = 1"),
        ("another account", "update delivery set account = 1"),
        ("an order", "update delivery set order_key = 1"),
        ("another size", "update delivery set bytes = 1"),
        (
            "a body cut",
            "update content set body = substr(body, 1, 10) where number = 1",
        ),
        (
            "a piece left out",
            "update content set pieces = 2 where number = 3",
        ),
        ("no piece", "update content set pieces = 0 where number = 3"),
        (
            "a piece that is gone",
            "delete from piece where number = (3 << 12) | 2",
        ),
        (
            "two pieces swapped",
            "update piece set number = -number where number & 4095 < 2; \
             update piece set number = ((-number) | 1) - ((-number) & 1) where number < 0",
        ),
        (
            "a content that is gone",
            "delete from content where number = 1",
        ),
        ("a seal of zeros", "update delivery set seal = zeroblob(25)"),
        ("no seal", "update delivery set seal = x''"),
    ];
    let mut failed = Vec::new();
    for keys in [Keyring::default(), keys(&[1])] {
        for (what, sql) in &rows {
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path();
            let queue = opened(dir, &keys);
            let all = [marked(1, 90), marked(2, 90), marked(3, (2 << 20) + 9)];
            let numbers = all.each_ref().map(|sent| accept(&queue, sent));
            assert_eq!(numbers, [1, 2, 3].map(Number));
            let good = accept(&queue, &marked(4, 90));
            drop(queue);
            tampered(dir, sql);
            let queue = opened(dir, &keys);
            let found = numbers.map(|number| (wait(queue.read(number)), number));
            let whole = found.iter().zip(&all).filter(|((found, _), sent)| {
                matches!(found, Ok(Some(found)) if found.body == sent.body && found.head == sent.head)
            });
            let is_damage =
                |found: &Result<_, _>| *found == Err(StoreError::Content(Unreadable::Changed));
            let damaged = found.iter().filter(|(found, _)| is_damage(found)).count();
            if damaged == 0 || damaged + whole.count() != 3 {
                failed.push(format!(
                    "{what}, with keys: {}: {damaged}",
                    keys.first().is_some()
                ));
            }
            let touches_all = read(&queue, good) == broken(Unreadable::Changed);
            let is_of_all = !sql.contains("number") && !sql.starts_with("flip");
            if touches_all != is_of_all {
                failed.push(format!("{what}: the fourth"));
            }
            drop(queue);
            if check(dir, &keys).unwrap().faults.is_empty() {
                failed.push(format!("{what}: check finds nothing"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_plain_delivery_among_encrypted_ones_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plain = tempfile::tempdir().unwrap();
    let forged = opened(plain.path(), &Keyring::default());
    for name in 1..3 {
        accept(&forged, &marked(name, 50));
    }
    drop(forged);
    let queue = opened(dir, &keys(&[1]));
    let good = accept(&queue, &marked(1, 50));
    drop(queue);
    let from = plain.path().join("queue.db");
    tampered(
        dir,
        &format!(
            "attach '{}' as other; insert into delivery select * from other.delivery where number = 2; \
             insert into content select * from other.content where number = 2",
            from.display()
        ),
    );
    let queue = opened(dir, &keys(&[1]));
    assert_eq!(read(&queue, Number(2)), broken(Unreadable::Plain));
    assert!(read(&queue, good).is_ok());
    let forms = queue.encrypted().unwrap();
    assert!(
        forms
            .iter()
            .any(|one| one.key.is_none() && !one.is_readable),
        "{forms:?}"
    );
    drop(queue);
    let faults = check(dir, &keys(&[1])).unwrap().faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].contains("number 2") && faults[0].contains("not encrypted"),
        "{faults:?}"
    );
}
