//! An entry of the window: an event, and the states of that which is kept beside it.
//!
//! An entry has at least one variant. Most entries have only that one, and take 128 bytes; the
//! others are in a list of their own. A variant is in flight, or done, or in flight once more.
//! This file decides nothing: [`crate::verify::claim::decide`] does.

use std::time::Duration;

use crate::clock::{Now, UnixMillis};
use crate::verify::claim::{Arrival, ClaimKey, Fingerprint, Known, Mark, Seen};

/// The number of an entry's place in its shard's slab.
pub(super) type Slot = u32;

/// The value for "no slot" in a link: an `Option` would double its size.
pub(super) const NONE: Slot = Slot::MAX;

/// The neighbours of an entry in the list of its route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) prev: Slot,
    pub(super) next: Slot,
}

/// The link of an entry in no list.
pub(super) const UNLINKED: Link = Link {
    prev: NONE,
    next: NONE,
};

/// The whole nanoseconds of a time. They suffice for 584 years, and a longer time never ends.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The state of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No entry: the slot can be used again.
    Vacant,
    /// Claimed and not settled.
    InFlight,
    /// Forwarded, and answered with 2xx.
    Done,
    /// Done before, and claimed once more for a repeat.
    Again,
}

impl Phase {
    fn is_in_flight(self) -> bool {
        matches!(self, Self::InFlight | Self::Again)
    }

    fn was_done(self) -> bool {
        matches!(self, Self::Done | Self::Again)
    }
}

/// An event, in 128 bytes: two cache lines. To keep that size, flags say which values are present.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: ClaimKey,
    body: Fingerprint,
    variant: Fingerprint,
    pub(super) request: Mark,
    event: Mark,
    path: Mark,
    signed_at: UnixMillis,
    fresh_until: UnixMillis,
    /// In nanoseconds: while nothing is done, the ttl; afterwards the last moment of the monotonic
    /// clock at which the entry must be kept.
    keep_ns: u64,
    /// While the first variant is in flight, the serial of its ticket; for an entry in a list, its
    /// place in the order of use.
    pub(super) order: u64,
    /// The number of the entry's route in the shard.
    pub(super) route: u32,
    phase: Phase,
    has_event: bool,
    has_path: bool,
    is_signed: bool,
    pub(super) link: Link,
    more: Option<Box<More>>,
}

/// The parts that few entries have.
#[derive(Debug)]
struct More {
    /// The variants beside the first.
    others: Vec<Other>,
    /// The number of repeats that were done, and the moment at which the entry was done first.
    repeated: u16,
    first_ns: u64,
    /// The ttl of the latest claim, in nanoseconds.
    ttl_ns: u64,
}

/// A variant beside the first.
#[derive(Debug)]
struct Other {
    variant: Fingerprint,
    signed_at: Option<UnixMillis>,
    phase: Phase,
    serial: u64,
}

/// What is left of an entry after one of its claims was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing: the entry is to be removed.
    Nothing,
    /// Another variant is in flight.
    InFlight,
    /// Everything that is left is done.
    Done,
}

/// The value of [`Entry::fresh_until`] for an entry without a timestamp: it is fresh at no moment.
const UNDATED: UnixMillis = UnixMillis(i64::MIN);

impl Entry {
    /// A claim in flight.
    pub(super) fn in_flight(arrival: &Arrival, route: u32, serial: u64) -> Self {
        let more = arrival
            .repeats
            .is_some()
            .then(|| Box::new(More::begun(arrival, 0)));
        Self {
            key: arrival.key,
            body: arrival.body,
            variant: arrival.variant,
            request: arrival.request,
            event: arrival.event.unwrap_or(Mark(0)),
            path: arrival.path.unwrap_or(Mark(0)),
            signed_at: arrival.signed_at.unwrap_or(UNDATED),
            fresh_until: arrival.fresh_until.unwrap_or(UNDATED),
            keep_ns: nanos(arrival.ttl),
            order: serial,
            route,
            phase: Phase::InFlight,
            has_event: arrival.event.is_some(),
            has_path: arrival.path.is_some(),
            is_signed: arrival.signed_at.is_some(),
            link: UNLINKED,
            more,
        }
    }

    /// Empties the slot of an entry.
    pub(super) fn vacate(&mut self) {
        self.phase = Phase::Vacant;
        self.more = None;
    }

    /// Whether the slot holds no entry.
    pub(super) fn is_vacant(&self) -> bool {
        self.phase == Phase::Vacant
    }

    /// Whether nothing of the entry is in flight: it prevents a second forwarding, and may make
    /// room.
    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done && !self.others().iter().any(|other| other.phase.is_in_flight())
    }

    /// The entry as the decision about `arrival` sees it.
    pub(super) fn known(&self, arrival: &Arrival, now: Now) -> Known {
        let (mut done, mut in_flight) = (0, 0);
        let phases = self.others().iter().map(|other| other.phase);
        for phase in phases.chain([self.phase]) {
            if phase.was_done() {
                done += 1;
            } else {
                in_flight += 1;
            }
        }
        let seen = |phase: Phase, signed_at| {
            if phase.is_in_flight() {
                return Seen::InFlight;
            }
            let more = self.more.as_deref();
            let age = more.map_or(0, |more| nanos(now.mono).saturating_sub(more.first_ns));
            Seen::Done {
                signed_at,
                repeated: more.map_or(0, |more| more.repeated),
                age: Duration::from_nanos(age),
            }
        };
        let variant = if self.variant == arrival.variant {
            Some(seen(self.phase, self.is_signed.then_some(self.signed_at)))
        } else {
            let mut others = self.others().iter();
            others
                .find(|other| other.variant == arrival.variant)
                .map(|other| seen(other.phase, other.signed_at))
        };
        Known {
            body: self.body,
            path: self.has_path.then_some(self.path),
            variant,
            done,
            in_flight,
        }
    }

    /// Takes the arrival's variant into flight, as a further variant or once more.
    pub(super) fn join(&mut self, arrival: &Arrival, serial: u64, now: Now) {
        self.stays_fresh_with(arrival);
        let mono = nanos(now.mono);
        let more = self
            .more
            .get_or_insert_with(|| Box::new(More::begun(arrival, mono)));
        more.ttl_ns = nanos(arrival.ttl);
        if self.variant == arrival.variant {
            self.phase = Phase::Again;
            self.order = serial;
            return;
        }
        match more
            .others
            .iter_mut()
            .find(|other| other.variant == arrival.variant)
        {
            Some(other) => {
                other.phase = Phase::Again;
                other.serial = serial;
            }
            None => more.others.push(Other {
                variant: arrival.variant,
                signed_at: arrival.signed_at,
                phase: Phase::InFlight,
                serial,
            }),
        }
    }

    /// Settles the claim with this serial as done. `false` if there is no such claim.
    pub(super) fn commit(&mut self, serial: u64, now: Now) -> bool {
        let was_done = self.was_done();
        let Some(phase) = self.claimed(serial) else {
            return false;
        };
        let is_repeat = *phase == Phase::Again;
        *phase = Phase::Done;
        let mono = nanos(now.mono);
        if !was_done {
            self.keep_ns = self.keep_ns.saturating_add(mono);
        }
        if let Some(more) = &mut self.more {
            if is_repeat {
                more.repeated = more.repeated.saturating_add(1);
            } else if was_done {
                self.keep_ns = self.keep_ns.max(mono.saturating_add(more.ttl_ns));
            } else {
                more.first_ns = mono;
            }
        }
        true
    }

    /// Gives the claim with this serial back. `None` if there is no such claim.
    pub(super) fn release(&mut self, serial: u64) -> Option<Left> {
        let phase = self.claimed(serial)?;
        if *phase == Phase::Again {
            *phase = Phase::Done;
        } else if self.phase == Phase::InFlight && self.order == serial {
            let Some(next) = self.more.as_mut().and_then(|more| more.others.pop()) else {
                return Some(Left::Nothing);
            };
            self.variant = next.variant;
            self.phase = next.phase;
            self.order = next.serial;
            self.is_signed = next.signed_at.is_some();
            self.signed_at = next.signed_at.unwrap_or(UNDATED);
        } else if let Some(more) = &mut self.more {
            more.others
                .retain(|other| !(other.phase == Phase::InFlight && other.serial == serial));
        }
        Some(if self.is_done() {
            Left::Done
        } else {
            Left::InFlight
        })
    }

    /// Whether the signed timestamp is within the tolerance at `wall`.
    fn is_in_time(&self, wall: UnixMillis) -> bool {
        wall < self.fresh_until
    }

    /// Whether a replay of the entry's delivery would be let through if the entry were not there:
    /// within the tolerance, and without a timestamp until the ttl is over.
    pub(super) fn is_fresh(&self, now: Now) -> bool {
        self.is_in_time(now.wall) || self.fresh_until == UNDATED && nanos(now.mono) <= self.keep_ns
    }

    /// The moment from which on the entry is stale; `None` if it has no timestamp that becomes
    /// stale.
    pub(super) fn fresh_until(&self) -> Option<UnixMillis> {
        (self.fresh_until != UNDATED).then_some(self.fresh_until)
    }

    /// Keeps the entry at least until a later copy of the same event is stale too.
    pub(super) fn stays_fresh_with(&mut self, copy: &Arrival) {
        self.fresh_until = self.fresh_until.max(copy.fresh_until.unwrap_or(UNDATED));
    }

    /// Whether the entry is done and may be forgotten, which both clocks must allow (contract: The
    /// window). At exactly its ttl it is still kept.
    pub(super) fn is_forgettable(&self, now: Now) -> bool {
        self.is_done() && !self.is_in_time(now.wall) && nanos(now.mono) > self.keep_ns
    }

    /// The digest of route and event id; `None` if the delivery has no id.
    pub(super) fn event(&self) -> Option<Mark> {
        self.has_event.then_some(self.event)
    }

    /// Whether any variant was done.
    fn was_done(&self) -> bool {
        self.phase.was_done() || self.others().iter().any(|other| other.phase.was_done())
    }

    /// The phase of the claim with this serial.
    fn claimed(&mut self, serial: u64) -> Option<&mut Phase> {
        if self.phase.is_in_flight() && self.order == serial {
            return Some(&mut self.phase);
        }
        let others = &mut self.more.as_mut()?.others;
        others
            .iter_mut()
            .find(|other| other.phase.is_in_flight() && other.serial == serial)
            .map(|other| &mut other.phase)
    }

    fn others(&self) -> &[Other] {
        self.more.as_ref().map_or(&[], |more| &more.others)
    }
}

impl More {
    fn begun(arrival: &Arrival, first_ns: u64) -> Self {
        Self {
            others: Vec::new(),
            repeated: 0,
            first_ns,
            ttl_ns: nanos(arrival.ttl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_two_cache_lines() {
        assert_eq!(size_of::<Entry>(), 128);
    }
}
