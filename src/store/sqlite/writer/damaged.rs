//! A writer of a file that is damaged in a place: what concerns other places is written all the same.

use super::super::said;
use super::super::stats::ErrorKind;
use super::{Ledger, Writer};
use crate::store::StoreError;

/// What is left of a record that cannot be written.
pub(in super::super) enum Left<R> {
    /// The others may not be written without it.
    All(R),
    /// This is to be tried without the rest.
    Part(R),
    /// It was answered that it is not written.
    Nothing,
}

impl<L: Ledger> Writer<'_, L> {
    /// Gives the record up with which a transaction failed, or a part of it, if that is because the file is
    /// damaged in the place that it concerns. Tried again it would fail again, and with it all that is in
    /// the same transaction. The others are held for the next one, but for those that cannot be written once
    /// more.
    ///
    /// # Errors
    /// `error`: it is another one, or nothing can be written without that record.
    pub(super) fn leave_out(&mut self, error: rusqlite::Error) -> rusqlite::Result<()> {
        let is_damage = ErrorKind::of(&error) == ErrorKind::Damaged;
        let place = self.writing.take().filter(|_| is_damage);
        let Some(place) = place.filter(|place| *place < self.batch.len()) else {
            return Err(error);
        };
        let said = StoreError::Damaged(said(self.means.shared.name, &error));
        let record = self.batch.remove(place);
        let left = match self.ledger.give_up(record, &said) {
            Left::All(record) => {
                self.batch.insert(place, record);
                return Err(error);
            }
            Left::Part(record) => Some(record),
            Left::Nothing => None,
        };
        self.undo();
        self.means.shared.count(&error);
        for record in std::mem::take(&mut self.batch).into_iter().rev() {
            if let Some(record) = self.ledger.put_back(record, &said) {
                self.held.push_front(record);
            }
        }
        if let Some(record) = left {
            self.held.push_front(record);
        }
        Ok(())
    }
}
