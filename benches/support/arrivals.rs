//! Claims for the replay window, as the gateway makes them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use verigate::clock::UnixMillis;
use verigate::verify::claim::{Arrival, Beside, FingerprintKey};

/// The memory window's futures are ready at once.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the memory window never waits"),
    }
}

/// A delivery of the event of this number, with a signed timestamp.
pub(crate) fn arrival(key: &FingerprintKey, number: u64) -> Arrival {
    let id = number.to_le_bytes();
    let route = key.of_route("bench");
    Arrival {
        key: route.by_id(id),
        body: key.body(&id).mark(),
        path: None,
        variant: key.variant(Beside::default(), None, b""),
        variants: 1,
        repeats: None,
        signed_at: Some(UnixMillis::from_secs(1_750_000_000)),
        route: route.route,
        event: Some(route.event(id)),
        request: route.request(id),
        ttl: Duration::from_secs(72 * 3600),
        fresh_until: Some(UnixMillis::from_secs(1_750_000_301)),
        route_capacity: None,
        // The only route has all of the window.
        share: usize::MAX,
    }
}
