//! What an operator asks of the databases of a directory, beside a gateway that runs or without one:
//! what is in them, whether they are whole, and a copy (contract: State).
//!
//! Nothing here writes to the databases themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::file::Kind;
use super::logs::refuse_a_log_alone;
use super::meta::{self, MetaKey};
use super::open_error::OpenError;
use super::pair::judge;
use super::queue::{Contents, Encrypted, PLACES, named};
use super::room::log_of;
use super::stats::{ErrorKind, is_full};
use super::{KINDS, failure, in_words, journal};
use crate::queue::{Number, State};
use crate::store::StoreError;
use crate::store::sealing::{KeyId, Keyring, Unreadable};

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The path of the file.
    pub path: PathBuf,
    /// The version of its schema.
    pub schema: i32,
    /// Its bytes.
    pub file_bytes: u64,
    /// The bytes in it that are not used.
    pub unused_bytes: u64,
    /// The bytes of the log beside it.
    pub log_bytes: u64,
    /// The changes of the replay window in it, those that later ones have made void included.
    pub changes: u64,
    /// Whether the gateway that had it last ended in order, as `window.db` says for both.
    pub is_clean: Option<bool>,
    /// Deliveries by route and state.
    pub deliveries: Vec<Deliveries>,
    /// Deliveries by the key that encrypts them.
    pub encrypted: Vec<Encrypted>,
}

/// What was found in the databases of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The faults, in words that name file, table and row.
    pub faults: Vec<String>,
    /// The deliveries that could not be checked, by the id of the key that they need.
    pub unchecked: BTreeMap<KeyId, u64>,
}

/// Deliveries of a route in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// The name of the route.
    pub route: String,
    /// Its provider.
    pub provider: String,
    /// The state; `None`: the database does not have a known one.
    pub state: Option<State>,
    /// The number of deliveries.
    pub count: u64,
    /// The bytes of their heads and bodies.
    pub bytes: u64,
}

/// A copy of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The path of the copy.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

/// A database, opened for reading, or why it cannot be.
type Looked = (&'static Kind, Result<Connection, OpenError>);

/// The databases in `dir`, of which there must be one. One that a start has begun and not finished
/// holds nothing, and is left out; but a start makes `queue.db` first, so where `window.db` is, it was there.
/// `open` opens one.
fn databases(
    dir: &Path,
    open: impl Fn(&'static Kind) -> Result<Connection, OpenError>,
) -> Result<Vec<Looked>, OpenError> {
    let unseen = || OpenError::system("looking for databases in", dir);
    fs::metadata(dir).map_err(unseen())?;
    let mut found = Vec::new();
    let mut unmade = None;
    for kind in KINDS.iter().copied() {
        let path = dir.join(kind.name);
        let is_there = path.try_exists().map_err(unseen())?;
        if is_there || refuse_a_log_alone(&path).is_err() {
            match open(kind) {
                Err(error @ OpenError::Unmade { .. }) => unmade = Some(error),
                opened => found.push((kind, opened)),
            }
        }
    }
    let (queue, window) = (&super::queue::KIND, &super::window::KIND);
    match found.first() {
        None => Err(unmade.unwrap_or_else(|| {
            let nothing = "it has neither queue.db nor window.db";
            let nothing = io::Error::new(io::ErrorKind::NotFound, nothing);
            unseen()(nothing)
        })),
        Some((kind, Ok(_))) if kind.name == window.name => {
            let path = dir.join(queue.name);
            found.insert(0, (queue, Err(OpenError::Gone { path })));
            Ok(found)
        }
        Some(_) => Ok(found),
    }
}

/// What is in the databases of `dir`. `keys` tell which deliveries can be read.
///
/// # Errors
/// [`OpenError`].
pub fn info(dir: &Path, keys: &Keyring) -> Result<Vec<Info>, OpenError> {
    let of = |(kind, opened): Looked| {
        let path = dir.join(kind.name);
        info_of(&opened?, &path, kind, keys).map_err(|error| kind.refusal(&path, error.into()))
    };
    let looked = databases(dir, |kind| kind.look(dir))?;
    looked.into_iter().map(of).collect()
}

fn info_of(
    connection: &Connection,
    path: &Path,
    kind: &Kind,
    keys: &Keyring,
) -> rusqlite::Result<Info> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let log = fs::metadata(log_of(path));
    let has_deliveries = kind.name == super::queue::KIND.name;
    Ok(Info {
        path: path.to_owned(),
        schema: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        file_bytes: number("page_count")? * super::PAGE,
        unused_bytes: number("freelist_count")? * super::PAGE,
        log_bytes: log.map_or(0, |log| log.len()),
        changes: connection.query_row(
            "select coalesce(sum(changes), 0) from claim",
            (),
            |row| row.get(0),
        )?,
        is_clean: if has_deliveries {
            None
        } else {
            Some(meta::read(connection, MetaKey::CleanStop)?.is_some())
        },
        deliveries: if has_deliveries {
            deliveries(connection)?
        } else {
            Vec::new()
        },
        encrypted: if has_deliveries {
            super::queue::counted(connection, &as_the_file_asks(connection, keys)?)?
        } else {
            Vec::new()
        },
    })
}

fn deliveries(connection: &Connection) -> rusqlite::Result<Vec<Deliveries>> {
    let mut select = connection.prepare(
        "select coalesce(route.name, '?'), coalesce(route.provider, '?'), state, count(*), sum(bytes) \
         from delivery left join route on route.number = delivery.route \
         group by delivery.route, state order by 1, 2, 3",
    )?;
    let rows = select.query_map((), |row| {
        let state = match row.get::<_, i64>(2)? {
            0 => Some(State::Waiting),
            1 => Some(State::Retrying),
            2 => Some(State::Dead),
            _ => None,
        };
        Ok(Deliveries {
            route: row.get(0)?,
            provider: row.get(1)?,
            state,
            count: row.get(3)?,
            bytes: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// Keys that take what is not encrypted for damage, where a start with them would.
fn as_the_file_asks(connection: &Connection, keys: &Keyring) -> rusqlite::Result<Keyring> {
    let is_damage = super::queue::plain_is_damage(connection, keys)?;
    Ok(keys.clone().refusing_plain(is_damage))
}

/// Reads the databases of `dir` whole, and names their faults and why no gateway would start with them. A delivery that is encrypted can be
/// checked with its key alone.
///
/// # Errors
/// [`OpenError`].
pub fn check(dir: &Path, keys: &Keyring) -> Result<Checked, OpenError> {
    let mut checked = Checked::default();
    for (kind, opened) in databases(dir, |kind| kind.look(dir))? {
        let connection = match opened {
            Ok(connection) => connection,
            Err(
                damaged @ (OpenError::Damaged { .. }
                | OpenError::Lost { .. }
                | OpenError::ForeignLog { .. }
                | OpenError::Gone { .. }),
            ) => {
                checked.faults.push(damaged.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Err(error) = check_one(&connection, kind, keys, &mut checked) {
            let fault = format!("{}: {}", kind.name, in_words(&error));
            checked.faults.push(fault);
        }
    }
    if let Err(apart) = judge(dir) {
        let fault = apart.to_string();
        if !checked.faults.contains(&fault) {
            checked.faults.push(fault);
        }
    }
    Ok(checked)
}

/// Rows that have no counterpart, and what is said of them.
fn lonely() -> [(String, &'static str); 4] {
    [
        (
            "select number from delivery where number not in (select number from content)".to_owned(),
            "has neither head nor body",
        ),
        (
            "select number from content where number not in (select number from delivery)".to_owned(),
            "has head and body but no row in the table delivery",
        ),
        (
            // By a range, in which SQLite finds them without a look at all the others.
            format!(
                "select delivery.number from delivery join content using (number) where pieces > 0
                 and pieces != (select count(*) from piece where piece.number >= delivery.number << {PLACES}
                 and piece.number < (delivery.number + 1) << {PLACES})"
            ),
            "has a body of which pieces are missing",
        ),
        (
            "select distinct delivery from attempt where delivery not in (select number from delivery)"
                .to_owned(),
            "has attempts but no row in the table delivery",
        ),
    ]
}

fn check_one(
    connection: &Connection,
    kind: &Kind,
    keys: &Keyring,
    checked: &mut Checked,
) -> rusqlite::Result<()> {
    let name = kind.name;
    let Checked { faults, unchecked } = checked;
    // One reading of the file: what a gateway changes meanwhile is not seen.
    let transaction = connection.unchecked_transaction()?;
    let mut integrity = transaction.prepare("pragma integrity_check(20)")?;
    let mut rows = integrity.query(())?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        if said != "ok" {
            faults.push(format!("{name}: {said}"));
        }
    }
    let mut note = |result: Result<(), StoreError>| match result {
        Ok(()) => {}
        Err(StoreError::Damaged(said) | StoreError::Unavailable(said)) => {
            faults.push(said.to_string());
        }
        Err(why @ StoreError::Content(_)) => faults.push(format!("{name}: {why}")),
    };
    note(journal::read_all(&transaction, name, &mut |_| {}));
    for broken in meta::broken(&transaction)? {
        let said = format!("{name}: its {broken} is broken");
        note(Err(StoreError::Damaged(said.into())));
    }
    if name != super::queue::KIND.name {
        return Ok(());
    }
    note(super::queue::each_delivery(&transaction, &mut |_| {}));
    let routes = super::queue::routes(&transaction);
    note(routes.map(drop).map_err(|error| failure(name, &error)));
    let mut lonely_ones = BTreeSet::new();
    for (lonely, what) in lonely() {
        let mut select = transaction.prepare(&lonely)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            let delivery = named(&transaction, Number(number.cast_unsigned()));
            faults.push(format!("{name}: {delivery} {what}"));
            lonely_ones.insert(number);
        }
    }
    let keys = as_the_file_asks(&transaction, keys)?;
    let mut contents = Contents::prepare(&transaction)?;
    let mut select = transaction.prepare("select number from delivery order by number")?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if lonely_ones.contains(&number) {
            continue;
        }
        let number = Number(number.cast_unsigned());
        match contents.fault(&keys, number) {
            None => {}
            Some(StoreError::Content(Unreadable::NoKey(key))) => {
                *unchecked.entry(key).or_default() += 1;
            }
            Some(why) => {
                let delivery = named(&transaction, number);
                faults.push(format!("{name}: {delivery} is damaged: {why}"));
            }
        }
    }
    Ok(())
}

/// Copies the databases of `dir` into the new directory `to`, each as it is at one moment. A gateway
/// that finds the copies takes them for those of a machine that has lost power, and delivers again
/// what it may have delivered. A backup that fails leaves nothing behind. Files of two gateways are
/// copied, and are those of two gateways after that; files of two backups would become those of one.
///
/// # Errors
/// [`OpenError`].
pub fn back_up(dir: &Path, to: &Path) -> Result<Vec<Backup>, OpenError> {
    match judge(dir) {
        Ok(_) | Err(OpenError::Strangers) => {}
        Err(error) => return Err(error),
    }
    // A gateway may start meanwhile, so it is more than a look.
    let opened = databases(dir, |kind| kind.connect(dir, true))?.into_iter();
    let opened = opened.map(|(kind, opened)| Ok((kind, opened?)));
    let databases = opened.collect::<Result<Vec<_>, OpenError>>()?;
    let is_made = make_empty(to)?;
    let mut written = Vec::new();
    copy_all(dir, to, databases, &mut written).map_err(|reason| {
        let removed = written.iter().try_for_each(|path| remove_copy(path));
        if is_made {
            // It stays where something else is in it by now.
            let _ = fs::remove_dir(to);
        }
        let left = match removed {
            Ok(()) => "was removed".to_owned(),
            Err(error) => format!("is still in {}: {error}", to.display()),
        };
        OpenError::Unfinished {
            reason: Box::new(reason),
            left,
        }
    })
}

/// Removes a copy, with what SQLite may have left beside it.
fn remove_copy(path: &Path) -> io::Result<()> {
    for end in ["-journal", "-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        let _ = fs::remove_file(beside);
    }
    fs::remove_file(path)
}

/// Copies the databases. `written` gets the paths of the copies that were begun.
fn copy_all(
    dir: &Path,
    to: &Path,
    databases: Vec<(&'static Kind, Connection)>,
    written: &mut Vec<PathBuf>,
) -> Result<Vec<Backup>, OpenError> {
    let mut copies = Vec::new();
    let mut mark = [0; 16];
    getrandom::fill(&mut mark)
        .map_err(io::Error::other)
        .map_err(OpenError::system("drawing a random mark for", to))?;
    // The window is copied first: what it says of its own time is then true of the queue's copy too.
    for (kind, from) in databases.into_iter().rev() {
        let path = to.join(kind.name);
        // SQLite fills an empty file, and would make one that others may read.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options
            .open(&path)
            .map_err(OpenError::system("making", &path))?;
        written.push(path.clone());
        copy(&from, &path, &mark).map_err(|reason| match ErrorKind::of(&reason) {
            ErrorKind::Damaged => kind.refusal(&dir.join(kind.name), reason.into()),
            _ => OpenError::NotCopied {
                from: dir.join(kind.name),
                to: path.clone(),
                why: if is_full(&path, &reason) {
                    format!(", because the disk is full: {}", in_words(&reason))
                } else {
                    format!(": {}", in_words(&reason))
                },
            },
        })?;
        let synced = File::open(&path).and_then(|file| {
            file.sync_all()?;
            file.metadata()
        });
        let bytes = synced.map_err(OpenError::system("syncing", &path))?.len();
        copies.push(Backup { path, bytes });
    }
    File::open(to)
        .and_then(|dir| dir.sync_all())
        .map_err(OpenError::system("syncing", to))?;
    copies.reverse();
    Ok(copies)
}

/// Makes a directory for copies. One that is there already must be empty. Returns whether it was made.
fn make_empty(to: &Path) -> Result<bool, OpenError> {
    let path = to.to_owned();
    let Err(reason) = DirBuilder::new().mode(0o700).create(to) else {
        return Ok(true);
    };
    if reason.kind() != io::ErrorKind::AlreadyExists {
        return Err(OpenError::NotMade { path, reason });
    }
    match fs::read_dir(to).map(|mut entries| entries.next()) {
        Ok(None) => Ok(false),
        Ok(Some(_)) => Err(OpenError::Taken { path }),
        Err(reason) => Err(OpenError::NotMade { path, reason }),
    }
}

fn copy(from: &Connection, path: &Path, mark: &[u8]) -> rusqlite::Result<()> {
    let text = path
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    from.execute("vacuum into ?1", [text])?;
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, access)?;
    // The copy is older than what its gateway did last.
    meta::write(&copy, MetaKey::CleanStop, None)?;
    meta::write(&copy, MetaKey::Boot, None)?;
    meta::write(&copy, MetaKey::Backup, Some(mark))?;
    copy.close().map_err(|(_, error)| error)
}
