//! A database and the log beside it: whether they belong together (contract: State).
//!
//! A log does not name its database, and SQLite takes whichever log lies beside one: a restored backup
//! beside the log of the files before it would be read as a mixture of both. But a database says in its
//! header whether it has had a log. [`Kind::open`](super::file::Kind::open) has that written there, and
//! synced, before SQLite makes a log, and a copy by `vacuum into` has never had one. So a log beside such a
//! copy is that of another database.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use super::open_error::OpenError;
use super::room::log_of;

/// The bytes of the header of a log. A log that has no more holds nothing
/// (<https://sqlite.org/fileformat2.html>, "The Write-Ahead Log").
const LOG_HEADER: u64 = 32;

/// Whether a database has never had a log: it is a backup, and no gateway has opened it since
/// (<https://sqlite.org/fileformat2.html>, "The Database Header"). A file that is no database, or that cannot be
/// read, is no copy.
///
/// Closing the file drops every lock that SQLite has on it in this process, so a process asks before it has a
/// connection to the file.
pub(super) fn is_unused_copy(path: &Path) -> bool {
    // The versions for writing and for reading are its last bytes: 1, and 2 from the first log on.
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.starts_with(b"SQLite format 3\0") && header.ends_with(&[1, 1])
}

/// Refuses a backup beside a log in which something is: SQLite would mix them.
///
/// # Errors
/// [`OpenError::ForeignLog`].
pub(super) fn refuse_another_log(path: &Path) -> Result<(), OpenError> {
    let log = log_of(path);
    let holds_something = fs::metadata(&log).is_ok_and(|log| log.len() > LOG_HEADER);
    if !holds_something || !is_unused_copy(path) {
        return Ok(());
    }
    let name = log.file_name().unwrap_or_default();
    Err(OpenError::ForeignLog {
        path: path.to_owned(),
        log: name.to_string_lossy().into_owned(),
    })
}

/// Refuses a database that has nothing while its log has something: SQLite would delete the log, in which may be
/// what was stored last, also where it only reads.
///
/// # Errors
/// [`OpenError::Lost`].
pub(super) fn refuse_a_log_alone(path: &Path) -> Result<(), OpenError> {
    // SQLite takes a file of one byte for an empty one.
    let is_empty = |path: &Path| fs::metadata(path).is_ok_and(|file| file.len() <= 1);
    let log = log_of(path);
    let is_lost = (is_empty(path) || !path.exists()) && log.exists() && !is_empty(&log);
    if !is_lost {
        return Ok(());
    }
    let name = log.file_name().unwrap_or_default();
    Err(OpenError::Lost {
        path: path.to_owned(),
        log: name.to_string_lossy().into_owned(),
    })
}
