//! What is written of the window, read while it is written: for a process that holds claims of another one.

use super::WindowJournal;
use crate::replay::passing::Change;
use crate::store::{QueueStore as _, StoreError, WindowStore as _};

impl WindowJournal {
    /// Calls `each` with every change that is stored with deliveries, in order. May wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read_queue(&self, each: &mut dyn FnMut(Change)) -> Result<(), StoreError> {
        self.queue.claims(each)
    }

    /// Calls `each` with every change in the file of the window, in order. May wait.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn read_window(&self, each: &mut dyn FnMut(Change)) -> Result<(), StoreError> {
        self.window.changes(each)
    }
}
