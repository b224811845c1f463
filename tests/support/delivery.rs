//! Deliveries as bytes: a good one, and the tools to make exactly one thing wrong with it (contract: The reference
//! receiver).
//!
//! The signer is written from the contract with the crypto crates alone, so that it cannot share a fault with the
//! product.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{PLAIN_SECRET, SECRET, now};

/// The reference receiver's signature: HMAC-SHA256 over body, full stop, and the timestamp's text; lower-case hex.
pub(crate) fn sign(secret: &str, body: &[u8], timestamp: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length will do");
    mac.update(body);
    mac.update(b".");
    mac.update(timestamp.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// HMAC-SHA256 over the body alone, in lower-case hex: what [`crate::config::Route::plain`] asks for, behind `sha256=`.
pub(crate) fn sign_body(secret: &str, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// An event id (a UUID by its form) that no other call in this or another test process returns.
pub(crate) fn fresh_event_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: the number only has to differ, it orders nothing.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(
        "{:08x}-{:04x}-4000-8000-{number:012x}",
        now() & 0xffff_ffff,
        process::id() & 0xffff
    )
}

/// An envelope with a fresh event id.
pub(crate) fn event() -> Vec<u8> {
    event_with(&fresh_event_id())
}

/// An envelope with this event id.
pub(crate) fn event_with(id: &str) -> Vec<u8> {
    format!(
        "{{\"event_id\":\"{id}\",\"event_type\":\"conversation.ended\",\"created\":\"2026-01-02T03:04:05Z\",\
         \"organization_uuid\":\"0f0e0d0c-0b0a-4000-8000-000000000001\",\"data\":{{\"n\":1}}}}"
    )
    .into_bytes()
}

/// An envelope with a fresh event id that is exactly `size` bytes long, at least 300.
pub(crate) fn event_of(size: usize) -> Vec<u8> {
    event_with_size(&fresh_event_id(), size)
}

/// An envelope with this event id that is exactly `size` bytes long, at least 300.
pub(crate) fn event_with_size(id: &str, size: usize) -> Vec<u8> {
    let mut body = event_with(id);
    let fill = size
        .checked_sub(body.len() + ",\"fill\":\"\"".len())
        .expect("300 bytes at least");
    body.pop();
    body.extend_from_slice(b",\"fill\":\"");
    body.extend((0..fill).map(|n| b"abcdefghijklmnopqrstuvwxyz0123456789"[n % 36]));
    body.extend_from_slice(b"\"}");
    assert_eq!(body.len(), size);
    body
}

/// `bytes` as one chunk, with the last chunk behind it where `last` says so.
pub(crate) fn chunk(bytes: &[u8], last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    if last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    out
}

/// A request under construction: a request line, header lines, and what follows the head, all as raw bytes.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    request_line: Vec<u8>,
    lines: Vec<Vec<u8>>,
    body: Vec<u8>,
    sent_body: Vec<u8>,
}

impl Delivery {
    /// A valid, fresh, unseen delivery for [`crate::config::Route::itellico`].
    pub(crate) fn fresh() -> Self {
        Self::of(event())
    }

    /// A valid delivery of this body for [`crate::config::Route::itellico`], signed now.
    pub(crate) fn of(body: impl Into<Vec<u8>>) -> Self {
        Self::at(body, now())
    }

    /// A delivery of this body for [`crate::config::Route::itellico`], well signed at this Unix time.
    pub(crate) fn at(body: impl Into<Vec<u8>>, unix_seconds: u64) -> Self {
        Self::signed(SECRET, body, &unix_seconds.to_string())
    }

    /// A delivery of this body, signed as the reference receiver has it, with any secret and any timestamp text.
    pub(crate) fn signed(secret: &str, body: impl Into<Vec<u8>>, timestamp: &str) -> Self {
        let body = body.into();
        let signature = sign(secret, &body, timestamp);
        Self::unsigned("/webhooks/itellico", body)
            .with("X-Webhook-Timestamp", timestamp)
            .with("X-Webhook-Signature-256", &signature)
    }

    /// A valid delivery of this body for [`crate::config::Route::plain`].
    pub(crate) fn plain(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = format!("sha256={}", sign_body(PLAIN_SECRET, &body));
        Self::unsigned("/hooks/plain", body).with("X-Signature", &signature)
    }

    /// A POST of this body with `Host: a` and a length, without any signature.
    pub(crate) fn unsigned(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            request_line: format!("POST {target} HTTP/1.1").into_bytes(),
            lines: vec![
                b"Host: a".to_vec(),
                format!("Content-Length: {}", body.len()).into_bytes(),
            ],
            sent_body: body.clone(),
            body,
        }
    }

    /// The body that was signed.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Replaces the request line, without its line end.
    pub(crate) fn request_line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.request_line = line.as_ref().to_vec();
        self
    }

    /// Replaces the target.
    pub(crate) fn target(self, target: impl AsRef<[u8]>) -> Self {
        let line = [b"POST ", target.as_ref(), b" HTTP/1.1"].concat();
        self.request_line(line)
    }

    /// Replaces the method, keeping target and version.
    pub(crate) fn method(self, method: &str) -> Self {
        let rest = self
            .request_line
            .iter()
            .position(|b| *b == b' ')
            .expect("a space behind the method");
        let line = [method.as_bytes(), &self.request_line[rest..]].concat();
        self.request_line(line)
    }

    /// Adds a header line behind the others.
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let line = [name.as_bytes(), b": ", value.as_ref()].concat();
        self.with_line(line)
    }

    /// Adds a line exactly as given, without its line end, behind the others.
    pub(crate) fn with_line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.lines.push(line.as_ref().to_vec());
        self
    }

    /// Adds a line exactly as given, without its line end, before all others.
    pub(crate) fn with_first_line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.lines.insert(0, line.as_ref().to_vec());
        self
    }

    /// Replaces the value of the first header of that name, in its place; adds the header where there is none.
    pub(crate) fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let line = [name.as_bytes(), b": ", value.as_ref()].concat();
        match self.lines.iter_mut().find(|l| is_named(l, name)) {
            Some(place) => {
                *place = line;
                self
            }
            None => self.with_line(line),
        }
    }

    /// Takes every header of that name out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.lines.retain(|line| !is_named(line, name));
        self
    }

    /// The value of the first header of that name.
    pub(crate) fn value(&self, name: &str) -> String {
        let line = self
            .lines
            .iter()
            .find(|line| is_named(line, name))
            .unwrap_or_else(|| panic!("no header {name}"));
        String::from_utf8_lossy(&line[name.len() + 1..])
            .trim()
            .to_owned()
    }

    /// Replaces the body that is sent; the signature stays that of [`Self::body`].
    pub(crate) fn with_body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.sent_body = bytes.into();
        self
    }

    /// Sends the body chunked, in one chunk.
    pub(crate) fn chunked(self) -> Self {
        let chunks = chunk(&self.body, true);
        self.chunked_as(chunks)
    }

    /// Sends the body chunked, in chunks of `size` bytes.
    pub(crate) fn chunked_by(self, size: usize) -> Self {
        let mut chunks: Vec<u8> = self
            .body
            .chunks(size)
            .flat_map(|piece| chunk(piece, false))
            .collect();
        chunks.extend_from_slice(b"0\r\n\r\n");
        self.chunked_as(chunks)
    }

    /// Says `Transfer-Encoding: chunked` and sends these bytes behind the head.
    pub(crate) fn chunked_as(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.without("Content-Length")
            .with("Transfer-Encoding", "chunked")
            .with_body(bytes)
    }

    /// The head, its empty line included.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.head_ended_by(b"\r\n")
    }

    /// The head with another line end.
    pub(crate) fn head_ended_by(&self, line_end: &[u8]) -> Vec<u8> {
        let mut head = self.request_line.clone();
        for line in &self.lines {
            head.extend_from_slice(line_end);
            head.extend_from_slice(line);
        }
        head.extend_from_slice(line_end);
        head.extend_from_slice(line_end);
        head
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.sent_body);
        bytes
    }
}

impl From<Delivery> for Vec<u8> {
    fn from(delivery: Delivery) -> Self {
        delivery.bytes()
    }
}

fn is_named(line: &[u8], name: &str) -> bool {
    line.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        && line.get(name.len()) == Some(&b':')
}
