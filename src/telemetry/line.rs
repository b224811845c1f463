//! A line of the access log (contract: Access log): a record as a JSON object, its keys always the
//! same and in the same order. The forms of single values are in `json`.
//!
//! A [`Record`] holds no secret, and values from the network are escaped and cut.

use std::net::{IpAddr, Ipv4Addr};

use super::json;
use super::json::Second;
use super::{Queued, Record, RequestId};
use crate::notation::decimal::{push_address, push_number};

/// Appends a key and its value, or `null`. The punctuation before a value is one constant with its
/// key, so that a field is two or three pieces.
macro_rules! field {
    // A number, or another value without quotation marks.
    ($line:ident, $key:literal, $value:expr, $push:expr) => {
        match $value {
            Some(value) => {
                $line.extend_from_slice(concat!(",\"", $key, "\":").as_bytes());
                $push(&mut *$line, value);
            }
            None => $line.extend_from_slice(concat!(",\"", $key, "\":null").as_bytes()),
        }
    };
    // A text, whose inside is written by the function in front.
    ($push:path => $line:ident, $key:literal, $value:expr) => {
        match $value {
            Some(value) => {
                $line.extend_from_slice(concat!(",\"", $key, "\":\"").as_bytes());
                $push($line, value);
                $line.push(b'"');
            }
            None => $line.extend_from_slice(concat!(",\"", $key, "\":null").as_bytes()),
        }
    };
}

/// The names of a route as a line shows them: its own, its provider's, and its upstreams' addresses.
/// They are made once, when the configuration is loaded, and not for each line.
#[derive(Clone, Debug)]
pub struct RouteNames {
    /// The fields of route and provider.
    own: Box<[u8]>,
    /// The field of each upstream.
    upstreams: Box<[Box<[u8]>]>,
}

impl RouteNames {
    /// The names of a route with this provider and these addresses of its upstreams.
    pub fn new<'u>(
        route: &str,
        provider: &str,
        upstreams: impl IntoIterator<Item = &'u str>,
    ) -> Self {
        let mut own = Vec::new();
        let line = &mut own;
        field!(json::push_text => line, "route", Some(route));
        field!(json::push_text => line, "provider", Some(provider));
        let upstreams = upstreams.into_iter().map(|upstream| {
            let mut field = Vec::new();
            let line = &mut field;
            field!(json::push_text => line, "upstream", Some(upstream));
            field.into()
        });
        Self {
            own: own.into(),
            upstreams: upstreams.collect(),
        }
    }
}

/// The line of a record, and what is kept for the next line of the same thread.
pub(super) struct Line {
    bytes: Vec<u8>,
    /// The second of the last line.
    began: Second,
    /// The second of the last line's timestamp of the delivery.
    signed: Second,
    client: Client,
}

/// The client of the last line and the text of its address: a connection brings many requests.
struct Client {
    address: IpAddr,
    text: Vec<u8>,
}

impl Client {
    /// No client yet: the text that is kept is not that of an address.
    const NOBODY: Self = Self {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        text: Vec::new(),
    };

    fn text_of(&mut self, address: IpAddr) -> &[u8] {
        if self.address != address || self.text.is_empty() {
            self.address = address;
            self.text.clear();
            push_address(&mut self.text, address);
        }
        &self.text
    }
}

impl Line {
    /// A line without anything kept.
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            began: Second::EPOCH,
            signed: Second::EPOCH,
            client: Client::NOBODY,
        }
    }

    /// The line of `record`, its line feed included.
    pub(super) fn of(&mut self, record: &Record<'_>) -> &[u8] {
        let line = &mut self.bytes;
        line.clear();
        line.extend_from_slice(b"{\"time\":");
        self.began.push_time(line, record.time);
        field!(push_id => line, "request_id", Some(&record.request_id));
        match record.route {
            Some(names) => line.extend_from_slice(&names.own),
            None => line.extend_from_slice(b",\"route\":null,\"provider\":null"),
        }
        let client = record.client.map(|client| self.client.text_of(client));
        field!(Vec::extend_from_slice => line, "client", client);
        let method = Some(record.method).filter(|method| !method.is_empty());
        field!(json::push_cut => line, "method", method);
        let path = without_query(record.path);
        field!(json::push_cut => line, "path", Some(path).filter(|path| !path.is_empty()));
        field!(line, "status", record.status.map(u64::from), push_number);
        field!(push_own => line, "verdict", record.verdict());
        field!(json::push_text => line, "reason", record.reason);
        field!(json::push_cut => line, "event_id", record.event_id());
        field!(json::push_cut => line, "event_type", record.event_type());
        field!(json::push_cut => line, "account", record.account());
        match record.queued {
            Some(queued) => push_queued(line, queued),
            None => line.extend_from_slice(b",\"delivery_id\":null,\"attempt\":null"),
        }
        let signed = &mut self.signed;
        field!(
            line,
            "delivery_timestamp",
            record.delivery_timestamp,
            |line, time| signed.push_time(line, time)
        );
        field!(line, "skew_s", record.skew_secs, json::push_signed);
        field!(json::push_text => line, "secret", record.secret.as_deref());
        field!(line, "body_bytes", Some(record.body_bytes), push_number);
        field!(line, "verify_us", Some(record.verify), json::push_micros);
        let names = record.route.filter(|_| record.asked_upstream);
        match names.and_then(|names| names.upstreams.get(record.upstream)) {
            Some(upstream) => line.extend_from_slice(upstream),
            None => line.extend_from_slice(b",\"upstream\":null"),
        }
        let upstream_status = record.upstream_status.map(u64::from);
        field!(line, "upstream_status", upstream_status, push_number);
        field!(line, "upstream_ms", record.upstream_time, json::push_millis);
        field!(line, "total_ms", Some(record.total), json::push_millis);
        field!(push_own => line, "outcome", Some(record.outcome.name()));
        line.extend_from_slice(b"}\n");
        line
    }
}

fn push_queued(line: &mut Vec<u8>, queued: Queued) {
    let id = queued.id.to_string();
    field!(json::push_text => line, "delivery_id", Some(id.as_str()));
    field!(line, "attempt", queued.attempt.map(u64::from), push_number);
}

/// A name from this program, which needs no escape.
fn push_own(line: &mut Vec<u8>, name: &'static str) {
    line.extend_from_slice(name.as_bytes());
}

fn push_id(line: &mut Vec<u8>, id: &RequestId<'_>) {
    match id {
        // Digits need no escape.
        RequestId::Made(digits) => line.extend_from_slice(digits),
        RequestId::Given(text) => json::push_cut(line, text),
    }
}

/// The path of a record has no query. If a mistake elsewhere let a query come this far, it is cut
/// off here.
fn without_query(path: &str) -> &str {
    let end = memchr::memchr(b'?', path.as_bytes());
    end.map_or(path, |end| path.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::UnixMillis;
    use crate::queue::DeliveryId;
    use crate::telemetry::{Outcome, sample};
    use crate::verdict::Code;
    use crate::verify::envelope::Event;

    const KEYS: [&str; 25] = [
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
        "delivery_id",
        "attempt",
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
        let mut line = String::from_utf8(Line::new().of(record).to_vec()).unwrap();
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
                r#""event_type":"conversation.ended","account":"acc-1","delivery_id":null,"attempt":null,"#,
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

    /// The line of a record of this route, provider and upstream, written plainly.
    fn plain_line(record: &Record<'_>, names: [&str; 3]) -> String {
        fn quoted(value: Option<&str>, push: fn(&mut Vec<u8>, &str)) -> String {
            value.map_or("null".into(), |value| {
                let mut inside = Vec::new();
                push(&mut inside, value);
                format!("\"{}\"", String::from_utf8(inside).unwrap())
            })
        }
        fn bare<T: ToString>(value: Option<T>) -> String {
            value.map_or("null".into(), |value| value.to_string())
        }
        let own = |value| quoted(value, json::push_text);
        let [route, provider, upstream] = names.map(|name| record.route.map(|_| name));
        let cut = |value| quoted(value, json::push_cut);
        let time = |time: UnixMillis| {
            let time = jiff::Timestamp::from_millisecond(time.0).unwrap();
            format!("\"{time:.3}\"")
        };
        let millis = |time: Duration| {
            let micros = time.as_micros();
            format!("{}.{:03}", micros / 1000, micros % 1000)
        };
        let values = [
            time(record.time),
            cut(Some(record.request_id.as_str())),
            own(route),
            own(provider),
            own(record.client.map(|client| client.to_string()).as_deref()),
            cut(Some(record.method).filter(|method| !method.is_empty())),
            cut(record
                .path
                .split('?')
                .next()
                .filter(|path| !path.is_empty())),
            bare(record.status),
            own(record.verdict()),
            own(record.reason),
            cut(record.event_id()),
            cut(record.event_type()),
            cut(record.account()),
            own(record.queued.map(|queued| queued.id.to_string()).as_deref()),
            bare(record.queued.and_then(|queued| queued.attempt)),
            bare(record.delivery_timestamp.map(time)),
            bare(record.skew_secs),
            own(record.secret.as_deref()),
            record.body_bytes.to_string(),
            ((record.verify.as_nanos() + 500) / 1000).to_string(),
            own(upstream.filter(|_| record.asked_upstream)),
            bare(record.upstream_status),
            bare(record.upstream_time.map(millis)),
            millis(record.total),
            own(Some(record.outcome.name())),
        ];
        let pairs = KEYS.iter().zip(&values);
        let fields: Vec<_> = pairs
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    proptest! {
        #[test]
        fn a_line_is_the_plain_form_of_its_record(
            texts in proptest::array::uniform8(proptest::option::of("[ -~]{0,12}|[ -~]{190,210}|\\PC{0,9}")),
            times in proptest::array::uniform2(-62_167_219_200_000_i64..=253_402_300_799_999),
            lengths in proptest::array::uniform3(any::<u32>()),
            whole in any::<(Option<u16>, Option<i64>, u64, [u8; 4], Option<u16>)>(),
        ) {
            let [route, provider, method, path, id, event_type, secret, upstream] = &texts;
            let [verify, upstream_time, total] = lengths.map(|nanos| Duration::from_nanos(nanos.into()));
            let (status, skew_secs, body_bytes, client, upstream_status) = whole;
            let names = [route, provider, upstream].map(|name| name.as_deref().unwrap_or_default());
            let shown = RouteNames::new(names[0], names[1], ["-", names[2]]);
            let record = Record {
                time: UnixMillis(times[0]),
                route: route.is_some().then_some(&shown),
                client: status.map(|_| client.into()),
                method: method.as_deref().unwrap_or_default(),
                path: path.as_deref().unwrap_or_default(),
                status,
                event: id.is_some().then(|| Event {
                    id: id.as_deref().map(Into::into),
                    event_type: event_type.as_deref().map(Into::into),
                    account: None,
                }),
                queued: status.map(|_| Queued {
                    id: DeliveryId(body_bytes.into()),
                    attempt: upstream_status.map(u32::from),
                }),
                delivery_timestamp: status.map(|_| UnixMillis(times[1])),
                skew_secs,
                secret: secret.as_deref().map(Into::into),
                body_bytes,
                verify,
                asked_upstream: upstream.is_some(),
                upstream: 1,
                upstream_status,
                upstream_time: status.map(|_| upstream_time),
                total,
                ..sample::forwarded()
            };
            // What is kept of a line changes nothing in the next line.
            let mut line = Line::new();
            let sample = (&sample::forwarded(), sample::NAMES);
            for (record, names) in [(&record, names), (&record, names), sample, (&record, names)] {
                let written = String::from_utf8(line.of(record).to_vec()).unwrap();
                prop_assert_eq!(written, plain_line(record, names) + "\n");
            }
        }

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
