//! Head and body of a delivery: how they are read.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement};

use super::rows::{Id, digest, piece_number};
use crate::clock::UnixMillis;
use crate::queue::{DeliveryId, Number, RouteNumber};
use crate::store::sealing::{Keyring, Opening, Owner, Part, Unreadable};
use crate::store::sqlite::{ErrorKind, failure, integer};
use crate::store::{Content, StoreError};

/// The reason why a row cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// It is not what was stored, or there is no key for it.
    Content(Unreadable),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        // A value is not of the type that was written.
        match ErrorKind::of(&error) {
            ErrorKind::Damaged if error.sqlite_error().is_none() => {
                Self::Content(Unreadable::Changed)
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl From<Unreadable> for Fault {
    fn from(why: Unreadable) -> Self {
        Self::Content(why)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sqlite(error) => failure(super::KIND.name, &error),
            Fault::Content(why) => why.into(),
        }
    }
}

/// The content of a delivery as it is stored, of which the head is read, and what is needed for the
/// rest.
struct Found {
    owner: Owner,
    opening: Opening,
    pieces: u64,
    head: Vec<u8>,
}

/// The statements by which contents are read.
pub(in crate::store::sqlite) struct Contents<'c> {
    connection: &'c Connection,
    // Prepared once: to parse them takes longer than to read a small content.
    begin: Statement<'c>,
    end: Statement<'c>,
    head: Statement<'c>,
    body: Statement<'c>,
    piece: Statement<'c>,
}

impl<'c> Contents<'c> {
    /// Prepares them.
    pub(in crate::store::sqlite) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            begin: connection.prepare("begin")?,
            // Nothing was written.
            end: connection.prepare("rollback")?,
            head: connection.prepare(
                "select id, route, received_ms, bytes, account, order_key, seal, pieces, head \
                 from delivery left join content using (number) where number = ?1",
            )?,
            body: connection.prepare("select body from content where number = ?1")?,
            piece: connection.prepare("select bytes from piece where number = ?1")?,
        })
    }

    /// Reads head and body; `None`: there is no such delivery.
    pub(super) fn content(
        &mut self,
        keys: &Keyring,
        number: Number,
    ) -> Result<Option<Content>, Fault> {
        Ok(self.whole(keys, number)?.map(|(_, content)| content))
    }

    /// Reads head and body, and whose they are; `None`: there is no such delivery.
    pub(super) fn whole(
        &mut self,
        keys: &Keyring,
        number: Number,
    ) -> Result<Option<(Owner, Content)>, Fault> {
        // One transaction: the pieces are those of the row. The one who encrypts has one already.
        if !self.connection.is_autocommit() {
            return self.read(keys, number);
        }
        self.begin.execute(())?;
        let read = self.read(keys, number);
        // An error of the disk has ended it already.
        if !self.connection.is_autocommit() {
            self.end.execute(())?;
        }
        read
    }

    /// The reason why head and body of a delivery cannot be had, if there is one.
    pub(in crate::store::sqlite) fn fault(
        &mut self,
        keys: &Keyring,
        number: Number,
    ) -> Option<StoreError> {
        self.content(keys, number).err().map(StoreError::from)
    }

    /// Reads a head without its body; `None`: there is no such delivery.
    pub(super) fn head(&mut self, keys: &Keyring, number: Number) -> Result<Option<Bytes>, Fault> {
        let found = self.found(keys, number)?;
        Ok(found.map(|found| found.head.into()))
    }

    fn found(&mut self, keys: &Keyring, number: Number) -> Result<Option<Found>, Fault> {
        let mut rows = self.head.query([integer(number.0)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let owner = owner(row, number)?;
        let seal = row.get_ref(6)?.as_blob().map_err(|_| Unreadable::Changed)?;
        let mut opening = Opening::begin(owner, seal, keys)?;
        let pieces = row.get(7)?;
        let mut head = row.get(8)?;
        opening.part(Part::Head, &mut head)?;
        Ok(Some(Found {
            owner,
            opening,
            pieces,
            head,
        }))
    }

    fn read(&mut self, keys: &Keyring, number: Number) -> Result<Option<(Owner, Content)>, Fault> {
        let Some(found) = self.found(keys, number)? else {
            return Ok(None);
        };
        let Found {
            owner,
            mut opening,
            pieces,
            head,
        } = found;
        let body = self.body.query_row([integer(number.0)], |row| row.get(0));
        let mut body: Vec<u8> = body?;
        if pieces == 0 {
            opening.part(Part::Body, &mut body)?;
        } else if !body.is_empty() {
            return Err(Unreadable::Changed.into());
        }
        for place in 0..pieces {
            let place_of = [piece_number(number, place)];
            let read = self.piece.query_row(place_of, |row| row.get(0));
            let mut piece: Vec<u8> = read.optional()?.ok_or(Unreadable::Changed)?;
            let is_last = place + 1 == pieces;
            opening.part(Part::Piece { place, is_last }, &mut piece)?;
            body.extend_from_slice(&piece);
        }
        opening.end()?;
        let (head, body) = (head.into(), body.into());
        Ok(Some((owner, Content { head, body })))
    }
}

fn owner(row: &Row<'_>, number: Number) -> rusqlite::Result<Owner> {
    Ok(Owner {
        number,
        id: DeliveryId(row.get::<_, Id>(0)?.0),
        route: RouteNumber(row.get(1)?),
        received: row.get(2).map(UnixMillis)?,
        bytes: row.get(3)?,
        account: digest(row, 4)?,
        order: digest(row, 5)?,
    })
}
