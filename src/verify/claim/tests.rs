//! Every meeting of an entry and an arrival, and every answer to a decision.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn arrival(body: u64, signed_at: Option<i64>) -> Arrival {
    Arrival {
        key: ClaimKey(1),
        body: Mark(body),
        path: None,
        variant: Mark(0),
        variants: 1,
        repeats: None,
        signed_at: signed_at.map(UnixMillis),
        route: Fingerprint(2),
        event: None,
        request: Mark(3),
        ttl: MINUTE,
        fresh_until: None,
        route_capacity: None,
        share: 1,
    }
}

fn known(body: u64, variant: Option<Seen>) -> Known {
    Known {
        body: Mark(body),
        path: None,
        variant,
        done: u16::from(matches!(variant, Some(Seen::Done { .. }))),
        in_flight: u16::from(variant == Some(Seen::InFlight)),
    }
}

fn seen(signed_at: Option<i64>) -> Seen {
    Seen::Done {
        signed_at: signed_at.map(UnixMillis),
        repeated: 0,
        age: MINUTE,
    }
}

fn done(body: u64, signed_at: Option<i64>) -> Stored {
    Stored::Entry(known(body, Some(seen(signed_at))))
}

fn in_flight(body: u64) -> Stored {
    Stored::Entry(known(body, Some(Seen::InFlight)))
}

/// An entry that has `done` and `in_flight` variants, and not the arrival's.
fn others(done: u16, in_flight: u16) -> Stored {
    Stored::Entry(Known {
        done,
        in_flight,
        ..known(7, None)
    })
}

fn at_path(stored: Stored, path: u64) -> Stored {
    match stored {
        Stored::Entry(known) => Stored::Entry(Known {
            path: Some(Mark(path)),
            ..known
        }),
        other @ Stored::Forgotten => other,
    }
}

fn judge(rows: &[(&str, Stored, Arrival, Decision)]) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(name, stored, arrival, expected)| (name, decide(Some(stored), arrival), expected))
        .filter(|(_, decided, expected)| decided != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_meeting_of_stored_and_arriving_has_its_decision() {
    use Decision::{Claim, InFlight, Redelivery, Replay};
    const BODY: Decision = Decision::Conflict(Conflict::Body);
    assert_eq!(decide(None, &arrival(7, Some(1))), Claim);
    judge(&[
        (
            "a copy is in flight",
            in_flight(7),
            arrival(7, Some(1)),
            InFlight,
        ),
        (
            "another body is in flight",
            in_flight(8),
            arrival(7, Some(1)),
            InFlight,
        ),
        (
            "same body, same timestamp",
            done(7, Some(1)),
            arrival(7, Some(1)),
            Replay,
        ),
        (
            "same body, later timestamp",
            done(7, Some(1)),
            arrival(7, Some(2)),
            Redelivery,
        ),
        (
            "same body, earlier timestamp",
            done(7, Some(2)),
            arrival(7, Some(1)),
            Redelivery,
        ),
        (
            "same body, never a timestamp",
            done(7, None),
            arrival(7, None),
            Redelivery,
        ),
        (
            "same body, a timestamp only now",
            done(7, None),
            arrival(7, Some(1)),
            Redelivery,
        ),
        (
            "same body, no timestamp any more",
            done(7, Some(1)),
            arrival(7, None),
            Redelivery,
        ),
        (
            "other body, same timestamp",
            done(8, Some(1)),
            arrival(7, Some(1)),
            BODY,
        ),
        (
            "other body, other timestamp",
            done(8, Some(1)),
            arrival(7, Some(2)),
            BODY,
        ),
        (
            "other body, no timestamp",
            done(8, None),
            arrival(7, None),
            BODY,
        ),
        (
            "entries of its time are forgotten",
            Stored::Forgotten,
            arrival(7, Some(1)),
            Replay,
        ),
    ]);
}

#[test]
fn what_is_beside_an_entry_has_its_own_state_or_is_in_conflict() {
    use Decision::{Claim, InFlight, Redelivery};
    const VARIANT: Decision = Decision::Conflict(Conflict::Variant);
    let of = |variants| Arrival {
        variants,
        ..arrival(7, None)
    };
    judge(&[
        ("one is taken and done", others(1, 0), of(1), VARIANT),
        ("one is taken and in flight", others(0, 1), of(1), InFlight),
        ("three of four are done", others(3, 0), of(4), Claim),
        ("four of four are done", others(4, 0), of(4), VARIANT),
        ("the fourth is in flight", others(3, 1), of(4), InFlight),
        ("four are in flight", others(0, 4), of(4), InFlight),
        ("three are in flight", others(0, 3), of(4), Claim),
        ("its own is done", done(7, None), of(4), Redelivery),
        ("its own is in flight", in_flight(7), of(4), InFlight),
    ]);
}

#[test]
fn rp_42_an_event_of_another_path_is_a_conflict_once_it_is_done() {
    use Decision::{InFlight, Redelivery};
    const PATH: Decision = Decision::Conflict(Conflict::Path);
    let at = |path| Arrival {
        path: Some(Mark(path)),
        ..arrival(7, None)
    };
    judge(&[
        (
            "the same path",
            at_path(done(7, None), 1),
            at(1),
            Redelivery,
        ),
        ("another path", at_path(done(7, None), 1), at(2), PATH),
        (
            "another path and another body",
            at_path(done(8, None), 1),
            at(2),
            PATH,
        ),
        (
            "another path and another variant",
            at_path(others(1, 0), 1),
            at(2),
            PATH,
        ),
        (
            "another path in flight",
            at_path(in_flight(7), 1),
            at(2),
            InFlight,
        ),
        (
            "the route was exact before",
            done(7, None),
            at(2),
            Redelivery,
        ),
        (
            "the route was a prefix before",
            at_path(done(7, None), 1),
            arrival(7, None),
            Redelivery,
        ),
    ]);
}

#[test]
fn repeats_are_forwarded_so_often_and_so_long_and_then_are_replays() {
    use Decision::{Claim, InFlight, Replay};
    let asks = Arrival {
        repeats: Some(Repeats {
            most: 2,
            within: MINUTE,
        }),
        ..arrival(7, None)
    };
    let repeated = |repeated, age| {
        let seen = Seen::Done {
            signed_at: None,
            repeated,
            age,
        };
        Stored::Entry(known(7, Some(seen)))
    };
    judge(&[
        ("the first repeat", repeated(0, MINUTE / 2), asks, Claim),
        (
            "the last repeat, at the last moment",
            repeated(1, MINUTE),
            asks,
            Claim,
        ),
        ("one too many", repeated(2, MINUTE / 2), asks, Replay),
        (
            "too late",
            repeated(0, MINUTE + Duration::from_millis(1)),
            asks,
            Replay,
        ),
        ("a repeat is in flight", in_flight(7), asks, InFlight),
    ]);
}

#[test]
fn rp_43_every_denial_has_the_code_of_its_policy() {
    use Decision::{Claim, InFlight, Redelivery, Replay};
    use IdTrust::{SignedOperatorPlace, SignedPresetPlace, Unsigned};
    const FORGIVEN: Option<(Code, Code)> = Some((Code::EventIdConflict, Code::DuplicateEvent));
    let same = |code| Some((code, code));
    let conflict = Decision::Conflict;
    let in_conflict = same(Code::EventIdConflict);
    let (flies, replay) = (same(Code::EventInFlight), same(Code::ReplayedEvent));
    let duplicate = same(Code::DuplicateEvent);
    // The trust, whether the timestamp is the event's, and whether other bodies are forgiven.
    let rows = [
        (
            "a claim is no refusal",
            Claim,
            (SignedPresetPlace, false, true),
            None,
        ),
        (
            "in flight",
            InFlight,
            (SignedPresetPlace, false, true),
            flies,
        ),
        (
            "in flight, stamped event",
            InFlight,
            (Unsigned, true, false),
            flies,
        ),
        (
            "replay by id",
            Replay,
            (SignedPresetPlace, false, true),
            replay,
        ),
        (
            "replay by content",
            Replay,
            (Unsigned, false, false),
            replay,
        ),
        (
            "replay, stamped event",
            Replay,
            (SignedPresetPlace, true, true),
            duplicate,
        ),
        (
            "redelivery by id",
            Redelivery,
            (SignedOperatorPlace, false, false),
            duplicate,
        ),
        (
            "redelivery by content",
            Redelivery,
            (Unsigned, false, false),
            duplicate,
        ),
        (
            "body, preset's place",
            conflict(Conflict::Body),
            (SignedPresetPlace, false, true),
            FORGIVEN,
        ),
        (
            "body, on_conflict set",
            conflict(Conflict::Body),
            (SignedPresetPlace, false, false),
            in_conflict,
        ),
        (
            "body, operator's place",
            conflict(Conflict::Body),
            (SignedOperatorPlace, false, false),
            in_conflict,
        ),
        (
            "path, preset's place",
            conflict(Conflict::Path),
            (SignedPresetPlace, false, true),
            in_conflict,
        ),
        (
            "variant, preset's place",
            conflict(Conflict::Variant),
            (SignedPresetPlace, true, true),
            in_conflict,
        ),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(
            |(_, decision, (id_trust, retries_unchanged, forgives), expected)| {
                let policy = Policy {
                    id_trust: *id_trust,
                    retries_unchanged: *retries_unchanged,
                    forgives_other_bodies: *forgives,
                };
                let refused = refusal(*decision, &policy);
                refused.map(|refusal| (refusal.code, refusal.answer)) != *expected
            },
        )
        .map(|(name, ..)| name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
