//! Messages for the operator on standard error. Their level is set by `RUST_LOG`; the default is
//! `info`.
//!
//! Other crates' messages below `warn` are never shown, whatever `RUST_LOG` says: Pingora's debug
//! and trace lines print buffers, and with them headers and bodies. Messages take the same way to
//! their sink as the lines of the access log, so no message ever waits for the reader of standard
//! error.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use log::{Level, Log, Metadata, Record, SetLoggerError};
use prometheus::IntCounter;

use super::json::is_shown_as_is;
use super::log_writer::{LogWriter, Queue};

/// Why messages cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The process has a logger already.
    #[error(transparent)]
    Logger(#[from] SetLoggerError),
    /// The system gives no thread or descriptor.
    #[error("cannot write to standard error: {0}")]
    Output(#[from] io::Error),
    /// The counter of lost messages is declared wrongly: a mistake in this program.
    #[error("cannot count messages: {0}")]
    Counter(#[from] prometheus::Error),
}

/// Sends the messages of the `log` macros to standard error from now on, by a thread of its own, so
/// a reader of standard error that blocks holds up no delivery. The guard that is returned must be
/// finished after everything that logs.
///
/// # Errors
/// See [`InitError`]; no message is shown then.
pub fn init() -> Result<(Notes, LogWriter), InitError> {
    let output = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let dropped = IntCounter::new(
        "messages_dropped",
        "Messages lost because standard error was blocked",
    )?;
    let (queue, writer) = LogWriter::start(output, dropped)?;
    let mut builder =
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"));
    let notes = Notes(Arc::clone(&queue));
    builder.target(env_logger::Target::Pipe(Box::new(Queued(queue))));
    let logger = OwnDetail::around(&mut builder);
    log::set_max_level(logger.inner.filter());
    log::set_boxed_logger(Box::new(logger))?;
    Ok((notes, writer))
}

/// Lines on standard error that are no messages: they have no time, and no `RUST_LOG` hides them.
#[derive(Clone, Debug)]
pub struct Notes(Arc<Queue>);

impl Notes {
    /// Writes a line among the messages, so that neither cuts the other in two.
    pub fn line(&self, text: &str) {
        self.0.push(format!("{text}\n").as_bytes());
    }
}

/// Hands whole messages to the writing thread; `env_logger` writes each in a single piece.
struct Queued(Arc<Queue>);

impl Write for Queued {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.0.push(message);
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The logger: only this crate may show messages below `warn`.
///
/// A wrapper and not a further directive of the filter, because the longest directive wins there:
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
        (metadata.level() <= Level::Warn || is_own(metadata.target()))
            && self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // The target is free text, chosen by the caller of the macro; the module is where the call
        // is in the source.
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
    module
        .strip_prefix(env!("CARGO_CRATE_NAME"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Writes `time level message`, with the module only at the levels for developers. Further lines of
/// a message are indented, so that they cannot pass for messages of their own, and controls are
/// escaped.
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

    /// All that a logger with these filters shows of a message.
    fn shown(filters: &str, target: &str, module: &str, level: Level, message: &str) -> String {
        let sink = Sink::default();
        let mut builder = env_logger::Builder::new();
        builder
            .parse_filters(filters)
            .target(env_logger::Target::Pipe(Box::new(sink.clone())));
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
            (
                "pingora_core::protocols::http::v1::server=trace",
                pingora,
                pingora,
                Level::Trace,
                false,
            ),
            ("pingora_core=debug", pingora, pingora, Level::Info, false),
            ("verigate=trace", "verigate", pingora, Level::Trace, false),
            ("trace", pingora, "verigate", Level::Trace, false),
            ("trace", "verigate_x", "verigate_x", Level::Info, false),
            ("trace", "h2::codec", "h2::codec", Level::Trace, false),
            ("info", pingora, pingora, Level::Warn, true),
            ("error", pingora, pingora, Level::Warn, false),
            (
                "info",
                "verigate::gateway",
                "verigate::gateway",
                Level::Info,
                true,
            ),
            (
                "info",
                "verigate::gateway",
                "verigate::gateway",
                Level::Debug,
                false,
            ),
            (
                "trace",
                "verigate::gateway",
                "verigate::gateway",
                Level::Trace,
                true,
            ),
            ("verigate=debug", "verigate", "verigate", Level::Debug, true),
        ];
        let failures: Vec<_> = rows
            .iter()
            .filter(|(filters, target, module, level, expected)| {
                shown(filters, target, module, *level, "buffer: s3cr3t").contains("s3cr3t")
                    != *expected
            })
            .collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_message_names_its_module_only_in_detail_and_stays_one_message() {
        let info = shown(
            "info",
            "verigate::x",
            "verigate::x",
            Level::Warn,
            "one\ntwo\x1b[2J\r\n",
        );
        let (time, rest) = info.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(rest, "WARN  one\n    two\\u{1b}[2J\n");
        let detail = shown("debug", "verigate::x", "verigate::x", Level::Debug, "one");
        assert!(detail.ends_with(" DEBUG verigate::x: one\n"), "{detail}");
    }
}
