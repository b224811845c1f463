//! Claim keys, and the decision about an arrival: a pure function of the stored entry and the
//! arrival (contract: States, Seen again).
//!
//! A store keeps entries and asks [`decide`]; it decides nothing itself. [`refusal`] then names the
//! code that answers a decision (contract: Answers). [`fingerprint`] makes digests and keys. How
//! entries are kept, for how long, and which HTTP status a code has is not known here.

mod fingerprint;

use std::time::Duration;

pub use fingerprint::FingerprintKey;

use crate::clock::UnixMillis;
use crate::scheme::Scheme;
use crate::verdict::Code;

/// The identity under which a delivery is claimed: a keyed 128-bit digest, so that its size is
/// fixed and its input hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimKey(pub u128);

/// A keyed 128-bit digest of bytes that are only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// The facts about a proved delivery that the window needs.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The claimed identity: [`FingerprintKey::by_id`] or [`FingerprintKey::by_content`].
    pub key: ClaimKey,
    /// The digest that tells two deliveries under one key apart. With a key by id it is
    /// [`FingerprintKey::body`]; with a key by content it is the [`FingerprintKey::content`] that
    /// the key was made of, so that a conflict cannot arise.
    pub body: Fingerprint,
    /// The signed timestamp, where the scheme signs a timestamp.
    pub signed_at: Option<UnixMillis>,
    /// The digest of the route, equal for all its entries: [`FingerprintKey::route`].
    pub route: Fingerprint,
    /// The digest of route and event id (signed or not), for `forget`; `None` where the delivery
    /// has no id.
    pub event: Option<Fingerprint>,
    /// The digest of route and request id, for `forget`.
    pub request: Fingerprint,
    /// The shortest time for which a done entry is kept, by the monotonic clock.
    pub ttl: Duration,
    /// The moment from which the signed timestamp is outside the tolerance (wall clock); `None`
    /// where no timestamp is signed or freshness is not judged. An entry is kept at least until
    /// then.
    pub fresh_until: Option<UnixMillis>,
    /// The most entries that this arrival's route may hold; with `None` only the capacity of the
    /// whole window counts.
    pub route_capacity: Option<usize>,
}

/// The window's knowledge of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The event was claimed and is not settled yet.
    InFlight,
    /// The event was forwarded, and the upstream answered 2xx.
    Done {
        /// The digest of the forwarded body.
        body: Fingerprint,
        /// The signed timestamp of the forwarded delivery.
        signed_at: Option<UnixMillis>,
    },
    /// There is no entry, but the window has forgotten entries of this route that became stale
    /// together with this arrival or later. When they were forgotten, the wall clock called this
    /// arrival stale as well. If it is judged fresh now, the clock has stepped back, and the window
    /// no longer knows whether this event was done.
    Forgotten,
}

/// The decision about an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The event is new: this arrival may be forwarded, and no other copy until it is settled.
    Claim,
    /// Another copy of the event is in flight.
    InFlight,
    /// The very same signed delivery was done.
    Replay,
    /// The same event was done, and this delivery was signed at another time (or its scheme signs
    /// no timestamp).
    Redelivery,
    /// The same id was done with another body.
    Conflict,
}

/// Decides about an arrival by the entry under its key (contract: Seen again).
///
/// While another copy is in flight the decision is [`Decision::InFlight`], whatever the arrival's
/// body: only a body that was forwarded can be in conflict.
pub fn decide(stored: Option<&Stored>, arrival: &Arrival) -> Decision {
    match stored {
        None => Decision::Claim,
        Some(Stored::InFlight) => Decision::InFlight,
        // Fail closed. As long as the wall clock does not step back, no fresh arrival meets this.
        Some(Stored::Forgotten) => Decision::Replay,
        Some(Stored::Done { body, .. }) if *body != arrival.body => Decision::Conflict,
        Some(Stored::Done { signed_at, .. }) => match (signed_at, arrival.signed_at) {
            (Some(then), Some(now)) if *then == now => Decision::Replay,
            _ => Decision::Redelivery,
        },
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
    /// Whether the signed timestamp is the event's and not the attempt's, so that honest retries
    /// look like replays.
    pub stamped_by_event: bool,
}

impl Policy {
    /// The policy of every route with this scheme.
    pub fn of(scheme: &Scheme) -> Self {
        let id_trust = match (scheme.id_is_signed(), scheme.preset) {
            (false, _) => IdTrust::Unsigned,
            (true, true) => IdTrust::SignedPresetPlace,
            (true, false) => IdTrust::SignedOperatorPlace,
        };
        Self {
            id_trust,
            stamped_by_event: scheme.is_stamped_by_event(),
        }
    }
}

/// The code that answers a decision (contract: Answers, Seen again); `None` for [`Decision::Claim`]
/// alone.
///
/// A [`Decision::Conflict`] is counted and warned about whatever its code, so the caller looks at
/// the decision for that.
pub fn refusal(decision: Decision, policy: &Policy) -> Option<Code> {
    match decision {
        Decision::Claim => None,
        Decision::InFlight => Some(Code::EventInFlight),
        Decision::Replay if policy.stamped_by_event => Some(Code::DuplicateEvent),
        Decision::Replay => Some(Code::ReplayedEvent),
        Decision::Redelivery => Some(Code::DuplicateEvent),
        Decision::Conflict => match policy.id_trust {
            // Some providers render the body of a retry again, with other bytes.
            IdTrust::SignedPresetPlace => Some(Code::DuplicateEvent),
            // With a key by content this cannot happen: the key is the same only where the body is.
            // If a caller breaks that rule, the answer must not look like success.
            IdTrust::SignedOperatorPlace | IdTrust::Unsigned => Some(Code::EventIdConflict),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(body: u128, signed_at: Option<i64>) -> Arrival {
        Arrival {
            key: ClaimKey(1),
            body: Fingerprint(body),
            signed_at: signed_at.map(UnixMillis),
            route: Fingerprint(2),
            event: None,
            request: Fingerprint(3),
            ttl: Duration::from_secs(60),
            fresh_until: None,
            route_capacity: None,
        }
    }

    fn done(body: u128, signed_at: Option<i64>) -> Stored {
        Stored::Done {
            body: Fingerprint(body),
            signed_at: signed_at.map(UnixMillis),
        }
    }

    #[test]
    fn every_meeting_of_stored_and_arriving_has_its_decision() {
        use Decision::{Claim, Conflict, InFlight, Redelivery, Replay};
        let rows: &[(&str, Option<Stored>, Arrival, Decision)] = &[
            ("nothing is stored", None, arrival(7, Some(1)), Claim),
            (
                "a copy is in flight",
                Some(Stored::InFlight),
                arrival(7, Some(1)),
                InFlight,
            ),
            (
                "same body, same timestamp",
                Some(done(7, Some(1))),
                arrival(7, Some(1)),
                Replay,
            ),
            (
                "same body, later timestamp",
                Some(done(7, Some(1))),
                arrival(7, Some(2)),
                Redelivery,
            ),
            (
                "same body, earlier timestamp",
                Some(done(7, Some(2))),
                arrival(7, Some(1)),
                Redelivery,
            ),
            (
                "same body, never a timestamp",
                Some(done(7, None)),
                arrival(7, None),
                Redelivery,
            ),
            (
                "same body, a timestamp only now",
                Some(done(7, None)),
                arrival(7, Some(1)),
                Redelivery,
            ),
            (
                "same body, no timestamp any more",
                Some(done(7, Some(1))),
                arrival(7, None),
                Redelivery,
            ),
            (
                "other body, same timestamp",
                Some(done(8, Some(1))),
                arrival(7, Some(1)),
                Conflict,
            ),
            (
                "other body, other timestamp",
                Some(done(8, Some(1))),
                arrival(7, Some(2)),
                Conflict,
            ),
            (
                "other body, no timestamp",
                Some(done(8, None)),
                arrival(7, None),
                Conflict,
            ),
            (
                "entries of its time are forgotten",
                Some(Stored::Forgotten),
                arrival(7, Some(1)),
                Replay,
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, stored, arrival, expected)| decide(stored.as_ref(), arrival) != *expected)
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn every_denial_has_the_code_of_its_policy() {
        use IdTrust::{SignedOperatorPlace, SignedPresetPlace, Unsigned};
        type Row = (&'static str, Decision, IdTrust, bool, Option<Code>);
        let rows: &[Row] = &[
            (
                "a claim is no refusal",
                Decision::Claim,
                SignedPresetPlace,
                false,
                None,
            ),
            (
                "in flight",
                Decision::InFlight,
                SignedPresetPlace,
                false,
                Some(Code::EventInFlight),
            ),
            (
                "in flight, stamped event",
                Decision::InFlight,
                Unsigned,
                true,
                Some(Code::EventInFlight),
            ),
            (
                "replay by id",
                Decision::Replay,
                SignedPresetPlace,
                false,
                Some(Code::ReplayedEvent),
            ),
            (
                "replay by content",
                Decision::Replay,
                Unsigned,
                false,
                Some(Code::ReplayedEvent),
            ),
            (
                "replay, stamped event",
                Decision::Replay,
                SignedPresetPlace,
                true,
                Some(Code::DuplicateEvent),
            ),
            (
                "redelivery by id",
                Decision::Redelivery,
                SignedOperatorPlace,
                false,
                Some(Code::DuplicateEvent),
            ),
            (
                "redelivery by content",
                Decision::Redelivery,
                Unsigned,
                false,
                Some(Code::DuplicateEvent),
            ),
            (
                "conflict, preset's place",
                Decision::Conflict,
                SignedPresetPlace,
                false,
                Some(Code::DuplicateEvent),
            ),
            (
                "conflict, operator's",
                Decision::Conflict,
                SignedOperatorPlace,
                false,
                Some(Code::EventIdConflict),
            ),
            (
                "conflict, stamped event",
                Decision::Conflict,
                SignedOperatorPlace,
                true,
                Some(Code::EventIdConflict),
            ),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .filter(|(_, decision, id_trust, stamped_by_event, expected)| {
                refusal(
                    *decision,
                    &Policy {
                        id_trust: *id_trust,
                        stamped_by_event: *stamped_by_event,
                    },
                ) != *expected
            })
            .map(|(name, ..)| name)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
