//! The journal of the replay window: a table of rows that hold changes one after the other, in the
//! order in which they were made (contract: State).
//!
//! Not a table by key: keys are digests, so each change would touch another page.

use std::sync::atomic::Ordering::Relaxed;

use rusqlite::{Connection, Statement, params};

use super::stats::Shared;
use super::{failure, integer};
use crate::replay::passing::Change;
use crate::store::StoreError;

/// The statement that makes the table.
pub(super) const SCHEMA: &str = "create table claim (
    number integer primary key,
    changes integer not null,
    bytes blob not null
) strict;";

/// The bytes from which on a row is full. A change has some hundred.
pub(super) const FULL_ROW: usize = 32 << 10;

/// Changes that go into rows.
#[derive(Debug)]
pub(super) struct Journal {
    /// The changes of the row that is not full yet.
    bytes: Vec<u8>,
    changes: u64,
    /// All changes of the transaction.
    uncommitted: u64,
}

impl Journal {
    /// The statement that `write` and `finish` need. SQLite gives the row the next number in the file:
    /// during an upgrade another process may have written the last row.
    pub(super) fn statement(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
        connection.prepare("insert into claim (changes, bytes) values (?1, ?2)")
    }

    /// The journal of a database, of which `shared` gets the number of changes.
    pub(super) fn open(connection: &Connection, shared: &Shared) -> rusqlite::Result<Self> {
        let counted = "select coalesce(sum(changes), 0) from claim";
        let changes = connection.query_row(counted, (), |row| row.get(0))?;
        shared.changes.store(changes, Relaxed);
        Ok(Self {
            bytes: Vec::new(),
            changes: 0,
            uncommitted: 0,
        })
    }

    /// Adds a change to the transaction.
    pub(super) fn write(
        &mut self,
        insert: &mut Statement<'_>,
        change: &Change,
    ) -> rusqlite::Result<()> {
        change.write(&mut self.bytes);
        self.changes += 1;
        self.uncommitted += 1;
        if self.bytes.len() >= FULL_ROW {
            return self.finish(insert);
        }
        Ok(())
    }

    /// Writes the row that is not full, before the commit.
    pub(super) fn finish(&mut self, insert: &mut Statement<'_>) -> rusqlite::Result<()> {
        if self.changes == 0 {
            return Ok(());
        }
        insert.execute(params![integer(self.changes), self.bytes])?;
        self.bytes.clear();
        self.changes = 0;
        Ok(())
    }

    /// The transaction was committed.
    pub(super) fn committed(&mut self, shared: &Shared) {
        let changes = std::mem::take(&mut self.uncommitted);
        shared.changes.fetch_add(changes, Relaxed);
    }

    /// The transaction was rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.bytes.clear();
        self.changes = 0;
        self.uncommitted = 0;
    }
}

/// Calls `each` with every change, in order. `name` is that of the database.
///
/// # Errors
/// [`StoreError`].
pub(super) fn read_all(
    connection: &Connection,
    name: &str,
    each: &mut dyn FnMut(Change),
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| failure(name, &error);
    let mut select = connection
        .prepare("select number, bytes from claim order by number")
        .map_err(failed)?;
    let mut rows = select.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let bytes = row.get_ref(1).map_err(failed)?;
        let is_whole = bytes
            .as_blob()
            .is_ok_and(|bytes| Change::read_all(bytes, &mut *each));
        if !is_whole {
            let number: i64 = row.get(0).map_err(failed)?;
            return Err(damaged_row(name, number));
        }
    }
    Ok(())
}

pub(super) fn damaged_row(name: &str, number: i64) -> StoreError {
    StoreError::Damaged(format!("{name}: row {number} of the table claim cannot be read").into())
}
