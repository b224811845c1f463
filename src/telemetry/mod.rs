//! The gateway's view of itself (contract: What is seen): the record of an exchange, its access-log
//! line, its metrics, and the messages for the operator.
//!
//! [`Telemetry::finish`] is the only way to log line and counters, so nothing is counted without
//! being logged. The gateway decides when an exchange ends and what its record says.
//!
//! Entered by: whatever an operator reads of a running gateway. May import: `replay` and the rooms
//! below it; no Pingora.

pub mod access_log;
pub mod descriptions;
mod durations;
pub mod handshakes;
mod json;
mod line;
mod log_writer;
pub mod metrics;
pub mod operational;
mod process;
pub mod queue_metrics;
pub mod rate_limit;
mod route_counts;
pub mod route_metrics;
mod secret_series;
mod series;
mod sharded;

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access_log::{AccessLog, LogWriter};
pub use line::RouteNames;
use metrics::Metrics;
use route_metrics::RouteMetrics;

use crate::clock::UnixMillis;
use crate::queue::DeliveryId;
use crate::verdict::Code;
use crate::verify::envelope::{Event, EventText};

/// The access log and the metrics of one gateway. Cheap to clone; clones share both.
#[derive(Clone, Debug)]
pub struct Telemetry {
    log: AccessLog,
    /// The metrics: for making handles at load, for setting gauges, and for showing.
    pub metrics: Metrics,
}

impl Telemetry {
    /// Starts the access log into `sink` and all metrics at zero. The guard that comes with it must
    /// be finished after everything that logs.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        sink: impl Write + Send + 'static,
        version: &str,
    ) -> io::Result<(Self, LogWriter)> {
        let metrics = Metrics::new(version);
        let (log, writer) = AccessLog::start(sink, metrics.log_lines_dropped.clone())?;
        Ok((Self { log, metrics }, writer))
    }

    /// Counts and logs one exchange that has ended. Returns at once, whatever the state of the
    /// sink.
    pub fn finish(&self, route: &RouteMetrics, record: &Record<'_>) {
        route.count(record);
        self.log.write(record);
    }

    /// Counts and logs an attempt to deliver what waits in the queue. Its request was counted when it
    /// was acknowledged.
    pub fn attempted(&self, route: &RouteMetrics, record: &Record<'_>) {
        route.count_attempt(record);
        self.log.write(record);
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream's answer was relayed.
    Forwarded,
    /// The gateway answered with a refusal.
    Refused,
    /// The gateway answered that the event was already processed.
    Duplicate,
    /// The gateway acknowledged an event of a type that the route does not take.
    Ignored,
    /// The gateway stored the delivery and acknowledged it.
    Queued,
    /// The gateway answered a handshake. A handshake that the app answers is `Forwarded`.
    Handshake,
    /// The upstream could not be reached, broke off, or answered something that is not HTTP.
    UpstreamFailed,
    /// The upstream did not answer in time, or not whole.
    UpstreamTimeout,
    /// The client left before its answer was written, or took it too slowly.
    ClientGone,
    /// The gateway gave up for a reason of its own.
    Aborted,
}

impl Outcome {
    /// The name in the access log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Queued => "queued",
            Self::Handshake => "handshake",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ClientGone => "client_gone",
            Self::Aborted => "aborted",
        }
    }
}

/// All that is known of one exchange. It is filled in step by step, and written when the exchange
/// ends.
#[derive(Debug)]
pub struct Record<'x> {
    /// The moment at which the request's head was complete, or refused, by the wall clock.
    pub time: UnixMillis,
    /// `X-Request-Id`.
    pub request_id: RequestId<'x>,
    /// The names of the matched route.
    pub route: Option<&'x RouteNames>,
    /// The client's address; behind a trusted proxy, the address that the proxy names.
    pub client: Option<IpAddr>,
    /// As received; from the network.
    pub method: &'x str,
    /// As received, without the query; from the network.
    pub path: &'x str,
    /// The status of the answer; `None` if nothing was answered.
    pub status: Option<u16>,
    /// The refusal that the judgement before forwarding ended in. If `None`, the verdict is `valid`
    /// where `proved`; otherwise nothing was judged.
    pub refused: Option<Code>,
    /// The words of the refusal, or of the failure, that the client is told; never bytes from the
    /// network.
    pub reason: Option<&'static str>,
    /// Whether the delivery was proved.
    pub proved: bool,
    /// The event that the delivery reports, if it is an event of its own and not a handshake; from
    /// the network.
    pub event: Option<Event>,
    /// The delivery's place in the queue, once it was stored.
    pub queued: Option<Queued>,
    /// The account of a delivery that the route does not take for its account; from the network.
    pub unlisted: Option<EventText>,
    /// The delivery's timestamp; of a delivery that is not proved, the timestamp that it states.
    pub delivery_timestamp: Option<UnixMillis>,
    /// The seconds by which that timestamp is off, negative in the past.
    pub skew_secs: Option<i64>,
    /// The matched secret's name.
    pub secret: Option<Arc<str>>,
    /// Body bytes read.
    pub body_bytes: u64,
    /// Time spent on the judgement alone, not on waiting for bytes; zero where nothing was judged.
    pub verify: Duration,
    /// Whether the gateway sent the request to the route's upstream, or tried to and could not reach
    /// it.
    pub asked_upstream: bool,
    /// The place of the upstream that was asked last, among those of the route.
    pub upstream: usize,
    /// The upstream's final status.
    pub upstream_status: Option<u16>,
    /// The time from asking for an upstream connection to the upstream's final status line.
    pub upstream_time: Option<Duration>,
    /// The time from `time` to the last byte written.
    pub total: Duration,
    /// How the exchange ended.
    pub outcome: Outcome,
}

impl<'x> Record<'x> {
    /// The record of a request of which only its beginning and its id are known.
    pub fn begun(time: UnixMillis, request_id: RequestId<'x>) -> Self {
        Self {
            time,
            request_id,
            route: None,
            client: None,
            method: "",
            path: "",
            status: None,
            refused: None,
            reason: None,
            proved: false,
            event: None,
            queued: None,
            unlisted: None,
            delivery_timestamp: None,
            skew_secs: None,
            secret: None,
            body_bytes: 0,
            verify: Duration::ZERO,
            asked_upstream: false,
            upstream: 0,
            upstream_status: None,
            upstream_time: None,
            total: Duration::ZERO,
            outcome: Outcome::Refused,
        }
    }

    /// The judgement before forwarding by name: `valid`, a refusal's code, or `None` where nothing
    /// was judged.
    pub fn verdict(&self) -> Option<&'static str> {
        match self.refused {
            Some(code) => Some(code.name()),
            None => self.proved.then_some("valid"),
        }
    }

    /// The event's id, if it is known.
    pub fn event_id(&self) -> Option<&str> {
        self.event.as_ref()?.id.as_deref()
    }

    /// The event's type, if it is known.
    pub fn event_type(&self) -> Option<&str> {
        self.event.as_ref()?.event_type.as_deref()
    }

    /// The account of the delivery, if it is known.
    pub fn account(&self) -> Option<&str> {
        match &self.event {
            Some(event) => event.account.as_deref(),
            None => self.unlisted.as_deref(),
        }
    }
}

/// A delivery that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its name.
    pub id: DeliveryId,
    /// The number of the attempt, from 1; `None` for its acceptance.
    pub attempt: Option<u32>,
}

/// The id of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestId<'x> {
    /// 128 bits of the gateway, in lower-case hexadecimal digits.
    Made([u8; 32]),
    /// The id that a trusted proxy sent.
    Given(&'x str),
}

impl RequestId<'_> {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        match self {
            // Digits are a text.
            Self::Made(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Self::Given(text) => text,
        }
    }

    /// The bytes of that text. They are at hand, where the text of made digits is judged first.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Made(digits) => digits,
            Self::Given(text) => text.as_bytes(),
        }
    }
}

#[cfg(test)]
mod sample {
    //! Records for the tests of this room.

    use std::sync::LazyLock;

    use super::*;

    /// The route, provider and upstream of these records.
    pub(super) const NAMES: [&str; 3] = ["itellico", "itellico", "http://127.0.0.1:3000"];
    static SHOWN: LazyLock<RouteNames> = LazyLock::new(|| {
        let [route, provider, upstream] = NAMES;
        RouteNames::new(route, provider, [upstream])
    });

    /// A delivery that was forwarded and answered.
    pub(super) fn forwarded() -> Record<'static> {
        Record {
            time: UnixMillis(1_750_000_000_123),
            request_id: RequestId::Made(*b"00112233445566778899aabbccddeeff"),
            route: Some(&SHOWN),
            client: Some(IpAddr::from([203, 0, 113, 9])),
            method: "POST",
            path: "/webhooks/itellico",
            status: Some(200),
            refused: None,
            reason: None,
            proved: true,
            event: Some(Event {
                id: Some("evt-1".into()),
                event_type: Some("conversation.ended".into()),
                account: Some("acc-1".into()),
            }),
            queued: None,
            unlisted: None,
            delivery_timestamp: Some(UnixMillis::from_secs(1_749_999_999)),
            skew_secs: Some(-1),
            secret: Some("env:S".into()),
            body_bytes: 1024,
            verify: Duration::from_nanos(2_600),
            asked_upstream: true,
            upstream: 0,
            upstream_status: Some(200),
            upstream_time: Some(Duration::from_micros(4_250)),
            total: Duration::from_micros(5_001),
            outcome: Outcome::Forwarded,
        }
    }

    /// A client that left before anything was known of its request.
    pub(super) fn unread() -> Record<'static> {
        let Record {
            time,
            request_id,
            total,
            ..
        } = forwarded();
        Record {
            total,
            outcome: Outcome::ClientGone,
            ..Record::begun(time, request_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A sink that never returns from a write while the test runs.
    struct Blocked {
        entered: mpsc::Sender<()>,
        until: mpsc::Receiver<()>,
    }

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.entered.send(());
            let _ = self.until.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn with_standard_output_blocked_requests_go_on_and_every_lost_line_is_counted() {
        let (entered, writes) = mpsc::channel();
        let (release, until) = mpsc::channel();
        let (telemetry, writer) = Telemetry::start(Blocked { entered, until }, "1").unwrap();
        let route = telemetry.metrics.route("itellico", ["env:S"]);
        telemetry.finish(&route, &sample::forwarded());
        writes.recv_timeout(Duration::from_secs(20)).unwrap();
        let mut exchanges = 1_u64;
        while telemetry.metrics.log_lines_dropped.get() < 100 && exchanges < 1_000_000 {
            telemetry.finish(&route, &sample::forwarded());
            exchanges += 1;
        }
        let rendered = telemetry.metrics.render();
        assert!(
            rendered.contains("verigate_log_lines_dropped_total 100\n"),
            "{rendered}"
        );
        let counted = format!(
            "verigate_requests_total{{route=\"itellico\",verdict=\"valid\"}} {exchanges}\n"
        );
        assert!(rendered.contains(&counted), "{rendered}");
        // At the end the pending lines are lost as well, and no line is counted twice.
        let left = writer.finish(Duration::from_millis(5));
        assert_eq!(telemetry.metrics.log_lines_dropped.get(), 100 + left);
        assert_eq!(100 + left, exchanges);
        drop(release);
    }
}
