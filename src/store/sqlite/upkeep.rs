//! The thread that looks after the files of a database: it puts the pages of the log into the
//! database, so that no commit has to, syncs the log where commits do not, compacts the journal of the
//! window, and gives room back that is no longer used.
//!
//! SQLite syncs the database at the end of a checkpoint after which no page of the log is left. Beside a
//! writer that never rests there is none, so a hundred mebibytes would be synced at once in the end, and
//! every acknowledgement would wait for that. So what a checkpoint has put there is synced here.
//!
//! SQLite begins its log anew only when every page of it was put into the database and nobody reads
//! it. While the writer never rests, a checkpoint beside it always comes a few pages too late. So
//! when the log is long, the writer itself puts these last pages there, between two transactions.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use super::checkpoint::{Checkpoint, Checkpoints, PASSIVE, TRUNCATE};
use super::compaction::{Compaction, Survey, Trouble};
use super::faults::{Faults, Step};
use super::in_words;
use super::journal::damaged_row;
use super::pace::{Slowness, Written};
use super::room::{Disk, log_of};
use super::stats::{ErrorKind, Shared};
use super::writer::{Job, WAKE_SYNCED_AFTER};
use crate::clock::Clock;

/// By how much this thread is nicer than the others (`nice(2)`). Where no core is idle, the writer would
/// otherwise wait behind each checkpoint.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// The bytes of the log from which on the writer helps to begin it anew.
const LONG_LOG: u64 = 128 << 20;

/// The checkpoints that are made beside the writer before it makes the last one, for which every
/// acknowledgement waits.
const SHORTER: usize = 3;

/// The time after which the thread looks whether there is something to do. The log of a database whose
/// commits do not sync is synced as often.
const TICK: Duration = Duration::from_secs(1);

/// The bytes after which it rests no longer. All of them are synced at once, and the longer that takes the
/// longer an acknowledgement waits.
const MOST: u64 = 1 << 20;

/// The pages that are given back in one step.
const STEP_PAGES: u64 = 256;

/// The same where the disk has little room.
const SMALL_STEP_PAGES: u64 = 32;

/// The pages between two checkpoints: those that are moved in a step are in the log before.
const CHECKPOINT_PAGES: u64 = 64 * STEP_PAGES;

/// The pages of a second in which a little is written.
const PAGES_BESIDE: u64 = 8 * STEP_PAGES;

/// Where so many bytes are written within a tick, that is much: then pages are given back in one step
/// each time.
const MUCH: u64 = 8 << 20;

/// The unused pages that are kept: the next deliveries need them again.
const SPARE_PAGES: u64 = 2048;

/// The unused pages that are kept while there is something to write.
const MANY_PAGES: u64 = 32_768;

/// The thread.
pub(super) struct Upkeep<R> {
    pub(super) connection: Connection,
    /// The path of the database.
    pub(super) path: PathBuf,
    /// The database, to sync it.
    pub(super) file: Arc<File>,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) jobs: Sender<Job<R>>,
    pub(super) wake: Receiver<()>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    /// Whether commits end with a sync. If they do not, the log is synced here.
    pub(super) commits_sync: bool,
    pub(super) disk: Disk,
    pub(super) compaction: Compaction,
}

impl<R: Send + 'static> Upkeep<R> {
    /// Works until nobody can wake it.
    pub(super) fn run(mut self) {
        let_others_go_first();
        let mut seen = Written::default();
        let mut is_settled = true;
        // What was written when the file was looked at last, and when that was.
        let (mut looked_at, mut looked) = (0, self.clock.mono());
        // Whether a checkpoint is due, and what had been written when the last one was begun.
        let (mut is_due, mut put_back) = (false, 0);
        let mut slowness = Slowness::default();
        loop {
            // What has woken it for a checkpoint that is due already is no reason for another one.
            let time = if is_due { Duration::ZERO } else { TICK };
            let is_woken = match self.wake.recv_timeout(time) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => is_due,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let before = std::mem::replace(&mut seen, Written::of(&self.shared));
            let written = seen.bytes;
            let has_written = written != before.bytes;
            // What the writer does for this thread is nothing that this thread has to make way for.
            let is_resting = seen.records == before.records;
            if let Err(error) = self.disk.in_place() {
                if self.shared.failing().is_none() {
                    self.fail(error);
                }
            } else if has_written && !self.commits_sync {
                self.sync_log();
            }
            is_due = false;
            if is_woken || (is_resting && !is_settled) {
                let begun = self.clock.mono();
                self.checkpoint();
                is_settled = true;
                // Where nothing is written meanwhile, nothing waits for the next one.
                if is_woken && self.commits_sync {
                    let took = self.clock.mono().saturating_sub(begun);
                    let rest = if self.disk.scarce().is_some() {
                        // The writer has made it, and everything waits for that.
                        TICK
                    } else {
                        slowness.add(took, written - put_back);
                        slowness.rest().min(TICK)
                    };
                    is_due = self.rest(rest, written);
                }
                put_back = written;
            } else if has_written {
                is_settled = false;
            }
            if self.compaction.is_due(self.shared.changes.load(Relaxed)) {
                self.compact();
                is_settled = false;
            }
            let now = self.clock.mono();
            if written.saturating_sub(looked_at) >= MUCH {
                // After a backlog the file shrinks though the writer never rests.
                self.shrink(MANY_PAGES);
            } else if is_resting && !is_woken {
                self.give_log_back();
                self.give_room_back();
                seen = seen.with_own(Written::of(&self.shared));
            } else if now.saturating_sub(looked) >= TICK {
                self.shrink_beside();
            } else {
                continue;
            }
            (looked_at, looked) = (written, now);
        }
    }

    /// Rests for this time after a checkpoint that was begun when so many bytes had been written. Returns
    /// whether the next one is due already.
    fn rest(&self, time: Duration, written: u64) -> bool {
        let until = self.clock.mono() + time;
        loop {
            let new = self.shared.written.load(Relaxed).saturating_sub(written);
            let left = until.saturating_sub(self.clock.mono());
            if left.is_zero() || new >= MOST || self.wake.recv_timeout(left).is_err() {
                return new >= WAKE_SYNCED_AFTER;
            }
        }
    }

    /// Gives some unused pages back while little is written. Each step holds that up for some milliseconds.
    fn shrink_beside(&self) {
        let mut given = 0;
        while given < PAGES_BESIDE
            && let Some(pages) = self.shrink(SPARE_PAGES)
        {
            given += pages;
        }
        if given > 0 {
            self.checkpoint();
        }
    }

    /// Syncs the log. If that fails, the writer must put all of it into the database.
    fn sync_log(&self) {
        let begun = self.clock.mono();
        // SQLite has no lock on this file that closing it could drop.
        let synced = File::open(log_of(&self.path)).and_then(|log| log.sync_data());
        match synced
            .map_err(|error| sync_error(&error))
            .and_then(|()| self.faults.at(Step::Sync))
        {
            Ok(()) => self.shared.synced(self.clock.mono().saturating_sub(begun)),
            Err(error) => self.fail(error),
        }
    }

    /// Has the writer put all of the log into the database after a sync that failed.
    fn fail(&self, error: rusqlite::Error) {
        self.on_writer(move |_| Err(error));
    }

    fn checkpoint(&self) {
        if self.disk.scarce().is_some() {
            // One beside the writer would keep it from giving the room of the log back.
            self.checkpoint_on_writer(PASSIVE);
            return;
        }
        let Some(found) = self.checkpoint_beside() else {
            return;
        };
        if found.log_bytes() <= LONG_LOG {
            return;
        }
        // Each leaves to the next one what was written meanwhile, and that is less each time.
        for _ in 0..SHORTER {
            if self.checkpoint_beside().is_none() {
                return;
            }
        }
        self.checkpoint_on_writer(PASSIVE);
    }

    /// Has the writer make a checkpoint between two transactions.
    fn checkpoint_on_writer(&self, kind: &'static str) {
        let checkpoints = Arc::clone(&self.checkpoints);
        self.on_writer(move |connection| checkpoints.make(connection, kind).map(|_| ()));
    }

    /// Makes a checkpoint beside the writer, and syncs what it has put into the database. `None`: it failed,
    /// and that was reported.
    fn checkpoint_beside(&self) -> Option<Checkpoint> {
        let made = self.faults.at(Step::CheckpointBeside);
        let made = made.and_then(|()| self.checkpoints.make(&self.connection, PASSIVE));
        let found = match made {
            Ok(found) => found,
            Err(error) if ErrorKind::of(&error) == ErrorKind::Sync => {
                self.fail(error);
                return None;
            }
            Err(error) => {
                self.report("checkpoint", &error);
                return None;
            }
        };
        // Also where no page is left of those that it has found: beside a writer there is another one.
        let synced = self.file.sync_data().map_err(|error| sync_error(&error));
        if let Err(error) = synced.and_then(|()| self.faults.at(Step::SyncDatabase)) {
            if let Err(error) = self.checkpoints.have_lost() {
                self.report("checkpoint", &error);
            }
            self.fail(error);
            return None;
        }
        Some(found)
    }

    /// Writes the journal of the window anew without what is void.
    fn compact(&mut self) {
        let before = self.shared.changes.load(Relaxed);
        match self.compacted() {
            Ok(()) => {}
            Err(Trouble::Sqlite(error)) => self.report("compacting the journal", &error),
            Err(Trouble::Damaged(row)) => {
                let said = damaged_row(self.shared.name, row);
                log::error!("state: {said}");
            }
        }
        // After a failure too: it is tried again when the journal has grown.
        self.compaction.left = self.shared.changes.load(Relaxed);
        let (name, left) = (self.shared.name, self.compaction.left);
        log::debug!("state: {name}: {left} changes are left of {before} in the journal");
    }

    fn compacted(&self) -> Result<(), Trouble> {
        let mut survey = Survey::of(&self.connection, self.clock.now())?;
        while let Some(step) = survey.step(&self.connection)? {
            if self.shared.failing().is_some() {
                break;
            }
            if step.is_needed() {
                let shared = Arc::clone(&self.shared);
                let is_written = self.on_writer(move |connection| {
                    let dropped = step.write(connection)?;
                    shared.changes.fetch_sub(dropped, Relaxed);
                    Ok(())
                });
                if !is_written {
                    // The first step has what the later ones leave out.
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives the room of the log back, where there is little on the disk: another database may need it.
    fn give_log_back(&self) {
        if self.disk.scarce().is_some() && self.disk.log_bytes() > 0 {
            self.checkpoint_on_writer(TRUNCATE);
        }
    }

    /// Gives unused pages at the end of the file back, as long as nobody writes records.
    fn give_room_back(&self) {
        let transactions = || self.shared.transactions.load(Relaxed);
        let before = transactions();
        let (mut given, mut since) = (0, 0);
        while transactions() == before
            && let Some(pages) = self.shrink(SPARE_PAGES)
        {
            given += pages;
            since += pages;
            if since >= CHECKPOINT_PAGES {
                self.checkpoint();
                since = 0;
            }
        }
        if given > 0 {
            self.checkpoint();
        }
    }

    /// Gives unused pages back in one step, if there are more than `spare`, and says how many.
    fn shrink(&self, spare: u64) -> Option<u64> {
        let pages = |name| {
            let read = |row: &rusqlite::Row<'_>| row.get::<_, u64>(0);
            self.connection.pragma_query_value(None, name, read)
        };
        let unused = match pages("freelist_count") {
            Ok(unused) => unused,
            Err(error) => {
                self.report("freelist_count", &error);
                return None;
            }
        };
        let step = match self.disk.scarce() {
            Some(_) => SMALL_STEP_PAGES,
            None => STEP_PAGES,
        };
        let pages = unused.saturating_sub(spare).min(step);
        if pages == 0 || self.shared.failing().is_some() {
            return None;
        }
        self.on_writer(move |connection| shrink(connection, pages))
            .then_some(pages)
    }

    /// Lets the writer do something between two transactions, and waits for it. `false`: it was not done.
    fn on_writer(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> bool {
        let (done, wait) = sync_channel(1);
        let task = Box::new(move |connection: Result<&Connection, &_>| {
            let Ok(connection) = connection else {
                let _ = done.send(false);
                return Ok(());
            };
            let result = work(connection);
            let _ = done.send(result.is_ok());
            result
        });
        self.jobs.send(Job::Task(task)).is_ok() && wait.recv().unwrap_or(false)
    }

    fn report(&self, what: &str, error: &rusqlite::Error) {
        self.shared.count(error);
        log::error!("state: {}: {what}: {}", self.shared.name, in_words(error));
    }
}

/// Has the system prefer other threads to this one.
fn let_others_go_first() {
    // Linux takes this for the calling thread, other systems for the whole process. Where it fails, the
    // thread works as before.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICER);
}

/// The error of a sync, as SQLite has it.
fn sync_error(error: &std::io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

/// Gives this many pages back.
fn shrink(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    let mut vacuum = connection.prepare(&format!("pragma incremental_vacuum({pages})"))?;
    let mut rows = vacuum.query(())?;
    while rows.next()?.is_some() {}
    Ok(())
}
