//! A checkpoint: pages of the log are put into the database (contract: State).

use rusqlite::Connection;

use super::PAGE;

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
    pub(super) fn is_complete(self) -> bool {
        !self.is_busy && self.log_pages == self.done_pages
    }

    /// The bytes of these pages.
    pub(super) fn log_bytes(self) -> u64 {
        u64::try_from(self.log_pages).unwrap_or_default() * PAGE
    }
}

/// Makes a checkpoint of this kind.
pub(super) fn checkpoint(connection: &Connection, kind: &str) -> rusqlite::Result<Checkpoint> {
    connection.query_row(&format!("pragma wal_checkpoint({kind})"), (), |row| {
        Ok(Checkpoint {
            is_busy: row.get(0)?,
            log_pages: row.get(1)?,
            done_pages: row.get(2)?,
        })
    })
}
