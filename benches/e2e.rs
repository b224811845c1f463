//! The cost of a verified delivery from end to end: the real binary, a small upstream and
//! keep-alive clients on loopback.
//!
//! Prints CPU time per delivery of the gateway alone (user and system, from `/proc`), beside the
//! throughput. Every delivery is unique and signed beforehand; the access log goes to a file.
//! Figures of two runs are comparable only as ratios, taken side by side: see `benches/README.md`.
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "figures for people: counts and times far below 2^52"
)]

mod support;

use std::io;
use std::path::Path;

use support::events::{Events, Filling, Scheme};
use support::gateway;
use support::load::{Load, To};
use support::upstream::Upstream;

const CLIENTS: usize = 32;

fn main() -> io::Result<()> {
    // `cargo bench` passes `--bench`; `cargo test --benches` passes nothing and must be quick.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let upstream = Upstream::start()?;
    println!(
        "{:>9} {:>6} {:>10} {:>12} {:>12} {:>12}",
        "body", "disk", "deliveries", "per second", "user µs", "system µs"
    );
    for (size, count, has_dir) in [
        (1024, 60_000, false),
        (1024, 60_000, true),
        (16 * 1024, 20_000, false),
        (1024, 60_000, false),
        (1024, 60_000, true),
        (16 * 1024, 20_000, false),
    ] {
        measure(&upstream, size, count, has_dir)?;
    }
    Ok(())
}

fn measure(upstream: &Upstream, size: usize, count: usize, has_dir: bool) -> io::Result<()> {
    let scheme = Scheme::Itellico;
    let (disk, state) = if has_dir {
        ("yes", "[state]\ndir = \"state\"\n")
    } else {
        ("no", "")
    };
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[route]]\nname = \"bench\"\npath = \"/hooks\"\nprovider = \"itellico\"\nsecrets = [\"env:BENCH_SECRET\"]\nupstream = \"http://{}\"\n{state}",
        upstream.address
    );
    let program = Path::new(env!("CARGO_BIN_EXE_verigate"));
    let gateway = gateway::start(program, &config, &scheme.secret(), None)?;
    let events = Events::new(scheme, size, Filling::Text, 0);
    let mut load = Load::connect(To::plain(gateway.address), CLIENTS, 200)?;
    load.closed(&events.make(100 * CLIENTS))?;
    let window = events.make(count);
    let before = gateway.process.used()?;
    let run = load.closed(&window)?;
    let cpu = gateway.process.used()?.since(before);
    let done = count as f64;
    println!(
        "{size:>9} {disk:>6} {count:>10} {:>12.0} {:>12.1} {:>12.1}",
        done / run.seconds,
        cpu.user / done,
        cpu.kernel / done
    );
    Ok(())
}
