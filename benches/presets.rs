//! The cost of the presets: reading all of them, which `verigate providers` and `explain` do, and
//! finding one by its name, which reads that one and happens for each route at a start or a reload.
//! No request does either.
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(
    clippy::disallowed_methods,
    reason = "measures real time, and asks itself by its environment"
)]

use std::hint::black_box;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use verigate::config::presets;

/// The variable that makes a process of this program read presets once and print how long that
/// took, in nanoseconds: all of them if its value is empty, or the preset that it names.
const CHILD: &str = "VERIGATE_BENCH_PRESETS";
/// A process reads them once, so each reading needs a process of its own.
const PROCESSES: usize = 51;
const ROUNDS: u32 = 1000;

fn main() -> io::Result<()> {
    if let Ok(name) = std::env::var(CHILD) {
        let begin = Instant::now();
        if name.is_empty() {
            black_box(presets::all());
        } else {
            black_box(presets::find(&name));
        }
        println!("{}", begin.elapsed().as_nanos());
        return Ok(());
    }
    // `cargo bench` passes `--bench`; `cargo test --benches` passes nothing and must be quick.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    println!("reading all {}: {}", presets::all().len(), readings("")?);
    // The first in its family's list, an alias, and a name that no preset has.
    for name in ["itellico", "facebook", "no-such-provider"] {
        println!("finding `{name}` first of all: {}", readings(name)?);
    }
    let names: Vec<&str> = presets::names().collect();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        for name in &names {
            black_box(presets::find(black_box(name)));
        }
    }
    let each = begin.elapsed().as_nanos() / u128::from(ROUNDS) / names.len().max(1) as u128;
    println!("finding one that was read: {each} ns on average");
    Ok(())
}

/// The times of many new processes, in words.
fn readings(name: &str) -> io::Result<String> {
    let mut times = (0..PROCESSES)
        .map(|_| reading(name))
        .collect::<io::Result<Vec<_>>>()?;
    times.sort_unstable();
    let micros = |at: usize| times.get(at).copied().unwrap_or_default().as_micros();
    Ok(format!(
        "shortest {} µs, median {} µs",
        micros(0),
        micros(PROCESSES / 2)
    ))
}

/// The time that a new process takes to read all presets, or to find the preset of this name.
fn reading(name: &str) -> io::Result<Duration> {
    let child = Command::new(std::env::current_exe()?)
        .env(CHILD, name)
        .output()?;
    let nanos = String::from_utf8_lossy(&child.stdout).trim().parse();
    nanos
        .map(Duration::from_nanos)
        .map_err(|why| io::Error::other(format!("no figure from a child: {why}")))
}
