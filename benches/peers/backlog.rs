//! A backlog: deliveries are accepted while the app gets none, the gateway is killed and started again, and then the app
//! gets all of them.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::contenders::{Contender, Kept};
use crate::options::{Options, size_text};
use crate::parts::groups;
use crate::support::events::Events;
use crate::support::gateway::{Started, start, start_in};
use crate::support::load::{Load, To};
use crate::support::upstream::Upstream;

/// The events that are made and sent in one go.
const CHUNK: usize = 50_000;

/// The pause between two looks at memory and files.
const LOOK: Duration = Duration::from_millis(20);

/// No delivery for so long ends a run, and so does a file that does not shrink for so long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The deliveries that the app may get twice: those that were in flight when the gateway was killed.
const IN_FLIGHT: u64 = 16;

/// Each binary of verigate once, at the smallest size.
pub(crate) fn backlog(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let ours = options.ours();
    let mut groups = groups("backlog", options, upstream, &ours);
    let size = options.sizes.iter().copied().min().unwrap_or(1024);
    for own in &ours {
        let found = measure(own, options, upstream, size)?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        groups.report.say(&format!(
            "{}: {} deliveries of {}. Accepting: {:.0} a second; {:.1} MiB resident before, {:.1} at most, {:.1} at the \
             end; {:.0} MiB on disk. Started again after SIGKILL: {:.2} s until it listens, {:.1} MiB resident. \
             Delivering: {:.0} a second, {:.1} µs of CPU each, {:.1} MiB resident at most, {:.1} at the end; {:.0} MiB on \
             disk {:.1} s later.",
            own.name,
            options.deliveries,
            size_text(size),
            found.accepted_per_second,
            mib(found.resident_before),
            mib(found.resident_accepting),
            mib(found.resident_waiting),
            mib(found.disk_waiting),
            found.start.as_secs_f64(),
            mib(found.resident_started),
            found.delivered_per_second,
            found.delivery_cpu,
            mib(found.resident_delivering),
            mib(found.resident_after),
            mib(found.disk_after),
            found.shrinking.as_secs_f64(),
        ));
        groups.report.add(json!({
            "title": format!("Backlog, {}, {}", own.name, size_text(size)),
            "deliveries": options.deliveries,
            "accepted_per_second": found.accepted_per_second,
            "resident_bytes": {
                "before": found.resident_before,
                "accepting": found.resident_accepting,
                "waiting": found.resident_waiting,
                "started": found.resident_started,
                "delivering": found.resident_delivering,
                "after": found.resident_after,
            },
            "disk_bytes": { "waiting": found.disk_waiting, "after": found.disk_after },
            "start_seconds": found.start.as_secs_f64(),
            "delivered_per_second": found.delivered_per_second,
            "delivery_cpu_us": found.delivery_cpu,
            "shrinking_seconds": found.shrinking.as_secs_f64(),
        }));
    }
    groups.report.write(&options.out)
}

/// What became of a backlog. Memory and files in bytes.
struct Found {
    accepted_per_second: f64,
    resident_before: u64,
    resident_accepting: u64,
    resident_waiting: u64,
    disk_waiting: u64,
    /// From the start of the program until it listens.
    start: Duration,
    resident_started: u64,
    delivered_per_second: f64,
    /// µs a delivery.
    delivery_cpu: f64,
    resident_delivering: u64,
    resident_after: u64,
    disk_after: u64,
    /// From the last delivery until the file is as small as it gets.
    shrinking: Duration,
}

fn measure(
    own: &Contender,
    options: &Options,
    upstream: &Upstream,
    size: usize,
) -> io::Result<Found> {
    let mut setting = options.setting(upstream);
    let secret = setting.scheme.secret();

    setting.kept = Kept::Waiting;
    let waiting = start(&own.program, &setting.verigate()?, &secret, setting.core)?;
    let resident_before = waiting.process.resident()?;

    let events = Events::new(setting.scheme, size, options.body, 0);
    let clients = options.clients.iter().copied().find(|count| *count >= 64);
    let to = To::plain(waiting.address);
    let mut load = Load::connect(to, clients.unwrap_or(64), 200)?;
    let (mut left, mut seconds, mut resident_accepting) = (options.deliveries, 0.0, 0);
    while left > 0 {
        let count = left.min(CHUNK);
        seconds += load.closed(&events.make(count))?.seconds;
        resident_accepting = resident_accepting.max(waiting.process.resident()?);
        left -= count;
    }
    drop(load);
    let resident_waiting = waiting.process.resident()?;
    let Started {
        process, folder, ..
    } = waiting;
    drop(process);
    let state = folder.path().join("state");
    let disk_waiting = used(&state)?;

    setting.kept = Kept::Deliveries;
    let served = upstream.served();
    let begun = Instant::now();
    let config = setting.verigate()?;
    let delivering = start_in(folder, &own.program, &config, &secret, setting.core)?;
    let (start, resident_started) = (begun.elapsed(), delivering.process.resident()?);
    let cpu = delivering.process.used()?;
    let begun = Instant::now();
    let (mut last, mut moved, mut resident_delivering) = (0, Instant::now(), resident_started);
    let all = options.deliveries as u64;
    // The app may have had a few before the kill.
    while last + IN_FLIGHT < all || moved.elapsed() < LOOK * 10 {
        let now = upstream.served() - served;
        if now > last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            return Err(io::Error::other(format!(
                "the app got {last} of {all} deliveries, and no more"
            )));
        }
        resident_delivering = resident_delivering.max(delivering.process.resident()?);
        thread::sleep(LOOK);
    }
    if last > all + IN_FLIGHT {
        return Err(io::Error::other(format!(
            "the app got {last} deliveries instead of {all}"
        )));
    }
    let took = moved.duration_since(begun).as_secs_f64();
    let cpu = delivering.process.used()?.since(cpu);
    let resident_after = delivering.process.resident()?;

    let (mut disk_after, mut shrunk) = (used(&state)?, Instant::now());
    while shrunk.elapsed() < PATIENCE {
        let now = used(&state)?;
        if now < disk_after {
            (disk_after, shrunk) = (now, Instant::now());
        }
        thread::sleep(LOOK);
    }
    Ok(Found {
        accepted_per_second: options.deliveries as f64 / seconds,
        resident_before,
        resident_accepting,
        resident_waiting,
        disk_waiting,
        start,
        resident_started,
        delivered_per_second: last as f64 / took,
        delivery_cpu: cpu.total() / last as f64,
        resident_delivering,
        resident_after,
        disk_after,
        shrinking: shrunk.duration_since(moved),
    })
}

/// The bytes of all files of the store.
fn used(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        // A log may go between the two calls.
        sum += entry?.metadata().map_or(0, |data| data.len());
    }
    Ok(sum)
}
