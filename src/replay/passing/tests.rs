//! What is written is what is read, and nothing else is taken.

use proptest::option;
use proptest::prelude::*;

use super::*;

fn moments() -> impl Strategy<Value = Option<UnixMillis>> {
    option::of(any::<i64>().prop_map(UnixMillis))
}

fn marks() -> impl Strategy<Value = Option<Mark>> {
    option::of(any::<u64>().prop_map(Mark))
}

prop_compose! {
    fn variants()(
        variant in any::<u64>(),
        signed_at in moments(),
        phase in prop_oneof![Just(Phase::InFlight), Just(Phase::Done), Just(Phase::Again)],
        serial in any::<u64>(),
    ) -> Variant {
        Variant { variant: Mark(variant), signed_at, phase, serial }
    }
}

prop_compose! {
    fn further()(
        others in prop::collection::vec(variants(), 0..5),
        repeated in any::<u16>(),
        first_ns in any::<u64>(),
        ttl in any::<u64>(),
    ) -> Box<Further> {
        Box::new(Further { others, repeated, first_ns, ttl: Duration::from_nanos(ttl) })
    }
}

prop_compose! {
    fn entries()(
        (key, route) in any::<(u128, u128)>(),
        (request, body) in any::<(u64, u64)>(),
        event in marks(),
        path in marks(),
        fresh_until in moments(),
        keep_s in any::<u32>(),
        order in any::<Option<u64>>(),
        first in variants(),
        further in option::of(further()),
    ) -> Kept {
        Kept {
            key: ClaimKey(key),
            route: Fingerprint(route),
            request: Mark(request),
            body: Mark(body),
            event,
            path,
            fresh_until,
            keep_s,
            order,
            first,
            further,
        }
    }
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        entries().prop_map(Change::Entry),
        any::<u128>().prop_map(|key| Change::Gone(ClaimKey(key))),
        any::<(u128, i64)>()
            .prop_map(|(route, at)| Change::Forgotten(Fingerprint(route), UnixMillis(at))),
        any::<u64>().prop_map(Change::Serial),
    ]
}

proptest! {
    #[test]
    fn changes_come_out_as_they_went_in_and_a_part_of_them_is_refused(
        all in prop::collection::vec(changes(), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for change in &all {
            change.write(&mut bytes);
            ends.push(bytes.len());
        }
        let mut read = Vec::new();
        prop_assert!(Change::read_all(&bytes, |change| read.push(change)));
        prop_assert_eq!(&read, &all);
        let cut = cut.index(bytes.len() + 1);
        let is_whole = ends.contains(&cut);
        prop_assert_eq!(Change::read_all(&bytes[..cut], |_| ()), is_whole);
    }

    #[test]
    fn rx_33_any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut most = 0;
        Change::read_all(&bytes, |_| most += 1);
        prop_assert!(most <= bytes.len());
        let _ = Question::from_bytes(&bytes);
        let _ = Reply::from_bytes(&bytes);
    }

    #[test]
    fn questions_and_replies_come_out_as_they_went_in(
        number in any::<u64>(),
        (key, route, body, other, request) in any::<(u128, u128, u64, u64, u64)>(),
        variants in any::<u16>(),
        repeats in any::<Option<(u16, u64)>>(),
        (ttl, share) in any::<(u64, usize)>(),
        (path, event) in (marks(), marks()),
        (signed_at, fresh_until) in (moments(), moments()),
        route_capacity in any::<Option<usize>>(),
        (slot, serial) in any::<(u32, u64)>(),
    ) {
        let arrival = Arrival {
            key: ClaimKey(key),
            body: Mark(body),
            path,
            variant: Mark(other),
            variants,
            repeats: repeats.map(|(most, within)| Repeats {
                most,
                within: Duration::from_nanos(within),
            }),
            signed_at,
            route: Fingerprint(route),
            event,
            request: Mark(request),
            ttl: Duration::from_nanos(ttl),
            fresh_until,
            route_capacity,
            share,
        };
        let ticket = Ticket { key: ClaimKey(key), slot, serial };
        for question in [
            Question::Claim(arrival),
            Question::Commit(ticket),
            Question::Release(ticket),
            Question::Stored(ticket),
        ] {
            let bytes = question.to_bytes(number);
            let read = Question::from_bytes(&bytes);
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", Some((number, question))));
            prop_assert!(Question::from_bytes(&bytes[..bytes.len() - 1]).is_none());
            prop_assert!(Question::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
        }
        let denied = DENIED.map(|(_, decision)| Reply::Claimed(Ok(Claimed::Denied(decision))));
        let others = [
            Reply::Settled,
            Reply::Claimed(Ok(Claimed::Granted(ticket))),
            Reply::Claimed(Err(WindowError::Full)),
            Reply::Claimed(Err(WindowError::Unavailable)),
        ];
        for reply in denied.into_iter().chain(others) {
            let bytes = reply.to_bytes(number);
            prop_assert_eq!(Reply::from_bytes(&bytes), Some((number, reply)));
            prop_assert!(Reply::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
        }
    }
}
