//! The room for deliveries that are being stored (contract: Queue).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The reason why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A limit of the route.
    Route,
    /// A limit of all routes together.
    All,
}

/// A place for a delivery that is being stored. It is dropped once the delivery was added, or was not
/// stored after all; until then it counts like a delivery.
#[derive(Debug)]
pub struct Room {
    /// Shared with the route and the queue, so that a future that is dropped gives its room back
    /// without their lock.
    reserved: [Arc<Reserved>; 2],
    bytes: u64,
}

/// The rooms that are held. The lock of the queue is held where rooms are taken, and a room that is
/// given back a moment later is seen at the next question, so no ordering is needed.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    bytes: AtomicU64,
    deliveries: AtomicU64,
}

impl Reserved {
    /// Bytes and number of the rooms that are held.
    pub(super) fn held(&self) -> (u64, u64) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.deliveries.load(Ordering::Relaxed),
        )
    }
}

impl Room {
    pub(super) fn take(route: &Arc<Reserved>, all: &Arc<Reserved>, bytes: u64) -> Self {
        let reserved = [Arc::clone(route), Arc::clone(all)];
        for of in &reserved {
            of.bytes.fetch_add(bytes, Ordering::Relaxed);
            of.deliveries.fetch_add(1, Ordering::Relaxed);
        }
        Self { reserved, bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for of in &self.reserved {
            of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            of.deliveries.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
