//! The access log (contract: Access log): a JSON object a line for each exchange, its keys always
//! the same and in the same order.
//!
//! A line is formatted on the caller's thread and written on the thread of [`LogWriter`]; nothing
//! here blocks. A [`Record`] holds no secret, and values from the network are escaped and cut.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use prometheus::IntCounter;

use super::Record;
use super::json;
use super::log_writer::Queue;
use crate::notation::decimal::push_number;

pub use super::log_writer::LogWriter;

/// The handle that writes lines. Cheap to clone; clones share a queue.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: Arc<Queue>,
}

impl AccessLog {
    /// Starts a log into `sink`. Lines that are lost, because the sink is blocked or fails or the
    /// log was finished, are counted in `dropped`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        sink: impl Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<(Self, LogWriter)> {
        let (queue, writer) = LogWriter::start(sink, dropped)?;
        Ok((Self { queue }, writer))
    }

    /// Writes a line and returns at once. Only `Telemetry::finish` calls this, since it counts the
    /// exchange as well.
    pub(super) fn write(&self, record: &Record<'_>) {
        thread_local! {
            // A buffer for each thread, so that a line costs no allocation and the queue's lock is
            // held only while the finished line is copied.
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            push_line(line, record);
            self.queue.push(line);
        });
    }
}

/// Standard output without the standard library's lock and line buffer: a batch is a single write,
/// and a blocked reader holds up nobody else.
///
/// # Errors
/// The descriptor cannot be duplicated.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Appends the line of `record`, its line feed included.
fn push_line(line: &mut Vec<u8>, record: &Record<'_>) {
    let mut fields = Fields { line };
    fields.with(b"{\"time\":", |line| json::push_time(line, record.time));
    fields.cut(b",\"request_id\":", Some(record.request_id.as_str()));
    fields.own(b",\"route\":", record.route);
    fields.own(b",\"provider\":", record.provider);
    fields.maybe(b",\"client\":", record.client, json::push_address);
    fields.cut(
        b",\"method\":",
        Some(record.method).filter(|method| !method.is_empty()),
    );
    // The record's path has no query. If a mistake elsewhere let a query come this far, it is cut
    // off here.
    let path = record.path.split('?').next();
    fields.cut(b",\"path\":", path.filter(|path| !path.is_empty()));
    fields.maybe(b",\"status\":", record.status, |line, status| {
        push_number(line, status.into());
    });
    fields.own(b",\"verdict\":", record.verdict());
    fields.own(b",\"reason\":", record.reason);
    fields.cut(b",\"event_id\":", record.event_id());
    fields.cut(b",\"event_type\":", record.event_type());
    fields.cut(b",\"account\":", record.account());
    fields.maybe(
        b",\"delivery_timestamp\":",
        record.delivery_timestamp,
        json::push_time,
    );
    fields.maybe(b",\"skew_s\":", record.skew_secs, json::push_signed);
    fields.own(b",\"secret\":", record.secret.as_deref());
    fields.with(b",\"body_bytes\":", |line| {
        push_number(line, record.body_bytes);
    });
    fields.with(b",\"verify_us\":", |line| {
        json::push_micros(line, record.verify);
    });
    fields.own(b",\"upstream\":", record.upstream);
    fields.maybe(
        b",\"upstream_status\":",
        record.upstream_status,
        |line, status| {
            push_number(line, status.into());
        },
    );
    fields.maybe(
        b",\"upstream_ms\":",
        record.upstream_time,
        json::push_millis,
    );
    fields.with(b",\"total_ms\":", |line| {
        json::push_millis(line, record.total);
    });
    fields.own(b",\"outcome\":", Some(record.outcome.name()));
    line.extend_from_slice(b"}\n");
}

/// Appends keys and values to a line. A key is given with the punctuation between it and the value
/// before it.
struct Fields<'a> {
    line: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn with(&mut self, key: &[u8], push: impl FnOnce(&mut Vec<u8>)) {
        self.line.extend_from_slice(key);
        push(self.line);
    }

    fn maybe<T>(&mut self, key: &[u8], value: Option<T>, push: impl FnOnce(&mut Vec<u8>, T)) {
        self.with(key, |line| match value {
            Some(value) => push(line, value),
            None => json::push_null(line),
        });
    }

    /// A name that the gateway or the operator chose.
    fn own(&mut self, key: &[u8], value: Option<&str>) {
        self.maybe(key, value, json::push_text);
    }

    /// A value from the network.
    fn cut(&mut self, key: &[u8], value: Option<&str>) {
        self.maybe(key, value, json::push_cut);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::UnixMillis;
    use crate::telemetry::{Outcome, RequestId, sample};
    use crate::verdict::Code;
    use crate::verify::envelope::Event;

    const KEYS: [&str; 23] = [
        "time",
        "request_id",
        "route",
        "provider",
        "client",
        "method",
        "path",
        "status",
        "verdict",
        "reason",
        "event_id",
        "event_type",
        "account",
        "delivery_timestamp",
        "skew_s",
        "secret",
        "body_bytes",
        "verify_us",
        "upstream",
        "upstream_status",
        "upstream_ms",
        "total_ms",
        "outcome",
    ];

    fn line_of(record: &Record<'_>) -> String {
        let mut line = Vec::new();
        push_line(&mut line, record);
        let mut line = String::from_utf8(line).unwrap();
        assert_eq!(line.pop(), Some('\n'));
        line
    }

    fn value_of(record: &Record<'_>) -> Value {
        serde_json::from_str(&line_of(record)).unwrap()
    }

    #[test]
    fn a_line_says_all_that_is_known_in_the_order_of_the_contract() {
        assert_eq!(
            line_of(&sample::forwarded()),
            concat!(
                r#"{"time":"2025-06-15T15:06:40.123Z","request_id":"00112233445566778899aabbccddeeff","#,
                r#""route":"itellico","provider":"itellico","client":"203.0.113.9","method":"POST","#,
                r#""path":"/webhooks/itellico","status":200,"verdict":"valid","reason":null,"event_id":"evt-1","#,
                r#""event_type":"conversation.ended","account":"acc-1","#,
                r#""delivery_timestamp":"2025-06-15T15:06:39.000Z","skew_s":-1,"secret":"env:S","body_bytes":1024,"verify_us":3,"#,
                r#""upstream":"http://127.0.0.1:3000","upstream_status":200,"upstream_ms":4.250,"total_ms":5.001,"#,
                r#""outcome":"forwarded"}"#
            )
        );
    }

    #[test]
    fn what_is_not_known_is_null_under_the_same_keys() {
        let line = line_of(&sample::unread());
        let found: Vec<&str> = line
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|word| KEYS.contains(word))
            .collect();
        assert_eq!(found, KEYS);
        let value = value_of(&sample::unread());
        let known: Vec<&str> = KEYS
            .into_iter()
            .filter(|key| !value[*key].is_null())
            .collect();
        assert_eq!(
            known,
            [
                "time",
                "request_id",
                "body_bytes",
                "verify_us",
                "total_ms",
                "outcome"
            ]
        );
    }

    #[test]
    fn the_verdict_is_the_judgement_before_forwarding() {
        let rows = [
            (true, None, json!("valid")),
            (true, Some(Code::ReplayedEvent), json!("replayed_event")),
            (false, Some(Code::BadSignature), json!("bad_signature")),
            (false, None, Value::Null),
        ];
        let failures: Vec<_> = rows
            .into_iter()
            .map(|(proved, refused, expected)| {
                let record = Record {
                    proved,
                    refused,
                    outcome: Outcome::UpstreamFailed,
                    ..sample::forwarded()
                };
                (value_of(&record)["verdict"].clone(), expected)
            })
            .filter(|(found, expected)| found != expected)
            .collect();
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn a_query_is_never_logged() {
        let record = Record {
            path: "/hooks?token=s3cr3t",
            ..sample::forwarded()
        };
        assert!(!line_of(&record).contains("s3cr3t"));
        assert_eq!(value_of(&record)["path"], "/hooks");
    }

    #[test]
    fn a_timestamp_that_no_calendar_holds_is_null() {
        for millis in [i64::MIN, i64::MAX] {
            let time = UnixMillis(millis);
            let value = value_of(&Record {
                time,
                delivery_timestamp: Some(time),
                ..sample::forwarded()
            });
            assert_eq!(
                (&value["time"], &value["delivery_timestamp"]),
                (&Value::Null, &Value::Null)
            );
        }
    }

    #[test]
    fn lines_of_several_threads_arrive_whole() {
        #[derive(Clone, Default)]
        struct Sink(Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let dropped = IntCounter::new("dropped", "lines").unwrap();
        let (log, writer) = AccessLog::start(sink.clone(), dropped.clone()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let log = log.clone();
                scope.spawn(move || (0..250).for_each(|_| log.write(&sample::forwarded())));
            }
        });
        assert_eq!(writer.finish(Duration::from_secs(20)), 0);
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let expected = line_of(&sample::forwarded());
        assert_eq!(
            written.lines().filter(|line| *line == expected).count(),
            1000
        );
        assert_eq!(dropped.get(), 0);
    }

    proptest! {
        #[test]
        fn whatever_the_network_sends_stays_one_valid_line(texts in proptest::array::uniform6(any::<String>())) {
            let [method, path, id, kind, account, request] = texts;
            let path = path.replace('?', "");
            let event = Event {
                id: Some(id.as_str().into()),
                event_type: Some(kind.as_str().into()),
                account: Some(account.as_str().into()),
            };
            let record = Record {
                method: &method,
                path: &path,
                event: Some(event),
                request_id: RequestId::Given(&request),
                ..sample::forwarded()
            };
            let line = line_of(&record);
            prop_assert!(line.chars().all(json::is_shown_as_is));
            let value: Value = serde_json::from_str(&line).unwrap();
            let cut = |text: &str| text.chars().take(200).collect::<String>();
            prop_assert_eq!(value.as_object().unwrap().len(), KEYS.len());
            prop_assert_eq!(&value["event_id"], &json!(cut(&id)));
            prop_assert_eq!(&value["event_type"], &json!(cut(&kind)));
            prop_assert_eq!(&value["account"], &json!(cut(&account)));
            prop_assert_eq!(&value["request_id"], &json!(cut(&request)));
            prop_assert_eq!(&value["verdict"], "valid");
            prop_assert_eq!(value["method"].as_str().unwrap_or_default(), cut(&method));
            prop_assert_eq!(value["path"].as_str().unwrap_or_default(), cut(record.path));
        }
    }
}
