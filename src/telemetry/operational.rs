//! Messages for the operator on standard error: the level is `RUST_LOG`'s, `info` without it.
//!
//! Other crates' messages below `warn` are never shown, whatever `RUST_LOG` says: Pingora's debug and trace lines print
//! buffers, and with them headers and payload. The access log is elsewhere. A message waits for a slow reader of
//! standard error: what can happen to any request is therefore counted or in the access log, and at most warned about
//! through a [`RateLimit`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use log::{Level, Log, Metadata, Record, SetLoggerError};

use super::json::is_shown_as_is;

/// Sends the messages of the `log` macros to standard error from now on.
///
/// Fails when the process has a logger already.
pub fn init() -> Result<(), SetLoggerError> {
    let mut builder = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    let logger = OwnDetail::around(&mut builder);
    log::set_max_level(logger.inner.filter());
    log::set_boxed_logger(Box::new(logger))
}

/// At most one message per interval; the others are counted, for the next one to tell.
///
/// Reads no clock: whoever asks passes the monotonic time.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    // Relaxed throughout: each is a number of its own, nothing else is read on the strength of it.
    // Nanoseconds of monotonic time.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// A limit of one message per `interval`; the first is allowed at once.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Whether a message may be shown at `now` (monotonic): `Some` with the number suppressed since the last one.
    pub fn allow(&self, now: Duration) -> Option<u64> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = nanos(now.saturating_add(self.interval));
        // of several at the same instant one wins the exchange, the others count as suppressed
        let allowed =
            nanos(now) >= next && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if allowed {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// The logger: only this crate may go below `warn`.
///
/// A wrapper and not one more directive of the filter, because the longest directive wins there:
/// `RUST_LOG=pingora_core::protocols=trace` would undo it.
struct OwnDetail {
    inner: env_logger::Logger,
}

impl OwnDetail {
    fn around(builder: &mut env_logger::Builder) -> Self {
        let inner = builder.format(write_message).build();
        Self { inner }
    }
}

impl Log for OwnDetail {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (metadata.level() <= Level::Warn || is_own(metadata.target())) && self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // the target is free text for whoever logs; the module is where the line truly stands
        let is_own_module = record.module_path().is_none_or(is_own);
        if self.enabled(record.metadata()) && (record.level() <= Level::Warn || is_own_module) {
            self.inner.log(record);
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

fn is_own(module: &str) -> bool {
    module.strip_prefix(env!("CARGO_CRATE_NAME")).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `time level message`, the module only where the level is for developers. Further lines of a message are indented,
/// so that none passes for a message of its own, and controls are escaped.
fn write_message(out: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis();
    write!(out, "{time} {:<5} ", record.level())?;
    if record.level() >= Level::Debug {
        write!(out, "{}: ", record.target())?;
    }
    let message = record.args().to_string();
    let mut shown = String::with_capacity(message.len());
    for character in message.trim_end().chars() {
        match character {
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push('\t'),
            _ if is_shown_as_is(character) => shown.push(character),
            _ => shown.extend(character.escape_unicode()),
        }
    }
    writeln!(out, "{shown}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is shown of one message by a logger with these filters.
    fn shown(filters: &str, target: &str, module: &str, level: Level, message: &str) -> String {
        let sink = Sink::default();
        let mut builder = env_logger::Builder::new();
        builder.parse_filters(filters).target(env_logger::Target::Pipe(Box::new(sink.clone())));
        let logger = OwnDetail::around(&mut builder);
        let mut record = Record::builder();
        record.target(target).module_path(Some(module)).level(level);
        logger.log(&record.args(format_args!("{message}")).build());
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_our_own_modules_go_below_warn_whatever_the_filter_says() {
        let pingora = "pingora_core::protocols::http::v1::server";
        let rows = [
            ("trace", pingora, pingora, Level::Trace, false),
            ("trace", pingora, pingora, Level::Debug, false),
            ("pingora_core::protocols::http::v1::server=trace", pingora, pingora, Level::Trace, false),
            ("pingora_core=debug", pingora, pingora, Level::Info, false),
            ("verigate=trace", "verigate", pingora, Level::Trace, false),
            ("trace", pingora, "verigate", Level::Trace, false),
            ("trace", "verigate_x", "verigate_x", Level::Info, false),
            ("trace", "h2::codec", "h2::codec", Level::Trace, false),
            ("info", pingora, pingora, Level::Warn, true),
            ("error", pingora, pingora, Level::Warn, false),
            ("info", "verigate::gateway", "verigate::gateway", Level::Info, true),
            ("info", "verigate::gateway", "verigate::gateway", Level::Debug, false),
            ("trace", "verigate::gateway", "verigate::gateway", Level::Trace, true),
            ("verigate=debug", "verigate", "verigate", Level::Debug, true),
        ];
        let failures: Vec<_> = rows
            .iter()
            .filter(|(filters, target, module, level, expected)| {
                shown(filters, target, module, *level, "buffer: s3cr3t").contains("s3cr3t") != *expected
            })
            .collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_message_names_its_module_only_in_detail_and_stays_one_message() {
        let info = shown("info", "verigate::x", "verigate::x", Level::Warn, "one\ntwo\x1b[2J\r\n");
        let (time, rest) = info.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "WARN  one\n    two\\u{1b}[2J\n");
        let detail = shown("debug", "verigate::x", "verigate::x", Level::Debug, "one");
        assert!(detail.ends_with(" DEBUG verigate::x: one\n"), "{detail}");
    }

    #[test]
    fn one_message_per_interval_tells_how_many_were_suppressed() {
        let limit = RateLimit::new(Duration::from_secs(10));
        let at = Duration::from_millis;
        assert_eq!(limit.allow(at(0)), Some(0));
        assert_eq!(limit.allow(at(1)), None);
        assert_eq!(limit.allow(at(9_999)), None);
        assert_eq!(limit.allow(at(10_000)), Some(2));
        assert_eq!(limit.allow(at(10_001)), None);
        assert_eq!(limit.allow(at(60_000)), Some(1));
    }

    #[test]
    fn of_many_at_one_instant_exactly_one_is_allowed_and_none_is_forgotten() {
        let limit = RateLimit::new(Duration::from_secs(1));
        let allowed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).filter_map(|_| limit.allow(Duration::ZERO)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 1);
        // the winner may have taken some of the early ones along
        assert!(limit.allow(Duration::from_secs(1)).is_some_and(|suppressed| suppressed <= 3999));
    }
}
