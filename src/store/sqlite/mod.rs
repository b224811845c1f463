//! The embedded store: SQLite in WAL mode, a database for deliveries and one for the replay window
//! (contract: State).
//!
//! Each database has one thread that writes ([`writer`]) and one that looks after its files
//! ([`upkeep`]); the queue has a third one that reads. Whoever calls waits for none of them but by a
//! channel.

mod checkpoint;
mod compaction;
mod database;
mod faults;
mod file;
mod inspect;
mod journal;
mod logs;
mod meta;
mod open_error;
mod pace;
mod pair;
mod place;
mod queue;
mod room;
mod stats;
mod turns;
mod upkeep;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use inspect::{Backup, Checked, Deliveries, Info, back_up, check, info};
pub use meta::MetaKey;
pub use open_error::OpenError;
pub use pair::judge;
pub use queue::{Encrypted, Head, QueueDb};
pub use room::{LATER, RESERVE};
pub use stats::{ErrorKind, Errors, Observer, Stats};
pub use window::WindowDb;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::StoreError;
use file::Kind;

/// The bytes of a page of a database.
const PAGE: u64 = 4096;

/// The kinds of databases that a directory may have.
static KINDS: [&Kind; 2] = [&queue::KIND, &window::KIND];

/// What is said of an operation of a store that was closed.
const CLOSED: &str = "the store is closed";

/// The answer to an operation of the database called `name` that failed.
fn failure(name: &str, error: &rusqlite::Error) -> StoreError {
    match ErrorKind::of(error) {
        ErrorKind::Damaged => StoreError::Damaged(said(name, error)),
        _ => StoreError::Unavailable(said(name, error)),
    }
}

/// What is said of an operation of the database called `name` that failed.
fn said(name: &str, error: &rusqlite::Error) -> Arc<str> {
    let words = in_words(error);
    match ErrorKind::of(error) {
        ErrorKind::Full => format!("{name}: {words}: make room on the disk of `state.dir`").into(),
        _ => format!("{name}: {words}").into(),
    }
}

/// The words of SQLite about an error, with the number by which its documentation knows it.
fn in_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(words)) => {
            // SQLite takes a read that ends with EIO for damage of the file.
            let or = match code.code {
                ErrorCode::DatabaseCorrupt => ", or the disk fails to read it",
                _ => "",
            };
            format!("{words}{or} (SQLite error {})", code.extended_code)
        }
        other => other.to_string(),
    }
}

/// The path of a file that SQLite keeps beside a database.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A whole number as SQLite has them. Numbers above its range do not come up: they are counts, and
/// times of the next centuries.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
