//! Records that a writer holds back until the file can be written again.

use super::{Ledger, MOST_BYTES, MOST_RECORDS, Writer};

/// The records that are held back before void ones among them are left out for the first time.
pub(super) const MANY: usize = 4096;

impl<L: Ledger> Writer<'_, L> {
    /// Takes records that were held back, if they can be written now. Returns their bytes.
    pub(super) fn take_held(&mut self) -> u64 {
        let mut bytes = 0;
        while self.failing.is_none() && self.batch.len() < MOST_RECORDS && bytes <= MOST_BYTES {
            let Some(held) = self.held.pop_front() else {
                break;
            };
            bytes += L::weight(&held);
            self.batch.push(held);
        }
        bytes
    }

    /// Leaves out what later records make void, once there are twice as many as were left the last time.
    pub(super) fn condense(&mut self) {
        if self.held.len() >= self.many_held {
            L::condense(&mut self.held);
            self.many_held = MANY.max(2 * self.held.len());
        }
    }
}
