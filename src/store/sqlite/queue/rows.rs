//! The tables of deliveries, and the values in their rows.

use rusqlite::types::{FromSql, FromSqlError};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::clock::UnixMillis;
use crate::queue::{Delivery, DeliveryId, Number, Progress, RouteNumber, State};
use crate::store::sqlite::{failure, integer};
use crate::store::{Route, StoreError};
use crate::verify::claim::Mark;

/// The bytes of a piece. A longer body is written in pieces, each in a transaction of its own, so that it
/// does not hold small deliveries up.
pub(super) const PIECE: usize = 1 << 20;

/// The binary digits of a piece's number that are its place in its body.
pub(in crate::store::sqlite) const PLACES: u32 = 12;

/// The tables of deliveries. Attempts write `delivery` alone, so no body is ever written again. A body
/// of more than a mebibyte is in `piece` instead of `content`, and the row in `delivery` comes with
/// its last piece.
pub(super) const SCHEMA: &str = "create table route (
    number integer primary key,
    name text not null,
    provider text not null,
    unique (name, provider)
) strict;
create table delivery (
    number integer primary key,
    id blob not null,
    route integer not null,
    received_ms integer not null,
    bytes integer not null,
    account integer,
    order_key integer,
    state integer not null,
    attempts integer not null,
    round integer not null,
    due_ms integer not null,
    aged_from_ms integer not null,
    last_status integer,
    seal blob not null
) strict;
create table content (
    number integer primary key,
    pieces integer not null,
    head blob not null,
    body blob not null
) strict;
create table piece (
    number integer primary key,
    bytes blob not null
) strict;";

/// The number of a state in its column.
pub(super) fn state_number(state: State) -> i64 {
    match state {
        State::Waiting => 0,
        State::Retrying => 1,
        State::Dead => 2,
    }
}

/// A digest as SQLite has numbers.
pub(super) fn mark(mark: Option<Mark>) -> Option<i64> {
    mark.map(|mark| mark.0.cast_signed())
}

/// The number of a piece of a body.
pub(super) fn piece_number(delivery: Number, place: u64) -> i64 {
    integer((delivery.0 << PLACES) | place)
}

/// Calls `each` with every delivery, in order.
pub(super) fn deliveries(
    connection: &Connection,
    name: &str,
    each: &mut dyn FnMut(Delivery),
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| failure(name, &error);
    let mut select = connection
        .prepare(
            "select number, id, route, bytes, account, order_key, state, attempts, round, due_ms, \
             aged_from_ms, last_status from delivery order by number",
        )
        .map_err(failed)?;
    let mut rows = select.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let delivery = delivery(row).map_err(|error| {
            let number: i64 = row.get(0).unwrap_or_default();
            let said = format!("{name}: row {number} of the table delivery: {error}");
            StoreError::Damaged(said.into())
        })?;
        each(delivery);
    }
    Ok(())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let time = |column| row.get(column).map(UnixMillis);
    Ok(Delivery {
        number: Number(row.get(0)?),
        id: DeliveryId(row.get::<_, Id>(1)?.0),
        route: RouteNumber(row.get(2)?),
        bytes: row.get(3)?,
        account: digest(row, 4)?,
        order: digest(row, 5)?,
        progress: Progress {
            state: row.get::<_, StateColumn>(6)?.0,
            attempts: row.get(7)?,
            round: row.get(8)?,
            due: time(9)?,
            aged_from: time(10)?,
            last_status: row.get(11)?,
        },
    })
}

/// A digest in a column.
pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Mark>> {
    let found: Option<i64> = row.get(column)?;
    Ok(found.map(|found| Mark(found.cast_unsigned())))
}

/// The id of a delivery.
pub(super) fn id(connection: &Connection, number: Number) -> rusqlite::Result<DeliveryId> {
    let select = "select id from delivery where number = ?1";
    connection.query_row(select, [integer(number.0)], |row| {
        Ok(DeliveryId(row.get::<_, Id>(0)?.0))
    })
}

/// The id of a delivery in its column.
pub(super) struct Id(pub(super) u128);

impl FromSql for Id {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> Result<Self, FromSqlError> {
        let bytes = value.as_blob()?.try_into();
        bytes
            .map(|bytes| Self(u128::from_be_bytes(bytes)))
            .map_err(|_| FromSqlError::InvalidType)
    }
}

struct StateColumn(State);

impl FromSql for StateColumn {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> Result<Self, FromSqlError> {
        match value.as_i64()? {
            0 => Ok(Self(State::Waiting)),
            1 => Ok(Self(State::Retrying)),
            2 => Ok(Self(State::Dead)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// The number of a route, which is made where it is new.
pub(super) fn route(
    connection: &Connection,
    name: &str,
    provider: &str,
) -> rusqlite::Result<RouteNumber> {
    let known = connection
        .query_row(
            "select number from route where name = ?1 and provider = ?2",
            params![name, provider],
            |row| row.get(0).map(RouteNumber),
        )
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    connection.query_row(
        "insert into route (name, provider) values (?1, ?2) returning number",
        params![name, provider],
        |row| row.get(0).map(RouteNumber),
    )
}

/// All routes that have a number.
pub(in crate::store::sqlite) fn routes(connection: &Connection) -> rusqlite::Result<Vec<Route>> {
    let mut select = connection.prepare("select number, name, provider from route")?;
    let routes = select.query_map((), |row| {
        Ok(Route {
            number: row.get(0).map(RouteNumber)?,
            name: row.get(1)?,
            provider: row.get(2)?,
        })
    })?;
    routes.collect()
}
