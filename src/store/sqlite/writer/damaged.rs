//! A writer of a file that is damaged in a place: what concerns other places is written all the same.

use super::super::said;
use super::super::stats::ErrorKind;
use super::{Ledger, Writer};
use crate::store::StoreError;

impl<L: Ledger> Writer<'_, L> {
    /// Gives the record up with which a transaction failed, if that is because the file is damaged in the
    /// place that it concerns. Tried again it would fail again, and with it all that is in the same
    /// transaction. Of the others the transaction is undone: what may be refused is, and the rest is held
    /// for the next one.
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
        if let Some(record) = self.ledger.give_up(record, &said) {
            self.batch.insert(place, record);
            return Err(error);
        }
        self.undo();
        self.means.shared.count(&error);
        for record in std::mem::take(&mut self.batch).into_iter().rev() {
            if let Some(record) = self.ledger.refuse(record, &said) {
                self.held.push_front(record);
            }
        }
        Ok(())
    }
}
