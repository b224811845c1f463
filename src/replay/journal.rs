//! Where a window writes down what it has done, so that another process can go on with it (contract:
//! The window on disk). Memory stays the authority: nothing is decided by what is written.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::passing::Change;
use crate::verify::claim::Fingerprint;

/// A change, and the route of its entry.
pub type Told = (Fingerprint, Change);

/// Ends when what was told is written, or when it is not waited for any longer. It is dropped without
/// harm.
pub type Written = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a window writes down what it has done.
pub trait Journal: fmt::Debug + Send + Sync {
    /// Takes changes. Those of an entry come in order, from a caller that holds a lock, so this must
    /// not wait; the future may.
    fn append(&self, told: Vec<Told>) -> Written;

    /// Ends when all is written that was taken so far of this route.
    fn up_to_now(&self, route: Fingerprint) -> Written;
}

/// Keeps what it is given to write, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) std::sync::Mutex<Vec<Told>>);

#[cfg(test)]
impl Journal for Notes {
    fn append(&self, told: Vec<Told>) -> Written {
        self.0.lock().unwrap().extend(told);
        Box::pin(std::future::ready(()))
    }

    fn up_to_now(&self, _: Fingerprint) -> Written {
        Box::pin(std::future::ready(()))
    }
}
