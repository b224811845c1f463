//! A writer on a disk with little room: what it still writes, and how it keeps enough free for the log
//! (contract: State). The rule is that of [`room`](super::super::room).

use std::sync::atomic::Ordering::Relaxed;

use super::super::room::{
    FEW, FEW_BYTES, Purpose, Room, finds_room, full, most_bytes, unused_bytes,
};
use super::super::said;
use super::{Ledger, Writer};
use crate::store::StoreError;

impl<L: Ledger> Writer<'_, L> {
    /// Where there is not plenty of room on the disk, sees to it that the transaction leaves enough of
    /// it for the log to be put into the database. Records that are too many come later, and what can
    /// be refused or left out is. Where commits end with a sync, the file must be in its place: whoever
    /// waits for one must find the record there.
    ///
    /// # Errors
    /// There is no room, the log could not be put into the database, or the file is gone.
    pub(super) fn make_room(&mut self) -> rusqlite::Result<()> {
        if self.means.commits_sync {
            self.means.disk.in_place()?;
        }
        if self.room()?.is_none() {
            return Ok(());
        }
        self.keep_few();
        let purpose = self.purpose();
        if self.finds_room(purpose)? {
            return Ok(());
        }
        let full = full();
        if purpose < Purpose::More {
            return Err(full);
        }
        let error = StoreError::Unavailable(said(self.means.shared.name, &full));
        let all = std::mem::take(&mut self.batch).into_iter();
        for record in all.chain(std::mem::take(&mut self.partial)) {
            // What is partly written is a delivery, so none of it comes back.
            match self.ledger.lessen(record, &error) {
                Some(record) => self.batch.push(record),
                None => self.means.shared.count(&full),
            }
        }
        if self.finds_room(self.purpose())? {
            return Ok(());
        }
        Err(full)
    }

    /// The most that is done to the database by what is written next.
    fn purpose(&self) -> Purpose {
        let all = self.batch.iter().chain(self.partial.front());
        all.map(L::purpose).max().unwrap_or(Purpose::Gone)
    }

    /// Whether the batch and what goes with it may be written, if the log has to be put into the
    /// database for that.
    fn finds_room(&self, purpose: Purpose) -> rusqlite::Result<bool> {
        let wanted = (purpose, self.bytes());
        finds_room(|| self.room(), wanted, || self.truncate_log().map(drop))
    }

    /// The room on the disk; `None`: there is plenty.
    fn room(&self) -> rusqlite::Result<Option<Room>> {
        let Some(mut room) = self.means.disk.scarce_at(self.means.clock.mono()) else {
            return Ok(None);
        };
        room.unused = unused_bytes(self.connection)?;
        room.deliveries = self.means.shared.deliveries.load(Relaxed);
        Ok(Some(room))
    }

    /// Whether the batch and what goes with it may be written.
    fn fits(&self, purpose: Purpose) -> rusqlite::Result<bool> {
        let bytes = self.bytes();
        Ok(self.room()?.is_none_or(|room| room.fits(purpose, bytes)))
    }

    /// The most bytes of what is written next.
    fn bytes(&self) -> u64 {
        let records = || self.batch.iter().chain(self.partial.front());
        most_bytes(records().count(), records().map(L::weight).sum())
    }

    /// Keeps the first records of the batch for this transaction, and the others for later ones.
    fn keep_few(&mut self) {
        let mut bytes = 0;
        let mut is_one_of_few = |(place, record)| {
            bytes += L::weight(record);
            place == 0 || (place < FEW && bytes <= FEW_BYTES)
        };
        let few = self.batch.iter().enumerate();
        let few = few.take_while(|found| is_one_of_few(*found)).count();
        for record in self.batch.drain(few..).rev() {
            self.held.push_front(record);
        }
    }

    /// Whether there is room for what is to be written. Where there is not, what takes deliveries out
    /// of the database is written alone: their pages are the room for what follows.
    pub(super) fn take_out(&mut self) -> rusqlite::Result<bool> {
        loop {
            let few = most_bytes(FEW, FEW_BYTES);
            if self
                .room()?
                .is_none_or(|room| room.fits(Purpose::Kept, few))
            {
                return Ok(true);
            }
            let held = std::mem::take(&mut self.held);
            for record in held {
                if L::purpose(&record) == Purpose::Gone && self.batch.len() < FEW {
                    self.batch.push(record);
                } else {
                    self.held.push_back(record);
                }
            }
            let has_some = !self.batch.is_empty() || self.ledger.has_leftovers();
            let done = has_some && self.fits(Purpose::Gone)? && {
                let committed = self.commit();
                let truncated = committed.and_then(|()| self.truncate_log());
                truncated
                    .map_err(|error| self.put_back(error))?
                    .is_complete()
            };
            if !done {
                self.put_back(());
                return Ok(false);
            }
        }
    }

    /// Holds the batch, which was not written, for later.
    fn put_back<T>(&mut self, why: T) -> T {
        self.undo();
        for record in std::mem::take(&mut self.batch).into_iter().rev() {
            self.held.push_front(record);
        }
        why
    }

    /// Puts a log that leaves no room for a task into the database, which must be in its place.
    pub(super) fn shorten_log(&self) -> rusqlite::Result<()> {
        self.means.disk.in_place()?;
        let few = most_bytes(FEW, FEW_BYTES);
        let is_short = |room: Room| room.log == 0 || room.fits(Purpose::Kept, few);
        if !self.room()?.is_none_or(is_short) {
            self.truncate_log()?;
        }
        Ok(())
    }
}
