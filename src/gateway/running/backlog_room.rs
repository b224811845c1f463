//! The room for deliveries: the limits of the queue, and what is left of its disk (contract: Queue).

use std::sync::atomic::Ordering::Relaxed;

use super::backlog::Backlog;
use super::warnings::more;
use crate::clock::Now;
use crate::config::units::rounded_size;
use crate::queue::{Full, Limits, Room, RouteNumber};
use crate::store::sqlite::{LATER, RESERVE};
use crate::verdict::{Code, Refusal};

/// The bytes that a delivery takes on the disk beside its own, for its rows and their pages.
const ROWS: u64 = 8 << 10;

/// The cause under which it is said that the disk is full. No route has this name.
const DISK: &str = "\0disk";

/// The bytes of the disk that no delivery may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptFree {
    /// Their number.
    pub bytes: u64,
    /// Whether `state.keep_free` says so. If not, the gateway needs them for what it has.
    pub by_config: bool,
}

impl KeptFree {
    /// Those of a gateway that has so many deliveries, by the `keep_free` of its configuration.
    pub fn of(keep_free: u64, deliveries: u64) -> Self {
        let needed = LATER.saturating_mul(deliveries).saturating_add(RESERVE);
        Self {
            bytes: keep_free.max(needed),
            by_config: keep_free >= needed,
        }
    }
}

/// The most bytes that the disk gets by deliveries of so many bytes.
fn on_disk(deliveries: u64, bytes: u64) -> u64 {
    // They are written twice: into the log, and from there into the database.
    bytes
        .saturating_add(ROWS.saturating_mul(deliveries))
        .saturating_mul(2)
}

impl Backlog {
    /// Whether a delivery of `bytes` bytes would find room.
    ///
    /// # Errors
    /// `queue_full`.
    pub(crate) fn has_room(&self, route: RouteNumber, bytes: u64, now: Now) -> Result<(), Refusal> {
        self.admit(route, bytes, now).map(drop)
    }

    /// A place for a delivery of `bytes` bytes that is to be stored now. Its bytes are taken off the
    /// room on the disk at once.
    ///
    /// # Errors
    /// `queue_full`.
    pub(super) fn take_room(
        &self,
        route: RouteNumber,
        bytes: u64,
        now: Now,
    ) -> Result<Room, Refusal> {
        let room = self.admit(route, bytes, now)?;
        let take = |room: u64| room.checked_sub(on_disk(1, bytes));
        match self.disk_room.fetch_update(Relaxed, Relaxed, take) {
            Ok(_) => Ok(room),
            Err(_) => Err(self.disk_is_full(now)),
        }
    }

    fn admit(&self, route: RouteNumber, bytes: u64, now: Now) -> Result<Room, Refusal> {
        if self.disk_room.load(Relaxed) < on_disk(1, bytes) {
            return Err(self.disk_is_full(now));
        }
        let admitted = self.queue().admit(route, bytes);
        admitted.map_err(|full| {
            self.report_full(route, full, bytes, now);
            refusal(full)
        })
    }

    /// The refusal of a delivery for which the disk has no room, which is said once a minute.
    fn disk_is_full(&self, now: Now) -> Refusal {
        self.report_disk(now);
        Refusal::because(Code::QueueFull, "the disk of the queue is full")
    }

    fn report_disk(&self, now: Now) {
        let Some(others) = self.full.allow(DISK, now.mono) else {
            return;
        };
        let stats = self.store.stats();
        let kept = KeptFree::of(self.keep_free, stats.deliveries);
        let why = if kept.by_config {
            "by `state.keep_free`"
        } else {
            "for what becomes of the deliveries that the queue has, whatever `state.keep_free` is"
        };
        log::error!(
            "the disk of the queue has {} free, and {} stay free {why}: deliveries for which that leaves no \
             room are answered `queue_full`; make room on it, or discard dead letters{}",
            rounded_size(stats.free_bytes.unwrap_or(u64::MAX)),
            rounded_size(kept.bytes),
            more(others)
        );
    }

    /// Says, once a minute for each route, that its deliveries find no room, as one of so many bytes did.
    fn report_full(&self, route: RouteNumber, full: Full, refused: u64, now: Now) {
        let name = self.name(route);
        let name = name.as_deref().unwrap_or("-");
        let (cause, whose, table) = match full {
            Full::Route => (name, "its queue is full", "[route.queue]"),
            Full::All => ("", "the queue of all routes is full", "[state]"),
        };
        let Some(others) = self.full.allow(cause, now.mono) else {
            return;
        };
        let status = self.queue().status(route, now);
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
            "route {name}: {whose} ({deliveries} of {} deliveries, {} of {}): deliveries are answered `queue_full`; \
             mend the app, discard dead letters, or raise `{}` in `{table}`{}",
            limits.max_deliveries,
            rounded_size(bytes),
            rounded_size(limits.max_bytes),
            met(deliveries, bytes.saturating_add(refused), limits),
            more(others)
        );
    }

    /// Whether the store could not write when it was looked at last.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Relaxed)
    }

    /// Looks at the store: what it cannot write, and what is left of its disk.
    pub(super) fn look_at_store(&self, now: Now) {
        let stats = self.store.stats();
        // A file system that does not say what is free has no end.
        let free = stats.free_bytes.unwrap_or(u64::MAX);
        let kept = KeptFree::of(self.keep_free, stats.deliveries);
        // What is being stored may not be on the disk yet.
        let (deliveries, bytes) = self.queue().being_stored();
        let room = free.saturating_sub(kept.bytes);
        let room = room.saturating_sub(on_disk(deliveries, bytes));
        self.disk_room.store(room, Relaxed);
        let was_full = self.is_disk_full.load(Relaxed);
        // What is free goes up and down with the log, and that is not to be told each time.
        let enough = kept
            .bytes
            .saturating_add(if was_full { RESERVE } else { 0 });
        let is_full = free < enough;
        self.is_disk_full.store(is_full, Relaxed);
        if is_full && !was_full {
            self.report_disk(now);
        }
        if was_full && !is_full {
            log::info!("the disk of the queue has room again");
        }
        self.is_failing.store(stats.failing.is_some(), Relaxed);
    }
}

/// The key of the limit that is met with so many deliveries, where the next one would make so many bytes.
fn met(deliveries: u64, bytes: u64, limits: Limits) -> &'static str {
    if bytes > limits.max_bytes && deliveries < limits.max_deliveries {
        "max_bytes"
    } else {
        "max_deliveries"
    }
}

fn refusal(full: Full) -> Refusal {
    let why = match full {
        Full::Route => "the queue of this route is full",
        Full::All => "the queue is full",
    };
    Refusal::because(Code::QueueFull, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_keep_free_says_the_gateway_keeps_room_for_what_it_has() {
        let kept = |keep_free, deliveries| {
            let kept = KeptFree::of(keep_free, deliveries);
            (kept.bytes, kept.by_config)
        };
        assert_eq!(kept(0, 0), (RESERVE, false));
        assert_eq!(kept(0, 1000), (RESERVE + 1000 * LATER, false));
        assert_eq!(kept(RESERVE, 0), (RESERVE, true));
        assert_eq!(kept(RESERVE, 1), (RESERVE + LATER, false));
        assert_eq!(kept(1 << 30, 1_000_000), (1 << 30, true));
    }

    #[test]
    fn the_limit_that_is_named_is_the_one_that_was_met() {
        let limits = Limits {
            max_deliveries: 10,
            max_bytes: 1000,
        };
        // The last one is larger than the whole queue.
        for (deliveries, bytes, expected) in [
            (10, 200, "max_deliveries"),
            (9, 1001, "max_bytes"),
            (0, 2000, "max_bytes"),
        ] {
            assert_eq!(
                met(deliveries, bytes, limits),
                expected,
                "{deliveries} {bytes}"
            );
        }
    }

    #[test]
    fn small_deliveries_take_more_of_the_disk_than_their_bytes() {
        assert_eq!(on_disk(1, 0), 2 * ROWS);
        assert_eq!(on_disk(2, 1000), 2000 + 4 * ROWS);
    }
}
