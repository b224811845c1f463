//! What was acknowledged is lost by nothing (contract: Queue): processes that end at any moment, disks that fail, apps
//! that have bad days.
//!
//! `sent.rs` makes deliveries that differ in size, framing, target and headers, each again from a few numbers;
//! `book.rs` keeps an account of every one, and finds what must not be: a delivery that is missing, changed, let in
//! twice, or delivered after the store had written that it was; `senders.rs` sends them, their copies and their retries
//! from several clients at a time.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "test code: a panic is how a test fails, and it measures with the machine's clock"
)]

mod book;
mod disks;
mod hostile;
mod kills;
mod senders;
mod sent;
mod syncs;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::config::{Config, Route};
use crate::support::upstream::Upstream;

/// The number from which a test draws all that it does by chance. `VERIGATE_SEED` repeats a run.
fn seed() -> u64 {
    let given = std::env::var("VERIGATE_SEED").ok();
    let given = given.map(|text| text.parse().expect("VERIGATE_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::from(since.expect("the clock is past 1970").subsec_micros())
    });
    eprintln!("VERIGATE_SEED={seed}");
    seed
}

/// Numbers by chance that a seed repeats (splitmix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A place in a list of so many.
    fn place(&mut self, count: usize) -> usize {
        let place = self.below(u64::try_from(count).expect("a count"));
        usize::try_from(place).expect("a place")
    }

    fn is_one_of(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// One route in queue mode to this app, with these keys of `[route.queue]` and these of `[state]` beside its directory.
fn config_in(upstream: &Upstream, dir: &str, queue: &str, state: &str) -> Config {
    let route = Route::itellico(upstream)
        .set("mode", "\"queue\"")
        .set("max_body", "\"4MiB\"")
        .set("methods", "[\"POST\", \"PUT\"]");
    Config::new()
        .route(route)
        .extra(&format!("[route.queue]\n{queue}"))
        .extra(&format!("[state]\ndir = \"{dir}\"\n{state}"))
}
