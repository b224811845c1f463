//! The parts of one delivery of 1 KiB: the time and the allocations of each, as rows of a Markdown
//! table.
//!
//! Each part is run in small batches with inputs made beforehand, and the quickest batch counts: the
//! figure is what the part costs where nothing else disturbs it. A real request pays more, because
//! its parts drive each other out of the caches. The forwarded head and the gateway's own answers
//! are not here: they are private to the gateway.
#![expect(clippy::print_stdout, reason = "its table is its output")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(
    clippy::expect_used,
    reason = "a bench whose preparation fails has nothing to measure"
)]

use std::future::Future;
use std::hint::black_box;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verigate::clock::{Clock, Now, UnixMillis};
use verigate::config::presets;
use verigate::key::secret::{Secret, SecretText};
use verigate::notation::timestamp::Tolerance;
use verigate::replay::{Claimed, MemoryWindow, ReplayWindow, Ticket};
use verigate::routes::{Pattern, RouteTable};
use verigate::scheme::Settings;
use verigate::sign::{SignRequest, sign};
use verigate::telemetry::route_metrics::RouteMetrics;
use verigate::telemetry::{Outcome, Record, RequestId, RouteNames, Telemetry};
use verigate::verify::claim::{
    Arrival, Beside, FingerprintKey, RouteFingerprints, RouteIdentities,
};
use verigate::verify::envelope::{Envelope, Event};
use verigate::verify::verifier::{Verification, Verifier};
use verigate::wire::head::{Head, HeadScanner, Limits};
use verigate::wire::response::{ResponseHead, ResponseScanner};

const AT: UnixMillis = UnixMillis::from_secs(1_750_000_000);
const ROUTE: &str = "itellico";
const SECRET: &str = "env:ITELLICO_SECRET";
const REQUEST_ID: [u8; 32] = *b"00112233445566778899aabbccddeeff";
/// Calls of a batch: few, so that a batch is over before the scheduler ends it.
const BATCH: u16 = 128;
const ROUNDS: usize = 400;
/// The pause between two batches. The log's thread must keep up.
const PAUSE: Duration = Duration::from_millis(1);
/// Entries that the replay window holds before claims are measured: more than the caches hold.
const HELD: u64 = 200_000;

/// A row of the table.
struct Row {
    part: &'static str,
    nanos: f64,
    allocations: f64,
}

fn main() -> io::Result<()> {
    // `cargo bench` passes `--bench`; `cargo test --benches` passes nothing and must be quick.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let rounds = if is_bench { ROUNDS } else { 1 };
    let rows = measure(rounds)?;
    if is_bench {
        println!("| part | ns | allocations |\n| --- | --- | --- |");
        for row in rows {
            println!(
                "| {} | {:.0} | {:.1} |",
                row.part, row.nanos, row.allocations
            );
        }
    }
    Ok(())
}

fn measure(rounds: usize) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut add = |row| rows.push(row);
    let delivery = Delivery::new();
    let Delivery {
        received,
        body,
        verifier,
        envelope,
        ..
    } = &delivery;
    let now = Now {
        wall: AT,
        mono: Duration::ZERO,
    };

    let clock = Clock::system();
    let nothing = || ();
    add(part("both clocks", rounds, nothing, |()| clock.now()));
    add(part("the monotonic clock", rounds, nothing, |()| {
        clock.mono()
    }));
    add(part("finding the head's end", rounds, nothing, |()| {
        HeadScanner::new(Limits::default()).advance(black_box(received))
    }));
    let bytes = || received.clone();
    add(part("judging the head", rounds, bytes, |bytes| {
        Head::parse(bytes, &Limits::default())
    }));
    let head = &delivery.head;
    let routes = routes();
    add(part("route, of a hundred", rounds, nothing, |()| {
        black_box(&routes).find(head.host(), head.path())
    }));
    add(part("begin: signature, freshness", rounds, nothing, |()| {
        verifier.begin(black_box(head), now)
    }));
    let begun = || verifier.begin(head, now).expect("fresh");
    let hash = |mut verification: Box<Verification>| {
        verification.update(body);
        verification
    };
    add(part("hash of the body", rounds, begun, hash));
    let hashed = || hash(begun());
    add(part("proof: the secrets tried", rounds, hashed, |hashed| {
        hashed.finish(body, now)
    }));
    add(part("envelope: JSON, id, type", rounds, nothing, |()| {
        envelope.extract(head, black_box(body), None)
    }));

    let event = envelope.extract(head, body, None).expect("an id");
    let key = FingerprintKey::from_bytes([7; 16]);
    let route = key.of_route(ROUTE);
    let identities = RouteIdentities::new(ROUTE, Beside::default());
    let identity = || identities.by_id(black_box("evt_1"));
    add(part("identity of the event", rounds, nothing, |()| {
        identity()
    }));
    add(part(
        "event key for the app",
        rounds,
        identity,
        |identity| identity.event_key(Beside::default(), None, b""),
    ));
    add(part("fingerprints", rounds, nothing, |()| {
        arrival(&key, &route, black_box(event.id.as_deref()), body)
    }));

    let window = filled_window(&key, &route);
    let mut number = HELD;
    let mut next = || {
        number += 1;
        arrival(&key, &route, Some(&number.to_string()), b"")
    };
    add(part("claim", rounds, &mut next, |arrival| {
        ready(window.claim(&arrival, now))
    }));
    let claimed = || claim(&window, next(), now);
    add(part("settling the claim", rounds, claimed, |ticket| {
        ready(window.commit(ticket, now))
    }));

    let answer = Bytes::from_static(
        b"HTTP/1.1 200 OK\r\nDate: Sun, 15 Jun 2025 15:06:40 GMT\r\nServer: app\r\n\
          Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n",
    );
    add(part(
        "the upstream's head",
        rounds,
        || answer.clone(),
        |answer| {
            let end = ResponseScanner::new().advance(&answer);
            (end, ResponseHead::from_bytes(answer))
        },
    ));

    let (telemetry, writer) = Telemetry::start(io::sink(), "bench")?;
    let route = telemetry.metrics.route(ROUTE, [SECRET]);
    let names = RouteNames::new(ROUTE, ROUTE, ["http://127.0.0.1:3000"]);
    let ended = record(&names, head, &event);
    add(part("log line and metrics", rounds, nothing, |()| {
        telemetry.finish(black_box(&route), black_box(&ended));
    }));
    add(on_two_threads(rounds, &telemetry, &route, &ended));
    let lost = telemetry.metrics.log_lines_dropped.get();
    writer.finish(Duration::from_secs(1));
    if lost > 0 {
        return Err(io::Error::other(format!("{lost} log lines were dropped")));
    }
    Ok(rows)
}

/// Runs a part. `prepare` makes an input of each call and is not measured; dropping the result is.
fn part<I, O>(
    name: &'static str,
    rounds: usize,
    mut prepare: impl FnMut() -> I,
    mut run: impl FnMut(I) -> O,
) -> Row {
    let mut batch = || (0..BATCH).map(|_| prepare()).collect::<Vec<I>>();
    let mut run_all = |inputs: Vec<I>| {
        for input in inputs {
            black_box(run(black_box(input)));
        }
    };
    // The first batch warms up what is made at first use.
    run_all(batch());
    let inputs = batch();
    let counted = allocation_counter::measure(|| run_all(inputs));
    let shortest = (0..rounds).map(|_| {
        let inputs = batch();
        let begin = Instant::now();
        run_all(inputs);
        let took = begin.elapsed();
        thread::sleep(PAUSE);
        took
    });
    Row {
        part: name,
        nanos: each(shortest.min().unwrap_or_default()),
        allocations: f64::from(u32::try_from(counted.count_total).unwrap_or(u32::MAX))
            / f64::from(BATCH),
    }
}

/// The nanoseconds of a call, where a batch took this long.
fn each(batch: Duration) -> f64 {
    batch.as_secs_f64() * 1e9 / f64::from(BATCH)
}

/// The log line and the metrics of exchanges that end on two threads at the same time: the time from
/// the moment at which both begin until both have ended, for each call of a thread. It is that of
/// one thread alone where they do not hinder each other and each has a core.
fn on_two_threads(
    rounds: usize,
    telemetry: &Telemetry,
    route: &RouteMetrics,
    record: &Record<'_>,
) -> Row {
    const BATCHES: u16 = 32;
    let finish_all = || {
        for _ in 0..BATCHES * BATCH {
            telemetry.finish(black_box(route), black_box(record));
        }
        Instant::now()
    };
    let start = Barrier::new(2);
    let shortest = (0..=rounds / 4).map(|_| {
        // The log's thread must be done with the lines of the round before.
        thread::sleep(30 * PAUSE);
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                start.wait();
                finish_all()
            });
            start.wait();
            let begin = Instant::now();
            let own = finish_all();
            other.join().map_or(own, |other| own.max(other)) - begin
        })
    });
    let both = shortest.min().unwrap_or_default();
    Row {
        part: "log line and metrics, on two threads at once",
        nanos: each(both) / f64::from(BATCHES),
        allocations: 0.0,
    }
}

/// A signed delivery, and those who judge it.
struct Delivery {
    received: Bytes,
    head: Head,
    body: Vec<u8>,
    verifier: Verifier,
    envelope: Envelope,
}

impl Delivery {
    fn new() -> Self {
        let scheme = Arc::new(presets::find(ROUTE).expect("a preset").scheme.clone());
        let secret = Secret {
            name: SECRET.into(),
            written: None,
            text: SecretText::new(b"a secret of some length".to_vec()),
            not_before: None,
            not_after: None,
        };
        let tolerance = Tolerance::Within(Duration::from_secs(300));
        let settings = Settings {
            tolerance,
            future_tolerance: tolerance,
            public_url: None,
            max_body: 1 << 20,
        };
        let mut body = br#"{"event_id":"00000000-0000-4000-8000-000000000001","event_type":"conversation.ended","organization_uuid":"6f1c0c7e","data":""#.to_vec();
        body.resize(1022, b'x');
        body.extend_from_slice(b"\"}");
        let request = SignRequest {
            method: "POST",
            target: "/webhooks/itellico",
            body: &body,
            id: None,
            at: AT,
            public_url: None,
            headers: &[],
        };
        let signed = sign(&scheme, &secret, &request).expect("a signature");
        let mut received = b"POST /webhooks/itellico HTTP/1.1\r\nHost: hooks.example.com\r\n\
            User-Agent: itellico/1.0\r\nAccept: */*\r\nContent-Type: application/json\r\n\
            Content-Length: 1024\r\n"
            .to_vec();
        for (name, value) in &signed {
            received.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        received.extend_from_slice(b"\r\n");
        let received = Bytes::from(received);
        Self {
            head: Head::parse(received.clone(), &Limits::default()).expect("a head"),
            received,
            body,
            envelope: Envelope::of(&scheme),
            verifier: Verifier::new(scheme, vec![secret], settings).expect("a key"),
        }
    }
}

fn routes() -> RouteTable<usize> {
    let path = |number| match number {
        0 => "/webhooks/itellico".to_owned(),
        _ => format!("/webhooks/other-{number}"),
    };
    let pattern = |number| Pattern::parse(None, &path(number)).expect("a pattern");
    RouteTable::new((0..100).map(|number| (pattern(number), number)).collect())
}

fn arrival(
    key: &FingerprintKey,
    route: &RouteFingerprints,
    event_id: Option<&str>,
    body: &[u8],
) -> Arrival {
    let id = event_id.unwrap_or_default();
    Arrival {
        key: route.by_id(id),
        body: key.body(body).mark(),
        path: None,
        variant: key.variant(Beside::default(), None, body),
        variants: 1,
        repeats: None,
        signed_at: Some(AT),
        route: route.route,
        event: Some(route.event(id)),
        request: route.request(REQUEST_ID),
        ttl: Duration::from_secs(72 * 3600),
        fresh_until: Some(UnixMillis(AT.0 + 301_000)),
        route_capacity: None,
        share: 1_000_000,
    }
}

fn filled_window(key: &FingerprintKey, route: &RouteFingerprints) -> MemoryWindow {
    let window = MemoryWindow::new(1_000_000);
    let now = Now {
        wall: AT,
        mono: Duration::ZERO,
    };
    for number in 0..HELD {
        let ticket = claim(
            &window,
            arrival(key, route, Some(&number.to_string()), b""),
            now,
        );
        ready(window.commit(ticket, now)).expect("a window in memory");
    }
    window
}

fn claim(window: &MemoryWindow, arrival: Arrival, now: Now) -> Ticket {
    match ready(window.claim(&arrival, now)) {
        Ok(Claimed::Granted(ticket)) => ticket,
        other => unreachable!("{other:?}"),
    }
}

/// The memory window's futures are ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the memory window never waits"),
    }
}

/// The record of a delivery that was forwarded and answered.
fn record<'x>(names: &'x RouteNames, head: &'x Head, event: &Event) -> Record<'x> {
    Record {
        route: Some(names),
        client: Some(IpAddr::from([203, 0, 113, 9])),
        method: head.method(),
        path: head.path(),
        status: Some(200),
        proved: true,
        event: Some(event.clone()),
        delivery_timestamp: Some(AT),
        skew_secs: Some(-1),
        secret: Some(SECRET.into()),
        body_bytes: 1024,
        verify: Duration::from_nanos(2_600),
        asked_upstream: true,
        upstream_status: Some(200),
        upstream_time: Some(Duration::from_micros(4_250)),
        total: Duration::from_micros(5_001),
        outcome: Outcome::Forwarded,
        ..Record::begun(UnixMillis(AT.0 + 123), RequestId::Made(REQUEST_ID))
    }
}
