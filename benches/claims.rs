//! The cost of a claim: claimed and committed while the window fills, and denied for a known
//! delivery.

#[path = "support/arrivals.rs"]
mod arrivals;

use std::hint::black_box;
use std::time::Duration;

use arrivals::{arrival, ready};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use verigate::clock::{Now, UnixMillis};
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow};
use verigate::verify::claim::FingerprintKey;

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
