//! Signed events, each unlike every other, made ahead of the measurement.
//!
//! The bodies of a series differ in their last bytes alone, and share the memory of the rest. A
//! signature over a body of 1 MiB therefore costs its last block, and a hundred thousand events of
//! that size fit into memory. What the proxies see is the same as if each body had its own memory.

use std::fmt::Write as _;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::fields;

/// The secret of every route and recipe, as the operator writes it for itellico and GitHub.
pub(crate) const SECRET: &str = "a secret of some length for the bench";

/// The path of every route and recipe.
pub(crate) const PATH: &str = "/hooks";

/// A signature scheme, by the preset of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Signs `{body}.{timestamp}`.
    Itellico,
    /// Signs `{body}`.
    Github,
    /// Signs `{id}.{timestamp}.{body}`.
    StandardWebhooks,
}

impl Scheme {
    /// The preset's name.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Itellico => "itellico",
            Self::Github => "github",
            Self::StandardWebhooks => "standard-webhooks",
        }
    }

    /// The secret as it is written for this scheme.
    pub(crate) fn secret(self) -> String {
        match self {
            Self::Itellico | Self::Github => SECRET.to_owned(),
            Self::StandardWebhooks => format!("whsec_{}", STANDARD.encode(SECRET)),
        }
    }
}

/// What the bodies are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Filling {
    /// One long text, such as a transcript or a document in base64.
    Text,
    /// Many small objects of texts, numbers and booleans, with escapes and letters beyond ASCII.
    Records,
}

/// A delivery as it goes over the wire, in three parts: its own head, the shared part of the body,
/// its own end of the body.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    own: Vec<u8>,
    head: usize,
    shared: Arc<[u8]>,
}

impl Event {
    /// A delivery of which every byte is its own.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            head: bytes.len(),
            own: bytes,
            shared: Arc::from([]),
        }
    }

    /// The length of head and body.
    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    /// All bytes from `offset` on, in at most three slices.
    pub(crate) fn rest(&self, mut offset: usize) -> [IoSlice<'_>; 3] {
        let (head, end) = self.own.split_at(self.head);
        [head, &self.shared, end].map(|part| {
            let skipped = offset.min(part.len());
            offset -= skipped;
            IoSlice::new(part.get(skipped..).unwrap_or_default())
        })
    }

    /// The length of the head.
    pub(crate) fn head_len(&self) -> usize {
        self.head
    }

    /// The same delivery for HTTP/2: its head is a block of header fields.
    pub(crate) fn for_http2(&self) -> Self {
        let (head, end) = self.own.split_at(self.head);
        let mut own = fields::encoded(head);
        let head = own.len();
        own.extend_from_slice(end);
        Self {
            own,
            head,
            shared: Arc::clone(&self.shared),
        }
    }

    /// All bytes in one buffer.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.rest(0).iter().flat_map(|part| part.to_vec()).collect()
    }
}

/// Everything that a sender decides about a delivery, so that exactly one thing can be made wrong.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) scheme: Scheme,
    pub(crate) path: &'static str,
    pub(crate) id: String,
    pub(crate) timestamp: String,
    /// Nothing is sent where this is empty.
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    /// A good delivery of a fresh event, signed at `at` (seconds since 1970).
    pub(crate) fn signed(scheme: Scheme, size: usize, at: u64) -> Self {
        let events = Events::new(scheme, size, Filling::Text, 0);
        let id = next_id();
        let mut body = events.shared.to_vec();
        body.extend_from_slice(end(&id).as_bytes());
        let timestamp = at.to_string();
        let signature = events.signature(&id, &timestamp);
        Self {
            scheme,
            path: PATH,
            id,
            timestamp,
            signature,
            body,
        }
    }

    /// The delivery as it goes over the wire.
    pub(crate) fn event(&self) -> Event {
        let mut bytes = head(self, self.body.len(), 0);
        bytes.extend_from_slice(&self.body);
        Event::from_bytes(bytes)
    }
}

fn head(delivery: &Delivery, length: usize, further: usize) -> Vec<u8> {
    let Delivery {
        scheme,
        path,
        id,
        timestamp,
        signature,
        ..
    } = delivery;
    let mut head = String::with_capacity(512);
    let _ = write!(
        head,
        "POST {path} HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n"
    );
    for number in 0..further {
        let _ = write!(head, "X-Further-{number}: some value of a usual length\r\n");
    }
    let _ = match scheme {
        Scheme::Itellico => write!(head, "X-Webhook-Timestamp: {timestamp}\r\n"),
        Scheme::Github => write!(head, "X-GitHub-Event: push\r\nX-GitHub-Delivery: {id}\r\n"),
        Scheme::StandardWebhooks => write!(
            head,
            "webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\n"
        ),
    };
    if !signature.is_empty() {
        let _ = match scheme {
            Scheme::Itellico => write!(head, "X-Webhook-Signature-256: {signature}\r\n"),
            Scheme::Github => write!(head, "X-Hub-Signature-256: {signature}\r\n"),
            Scheme::StandardWebhooks => write!(head, "webhook-signature: {signature}\r\n"),
        };
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// A series of events of one scheme and size.
pub(crate) struct Events {
    scheme: Scheme,
    size: usize,
    shared: Arc<[u8]>,
    /// The MAC after the key and, where the body comes first, after its shared part.
    begun: Hmac<Sha256>,
    /// Header lines beyond the usual ones.
    further_headers: usize,
}

impl Events {
    /// A series of bodies of exactly `size` bytes (at least 512), with `further_headers` lines that
    /// mean nothing.
    pub(crate) fn new(
        scheme: Scheme,
        size: usize,
        filling: Filling,
        further_headers: usize,
    ) -> Self {
        let shared: Arc<[u8]> = shared(scheme, size, filling).into();
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes keys of any length (RFC 2104)"
        )]
        let mut begun = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
        if scheme != Scheme::StandardWebhooks {
            begun.update(&shared);
        }
        Self {
            scheme,
            size,
            shared,
            begun,
            further_headers,
        }
    }

    /// `count` further events, signed now.
    pub(crate) fn make(&self, count: usize) -> Vec<Event> {
        let timestamp = now().to_string();
        (0..count)
            .map(|_| {
                let id = next_id();
                let delivery = Delivery {
                    scheme: self.scheme,
                    path: PATH,
                    timestamp: timestamp.clone(),
                    signature: self.signature(&id, &timestamp),
                    id,
                    body: Vec::new(),
                };
                self.event(&delivery)
            })
            .collect()
    }

    /// `count` further events without a signature.
    pub(crate) fn make_unsigned(&self, count: usize) -> Vec<Event> {
        let timestamp = now().to_string();
        (0..count)
            .map(|_| {
                self.event(&Delivery {
                    scheme: self.scheme,
                    path: PATH,
                    timestamp: timestamp.clone(),
                    signature: String::new(),
                    id: next_id(),
                    body: Vec::new(),
                })
            })
            .collect()
    }

    fn event(&self, delivery: &Delivery) -> Event {
        let mut own = head(delivery, self.size, self.further_headers);
        let head = own.len();
        own.extend_from_slice(end(&delivery.id).as_bytes());
        Event {
            own,
            head,
            shared: Arc::clone(&self.shared),
        }
    }

    fn signature(&self, id: &str, timestamp: &str) -> String {
        let end = end(id);
        let mut mac = self.begun.clone();
        match self.scheme {
            Scheme::Itellico => {
                mac.update(end.as_bytes());
                mac.update(b".");
                mac.update(timestamp.as_bytes());
                hex::encode(mac.finalize().into_bytes())
            }
            Scheme::Github => {
                mac.update(end.as_bytes());
                format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
            }
            Scheme::StandardWebhooks => {
                mac.update(format!("{id}.{timestamp}.").as_bytes());
                mac.update(&self.shared);
                mac.update(end.as_bytes());
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
        }
    }
}

/// An event id that no other call in this process returns.
fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: the number only has to differ, it orders nothing.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("6f1c0c7e-0000-4000-8000-{number:012x}")
}

/// The own end of a body, which closes a text and the outer object.
fn end(id: &str) -> String {
    format!("\",\"event_id\":\"{id}\"}}")
}

/// The length of what [`end`] makes.
const END: usize = 52;

/// All of a body up to its own end.
fn shared(scheme: Scheme, size: usize, filling: Filling) -> Vec<u8> {
    let start = match scheme {
        Scheme::Itellico => {
            r#"{"event_type":"conversation.ended","organization_uuid":"0f0e0d0c-0b0a-4000-8000-000000000001","#
        }
        Scheme::Github => {
            r#"{"ref":"refs/heads/main","repository":{"id":1296269,"full_name":"octocat/Hello-World"},"#
        }
        Scheme::StandardWebhooks => {
            r#"{"type":"conversation.ended","timestamp":"2026-01-02T03:04:05Z","#
        }
    };
    let most = size.saturating_sub(END);
    let mut body = start.to_owned();
    if filling == Filling::Records {
        body.push_str("\"turns\":[");
        let mut number = 0;
        while body.len() + 200 < most {
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(
                body,
                "{comma}{{\"index\":{number},\"speaker\":\"agent\",\"start\":{number}.25,\"final\":true,\
                 \"text\":\"Gr\u{fc}\u{df} Gott, this is \\\"Ada\\\".\\n\",\"tags\":[\"a\",null]}}"
            );
            number += 1;
        }
        body.push_str("],");
    }
    body.push_str("\"data\":\"");
    let mut body = body.into_bytes();
    body.resize(most, b'x');
    body
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
