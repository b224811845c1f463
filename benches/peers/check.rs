//! The same deliveries for every recipe, each right or with exactly one thing wrong: which are
//! accepted, and which refused.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::contenders::{Contender, Setting};
use crate::support::events::{Delivery, Scheme, now};
use crate::support::http1::status;
use crate::support::upstream::{Upstream, content_length};

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It reached the upstream and was answered with this status.
    Forwarded(u16),
    /// It did not reach the upstream and was answered with this status.
    Refused(u16),
    /// It did not reach the upstream, and the connection was closed without an answer.
    Dropped,
}

impl Outcome {
    fn is_forwarded(self) -> bool {
        matches!(self, Self::Forwarded(_))
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Forwarded(status) => format!("forwarded ({status})"),
            Self::Refused(status) => format!("refused ({status})"),
            Self::Dropped => "refused (closed)".to_owned(),
        }
    }
}

/// A delivery's name, its bytes, and whether it is to be forwarded.
type Row = (&'static str, Vec<u8>, bool);

/// The names of the deliveries, in the order of [`outcomes`].
pub(crate) fn names() -> Vec<&'static str> {
    deliveries().into_iter().map(|(name, ..)| name).collect()
}

fn deliveries() -> Vec<Row> {
    let at = now();
    let signed = |at| Delivery::signed(Scheme::Itellico, 1024, at);
    let good = signed(at);
    let altered = |alter: &dyn Fn(&mut Delivery)| {
        let mut delivery = signed(at);
        alter(&mut delivery);
        delivery.event().to_bytes()
    };
    vec![
        ("good", good.event().to_bytes(), true),
        ("the same again", good.event().to_bytes(), false),
        (
            "a byte of the body flipped",
            altered(&|delivery| {
                if let Some(byte) = delivery.body.get_mut(500) {
                    *byte ^= 1;
                }
            }),
            false,
        ),
        (
            "a digit of the signature flipped",
            altered(&|delivery| {
                let other = if delivery.signature.starts_with('0') {
                    "1"
                } else {
                    "0"
                };
                delivery.signature.replace_range(..1, other);
            }),
            false,
        ),
        (
            "a second added to the timestamp",
            altered(&|delivery| delivery.timestamp = (at + 1).to_string()),
            false,
        ),
        (
            "signed ten minutes ago",
            signed(at - 600).event().to_bytes(),
            false,
        ),
        (
            "signed ten minutes ahead",
            signed(at + 600).event().to_bytes(),
            false,
        ),
        (
            "no signature header",
            altered(&|delivery| delivery.signature.clear()),
            false,
        ),
        (
            "larger than 1 MiB",
            Delivery::signed(Scheme::Itellico, (1 << 20) + 1, at)
                .event()
                .to_bytes(),
            false,
        ),
        (
            "another path",
            altered(&|delivery| delivery.path = "/other"),
            false,
        ),
        ("good again", signed(at).event().to_bytes(), true),
    ]
}

/// What the recipe does with each delivery.
pub(crate) fn outcomes(
    contender: &Contender,
    upstream: &Upstream,
    setting: &Setting,
) -> io::Result<Vec<Outcome>> {
    let started = contender.start(setting)?;
    deliveries()
        .iter()
        .map(|(_, bytes, _)| send(started.address, bytes, upstream))
        .collect()
}

/// The deliveries that a verifying recipe treats otherwise than it should.
pub(crate) fn mistakes(outcomes: &[Outcome]) -> Vec<String> {
    deliveries()
        .iter()
        .zip(outcomes)
        .filter(|((.., forwarded), outcome)| *forwarded != outcome.is_forwarded())
        .map(|((name, ..), outcome)| format!("{name}: {}", outcome.text()))
        .collect()
}

fn send(address: SocketAddr, bytes: &[u8], upstream: &Upstream) -> io::Result<Outcome> {
    let before = upstream.served();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // A refusal may come, and the connection close, before all was sent.
    let _ = stream.write_all(bytes);
    let status = answer(&mut stream).unwrap_or(None);
    Ok(match (status, upstream.served() > before) {
        (Some(status), true) => Outcome::Forwarded(status),
        (Some(status), false) => Outcome::Refused(status),
        (None, _) => Outcome::Dropped,
    })
}

/// Reads a whole answer, and returns its status.
fn answer(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        read.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
            let head = read.get(..end + 4).unwrap_or_default();
            if read.len() as u64 >= end as u64 + 4 + content_length(head)? || count == 0 {
                return Ok(status(head));
            }
        }
        if count == 0 {
            return Ok(None);
        }
    }
}
