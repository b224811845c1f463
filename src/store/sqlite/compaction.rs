//! A journal of the window is written anew without the changes that later ones have made void, a few
//! rows at a time (contract: State).
//!
//! Old rows are replaced from the first one on, at their own numbers, so at every moment the rows in
//! order tell the same. Nobody waits for it but the writer, between two transactions.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::file::in_transaction;
use super::journal::FULL_ROW;
use crate::clock::{Now, UnixMillis};
use crate::replay::passing::{Change, Kept, Phase};
use crate::verify::claim::{Arrival, ClaimKey, Fingerprint};

/// The bytes of old rows that are replaced in one transaction.
const STEP_BYTES: usize = 1 << 20;

/// The number of changes for which nothing is done.
const FEW: u64 = 65_536;

/// The time for which an entry is kept here after the window may forget it.
const MARGIN: Duration = Duration::from_secs(3600);

/// When the journal was compacted last.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The number of changes that were left.
    pub(super) left: u64,
}

impl Compaction {
    /// Whether more than half of the journal, which has so many changes, may be void.
    pub(super) fn is_due(&self, changes: u64) -> bool {
        changes > self.left.saturating_mul(2).saturating_add(FEW)
    }
}

/// What is to be kept of the rows up to a number.
#[derive(Debug)]
pub(super) struct Survey {
    /// The last row that is looked at.
    upto: i64,
    now: Now,
    /// The place of the change that tells of each key, counted from the first one.
    places: HashMap<ClaimKey, u64>,
    /// The place of the last change by which each key was dropped.
    gone: HashMap<ClaimKey, u64>,
    /// The changes that stand for all others of their kind.
    merged: Vec<Change>,
    /// The next row to be replaced is after this one.
    after: i64,
    /// The place of its first change.
    place: u64,
}

/// Rows in place of others.
#[derive(Debug)]
pub(super) struct Step {
    first: i64,
    last: i64,
    /// The number of rows that are replaced, and of their changes.
    found: (usize, u64),
    /// Numbers, changes and bytes of the new rows.
    rows: Vec<(i64, u64, Vec<u8>)>,
    /// The number of changes that are left out.
    dropped: u64,
}

/// The reason why a journal is not compacted.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A row cannot be read.
    Damaged(i64),
    /// SQLite refuses.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Whether the window may forget an entry, and has had the time to do so.
fn is_over(kept: &Kept, now: Now) -> bool {
    let mut variants = kept.further.iter().flat_map(|further| &further.others);
    let is_done = kept.first.phase != Phase::InFlight
        || variants.any(|variant| variant.phase != Phase::InFlight);
    let margin = i64::try_from(MARGIN.as_millis()).unwrap_or(i64::MAX);
    let is_stale = |until: UnixMillis| now.wall.0 >= until.0.saturating_add(margin);
    is_done
        && now.mono > Duration::from_secs(u64::from(kept.keep_s)) + MARGIN
        && kept.fresh_until.is_none_or(is_stale)
}

/// Whether a claim that was done then counts for nothing any more, as [`is_over`] has it.
fn was_over(arrival: &Arrival, at: Now, now: Now) -> bool {
    let margin = i64::try_from(MARGIN.as_millis()).unwrap_or(i64::MAX);
    let is_stale = |until: UnixMillis| now.wall.0 >= until.0.saturating_add(margin);
    now.mono > at.mono.saturating_add(arrival.ttl).saturating_add(MARGIN)
        && arrival.fresh_until.is_none_or(is_stale)
}

impl Survey {
    /// Looks at the whole journal. Takes some 50 bytes for each entry that is kept or gone.
    pub(super) fn of(connection: &Connection, now: Now) -> Result<Self, Trouble> {
        let mut places = HashMap::new();
        let mut gone = HashMap::new();
        let mut forgotten: HashMap<Fingerprint, UnixMillis> = HashMap::new();
        let mut serial = None;
        let (mut upto, mut place) = (0, 0);
        let mut forget = |route: Fingerprint, until: UnixMillis| {
            let latest = forgotten.entry(route).or_insert(until);
            *latest = until.max(*latest);
        };
        let mut select = connection.prepare("select number, bytes from claim order by number")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            upto = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob_or_null().ok().flatten();
            let is_whole = Change::read_all(bytes.unwrap_or(&[0]), |change| {
                match change {
                    Change::Entry(kept) if is_over(&kept, now) => {
                        places.remove(&kept.key);
                        // A clock that steps back must not make it fresh again.
                        if let Some(until) = kept.fresh_until {
                            forget(kept.route, until);
                        }
                    }
                    Change::Entry(kept) => {
                        places.insert(kept.key, place);
                    }
                    Change::Gone(key) => {
                        places.remove(&key);
                        gone.insert(key, place);
                    }
                    Change::Done(arrival, at) => {
                        // A clock that steps back must not make it fresh again.
                        if let Some(until) = arrival.fresh_until
                            && was_over(&arrival, at, now)
                        {
                            forget(arrival.route, until);
                        }
                    }
                    Change::Forgotten(route, until) => forget(route, until),
                    Change::Serial(number) => serial = serial.max(Some(number)),
                }
                place += 1;
            });
            if !is_whole {
                return Err(Trouble::Damaged(upto));
            }
        }
        let forgotten = forgotten.into_iter();
        let merged = forgotten.map(|(route, until)| Change::Forgotten(route, until));
        Ok(Self {
            upto,
            now,
            places,
            gone,
            merged: merged.chain(serial.map(Change::Serial)).collect(),
            after: -1,
            place: 0,
        })
    }

    /// The next rows that are replaced; `None`: no row is left to look at. Rows that stay as they are
    /// make a step without rows.
    pub(super) fn step(&mut self, connection: &Connection) -> Result<Option<Step>, Trouble> {
        let mut old = Vec::new();
        let mut kept = Packed::default();
        for change in self.merged.drain(..) {
            kept.push(&change);
        }
        let merged = kept.changes();
        let (mut seen, mut dropped, mut bytes_seen) = (0_u64, 0_u64, 0);
        let mut select = connection.prepare(
            "select number, bytes from claim where number > ?1 and number <= ?2 order by number",
        )?;
        let mut rows = select.query([self.after, self.upto])?;
        while bytes_seen < STEP_BYTES
            && let Some(row) = rows.next()?
        {
            let number: i64 = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob_or_null().ok().flatten();
            let bytes = bytes.unwrap_or(&[0]);
            let is_whole = Change::read_all(bytes, |change| {
                let is_kept = match &change {
                    Change::Entry(entry) => self.places.get(&entry.key) == Some(&self.place),
                    Change::Done(arrival, at) => {
                        // Those of one key may be different variants of it.
                        let is_later =
                            |than: Option<&u64>| than.is_none_or(|than| *than < self.place);
                        !was_over(arrival, *at, self.now)
                            && is_later(self.places.get(&arrival.key))
                            && is_later(self.gone.get(&arrival.key))
                    }
                    Change::Gone(_) | Change::Forgotten(..) | Change::Serial(_) => false,
                };
                if is_kept {
                    kept.push(&change);
                } else {
                    dropped += 1;
                }
                self.place += 1;
                seen += 1;
            });
            if !is_whole {
                return Err(Trouble::Damaged(number));
            }
            bytes_seen += bytes.len();
            old.push(number);
        }
        let (Some(first), Some(last)) = (old.first().copied(), old.last().copied()) else {
            return Ok(None);
        };
        self.after = last;
        let is_dense = bytes_seen / old.len() >= FULL_ROW / 2 || old.len() == 1;
        let stays = dropped == 0 && merged == 0 && is_dense;
        let rows = if stays { Vec::new() } else { kept.rows(&old) };
        Ok(Some(Step {
            first,
            last,
            found: (old.len(), seen),
            rows,
            dropped: dropped.saturating_sub(merged),
        }))
    }
}

impl Step {
    /// Replaces the rows, unless another process has replaced them meanwhile, as during an upgrade.
    /// Returns the number of changes that are no longer in the journal.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<u64> {
        in_transaction(connection, |connection| {
            let counted = "select count(*), coalesce(sum(changes), 0) from claim
                           where number between ?1 and ?2";
            let found: (usize, u64) =
                connection.query_row(counted, [self.first, self.last], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            if found != self.found {
                return Ok(0);
            }
            connection.execute(
                "delete from claim where number between ?1 and ?2",
                [self.first, self.last],
            )?;
            let mut insert = connection
                .prepare("insert into claim (number, changes, bytes) values (?1, ?2, ?3)")?;
            for (number, changes, bytes) in &self.rows {
                insert.execute(params![number, changes, bytes])?;
            }
            Ok(self.dropped)
        })
    }

    /// Whether anything is to be written.
    pub(super) fn is_needed(&self) -> bool {
        self.dropped > 0 || !self.rows.is_empty()
    }
}

/// Changes in as few rows as possible.
#[derive(Default)]
struct Packed(Vec<(u64, Vec<u8>)>);

impl Packed {
    fn push(&mut self, change: &Change) {
        if let Some((changes, bytes)) = self.0.last_mut()
            && bytes.len() < FULL_ROW
        {
            change.write(bytes);
            *changes += 1;
        } else {
            let mut bytes = Vec::with_capacity(FULL_ROW + 256);
            change.write(&mut bytes);
            self.0.push((1, bytes));
        }
    }

    fn changes(&self) -> u64 {
        self.0.iter().map(|(changes, _)| changes).sum()
    }

    /// The rows with numbers of old ones. What is over goes into the last row.
    fn rows(self, numbers: &[i64]) -> Vec<(i64, u64, Vec<u8>)> {
        let mut rows: Vec<(i64, u64, Vec<u8>)> = Vec::new();
        let mut numbers = numbers.iter();
        for (changes, bytes) in self.0 {
            match (numbers.next(), rows.last_mut()) {
                (Some(number), _) => rows.push((*number, changes, bytes)),
                (None, Some(last)) => {
                    last.1 += changes;
                    last.2.extend(bytes);
                }
                (None, None) => {}
            }
        }
        rows
    }
}
