//! A database with its threads: what `queue.db` and `window.db` have in common.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::checkpoint::{Checkpoints, TRUNCATE};
use super::compaction::Compaction;
use super::faults::Faults;
use super::file::{Kind, begun, within};
use super::meta::{self, MetaKey};
use super::open_error::OpenError;
use super::room::{Disk, log_of};
use super::stats::{Observer, Shared, Stats};
use super::turns::patiently;
use super::upkeep::Upkeep;
use super::writer::{self, Job, Ledger, Means};
use super::{CLOSED, failure, in_words};
use crate::clock::Clock;
use crate::store::StoreError;

/// What a ledger is opened with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened<'a> {
    /// The connection of the thread that writes.
    pub(super) connection: &'a Connection,
    /// The disk of the database.
    pub(super) disk: &'a Disk,
    /// The checkpoints of the database.
    pub(super) checkpoints: &'a Checkpoints,
}

/// A database that is open for writing.
#[derive(Debug)]
pub(super) struct Database<R> {
    kind: &'static Kind,
    dir: PathBuf,
    path: PathBuf,
    jobs: Sender<Job<R>>,
    /// The file, to sync it. Closing it drops every lock that SQLite has on it in this process, so it stays
    /// open as long as there are connections.
    _file: Arc<File>,
    checkpoints: Arc<Checkpoints>,
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Disk,
    // A lock: it is taken at the end alone.
    threads: Mutex<Vec<JoinHandle<()>>>,
    is_new: bool,
    #[cfg(test)]
    pub(super) faults: Faults,
}

impl<R: Send + 'static> Database<R> {
    /// Opens the database in `dir` and starts its threads. `ledger` is made before any other thread has it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn open<L: Ledger<Record = R>>(
        kind: &'static Kind,
        dir: &Path,
        clock: &Clock,
        observer: Option<Observer>,
        ledger: impl FnOnce(Opened<'_>, Arc<Shared>) -> rusqlite::Result<L>,
    ) -> Result<Self, OpenError> {
        let path = dir.join(kind.name);
        let (connection, is_new) = kind.open(dir)?;
        let shared = Arc::new(Shared::new(kind.name, observer));
        let disk = Disk::of(dir, kind.name);
        let checkpoints = Checkpoints::of(&path, &connection)
            .map_err(OpenError::system("opening the index of the log of", &path))?;
        let opened = Opened {
            connection: &connection,
            disk: &disk,
            checkpoints: &checkpoints,
        };
        let ledger = match ledger(opened, Arc::clone(&shared)) {
            Ok(ledger) => ledger,
            Err(error) => {
                // Its locks go with the index of its log, which is closed behind it.
                drop(connection);
                return Err(kind.refusal(&path, error.into()));
            }
        };
        let (jobs, waiting) = channel();
        let (wake, woken) = sync_channel(1);
        let faults = Faults::default();
        let file = Arc::new(File::open(&path).map_err(OpenError::system("opening", &path))?);
        let checkpoints = Arc::new(checkpoints);
        let means = Means {
            jobs: waiting,
            shared: Arc::clone(&shared),
            clock: clock.clone(),
            faults: faults.clone(),
            commits_sync: kind.commits_sync,
            checkpoints: Arc::clone(&checkpoints),
            disk: disk.clone(),
            wake,
        };
        let upkeep = Upkeep {
            connection: kind.connect(dir, false)?,
            path: path.clone(),
            file: Arc::clone(&file),
            checkpoints: Arc::clone(&checkpoints),
            jobs: jobs.clone(),
            wake: woken,
            shared: Arc::clone(&shared),
            clock: clock.clone(),
            faults: faults.clone(),
            commits_sync: kind.commits_sync,
            disk: disk.clone(),
            compaction: Compaction::default(),
        };
        let database = Self {
            kind,
            dir: dir.to_owned(),
            path,
            jobs,
            _file: file,
            checkpoints,
            shared,
            disk,
            threads: Mutex::default(),
            is_new,
            #[cfg(test)]
            faults,
        };
        database.start("write", move || {
            if let Err(error) = writer::run(&connection, ledger, means) {
                log::error!("state: {}: {}", kind.name, in_words(&error));
            }
        })?;
        database.start("keep", move || upkeep.run())?;
        Ok(database)
    }

    /// Starts a thread that [`close`](Self::close) waits for.
    ///
    /// # Errors
    /// [`OpenError::System`].
    pub(super) fn start(
        &self,
        what: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let name = format!("{}-{what}", self.kind.name);
        let started = thread::Builder::new().name(name).spawn(work);
        let thread = started.map_err(OpenError::system("starting a thread for", &self.path))?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(thread);
        Ok(())
    }

    /// Whether the file was made by [`open`](Self::open).
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn stats(&self) -> Stats {
        self.shared.stats(&self.disk)
    }

    /// Says whether another process writes too.
    pub(super) fn share(&self, is_shared: bool) {
        self.shared.has_others.store(is_shared, Relaxed);
    }

    /// Whether another process writes too.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.has_others.load(Relaxed)
    }

    /// Reads a fact.
    pub(super) fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        meta::read(&self.reader()?, key).map_err(|error| failure(self.kind.name, &error))
    }

    /// Writes a fact, or removes it, and returns after the commit.
    pub(super) fn set_meta(&self, key: MetaKey, value: Option<&[u8]>) -> Result<(), StoreError> {
        let value = value.map(<[u8]>::to_vec);
        self.on_writer(move |connection| meta::write(connection, key, value.as_deref()))
    }

    /// Syncs the log.
    pub(super) fn sync_log(&self) -> Result<(), StoreError> {
        let synced = File::open(log_of(&self.path)).and_then(|log| log.sync_data());
        synced
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", self.kind.name).into()))
    }

    /// A connection that reads.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        self.kind
            .connect(&self.dir, true)
            .map_err(|error| StoreError::Unavailable(error.to_string().into()))
    }

    /// Has a record written. It comes back if the database is closed.
    pub(super) fn write(&self, record: R) -> Result<(), (R, StoreError)> {
        match self.jobs.send(Job::Record(record)) {
            Err(refused) => match refused.0 {
                Job::Record(record) => Err((record, closed())),
                Job::Task(_) | Job::Stop => Ok(()),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Does something in a transaction of its own, and waits for its commit.
    pub(super) fn on_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, wait) = sync_channel(1);
        let (name, shared) = (self.kind.name, Arc::clone(&self.shared));
        let task = Box::new(move |connection: Result<&Connection, &StoreError>| {
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = answer.send(Err(error.clone()));
                    return Ok(());
                }
            };
            let begun = patiently(&shared, || begun(connection));
            let done = begun.and_then(|transaction| within(transaction, work));
            let (said, result) = match done {
                Ok(done) => (Ok(done), Ok(())),
                Err(error) => (Err(failure(name, &error)), Err(error)),
            };
            let _ = answer.send(said);
            result
        });
        self.jobs.send(Job::Task(task)).map_err(|_| closed())?;
        wait.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Keeps the writer waiting, as another process does that writes, until the connection is dropped.
    #[cfg(test)]
    pub(super) fn written_by_another(&self) -> Connection {
        let other = self.kind.connect(&self.dir, false).unwrap();
        other.execute_batch("begin immediate").unwrap();
        other
    }

    /// Returns when what was asked for before is written.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let (answer, wait) = sync_channel(1);
        let task = Box::new(move |connection: Result<&Connection, &StoreError>| {
            let _ = answer.send(connection.map(drop).map_err(StoreError::clone));
            Ok(())
        });
        self.jobs.send(Job::Task(task)).map_err(|_| closed())?;
        wait.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Writes what was asked for before, and ends. Everything that is asked for afterwards is refused.
    /// Returns whether it was open.
    pub(super) fn stop(&self) -> bool {
        let _ = self.jobs.send(Job::Stop);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = !threads.is_empty();
        for thread in threads.drain(..) {
            // A panic of it was reported by the hook.
            let _ = thread.join();
        }
        is_open
    }

    /// As [`stop`](Self::stop), and puts the log into the database.
    pub(super) fn close(&self) {
        if !self.stop() {
            return;
        }
        // Connections that end at the same moment take each other for open, and none puts the log into
        // the database. If this one fails, the next start does it.
        if let Ok(last) = self.kind.connect(&self.dir, false) {
            let _ = self.checkpoints.make(&last, TRUNCATE);
        }
    }
}

/// What is said of an operation of a store that was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable(CLOSED.into())
}
