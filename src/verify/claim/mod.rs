//! Claim keys, and the decision about an arrival: a pure function of the stored entry and the
//! arrival (contract: States, Seen again).
//!
//! A store keeps entries and asks [`decide`]; it decides nothing itself. [`refusal`] then names the
//! code that answers a decision (contract: Answers). [`fingerprint`] makes digests and keys,
//! [`identity`] what a delivery is claimed by. How entries are kept, for how long, and which HTTP
//! status a code has is not known here.

mod body_hash;
mod fingerprint;
mod identity;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use body_hash::{BodyHash, BodyHasher, HashedBody};
pub use fingerprint::{FingerprintKey, RouteFingerprints};
pub use identity::{Beside, EventKey, Identity, RouteIdentities};

use crate::clock::UnixMillis;
use crate::scheme::{Repeats, Scheme};
use crate::verdict::{Code, Refusal};

/// The identity under which a delivery is claimed: a keyed 128-bit digest, so that its size is
/// fixed and its input hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimKey(pub u128);

impl ClaimKey {
    /// The low half of the key. Where the key is [by id](RouteFingerprints::by_id), it is the mark of
    /// the event.
    pub fn mark(self) -> Mark {
        Mark::of(self.0)
    }
}

/// A keyed 128-bit digest of bytes that are only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The low half of the digest.
    pub fn mark(self) -> Mark {
        Mark::of(self.0)
    }
}

/// A keyed 64-bit digest of bytes that are compared within an entry, or by an operator's command.
/// Nobody who does not know the key can choose bytes with the same mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub u64);

impl Mark {
    /// The low half of a digest.
    fn of(digest: u128) -> Self {
        Self(u64::try_from(digest & u128::from(u64::MAX)).unwrap_or_default())
    }
}

/// The facts about a proved delivery that the window needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The claimed identity: [`RouteFingerprints::by_id`] or [`RouteFingerprints::by_content`].
    pub key: ClaimKey,
    /// The mark that tells two deliveries under one key apart. With a key by id it is that of
    /// [`FingerprintKey::body`]; with a key by content it is 0, since two contents never have one
    /// key. With [`repeats`](Self::repeats) it is that of [`FingerprintKey::repeat`].
    ///
    /// 64 bits are enough, because a body is compared with a single entry, that of its key, and
    /// nobody sees digests. A delivery with another body passes for a copy once in 2⁶⁴, and each
    /// guess is a delivery that a provider must have signed under the same id; with `repeats`, a
    /// captured request with other bytes outside of the signature. At a million guesses a second
    /// that takes half a million years. See [`FingerprintKey`] for what a guess gains.
    pub body: Mark,
    /// The path that was matched under a prefix, which has no state of its own: an entry takes one
    /// path. `None` under an exact route.
    pub path: Option<Mark>,
    /// The digest of that which no signature covers and which has a state of its own beside the
    /// entry ([`FingerprintKey::variant`]): the type of the event, or a body. 0 if nothing is kept
    /// there. It is as long as [`body`](Self::body) for the same reason: an honest event is taken
    /// for a copy of another one that shares its content once in 2⁶⁴ such pairs.
    pub variant: Mark,
    /// The most variants that an entry may have; at least 1.
    pub variants: u16,
    /// How often the same delivery may be forwarded again, for requests that want an answer.
    pub repeats: Option<Repeats>,
    /// The signed timestamp, where the scheme signs a timestamp.
    pub signed_at: Option<UnixMillis>,
    /// The digest of the route, equal for all its entries: [`RouteFingerprints::route`].
    pub route: Fingerprint,
    /// The digest of route and event id (signed or not), for `forget`; `None` where the delivery
    /// has no id.
    pub event: Option<Mark>,
    /// The digest of route and request id, for `forget`.
    pub request: Mark,
    /// The shortest time for which a done entry is kept, by the monotonic clock.
    pub ttl: Duration,
    /// The moment from which the signed timestamp is outside the tolerance (wall clock); `None`
    /// where no timestamp is signed or freshness is not judged. An entry is kept at least until
    /// then.
    pub fresh_until: Option<UnixMillis>,
    /// The most entries that this arrival's route may hold; with `None` only the capacity of the
    /// whole window counts.
    pub route_capacity: Option<usize>,
    /// The route's fair share of the window, in entries: the capacity divided by the number of
    /// routes. It decides who makes room in a full window.
    pub share: usize,
}

/// The window's knowledge of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// There is an entry under the key.
    Entry(Known),
    /// There is no entry, but the window has forgotten entries of this route that became stale
    /// together with this arrival or later. When they were forgotten, the wall clock called this
    /// arrival stale as well. If it is judged fresh now, the clock has stepped back, and the window
    /// no longer knows whether this event was done.
    Forgotten,
}

/// An entry, as far as the decision about an arrival needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// [`Arrival::body`] of the delivery that made the entry.
    pub body: Mark,
    /// The path of that delivery.
    pub path: Option<Mark>,
    /// The state of the arrival's own variant; `None` if the entry does not have it.
    pub variant: Option<Seen>,
    /// The number of variants that are done.
    pub done: u16,
    /// The number of variants that are in flight and not done.
    pub in_flight: u16,
}

/// The state of a variant of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The variant was claimed and is not settled yet.
    InFlight,
    /// The variant was forwarded, and the upstream answered 2xx.
    Done {
        /// The signed timestamp of the forwarded delivery.
        signed_at: Option<UnixMillis>,
        /// The number of times that the delivery was forwarded again.
        repeated: u16,
        /// The time since the entry was done first.
        age: Duration,
    },
}

/// The decision about an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// This arrival may be forwarded, and no other copy until it is settled.
    Claim,
    /// Another copy of the event is in flight.
    InFlight,
    /// The very same signed delivery was done.
    Replay,
    /// The same event was done, and this delivery was signed at another time (or its scheme signs
    /// no timestamp).
    Redelivery,
    /// The same event was done, and differs in this.
    Conflict(Conflict),
}

/// The part in which a delivery differs from the delivery of the same event that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// The body, under the same signed id.
    Body,
    /// The path under a prefix route.
    Path,
    /// That which no signature covers and which an entry takes only so often: the type, or a body.
    Variant,
}

/// Decides about an arrival by the entry under its key (contract: Seen again).
///
/// While nothing under the key is done and another copy is in flight, the decision is
/// [`Decision::InFlight`], whatever the arrival's body and path: only what was forwarded can be in
/// conflict.
pub fn decide(stored: Option<&Stored>, arrival: &Arrival) -> Decision {
    let known = match stored {
        None => return Decision::Claim,
        // Fail closed. As long as the wall clock does not step back, no fresh arrival meets this.
        Some(Stored::Forgotten) => return Decision::Replay,
        Some(Stored::Entry(known)) => known,
    };
    let is_elsewhere =
        matches!((known.path, arrival.path), (Some(one), Some(other)) if one != other);
    let is_other_body = known.body != arrival.body;
    if known.done == 0 && (is_elsewhere || is_other_body) {
        return Decision::InFlight;
    }
    if is_elsewhere {
        return Decision::Conflict(Conflict::Path);
    }
    if is_other_body {
        return Decision::Conflict(Conflict::Body);
    }
    match known.variant {
        Some(Seen::InFlight) => Decision::InFlight,
        Some(Seen::Done {
            signed_at,
            repeated,
            age,
        }) => match arrival.repeats {
            Some(repeats) if repeated < repeats.most && age <= repeats.within => Decision::Claim,
            Some(_) => Decision::Replay,
            None => match (signed_at, arrival.signed_at) {
                (Some(then), Some(now)) if then == now => Decision::Replay,
                _ => Decision::Redelivery,
            },
        },
        None if known.done >= arrival.variants => Decision::Conflict(Conflict::Variant),
        // A variant in flight may be released, and then its place is free again.
        None if known.done.saturating_add(known.in_flight) >= arrival.variants => {
            Decision::InFlight
        }
        None => Decision::Claim,
    }
}

/// The trust that a route's event id names a single event (contract: Keys).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdTrust {
    /// The id is signed, at the place that the provider's preset names. It is the event's id.
    SignedPresetPlace,
    /// The id is signed, at a place that the operator wrote. The place may hold something else,
    /// such as an account id.
    SignedOperatorPlace,
    /// There is no id, or no signature covers it. The claim key is made of the signed content.
    Unsigned,
}

/// The rules by which a route's scheme turns decisions into answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The trust in the event id, which decides how a claim key is made.
    pub id_trust: IdTrust,
    /// Whether honest retries look like replays ([`Scheme::may_retry_unchanged`]).
    pub retries_unchanged: bool,
    /// Whether another body under an id is answered as a duplicate: some providers render the body
    /// of a retry again, with other bytes.
    pub forgives_other_bodies: bool,
}

impl Policy {
    /// The policy of every route with this scheme. `sets_on_conflict` says that the route chose the
    /// answer to a conflict, which then counts for every conflict.
    pub fn of(scheme: &Scheme, sets_on_conflict: bool) -> Self {
        let id_trust = match (scheme.id_is_signed(), scheme.preset) {
            (false, _) => IdTrust::Unsigned,
            (true, true) => IdTrust::SignedPresetPlace,
            (true, false) => IdTrust::SignedOperatorPlace,
        };
        Self {
            id_trust,
            retries_unchanged: scheme.may_retry_unchanged(),
            forgives_other_bodies: id_trust == IdTrust::SignedPresetPlace && !sets_on_conflict,
        }
    }
}

const OTHER_PATH: &str = "this event was already processed for another path of this route";
const OTHER_TYPE: &str =
    "this event was already processed under another type, or with other bodies";

/// The refusal that answers a decision (contract: Answers, Seen again); `None` for
/// [`Decision::Claim`] alone.
///
/// A conflict keeps its code where it is answered as a duplicate: the answer is for the provider,
/// the code is what happened.
pub fn refusal(decision: Decision, policy: &Policy) -> Option<Refusal> {
    let conflict = |why| Refusal::because(Code::EventIdConflict, why);
    Some(match decision {
        Decision::Claim => return None,
        Decision::InFlight => Code::EventInFlight.into(),
        Decision::Replay if policy.retries_unchanged => Code::DuplicateEvent.into(),
        Decision::Replay => Code::ReplayedEvent.into(),
        Decision::Redelivery => Code::DuplicateEvent.into(),
        Decision::Conflict(Conflict::Body) if policy.forgives_other_bodies => {
            Refusal::from(Code::EventIdConflict).answered_as(Code::DuplicateEvent)
        }
        Decision::Conflict(Conflict::Body) => Code::EventIdConflict.into(),
        Decision::Conflict(Conflict::Path) => conflict(OTHER_PATH),
        Decision::Conflict(Conflict::Variant) => conflict(OTHER_TYPE),
    })
}

/// A delivery for tests, whose key is the number `id`.
#[cfg(test)]
pub(crate) fn sample(id: u128) -> Arrival {
    Arrival {
        key: ClaimKey(id),
        body: Mark(2),
        path: None,
        variant: Mark(0),
        variants: 1,
        repeats: None,
        signed_at: Some(UnixMillis(1_750_000_000_000)),
        route: Fingerprint(3),
        event: None,
        request: Mark(4),
        ttl: Duration::from_secs(3600),
        fresh_until: None,
        route_capacity: None,
        share: 1,
    }
}
