//! Tests of both databases, and what they share.

mod encrypting;
mod failures;
mod file;
mod inspect;
mod queue;
mod restored;
mod scarce;
mod trace;
mod window;

use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, UnixMillis};
use crate::queue::{DeliveryId, RouteNumber};
use crate::replay::passing::{Change, Kept, Phase, Variant};
use crate::store::{Accepted, Pending, StoreError};
use crate::verify::claim::{ClaimKey, Fingerprint, Mark};

/// A time in which anything here ends.
const SOON: Duration = Duration::from_secs(30);

/// The answer, once it is there.
#[track_caller]
pub(super) fn wait<T>(mut pending: Pending<T>) -> Result<T, StoreError> {
    let clock = Clock::system();
    while clock.mono() < SOON {
        if let Some(answer) = pending.try_recv().expect("a writer") {
            return answer;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("no answer in time");
}

/// Waits until `is_so`.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    while !is_so() {
        assert!(clock.mono() < SOON, "not in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An entry of the window that is done.
pub(super) fn entry(key: u128) -> Change {
    Change::Entry(Kept {
        key: ClaimKey(key),
        route: Fingerprint(7),
        request: Mark(1),
        body: Mark(2),
        event: None,
        path: None,
        fresh_until: Some(UnixMillis(5)),
        keep_s: 3600,
        order: None,
        first: Variant {
            variant: Mark(0),
            signed_at: None,
            phase: Phase::Done,
            serial: 0,
        },
        further: None,
    })
}

/// The delivery called `name`, with a body of as many bytes.
pub(super) fn delivery(name: u8, body: usize) -> Accepted {
    Accepted {
        id: DeliveryId::new(UnixMillis(1_750_000_000_000), [name; 10]),
        route: RouteNumber(1),
        account: Some(Mark(u64::MAX)),
        order: None,
        head: Bytes::from(vec![b'h', name]),
        body: (0..body)
            .map(|place| u8::try_from(place % 251).unwrap() ^ name)
            .collect(),
        claim: Some(entry(u128::from(name))),
    }
}
