//! What a claim costs as the window fills: time, memory, and the longest of all claims while it
//! grows. Prints a table in Markdown.
//!
//! `cargo bench --bench claims` fills windows up to ten million entries, which takes a minute and a
//! gigabyte of memory. `cargo bench --bench claims -- 1000000` ends at a million. Without `--bench`,
//! as in `cargo test --benches`, only small windows are filled.
//!
//! Claims are timed singly, and the window is filled [`ROUNDS`] times with the same claims. Of each
//! claim the fastest round counts, so that the longest claim is a claim and not an interruption by
//! the machine. Reading the clock is within these times.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a bench measures, and prints its results"
)]

#[path = "support/arrivals.rs"]
mod arrivals;

use std::hint::black_box;
use std::time::{Duration, Instant};

use arrivals::ready;
use verigate::clock::{Now, UnixMillis};
use verigate::replay::passing::Change;
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow};
use verigate::verify::claim::{Arrival, ClaimKey, FingerprintKey};

const ROUNDS: usize = 3;

/// The number of claims in a window that is full, timed together.
const SAMPLE: u64 = 200_000;

const NOW: Now = Now {
    wall: UnixMillis::from_secs(1_750_000_000),
    mono: Duration::ZERO,
};

/// An arrival as that of a reference event of 1 KiB, without its key. The route holds its share of
/// the window in every row.
fn template(key: &FingerprintKey) -> Arrival {
    Arrival {
        key: ClaimKey(0),
        body: key.body(&[b'x'; 1024]).mark(),
        event: None,
        request: key.of_route("bench").request(b"request"),
        fresh_until: Some(UnixMillis(1_750_000_300_001)),
        share: 1000,
        ..arrivals::arrival(key, 0)
    }
}

/// Arrival number `number`. Keys are spread as digests are, and cost next to nothing.
fn arrival(template: &Arrival, number: u64) -> Arrival {
    let mix = |word: u64| {
        let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let low = mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let key = ClaimKey(u128::from(mix(low)) << 64 | u128::from(low));
    Arrival {
        key,
        event: Some(key.mark()),
        ..*template
    }
}

fn forward(window: &MemoryWindow, arrival: Arrival) {
    match ready(window.claim(&arrival, NOW)) {
        Ok(Claimed::Granted(ticket)) => {
            let _ = ready(window.commit(ticket, NOW));
        }
        other => unreachable!("{other:?}"),
    }
}

/// The resident memory of this process in bytes; 0 where it is not known.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Fills a window and returns it with the bytes that each of its entries takes. Each claim and
/// commit lowers its time in `fastest`, in nanoseconds.
fn fill(template: &Arrival, entries: u64, fastest: &mut [u32]) -> (MemoryWindow, f64) {
    let before = resident();
    let window = MemoryWindow::new(usize::try_from(entries).unwrap_or(usize::MAX));
    for (number, fastest) in (0..entries).zip(fastest) {
        let arrival = arrival(template, number);
        let start = Instant::now();
        forward(&window, arrival);
        let took = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
        *fastest = took.min(*fastest);
    }
    let grown = resident().saturating_sub(before);
    (window, grown as f64 / entries as f64)
}

/// The nanoseconds that each of [`SAMPLE`] calls takes, in the fastest of the rounds.
fn each(mut call: impl FnMut(u64)) -> f64 {
    let mut number = 0;
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for _ in 0..SAMPLE {
            call(number);
            number += 1;
        }
        start.elapsed().as_nanos() as f64 / SAMPLE as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

/// The milliseconds that it takes to pass a window on, as at an upgrade but without the socket: the
/// longest copy of a shard, for which its claims wait; all of it, until the other window has it; and
/// the end, for which all claims wait, with a thousand changes.
fn pass(window: &MemoryWindow, template: &Arrival, capacity: usize) -> [f64; 3] {
    let other = MemoryWindow::new(capacity);
    let millis = |start: Instant| start.elapsed().as_secs_f64() * 1000.0;
    let mut bytes = Vec::new();
    let mut send = |changes: Vec<Change>| {
        bytes.clear();
        for change in &changes {
            change.write(&mut bytes);
        }
        assert!(Change::read_all(&bytes, |change| other.take_over(&change)));
    };
    let (begun, mut longest) = (Instant::now(), 0_f64);
    for shard in 0..window.shards() {
        let start = Instant::now();
        let copied = window.copy(shard);
        longest = longest.max(millis(start));
        send(copied);
    }
    let all = millis(begun);
    for number in 0..1000 {
        forward(window, arrival(template, u64::MAX / 2 - number));
    }
    let start = Instant::now();
    for shard in 0..window.shards() {
        send(window.freeze(shard));
    }
    [longest, all, millis(start)]
}

/// A row of the table: what a window of so many entries costs. Returns the time of a new claim.
fn row(key: &FingerprintKey, entries: u64, smallest: Option<f64>) -> f64 {
    let template = template(key);
    let mut fastest = vec![u32::MAX; usize::try_from(entries).unwrap_or(0)];
    let (mut window, mut bytes) = fill(&template, entries, &mut fastest);
    for _ in 1..ROUNDS {
        // Memory that an earlier window gave back is used again, so the first one tells its size.
        drop(window);
        let again = fill(&template, entries, &mut fastest);
        window = again.0;
        bytes = bytes.max(again.1);
    }
    let longest = fastest.iter().max().copied().unwrap_or(0);
    let growing = fastest.iter().map(|ns| u64::from(*ns)).sum::<u64>() as f64 / entries as f64;
    drop(fastest);
    let new = each(|number| forward(&window, arrival(&template, entries + number)));
    let route = key.of_route("bench");
    let digested = each(|number| {
        let id = (1_u128 << 64 | u128::from(number)).to_le_bytes();
        let by_id = route.by_id(id);
        forward(
            &window,
            Arrival {
                key: by_id,
                body: key.body(&[number.to_le_bytes()[0]; 1024]).mark(),
                event: Some(by_id.mark()),
                request: route.request(id),
                ..template
            },
        );
    });
    let known: Vec<_> = (0..entries.min(1000))
        .map(|number| arrival(&template, u64::MAX - number))
        .collect();
    for arrival in &known {
        forward(&window, *arrival);
    }
    let denied = each(|number| {
        let place = usize::try_from(number).unwrap_or(0) % known.len();
        black_box(ready(window.claim(&known[place], NOW)).is_ok());
    });
    let ratio = digested / smallest.unwrap_or(digested);
    let [shard, all, end] = pass(&window, &template, usize::try_from(entries).unwrap_or(0));
    println!(
        "| {entries} | {growing:.0} | {longest} | {new:.0} | {digested:.0} | {ratio:.2} | {denied:.0} | {bytes:.1} | {shard:.1} | {all:.0} | {end:.2} |"
    );
    digested
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = arguments.iter().find_map(|argument| argument.parse().ok());
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let most: u64 = asked.unwrap_or(if is_bench { 10_000_000 } else { 1000 });
    let key = FingerprintKey::from_bytes([7; 16]);
    println!(
        "| entries | growing, ns a claim | the longest, ns | full, ns a claim | with its digests | of the smallest | a copy, ns | bytes an entry | passing on: a shard, ms | all, ms | the end, ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut smallest = None;
    let sizes = std::iter::successors(Some(1000_u64), |entries| entries.checked_mul(10));
    for entries in sizes.take_while(|entries| *entries <= most) {
        let took = row(&key, entries, smallest);
        smallest.get_or_insert(took);
    }
}
