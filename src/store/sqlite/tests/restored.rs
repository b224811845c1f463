//! What a restore leaves in a directory: logs of the files before it, and files of two backups.

use std::fs;
use std::path::{Path, PathBuf};

use super::{delivery, entry, wait};
use crate::clock::Clock;
use crate::key::secret::SecretText;
use crate::store::sealing::Keyring;
use crate::store::sqlite::logs::is_unused_copy;
use crate::store::sqlite::meta::{self, MetaKey};
use crate::store::sqlite::{KINDS, OpenError, QueueDb, WindowDb, back_up, check, info, judge};
use crate::store::{QueueStore as _, WindowStore as _};

/// The files of both databases.
const FILES: [&str; 6] = [
    "queue.db",
    "queue.db-wal",
    "queue.db-shm",
    "window.db",
    "window.db-wal",
    "window.db-shm",
];

fn opened(dir: &Path) -> (QueueDb, WindowDb) {
    let queue = QueueDb::open(dir, &Clock::system(), None).unwrap();
    let window = WindowDb::open(dir, &Clock::system(), None).unwrap();
    (queue, window)
}

/// Stores a delivery and an entry of the window.
fn use_both((queue, window): &(QueueDb, WindowDb), name: u8) {
    wait(queue.accept(delivery(name, 1))).unwrap();
    wait(window.append(vec![entry(u128::from(name))])).unwrap();
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for name in names {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Directories in one folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A gateway that was killed after two backups: its files are in `killed`, the backups in `first` and `second`.
    fn killed() -> Self {
        let folder = Self::new();
        let dir = folder.dir("state");
        fs::create_dir(&dir).unwrap();
        let both = opened(&dir);
        for (name, backup) in [(1, "first"), (2, "second")] {
            use_both(&both, name);
            back_up(&dir, &folder.dir(backup)).unwrap();
        }
        use_both(&both, 3);
        copy(&dir, &folder.dir("killed"), &FILES);
        drop(both);
        copy(&dir, &folder.dir("stopped"), &FILES);
        folder
    }

    /// What is said of `dir` by all that look at it.
    fn said(&self, dir: &Path) -> Vec<String> {
        let keys = Keyring::default();
        let checked = check(dir, &keys).unwrap();
        let backup = back_up(dir, &self.dir("none")).unwrap_err();
        let judged = judge(dir).unwrap_err();
        vec![
            checked.faults.join("\n"),
            backup.to_string(),
            judged.to_string(),
        ]
    }
}

fn has_faults(dir: &Path) -> bool {
    !check(dir, &Keyring::default()).unwrap().faults.is_empty()
}

fn bytes(dir: &Path) -> Vec<Option<Vec<u8>>> {
    FILES.map(|name| fs::read(dir.join(name)).ok()).into()
}

/// SQLite put what was in the old log into the backup, and everything went on without a word.
#[test]
fn a_backup_beside_the_log_of_the_files_before_it_is_refused_and_nothing_is_changed() {
    for which in ["queue.db", "window.db"] {
        let folder = Folder::killed();
        let dir = folder.dir("killed");
        copy(&folder.dir("first"), &dir, &[which]);
        let before = bytes(&dir);
        let opened = match which {
            "queue.db" => QueueDb::open(&dir, &Clock::system(), None).map(drop),
            _ => WindowDb::open(&dir, &Clock::system(), None).map(drop),
        };
        let looked = info(&dir, &Keyring::default()).map(drop);
        let mut said = folder.said(&dir);
        said.extend([opened, looked].map(|result| result.unwrap_err().to_string()));
        for said in said {
            let words = format!("is a backup, and {which}-wal beside it is the log of another");
            assert!(said.contains(&words), "{said}");
        }
        // The index of a log is made anew by whoever reads it first.
        let changed = bytes(&dir)
            .into_iter()
            .zip(before)
            .zip(FILES)
            .filter(|((after, before), name)| after != before && !name.ends_with("-shm"))
            .count();
        assert_eq!(changed, 0);
    }
    let folder = Folder::killed();
    let dir = folder.dir("killed");
    copy(&folder.dir("first"), &dir, &["queue.db", "window.db"]);
    assert!(matches!(judge(&dir), Err(OpenError::ForeignLog { .. })));
    for name in FILES.iter().filter(|name| name.contains('-')) {
        fs::remove_file(dir.join(name)).unwrap();
    }
    assert!(!has_faults(&dir));
    judge(&dir).unwrap();
    assert_eq!(opened(&dir).0.stats().deliveries, 1);
}

/// A log without a frame is what a gateway leaves that had just put its log into the database. SQLite goes on with it
/// and says nowhere that the database has a log: after the next kill it looked like that of another one.
#[test]
fn a_backup_that_a_gateway_has_used_is_not_taken_for_one_after_a_kill() {
    for log in [None, Some(0), Some(32)] {
        let folder = Folder::killed();
        let dir = folder.dir("restored");
        copy(&folder.dir("first"), &dir, &FILES);
        for kind in KINDS {
            let of_other = fs::read(folder.dir("killed").join(format!("{}-wal", kind.name)));
            if let (Some(length), Ok(of_other)) = (log, of_other) {
                let beside = dir.join(format!("{}-wal", kind.name));
                fs::write(beside, &of_other[..length]).unwrap();
            }
        }
        judge(&dir).unwrap();
        let both = opened(&dir);
        use_both(&both, 4);
        let killed = folder.dir("killed again");
        copy(&dir, &killed, &FILES);
        drop(both);
        judge(&killed).unwrap();
        assert!(!has_faults(&killed));
        assert_eq!(opened(&killed).0.stats().deliveries, 2, "{log:?}");
    }
}

/// SQLite fills a file that it writes anew from one that has never had a log.
#[test]
fn a_backup_that_was_encrypted_at_its_first_start_is_not_taken_for_one_after_a_kill() {
    let folder = Folder::killed();
    let dir = folder.dir("first");
    let keys = Keyring::new([SecretText::new((0..32).collect())]);
    let queue = QueueDb::open_with(&dir, &Clock::system(), None, keys, false).unwrap();
    wait(queue.accept(delivery(4, 1))).unwrap();
    let killed = folder.dir("killed again");
    copy(&dir, &killed, &FILES);
    drop(queue);
    for dir in [killed, dir] {
        assert!(!is_unused_copy(&dir.join("queue.db")));
        judge(&dir).unwrap();
    }
}

#[test]
fn a_queue_of_a_backup_beside_a_window_that_is_not_of_it_is_refused() {
    for (queue, window) in [
        ("first", "stopped"),
        ("first", "second"),
        ("second", "first"),
    ] {
        let folder = Folder::killed();
        let dir = folder.dir("restored");
        copy(&folder.dir(queue), &dir, &["queue.db"]);
        copy(&folder.dir(window), &dir, &["window.db"]);
        for said in folder.said(&dir) {
            let words =
                "is a backup, and window.db beside it is not of the same backup: restore both";
            assert!(said.contains(words), "{queue} {window}: {said}");
        }
        // What the message proposes.
        fs::remove_file(dir.join("window.db")).unwrap();
        judge(&dir).unwrap();
        drop(opened(&dir));
    }
}

/// The window says by itself that it lacks something, and a start that was killed leaves just that.
#[test]
fn a_window_of_a_backup_beside_a_queue_in_use_is_not_refused() {
    let folder = Folder::killed();
    let dir = folder.dir("restored");
    copy(&folder.dir("stopped"), &dir, &["queue.db"]);
    copy(&folder.dir("first"), &dir, &["window.db"]);
    judge(&dir).unwrap();
    // A start of both that is killed when it has taken the first into use.
    let dir = folder.dir("killed at the start");
    copy(&folder.dir("first"), &dir, &FILES);
    drop(QueueDb::open(&dir, &Clock::system(), None).unwrap());
    judge(&dir).unwrap();
    let (_, window) = opened(&dir);
    assert_eq!(window.meta(MetaKey::Boot).unwrap(), None);
}

/// An earlier version has made it.
#[test]
fn a_backup_without_a_mark_goes_on_as_ever() {
    let folder = Folder::killed();
    let dir = folder.dir("first");
    for kind in KINDS {
        let path = dir.join(kind.name);
        let copy = rusqlite::Connection::open(path).unwrap();
        meta::write(&copy, MetaKey::Backup, None).unwrap();
    }
    judge(&dir).unwrap();
    assert!(!has_faults(&dir));
    assert_eq!(opened(&dir).0.stats().deliveries, 1);
    judge(&dir).unwrap();
}

/// `run` refused them, and `check` found no fault.
#[test]
fn files_of_two_gateways_are_a_fault_and_stay_so_in_a_copy() {
    let folder = Folder::new();
    let dir = folder.dir("state");
    fs::create_dir(&dir).unwrap();
    let (queue, window) = opened(&dir);
    queue.set_meta(MetaKey::DigestKey, Some(&[1; 16])).unwrap();
    drop(queue);
    window.set_meta(MetaKey::DigestKey, Some(&[2; 16])).unwrap();
    drop(window);
    let to = folder.dir("copy");
    back_up(&dir, &to).unwrap();
    for dir in [dir, to] {
        let found = check(&dir, &Keyring::default()).unwrap();
        assert_eq!(found.faults, [OpenError::Strangers.to_string()]);
        assert!(matches!(judge(&dir), Err(OpenError::Strangers)));
    }
}

#[test]
fn a_fact_without_which_no_gateway_starts_is_a_fault() {
    let folder = Folder::killed();
    let dir = folder.dir("stopped");
    let window = WindowDb::open(&dir, &Clock::system(), None).unwrap();
    window.set_meta(MetaKey::DigestKey, Some(&[1; 15])).unwrap();
    window.set_meta(MetaKey::Complete, Some(&[1; 9])).unwrap();
    drop(window);
    let found = check(&dir, &Keyring::default()).unwrap();
    let expected =
        ["key of digests", "time"].map(|fact| format!("window.db: its {fact} is broken"));
    assert_eq!(found.faults, expected);
}
