//! The head of a delivery as it waits in the queue: what an attempt is built from, beside the body
//! (contract: Queue).
//!
//! Kept are the end-to-end headers as they were received, and what was found out about the delivery.
//! Not kept are cookies, a credential in its own place, and the headers that a route adds: those are
//! secrets, or belong to the configuration at the time of the attempt.

use std::net::IpAddr;

use bytes::Bytes;

use super::headers::going_on;
use crate::clock::UnixMillis;
use crate::config::units::written_moment;
use crate::gateway::client::origin::{Origin, Trusted};
use crate::gateway::upstream::request::WasProved;
use crate::notation::packed::{Reader, Writer};
use crate::scheme::Scheme;
use crate::verify::claim::EventKey;
use crate::verify::envelope::{Event, EventText};
use crate::wire::head::{FieldName, Head};

/// The first byte of a stored head. Another form gets another number.
const FORM: u8 = 2;

/// What a stored head says about its delivery.
pub(super) struct Facts<'a> {
    /// The id of the request that brought it.
    pub(super) request_id: &'a str,
    /// The name of the secret that matched.
    pub(super) secret: &'a str,
    /// Its event.
    pub(super) event: Option<&'a Event>,
    /// The key of its event for the app.
    pub(super) event_key: Option<&'a [u8]>,
    /// How many bytes of its path the route has matched.
    pub(super) matched: usize,
}

/// A head as it was stored.
pub(crate) struct StoredHead {
    head: Head,
    peer: Option<IpAddr>,
    address: Option<IpAddr>,
    is_tls: bool,
    trusted: Option<StoredTrusted>,
    /// How many bytes of the path the route had matched. By now its path may be another.
    pub(super) matched: usize,
    /// The id of the request that brought the delivery.
    pub(crate) request_id: String,
    /// The name of the secret that matched.
    pub(crate) secret: String,
    /// Its event.
    pub(crate) event: Event,
    /// The key of the event for the app.
    pub(crate) event_key: Option<EventKey>,
}

/// The most characters of a text from the network that a message shows.
const SHOWN: usize = 200;

/// A delivery in words, for a message: its event, which strangers may have written, and when it came.
pub(crate) fn in_words(event: Option<&Event>, received: UnixMillis) -> String {
    let shown = |text: Option<&str>| -> String {
        let text = text.unwrap_or("-").chars().take(SHOWN);
        text.flat_map(char::escape_debug).collect()
    };
    format!(
        "event {}, type {}, received {}",
        shown(event.and_then(|event| event.id.as_deref())),
        shown(event.and_then(|event| event.event_type.as_deref())),
        written_moment(received)
    )
}

/// The statements of a trusted proxy.
struct StoredTrusted {
    forwarded_for: Vec<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// The bytes of the head of a delivery that came from `origin` on a route of this scheme. `signed` are
/// the headers that belong to the sender, of those that the gateway would set or drop.
pub(super) fn write(
    head: &Head,
    origin: &Origin<'_>,
    scheme: &Scheme,
    signed: &[&'static FieldName],
    facts: &Facts<'_>,
) -> Bytes {
    let mut bytes = Vec::with_capacity(head.bytes().len() + 256);
    let mut to = Writer(&mut bytes);
    to.byte(FORM);
    to.byte(u8::from(origin.is_tls));
    for address in [origin.peer, origin.address] {
        to.optional_bytes(
            address
                .map(|address| address.to_string())
                .as_deref()
                .map(str::as_bytes),
        );
    }
    to.byte(u8::from(origin.trusted.is_some()));
    if let Some(trusted) = &origin.trusted {
        // The origin keeps a few members at most.
        to.byte(u8::try_from(trusted.forwarded_for.len()).unwrap_or(u8::MAX));
        for member in trusted.forwarded_for.iter().take(usize::from(u8::MAX)) {
            to.bytes(member.as_bytes());
        }
        to.optional_bytes(trusted.proto.map(str::as_bytes));
        to.optional_bytes(trusted.host.map(str::as_bytes));
    }
    to.bytes(facts.request_id.as_bytes());
    to.bytes(facts.secret.as_bytes());
    let event = facts.event;
    for text in [
        event.and_then(|event| event.id.as_deref()),
        event.and_then(|event| event.event_type.as_deref()),
        event.and_then(|event| event.account.as_deref()),
    ] {
        to.optional_bytes(text.map(str::as_bytes));
    }
    to.optional_bytes(facts.event_key);
    // A path has 8 KiB at most.
    to.word(u32::try_from(facts.matched).unwrap_or(u32::MAX));
    to.bytes(&received(head, origin, scheme, signed));
    bytes.into()
}

/// The head as it was received, without what is not kept. One without `Host` becomes one of HTTP/1.0,
/// where none is needed.
fn received(
    head: &Head,
    origin: &Origin<'_>,
    scheme: &Scheme,
    signed: &[&'static FieldName],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.bytes().len() + 16);
    out.extend_from_slice(head.method().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target().as_bytes());
    let has_host = head.host().is_some();
    out.extend_from_slice(if has_host {
        b" HTTP/1.1\r\n"
    } else {
        b" HTTP/1.0\r\n"
    });
    if let Some(host) = head.host() {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let goes_on = going_on(head, origin, signed);
    let credentials = scheme
        .credential()
        .map_or(&[][..], |credential| &credential.place.headers);
    head.copy_lines(&mut out, |known, name| {
        goes_on(known, name)
            && !is_secret(name)
            && !credentials.iter().any(|own| own.is_or_aliases(name))
    });
    out.extend_from_slice(b"\r\n");
    out
}

/// Whether a header holds what gives access to something, whatever the scheme.
fn is_secret(name: &[u8]) -> bool {
    // RFC 2965 has the second one, which some libraries still read.
    name.eq_ignore_ascii_case(b"cookie") || name.eq_ignore_ascii_case(b"cookie2")
}

// The exchange writes a head only with the proof of its delivery.
impl WasProved for StoredHead {}

impl StoredHead {
    /// Reads a head as it was stored. `None` if `bytes` are not the whole of one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        if from.byte()? != FORM {
            return None;
        }
        let is_tls = from.byte()? == 1;
        let mut address = || from.optional_text()?.map(str::parse).transpose().ok();
        let (peer, address) = (address()?, address()?);
        let trusted = match from.byte()? {
            0 => None,
            _ => Some(StoredTrusted::read(&mut from)?),
        };
        let request_id = from.text()?.to_owned();
        let secret = from.text()?.to_owned();
        let mut text = || Some(from.optional_text()?.map(EventText::from));
        let event = Event {
            id: text()?,
            event_type: text()?,
            account: text()?,
        };
        let event_key = match from.optional_text()? {
            Some(text) => Some(EventKey::parse(text)?),
            None => None,
        };
        let matched = usize::try_from(from.word()?).ok()?;
        let head = Head::parse_written(Bytes::copy_from_slice(from.bytes()?)).ok()?;
        head.path().get(matched..)?;
        from.is_at_end().then_some(Self {
            head,
            peer,
            address,
            is_tls,
            trusted,
            matched,
            request_id,
            secret,
            event,
            event_key,
        })
    }

    /// The head as it was received, without what is not kept.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The client's address.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Where the delivery came from.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin {
            peer: self.peer,
            is_tls: self.is_tls,
            address: self.address,
            trusted: self.trusted.as_ref().map(|trusted| Trusted {
                forwarded_for: trusted.forwarded_for.iter().map(String::as_str).collect(),
                proto: trusted.proto.as_deref(),
                host: trusted.host.as_deref(),
                request_id: None,
            }),
        }
    }
}

impl StoredTrusted {
    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let members = from.byte()?;
        let members = (0..members).map(|_| from.text().map(str::to_owned));
        Some(Self {
            forwarded_for: members.collect::<Option<_>>()?,
            proto: from.optional_text()?.map(str::to_owned),
            host: from.optional_text()?.map(str::to_owned),
        })
    }
}
