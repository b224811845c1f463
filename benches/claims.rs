//! The cost of a claim: claimed and committed while the window fills, and denied for a known
//! delivery.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use verigate::clock::{Now, UnixMillis};
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow};
use verigate::verify::claim::{Arrival, Beside, FingerprintKey};

/// The memory window's futures are ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the memory window never waits"),
    }
}

fn arrival(key: &FingerprintKey, number: u64) -> Arrival {
    let id = number.to_le_bytes();
    Arrival {
        key: key.by_id("bench", id),
        body: key.body(&id),
        path: None,
        variant: key.variant(Beside::default(), None, b""),
        variants: 1,
        repeats: None,
        signed_at: Some(UnixMillis::from_secs(1_750_000_000)),
        route: key.route("bench"),
        event: Some(key.event("bench", id)),
        request: key.request("bench", id),
        ttl: Duration::from_secs(72 * 3600),
        fresh_until: Some(UnixMillis::from_secs(1_750_000_301)),
        route_capacity: None,
        share: 1_000_000,
    }
}

fn claims(c: &mut Criterion) {
    let key = FingerprintKey::from_bytes([7; 16]);
    let now = Now {
        wall: UnixMillis::from_secs(1_750_000_000),
        mono: Duration::ZERO,
    };
    let mut group = c.benchmark_group("claim");
    for capacity in [1_000, 1_000_000] {
        let window = MemoryWindow::new(capacity);
        let mut number = 0;
        group.bench_function(BenchmarkId::new("and commit, window of", capacity), |b| {
            b.iter(|| {
                number += 1;
                match ready(window.claim(arrival(&key, number), now)) {
                    Ok(Claimed::Granted(ticket)) => ready(window.commit(ticket, now)),
                    other => unreachable!("{other:?}"),
                }
            });
        });
    }
    let window = MemoryWindow::new(1_000);
    let known = arrival(&key, 1);
    if let Ok(Claimed::Granted(ticket)) = ready(window.claim(known, now)) {
        let _ = ready(window.commit(ticket, now));
    }
    group.bench_function("denied", |b| {
        b.iter(|| black_box(ready(window.claim(known, now))));
    });
    group.finish();
}

criterion_group!(benches, claims);
criterion_main!(benches);
