//! The tour as a table: each delivery, and the verdict that it must get.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::receiver::Receiver;
use crate::clock::UnixMillis;
use crate::key::secret::{Secret, SecretText};
use crate::scheme::Scheme;
use crate::sign::{SignRequest, sign};

/// The route that the tour is sent to.
pub(super) const PATH: &str = "/webhooks/itellico";

/// The way in which a delivery differs from a good delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    None,
    WrongSecret,
    ChangedBody,
    Unsigned,
    NoEventId,
    TooLarge,
    OtherPath,
    TwoLengths,
    ReceiverDown,
}

/// A stop of the tour: a delivery, with the verdict and the status that it must get.
struct Stop {
    name: &'static str,
    sent: &'static str,
    /// The number of the event in the body.
    event: u32,
    /// The distance of its timestamp from now, in seconds.
    off: i64,
    twist: Twist,
    verdict: &'static str,
    status: u16,
}

const fn stop(
    name: &'static str,
    sent: &'static str,
    (event, off): (u32, i64),
    twist: Twist,
    (verdict, status): (&'static str, u16),
) -> Stop {
    Stop {
        name,
        sent,
        event,
        off,
        twist,
        verdict,
        status,
    }
}

const STOPS: &[Stop] = &[
    stop(
        "good",
        "a signed delivery",
        (1, 0),
        Twist::None,
        ("valid", 200),
    ),
    stop(
        "replayed",
        "the very same bytes again",
        (1, 0),
        Twist::None,
        ("replayed_event", 409),
    ),
    stop(
        "redelivered",
        "the same event, signed again",
        (1, -1),
        Twist::None,
        ("duplicate_event", 200),
    ),
    stop(
        "forged",
        "signed with another secret",
        (2, 0),
        Twist::WrongSecret,
        ("bad_signature", 401),
    ),
    stop(
        "tampered",
        "one digit of the body changed",
        (3, 0),
        Twist::ChangedBody,
        ("bad_signature", 401),
    ),
    stop(
        "unsigned",
        "no signature header",
        (4, 0),
        Twist::Unsigned,
        ("missing_signature", 401),
    ),
    stop(
        "stale",
        "signed ten minutes ago",
        (5, -600),
        Twist::None,
        ("stale_timestamp", 401),
    ),
    stop(
        "future",
        "signed ten minutes ahead",
        (6, 600),
        Twist::None,
        ("future_timestamp", 401),
    ),
    stop(
        "nameless",
        "signed, but without an event id",
        (7, 0),
        Twist::NoEventId,
        ("invalid_envelope", 422),
    ),
    stop(
        "too large",
        "announces 2 MiB",
        (8, 0),
        Twist::TooLarge,
        ("body_too_large", 413),
    ),
    stop(
        "smuggled",
        "Content-Length and chunked",
        (9, 0),
        Twist::TwoLengths,
        ("bad_request", 400),
    ),
    stop(
        "elsewhere",
        "a path without a route",
        (10, 0),
        Twist::OtherPath,
        ("no_route", 404),
    ),
    stop(
        "receiver down",
        "a signed delivery",
        (11, 0),
        Twist::ReceiverDown,
        ("upstream_unreachable", 502),
    ),
    stop(
        "retried",
        "the same event once it is up again",
        (11, 1),
        Twist::None,
        ("valid", 200),
    ),
];

/// A path that ends the tour in the access log: lines up to its own belong to the tour.
pub(super) const END: &str = "/webhooks/the-end-of-the-tour";

/// Asks for [`END`].
pub(super) fn end(gateway: SocketAddr) -> io::Result<()> {
    ask(gateway, &post(END, &[], 0, "")).map(drop)
}

/// The outcome of a stop.
pub(super) struct Visit {
    /// The name of the stop, the delivery, the verdict, the status, and the event that the receiver
    /// saw; of a step of the queue: its name, what happens, the answer to the sender, what the queue
    /// holds, and what the receiver saw.
    pub(super) cells: [String; 5],
    /// Whether verdict, status and receiver are as expected.
    pub(super) as_expected: bool,
}

/// Sends every delivery of the tour to the gateway at `gateway`.
pub(super) fn travel(
    gateway: SocketAddr,
    scheme: &Scheme,
    secret: &Secret,
    now: UnixMillis,
    receiver: &mut Receiver,
) -> io::Result<Vec<Visit>> {
    STOPS
        .iter()
        .map(|stop| visit(stop, gateway, scheme, secret, now, receiver))
        .collect()
}

fn visit(
    stop: &Stop,
    gateway: SocketAddr,
    scheme: &Scheme,
    secret: &Secret,
    now: UnixMillis,
    receiver: &mut Receiver,
) -> io::Result<Visit> {
    let before = receiver.seen().len();
    if stop.twist == Twist::ReceiverDown {
        receiver.take_down();
    }
    let body = body(stop.event);
    let (status, answer) = ask(gateway, &request(stop, &body, scheme, secret, now)?)?;
    if stop.twist == Twist::ReceiverDown {
        receiver.bring_up()?;
    }
    let seen = receiver.seen().split_off(before);
    let verdict = verdict(&answer);
    let reaches = stop.verdict == "valid";
    let saw = match seen.as_slice() {
        [] => "nothing".to_owned(),
        [one] if one.body == body.as_bytes() => format!("{} {}", one.event_type, one.event_id),
        _ => "something else".to_owned(),
    };
    let as_expected = status == stop.status
        && verdict == stop.verdict
        && seen.len() == usize::from(reaches)
        && seen.iter().all(|one| one.body == body.as_bytes());
    let cells = [
        stop.name.to_owned(),
        stop.sent.to_owned(),
        verdict,
        status.to_string(),
        saw,
    ];
    Ok(Visit { cells, as_expected })
}

/// A body as itellico sends it.
pub(super) fn body(event: u32) -> String {
    format!(
        r#"{{"event_id":"00000000-0000-4000-8000-{event:012}","event_type":"conversation.ended","created":"2026-01-01T00:00:00Z","organization_uuid":"6f1c0c7e-0000-4000-8000-000000000001","data":{{"duration":42}}}}"#
    )
}

/// The headers that make `body` a valid delivery to `target`.
pub(super) fn signed(
    target: &str,
    body: &str,
    at: UnixMillis,
    scheme: &Scheme,
    secret: &Secret,
) -> io::Result<Vec<(String, String)>> {
    let request = SignRequest {
        method: "POST",
        target,
        body: body.as_bytes(),
        id: None,
        at,
        public_url: None,
        headers: &[],
    };
    sign(scheme, secret, &request).map_err(io::Error::other)
}

fn request(
    stop: &Stop,
    body: &str,
    scheme: &Scheme,
    secret: &Secret,
    now: UnixMillis,
) -> io::Result<Vec<u8>> {
    let at = UnixMillis(now.0.saturating_add(stop.off * 1000));
    let other = Secret {
        text: SecretText::new(b"a guess".to_vec()),
        ..secret.clone()
    };
    let (signer, body) = match stop.twist {
        Twist::WrongSecret => (&other, body.to_owned()),
        Twist::NoEventId => (secret, body.replacen("event_id", "eventid", 1)),
        _ => (secret, body.to_owned()),
    };
    let mut headers = signed(PATH, &body, at, scheme, signer)?;
    let sent = if stop.twist == Twist::ChangedBody {
        body.replacen("42", "43", 1)
    } else {
        body
    };
    let mut length = sent.len();
    let mut target = PATH;
    match stop.twist {
        Twist::Unsigned => {
            headers.retain(|(name, _)| !name.to_ascii_lowercase().contains("signature"));
        }
        Twist::TooLarge => length = 2 * 1024 * 1024,
        Twist::TwoLengths => headers.push(("Transfer-Encoding".into(), "chunked".into())),
        Twist::OtherPath => target = "/webhooks/unknown",
        _ => {}
    }
    Ok(post(target, &headers, length, &sent))
}

/// A request that announces `length` bytes and sends `body`.
pub(super) fn post(
    target: &str,
    headers: &[(String, String)],
    length: usize,
    body: &str,
) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n{lines}\r\n{body}"
    )
    .into_bytes()
}

/// Sends a request and reads the answer to the end of the connection.
pub(super) fn ask(gateway: SocketAddr, request: &[u8]) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(gateway)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the gateway's answer is not HTTP"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

/// The verdict in the body of an answer: its code, `duplicate_event`, or `valid` for any other
/// body.
pub(super) fn verdict(answer: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    match json.get("code").and_then(serde_json::Value::as_str) {
        Some(code) => code.to_owned(),
        None if json.get("duplicate").is_some() => "duplicate_event".to_owned(),
        None => "valid".to_owned(),
    }
}
