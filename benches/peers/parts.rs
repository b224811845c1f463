//! The parts of the measurements that load whole programs.

use std::fmt::Write as _;
use std::io;

use serde_json::json;

use crate::contenders::{BASE, Contender, Kind};
use crate::figures::{Row, Spread, table};
use crate::options::{Options, size_text};
use crate::plot;
use crate::report::Report;
use crate::rounds::{Deliveries, raw_hash};
use crate::support::events::Scheme;
use crate::support::upstream::Upstream;
use crate::turns::{Entry, checked, in_turn};

/// All programs, at each size.
pub(crate) fn compare(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let (contenders, missing) = options.contenders();
    let setting = options.setting(upstream);
    let mut report = Report::new("compare", options, &contenders, &missing);
    if !options.no_check {
        report.say(&checked(&contenders, upstream, &setting)?);
    }
    let mut panels = Vec::new();
    for &size in &options.sizes {
        let entries: Vec<Entry> = contenders
            .iter()
            .map(|contender| Entry {
                name: contender.name.clone(),
                contender: contender.clone(),
                setting: setting.clone(),
                plan: options.plan(size),
            })
            .collect();
        let mut hashes = Vec::new();
        let title = size_text(size);
        let rows = in_turn(&title, &entries, options.rounds, upstream, || {
            hashes.push(raw_hash(size)?);
            Ok(())
        })?;
        let hash = Spread::of(hashes);
        report.say(&format!(
            "### {title}\n\n{}\nSHA-256 of the body alone: {} µs.{}{}",
            table(&rows, BASE, "passing on"),
            hash.text(2),
            beyond_the_hash(&rows, hash, options.ours().len()),
            pairs(&rows, options.ours().len())
        ));
        let base = rows.iter().find(|row| row.name == BASE);
        report.add(json!({
            "body_bytes": size,
            "sha256_us": hash.json(),
            "rows": rows.iter().map(|row| row.json(base)).collect::<Vec<_>>(),
        }));
        panels.push(plot::Bars {
            title,
            bars: rows
                .iter()
                .map(|row| plot::Bar {
                    name: row.name.clone(),
                    user: row.spread(|sample| sample.cpu.user).median,
                    kernel: row.spread(|sample| sample.cpu.kernel).median,
                    ours: row.name.starts_with("verigate"),
                })
                .collect(),
        });
    }
    report.plot(plot::bars("CPU time of the proxy, µs a request", &panels));
    report.write(&options.out)
}

/// verigate without the hash, as a ratio to passing on, round by round.
fn beyond_the_hash(rows: &[Row], hash: Spread, ours: usize) -> String {
    let Some(Ok(base)) = rows
        .iter()
        .find(|row| row.name == BASE)
        .map(|row| &row.samples)
    else {
        return String::new();
    };
    let mut out = String::new();
    for row in rows.iter().skip(rows.len().saturating_sub(ours)) {
        let Ok(own) = &row.samples else { continue };
        let ratio = Spread::of(
            own.iter()
                .zip(base)
                .map(|(own, base)| (own.cpu.total() - hash.median) / base.cpu.total()),
        );
        if own.len() == base.len() {
            let _ = write!(
                out,
                " {} without it, of passing on: {}.",
                row.name,
                ratio.text(2)
            );
        }
    }
    out
}

/// Binaries of verigate against the first of them.
fn pairs(rows: &[Row], ours: usize) -> String {
    let ours = rows
        .get(rows.len().saturating_sub(ours)..)
        .unwrap_or_default();
    let mut out = String::new();
    if let Some((first, others)) = ours.split_first() {
        for other in others {
            if let Some(ratio) = other.ratio(first) {
                let _ = write!(
                    out,
                    "\n\nCPU of {} over {}, round by round: {}.",
                    other.name,
                    first.name,
                    ratio.text(3)
                );
            }
        }
    }
    out
}

/// A part whose rows belong together in groups of which the first is the base.
pub(crate) struct Groups<'o> {
    options: &'o Options,
    upstream: &'o Upstream,
    pub(crate) report: Report,
}

impl Groups<'_> {
    pub(crate) fn measure(&mut self, title: &str, entries: &[Entry]) -> io::Result<Vec<Row>> {
        let rows = in_turn(
            title,
            entries,
            self.options.rounds,
            self.upstream,
            || Ok(()),
        )?;
        let base = rows.first();
        let base_name = base.map_or("", |row| &row.name);
        self.report.say(&format!(
            "### {title}\n\n{}",
            table(&rows, base_name, "the first")
        ));
        self.report.add(json!({
            "title": title,
            "rows": rows.iter().map(|row| row.json(base)).collect::<Vec<_>>(),
        }));
        Ok(rows)
    }
}

pub(crate) fn groups<'o>(
    name: &'static str,
    options: &'o Options,
    upstream: &'o Upstream,
    contenders: &[Contender],
) -> Groups<'o> {
    Groups {
        options,
        upstream,
        report: Report::new(name, options, contenders, &[]),
    }
}

/// A refusal before the body beside a forwarded delivery. Each refusal is for a missing signature.
pub(crate) fn refusals(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let ours = options.ours();
    let mut groups = groups("refusals", options, upstream, &ours);
    for contender in ours {
        for &size in &options.sizes {
            let entry = |what: &str, deliveries| {
                let mut plan = options.plan(size);
                plan.deliveries = deliveries;
                Entry {
                    name: format!("{} {what}", contender.name),
                    contender: contender.clone(),
                    setting: options.setting(upstream),
                    plan,
                }
            };
            let entries = [
                entry("forwarded", Deliveries::Good),
                entry("refused before the body", Deliveries::Unsigned),
            ];
            groups.measure(&format!("Refusals, {}", size_text(size)), &entries)?;
        }
    }
    groups.report.write(&options.out)
}

/// Two worker threads beside one.
///
/// The machine's cores are shared with load and upstream, so the throughput says little where there
/// are few. `2 / ratio` of the CPU times a request is what two threads would do on cores of their own,
/// if none of them ever waits for the other; how often they wait is in the table.
pub(crate) fn threads(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let contenders = options.base_and_ours();
    let mut groups = groups("threads", options, upstream, &contenders);
    for contender in contenders {
        let entries = [1, 2].map(|threads| {
            let mut setting = options.setting(upstream);
            setting.threads = threads;
            Entry {
                name: format!("{}, {threads} thread(s)", contender.name),
                contender: contender.clone(),
                setting,
                plan: options.plan(1024),
            }
        });
        let rows = groups.measure(&format!("Threads: {}", contender.name), &entries)?;
        if let [one, two] = rows.as_slice()
            && let Some(ratio) = two.ratio(one)
        {
            let scale = Spread {
                low: 2.0 / ratio.high,
                median: 2.0 / ratio.median,
                high: 2.0 / ratio.low,
            };
            let throughput = two.spread(|sample| sample.per_second).median
                / one.spread(|sample| sample.per_second).median;
            groups.report.say(&format!(
                "{}: two threads do {} times the deliveries of one by CPU time a request, and {throughput:.2} times \
                 by throughput on these cores, which load and upstream share.",
                contender.name,
                scale.text(2)
            ));
        }
    }
    groups.report.write(&options.out)
}

/// HTTPS and HTTP/2 beside HTTP, for the base and for us: on kept connections, on a connection for
/// each delivery that resumes a session, and with a whole handshake for each.
pub(crate) fn tls(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let contenders = options.base_and_ours();
    let mut groups = groups("tls", options, upstream, &contenders);
    let both = options.transports.iter().flat_map(|transport| {
        // A connection for each delivery is measured for the connection alone.
        let is_first = |size: &usize| !transport.is_each() || options.sizes.first() == Some(size);
        let sizes = options.sizes.iter().copied().filter(is_first);
        sizes.map(|size| (*transport, size))
    });
    for (transport, size) in both {
        let mut plan = options.plan(size);
        // As many requests are under way as over HTTP/1.
        plan.connections = plan.connections.div_ceil(transport.streams());
        let entries: Vec<Entry> = contenders
            .iter()
            .map(|contender| {
                let mut setting = options.setting(upstream);
                setting.transport = transport;
                Entry {
                    name: contender.name.clone(),
                    contender: contender.clone(),
                    setting,
                    plan,
                }
            })
            .collect();
        let title = format!("{}, {}", transport.title(), size_text(size));
        let rows = groups.measure(&title, &entries)?;
        let pairs = pairs(&rows, options.ours().len());
        if !pairs.is_empty() {
            groups.report.say(pairs.trim());
        }
    }
    groups.report.write(&options.out)
}

/// Latencies in an open loop, for the base and for us, at 70 % of the base's capacity.
pub(crate) fn latency(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let contenders = options.base_and_ours();
    let mut groups = groups("latency", options, upstream, &contenders);
    for &size in &options.sizes {
        let mut plan = options.plan(size);
        let rate = match (options.rate, contenders.first()) {
            (Some(rate), _) => rate,
            (None, None) => continue,
            (None, Some(first)) => {
                let entry = Entry {
                    name: format!("{}, its capacity", first.name),
                    contender: first.clone(),
                    setting: options.setting(upstream),
                    plan,
                };
                let rounds = options.rounds.min(3);
                let rows = in_turn("Capacity", &[entry], rounds, upstream, || Ok(()))?;
                let capacity = rows
                    .first()
                    .map_or(0.0, |row| row.spread(|sample| sample.per_second).median);
                capacity * 0.7
            }
        };
        plan.rate = Some(rate);
        let entries: Vec<Entry> = contenders
            .iter()
            .map(|contender| Entry {
                name: contender.name.clone(),
                contender: contender.clone(),
                setting: options.setting(upstream),
                plan,
            })
            .collect();
        let title = format!(
            "Latency, {}, {rate:.0} deliveries a second",
            size_text(size)
        );
        let rows = groups.measure(&title, &entries)?;
        let mut spreads = String::new();
        for row in &rows {
            let _ = writeln!(
                spreads,
                "- {}: p50 {}, p99 {}, p99.9 {} µs",
                row.name,
                row.spread(|sample| sample.p50).text(0),
                row.spread(|sample| sample.p99).text(0),
                row.spread(|sample| sample.p999).text(0)
            );
        }
        groups.report.say(&spreads);
    }
    groups.report.write(&options.out)
}

/// GitHub's and Standard Webhooks' schemes beside itellico's.
pub(crate) fn schemes(options: &Options, upstream: &Upstream) -> io::Result<()> {
    let ours = options.ours();
    let mut groups = groups("schemes", options, upstream, &ours);
    for contender in ours {
        // A body of 1 MiB would be hashed whole for each delivery of Standard Webhooks ahead of the run.
        for &size in options.sizes.iter().filter(|size| **size <= 64 * 1024) {
            let entries =
                [Scheme::Itellico, Scheme::Github, Scheme::StandardWebhooks].map(|scheme| {
                    let mut setting = options.setting(upstream);
                    setting.scheme = scheme;
                    Entry {
                        name: format!("{}, {}", contender.name, scheme.provider()),
                        contender: contender.clone(),
                        setting,
                        plan: options.plan(size),
                    }
                });
            groups.measure(&format!("Schemes, {}", size_text(size)), &entries)?;
        }
    }
    groups.report.write(&options.out)
}

/// `true` for the programs that a part about growth measures beside verigate.
pub(crate) fn is_base(contender: &Contender) -> bool {
    contender.kind == Kind::HaproxyPassing
}
