//! A checkpoint: pages of the log are put into the database (contract: State).
//!
//! SQLite counts the pages that were put there, and a later checkpoint begins behind them. It syncs the
//! database at the end of one after which the log has no other page, and takes that for a sync of all of
//! them; what was written while it was made counts as such a page.
//!
//! But when a sync fails, the system may have dropped the pages that it could not write, and the next
//! sync says nothing about those. So after a failure the count begins at zero, and every page of the log
//! is put into the database again until a sync has covered all of them. The log has them until then.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError, TryLockError};

use rusqlite::Connection;

use super::stats::ErrorKind;
use super::{PAGE, beside};

/// What a checkpoint has found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Whether somebody was in its way.
    is_busy: bool,
    /// The pages in the log.
    log_pages: i64,
    /// As many of them as are in the database.
    done_pages: i64,
}

impl Checkpoint {
    /// What SQLite says where another checkpoint is being made.
    const NONE: Self = Self {
        is_busy: true,
        log_pages: -1,
        done_pages: -1,
    };

    /// Whether all pages that were in the log at its beginning are in the database.
    pub(super) fn is_complete(self) -> bool {
        !self.is_busy && self.log_pages == self.done_pages
    }

    /// The bytes of these pages.
    pub(super) fn log_bytes(self) -> u64 {
        u64::try_from(self.log_pages).unwrap_or_default() * PAGE
    }
}

fn checkpoint(connection: &Connection, kind: &str) -> rusqlite::Result<Checkpoint> {
    connection.query_row(&format!("pragma wal_checkpoint({kind})"), (), |row| {
        Ok(Checkpoint {
            is_busy: row.get(0)?,
            log_pages: row.get(1)?,
            done_pages: row.get(2)?,
        })
    })
}

/// The kind of checkpoint that lets nobody write until it has ended, and leaves an empty log.
pub(super) const TRUNCATE: &str = "TRUNCATE";

/// The kind of checkpoint beside which others write.
pub(super) const PASSIVE: &str = "PASSIVE";

/// The version of the index of a log that SQLite has had since it knows logs, and the places of the
/// version and of the count in it (<https://sqlite.org/walformat.html>, "The WAL-Index Header").
const INDEX_VERSION: u32 = 3_007_000;
const VERSION_AT: u64 = 0;
const COUNT_AT: u64 = 96;

/// The checkpoints that this process makes of a database.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// The index that SQLite keeps of the log, in memory that is shared by means of this file. Closing
    /// it drops every lock that SQLite has on it in this process, so it stays open as long as there are
    /// connections.
    index: File,
    /// Whether pages that were put into the database may be lost since a sync covered all of them.
    // A lock: it is held while a checkpoint is made, so that none goes on from a count that has begun
    // again meanwhile.
    has_lost: Mutex<bool>,
}

impl Checkpoints {
    /// Those of the database at `path`, to which this is a connection.
    ///
    /// # Errors
    /// The index cannot be opened.
    pub(super) fn of(path: &Path, connection: &Connection) -> io::Result<Self> {
        // SQLite makes the index when the database is read for the first time.
        connection
            .query_row("select count(*) from sqlite_schema", (), |_| Ok(()))
            .map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        let index = options.read(true).write(true);
        Ok(Self {
            index: index.open(beside(path, "-shm"))?,
            has_lost: Mutex::new(false),
        })
    }

    /// Makes a checkpoint of this kind. While another thread makes one, none is made: that is what SQLite
    /// does, and the writer must not wait for a disk that hangs.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn make(&self, connection: &Connection, kind: &str) -> rusqlite::Result<Checkpoint> {
        let mut has_lost = match self.has_lost.try_lock() {
            Ok(free) => free,
            Err(TryLockError::Poisoned(free)) => free.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(Checkpoint::NONE),
        };
        if *has_lost {
            self.count_anew()?;
        }
        let made = checkpoint(connection, kind);
        match &made {
            // Nobody has written meanwhile, so SQLite has synced all of them.
            Ok(found) if found.is_complete() && kind == TRUNCATE => *has_lost = false,
            Err(error) if ErrorKind::of(error) == ErrorKind::Sync => *has_lost = true,
            _ => {}
        }
        if *has_lost {
            self.count_anew()?;
        }
        made
    }

    /// A sync of the database failed: whatever was put there may be lost.
    ///
    /// # Errors
    /// The index cannot be written.
    pub(super) fn have_lost(&self) -> rusqlite::Result<()> {
        let mut has_lost = self.has_lost.lock().unwrap_or_else(PoisonError::into_inner);
        *has_lost = true;
        self.count_anew()
    }

    /// Lets the next checkpoint begin with the first page of the log. Whoever reads finds all of it there,
    /// as before the first checkpoint.
    fn count_anew(&self) -> rusqlite::Result<()> {
        let mut version = [0; 4];
        let read = self.index.read_exact_at(&mut version, VERSION_AT);
        let written = read.and_then(|()| {
            if u32::from_ne_bytes(version) != INDEX_VERSION {
                return Err(io::Error::other("the index of the log has an unknown form"));
            }
            self.index.write_all_at(&0_u32.to_ne_bytes(), COUNT_AT)
        });
        written.map_err(|error| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
        })
    }
}
