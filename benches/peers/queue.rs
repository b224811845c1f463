//! Queue mode: deliveries that are on disk before they are acknowledged. With `--rate` at that rate, otherwise as fast as
//! answers come.

use std::fs::File;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;

use crate::contenders::{Contender, Kept};
use crate::figures::Spread;
use crate::options::{Options, size_text};
use crate::parts::groups;
use crate::support::process::ThreadCpu;
use crate::support::upstream::Upstream;
use crate::turns::Entry;

/// The most bytes that the file of a raw write gets before it begins anew.
const MOST: u64 = 512 << 20;

/// The longest write that is told from a longer one, in nanoseconds.
const LONGEST: u64 = 10_000_000_000;

/// Relay mode without and with its claims on disk, and queue mode with and without deliveries at the
/// same time, at each size and number of clients; beside them whatever else is installed that keeps
/// webhooks, and the raw write.
pub(crate) fn queue(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let ours = options.ours();
    let mut groups = groups("queue", options, upstream, &ours);
    if Contender::keeper().is_none() {
        groups
            .report
            .say("json2file-go: not measured, it is not installed.");
    }
    // Large bodies say how fast the disk is.
    let sizes = options.sizes.iter().filter(|size| **size < 1 << 20);
    for &size in sizes {
        for &clients in &options.clients {
            let entry = |contender: &Contender, name: String, kept| {
                let mut setting = options.setting(upstream);
                setting.kept = kept;
                let mut plan = options.plan(size);
                plan.connections = clients;
                plan.rate = options.rate;
                Entry {
                    name,
                    contender: contender.clone(),
                    setting,
                    plan,
                }
            };
            let mut entries = Vec::new();
            for own in &ours {
                for (what, kept) in [
                    ("relay", Kept::Nothing),
                    ("relay, claims on disk", Kept::Claims),
                    ("queue, delivering", Kept::Deliveries),
                    ("queue, accepting alone", Kept::Waiting),
                ] {
                    entries.push(entry(own, format!("{} {what}", own.name), kept));
                }
            }
            if let Some(keeper) = Contender::keeper() {
                let name = keeper.name.clone();
                entries.push(entry(&keeper, name, Kept::Nothing));
            }
            let title = format!("Queue, {}, {clients} clients", size_text(size));
            groups.measure(&title, &entries)?;
            let raw = raw(size, clients, options.rounds, options.seconds)?;
            groups.report.say(&format!(
                "A write of {clients} bodies and a sync, over and over, without anything else: {} bodies \
                 a second, {} µs of CPU each, {} µs a sync, p99 {}.",
                raw.per_second.text(0),
                raw.cpu.text(1),
                raw.p50.text(0),
                raw.p99.text(0),
            ));
            groups.report.add(json!({
                "title": format!("{title}, raw write"),
                "per_second": raw.per_second.json(),
                "cpu_us": raw.cpu.json(),
                "p50_us": raw.p50.json(),
                "p99_us": raw.p99.json(),
            }));
        }
    }
    groups.report.write(&options.out)
}

/// What a disk does without a gateway.
struct Raw {
    per_second: Spread,
    /// µs a body.
    cpu: Spread,
    /// µs a batch.
    p50: Spread,
    p99: Spread,
}

/// Writes `batch` bodies of `size` bytes behind each other and syncs, for as long as a measurement.
fn raw(size: usize, batch: usize, rounds: usize, seconds: f64) -> io::Result<Raw> {
    let bytes = vec![b'x'; size * batch];
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let mut file = tempfile::tempfile()?;
        let mut times =
            Histogram::<u64>::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other)?;
        let cpu = ThreadCpu::of_this()?;
        let (begun, before) = (Instant::now(), cpu.us()?);
        let (mut batches, mut written) = (0_u64, 0);
        while begun.elapsed() < Duration::from_secs_f64(seconds) {
            if written > MOST {
                (file, written) = (tempfile::tempfile()?, 0);
            }
            let at = Instant::now();
            write(&mut file, &bytes)?;
            times.saturating_record(at.elapsed().as_nanos() as u64);
            batches += 1;
            written += bytes.len() as u64;
        }
        let bodies = batches as f64 * batch as f64;
        let us = |percent| times.value_at_percentile(percent) as f64 / 1000.0;
        figures.push([
            bodies / begun.elapsed().as_secs_f64(),
            (cpu.us()? - before) / bodies,
            us(50.0),
            us(99.0),
        ]);
    }
    let figure = |place: usize| {
        let values = figures.iter().filter_map(|round| round.get(place).copied());
        Spread::of(values)
    };
    Ok(Raw {
        per_second: figure(0),
        cpu: figure(1),
        p50: figure(2),
        p99: figure(3),
    })
}

fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}
