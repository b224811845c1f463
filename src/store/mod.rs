//! What is kept on disk: deliveries that were acknowledged, and the replay window (contract: State).
//!
//! A store has few operations, so that another engine can take the place of the embedded one. It
//! decides nothing: [`crate::queue`] and [`crate::verify::claim`] do. May import those and
//! [`crate::replay`]; never a runtime: an answer is a future that any runtime can wait for.

pub mod sealing;
pub mod sqlite;

use std::sync::Arc;

use bytes::Bytes;

use crate::queue::{Attempt, Change, Delivery, DeliveryId, Number, Progress, RouteNumber};
use crate::replay::passing;
use crate::verify::claim::Mark;
use sealing::Unreadable;

/// The reason why a store did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot write or read now: the disk is full, a write, a sync or a reading failed, or there was
    /// no answer in time. Whether a change is kept to be written later, the operation says.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// What it read is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(Arc<str>),
    /// The store is whole, but the content of a delivery cannot be had.
    #[error("the content of a delivery cannot be read: {0}")]
    Content(#[from] Unreadable),
}

/// An answer that is to come. It is dropped without harm: the operation goes on.
pub type Pending<T> = futures_channel::oneshot::Receiver<Result<T, StoreError>>;

/// A delivery as it is accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its name.
    pub id: DeliveryId,
    /// Its route.
    pub route: RouteNumber,
    /// [`Delivery::account`].
    pub account: Option<Mark>,
    /// [`Delivery::order`].
    pub order: Option<Mark>,
    /// What an attempt is built from, beside the body. The store does not look into it.
    pub head: Bytes,
    /// The body as it was received.
    pub body: Bytes,
    /// The entry of the replay window that the delivery's claim becomes: [`passing::Change::Entry`].
    /// It is stored in the same transaction.
    pub claim: Option<passing::Change>,
}

/// What an attempt is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// [`Accepted::head`].
    pub head: Bytes,
    /// [`Accepted::body`].
    pub body: Bytes,
}

/// A route that has a number in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its number.
    pub number: RouteNumber,
    /// Its name in the configuration.
    pub name: String,
    /// Its provider.
    pub provider: String,
}

/// A store of acknowledged deliveries. Each call returns at once; what it asks for happens in the
/// order of the calls, several in one transaction.
pub trait QueueStore: Send + Sync + 'static {
    /// Stores a delivery. The answer comes once a sync has covered it: until then it may be lost, and
    /// afterwards it may not.
    fn accept(&self, delivery: Accepted) -> Pending<Number>;

    /// Writes what became of a delivery. A change may be lost if the machine loses power right
    /// afterwards; the answer comes when no crash of the process can lose it. While the store cannot
    /// write, the change is kept and the answer waits: it is written as soon as that is possible.
    fn change(&self, number: Number, change: Change) -> Pending<()>;

    /// Writes what became of a delivery by an attempt that failed, and remembers the attempt beside
    /// the latest others. The answer is like that of [`change`](Self::change).
    fn failed(&self, number: Number, progress: Progress, attempt: Attempt) -> Pending<()>;

    /// Reads a delivery; `None`: there is none of that number. What is not what was stored is an
    /// error, never a content.
    fn read(&self, number: Number) -> Pending<Option<Content>>;

    /// Calls `each` with every delivery, in order of acceptance, and returns when it has. For the
    /// start.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn deliveries(&self, each: &mut dyn FnMut(Delivery)) -> Result<(), StoreError>;

    /// Writes what the replay window did with entries of queue routes after their deliveries were
    /// accepted: ttls that were prolonged, entries that were forgotten. The answer is like that of
    /// [`change`](Self::change).
    fn change_claims(&self, changes: Vec<passing::Change>) -> Pending<()>;

    /// Calls `each` with every change of the replay window that was stored with deliveries or by
    /// [`change_claims`](Self::change_claims), in the order in which they were stored. Those that
    /// later ones have made void may be missing. For the start.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn claims(&self, each: &mut dyn FnMut(passing::Change)) -> Result<(), StoreError>;

    /// The number of the route with this name and provider, which is made where it is new.
    ///
    /// # Errors
    /// [`StoreError`].
    fn route(&self, name: &str, provider: &str) -> Result<RouteNumber, StoreError>;

    /// All routes that have a number.
    ///
    /// # Errors
    /// [`StoreError`].
    fn routes(&self) -> Result<Vec<Route>, StoreError>;
}

/// A store of the replay window: what it has done, in order. Memory stays the authority.
pub trait WindowStore: Send + Sync + 'static {
    /// Writes what the window has done. The answer comes when no crash of the process can lose it; a
    /// machine that loses power may lose the last second. While the store cannot write, the answer is
    /// [`StoreError::Unavailable`] at once, and the changes are written as soon as that is possible.
    fn append(&self, changes: Vec<passing::Change>) -> Pending<()>;

    /// Calls `each` with every change, in order. Those that later ones have made void may be missing,
    /// and so are entries that the window may forget. For the start.
    ///
    /// # Errors
    /// [`StoreError`].
    fn changes(&self, each: &mut dyn FnMut(passing::Change)) -> Result<(), StoreError>;
}
