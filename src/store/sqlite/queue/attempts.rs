//! The table of attempts: the latest ones of each delivery, in a table of their own, so that what is
//! read of every delivery at the start stays short.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use crate::clock::UnixMillis;
use crate::queue::{Attempt, AttemptEnd, Number};
use crate::store::sqlite::{ErrorKind, integer};

/// The attempts that are kept of a delivery.
const KEPT: u32 = 20;

/// The table. An attempt takes the place of the one that was made [`KEPT`] attempts before it.
pub(super) const SCHEMA: &str = "create table attempt (
    delivery integer not null,
    place integer not null,
    number integer not null,
    began_ms integer not null,
    took_ms integer not null,
    outcome integer not null,
    cause text,
    primary key (delivery, place)
) strict, without rowid;";

/// Writes an attempt, in [`write()`].
pub(super) const WRITE: &str = "insert or replace into attempt values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// Takes out all attempts of a delivery.
pub(super) const DROP: &str = "delete from attempt where delivery = ?1";

/// What the column `outcome` has where there is no status of an answer.
const UNREACHABLE: u16 = 1;
const TIMEOUT: u16 = 2;
const FAILED: u16 = 3;
const DAMAGED: u16 = 4;

/// Writes an attempt by the statement [`WRITE`].
pub(super) fn write(
    to: &mut Statement<'_>,
    delivery: Number,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    let outcome = match attempt.end {
        AttemptEnd::Status(status) => status,
        AttemptEnd::Unreachable => UNREACHABLE,
        AttemptEnd::Timeout => TIMEOUT,
        AttemptEnd::Failed => FAILED,
        AttemptEnd::Damaged => DAMAGED,
    };
    let took = u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX);
    to.execute(params![
        integer(delivery.0),
        attempt.number % KEPT,
        attempt.number,
        attempt.began.0,
        integer(took),
        outcome,
        attempt.cause,
    ])?;
    Ok(())
}

/// The ends of the last attempts of deliveries; none where the file is damaged.
pub(super) fn last_ends(
    connection: &Connection,
    deliveries: &[Number],
) -> rusqlite::Result<Vec<Option<AttemptEnd>>> {
    let mut select = connection
        .prepare("select outcome from attempt where delivery = ?1 order by number desc limit 1")?;
    let mut last = |delivery: &Number| {
        let found = select.query_row([integer(delivery.0)], |row| row.get(0));
        match found.optional() {
            Err(error) if ErrorKind::of(&error) == ErrorKind::Damaged => Ok(None),
            found => Ok(found?.map(end_of)),
        }
    };
    deliveries.iter().map(&mut last).collect()
}

/// The end of an attempt by the column `outcome`.
fn end_of(outcome: u16) -> AttemptEnd {
    match outcome {
        UNREACHABLE => AttemptEnd::Unreachable,
        TIMEOUT => AttemptEnd::Timeout,
        FAILED => AttemptEnd::Failed,
        DAMAGED => AttemptEnd::Damaged,
        status => AttemptEnd::Status(status),
    }
}

/// The attempts of a delivery, the oldest first.
pub(super) fn read(connection: &Connection, delivery: Number) -> rusqlite::Result<Vec<Attempt>> {
    let mut select = connection.prepare(
        "select number, began_ms, took_ms, outcome, cause from attempt where delivery = ?1 order by number",
    )?;
    let attempts = select.query_map([integer(delivery.0)], |row| {
        Ok(Attempt {
            number: row.get(0)?,
            began: UnixMillis(row.get(1)?),
            took: Duration::from_millis(row.get(2)?),
            end: end_of(row.get(3)?),
            cause: row.get(4)?,
        })
    })?;
    attempts.collect()
}
