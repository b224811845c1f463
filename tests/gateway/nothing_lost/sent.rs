//! Deliveries of all kinds, each made again from a few numbers, so that an account of thousands needs no memory for
//! their bodies.

use super::Random;
use crate::support::delivery::{Delivery, event_with_size, fresh_event_id, sign};
use crate::support::upstream::Recorded;
use crate::support::{SECRET, now};

/// What makes a delivery, but for the moment at which it is signed.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Its event.
    pub(super) event: String,
    /// The bytes of its body.
    pub(super) size: usize,
    method: &'static str,
    target: &'static str,
    headers: usize,
    /// Whether the body is sent in chunks.
    is_chunked: bool,
}

const TARGETS: [&str; 4] = [
    "/webhooks/itellico",
    "/webhooks/itellico?a=1&b=%20%2F&a=2",
    "/webhooks/itellico?",
    "/webhooks/itellico?q=a/b//c;d='e'",
];

/// Headers that reach the app, in order.
type Headers = &'static [(&'static str, &'static [u8])];

const HEADERS: [Headers; 5] = [
    &[],
    &[("X-Own", b"kept"), ("X-Empty", b"")],
    &[("X-Many", b"1"), ("x-many", b"2"), ("X-MANY", b"1")],
    &[("X-Bytes", b"caf\xc3\xa9 \xff\xfe"), ("X-Tab", b"a\tb")],
    &[
        ("Authorization", b"Bearer of-the-sender"),
        (
            "traceparent",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ],
];

impl Sent {
    /// A fresh one. One in 40 is above a mebibyte, which is stored in pieces.
    pub(super) fn any(random: &mut Random) -> Self {
        let size = match random.below(40) {
            0 => 1_100_000 + random.below(1_200_000),
            1..=4 => 20_000 + random.below(200_000),
            _ => 300 + random.below(4_000),
        };
        Self {
            event: fresh_event_id(),
            size: usize::try_from(size).expect("a size"),
            method: if random.is_one_of(5) { "PUT" } else { "POST" },
            target: TARGETS[random.place(TARGETS.len())],
            headers: random.place(HEADERS.len()),
            is_chunked: random.is_one_of(4),
        }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        event_with_size(&self.event, self.size)
    }

    /// All bytes of it, signed at this Unix time. Two headers are among them that are not for the app.
    pub(super) fn bytes(&self, signed_at: u64) -> Vec<u8> {
        let body = self.body();
        let timestamp = signed_at.to_string();
        let signature = sign(SECRET, &body, &timestamp);
        let delivery = Delivery::unsigned(self.target, body)
            .request_line(format!("{} {} HTTP/1.1", self.method, self.target))
            .with("X-Webhook-Timestamp", &timestamp)
            .with("Cookie", "session=of-the-sender")
            .with("Connection", "x-hop")
            .with("X-Hop", "1")
            .with("X-Webhook-Signature-256", signature);
        let headers = HEADERS[self.headers].iter();
        let delivery = headers.fold(delivery, |delivery, (name, value)| {
            delivery.with(name, value)
        });
        if self.is_chunked {
            delivery.chunked_by(60_000).bytes()
        } else {
            delivery.bytes()
        }
    }

    /// What is wrong with an attempt to deliver it, if anything is.
    pub(super) fn fault(&self, arrived: &Recorded) -> Option<String> {
        if arrived.body != self.body() {
            return Some(format!(
                "a body of {} bytes in place of {}",
                arrived.body.len(),
                self.size
            ));
        }
        if arrived.method != self.method || arrived.target != self.target.as_bytes() {
            return Some(format!("another request line: {arrived}"));
        }
        let is_gateways = |name: &str| {
            let name = name.to_ascii_lowercase();
            let ours = ["host", "content-length", "x-request-id"];
            name.starts_with("x-verigate-")
                || name.starts_with("x-forwarded-")
                || ours.contains(&name.as_str())
        };
        let came: Vec<(&str, &[u8])> = arrived
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .filter(|(name, _)| !is_gateways(name))
            .collect();
        let at: &[u8] = came.first().map_or(&[], |(_, value)| value);
        let timestamp = String::from_utf8_lossy(at);
        let signature = sign(SECRET, &arrived.body, &timestamp);
        let mut wanted: Vec<(&str, &[u8])> = vec![
            ("X-Webhook-Timestamp", at),
            ("X-Webhook-Signature-256", signature.as_bytes()),
        ];
        wanted.extend(HEADERS[self.headers]);
        let is_whole = came == wanted
            && arrived.header("Host").as_deref() == Some("a")
            && arrived.header("Content-Length") == Some(self.size.to_string());
        (!is_whole).then(|| format!("other headers: {arrived}"))
    }
}

/// The present second, as a sender signs it.
pub(super) fn second() -> u64 {
    now()
}
