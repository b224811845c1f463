//! Claim keys, and the state machine of SPEC 4 as one pure function: (what is stored, what arrives) → decision.
//!
//! A store only keeps what it is given and asks [`decide`]; no store decides anything by itself. [`refusal`] then
//! names the code of SPEC 3 that a decision is answered with. Digests and keys are made in [`fingerprint`].
//! Nothing here knows how entries are kept, for how long, or which HTTP status a code has.

mod fingerprint;

use std::time::Duration;

pub use fingerprint::FingerprintKey;

use crate::clock::UnixMillis;
use crate::scheme::{Scheme, Stamped};
use crate::verdict::Code;

/// The identity under which a delivery is claimed: a keyed 128-bit digest, so its size is fixed and its input hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimKey(pub u128);

/// A keyed 128-bit digest of bytes that are only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// What one proved delivery brings to the window.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The identity claimed: [`FingerprintKey::by_id`] or [`FingerprintKey::by_content`].
    pub key: ClaimKey,
    /// What tells two deliveries under one key apart: [`FingerprintKey::body`] with a key by id; with a key by content,
    /// the [`FingerprintKey::content`] that the key was made of, so that a conflict cannot arise.
    pub body: Fingerprint,
    /// The signed timestamp, where the scheme signs one.
    pub signed_at: Option<UnixMillis>,
    /// The same digest for every entry of one route: [`FingerprintKey::route`].
    pub route: Fingerprint,
    /// Route and event id (signed or not), for `forget`; `None` where the delivery has no id.
    pub event: Option<Fingerprint>,
    /// Route and request id, for `forget`.
    pub request: Fingerprint,
    /// How long a done entry is kept at least, by the monotonic clock.
    pub ttl: Duration,
    /// The signed timestamp is outside the tolerance from this moment on (wall clock); `None` where none is signed
    /// or freshness is not judged. An entry is kept at least until then.
    pub fresh_until: Option<UnixMillis>,
    /// The most entries that this arrival's route may hold; `None`: only the whole window's capacity counts.
    pub route_capacity: Option<usize>,
}

/// What the window knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Claimed, not settled yet.
    InFlight,
    /// Forwarded, and the upstream said 2xx.
    Done {
        /// The body that was forwarded.
        body: Fingerprint,
        /// Its signed timestamp.
        signed_at: Option<UnixMillis>,
    },
    /// No entry, but the window has forgotten entries of this route that became stale together with this arrival or
    /// later. The wall clock called this arrival stale when they were forgotten: if it is judged fresh now, that clock
    /// has stepped back, and whether this one was done is no longer known.
    Forgotten,
}

/// What becomes of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Not seen: the arrival may be forwarded, and nobody else until it is settled.
    Claim,
    /// Another copy is in flight.
    InFlight,
    /// The very same signed delivery was done.
    Replay,
    /// The same event, signed anew (or by a scheme that signs no timestamp), was done.
    Redelivery,
    /// The same id was done with another body.
    Conflict,
}

/// Decides on an arrival by what is stored under its key (SPEC 4).
///
/// Another copy in flight is told so, whatever its body: only a forwarded body can be in conflict.
pub fn decide(stored: Option<&Stored>, arrival: &Arrival) -> Decision {
    match stored {
        None => Decision::Claim,
        Some(Stored::InFlight) => Decision::InFlight,
        // Fail closed. While the wall clock does not step back, no arrival that is fresh meets this.
        Some(Stored::Forgotten) => Decision::Replay,
        Some(Stored::Done { body, .. }) if *body != arrival.body => Decision::Conflict,
        Some(Stored::Done { signed_at, .. }) => match (signed_at, arrival.signed_at) {
            (Some(then), Some(now)) if *then == now => Decision::Replay,
            _ => Decision::Redelivery,
        },
    }
}

/// How far a route's event id can be trusted to name one event (SPEC 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdTrust {
    /// Signed, at the place that the provider's preset names: it is the event's id.
    SignedPresetPlace,
    /// Signed, at a place that the operator wrote: it may point at something else, an account id say.
    SignedOperatorPlace,
    /// No id, or one that no signature covers: claims go by signed content.
    Unsigned,
}

/// What a route's scheme makes of the decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How claims are keyed, and who says where the id stands.
    pub id_trust: IdTrust,
    /// The signed timestamp is the event's, not the attempt's: honest retries look like replays.
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
            stamped_by_event: scheme.stamped() == Stamped::Event,
        }
    }
}

/// The code that a decision is answered with (SPEC 3 and 4); `None` for [`Decision::Claim`] alone.
///
/// A [`Decision::Conflict`] is counted and warned about whatever code it gets: the caller looks at the decision.
pub fn refusal(decision: Decision, policy: &Policy) -> Option<Code> {
    match decision {
        Decision::Claim => None,
        Decision::InFlight => Some(Code::EventInFlight),
        Decision::Replay if policy.stamped_by_event => Some(Code::DuplicateEvent),
        Decision::Replay => Some(Code::ReplayedEvent),
        Decision::Redelivery => Some(Code::DuplicateEvent),
        Decision::Conflict => match policy.id_trust {
            // Some providers render a retry's body anew.
            IdTrust::SignedPresetPlace => Some(Code::DuplicateEvent),
            // Cannot happen with a key by content, which is the same only where the body is: should a caller break
            // that rule, the answer must not look like success.
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
