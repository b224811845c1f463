//! Facts beside the rows of a database: a table of names and values.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::queue::RouteNumber;

/// The statement that makes the table.
pub(super) const SCHEMA: &str =
    "create table meta (name text primary key, value blob not null) strict, without rowid;";

/// The name of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey {
    /// The key of all digests of the replay window.
    DigestKey,
    /// The monotonic clock when the window was written last, in nanoseconds.
    Monotonic,
    /// The wall clock when all was written that the window had told by then, in milliseconds since 1970.
    Wall,
    /// Whether the gateway ended in order: there while it is stopped, absent while it runs.
    CleanStop,
    /// The boot of the machine in which the gateway ran.
    Boot,
    /// The wall clock at the moment from which on the window is complete, in milliseconds since 1970.
    Complete,
    /// The first and the last moment of the time of which the window may lack something, because the
    /// machine lost power: two times as [`Wall`](Self::Wall) has them.
    Gap,
    /// The same for the claims that are stored with their deliveries, which a loss of power takes none
    /// of: the files are those of a backup.
    QueueGap,
    /// That the file goes back to a backup: a random mark, which the other file of that backup has too.
    Backup,
    /// The routes of which claims were ever stored with deliveries: their digests, 16 bytes each.
    StoredRoutes,
    /// Whether a route is paused, and by what.
    Pause(RouteNumber),
    /// That heads and bodies of all deliveries are encrypted: the id of the key that did it first.
    Keys,
    /// That the first start with keys is under way, so that deliveries which are not encrypted may be
    /// there beside others: what [`Keyring::first_start`](crate::store::sealing::Keyring::first_start)
    /// makes.
    FirstStart,
    /// That the free room of the file may still hold what was stored before it was encrypted.
    Remains,
    /// The number below which all numbers of deliveries may have been used.
    Numbers,
}

impl MetaKey {
    /// The name as it is written.
    fn name(self) -> String {
        match self {
            Self::DigestKey => "digest_key".to_owned(),
            Self::Monotonic => "monotonic".to_owned(),
            Self::Wall => "wall".to_owned(),
            Self::CleanStop => "clean_stop".to_owned(),
            Self::Boot => "boot".to_owned(),
            Self::Complete => "complete".to_owned(),
            Self::Gap => "gap".to_owned(),
            Self::QueueGap => "queue_gap".to_owned(),
            Self::Backup => "backup".to_owned(),
            Self::StoredRoutes => "stored_routes".to_owned(),
            Self::Pause(route) => format!("pause {}", route.0),
            Self::Keys => "keys".to_owned(),
            Self::FirstStart => "first_start".to_owned(),
            Self::Remains => "remains".to_owned(),
            Self::Numbers => "numbers".to_owned(),
        }
    }
}

/// Reads a fact.
pub(super) fn read(connection: &Connection, key: MetaKey) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .query_row(
            "select value from meta where name = ?1",
            [key.name()],
            |row| row.get(0),
        )
        .optional()
}

/// The facts without which no gateway starts, and that are not of the size in which they are written, in words.
pub(super) fn broken(connection: &Connection) -> rusqlite::Result<Vec<&'static str>> {
    let facts = [
        (MetaKey::DigestKey, 16, "key of digests"),
        (MetaKey::Wall, 8, "time"),
        (MetaKey::Complete, 8, "time"),
        (MetaKey::Gap, 16, "time"),
        (MetaKey::QueueGap, 16, "time"),
    ];
    let mut broken = Vec::new();
    for (key, size, words) in facts {
        if read(connection, key)?.is_some_and(|value| value.len() != size) {
            broken.push(words);
        }
    }
    Ok(broken)
}

/// Writes a fact; `None` removes it.
pub(super) fn write(
    connection: &Connection,
    key: MetaKey,
    value: Option<&[u8]>,
) -> rusqlite::Result<()> {
    match value {
        Some(value) => connection.execute(
            "insert or replace into meta (name, value) values (?1, ?2)",
            params![key.name(), value],
        ),
        None => connection.execute("delete from meta where name = ?1", [key.name()]),
    }
    .map(|_| ())
}

/// Reads a fact that is a number.
pub(super) fn read_number(connection: &Connection, key: MetaKey) -> rusqlite::Result<Option<u64>> {
    let bytes = read(connection, key)?;
    Ok(bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes))
}
