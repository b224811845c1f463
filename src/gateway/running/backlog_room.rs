//! The room for deliveries: the limits of the queue, and what is left of its disk (contract: Queue).

use std::sync::atomic::Ordering;

use super::backlog::Backlog;
use crate::queue::{Full, Room, RouteNumber};
use crate::verdict::{Code, Refusal};

impl Backlog {
    /// Whether a delivery of `bytes` bytes would find room.
    ///
    /// # Errors
    /// `queue_full`.
    pub(crate) fn has_room(&self, route: RouteNumber, bytes: u64) -> Result<(), Refusal> {
        self.admit(route, bytes).map(drop)
    }

    pub(super) fn admit(&self, route: RouteNumber, bytes: u64) -> Result<Room, Refusal> {
        // It is written twice: into the log, and from there into the database.
        if self.disk_room.load(Ordering::Relaxed) <= bytes.saturating_mul(2) {
            return Err(Refusal::because(
                Code::QueueFull,
                "the disk of the queue is full",
            ));
        }
        self.queue().admit(route, bytes).map_err(full)
    }

    /// Whether the store could not write when it was looked at last.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Looks at the store: what it cannot write, and what is left of its disk.
    pub(super) fn look_at_store(&self) {
        let stats = self.store.stats();
        // A file system that does not say what is free has no end.
        let free = stats.free_bytes.unwrap_or(u64::MAX);
        let room = match self.keep_free {
            0 => u64::MAX,
            kept => free.saturating_sub(kept),
        };
        self.disk_room.store(room, Ordering::Relaxed);
        let is_full = free < self.keep_free;
        let was_full = self.is_disk_full.swap(is_full, Ordering::Relaxed);
        if is_full && !was_full {
            log::error!(
                "the disk of the queue has less than `state.keep_free` left: deliveries are answered `queue_full`"
            );
        }
        if was_full && !is_full {
            log::info!("the disk of the queue has room again");
        }
        self.is_failing
            .store(stats.failing.is_some(), Ordering::Relaxed);
    }
}

fn full(full: Full) -> Refusal {
    let why = match full {
        Full::Route => "the queue of this route is full",
        Full::All => "the queue is full",
    };
    Refusal::because(Code::QueueFull, why)
}
