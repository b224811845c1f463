//! The room for deliveries: the limits of the queue, and what is left of its disk (contract: Queue).

use std::sync::atomic::Ordering;

use super::backlog::Backlog;
use super::warnings::more;
use crate::clock::Now;
use crate::queue::{Full, Limits, Room, RouteNumber};
use crate::verdict::{Code, Refusal};

impl Backlog {
    /// Whether a delivery of `bytes` bytes would find room.
    ///
    /// # Errors
    /// `queue_full`.
    pub(crate) fn has_room(&self, route: RouteNumber, bytes: u64, now: Now) -> Result<(), Refusal> {
        self.admit(route, bytes, now).map(drop)
    }

    pub(super) fn admit(&self, route: RouteNumber, bytes: u64, now: Now) -> Result<Room, Refusal> {
        // It is written twice: into the log, and from there into the database.
        if self.disk_room.load(Ordering::Relaxed) <= bytes.saturating_mul(2) {
            return Err(Refusal::because(
                Code::QueueFull,
                "the disk of the queue is full",
            ));
        }
        let admitted = self.queue().admit(route, bytes);
        admitted.map_err(|full| {
            self.report_full(route, full, now);
            refusal(full)
        })
    }

    /// Says, once a minute for each route, that its deliveries find no room.
    fn report_full(&self, route: RouteNumber, full: Full, now: Now) {
        let name = self.name(route);
        let name = name.as_deref().unwrap_or("-");
        let (cause, whose, table) = match full {
            Full::Route => (name, "its queue is full", "[route.queue]"),
            Full::All => ("", "the queue of all routes is full", "[state]"),
        };
        let Some(others) = self.full.allow(cause, now.mono) else {
            return;
        };
        let status = self.queue().status(route);
        let (deliveries, bytes, limits) = match full {
            Full::Route => {
                let limits = status.limits.unwrap_or(self.limits);
                (status.counts.deliveries(), status.counts.bytes, limits)
            }
            Full::All => {
                let (deliveries, bytes) = self.queue().totals();
                (deliveries, bytes, self.limits)
            }
        };
        log::error!(
            "route {name}: {whose} ({deliveries} of {} deliveries, {bytes} of {} bytes): deliveries are answered \
             `queue_full`; mend the app, discard dead letters, or raise `{}` in `{table}`{}",
            limits.max_deliveries,
            limits.max_bytes,
            nearer(deliveries, bytes, limits),
            more(others)
        );
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

/// The key of the limit that is nearer.
fn nearer(deliveries: u64, bytes: u64, limits: Limits) -> &'static str {
    let cross = |part: u64, of_other: u64| u128::from(part) * u128::from(of_other);
    if cross(deliveries, limits.max_bytes) >= cross(bytes, limits.max_deliveries) {
        "max_deliveries"
    } else {
        "max_bytes"
    }
}

fn refusal(full: Full) -> Refusal {
    let why = match full {
        Full::Route => "the queue of this route is full",
        Full::All => "the queue is full",
    };
    Refusal::because(Code::QueueFull, why)
}
