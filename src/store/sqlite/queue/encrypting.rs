//! What happens to the deliveries that are stored already when keys are set for the first time, or
//! are taken away (contract: State).
//!
//! The first start with keys encrypts what is not encrypted, in transactions of a bounded size. Before
//! the first of them it writes down that it is under way, in bytes that only its key makes: one that is
//! killed goes on at the next start. Then it writes down that everything is encrypted, and from then
//! on a delivery that is not is damaged. So is one that lies among encrypted ones while neither is
//! written down: whoever can write to the disk can remove what is written there. At last it writes the whole file anew, since SQLite leaves
//! what was deleted or replaced in it.
//!
//! Where the disk has no room for that, the gateway starts all the same, since what it delivers makes
//! room; the next start goes on.

use arc_swap::ArcSwap;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::contents::{Contents, Fault};
use super::rows::{PIECE, piece_number};
use super::{begun, named, sealed};
use crate::queue::Number;
use crate::store::Content;
use crate::store::sealing::{KeyId, Keyring, Owner, Part, Seal, Sealing};
use crate::store::sqlite::checkpoint::{PASSIVE, TRUNCATE};
use crate::store::sqlite::database::Opened;
use crate::store::sqlite::file::in_transaction;
use crate::store::sqlite::meta::{self, MetaKey};
use crate::store::sqlite::room::{
    Disk, FEW, FEW_BYTES, Purpose, RESERVE, finds_room, full, most_bytes, unused_bytes,
};
use crate::store::sqlite::{ErrorKind, PAGE, in_words, integer};

/// Deliveries in the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// The key; `None`: they are not encrypted.
    pub key: Option<KeyId>,
    /// Whether they can be read: their key is there, or they are not encrypted and need not be.
    pub is_readable: bool,
    /// Their number.
    pub count: u64,
}

/// The deliveries of a transaction at most.
const STEP: usize = 256;

/// The bytes after which a transaction takes no further delivery.
const STEP_BYTES: u64 = 8 << 20;

/// The bytes after which the log is put into the database.
const CHECKPOINT_AFTER: u64 = 64 << 20;

/// The bytes of a file that is written anew by way of memory. A larger one goes by way of a temporary
/// file.
const IN_MEMORY: u64 = 64 << 20;

/// Brings the stored deliveries into the form that `keys` ask for, unless the file `is_shared` with
/// another process that writes or its disk has no room, and has the keys refuse any other form.
pub(super) fn begin(
    opened: Opened<'_>,
    keys: &ArcSwap<Keyring>,
    is_shared: bool,
) -> rusqlite::Result<()> {
    let connection = opened.connection;
    let is_encrypted = meta::read(connection, MetaKey::Keys)?.is_some();
    let own = keys.load_full();
    let Some(first) = own.first() else {
        if is_encrypted {
            log::warn!(
                "state: `keys` are gone from `[state]`: what is accepted from now on is not encrypted"
            );
            meta::write(connection, MetaKey::Keys, None)?;
        }
        return Ok(());
    };
    if !is_encrypted && plain_is_damage(connection, &own)? {
        log::error!(
            "state: queue.db: {} of the deliveries are not encrypted, and others are: nobody can tell whether they \
             were accepted while there were no `keys`, so they are damaged, and none is sent. Those that you know \
             are delivered by a start without `keys` and a retry by hand",
            count_plain(connection)?
        );
    } else if !is_encrypted {
        let is_under_way = first_start_is_under_way(connection, &own)?;
        if !is_under_way {
            meta::write(
                connection,
                MetaKey::FirstStart,
                own.first_start().as_deref(),
            )?;
        }
        if is_shared {
            log::warn!(
                "state: what was stored before is not encrypted yet, since another gateway still writes: the next \
                 start without `--upgrade` does it"
            );
            return Ok(());
        }
        let done = match encrypt_all(opened, &own) {
            Err(error) if ErrorKind::of(&error) == ErrorKind::Full => {
                log::error!(
                    "state: what was stored before is not all encrypted ({}); what is accepted from now on is: make room \
                     on the disk of `state.dir`, and start again",
                    in_words(&error)
                );
                return Ok(());
            }
            done => done?,
        };
        in_transaction(connection, |connection| {
            meta::write(connection, MetaKey::Remains, Some(b""))?;
            meta::write(connection, MetaKey::FirstStart, None)?;
            meta::write(connection, MetaKey::Keys, Some(&first.0))
        })?;
        if done.deliveries > 0 {
            log::info!(
                "state: {} of the deliveries were stored before there were keys, and are encrypted now",
                done.deliveries
            );
        }
    }
    keys.store(std::sync::Arc::new(
        Keyring::clone(&own).refusing_plain(true),
    ));
    if !is_shared && meta::read(connection, MetaKey::Remains)?.is_some() {
        write_anew(opened);
    }
    Ok(())
}

/// Whether a delivery that is not encrypted is damaged, for a gateway with `keys`: the file says that
/// all of them are encrypted, or others are and no start with these keys is encrypting the rest.
pub(in crate::store::sqlite) fn plain_is_damage(
    connection: &Connection,
    keys: &Keyring,
) -> rusqlite::Result<bool> {
    if meta::read(connection, MetaKey::Keys)?.is_some() {
        return Ok(true);
    }
    if keys.first().is_none() || first_start_is_under_way(connection, keys)? {
        return Ok(false);
    }
    let is_mixed = "select exists (select 1 from delivery where substr(seal, 1, 1) = x'02') \
                    and exists (select 1 from delivery where substr(seal, 1, 1) != x'02')";
    connection.query_row(is_mixed, (), |row| row.get(0))
}

fn first_start_is_under_way(connection: &Connection, keys: &Keyring) -> rusqlite::Result<bool> {
    let written = meta::read(connection, MetaKey::FirstStart)?;
    Ok(written.is_some_and(|written| keys.made_first_start(&written)))
}

fn count_plain(connection: &Connection) -> rusqlite::Result<u64> {
    let select = "select count(*) from delivery where substr(seal, 1, 1) != x'02'";
    connection.query_row(select, (), |row| row.get(0))
}

/// The keys that `keys` does not have and that deliveries need, in their order.
pub(super) fn missing(
    connection: &Connection,
    keys: &Keyring,
    numbers: &[Number],
) -> rusqlite::Result<Vec<Option<KeyId>>> {
    let mut select = connection.prepare(
        "select substr(seal, 2, 8) from delivery where number = ?1 and substr(seal, 1, 1) = x'02' \
         and length(seal) = 25",
    )?;
    let of = |number: &Number| {
        let found = select.query_row([integer(number.0)], |row| row.get::<_, [u8; 8]>(0));
        let found = found.optional()?.map(KeyId);
        Ok(found.filter(|key| !keys.has(*key)))
    };
    numbers.iter().map(of).collect()
}

/// What was encrypted.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    deliveries: u64,
    bytes: u64,
}

fn encrypt_all(opened: Opened<'_>, keys: &Keyring) -> rusqlite::Result<Done> {
    let Opened {
        connection,
        disk,
        checkpoints,
    } = opened;
    let mut contents = Contents::prepare(connection)?;
    let mut all = Done::default();
    let (mut last, mut unwritten) = (0, 0);
    loop {
        let step = plain(connection, last, disk.scarce().is_some())?;
        let Some((newest, _)) = step.last() else {
            checkpoints.make(connection, PASSIVE)?;
            return Ok(all);
        };
        make_room(opened, &step)?;
        let done = in_transaction(connection, |connection| {
            let mut done = Done::default();
            for (number, bytes) in &step {
                if encrypt(connection, &mut contents, keys, *number)? {
                    done.deliveries += 1;
                }
                done.bytes += bytes;
            }
            Ok(done)
        })?;
        last = *newest;
        all.deliveries += done.deliveries;
        all.bytes += done.bytes;
        unwritten += done.bytes;
        if unwritten > CHECKPOINT_AFTER {
            unwritten = 0;
            checkpoints.make(connection, PASSIVE)?;
            log::info!("state: {} MiB are encrypted so far", all.bytes >> 20);
        }
    }
}

/// The next deliveries that are not encrypted, with the bytes of each, as many as a transaction takes.
fn plain(connection: &Connection, after: u64, few: bool) -> rusqlite::Result<Vec<(u64, u64)>> {
    let (most, enough) = if few {
        (FEW, FEW_BYTES)
    } else {
        (STEP, STEP_BYTES)
    };
    let mut select = connection.prepare(
        "select number, bytes from delivery where number > ?1 and substr(seal, 1, 1) != x'02' \
         order by number limit ?2",
    )?;
    let mut rows = select.query(params![integer(after), most])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while bytes <= enough
        && let Some(row) = rows.next()?
    {
        let delivery: (u64, u64) = (row.get(0)?, row.get(1)?);
        bytes = delivery.1.saturating_add(bytes);
        found.push(delivery);
    }
    Ok(found)
}

/// Where the disk has little room, sees to it that the transaction leaves enough for the log.
///
/// # Errors
/// There is no room for it, or the log could not be put into the database.
fn make_room(opened: Opened<'_>, step: &[(u64, u64)]) -> rusqlite::Result<()> {
    let Opened {
        connection,
        disk,
        checkpoints,
    } = opened;
    let bytes = step.iter().map(|(_, bytes)| *bytes);
    let bytes = most_bytes(step.len(), bytes.fold(0, u64::saturating_add));
    let look = || {
        let Some(mut room) = disk.scarce() else {
            return Ok(None);
        };
        room.unused = unused_bytes(connection)?;
        Ok(Some(room))
    };
    let empty = || checkpoints.make(connection, TRUNCATE).map(drop);
    if finds_room(look, (Purpose::More, bytes), empty)? {
        Ok(())
    } else {
        Err(full())
    }
}

/// Encrypts a delivery. One that is damaged stays as it is: `false`.
fn encrypt(
    connection: &Connection,
    contents: &mut Contents<'_>,
    keys: &Keyring,
    number: u64,
) -> rusqlite::Result<bool> {
    let number = Number(number);
    let (owner, content) = match contents.whole(keys, number) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(false),
        Err(Fault::Sqlite(error)) => return Err(error),
        Err(Fault::Content(why)) => {
            log::error!(
                "state: queue.db: {} is damaged, and was not encrypted: {why}",
                named(connection, number)
            );
            return Ok(false);
        }
    };
    let sealing = begun(owner, keys)?;
    let seal = write(connection, owner, &content, sealing)?;
    connection.execute(
        "update delivery set seal = ?2 where number = ?1",
        params![integer(number.0), seal.to_bytes()],
    )?;
    Ok(true)
}

fn write(
    connection: &Connection,
    owner: Owner,
    content: &Content,
    mut sealing: Sealing,
) -> rusqlite::Result<Seal> {
    let (mut room, mut second) = (Vec::new(), Vec::new());
    let is_large = content.body.len() > PIECE;
    if is_large {
        let mut update = connection.prepare("update piece set bytes = ?2 where number = ?1")?;
        let mut pieces = content.body.chunks(PIECE).zip(0..).peekable();
        while let Some((piece, place)) = pieces.next() {
            let is_last = pieces.peek().is_none();
            let part = Part::Piece { place, is_last };
            let piece = sealed(&mut sealing, part, piece, &mut room)?;
            update.execute(params![piece_number(owner.number, place), piece])?;
        }
    }
    let head = sealed(&mut sealing, Part::Head, &content.head, &mut room)?;
    let body = if is_large {
        &[][..]
    } else {
        sealed(&mut sealing, Part::Body, &content.body, &mut second)?
    };
    connection.execute(
        "update content set head = ?2, body = ?3 where number = ?1",
        params![integer(owner.number.0), head, body],
    )?;
    Ok(sealing.end())
}

/// Writes the whole file anew, and empties its log, so that neither holds what was deleted. If that
/// fails, it is said, and the next start tries again.
fn write_anew(opened: Opened<'_>) {
    let connection = opened.connection;
    let done = vacuum(connection, opened.disk).and_then(|()| {
        let found = opened.checkpoints.make(connection, TRUNCATE)?;
        if found.is_complete() {
            meta::write(connection, MetaKey::Remains, None)?;
        }
        Ok(found.is_complete())
    });
    let why = match done {
        Ok(true) => return,
        Ok(false) => "another program reads it".to_owned(),
        Err(error) => in_words(&error),
    };
    log::error!(
        "state: queue.db could not be written anew ({why}), so its free room may still hold deliveries from before \
         they were encrypted: the next start tries again"
    );
}

fn vacuum(connection: &Connection, disk: &Disk) -> rusqlite::Result<()> {
    let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let bytes = pages.saturating_mul(PAGE);
    // The temporary file may be on the same disk, and the log is never longer than what is free.
    let needed = bytes.saturating_mul(3).saturating_add(RESERVE);
    if disk.free().is_some_and(|free| free < needed) {
        return Err(full());
    }
    let is_large = bytes > IN_MEMORY;
    if is_large {
        connection.pragma_update(None, "temp_store", "FILE")?;
    }
    // The copy is written over the file, in the log, and comes into the file with a checkpoint.
    let done = connection.execute_batch("vacuum");
    if is_large {
        connection.pragma_update(None, "temp_store", "MEMORY")?;
    }
    done
}

/// How many deliveries there are of each form.
pub(in crate::store::sqlite) fn counted(
    connection: &Connection,
    keys: &Keyring,
) -> rusqlite::Result<Vec<Encrypted>> {
    let mut select = connection.prepare(
        "select case when substr(seal, 1, 1) = x'02' and length(seal) = 25 then substr(seal, 2, 8) end \
         as key, count(*) \
         from delivery group by key order by key",
    )?;
    let rows = select.query_map((), |row| {
        let key = row.get::<_, Option<[u8; 8]>>(0)?.map(KeyId);
        Ok(Encrypted {
            key,
            is_readable: key.map_or(!keys.refuses_plain(), |key| keys.has(key)),
            count: row.get(1)?,
        })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{KIND, QueueDb};
    use super::*;
    use crate::clock::Clock;
    use crate::key::secret::SecretText;
    use crate::store::QueueStore as _;
    use crate::store::sqlite::checkpoint::Checkpoints;
    use crate::store::sqlite::tests::{delivery, wait};

    #[test]
    fn qu_20_a_first_start_with_keys_on_a_full_disk_leaves_room_for_the_log_and_goes_on_later() {
        let folder = tempfile::tempdir().unwrap();
        let queue = QueueDb::open(folder.path(), &Clock::system(), None).unwrap();
        for name in 0..40 {
            wait(queue.accept(delivery(name, 50_000))).unwrap();
        }
        drop(queue);
        let connection = KIND.connect(folder.path(), false).unwrap();
        let disk = Disk::of(folder.path(), KIND.name);
        let checkpoints = Checkpoints::of(&folder.path().join(KIND.name), &connection).unwrap();
        let opened = Opened {
            connection: &connection,
            disk: &disk,
            checkpoints: &checkpoints,
        };
        let ring = Keyring::new([SecretText::new((1..33).collect())]);
        let start = |free| {
            disk.pretend_free(Some(free));
            let keys = ArcSwap::from_pointee(ring.clone());
            begin(opened, &keys, false).unwrap();
            assert!(disk.log_bytes() <= free, "{} of {free}", disk.log_bytes());
            (
                count_plain(&connection).unwrap(),
                keys.load().refuses_plain(),
            )
        };
        // Nothing is refused as long as some are not encrypted.
        assert_eq!(start(RESERVE / 2), (40, false));
        assert_eq!(start(RESERVE), (0, true));
        assert!(meta::read(&connection, MetaKey::Remains).unwrap().is_some());
        assert_eq!(start(64 << 20), (0, true));
        assert_eq!(meta::read(&connection, MetaKey::Remains).unwrap(), None);
    }
}
