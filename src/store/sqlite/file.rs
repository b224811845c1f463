//! The file of a database: made for its user alone, told from every other file, and brought to the
//! schema that this program knows (contract: State).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::in_words;
use super::logs::{is_unused_copy, refuse_a_log_alone, refuse_another_log};
use super::open_error::OpenError;
use super::room::log_of;
use super::stats::is_full;
use crate::notation::percent::{UNRESERVED, encode};

/// A kind of database.
#[derive(Debug)]
pub(super) struct Kind {
    /// The name of its file.
    pub(super) name: &'static str,
    /// The number in the file's header that tells it from the databases of other programs.
    pub(super) application: i32,
    /// The statements that bring the schema from the version of their place to the next one. The
    /// number of them is the version that this program knows.
    pub(super) steps: &'static [&'static [&'static str]],
    /// Whether a commit ends with a sync.
    pub(super) commits_sync: bool,
}

/// The pause between two attempts to have the file, which another program has locked.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// The attempts after which that is an error: a second.
const ATTEMPTS: i32 = 1000;

impl Kind {
    fn version(&self) -> i32 {
        i32::try_from(self.steps.len()).unwrap_or(i32::MAX)
    }

    /// Opens the database in `dir` for writing. It is made where there is none, and an older schema
    /// is migrated in one transaction. The second value says whether it was made.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn open(&self, dir: &Path) -> Result<(Connection, bool), OpenError> {
        let path = dir.join(self.name);
        refuse_a_log_alone(&path)?;
        refuse_another_log(&path)?;
        make_file(dir, &path)?;
        self.prepare(&path)
            .map_err(|error| self.refusal(&path, error))
    }

    /// A further connection to the database, which exists.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn connect(&self, dir: &Path, is_reader: bool) -> Result<Connection, OpenError> {
        self.connected(dir, |path| connected(path, is_reader))
    }

    /// A connection for a look, which leaves no file in the directory where none is needed: SQLite makes
    /// two beside a database that nobody has open, and a connection that only reads leaves them there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn look(&self, dir: &Path) -> Result<Connection, OpenError> {
        refuse_another_log(&dir.join(self.name))?;
        self.connected(dir, looking)
    }

    fn connected(
        &self,
        dir: &Path,
        connect: impl FnOnce(&Path) -> rusqlite::Result<Connection>,
    ) -> Result<Connection, OpenError> {
        let path = dir.join(self.name);
        refuse_a_log_alone(&path)?;
        let connect = || {
            let connection = connect(&path)?;
            match self.found(&connection)? {
                Some(version) if version == self.version() => Ok(connection),
                Some(found) => Err(Trouble::Newer(found)),
                None if is_empty(&connection)? => Err(Trouble::Unmade),
                None => Err(Trouble::Foreign),
            }
        };
        connect().map_err(|trouble| self.refusal(&path, trouble))
    }

    fn prepare(&self, path: &Path) -> Result<(Connection, bool), Trouble> {
        let is_unused_copy = is_unused_copy(path);
        let connection = connected(path, false)?;
        let found = self.found(&connection)?;
        let is_new = match found {
            None if is_empty(&connection)? => true,
            None => return Err(Trouble::Foreign),
            Some(version) if version > self.version() => return Err(Trouble::Newer(version)),
            Some(_) => false,
        };
        if is_new {
            // Both are fixed once a table exists.
            connection.pragma_update(None, "page_size", super::PAGE)?;
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        let journal_mode =
            |mode| connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()));
        if is_unused_copy {
            // An empty log may lie beside it. SQLite would go on with that log, and never note in the header
            // that the database has a log.
            journal_mode("DELETE")?;
        }
        // The note is to be on the disk before the log is: a loss of power between them would leave what looks
        // like a backup beside the log of another database.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        journal_mode("WAL")?;
        let synchronous = if self.commits_sync { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        // Checkpoints are made by a thread of their own.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        self.migrate(&connection, found.unwrap_or_default())?;
        Ok((connection, is_new))
    }

    /// The version of the schema; `None` if the file is not of this kind.
    fn found(&self, connection: &Connection) -> rusqlite::Result<Option<i32>> {
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let application = number("application_id")?;
        let version = number("user_version")?;
        Ok((application == self.application).then_some(version))
    }

    /// Brings the schema from version `from` to the one that is known, in one transaction.
    fn migrate(&self, connection: &Connection, from: i32) -> rusqlite::Result<()> {
        let done = usize::try_from(from).unwrap_or_default();
        let steps = self.steps.get(done..).unwrap_or_default();
        if steps.is_empty() {
            return Ok(());
        }
        let transaction = begun(connection)?;
        for step in steps.iter().copied().flatten() {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", self.application)?;
        transaction.pragma_update(None, "user_version", self.version())?;
        transaction.commit()
    }

    pub(super) fn refusal(&self, path: &Path, trouble: Trouble) -> OpenError {
        let path_buf = path.to_owned();
        match trouble {
            Trouble::Foreign => OpenError::Foreign { path: path_buf },
            Trouble::Unmade => OpenError::Unmade { path: path_buf },
            Trouble::Newer(found) => OpenError::Newer {
                path: path_buf,
                found,
                known: self.version(),
            },
            Trouble::Sqlite(reason) => match reason.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Damaged {
                    path: path_buf,
                    what: in_words(&reason),
                },
                _ if is_full(path, &reason) => OpenError::Full {
                    path: path_buf,
                    reason,
                },
                _ => OpenError::Sqlite {
                    path: path_buf,
                    reason,
                },
            },
        }
    }
}

/// The reason why a file is not what is wanted.
pub(super) enum Trouble {
    Foreign,
    Unmade,
    Newer(i32),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes the file, for this user alone, and sees to it that the directory keeps it.
fn make_file(dir: &Path, path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    // SQLite has no lock on it yet: closing it would drop those of this process.
    let file = options
        .open(path)
        .map_err(OpenError::system("opening", path))?;
    let mode = fs::Permissions::from_mode(0o600);
    file.set_permissions(mode)
        .map_err(OpenError::system("setting the mode of", path))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(OpenError::system("syncing", dir))
}

fn connected(path: &Path, is_reader: bool) -> rusqlite::Result<Connection> {
    let access = if is_reader {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let access = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepared(Connection::open_with_flags(path, access)?)
}

/// A connection to a database that nobody has open takes its file for one that nobody changes. A database
/// with a log is in use, or was when its process ended: it has the files beside it already.
fn looking(path: &Path) -> rusqlite::Result<Connection> {
    let log = fs::metadata(log_of(path));
    let Some(name) = path.to_str().filter(|_| log.is_err()) else {
        return connected(path, true);
    };
    let name = format!("file:{}?immutable=1", encode(name.as_bytes(), UNRESERVED));
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    prepared(Connection::open_with_flags(name, access)?)
}

fn prepared(mut connection: Connection) -> rusqlite::Result<Connection> {
    // SQLite's own handler asks ten times a second at last, and finds another writer each time.
    connection.busy_handler(Some(|times| {
        thread::sleep(ASK_AGAIN);
        times < ATTEMPTS
    }))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is in the file may be anything: it is not trusted to call functions, or to have cells of
    // any size.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", (), |row| row.get(0))?;
    Ok(application == 0 && tables == 0)
}

/// Begins a transaction that writes. One that reads at first fails at once while another process writes.
pub(super) fn begun(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

/// Does something in a transaction that writes.
pub(super) fn in_transaction<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    within(begun(connection)?, work)
}

/// Does something in this transaction, and ends it.
pub(super) fn within<T>(
    transaction: Transaction<'_>,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}
