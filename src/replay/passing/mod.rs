//! The replay window as it passes to another process, and the questions that its former owner asks
//! afterwards (contract: Upgrade). Values here are written as bytes and read again; who sends them,
//! and over what, is known to the gateway alone.
//!
//! The bytes come from a process of the same user. They are read as carefully as any: a length that
//! is not there, a number out of its range or bytes that are left over are an error.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Claimed, Ticket, WindowError};
use crate::clock::{Now, UnixMillis};
use crate::notation::packed::{Reader, Writer};
use crate::scheme::Repeats;
use crate::verify::claim::{Arrival, ClaimKey, Conflict, Decision, Fingerprint, Mark};

/// The state of a variant of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Claimed and not settled.
    InFlight = 1,
    /// Forwarded, and answered with 2xx.
    Done = 2,
    /// Done before, and claimed once more for a repeat.
    Again = 3,
}

/// A variant of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// [`Arrival::variant`].
    pub variant: Mark,
    /// [`Arrival::signed_at`].
    pub signed_at: Option<UnixMillis>,
    /// Its state.
    pub phase: Phase,
    /// The serial of its ticket while it is in flight.
    pub serial: u64,
}

/// The parts that few entries have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Further {
    /// The variants beside the first.
    pub others: Vec<Variant>,
    /// The number of repeats that were done.
    pub repeated: u16,
    /// The moment at which the entry was done first, in nanoseconds of the monotonic clock.
    pub first_ns: u64,
    /// The ttl of the latest claim.
    pub ttl: Duration,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The claimed key.
    pub key: ClaimKey,
    /// The digest of its route.
    pub route: Fingerprint,
    /// As much as is kept of [`Arrival::request`].
    pub request: Mark,
    /// [`Arrival::body`].
    pub body: Mark,
    /// [`Arrival::event`].
    pub event: Option<Mark>,
    /// [`Arrival::path`].
    pub path: Option<Mark>,
    /// The latest moment at which a copy of it becomes stale.
    pub fresh_until: Option<UnixMillis>,
    /// In seconds: while nothing is done, the ttl; afterwards the last moment of the monotonic clock
    /// at which the entry must be kept.
    pub keep_s: u32,
    /// Its place in the order in which its route used entries; `None`: it was used last.
    pub order: Option<u64>,
    /// The first variant.
    pub first: Variant,
    /// The parts that few entries have.
    pub further: Option<Box<Further>>,
}

/// What a window has, or has no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The entry, in place of the one with its key.
    Entry(Kept),
    /// There is no entry with this key.
    Gone(ClaimKey),
    /// The latest moment at which any of the forgotten entries of a route became stale.
    Forgotten(Fingerprint, UnixMillis),
    /// Every ticket has a serial of at most this.
    Serial(u64),
    /// This delivery was claimed and done at this moment.
    Done(Box<Arrival>, Now),
}

/// A question to the process that has the window now.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// Asks for a claim.
    Claim(Arrival),
    /// Settles a claim as done.
    Commit(Ticket),
    /// The same, and it is written down with its delivery.
    Stored(Ticket),
    /// Gives a claim back.
    Release(Ticket),
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to a claim.
    Claimed(Result<Claimed, WindowError>),
    /// The claim is settled.
    Settled,
}

fn at(moment: Option<UnixMillis>) -> Option<u64> {
    moment.map(|moment| moment.0.cast_unsigned())
}

fn moment(at: Option<u64>) -> Option<UnixMillis> {
    at.map(|at| UnixMillis(at.cast_signed()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Variant {
    fn write(&self, to: &mut Writer<'_>) {
        to.byte(self.phase as u8);
        to.long(self.variant.0);
        to.long(self.serial);
        to.optional(at(self.signed_at));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let phase = match from.byte()? {
            1 => Phase::InFlight,
            2 => Phase::Done,
            3 => Phase::Again,
            _ => return None,
        };
        Some(Self {
            phase,
            variant: Mark(from.long()?),
            serial: from.long()?,
            signed_at: moment(from.optional()?),
        })
    }
}

impl Further {
    fn write(&self, to: &mut Writer<'_>) {
        // An entry takes at most a `u16` of variants.
        to.short(u16::try_from(self.others.len()).unwrap_or(u16::MAX));
        for other in self.others.iter().take(usize::from(u16::MAX)) {
            other.write(to);
        }
        to.short(self.repeated);
        to.long(self.first_ns);
        to.long(nanos(self.ttl));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.short()?;
        let others = (0..count).map(|_| Variant::read(from));
        Some(Self {
            others: others.collect::<Option<_>>()?,
            repeated: from.short()?,
            first_ns: from.long()?,
            ttl: Duration::from_nanos(from.long()?),
        })
    }
}

impl Kept {
    fn write(&self, to: &mut Writer<'_>) {
        to.digest(self.key.0);
        to.digest(self.route.0);
        to.long(self.request.0);
        to.long(self.body.0);
        to.optional(self.event.map(|mark| mark.0));
        to.optional(self.path.map(|mark| mark.0));
        to.optional(at(self.fresh_until));
        to.word(self.keep_s);
        to.optional(self.order);
        self.first.write(to);
        to.byte(u8::from(self.further.is_some()));
        if let Some(further) = &self.further {
            further.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            key: ClaimKey(from.digest()?),
            route: Fingerprint(from.digest()?),
            request: Mark(from.long()?),
            body: Mark(from.long()?),
            event: from.optional()?.map(Mark),
            path: from.optional()?.map(Mark),
            fresh_until: moment(from.optional()?),
            keep_s: from.word()?,
            order: from.optional()?,
            first: Variant::read(from)?,
            further: match from.byte()? {
                0 => None,
                1 => Some(Box::new(Further::read(from)?)),
                _ => return None,
            },
        })
    }

    /// Whether something of it was done.
    pub fn was_done(&self) -> bool {
        self.done() > 0
    }

    /// The number of its variants that were done.
    pub fn done(&self) -> usize {
        let others = self.further.iter().flat_map(|further| &further.others);
        let all = std::iter::once(&self.first).chain(others);
        all.filter(|variant| variant.phase != Phase::InFlight)
            .count()
    }

    /// The tickets of its claims in flight.
    pub fn in_flight(&self) -> impl Iterator<Item = u64> {
        let others = self.further.iter().flat_map(|further| &further.others);
        let all = std::iter::once(&self.first).chain(others);
        all.filter(|variant| variant.phase != Phase::Done)
            .map(|variant| variant.serial)
    }

    /// The delivery that has the claim in flight with this serial, as far as the entry tells: its
    /// limits are not known, so none counts.
    pub fn arrival(&self, serial: u64) -> Option<Arrival> {
        let others = self.further.iter().flat_map(|further| &further.others);
        let mut all = std::iter::once(&self.first).chain(others);
        let own = all.find(|own| own.phase != Phase::Done && own.serial == serial)?;
        let ttl = self.further.as_ref().map_or_else(
            || Duration::from_secs(self.keep_s.into()),
            |further| further.ttl,
        );
        Some(Arrival {
            key: self.key,
            body: self.body,
            path: self.path,
            variant: own.variant,
            variants: u16::MAX,
            repeats: None,
            signed_at: own.signed_at,
            route: self.route,
            event: self.event,
            request: self.request,
            ttl,
            fresh_until: self.fresh_until,
            route_capacity: None,
            share: usize::MAX,
        })
    }
}

impl Change {
    /// Appends the change to `bytes`.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let mut to = Writer(bytes);
        match self {
            Self::Entry(kept) => {
                to.byte(1);
                kept.write(&mut to);
            }
            Self::Gone(key) => {
                to.byte(2);
                to.digest(key.0);
            }
            Self::Forgotten(route, until) => {
                to.byte(3);
                to.digest(route.0);
                to.long(until.0.cast_unsigned());
            }
            Self::Serial(serial) => {
                to.byte(4);
                to.long(*serial);
            }
            Self::Done(arrival, at) => {
                to.byte(5);
                to.long(at.wall.0.cast_unsigned());
                to.long(nanos(at.mono));
                write_arrival(arrival, &mut to);
            }
        }
    }

    /// Takes the changes that `bytes` are, one after the other. `false` if they are anything else; the
    /// changes before that were taken.
    pub fn read_all(bytes: &[u8], mut take: impl FnMut(Self)) -> bool {
        let mut from = Reader(bytes);
        while !from.is_at_end() {
            let Some(change) = Self::read(&mut from) else {
                return false;
            };
            take(change);
        }
        true
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            1 => Self::Entry(Kept::read(from)?),
            2 => Self::Gone(ClaimKey(from.digest()?)),
            3 => {
                let route = Fingerprint(from.digest()?);
                Self::Forgotten(route, UnixMillis(from.long()?.cast_signed()))
            }
            4 => Self::Serial(from.long()?),
            5 => {
                let at = Now {
                    wall: UnixMillis(from.long()?.cast_signed()),
                    mono: Duration::from_nanos(from.long()?),
                };
                Self::Done(Box::new(read_arrival(from)?), at)
            }
            _ => return None,
        })
    }
}

fn write_ticket(ticket: Ticket, to: &mut Writer<'_>) {
    to.digest(ticket.key.0);
    to.word(ticket.slot);
    to.long(ticket.serial);
}

fn read_ticket(from: &mut Reader<'_>) -> Option<Ticket> {
    Some(Ticket {
        key: ClaimKey(from.digest()?),
        slot: from.word()?,
        serial: from.long()?,
    })
}

fn write_arrival(arrival: &Arrival, to: &mut Writer<'_>) {
    to.digest(arrival.key.0);
    to.digest(arrival.route.0);
    to.long(arrival.body.0);
    to.long(arrival.variant.0);
    to.long(arrival.request.0);
    to.short(arrival.variants);
    to.byte(u8::from(arrival.repeats.is_some()));
    if let Some(repeats) = arrival.repeats {
        to.short(repeats.most);
        to.long(nanos(repeats.within));
    }
    to.long(nanos(arrival.ttl));
    to.long(arrival.share as u64);
    for optional in [
        arrival.path.map(|mark| mark.0),
        arrival.event.map(|mark| mark.0),
        at(arrival.signed_at),
        at(arrival.fresh_until),
        arrival.route_capacity.map(|capacity| capacity as u64),
    ] {
        to.optional(optional);
    }
}

fn read_arrival(from: &mut Reader<'_>) -> Option<Arrival> {
    Some(Arrival {
        key: ClaimKey(from.digest()?),
        route: Fingerprint(from.digest()?),
        body: Mark(from.long()?),
        variant: Mark(from.long()?),
        request: Mark(from.long()?),
        variants: from.short()?,
        repeats: match from.byte()? {
            0 => None,
            1 => Some(Repeats {
                most: from.short()?,
                within: Duration::from_nanos(from.long()?),
            }),
            _ => return None,
        },
        ttl: Duration::from_nanos(from.long()?),
        share: usize::try_from(from.long()?).ok()?,
        path: from.optional()?.map(Mark),
        event: from.optional()?.map(Mark),
        signed_at: moment(from.optional()?),
        fresh_until: moment(from.optional()?),
        route_capacity: match from.optional()? {
            None => None,
            Some(capacity) => Some(usize::try_from(capacity).ok()?),
        },
    })
}

impl Question {
    /// The question with its number, as bytes.
    pub fn to_bytes(&self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        let mut to = Writer(&mut bytes);
        to.long(number);
        match self {
            Self::Claim(arrival) => {
                to.byte(1);
                write_arrival(arrival, &mut to);
            }
            Self::Commit(ticket) => {
                to.byte(2);
                write_ticket(*ticket, &mut to);
            }
            Self::Release(ticket) => {
                to.byte(3);
                write_ticket(*ticket, &mut to);
            }
            Self::Stored(ticket) => {
                to.byte(4);
                write_ticket(*ticket, &mut to);
            }
        }
        bytes
    }

    /// The number and the question; `None` if `bytes` are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<(u64, Self)> {
        let mut from = Reader(bytes);
        let number = from.long()?;
        let question = match from.byte()? {
            1 => Self::Claim(read_arrival(&mut from)?),
            2 => Self::Commit(read_ticket(&mut from)?),
            3 => Self::Release(read_ticket(&mut from)?),
            4 => Self::Stored(read_ticket(&mut from)?),
            _ => return None,
        };
        from.is_at_end().then_some((number, question))
    }
}

/// The decisions by their numbers.
const DENIED: [(u8, Decision); 6] = [
    (10, Decision::InFlight),
    (11, Decision::Replay),
    (12, Decision::Redelivery),
    (13, Decision::Conflict(Conflict::Body)),
    (14, Decision::Conflict(Conflict::Path)),
    (15, Decision::Conflict(Conflict::Variant)),
];

impl Reply {
    /// The reply with the number of its question, as bytes.
    pub fn to_bytes(&self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        let mut to = Writer(&mut bytes);
        to.long(number);
        match self {
            Self::Settled => to.byte(1),
            Self::Claimed(Ok(Claimed::Granted(ticket))) => {
                to.byte(2);
                write_ticket(*ticket, &mut to);
            }
            Self::Claimed(Ok(Claimed::Denied(decision))) => {
                let known = DENIED.iter().find(|(_, denied)| denied == decision);
                to.byte(known.map_or(4, |(number, _)| *number));
            }
            Self::Claimed(Err(WindowError::Full)) => to.byte(3),
            Self::Claimed(Err(WindowError::Unavailable | WindowError::Elsewhere)) => to.byte(4),
        }
        bytes
    }

    /// The number and the reply; `None` if `bytes` are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<(u64, Self)> {
        let mut from = Reader(bytes);
        let number = from.long()?;
        let reply = match from.byte()? {
            1 => Self::Settled,
            2 => Self::Claimed(Ok(Claimed::Granted(read_ticket(&mut from)?))),
            3 => Self::Claimed(Err(WindowError::Full)),
            4 => Self::Claimed(Err(WindowError::Unavailable)),
            byte => {
                let (_, denied) = DENIED.iter().find(|(number, _)| *number == byte)?;
                Self::Claimed(Ok(Claimed::Denied(*denied)))
            }
        };
        from.is_at_end().then_some((number, reply))
    }
}
