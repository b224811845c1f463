//! An entry of the window: an event, and the states of that which is kept beside it.
//!
//! An entry has at least one variant. Most entries have only that one; the others are in a list of
//! their own. A variant is in flight, or done, or in flight once more. This file decides nothing:
//! [`crate::verify::claim::decide`] does. How an entry is kept is known to [`super::packed`]; an
//! [`Entry`](super::packed::Entry) that changes is unpacked into a [`State`].

use std::time::Duration;

use crate::clock::{Now, UnixMillis};
use crate::replay::passing::{Further, Variant};
use crate::verify::claim::{Arrival, Known, Mark, Seen};

/// The whole nanoseconds of a time. They suffice for 584 years, and a longer time never ends.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The seconds of a time, rounded up. They suffice for 136 years, and a longer time never ends.
fn seconds(time: Duration) -> u32 {
    let started = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(started).unwrap_or(u32::MAX)
}

/// The state of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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
    /// Whether the variant is claimed and not settled.
    pub(super) fn is_in_flight(self) -> bool {
        matches!(self, Self::InFlight | Self::Again)
    }

    fn was_done(self) -> bool {
        matches!(self, Self::Done | Self::Again)
    }
}

/// The facts about the delivery that made an entry: those of its [`Arrival`] with the same names.
/// `fresh_until` grows with copies that were signed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) body: Mark,
    pub(super) variant: Mark,
    pub(super) event: Option<Mark>,
    pub(super) path: Option<Mark>,
    pub(super) signed_at: Option<UnixMillis>,
    pub(super) fresh_until: Option<UnixMillis>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            body: Mark(0),
            variant: Mark(0),
            event: None,
            path: None,
            signed_at: None,
            fresh_until: None,
        }
    }
}

impl Facts {
    fn of(arrival: &Arrival) -> Self {
        Self {
            body: arrival.body,
            variant: arrival.variant,
            event: arrival.event,
            path: arrival.path,
            signed_at: arrival.signed_at,
            fresh_until: arrival.fresh_until,
        }
    }

    /// The entry as the decision about `arrival` sees it. `phase` is that of the first variant.
    pub(super) fn known(
        &self,
        phase: Phase,
        more: Option<&More>,
        arrival: &Arrival,
        now: Now,
    ) -> Known {
        let others = more.map_or(&[][..], |more| &more.others);
        let (mut done, mut in_flight) = (0, 0);
        for phase in others.iter().map(|other| other.phase).chain([phase]) {
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
            let age = more.map_or(0, |more| nanos(now.mono).saturating_sub(more.first_ns));
            Seen::Done {
                signed_at,
                repeated: more.map_or(0, |more| more.repeated),
                age: Duration::from_nanos(age),
            }
        };
        let variant = if self.variant == arrival.variant {
            Some(seen(phase, self.signed_at))
        } else {
            others
                .iter()
                .find(|other| other.variant == arrival.variant)
                .map(|other| seen(other.phase, other.signed_at))
        };
        Known {
            body: self.body,
            path: self.path,
            variant,
            done,
            in_flight,
        }
    }
}

/// An entry that is about to change.
#[derive(Debug)]
pub(super) struct State {
    pub(super) facts: Facts,
    /// The state of the first variant, and the serial of its ticket while it is in flight.
    pub(super) phase: Phase,
    pub(super) serial: u64,
    /// See [`Entry::keep_s`](super::packed::Entry::keep_s).
    pub(super) keep_s: u32,
    pub(super) more: Option<Box<More>>,
}

/// The parts that few entries have.
#[derive(Debug)]
pub(super) struct More {
    /// The variants beside the first.
    others: Vec<Other>,
    /// The number of repeats that were done, and the moment at which the entry was done first.
    repeated: u16,
    first_ns: u64,
    /// The ttl of the latest claim.
    ttl: Duration,
}

/// A variant beside the first.
#[derive(Debug)]
struct Other {
    variant: Mark,
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

impl State {
    /// A claim in flight.
    pub(super) fn in_flight(arrival: &Arrival, serial: u64) -> Self {
        let more = arrival
            .repeats
            .is_some()
            .then(|| Box::new(More::begun(arrival, 0)));
        Self {
            facts: Facts::of(arrival),
            phase: Phase::InFlight,
            serial,
            keep_s: seconds(arrival.ttl),
            more,
        }
    }

    /// Takes the arrival's variant into flight, as a further variant or once more.
    pub(super) fn join(&mut self, arrival: &Arrival, serial: u64, now: Now) {
        self.stays_fresh_with(arrival);
        if !self.was_done() {
            self.keep_s = self.keep_s.max(seconds(arrival.ttl));
        }
        let mono = nanos(now.mono);
        let more = self
            .more
            .get_or_insert_with(|| Box::new(More::begun(arrival, mono)));
        more.ttl = arrival.ttl;
        if self.facts.variant == arrival.variant {
            self.phase = Phase::Again;
            self.serial = serial;
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
        if !was_done {
            self.keep_s = self.keep_s.saturating_add(seconds(now.mono));
        }
        if let Some(more) = &mut self.more {
            if is_repeat {
                more.repeated = more.repeated.saturating_add(1);
            } else if was_done {
                let until = seconds(now.mono.saturating_add(more.ttl));
                self.keep_s = self.keep_s.max(until);
            } else {
                more.first_ns = nanos(now.mono);
            }
        }
        true
    }

    /// Gives the claim with this serial back. `None` if there is no such claim.
    pub(super) fn release(&mut self, serial: u64) -> Option<Left> {
        let phase = self.claimed(serial)?;
        if *phase == Phase::Again {
            *phase = Phase::Done;
        } else if self.phase == Phase::InFlight && self.serial == serial {
            let Some(next) = self.more.as_mut().and_then(|more| more.others.pop()) else {
                return Some(Left::Nothing);
            };
            self.facts.variant = next.variant;
            self.facts.signed_at = next.signed_at;
            self.phase = next.phase;
            self.serial = next.serial;
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

    /// Keeps the entry at least until a later copy of the same event is stale too.
    pub(super) fn stays_fresh_with(&mut self, copy: &Arrival) {
        self.facts.fresh_until = self.facts.fresh_until.max(copy.fresh_until);
    }

    /// Whether nothing of the entry is in flight: it prevents a second forwarding, and may make
    /// room.
    pub(super) fn is_done(&self) -> bool {
        let more = self.more.as_deref();
        self.phase == Phase::Done && !more.is_some_and(More::is_in_flight)
    }

    /// Whether any variant was done.
    fn was_done(&self) -> bool {
        self.phase.was_done() || self.others().iter().any(|other| other.phase.was_done())
    }

    /// The phase of the claim with this serial.
    fn claimed(&mut self, serial: u64) -> Option<&mut Phase> {
        if self.phase.is_in_flight() && self.serial == serial {
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
            ttl: arrival.ttl,
        }
    }

    /// As it passes to another process.
    pub(super) fn passing(&self) -> Further {
        let others = self.others.iter().map(|other| Variant {
            variant: other.variant,
            signed_at: other.signed_at,
            phase: other.phase.passing(),
            serial: other.serial,
        });
        Further {
            others: others.collect(),
            repeated: self.repeated,
            first_ns: self.first_ns,
            ttl: self.ttl,
        }
    }

    /// As it came from another process.
    pub(super) fn of_passing(further: &Further) -> Self {
        let others = further.others.iter().map(|other| Other {
            variant: other.variant,
            signed_at: other.signed_at,
            phase: Phase::of_passing(other.phase),
            serial: other.serial,
        });
        Self {
            others: others.collect(),
            repeated: further.repeated,
            first_ns: further.first_ns,
            ttl: further.ttl,
        }
    }

    /// Whether a variant beside the first is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        self.others.iter().any(|other| other.phase.is_in_flight())
    }
}
