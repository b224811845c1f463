//! The one thread that writes a database. It takes whatever waits, writes it in one transaction, and
//! answers once the commit has ended (contract: State).
//!
//! It waits for no timer: while a commit lasts, the records of the next one gather by themselves.
//!
//! After a write, a commit or a sync that failed, the pages that the system took but has not written
//! may be lost, whatever a later sync says. So nothing more is written until every page of the log
//! was put into the database and synced there, and the log begins anew.

mod damaged;
mod held;
mod scarce;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

use rusqlite::{Connection, Statement};

use super::checkpoint::{Checkpoint, Checkpoints, TRUNCATE};
use super::faults::{Faults, Step};
use super::room::{Disk, Purpose};
use super::stats::Shared;
use super::turns::{is_for_others, make_way, patiently};
use super::{in_words, said};
use crate::clock::Clock;
use crate::store::StoreError;
pub(super) use damaged::Left;

/// The most records of a transaction.
const MOST_RECORDS: usize = 256;

/// The bytes of a transaction after which it takes no further record.
const MOST_BYTES: u64 = 8 << 20;

/// The time after which a writer that has failed tries again.
const RETRY: Duration = Duration::from_secs(1);

/// The bytes after which the thread that makes checkpoints is woken.
const WAKE_AFTER: u64 = 8 << 20;

/// The same where commits end with a sync: each waits for the disk, and for a core, while a checkpoint
/// is synced.
pub(super) const WAKE_SYNCED_AFTER: u64 = 128 << 10;

/// What a record says of itself after it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is in the transaction.
    Whole,
    /// A part of it is in the transaction, another one goes into the next.
    Part,
}

/// The rows of a database.
pub(super) trait Ledger: Send + 'static {
    /// What is written at the wish of a caller, with the place for its answer.
    type Record: Send + 'static;
    /// The statements by which it is written.
    type Statements<'c>;

    /// What follows where records that are held back are never written, as the end of a sentence.
    const UNWRITTEN: &'static str;

    /// Prepares the statements.
    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Self::Statements<'c>>;

    /// About as many bytes as the record adds to a transaction.
    fn weight(record: &Self::Record) -> u64;

    /// What the record does to the database.
    fn purpose(record: &Self::Record) -> Purpose;

    /// Leaves out what the disk has no room for, and what can be: refuses the record, or makes it less.
    fn lessen(&mut self, record: Self::Record, error: &StoreError) -> Option<Self::Record>;

    /// Writes a record, or a part of it, into the transaction.
    fn write(
        &mut self,
        statements: &mut Self::Statements<'_>,
        record: &mut Self::Record,
    ) -> rusqlite::Result<Written>;

    /// Writes what goes with all records of the transaction, before its commit.
    fn finish(&mut self, statements: &mut Self::Statements<'_>) -> rusqlite::Result<()>;

    /// The transaction was committed.
    fn committed(&mut self);

    /// The transaction was rolled back.
    fn rolled_back(&mut self);

    /// Answers that the record was written.
    fn answer(&mut self, record: Self::Record);

    /// Answers that the record was not written. Gives it back if it is to be written later.
    fn refuse(&mut self, record: Self::Record, error: &StoreError) -> Option<Self::Record>;

    /// What is left of a record that cannot be written, because the file is damaged where it belongs.
    fn give_up(&self, record: Self::Record, error: &StoreError) -> Left<Self::Record>;

    /// Makes a record of a transaction that was undone ready for the next one, or refuses it.
    fn put_back(&mut self, record: Self::Record, error: &StoreError) -> Option<Self::Record>;

    /// Whether something is to be written though no caller waits for it.
    fn has_leftovers(&self) -> bool;

    /// Leaves out of records that are held back, the oldest first, what later ones among them make void.
    fn condense(held: &mut VecDeque<Self::Record>);
}

/// Work on the connection outside of a transaction. It gets an error if nothing can be written now;
/// an error of its own counts like that of a commit.
pub(super) type Task =
    Box<dyn FnOnce(Result<&Connection, &StoreError>) -> rusqlite::Result<()> + Send>;

/// What a writer is asked for.
pub(super) enum Job<R> {
    /// To write a record.
    Record(R),
    /// To do some work between two transactions.
    Task(Task),
    /// To write what came before, and to end.
    Stop,
}

/// The means of a writer beside its connection.
pub(super) struct Means<R> {
    pub(super) jobs: Receiver<Job<R>>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    /// Whether a commit ends with a sync.
    pub(super) commits_sync: bool,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) disk: Disk,
    /// Wakes the thread that makes checkpoints.
    pub(super) wake: SyncSender<()>,
}

/// The thread.
struct Writer<'c, L: Ledger> {
    connection: &'c Connection,
    // Prepared once: to parse both takes a tenth of a small transaction.
    begin: Statement<'c>,
    commit: Statement<'c>,
    statements: L::Statements<'c>,
    ledger: L,
    means: Means<L::Record>,
    /// The records of the transaction.
    batch: Vec<L::Record>,
    /// The place in it of the record that is being written.
    writing: Option<usize>,
    /// Records of which a part was written.
    partial: VecDeque<L::Record>,
    /// Records that failed and are to be written later.
    held: VecDeque<L::Record>,
    /// The number of them from which on void ones are left out.
    many_held: usize,
    failing: Option<StoreError>,
    /// The monotonic time of the next attempt to recover.
    try_again: Duration,
    /// The monotonic time of the last recovery.
    recovered: Option<Duration>,
    /// Whether the log says that nothing can be written. Until something was, it says no more: a full
    /// disk fails again after every recovery.
    is_reported: bool,
    unreported: u64,
}

/// How a batch ended before it was full.
enum Next<R> {
    Nothing,
    Task(Task),
    Record(R),
    Stop,
}

/// Writes until it is told to stop, or nobody can ask for anything.
///
/// # Errors
/// The statements cannot be prepared.
pub(super) fn run<L: Ledger>(
    connection: &Connection,
    ledger: L,
    means: Means<L::Record>,
) -> rusqlite::Result<()> {
    let mut writer = Writer {
        begin: connection.prepare("begin immediate")?,
        commit: connection.prepare("commit")?,
        statements: ledger.prepare(connection)?,
        connection,
        ledger,
        means,
        batch: Vec::with_capacity(MOST_RECORDS),
        writing: None,
        partial: VecDeque::new(),
        held: VecDeque::new(),
        many_held: held::MANY,
        failing: None,
        try_again: Duration::ZERO,
        recovered: None,
        is_reported: false,
        unreported: 0,
    };
    while writer.turn() {}
    if !writer.held.is_empty() {
        let (name, count) = (writer.means.shared.name, writer.held.len());
        let follows = L::UNWRITTEN;
        log::error!(
            "state: {name}: {count} changes could not be written before the end: {follows}"
        );
    }
    Ok(())
}

impl<L: Ledger> Writer<'_, L> {
    /// Takes what waits and writes it. `false`: there is nothing more to do.
    fn turn(&mut self) -> bool {
        let mut bytes = self.take_held();
        let mut next = self.next();
        let mut task = None;
        let mut goes_on = true;
        loop {
            match next {
                Next::Record(record) => match &self.failing {
                    Some(error) => {
                        self.held.extend(self.ledger.refuse(record, error));
                        self.condense();
                    }
                    None => {
                        bytes += L::weight(&record);
                        self.batch.push(record);
                    }
                },
                Next::Task(found) => {
                    task = Some(found);
                    break;
                }
                Next::Stop => {
                    goes_on = false;
                    break;
                }
                Next::Nothing => break,
            }
            if self.batch.len() >= MOST_RECORDS || bytes > MOST_BYTES {
                break;
            }
            next = match self.means.jobs.try_recv() {
                Ok(job) => job.into(),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => Next::Nothing,
            };
        }
        if self.failing.is_some() && self.means.clock.mono() >= self.try_again {
            self.recover();
        }
        self.write();
        if let Some(task) = task {
            // What came before it is written before it.
            while self.failing.is_none() && !self.held.is_empty() {
                self.take_held();
                self.write();
            }
            self.run_task(task);
        }
        while !goes_on && self.failing.is_none() && (self.has_more() || !self.held.is_empty()) {
            self.take_held();
            self.write();
        }
        goes_on
    }

    /// Whether there is something to write that is no record of its own.
    fn has_more(&self) -> bool {
        !self.partial.is_empty() || self.ledger.has_leftovers()
    }

    /// Waits for a job, unless something is to be written without one.
    fn next(&self) -> Next<L::Record> {
        let jobs = &self.means.jobs;
        if self.failing.is_some() {
            let wait = self.try_again.saturating_sub(self.means.clock.mono());
            return match jobs.recv_timeout(wait) {
                Ok(job) => job.into(),
                Err(RecvTimeoutError::Timeout) => Next::Nothing,
                Err(RecvTimeoutError::Disconnected) => Next::Stop,
            };
        }
        if !self.held.is_empty() {
            // They come before everything that waits.
            return Next::Nothing;
        }
        if !self.batch.is_empty() || self.has_more() {
            return match jobs.try_recv() {
                Ok(job) => job.into(),
                Err(TryRecvError::Empty) => Next::Nothing,
                Err(TryRecvError::Disconnected) => Next::Stop,
            };
        }
        jobs.recv().map_or(Next::Stop, Job::into)
    }

    /// Writes the batch and a part of what is partly written, in one transaction, and answers.
    fn write(&mut self) {
        if self.failing.is_some() || (self.batch.is_empty() && !self.has_more()) {
            return;
        }
        if let Err(error) = self.make_room() {
            return self.fail(&error);
        }
        if (!self.batch.is_empty() || self.has_more())
            && let Err(error) = self.commit()
        {
            self.fail(&error);
        }
    }

    /// Commits the batch, and answers. Also if it left a record out for which the file is damaged, and the
    /// others are to be written without it.
    fn commit(&mut self) -> rusqlite::Result<()> {
        let mut bytes = self.batch.iter().map(L::weight).sum::<u64>();
        let mut parts = Vec::new();
        let begun = self.means.clock.mono();
        if let Err(error) = self.transact(&mut parts) {
            return self.leave_out(error);
        }
        let took = self.means.clock.mono().saturating_sub(begun);
        self.ledger.committed();
        if self.means.commits_sync {
            self.means.shared.synced(took);
        }
        let is_part = |place: &usize| parts.binary_search(place).is_ok();
        let batch = std::mem::take(&mut self.batch);
        for (place, record) in batch.into_iter().enumerate() {
            if is_part(&place) {
                self.partial.push_back(record);
            } else {
                self.ledger.answer(record);
            }
        }
        bytes = bytes.saturating_add(super::PAGE);
        self.means.shared.transactions.fetch_add(1, Relaxed);
        self.note(bytes);
        if self.failing.is_none() {
            self.report_recovery();
        }
        make_way(&self.means.shared);
        Ok(())
    }

    /// Writes all of the batch that fits, and commits it. `parts` gets the places of records of which
    /// more is to be written.
    fn transact(&mut self, parts: &mut Vec<usize>) -> rusqlite::Result<()> {
        let faults = &self.means.faults;
        faults.at(Step::Begin)?;
        patiently(&self.means.shared, || self.begin.execute(()))?;
        // A further part of the oldest record of which there are some.
        if let Some(record) = self.partial.pop_front() {
            self.batch.push(record);
        }
        for (place, record) in self.batch.iter_mut().enumerate() {
            self.writing = Some(place);
            faults.at(Step::Write)?;
            if self.ledger.write(&mut self.statements, record)? == Written::Part {
                parts.push(place);
            }
        }
        self.writing = None;
        self.ledger.finish(&mut self.statements)?;
        faults.at(Step::Commit)?;
        self.commit.execute(()).map(drop)
    }

    /// Undoes the transaction and refuses everything that waits for it.
    fn fail(&mut self, error: &rusqlite::Error) {
        self.undo();
        let shared = &self.means.shared;
        shared.count(error);
        let said = said(shared.name, error);
        if !std::mem::replace(&mut self.is_reported, true) {
            log::error!(
                "state: {said}; nothing is acknowledged until the file can be written again"
            );
        }
        let failing = StoreError::Unavailable(said);
        shared.set_failing(Some(failing.clone()));
        let later = std::mem::take(&mut self.held);
        let batch = std::mem::take(&mut self.batch);
        let all = batch.into_iter().chain(std::mem::take(&mut self.partial));
        for record in all.chain(later) {
            self.held.extend(self.ledger.refuse(record, &failing));
        }
        // What fails soon after a recovery fails for the same reason, and would go on without a pause.
        let earliest = self.recovered.map(|at| at.saturating_add(RETRY));
        let now = self.means.clock.mono();
        self.try_again = earliest.unwrap_or(now).max(now);
        self.failing = Some(failing);
    }

    fn report_recovery(&mut self) {
        if std::mem::take(&mut self.is_reported) {
            log::info!("state: {} can be written again", self.means.shared.name);
        }
    }

    fn undo(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("rollback")
        {
            // A transaction that cannot be undone stays open, and the next `begin` fails.
            let name = self.means.shared.name;
            log::error!("state: {name}: rolling back: {}", in_words(&error));
        }
        self.ledger.rolled_back();
    }

    /// Puts every page of the log into the database and lets the log begin anew, after a failure.
    fn recover(&mut self) {
        self.undo();
        self.try_again = self.means.clock.mono().saturating_add(RETRY);
        let faults = &self.means.faults;
        let checkpoint = faults
            .at(Step::Checkpoint)
            .and_then(|()| self.truncate_log());
        let is_over = checkpoint.and_then(|found| Ok(found.is_complete() && self.take_out()?));
        match is_over {
            Ok(true) => {
                self.means.shared.set_failing(None);
                self.failing = None;
                self.recovered = Some(self.means.clock.mono());
            }
            Ok(false) => {}
            Err(error) => {
                self.means.shared.count(&error);
                let failing = StoreError::Unavailable(said(self.means.shared.name, &error));
                self.means.shared.set_failing(Some(failing.clone()));
                self.failing = Some(failing);
            }
        }
    }

    /// Puts the log into the database, which must be in its place, and gives its room back.
    fn truncate_log(&self) -> rusqlite::Result<Checkpoint> {
        self.means.disk.in_place()?;
        self.means.checkpoints.make(self.connection, TRUNCATE)
    }

    fn run_task(&mut self, task: Task) {
        if let Some(error) = &self.failing {
            let _ = task(Err(error));
            return;
        }
        if let Err(error) = self.shorten_log() {
            let refused = StoreError::Unavailable(said(self.means.shared.name, &error));
            let _ = task(Err(&refused));
            return self.fail(&error);
        }
        match task(Ok(self.connection)) {
            Ok(()) => {
                self.report_recovery();
                make_way(&self.means.shared);
            }
            // Whoever waits for it knows that it was not done.
            Err(error) if is_for_others(&self.means.shared, &error) => {
                self.means.shared.count(&error);
            }
            Err(error) => self.fail(&error),
        }
        self.note(super::PAGE);
    }

    /// Counts bytes that were written, and wakes the thread that makes checkpoints.
    fn note(&mut self, bytes: u64) {
        self.means.shared.written.fetch_add(bytes, Release);
        self.unreported += bytes;
        let enough = if self.means.commits_sync {
            WAKE_SYNCED_AFTER
        } else {
            WAKE_AFTER
        };
        if self.unreported >= enough {
            self.unreported = 0;
            // It is awake if the channel is full.
            let _ = self.means.wake.try_send(());
        }
    }
}

impl<R> From<Job<R>> for Next<R> {
    fn from(job: Job<R>) -> Self {
        match job {
            Job::Record(record) => Self::Record(record),
            Job::Task(task) => Self::Task(task),
            Job::Stop => Self::Stop,
        }
    }
}
