//! verigate beside other proxies, measured in turn: see `benches/README.md`.
//!
//! `benches/peers/run` starts it. Linux only: CPU time and memory are read from `/proc`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its figures are its output, and its progress goes beside them"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people: counts and times far below 2^52, none of them negative"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "measures real time, and signs for a gateway that judges real time"
)]

#[path = "../support/arrivals.rs"]
mod arrivals;
mod backlog;
mod check;
mod contenders;
mod figures;
mod growth;
mod options;
mod parts;
mod plot;
mod queue;
mod report;
mod rounds;
#[path = "../support/mod.rs"]
mod support;
mod turns;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::options::{Options, What};
use crate::support::process::keep_off;
use crate::support::upstream::Upstream;

fn main() -> ExitCode {
    // `cargo bench` passes `--bench`; `cargo test --benches` passes nothing and must be quick.
    let arguments: Vec<_> = std::env::args_os().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut arguments: Vec<_> = arguments
        .into_iter()
        .filter(|argument| argument != "--bench")
        .collect();
    // `cargo bench` without a target shows that all benches run; `benches/peers/run` says what it wants.
    if arguments.len() == 1 {
        arguments.push("--smoke".into());
    }
    let options = Options::parse_from(arguments);
    match run(&options.judged()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    if let Some(entries) = options.claims {
        return growth::claims_alone(entries);
    }
    if let Some(core) = options.pin {
        keep_off(core)?;
    }
    let upstream = Upstream::start()?;
    for (what, part) in [
        (What::Compare, parts::compare as Part),
        (What::Refusals, parts::refusals),
        (What::Threads, parts::threads),
        (What::Latency, parts::latency),
        (What::Schemes, parts::schemes),
        (What::Tls, parts::tls),
        (What::Queue, queue::queue),
        (What::Backlog, backlog::backlog),
        (What::Growth, growth::growth),
    ] {
        if options.wants(what) {
            part(options, &upstream)?;
        }
    }
    Ok(())
}

type Part = fn(&Options, &Upstream) -> io::Result<()>;
