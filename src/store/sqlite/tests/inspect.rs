//! What an operator sees of the databases, beside a gateway that has them open.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::{delivery, entry, wait};
use crate::clock::Clock;
use crate::queue::State;
use crate::store::sealing::Keyring;
use crate::store::sqlite;
use crate::store::sqlite::{Info, MetaKey, OpenError, QueueDb, WindowDb, back_up};
use crate::store::{QueueStore as _, WindowStore as _};

fn info(dir: &Path) -> Result<Vec<Info>, OpenError> {
    sqlite::info(dir, &Keyring::default())
}

fn check(dir: &Path) -> Result<Vec<String>, OpenError> {
    let checked = sqlite::check(dir, &Keyring::default())?;
    assert!(checked.unchecked.is_empty());
    Ok(checked.faults)
}

#[test]
fn what_is_in_the_databases_is_told_and_copied_while_they_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    assert!(info(dir).is_err_and(|error| error.to_string().contains("neither queue.db nor")));
    let queue = QueueDb::open(dir, &Clock::system(), None).unwrap();
    let window = WindowDb::open(dir, &Clock::system(), None).unwrap();
    queue.route("one", "github").unwrap();
    window.set_meta(MetaKey::CleanStop, Some(b"")).unwrap();
    for (name, size) in [(1, 10), (2, 3 << 20)] {
        wait(queue.accept(delivery(name, size))).unwrap();
    }
    wait(window.append(vec![entry(1), entry(2)])).unwrap();
    let found = info(dir).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].changes, found[0].schema), (2, 1));
    assert_eq!((found[0].is_clean, found[1].is_clean), (None, Some(true)));
    let of_route = &found[0].deliveries;
    assert_eq!(of_route.len(), 1);
    assert_eq!((&*of_route[0].route, of_route[0].count), ("one", 2));
    assert_eq!(of_route[0].state, Some(State::Waiting));
    assert_eq!(of_route[0].bytes, (3 << 20) + 10 + 4);
    assert_eq!(check(dir).unwrap(), Vec::<String>::new());

    let to = dir.join("copy");
    let copies = back_up(dir, &to).unwrap();
    assert_eq!(copies.len(), 2);
    let again = back_up(dir, &to).map(|_| ());
    assert!(again.is_err(), "nothing is written over");
    for copy in &copies {
        let mode = fs::metadata(&copy.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{copy:?}");
    }
    let copied = info(&to).unwrap();
    assert_eq!(
        copied[1].is_clean,
        Some(false),
        "it starts as after power loss"
    );
    let copied = QueueDb::open(&to, &Clock::system(), None).unwrap();
    let mut numbers = Vec::new();
    copied
        .deliveries(&mut |delivery| numbers.push(delivery.number))
        .unwrap();
    assert_eq!(numbers.len(), 2);
    let content = wait(copied.read(numbers[1])).unwrap().unwrap();
    assert!(content.body == delivery(2, 3 << 20).body);
}

#[test]
fn faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let queue = QueueDb::open(dir, &Clock::system(), None).unwrap();
    for name in 1..6 {
        wait(queue.accept(delivery(name, if name == 4 { 2 << 20 } else { 1 }))).unwrap();
    }
    drop(queue);
    let id = |name| delivery(name, 0).id;
    let database = Connection::open(dir.join("queue.db")).unwrap();
    for sql in [
        "update content set body = x'00' where number = 5",
        "delete from content where number = 1",
        "delete from delivery where number = 2",
        "update claim set bytes = x'09' where number = 3",
        "update delivery set id = x'01' where number = 3",
        "delete from piece where number = (4 << 12) | 1",
    ] {
        database.execute(sql, ()).unwrap();
    }
    drop(database);
    let faults = check(dir).unwrap().join("\n");
    for words in [
        &format!("queue.db: the delivery {} (number 1) has neither", id(1)),
        "queue.db: the delivery of number 2 has head and body but",
        "queue.db: row 3 of the table claim",
        "queue.db: row 3 of the table delivery",
        "queue.db: the delivery of number 3 is damaged",
        &format!(
            "queue.db: the delivery {} (number 4) has a body of which",
            id(4)
        ),
        &format!("queue.db: the delivery {} (number 5) is damaged", id(5)),
    ] {
        assert!(faults.contains(words), "{words} in {faults}");
    }
    // A page of zeros in the middle.
    let path = dir.join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * 4096..4 * 4096].fill(0);
    fs::write(&path, bytes).unwrap();
    assert!(
        check(dir)
            .unwrap()
            .iter()
            .any(|fault| fault.starts_with("queue.db: "))
    );
}

/// SQLite deletes the log of an empty database, also where it only reads, and what was stored last with it.
#[test]
fn a_database_that_is_empty_while_its_log_is_not_is_named_and_nothing_is_deleted() {
    for empty in [
        |path: &Path| fs::write(path, b"").unwrap(),
        |path: &Path| fs::write(path, b"S").unwrap(),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let queue = QueueDb::open(dir, &Clock::system(), None).unwrap();
        wait(queue.accept(delivery(1, 1))).unwrap();
        let crashed = tempfile::tempdir().unwrap();
        let at = |name| crashed.path().join(name);
        for name in ["queue.db", "queue.db-wal"] {
            fs::copy(dir.join(name), at(name)).unwrap();
        }
        let (whole, log) = (fs::read(at("queue.db")), fs::read(at("queue.db-wal")));
        empty(&at("queue.db"));
        let faults = check(crashed.path()).unwrap().join("\n");
        let started = QueueDb::open(crashed.path(), &Clock::system(), None);
        for said in [
            faults,
            info(crashed.path()).unwrap_err().to_string(),
            back_up(crashed.path(), &at("copy"))
                .unwrap_err()
                .to_string(),
            started.unwrap_err().to_string(),
        ] {
            assert!(said.contains("and queue.db-wal beside it is not"), "{said}");
        }
        assert_eq!(fs::read(at("queue.db-wal")).unwrap(), log.unwrap());
        fs::write(at("queue.db"), whole.unwrap()).unwrap();
        let queue = QueueDb::open(crashed.path(), &Clock::system(), None).unwrap();
        assert_eq!(queue.stats().deliveries, 1);
    }
}

#[test]
fn a_queue_that_is_gone_beside_a_window_is_a_fault_and_no_backup_is_made_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    drop(QueueDb::open(dir, &Clock::system(), None).unwrap());
    drop(WindowDb::open(dir, &Clock::system(), None).unwrap());
    fs::remove_file(dir.join("queue.db")).unwrap();
    let faults = check(dir).unwrap();
    assert_eq!(faults.len(), 1);
    for said in [
        faults[0].clone(),
        info(dir).unwrap_err().to_string(),
        back_up(dir, &dir.join("copy")).unwrap_err().to_string(),
    ] {
        assert!(
            said.contains("queue.db is empty or missing, and window.db beside it is not"),
            "{said}"
        );
    }
    assert!(!dir.join("copy").exists());
}

/// It left its part, which took the room that the gateway needed.
#[test]
fn a_backup_that_fails_leaves_nothing_behind_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let queue = QueueDb::open(dir, &Clock::system(), None).unwrap();
    drop(WindowDb::open(dir, &Clock::system(), None).unwrap());
    for name in 0..20 {
        wait(queue.accept(delivery(name, 20_000))).unwrap();
    }
    drop(queue);
    let path = dir.join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8 * 4096..60 * 4096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let to = dir.join("copy");
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(&to).unwrap();
        }
        let said = back_up(dir, &to).unwrap_err().to_string();
        assert!(
            said.contains(&format!("{} is damaged", path.display())),
            "{said}"
        );
        assert!(
            said.ends_with("there is no backup: what was written of it was removed"),
            "{said}"
        );
        assert_eq!(to.exists(), is_there);
    }
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
}

#[test]
fn a_database_that_a_start_did_not_finish_holds_nothing_and_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let unfinished = dir.join("queue.db");
    let begun: [fn(&Path); 2] = [
        |path| fs::write(path, b"").unwrap(),
        |path| {
            let begun = Connection::open(path).unwrap();
            let journal = begun.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
            journal.unwrap();
        },
    ];
    for begin in begun {
        begin(&unfinished);
        for said in [
            info(dir).unwrap_err(),
            check(dir).unwrap_err(),
            back_up(dir, &dir.join("none")).unwrap_err(),
        ] {
            let said = said.to_string();
            assert!(
                said.contains("a first start") && said.contains("nothing is stored"),
                "{said}"
            );
        }
    }
    assert!(!dir.join("none").exists());
    drop(QueueDb::open(dir, &Clock::system(), None).unwrap());
    fs::write(dir.join("window.db"), b"").unwrap();
    assert_eq!(info(dir).unwrap().len(), 1);
    assert_eq!(check(dir).unwrap(), Vec::<String>::new());
    assert_eq!(back_up(dir, &dir.join("copy")).unwrap().len(), 1);
    drop(WindowDb::open(dir, &Clock::system(), None).unwrap());
    assert_eq!(info(dir).unwrap().len(), 2);
    // Of another program, on the other hand, nothing is passed over.
    fs::remove_file(&unfinished).unwrap();
    let other = Connection::open(&unfinished).unwrap();
    other.execute_batch("create table other (x)").unwrap();
    for said in [info(dir).unwrap_err(), check(dir).unwrap_err()] {
        assert!(matches!(said, OpenError::Foreign { .. }), "{said}");
    }
}
