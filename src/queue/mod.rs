//! Deliveries that were acknowledged and wait for the app: what is known of each, and what may become
//! of it (contract: Queue).
//!
//! Pure: facts and clock readings go in, decisions come out. What is decided here is written by
//! [`crate::store`] and carried out by the gateway.
//!
//! [`Queue`] is the whole of it. `index` says what it holds, `placing` where a delivery waits,
//! `choosing` what is tried next and `ending` what becomes of it; a rule about a route has a file of
//! its own (`breaker`, `asked`, `pace`, `accounts`, `keys`, `delay`).
//!
//! Moments at which deliveries are due are kept by the monotonic clock, and stored by the wall clock:
//! a step of the wall clock makes nothing due earlier or later while the process runs. Ages, which
//! span restarts, are those of the wall clock.

mod accounts;
mod asked;
mod attempt;
mod breaker;
mod by_hand;
mod choosing;
mod delay;
mod ending;
mod entry;
mod heap;
mod index;
mod keys;
mod list;
mod listing;
mod names;
mod numbers;
mod pace;
mod placing;
mod retry_after;
mod room;
mod route;
mod settings;
mod slab;

#[cfg(test)]
mod tests;

use std::fmt;

pub use self::asked::PauseTurn;
pub use self::attempt::{Attempt, AttemptEnd};
pub use self::breaker::BreakerTurn;
pub use self::by_hand::{ByHand, Expired};
pub use self::choosing::{Lease, Next, Probe};
pub use self::ending::{DeadReason, Ended, Outcome};
pub use self::index::Queue;
pub use self::listing::{Filter, Listed, Page, RouteStatus};
pub use self::retry_after::retry_after;
pub use self::room::{Full, Room};
pub use self::route::Counts;
pub use self::settings::{Limits, Rate, Settings};
use crate::clock::UnixMillis;
use crate::notation::encoding::is_uuid;
use crate::verify::claim::Mark;

/// The place of a delivery in the order of acceptance, from 1. A number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

/// The number that the store has given to a route, by its name and its provider. A route that comes
/// back with another provider gets another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteNumber(pub u32);

/// The name of a delivery for apps and operators, the same at each attempt: 128 bits, of which the
/// first 48 are the time of acceptance in milliseconds and most others are random (RFC 9562, version
/// 7). Written as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u128);

/// The state of a delivery. One that is being delivered or is held back keeps its state; one that was
/// delivered or discarded is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It was never tried.
    Waiting,
    /// An attempt has failed, and another follows.
    Retrying,
    /// No attempt follows, unless an operator asks for one.
    Dead,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Retrying, Self::Dead];

    /// Its name for operators and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
        }
    }
}

/// All that the schedule knows of a delivery: its row without head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the order of acceptance.
    pub number: Number,
    /// Its name, which says when it was accepted.
    pub id: DeliveryId,
    /// Its route.
    pub route: RouteNumber,
    /// The bytes of its head and body as they are stored.
    pub bytes: u64,
    /// The digest of its account, where an account is known. Accounts take turns.
    pub account: Option<Mark>,
    /// The digest of its order key: those with the same key are delivered one after the other.
    pub order: Option<Mark>,
    /// What became of it so far.
    pub progress: Progress,
}

/// What became of a delivery so far: the part of its row that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: State,
    /// The number of all attempts.
    pub attempts: u32,
    /// The number of failed attempts in the present round of the schedule. A retry by hand begins a
    /// new round.
    pub round: u32,
    /// The earliest moment of the next attempt; while it is dead, the moment of its death.
    pub due: UnixMillis,
    /// The moment from which its age counts: its acceptance, the retry by hand, or the moment at which
    /// it became the first of its order key.
    pub aged_from: UnixMillis,
    /// The status of the last answer; `None` without an answer.
    pub last_status: Option<u16>,
}

/// What is written about a delivery after its acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It waits on, or is dead.
    Progress(Progress),
    /// It is gone, delivered or discarded.
    Gone,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        let mut rest = text.as_str();
        for length in [8, 4, 4, 4] {
            let (part, others) = rest.split_at(length);
            write!(f, "{part}-")?;
            rest = others;
        }
        f.write_str(rest)
    }
}

impl DeliveryId {
    /// The id of a delivery that is accepted at `wall`, with these random bytes.
    pub fn new(wall: UnixMillis, random: [u8; 10]) -> Self {
        let millis = u128::from(wall.0.cast_unsigned() & 0xffff_ffff_ffff);
        let random = random
            .iter()
            .fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        let high = (random >> 62) & 0xfff;
        let low = random & ((1 << 62) - 1);
        Self((millis << 80) | (7 << 76) | (high << 64) | (0b10 << 62) | low)
    }

    /// The moment of the acceptance.
    pub fn received(self) -> UnixMillis {
        UnixMillis(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }

    /// Reads an id as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let is_small = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (is_small && is_uuid(text.as_bytes()))
            .then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok())?
            .map(Self)
    }
}
