//! What the writer of `queue.db` writes: deliveries, what becomes of them, and claims.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::attempts;
use super::records::{Accepting, Record};
use super::rows::{PIECE, PLACES, mark, piece_number, state_number};
use super::statements::Statements;
use super::{begun, condensing, sealed};
use crate::queue::{Attempt, Change, Number, State};
use crate::store::StoreError;
use crate::store::sealing::{Keyring, Owner, Part};
use crate::store::sqlite::integer;
use crate::store::sqlite::journal::Journal;
use crate::store::sqlite::meta::{self, MetaKey};
use crate::store::sqlite::room::Purpose;
use crate::store::sqlite::stats::{ErrorKind, Shared};
use crate::store::sqlite::writer::{Ledger, Left, Written};

/// The numbers of deliveries that are set aside at a time. None of them is used again after a start,
/// whether it was used or not.
const SET_ASIDE: u64 = 4096;

/// The rows of `queue.db`.
pub(super) struct Queue {
    shared: Arc<Shared>,
    keys: Arc<ArcSwap<Keyring>>,
    /// What head and body become when they are encrypted.
    rooms: [Vec<u8>; 2],
    journal: Journal,
    /// The number of the next delivery.
    next: u64,
    /// The numbers below it are set aside, by a transaction that was committed.
    set_aside: u64,
    /// What the transaction adds and takes away.
    open: Open,
    /// Numbers of pieces that belong to no delivery any more.
    leftovers: VecDeque<i64>,
}

/// What a transaction has done, until it is committed.
#[derive(Default)]
struct Open {
    set_aside: Option<u64>,
    accepted: u64,
    accepted_bytes: u64,
    gone: u64,
    gone_bytes: u64,
    left: Vec<i64>,
    is_swept: bool,
    is_stuck: bool,
}

/// The pieces of bodies that were not written as a whole.
fn orphans(connection: &Connection) -> rusqlite::Result<VecDeque<i64>> {
    let mut orphans = connection.prepare(&format!(
        "select number from piece where number >> {PLACES} not in (select number from content)"
    ))?;
    orphans.query_map((), |row| row.get(0))?.collect()
}

impl Queue {
    /// What is in the database. `is_shared`: another process still writes, and the pieces of a body of
    /// which it has not written all belong to no delivery yet. Those of one that ended before it had
    /// are taken out by the next start that has the database for itself.
    pub(super) fn open(
        connection: &Connection,
        shared: Arc<Shared>,
        keys: Arc<ArcSwap<Keyring>>,
        is_shared: bool,
    ) -> rusqlite::Result<Self> {
        let counted = "select count(*), coalesce(sum(bytes), 0) from delivery";
        let (count, bytes): (u64, u64) =
            connection.query_row(counted, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        shared.deliveries.store(count, Relaxed);
        shared.bytes.store(bytes, Relaxed);
        let set_aside = meta::read_number(connection, MetaKey::Numbers)?.unwrap_or(1);
        let last: Option<u64> =
            connection.query_row("select max(number) from delivery", (), |row| row.get(0))?;
        let next = set_aside.max(last.map_or(1, |last| last.saturating_add(1)));
        let leftovers = if is_shared {
            VecDeque::new()
        } else {
            orphans(connection)?
        };
        Ok(Self {
            journal: Journal::open(connection, &shared)?,
            shared,
            keys,
            rooms: Default::default(),
            next,
            set_aside: next,
            open: Open::default(),
            leftovers,
        })
    }

    /// The next number that was never used. During an upgrade another process may set numbers aside
    /// too.
    fn number(&mut self, connection: &Connection) -> rusqlite::Result<Number> {
        let mut number = self.next;
        if number >= self.open.set_aside.unwrap_or(self.set_aside) {
            let others = meta::read_number(connection, MetaKey::Numbers)?;
            number = number.max(others.unwrap_or_default());
            let until = number + SET_ASIDE;
            meta::write(connection, MetaKey::Numbers, Some(&until.to_le_bytes()))?;
            self.open.set_aside = Some(until);
        }
        self.next = number + 1;
        Ok(Number(number))
    }

    fn accept(
        &mut self,
        to: &mut Statements<'_>,
        accepting: &mut Accepting,
    ) -> rusqlite::Result<Written> {
        let number = match accepting.number {
            Some(number) => number,
            None => {
                let number = self.number(to.connection)?;
                accepting.number = Some(number);
                number
            }
        };
        let delivery = &accepting.delivery;
        let bytes = (delivery.head.len() as u64).saturating_add(delivery.body.len() as u64);
        let mut sealing = match accepting.sealing.take() {
            Some(sealing) => sealing,
            None => {
                let owner = Owner {
                    number,
                    id: delivery.id,
                    route: delivery.route,
                    received: delivery.id.received(),
                    bytes,
                    account: delivery.account,
                    order: delivery.order,
                };
                begun(owner, &self.keys.load())?
            }
        };
        let is_large = delivery.body.len() > PIECE;
        let [first, second] = &mut self.rooms;
        if is_large {
            let place = accepting.pieces;
            let mut pieces = delivery.body.chunks(PIECE);
            let piece = pieces.nth(usize::try_from(place).unwrap_or(usize::MAX));
            let is_last = pieces.next().is_none();
            let part = Part::Piece { place, is_last };
            let piece = sealed(&mut sealing, part, piece.unwrap_or_default(), first)?;
            to.piece
                .execute(params![piece_number(number, place), piece])?;
            accepting.pieces += 1;
            if !is_last {
                accepting.sealing = Some(sealing);
                return Ok(Written::Part);
            }
        }
        let head = sealed(&mut sealing, Part::Head, &delivery.head, first)?;
        let body = if is_large {
            &[][..]
        } else {
            sealed(&mut sealing, Part::Body, &delivery.body, second)?
        };
        to.content.execute(params![
            integer(number.0),
            integer(accepting.pieces),
            head,
            body
        ])?;
        let received = delivery.id.received().0;
        to.delivery.execute(params![
            integer(number.0),
            &delivery.id.0.to_be_bytes()[..],
            delivery.route.0,
            received,
            integer(bytes),
            mark(delivery.account),
            mark(delivery.order),
            state_number(State::Waiting),
            0,
            0,
            received,
            received,
            None::<u16>,
            sealing.end().to_bytes(),
        ])?;
        if let Some(claim) = &delivery.claim {
            self.journal.write(&mut to.claim, claim)?;
        }
        self.open.accepted += 1;
        self.open.accepted_bytes += bytes;
        Ok(Written::Whole)
    }

    fn change(
        &mut self,
        to: &mut Statements<'_>,
        number: Number,
        change: Change,
        attempt: Option<&Attempt>,
    ) -> rusqlite::Result<()> {
        let row = integer(number.0);
        let progress = match change {
            Change::Progress(progress) => progress,
            Change::Gone => return self.drop_delivery(to, row),
        };
        let rows = to.progress.execute(params![
            row,
            state_number(progress.state),
            progress.attempts,
            progress.round,
            progress.due.0,
            progress.aged_from.0,
            progress.last_status,
        ])?;
        // On a full disk it may have been taken out before.
        if let (1.., Some(attempt)) = (rows, attempt) {
            attempts::write(&mut to.attempt, number, attempt)?;
        }
        Ok(())
    }

    fn drop_delivery(&mut self, to: &mut Statements<'_>, number: i64) -> rusqlite::Result<()> {
        let dropped: Option<(u64, u32)> = to
            .of_delivery
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let pieces: Option<i64> = to
            .of_content
            .query_row([number], |row| row.get(0))
            .optional()?;
        if let Some((bytes, attempts)) = dropped {
            to.drop_delivery.execute([number])?;
            self.open.gone += 1;
            self.open.gone_bytes += bytes;
            if attempts > 0 {
                to.drop_attempts.execute([number])?;
            }
        }
        if let Some(pieces) = pieces {
            to.drop_content.execute([number])?;
            let first = number << PLACES;
            self.open.left.extend(first..first + pieces);
        }
        Ok(())
    }
}

impl Ledger for Queue {
    type Record = Record;
    type Statements<'c> = Statements<'c>;

    const UNWRITTEN: &'static str =
        "what was delivered meanwhile is delivered again after the next start, with the same ids";

    fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Statements<'c>> {
        Statements::prepare(connection)
    }

    fn weight(record: &Record) -> u64 {
        match record {
            Record::Accept(accepting) => {
                let delivery = &accepting.delivery;
                // Of a large body a piece is written at a time.
                (delivery.head.len() + delivery.body.len().min(PIECE) + 256) as u64
            }
            Record::Change { .. } => 256,
            Record::Claims { changes, .. } => 128 * changes.len() as u64,
        }
    }

    fn purpose(record: &Record) -> Purpose {
        match record {
            Record::Accept(_)
            | Record::Change {
                attempt: Some(_), ..
            } => Purpose::More,
            Record::Change {
                change: Change::Gone,
                ..
            } => Purpose::Gone,
            Record::Change { .. } | Record::Claims { .. } => Purpose::Kept,
        }
    }

    fn lessen(&mut self, mut record: Record, error: &StoreError) -> Option<Record> {
        match &mut record {
            Record::Accept(_) => return self.refuse(record, error),
            Record::Change { attempt, .. } => *attempt = None,
            Record::Claims { .. } => {}
        }
        Some(record)
    }

    fn write(&mut self, to: &mut Statements<'_>, record: &mut Record) -> rusqlite::Result<Written> {
        match record {
            Record::Accept(accepting) => return self.accept(to, accepting),
            Record::Change {
                number,
                change,
                attempt,
                ..
            } => {
                self.change(to, *number, *change, attempt.as_ref())?;
            }
            Record::Claims { changes, .. } => {
                for change in changes.iter() {
                    self.journal.write(&mut to.claim, change)?;
                }
            }
        }
        Ok(Written::Whole)
    }

    fn finish(&mut self, to: &mut Statements<'_>) -> rusqlite::Result<()> {
        self.journal.finish(&mut to.claim)?;
        if let Some(piece) = self.leftovers.front() {
            let dropped = to.drop_piece.execute([piece]);
            // One that the file is damaged for stays where it is, and is not tried again.
            self.open.is_stuck = dropped
                .as_ref()
                .is_err_and(|error| ErrorKind::of(error) == ErrorKind::Damaged);
            dropped?;
            self.open.is_swept = true;
        }
        Ok(())
    }

    fn committed(&mut self) {
        self.journal.committed(&self.shared);
        let done = std::mem::take(&mut self.open);
        if let Some(set_aside) = done.set_aside {
            self.set_aside = set_aside;
        }
        if done.is_swept {
            self.leftovers.pop_front();
        }
        self.leftovers.extend(done.left);
        let settle = |counter: &AtomicU64, more: u64, less: u64| {
            // This thread alone writes the counters.
            let now = counter.load(Relaxed).saturating_add(more);
            counter.store(now.saturating_sub(less), Relaxed);
        };
        settle(&self.shared.deliveries, done.accepted, done.gone);
        settle(&self.shared.bytes, done.accepted_bytes, done.gone_bytes);
    }

    fn rolled_back(&mut self) {
        self.journal.rolled_back();
        if std::mem::take(&mut self.open).is_stuck {
            self.leftovers.pop_front();
        }
    }

    fn answer(&mut self, record: Record) {
        match record {
            Record::Accept(accepting) => {
                let number = accepting.number.unwrap_or(Number(0));
                let _ = accepting.answer.send(Ok(number));
            }
            Record::Change { answer, .. } | Record::Claims { answer, .. } => {
                let _ = answer.send(Ok(()));
            }
        }
    }

    fn refuse(&mut self, record: Record, error: &StoreError) -> Option<Record> {
        // What became of a delivery is known and stays true: it is written later.
        let Record::Accept(accepting) = record else {
            return Some(record);
        };
        if let Some(number) = accepting.number {
            let pieces = (0..accepting.pieces).map(|place| piece_number(number, place));
            self.leftovers.extend(pieces);
        }
        Record::Accept(accepting).refuse(error);
        None
    }

    fn give_up(&self, mut record: Record, error: &StoreError) -> Left<Record> {
        let Record::Change {
            number, attempt, ..
        } = &mut record
        else {
            // New deliveries and claims go to the end of the tables, where all others do.
            return Left::All(record);
        };
        if attempt.take().is_some() {
            // The damage may be where attempts are remembered.
            return Left::Part(record);
        }
        log::error!(
            "state: what became of the delivery of number {} cannot be written ({error}): the next start finds \
             it as it was before, and `verigate state check` says what is damaged",
            number.0
        );
        record.refuse(error);
        Left::Nothing
    }

    fn put_back(&mut self, mut record: Record, error: &StoreError) -> Option<Record> {
        if let Record::Accept(accepting) = &mut record {
            if accepting.pieces > 0 {
                // No longer known: which of its pieces were written before.
                return self.refuse(record, error);
            }
            accepting.number = None;
            accepting.sealing = None;
        }
        Some(record)
    }

    fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    fn condense(held: &mut VecDeque<Record>) {
        condensing::condense(held);
    }
}
