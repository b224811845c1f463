//! A sample: one program, started afresh, warmed up, and measured over a window of some seconds.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sha2::{Digest as _, Sha256};

use crate::contenders::{Contender, Kind, Setting};
use crate::support::events::{Event, Events, Filling};
use crate::support::gateway::Started;
use crate::support::load::{Load, Run, To};
use crate::support::process::{Cpu, ThreadCpu};
use crate::support::upstream::Upstream;
use crate::support::wire::Transport;

/// What is asked of every program of a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Bytes of a body.
    pub(crate) size: usize,
    pub(crate) filling: Filling,
    /// Header lines beyond the usual ones.
    pub(crate) further_headers: usize,
    /// Kept-alive connections.
    pub(crate) connections: usize,
    pub(crate) warm_up: f64,
    pub(crate) seconds: f64,
    pub(crate) deliveries: Deliveries,
    /// Deliveries a second in an open loop; a closed loop without.
    pub(crate) rate: Option<f64>,
}

/// Which deliveries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deliveries {
    /// Signed; each is answered 200 by the upstream.
    Good,
    /// Without their signature; each is refused with 401 before the body is read.
    Unsigned,
}

/// One program in one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: usize,
    /// µs a request.
    pub(crate) cpu: Cpu,
    pub(crate) per_second: f64,
    /// µs.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Bytes at the end of the window.
    pub(crate) resident: u64,
    /// µs a request of the two ends, which are this program.
    pub(crate) generator: f64,
    pub(crate) upstream: f64,
    /// How often a thread of the program waited, for each request.
    pub(crate) waits: f64,
    /// Requests that its access log does not have.
    pub(crate) unlogged: usize,
}

/// Starts, warms up and measures.
pub(crate) fn sample(
    contender: &Contender,
    setting: &Setting,
    plan: &Plan,
    upstream: &Upstream,
) -> io::Result<Sample> {
    let started = contender.start(setting)?;
    measure(&started, contender, setting, plan, upstream)
        .map_err(|error| io::Error::other(format!("{}: {error}", contender.name)))
}

fn measure(
    started: &Started,
    contender: &Contender,
    setting: &Setting,
    plan: &Plan,
    upstream: &Upstream,
) -> io::Result<Sample> {
    let status = match plan.deliveries {
        Deliveries::Good => 200,
        Deliveries::Unsigned => 401,
    };
    let series = Events::new(
        setting.scheme,
        plan.size,
        plan.filling,
        plan.further_headers,
    );
    let make = |count| {
        let events = match plan.deliveries {
            Deliveries::Good => series.make(count),
            Deliveries::Unsigned => series.make_unsigned(count),
        };
        match setting.transport {
            Transport::Http2 => events.iter().map(Event::for_http2).collect(),
            _ => events,
        }
    };
    let mut load = Load::connect(
        To::by(setting.transport, started.address)?,
        plan.connections,
        status,
    )?;
    let mut sent = 0;
    let mut rate = 0.0;
    // A few deliveries say how many fill the warm-up, and the warm-up how many fill the window.
    let few = if plan.size > 100_000 || setting.transport.is_each() {
        200.0
    } else {
        4000.0
    };
    for count in [Some(whole(few * plan.seconds.min(1.0))), None] {
        let count = count.unwrap_or_else(|| whole(rate * plan.warm_up));
        let run = send(&mut load, &make(count), plan.rate)?;
        sent += count;
        rate = plan.rate.unwrap_or(count as f64 / run.seconds);
    }
    let events = make(whole(rate * plan.seconds));
    let own = ThreadCpu::of_this()?;
    let served = upstream.served();
    let before = (started.process.used()?, own.us()?, upstream.cpu_us()?);
    let run = send(&mut load, &events, plan.rate)?;
    let after = (started.process.used()?, own.us()?, upstream.cpu_us()?);
    let requests = events.len();
    sent += requests;
    let expected = match plan.deliveries {
        Deliveries::Good if contender.kind != Kind::Json2File => requests as u64,
        _ => 0,
    };
    if upstream.served() - served != expected && !setting.is_queue() {
        return Err(io::Error::other(format!(
            "the upstream got {} requests instead of {expected}",
            upstream.served() - served
        )));
    }
    let each = |us: f64| us / requests as f64;
    let cpu = after.0.since(before.0);
    Ok(Sample {
        requests,
        cpu: Cpu {
            user: each(cpu.user),
            kernel: each(cpu.kernel),
        },
        per_second: requests as f64 / run.seconds,
        p50: percentile(&run.latencies, 50.0),
        p99: percentile(&run.latencies, 99.0),
        p999: percentile(&run.latencies, 99.9),
        resident: started.process.resident()?,
        generator: each(after.1 - before.1),
        upstream: each(after.2 - before.2),
        waits: after.0.waits_since(before.0) as f64 / requests as f64,
        unlogged: unlogged(started, contender, sent)?,
    })
}

fn send(load: &mut Load, events: &[Event], rate: Option<f64>) -> io::Result<Run> {
    match rate {
        None => load.closed(events),
        Some(rate) => load.open(events, rate),
    }
}

/// How many of the requests a program that keeps an access log has not logged after a second.
fn unlogged(started: &Started, contender: &Contender, sent: usize) -> io::Result<usize> {
    if matches!(
        contender.kind,
        Kind::HaproxyPassing | Kind::NginxPassing | Kind::Json2File
    ) {
        return Ok(0);
    }
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        let missing = sent.saturating_sub(started.log_lines()?);
        if missing == 0 || Instant::now() > until {
            return Ok(missing);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn percentile(latencies: &Histogram<u64>, percent: f64) -> f64 {
    latencies.value_at_percentile(percent) as f64 / 1000.0
}

fn whole(count: f64) -> usize {
    (count as usize).max(64)
}

/// µs of CPU that the hash of a body costs alone, by the crate that the gateway uses.
pub(crate) fn raw_hash(size: usize) -> io::Result<f64> {
    let body = vec![b'x'; size];
    let rounds = (64 << 20) / size;
    let cpu = ThreadCpu::of_this()?;
    std::hint::black_box(Sha256::digest(&body));
    let before = cpu.us()?;
    for _ in 0..rounds {
        std::hint::black_box(Sha256::digest(std::hint::black_box(&body)));
    }
    Ok((cpu.us()? - before) / rounds as f64)
}
