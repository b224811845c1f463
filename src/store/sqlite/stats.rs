//! What a database says of itself, for metrics and limits.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::ErrorCode;

use super::room::{Disk, free_beside};
use crate::store::StoreError;

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No room on the disk.
    Full,
    /// A sync failed.
    Sync,
    /// Another read, write or operation on the file failed.
    Io,
    /// Another program has the file locked.
    Busy,
    /// The file is damaged.
    Damaged,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Sync,
        Self::Io,
        Self::Busy,
        Self::Damaged,
        Self::Other,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sync => "sync",
            Self::Io => "io",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::Other => "other",
        }
    }

    pub(super) fn of(error: &rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let Some(found) = error.sqlite_error() else {
            // A value is not of the type that its column promises.
            return match error {
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => Self::Damaged,
                _ => Self::Other,
            };
        };
        match found.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::SystemIoFailure => match found.extended_code {
                ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => Self::Sync,
                _ => Self::Io,
            },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged,
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::Io,
            _ => Self::Other,
        }
    }
}

/// The bytes by which SQLite makes the index of a log longer.
const INDEX_PART: u64 = 32 << 10;

/// Whether SQLite failed at the file `path` because the disk is full. Where the index of a log finds no
/// room, SQLite speaks of an I/O error.
pub(super) fn is_full(path: &Path, error: &rusqlite::Error) -> bool {
    match ErrorKind::of(error) {
        ErrorKind::Full => true,
        ErrorKind::Io => free_beside(path).is_some_and(|free| free < INDEX_PART),
        _ => false,
    }
}

/// The number of errors of each kind since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors([u64; ErrorKind::ALL.len()]);

impl Errors {
    /// The number of errors of this kind.
    pub fn of(&self, kind: ErrorKind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// These errors and others.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        for (own, other) in self.0.iter_mut().zip(others.0) {
            *own += other;
        }
        self
    }
}

/// What a database says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of deliveries, dead ones included.
    pub deliveries: u64,
    /// The bytes of their heads and bodies.
    pub bytes: u64,
    /// The bytes of the database.
    pub file_bytes: u64,
    /// The bytes of the log beside it.
    pub log_bytes: u64,
    /// The bytes of the file system that this user may still fill; `None`: it does not say.
    pub free_bytes: Option<u64>,
    /// The changes of the window that are kept, those that later ones have made void included.
    pub changes: u64,
    /// The duration of the last sync, and of what is written with it.
    pub last_sync: Duration,
    /// Errors since the start.
    pub errors: Errors,
    /// The reason why nothing can be written now.
    pub failing: Option<StoreError>,
}

/// Is called with the duration of each sync.
pub type Observer = Arc<dyn Fn(Duration) + Send + Sync>;

/// What the threads of a database share.
pub(super) struct Shared {
    /// The name of the database, for messages.
    pub(super) name: &'static str,
    // Relaxed everywhere: these are numbers to look at, and nothing is decided by two of them.
    pub(super) deliveries: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Bytes that were written since the start, as an estimate.
    pub(super) written: AtomicU64,
    /// The transactions since the start in which records were written, and not only work was done.
    pub(super) transactions: AtomicU64,
    /// The number of changes in the journal.
    pub(super) changes: AtomicU64,
    /// Whether changes of the window were dropped while nothing could be written.
    pub(super) is_behind: AtomicBool,
    /// Whether another gateway writes too: during an upgrade.
    pub(super) has_others: AtomicBool,
    last_sync: AtomicU64,
    errors: [AtomicU64; ErrorKind::ALL.len()],
    // A lock: it is taken when writing begins or ends to fail, and when somebody looks.
    failing: Mutex<Option<StoreError>>,
    /// Whether there is one, for those who ask often.
    is_failing: AtomicBool,
    pub(super) observer: Option<Observer>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(name: &'static str, observer: Option<Observer>) -> Self {
        Self {
            name,
            deliveries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
            has_others: AtomicBool::new(false),
            last_sync: AtomicU64::new(0),
            errors: Default::default(),
            failing: Mutex::new(None),
            is_failing: AtomicBool::new(false),
            observer,
        }
    }

    pub(super) fn synced(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.last_sync.store(nanos, Ordering::Relaxed);
        if let Some(observer) = &self.observer {
            observer(took);
        }
    }

    pub(super) fn count(&self, error: &rusqlite::Error) {
        if let Some(counter) = self.errors.get(ErrorKind::of(error) as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn set_failing(&self, failing: Option<StoreError>) {
        self.is_failing.store(failing.is_some(), Ordering::Relaxed);
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }

    pub(super) fn failing(&self) -> Option<StoreError> {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// The errors since the start. Asks no disk, as [`Self::stats`] does.
    pub(super) fn errors(&self) -> Errors {
        Errors(std::array::from_fn(|kind| {
            let counter = self.errors.get(kind);
            counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
        }))
    }

    /// Everything, with what the disk has.
    pub(super) fn stats(&self, disk: &Disk) -> Stats {
        let relaxed = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            deliveries: relaxed(&self.deliveries),
            bytes: relaxed(&self.bytes),
            file_bytes: disk.file_bytes(),
            log_bytes: disk.log_bytes(),
            free_bytes: disk.free(),
            changes: relaxed(&self.changes),
            last_sync: Duration::from_nanos(relaxed(&self.last_sync)),
            errors: self.errors(),
            failing: self.failing(),
        }
    }
}
