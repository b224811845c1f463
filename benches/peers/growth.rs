//! How cost grows: with the claims in the window, routes, secrets, header lines, idle connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use verigate::clock::{Now, UnixMillis};
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow as _};
use verigate::verify::claim::FingerprintKey;

use crate::arrivals::{arrival, ready};
use crate::contenders::Contender;
use crate::figures::{Row, Spread};
use crate::options::Options;
use crate::parts::is_base;
use crate::plot::{self, Line, Lines};
use crate::report::Report;
use crate::support::events::{Events, Filling, Scheme};
use crate::support::load::{Load, To};
use crate::support::process::own_resident;
use crate::support::upstream::Upstream;
use crate::turns::{Entry, in_turn};

/// The header lines of a usual delivery of itellico.
const USUAL_HEADERS: usize = 7;

/// Measures and plots all of them.
pub(crate) fn growth(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let contenders = options.base_and_ours();
    let mut report = Report::new("growth", options, &contenders, &[]);
    let mut panels = claims(options, &mut report)?;
    for kind in [Growing::Routes, Growing::Secrets, Growing::Headers] {
        panels.push(deliveries(
            kind,
            options,
            upstream,
            &contenders,
            &mut report,
        )?);
    }
    panels.push(idle_connections(options, upstream, &mut report)?);
    report.plot(plot::lines("How cost grows", &panels));
    report.write(&options.out)
}

/// What grows from one measurement to the next.
#[derive(Clone, Copy)]
enum Growing {
    Routes,
    Secrets,
    Headers,
}

impl Growing {
    fn title(self) -> &'static str {
        match self {
            Self::Routes => "Routes",
            Self::Secrets => "Secrets of a route, of which the last matches",
            Self::Headers => "Header lines",
        }
    }

    fn values(self, smoke: bool) -> &'static [usize] {
        match self {
            Self::Routes if smoke => &[1, 100],
            Self::Routes => &[1, 10, 100, 1000, 10_000],
            Self::Secrets if smoke => &[1, 8],
            Self::Secrets => &[1, 2, 4, 8],
            Self::Headers if smoke => &[7, 100],
            Self::Headers => &[7, 25, 50, 100],
        }
    }
}

fn deliveries(
    kind: Growing,
    options: &Options,
    upstream: &Upstream,
    contenders: &[Contender],
    report: &mut Report,
) -> io::Result<Lines> {
    let mut lines = Vec::new();
    let mut text = format!("### {}\n\n", kind.title());
    let mut section = Vec::new();
    let values = kind.values(options.smoke);
    for contender in contenders {
        if is_base(contender) && !matches!(kind, Growing::Headers) {
            continue;
        }
        let entries: Vec<Entry> = values
            .iter()
            .map(|&value| {
                let mut setting = options.setting(upstream);
                let mut plan = options.plan(1024);
                match kind {
                    Growing::Routes => setting.further_routes = value - 1,
                    Growing::Secrets => setting.further_secrets = value - 1,
                    Growing::Headers => plan.further_headers = value - USUAL_HEADERS,
                }
                Entry {
                    name: format!("{}, {value}", contender.name),
                    contender: contender.clone(),
                    setting,
                    plan,
                }
            })
            .collect();
        let rows = in_turn(kind.title(), &entries, options.rounds, upstream, || Ok(()))?;
        let of_first = |row: &Row| rows.first().and_then(|first| row.ratio(first));
        let mut points = Vec::new();
        for (value, row) in values.iter().zip(&rows) {
            let cpu = row.spread(|sample| sample.cpu.total());
            let memory = row.spread(|sample| sample.resident as f64).median;
            let _ = writeln!(
                text,
                "- {}: {} µs a request, {} of the first, {:.1} MiB resident",
                row.name,
                cpu.text(1),
                of_first(row).map_or_else(|| "–".to_owned(), |ratio| ratio.text(2)),
                memory / f64::from(1 << 20)
            );
            points.push((*value as f64, cpu.median));
            section.push(json!({
                "program": contender.name,
                "value": value,
                "cpu_us": cpu.json(),
                "of_first": of_first(row).map(Spread::json),
                "resident_bytes": memory,
            }));
        }
        lines.push(Line {
            name: contender.name.clone(),
            points,
        });
    }
    report.say(&text);
    report.add(json!({ "title": kind.title(), "points": section }));
    Ok(Lines {
        title: format!("{}: CPU time of a delivery of 1 KiB, µs", kind.title()),
        x: "",
        all: lines,
    })
}

/// Memory of idle kept-alive connections, each after a delivery.
fn idle_connections(
    options: &Options,
    upstream: &Upstream,
    report: &mut Report,
) -> io::Result<Lines> {
    // Two descriptors for a connection, one at either end, and some for all else.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    let most = usize::try_from(files.saturating_sub(400) / 2)
        .unwrap_or(usize::MAX)
        .min(if options.smoke { 100 } else { 10_000 });
    let values = [1, 10, 100, 1000, 10_000].map(|count: usize| count.min(most));
    let mut text = "### Idle connections, each after a delivery of 1 KiB\n\n".to_owned();
    let mut section = Vec::new();
    let mut lines = Vec::new();
    for contender in options.ours() {
        let mut points = Vec::new();
        for (place, count) in values.into_iter().enumerate() {
            if place > 0 && values.get(place - 1) == Some(&count) {
                continue;
            }
            let started = contender.start(&options.setting(upstream))?;
            let events = Events::new(Scheme::Itellico, 1024, Filling::Text, 0);
            // What the first deliveries need once belongs to no connection.
            Load::connect(To::plain(started.address), 1, 200)?.closed(&events.make(100))?;
            let before = started.process.resident()?;
            let mut load = Load::connect(To::plain(started.address), count, 200)?;
            load.each(&events.make(count))?;
            let grown = started.process.resident()?.saturating_sub(before) as f64;
            let kib = grown / 1024.0 / count as f64;
            let _ = writeln!(
                text,
                "- {}, {count}: {:.1} MiB, {kib:.1} KiB each",
                contender.name,
                grown / f64::from(1 << 20)
            );
            points.push((count as f64, kib));
            section.push(json!({
                "program": contender.name, "value": count, "bytes": grown, "kib_each": kib,
            }));
        }
        lines.push(Line {
            name: contender.name.clone(),
            points,
        });
    }
    report.say(&text);
    report.add(json!({ "title": "Idle connections", "points": section }));
    Ok(Lines {
        title: "Idle connections: resident memory, KiB each".to_owned(),
        x: "connections",
        all: lines,
    })
}

/// Claims in windows of growing size, each in a process of its own, so that memory is its own.
fn claims(options: &Options, report: &mut Report) -> io::Result<Vec<Lines>> {
    let sizes: &[u64] = if options.smoke {
        &[1000, 10_000]
    } else {
        &[1000, 10_000, 100_000, 1_000_000, 10_000_000]
    };
    let rounds = options.rounds.min(3);
    let names = ["filling_ns", "full_ns", "denied_ns", "worst_us", "bytes"];
    let mut spreads: Vec<(u64, Vec<Spread>)> = Vec::new();
    for &entries in sizes {
        let mut samples: Vec<Value> = Vec::new();
        for _ in 0..rounds {
            eprintln!("Claims in a window of {entries}");
            samples.push(in_another_process(entries)?);
        }
        let spread = |name| {
            Spread::of(
                samples
                    .iter()
                    .filter_map(|sample| sample.get(name)?.as_f64()),
            )
        };
        spreads.push((entries, names.iter().map(spread).collect()));
    }
    let mut text = "### Claims\n\nCPU time of a claim and its settling, while the window fills up to so many entries; \
                    of one more, for which the oldest goes; of a refused copy; the slowest while it fills, by the \
                    faster of two fills; memory.\n\n\
                    | entries | filling, ns | full, ns | refused, ns | slowest, µs | bytes an entry |\n\
                    | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (entries, spreads) in &spreads {
        let _ = write!(text, "| {entries} |");
        for spread in spreads {
            let _ = write!(text, " {} |", spread.text(0));
        }
        text.push('\n');
    }
    report.say(&text);
    report.add(json!({
        "title": "Claims",
        "points": spreads.iter().map(|(entries, spreads)| json!({
            "value": entries,
            "figures": names.iter().zip(spreads).map(|(name, spread)| (*name, spread.json()))
                .collect::<BTreeMap<_, _>>(),
        })).collect::<Vec<_>>(),
    }));
    let line = |name: &str, place: usize| Line {
        name: name.to_owned(),
        points: spreads
            .iter()
            .map(|(entries, spreads)| {
                let median = spreads.get(place).map_or(0.0, |spread| spread.median);
                (*entries as f64, median)
            })
            .collect(),
    };
    Ok(vec![
        Lines {
            title: "Claims: CPU time, ns".to_owned(),
            x: "entries in the window",
            all: vec![line("filling", 0), line("full", 1), line("refused copy", 2)],
        },
        Lines {
            title: "Claims: resident memory, bytes an entry".to_owned(),
            x: "entries in the window",
            all: vec![line("resident", 4)],
        },
    ])
}

fn in_another_process(entries: u64) -> io::Result<Value> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--bench", "--claims", &entries.to_string()])
        .output()?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        io::Error::other(format!(
            "{error}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    })
}

/// Measures claims in a window of so many entries and prints the figures as JSON.
pub(crate) fn claims_alone(entries: u64) -> io::Result<()> {
    let key = FingerprintKey::from_bytes([7; 16]);
    let now = Now {
        wall: UnixMillis::from_secs(1_750_000_000),
        mono: Duration::ZERO,
    };
    let capacity = usize::try_from(entries).map_err(io::Error::other)?;
    let grant = |window: &MemoryWindow, number| -> io::Result<()> {
        match ready(window.claim(&arrival(&key, number), now)) {
            Ok(Claimed::Granted(ticket)) => {
                let _ = ready(window.commit(ticket, now));
                Ok(())
            }
            other => Err(io::Error::other(format!("not granted: {other:?}"))),
        }
    };
    // The arithmetic around a claim is measured alone, and taken off.
    let rounds = 200_000;
    let begun = cpu_ns();
    for number in 0..rounds {
        std::hint::black_box(arrival(&key, number));
    }
    let around = per(cpu_ns() - begun, rounds);

    let before = own_resident()?;
    let window = MemoryWindow::new(capacity);
    let begun = cpu_ns();
    for number in 0..entries {
        grant(&window, number)?;
    }
    let filling = per(cpu_ns() - begun, entries) - around;
    let bytes = own_resident()?.saturating_sub(before) as f64 / entries as f64;

    // Known events in an order that no cache foresees: a step that has no divisor with the count.
    let begun = cpu_ns();
    for round in 0..rounds {
        let number = round.wrapping_mul(7_368_787) % entries;
        std::hint::black_box(ready(window.claim(&arrival(&key, number), now)).is_ok());
    }
    let denied = per(cpu_ns() - begun, rounds) - around;

    let begun = cpu_ns();
    for number in entries..entries + rounds {
        grant(&window, number)?;
    }
    let full = per(cpu_ns() - begun, rounds) - around;
    drop(window);

    // Of two fills, because a machine that is shared charges a thread for some of its own work.
    let mut first = Vec::new();
    fill_timed(capacity, entries, grant, |_, took| first.push(took))?;
    let mut worst = 0;
    fill_timed(capacity, entries, grant, |number, took| {
        worst = worst.max(took.min(first.get(number).copied().unwrap_or(took)));
    })?;
    println!(
        "{}",
        json!({
            "filling_ns": filling,
            "full_ns": full,
            "denied_ns": denied,
            "worst_us": worst as f64 / 1000.0,
            "bytes": bytes,
        })
    );
    Ok(())
}

/// Fills a window, and tells what each claim took, in ns of CPU time.
fn fill_timed(
    capacity: usize,
    entries: u64,
    grant: impl Fn(&MemoryWindow, u64) -> io::Result<()>,
    mut tell: impl FnMut(usize, u64),
) -> io::Result<()> {
    let window = MemoryWindow::new(capacity);
    for (place, number) in (0..entries).enumerate() {
        let begun = cpu_ns();
        grant(&window, number)?;
        tell(place, cpu_ns() - begun);
    }
    Ok(())
}

fn per(ns: u64, count: u64) -> f64 {
    ns as f64 / count as f64
}

/// CPU time of this thread: a thread that the machine holds up has not worked meanwhile.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
