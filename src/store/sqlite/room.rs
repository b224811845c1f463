//! The room that a database needs on its disk to go on with what it has (contract: State).
//!
//! A checkpoint may make the database longer by as much as is in the log. If the log took the last
//! free byte, no checkpoint could be made any more, and nothing could be written until somebody made
//! room. So the log is never longer than what is free: before a transaction that would make it so, the
//! writer puts the log into the database and gives its bytes back. What would still leave too little
//! is not written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::Connection;

use super::place::Place;
use super::{KINDS, PAGE};

/// The bytes that are always left for what becomes of deliveries that are kept, whatever
/// `state.keep_free` is. New deliveries are to be refused where no more is free.
pub const RESERVE: u64 = 4 << 20;

/// The bytes by which a delivery that is kept may make the database longer after its acceptance: what
/// its row says of it takes more room after the first attempt.
pub const LATER: u64 = 64;

/// The free bytes beside the logs from which on no transaction can take too many.
const PLENTY: u64 = 64 << 20;

/// The free bytes beside the logs of a disk that need not be looked at before every transaction.
const AMPLE: u64 = 4 * PLENTY;

/// The time for which such a disk is not looked at again. Nothing fills the difference within it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The most records of a transaction while there is not plenty of room.
pub(super) const FEW: usize = 8;

/// The bytes after which such a transaction takes no further record.
pub(super) const FEW_BYTES: u64 = 256 << 10;

/// The pages that a transaction may change beside those of its records.
const OF_ALL: u64 = 16;

/// The pages that a record may change beside those of its bytes.
const OF_EACH: u64 = 8;

/// What a record does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// It takes something out, so the database does not become longer.
    Gone,
    /// It says what became of something that is kept.
    Kept,
    /// It adds what can be refused or left out.
    More,
}

/// The disk of a database.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    /// The path of the database.
    path: PathBuf,
    /// Where it was opened.
    place: Place,
    /// The path of its log.
    log: PathBuf,
    /// The paths of the logs of the other databases in its directory.
    others: Vec<PathBuf>,
    /// The monotonic time, in nanoseconds, until which it was ample.
    ample_until: Arc<AtomicU64>,
    /// What tests say is free.
    #[cfg(test)]
    pretended: Arc<std::sync::Mutex<Option<u64>>>,
}

/// The room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// The bytes that this user may still write.
    pub(super) free: u64,
    /// The bytes of the log.
    pub(super) log: u64,
    /// The bytes of the logs of the other databases.
    pub(super) others: u64,
    /// The bytes of the pages of the database that hold nothing.
    pub(super) unused: u64,
    /// The deliveries in it.
    pub(super) deliveries: u64,
}

impl Disk {
    /// The disk of the database of this name, which was opened.
    pub(super) fn of(dir: &Path, name: &str) -> Self {
        let path = dir.join(name);
        let others = KINDS.iter().filter(|kind| kind.name != name);
        Self {
            place: Place::of(&path),
            log: log_of(&path),
            others: others.map(|kind| log_of(&dir.join(kind.name))).collect(),
            path,
            ample_until: Arc::default(),
            #[cfg(test)]
            pretended: Arc::default(),
        }
    }

    /// Believes that so many bytes are free.
    #[cfg(test)]
    pub(super) fn pretend_free(&self, bytes: Option<u64>) {
        *self.pretended.lock().unwrap() = bytes;
        self.ample_until.store(0, Relaxed);
    }

    /// The bytes that this user may still write; `None`: the file system does not say.
    pub(super) fn free(&self) -> Option<u64> {
        #[cfg(test)]
        if let Some(pretended) = *self.pretended.lock().unwrap() {
            return Some(pretended);
        }
        free_beside(&self.path)
    }

    /// Whether the database is still where it was opened.
    ///
    /// # Errors
    /// It was moved, removed or replaced.
    pub(super) fn in_place(&self) -> rusqlite::Result<()> {
        self.place.check()
    }

    /// The bytes of the database.
    pub(super) fn file_bytes(&self) -> u64 {
        size(&self.path)
    }

    /// The bytes of its log.
    pub(super) fn log_bytes(&self) -> u64 {
        size(&self.log)
    }

    /// The room where there is not plenty of it, without what the database itself knows.
    pub(super) fn scarce(&self) -> Option<Room> {
        self.room().filter(|room| room.is_below(PLENTY))
    }

    /// As [`scarce`](Self::scarce) before a transaction at this monotonic time: the system is asked again only after a
    /// while where there was ample room.
    pub(super) fn scarce_at(&self, now: Duration) -> Option<Room> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if nanos(now) < self.ample_until.load(Relaxed) {
            return None;
        }
        let room = self.room()?;
        if room.is_below(AMPLE) {
            return room.is_below(PLENTY).then_some(room);
        }
        self.ample_until
            .store(nanos(now.saturating_add(LOOK_AGAIN)), Relaxed);
        None
    }

    /// The room, without what the database itself knows; `None`: the file system does not say.
    fn room(&self) -> Option<Room> {
        Some(Room {
            free: self.free()?,
            log: self.log_bytes(),
            others: self.others.iter().map(|log| size(log)).sum(),
            unused: 0,
            deliveries: 0,
        })
    }
}

impl Room {
    /// Whether fewer bytes are free beside the logs.
    fn is_below(self, bytes: u64) -> bool {
        self.free < bytes.saturating_add(self.logs())
    }

    fn logs(self) -> u64 {
        self.log.saturating_add(self.others)
    }

    /// The most room that there can be once the log was put into the database.
    fn without_log(self) -> Self {
        Self {
            free: self.free.saturating_add(self.log),
            log: 0,
            ..self
        }
    }

    /// Whether a transaction that changes so many bytes may be written.
    pub(super) fn fits(self, purpose: Purpose, bytes: u64) -> bool {
        let left = match purpose {
            Purpose::Gone => 0,
            Purpose::Kept => RESERVE / 4,
            Purpose::More => LATER
                .saturating_mul(self.deliveries)
                .saturating_add(RESERVE / 2),
        };
        // The bytes are in the log first, and then in the database too.
        let log = bytes.saturating_mul(2).saturating_add(self.logs());
        let all = self.free.saturating_add(self.unused);
        self.free >= log && all >= log.saturating_add(left)
    }
}

/// Whether a transaction that changes so many bytes may be written. Where the room of the log makes it
/// enough, `empty` puts the log into the database. `look` says what room there is; `None`: plenty.
///
/// # Errors
/// Those of `look` and `empty`.
pub(super) fn finds_room(
    look: impl Fn() -> rusqlite::Result<Option<Room>>,
    (purpose, bytes): (Purpose, u64),
    empty: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<bool> {
    let Some(room) = look()? else {
        return Ok(true);
    };
    if room.fits(purpose, bytes) {
        return Ok(true);
    }
    if !room.without_log().fits(purpose, bytes) {
        return Ok(false);
    }
    empty()?;
    Ok(look()?.is_none_or(|room| room.fits(purpose, bytes)))
}

/// The most bytes that a transaction writes with so many records of so many bytes in all.
pub(super) fn most_bytes(records: usize, bytes: u64) -> u64 {
    let pages = OF_EACH
        .saturating_mul(records as u64)
        .saturating_add(OF_ALL);
    bytes.saturating_add(pages.saturating_mul(PAGE))
}

/// The path of the log that SQLite keeps beside a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    super::beside(path, "-wal")
}

/// The bytes that this user may still write on the disk of a file; `None`: the file system does not say.
pub(super) fn free_beside(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    // Some file systems of networks have no size.
    let is_known = found.f_blocks > 0;
    is_known.then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// The bytes of the pages that hold nothing.
pub(super) fn unused_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages: u64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(pages.saturating_mul(PAGE))
}

/// The error of a transaction for which there is no room.
pub(super) fn full() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    let words = "the disk has no room for what is to be written and for the log";
    rusqlite::Error::SqliteFailure(code, Some(words.to_owned()))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(free: u64, log: u64) -> Room {
        Room {
            free,
            log,
            others: 0,
            unused: 0,
            deliveries: 0,
        }
    }

    #[test]
    fn after_a_transaction_the_logs_are_no_longer_than_what_is_free() {
        for purpose in [Purpose::Gone, Purpose::Kept, Purpose::More] {
            for logs in [0, MIB, 30 * MIB] {
                for bytes in [1, PAGE, MIB] {
                    let fits = |free| {
                        let mut both = room(free, logs / 2);
                        both.others = logs - logs / 2;
                        both.fits(purpose, bytes)
                    };
                    let least = (0..64 * MIB).step_by(4096).find(|free| fits(*free));
                    let least = least.unwrap_or(u64::MAX);
                    // All of it makes the log longer.
                    assert!(least - bytes >= logs + bytes, "{purpose:?} {logs} {bytes}");
                    assert!(fits(least + MIB));
                }
            }
        }
    }

    #[test]
    fn what_can_wait_leaves_room_for_what_cannot() {
        let least = |purpose| {
            let mut frees = (0..64 * MIB).step_by(4096);
            frees.find(|free| room(*free, 0).fits(purpose, MIB))
        };
        assert_eq!(least(Purpose::Gone), Some(2 * MIB));
        assert_eq!(least(Purpose::Kept), Some(3 * MIB));
        assert_eq!(least(Purpose::More), Some(4 * MIB));
        // The rows of deliveries that are kept may still become longer.
        let mut many = room(4 * MIB, 0);
        many.deliveries = 1000;
        assert!(!many.fits(Purpose::More, MIB));
        many.free += 1000 * LATER;
        assert!(many.fits(Purpose::More, MIB));
    }

    #[test]
    fn pages_that_hold_nothing_are_room_for_rows_and_not_for_the_log() {
        let mut used = room(2 * MIB, 0);
        assert!(!used.fits(Purpose::More, MIB));
        used.unused = 2 * MIB;
        assert!(used.fits(Purpose::More, MIB));
        used.free -= 1;
        used.unused = 100 * MIB;
        assert!(!used.fits(Purpose::Gone, MIB));
    }

    #[test]
    fn a_full_transaction_is_small_beside_plenty() {
        let most = most_bytes(256, (8 << 20) + (2 << 20));
        let plenty = room(PLENTY, 0);
        assert!(plenty.fits(Purpose::Kept, most));
        assert!(room(RESERVE, 0).fits(Purpose::Kept, most_bytes(FEW, FEW_BYTES)));
    }
}
