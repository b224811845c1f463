//! `queue.db`: deliveries that were acknowledged, and the claims that were stored with them
//! (contract: State).

mod attempts;
mod condensing;
mod contents;
mod encrypting;
mod ledger;
mod records;
mod rows;
mod statements;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_channel::oneshot;
use rusqlite::Connection;

use super::database::{Database, Opened, closed};
use super::file::Kind;
use super::meta::{self, MetaKey};
use super::open_error::OpenError;
use super::stats::{ErrorKind, Errors, Observer, Stats};
use super::{failure, in_words, journal};
use crate::clock::Clock;
use crate::queue::{Attempt, AttemptEnd, Change, Delivery, Number, Progress, RouteNumber};
use crate::replay::passing;
use crate::store::sealing::{KeyId, Keyring, NotEncrypted, Owner, Part, SALT, Sealing};
use crate::store::{Accepted, Content, Pending, QueueStore, Route, StoreError};
pub(super) use contents::Contents;
use contents::Fault;
pub use encrypting::Encrypted;
pub(super) use encrypting::{counted, plain_is_damage};
use ledger::Queue;
use records::{Accepting, Record};
pub(super) use rows::{PLACES, routes};

pub(super) static KIND: Kind = Kind {
    name: "queue.db",
    // "vgQu"
    application: 0x7667_5175,
    steps: &[&[
        rows::SCHEMA,
        attempts::SCHEMA,
        journal::SCHEMA,
        meta::SCHEMA,
    ]],
    commits_sync: true,
};

/// The database of deliveries.
#[derive(Debug)]
pub struct QueueDb {
    database: Database<Record>,
    reads: Sender<Read>,
    keys: Arc<ArcSwap<Keyring>>,
    /// The numbers of routes by name and provider, as far as they are known. A number stays for good,
    /// so a start or a reload with routes that have theirs needs no room on the disk.
    // A lock: it is taken at a start or a reload alone.
    routes: Mutex<HashMap<(String, String), RouteNumber>>,
}

/// A head, or the reason why it cannot be had; `None`: its delivery is gone.
pub type Head = Result<Option<Bytes>, StoreError>;

/// A question to the thread that reads.
#[derive(Debug)]
enum Read {
    Content(Number, oneshot::Sender<Result<Option<Content>, StoreError>>),
    Stop,
}

impl QueueDb {
    /// Opens `queue.db` in `dir`, which this process must have for itself. It is made where there is
    /// none. `clock` is the one by which the window measures its entries; `observer` hears of every
    /// commit, which ends with a sync. What it stores is not encrypted.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path, clock: &Clock, observer: Option<Observer>) -> Result<Self, OpenError> {
        Self::open_with(dir, clock, observer, Keyring::default(), false)
    }

    /// The same with keys, the first of which encrypts what is stored. Where they are new, everything
    /// that was stored before is encrypted first, which takes its time. `is_shared`: another process
    /// still writes, so that has to wait for the next start, and so has what was left unfinished.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(
        dir: &Path,
        clock: &Clock,
        observer: Option<Observer>,
        keys: Keyring,
        is_shared: bool,
    ) -> Result<Self, OpenError> {
        let keys = Arc::new(ArcSwap::from_pointee(keys));
        let own = Arc::clone(&keys);
        let ledger = |opened: Opened<'_>, shared| {
            encrypting::begin(opened, &own, is_shared)?;
            Queue::open(opened.connection, shared, own, is_shared)
        };
        let database = Database::open(&KIND, dir, clock, observer, ledger)?;
        database.share(is_shared);
        let reader = KIND.connect(dir, true)?;
        // What cannot be read is reported by those who ask for all routes.
        let known = routes(&reader).unwrap_or_default().into_iter();
        let routes = known.map(|route| ((route.name, route.provider), route.number));
        let routes = Mutex::new(routes.collect());
        let (reads, asked) = channel();
        let own = Arc::clone(&keys);
        database.start("read", move || {
            if let Err(error) = read(&reader, &own, &asked) {
                log::error!("state: {}: {}", KIND.name, in_words(&error));
            }
        })?;
        Ok(Self {
            database,
            reads,
            keys,
            routes,
        })
    }

    /// Sets other keys. From now on the first of them writes. Neither the keys before nor these may be
    /// none: that changes what is stored already.
    pub fn set_keys(&self, keys: Keyring) {
        let refuses_plain = self.keys.load().refuses_plain();
        self.keys
            .store(Arc::new(keys.refusing_plain(refuses_plain)));
    }

    /// Says whether another process writes too. While it does, a file that it has for long is no failure.
    pub fn share(&self, is_shared: bool) {
        self.database.share(is_shared);
    }

    /// Whether another process writes too, or may begin to.
    pub fn is_shared(&self) -> bool {
        self.database.is_shared()
    }

    /// How many deliveries are encrypted with which key, or not at all, and whether there is a key for
    /// them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn encrypted(&self) -> Result<Vec<Encrypted>, StoreError> {
        let connection = self.database.reader()?;
        counted(&connection, &self.keys.load()).map_err(|error| failure(KIND.name, &error))
    }

    /// The keys that are not there and that deliveries need, in their order; `None` for a delivery that
    /// needs none, or is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn missing_keys(&self, numbers: &[Number]) -> Result<Vec<Option<KeyId>>, StoreError> {
        let connection = self.database.reader()?;
        let missing = encrypting::missing(&connection, &self.keys.load(), numbers);
        missing.map_err(|error| failure(KIND.name, &error))
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

    /// Writes a fact, or removes it, and returns when that is on disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn set_meta(&self, key: MetaKey, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.database.set_meta(key, value)
    }

    /// Returns when all that was asked for before is written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()
    }

    /// Reads heads without their bodies, for a list; `Ok(None)` for a delivery that is gone.
    ///
    /// # Errors
    /// [`StoreError`]; within, the reason why a head cannot be had.
    pub fn heads(&self, numbers: &[Number]) -> Result<Vec<Head>, StoreError> {
        let connection = self.database.reader()?;
        let keys = self.keys.load();
        let failed = |error| failure(KIND.name, &error);
        let mut contents = Contents::prepare(&connection).map_err(failed)?;
        let head = |number: &Number| match contents.head(&keys, *number) {
            // Those on other pages can be had.
            Err(Fault::Sqlite(error)) if ErrorKind::of(&error) != ErrorKind::Damaged => {
                Err(failed(error))
            }
            other => Ok(other.map_err(StoreError::from)),
        };
        numbers.iter().map(head).collect()
    }

    /// The ends of the last failed attempts of deliveries; `None` for one that has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_ends(&self, numbers: &[Number]) -> Result<Vec<Option<AttemptEnd>>, StoreError> {
        let read = attempts::last_ends(&self.database.reader()?, numbers);
        read.map_err(|error| failure(KIND.name, &error))
    }

    /// The latest attempts of a delivery that failed, the oldest first; none where the file is damaged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn attempts(&self, number: Number) -> Result<Vec<Attempt>, StoreError> {
        match attempts::read(&self.database.reader()?, number) {
            Err(error) if ErrorKind::of(&error) == ErrorKind::Damaged => Ok(Vec::new()),
            read => read.map_err(|error| failure(KIND.name, &error)),
        }
    }

    /// Writes what was asked for before, and ends. Everything that is asked for afterwards is refused.
    pub fn close(&self) {
        let _ = self.reads.send(Read::Stop);
        self.database.close();
    }

    fn record(&self, record: Record) {
        if let Err((record, error)) = self.database.write(record) {
            record.refuse(&error);
        }
    }

    /// Lets the file have so many pages.
    #[cfg(test)]
    pub(super) fn limit(&self, pages: u32) {
        let limit = move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        };
        self.database.on_writer(limit).unwrap();
    }

    /// Believes that so many bytes of the disk are free.
    #[cfg(test)]
    pub(super) fn pretend_free(&self, bytes: Option<u64>) {
        self.database.disk.pretend_free(bytes);
    }

    /// The transactions in which records were written.
    #[cfg(test)]
    pub(super) fn transactions(&self) -> u64 {
        let written = &self.database.shared.transactions;
        written.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Keeps the writer waiting, as another process does that writes, until the value is dropped.
    #[cfg(test)]
    pub(crate) fn written_by_another(&self) -> impl Sized {
        self.database.written_by_another()
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &super::faults::Faults {
        &self.database.faults
    }
}

impl Drop for QueueDb {
    fn drop(&mut self) {
        self.close();
    }
}

impl QueueStore for QueueDb {
    fn accept(&self, delivery: Accepted) -> Pending<Number> {
        let (answer, pending) = oneshot::channel();
        let accepting = Box::new(Accepting::new(delivery, answer));
        self.record(Record::Accept(accepting));
        pending
    }

    fn change(&self, number: Number, change: Change) -> Pending<()> {
        let (answer, pending) = oneshot::channel();
        self.record(Record::Change {
            number,
            change,
            attempt: None,
            answer,
        });
        pending
    }

    fn failed(&self, number: Number, progress: Progress, attempt: Attempt) -> Pending<()> {
        let (answer, pending) = oneshot::channel();
        self.record(Record::Change {
            number,
            change: Change::Progress(progress),
            attempt: Some(attempt),
            answer,
        });
        pending
    }

    fn read(&self, number: Number) -> Pending<Option<Content>> {
        let (answer, pending) = oneshot::channel();
        if let Err(refused) = self.reads.send(Read::Content(number, answer))
            && let Read::Content(_, answer) = refused.0
        {
            let _ = answer.send(Err(closed()));
        }
        pending
    }

    fn deliveries(&self, each: &mut dyn FnMut(Delivery)) -> Result<(), StoreError> {
        each_delivery(&self.database.reader()?, each)
    }

    fn change_claims(&self, changes: Vec<passing::Change>) -> Pending<()> {
        let (answer, pending) = oneshot::channel();
        self.record(Record::Claims { changes, answer });
        pending
    }

    fn claims(&self, each: &mut dyn FnMut(passing::Change)) -> Result<(), StoreError> {
        journal::read_all(&self.database.reader()?, KIND.name, each)
    }

    fn route(&self, name: &str, provider: &str) -> Result<RouteNumber, StoreError> {
        let route = (name.to_owned(), provider.to_owned());
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.get(&route) {
            return Ok(*known);
        }
        let (name, provider) = route.clone();
        let number = self
            .database
            .on_writer(move |connection| rows::route(connection, &name, &provider))?;
        routes.insert(route, number);
        Ok(number)
    }

    fn routes(&self) -> Result<Vec<Route>, StoreError> {
        routes(&self.database.reader()?).map_err(|error| failure(KIND.name, &error))
    }
}

/// Reads what is asked for, until nobody can ask or the store is closed.
///
/// # Errors
/// The statements cannot be prepared.
fn read(
    connection: &Connection,
    keys: &ArcSwap<Keyring>,
    asked: &Receiver<Read>,
) -> rusqlite::Result<()> {
    let mut contents = Contents::prepare(connection)?;
    while let Ok(Read::Content(number, answer)) = asked.recv() {
        // Nobody waits for it any more.
        if answer.is_canceled() {
            continue;
        }
        let found = contents.content(&keys.load(), number);
        let _ = answer.send(found.map_err(StoreError::from));
    }
    Ok(())
}

/// Begins to write a content in the form that `keys` ask for.
fn begun(owner: Owner, keys: &Keyring) -> rusqlite::Result<Sealing> {
    let salt = || {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).ok().map(|()| salt)
    };
    Sealing::begin(owner, keys, salt).map_err(not_encrypted)
}

/// The bytes that are stored for a part of a content.
fn sealed<'b>(
    sealing: &mut Sealing,
    part: Part,
    bytes: &'b [u8],
    room: &'b mut Vec<u8>,
) -> rusqlite::Result<&'b [u8]> {
    sealing.part(part, bytes, room).map_err(not_encrypted)
}

fn not_encrypted(why: NotEncrypted) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(why.into())
}

/// The delivery of this number in words: by its id, which operators know, where that can be read.
pub(super) fn named(connection: &Connection, number: Number) -> String {
    match rows::id(connection, number) {
        Ok(id) => format!("the delivery {id} (number {})", number.0),
        // Where it cannot be read, its table and its number are all that is known.
        Err(_) => format!("the delivery of number {}", number.0),
    }
}

/// Calls `each` with every delivery, in order.
///
/// # Errors
/// [`StoreError`].
pub(super) fn each_delivery(
    connection: &Connection,
    each: &mut dyn FnMut(Delivery),
) -> Result<(), StoreError> {
    rows::deliveries(connection, KIND.name, each)
}
