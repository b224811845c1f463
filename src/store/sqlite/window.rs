//! `window.db`: what the replay window of relay routes has done, in order (contract: State).
//!
//! A commit writes to the file, so no crash of the process loses what was answered. It does not wait
//! for a sync, which follows within a second.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_channel::oneshot;
use rusqlite::{Connection, Statement};

use super::database::{Database, Opened};
use super::file::Kind;
use super::journal::{self, Journal};
use super::meta::{self, MetaKey};
use super::open_error::OpenError;
use super::room::Purpose;
use super::stats::{Errors, Observer, Shared, Stats};
use super::writer::{Ledger, Left, Written};
use crate::clock::Clock;
use crate::replay::passing::Change;
use crate::store::{Pending, StoreError, WindowStore};

pub(super) static KIND: Kind = Kind {
    name: "window.db",
    // "vgWi"
    application: 0x7667_5769,
    steps: &[&[journal::SCHEMA, meta::SCHEMA]],
    commits_sync: false,
};

/// The changes that are kept in memory while nothing can be written.
const MOST_HELD: usize = 500_000;

/// The database of the window.
#[derive(Debug)]
pub struct WindowDb {
    database: Database<Appending>,
}

/// Changes on their way into the database.
#[derive(Debug)]
pub(super) struct Appending {
    changes: Vec<Change>,
    /// `None`: it was answered that they cannot be written now.
    answer: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// The rows of `window.db`.
struct Window {
    shared: Arc<Shared>,
    journal: Journal,
    /// The number of changes that are kept to be written later.
    held: usize,
}

impl WindowDb {
    /// Opens `window.db` in `dir`, which this process must have for itself. It is made where there is
    /// none. `clock` is the one by which the window measures its entries; `observer` hears of every
    /// sync.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path, clock: &Clock, observer: Option<Observer>) -> Result<Self, OpenError> {
        let ledger = |opened: Opened<'_>, shared: Arc<Shared>| {
            Ok(Window {
                journal: Journal::open(opened.connection, &shared)?,
                shared,
                held: 0,
            })
        };
        let database = Database::open(&KIND, dir, clock, observer, ledger)?;
        Ok(Self { database })
    }

    /// Whether the file was made by [`open`](Self::open).
    pub fn is_new(&self) -> bool {
        self.database.is_new()
    }

    /// The errors of the file since the start. Does not wait for the disk.
    pub fn errors(&self) -> Errors {
        self.database.shared.errors()
    }

    /// What the database says of itself.
    pub fn stats(&self) -> Stats {
        self.database.stats()
    }

    /// Reads a fact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.meta(key)
    }

    /// Writes a fact, or removes it, and returns when no crash of the process can lose that.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn set_meta(&self, key: MetaKey, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.database.set_meta(key, value)
    }

    /// Whether nothing can be written now.
    pub fn is_failing(&self) -> bool {
        self.database.shared.is_failing()
    }

    /// Returns when all that was asked for before is written, so that no crash of the process can lose
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()
    }

    /// Returns when no loss of power can take what was written before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.database.sync_log()
    }

    /// Whether changes were dropped that could not be written for long, so that the whole window must be
    /// written. Does not wait for the disk.
    pub fn is_behind(&self) -> bool {
        self.database.shared.is_behind.load(Relaxed)
    }

    /// Says that the whole window is written now, after [`is_behind`](Self::is_behind).
    pub fn caught_up(&self) {
        self.database.shared.is_behind.store(false, Relaxed);
    }

    /// Writes what was asked for before, syncs it, and ends. Everything that is asked for afterwards
    /// is refused.
    pub fn close(&self) {
        self.database.close();
    }

    /// As [`close`](Self::close), for a file that another process goes on writing: its log stays as it
    /// is, since writers wait while it is put into the database.
    pub fn leave(&self) {
        self.database.stop();
    }

    /// Believes that so many bytes of the disk are free.
    #[cfg(test)]
    pub(super) fn pretend_free(&self, bytes: Option<u64>) {
        self.database.disk.pretend_free(bytes);
    }

    /// The transactions in which records were written.
    #[cfg(test)]
    pub(super) fn transactions(&self) -> u64 {
        self.database.shared.transactions.load(Relaxed)
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &super::faults::Faults {
        &self.database.faults
    }
}

impl Drop for WindowDb {
    fn drop(&mut self) {
        self.close();
    }
}

impl WindowStore for WindowDb {
    fn append(&self, changes: Vec<Change>) -> Pending<()> {
        let (answer, pending) = oneshot::channel();
        let answer = Some(answer);
        if let Err((appending, error)) = self.database.write(Appending { changes, answer }) {
            appending.answer(Err(error));
        }
        pending
    }

    fn changes(&self, each: &mut dyn FnMut(Change)) -> Result<(), StoreError> {
        journal::read_all(&self.database.reader()?, KIND.name, each)
    }
}

impl Appending {
    fn answer(self, result: Result<(), StoreError>) {
        if let Some(answer) = self.answer {
            let _ = answer.send(result);
        }
    }
}

impl Ledger for Window {
    type Record = Appending;
    type Statements<'c> = Statement<'c>;

    const UNWRITTEN: &'static str =
        "copies of what was forwarded meanwhile pass once more after the next start";

    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Statement<'c>> {
        Journal::statement(connection)
    }

    fn weight(record: &Appending) -> u64 {
        128 * record.changes.len() as u64
    }

    fn purpose(_: &Appending) -> Purpose {
        Purpose::Kept
    }

    fn lessen(&mut self, record: Appending, _: &StoreError) -> Option<Appending> {
        Some(record)
    }

    fn write(
        &mut self,
        insert: &mut Statement<'_>,
        record: &mut Appending,
    ) -> rusqlite::Result<Written> {
        for change in &record.changes {
            self.journal.write(insert, change)?;
        }
        Ok(Written::Whole)
    }

    fn finish(&mut self, insert: &mut Statement<'_>) -> rusqlite::Result<()> {
        self.journal.finish(insert)
    }

    fn committed(&mut self) {
        self.journal.committed(&self.shared);
    }

    fn rolled_back(&mut self) {
        self.journal.rolled_back();
    }

    fn answer(&mut self, record: Appending) {
        if record.answer.is_none() {
            self.held = self.held.saturating_sub(record.changes.len());
        }
        record.answer(Ok(()));
    }

    fn refuse(&mut self, mut record: Appending, error: &StoreError) -> Option<Appending> {
        // An answer of the app is relayed all the same, and the row follows.
        let Some(answer) = record.answer.take() else {
            return Some(record);
        };
        let _ = answer.send(Err(error.clone()));
        if record.changes.is_empty() {
            // It asked for the answer alone.
            return None;
        }
        if self.held.saturating_add(record.changes.len()) > MOST_HELD {
            self.shared.is_behind.store(true, Relaxed);
            return None;
        }
        self.held += record.changes.len();
        Some(record)
    }

    fn give_up(&self, record: Appending, _: &StoreError) -> Left<Appending> {
        // All of them go to the end of one table.
        Left::All(record)
    }

    fn put_back(&mut self, record: Appending, _: &StoreError) -> Option<Appending> {
        Some(record)
    }

    fn has_leftovers(&self) -> bool {
        false
    }

    fn condense(_: &mut VecDeque<Appending>) {
        // `MOST_HELD` bounds them.
    }
}
