//! A delivery as it is held in memory: 72 bytes.

use super::slab::{NONE, Slab};
use super::{DeliveryId, Number, State};

/// All deliveries.
pub(super) type Entries = Slab<Entry>;

/// A delivery. Its route is that of its account.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    /// The halves of [`DeliveryId`], the higher one first: as one number it would need to lie at a
    /// multiple of 16 bytes.
    pub(super) id: [u64; 2],
    /// The earliest moment of the next attempt by the monotonic clock; of a dead one the moment of its
    /// death by the wall clock.
    pub(super) due: i64,
    /// The moment from which its age counts, by the wall clock.
    pub(super) aged_from: i64,
    /// Its neighbours in the list that it is in. In a heap, `before` is its place there.
    pub(super) before: u32,
    pub(super) after: u32,
    /// Its place among the accounts.
    pub(super) account: u32,
    /// Its place among the order keys, or [`NONE`].
    pub(super) key: u32,
    pub(super) attempts: u32,
    pub(super) round: u32,
    pub(super) bytes: u32,
    /// The status of the last answer; 0: none.
    pub(super) last_status: u16,
    pub(super) state: State,
    pub(super) place: Place,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// Nowhere: it is being moved.
    #[default]
    Nowhere,
    /// Behind another one of its order key.
    Blocked,
    /// In the line of its account: it can be tried.
    Lined,
    /// Among the timers of its route, until its time of the schedule.
    Timed,
    /// Among the timers of its route, until the time that was asked for: no probe goes before it.
    Delayed,
    /// In flight.
    InFlight,
    /// Not to be read, until an operator or the next start tries it again.
    Held,
    /// Retried by hand before the start: it goes last once all others are known.
    Late,
    /// Among the dead of its route.
    Dead,
}

impl Place {
    /// Whether a delivery there holds its order key.
    pub(super) fn holds_key(self) -> bool {
        matches!(
            self,
            Self::Lined | Self::Timed | Self::Delayed | Self::InFlight | Self::Held
        )
    }
}

impl Entry {
    pub(super) fn new(number: Number, id: DeliveryId) -> Self {
        let half = |shift: u32| u64::try_from((id.0 >> shift) & u128::from(u64::MAX)).unwrap_or(0);
        Self {
            number: number.0,
            id: [half(64), half(0)],
            ..Self::default()
        }
    }

    pub(super) fn id(&self) -> DeliveryId {
        let [high, low] = self.id;
        DeliveryId(u128::from(high) << 64 | u128::from(low))
    }

    /// The hash of an id: its random half, spread over all bits.
    pub(super) fn hash(id: DeliveryId) -> u64 {
        let low = u64::try_from(id.0 & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(id.0 >> 64).unwrap_or(0);
        (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            number: 0,
            id: [0; 2],
            due: 0,
            aged_from: 0,
            before: NONE,
            after: NONE,
            account: NONE,
            key: NONE,
            attempts: 0,
            round: 0,
            bytes: 0,
            last_status: 0,
            state: State::Waiting,
            place: Place::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_takes_72_bytes() {
        assert_eq!(size_of::<Entry>(), 72);
    }

    #[test]
    fn an_id_reads_back() {
        let id = DeliveryId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(Entry::new(Number(1), id).id(), id);
    }
}
