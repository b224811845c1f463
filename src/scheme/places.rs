//! The places and spellings of a delivery's parts: key, signature, timestamp and acknowledgement
//! (schemes: Keys and secrets, Signature, Timestamp and tolerance, Acknowledgement).
//!
//! This file is data alone: [`key`](super::key) makes keys, and the verifier reads headers.

use std::time::Duration;

use super::Algorithm;
use crate::notation::encoding::Encoding;
use crate::notation::json::Pointer;
use crate::notation::timestamp::Unit;
use crate::wire::head::FieldName;

/// The way in which a secret's text becomes the bytes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyForm {
    /// The encoding of the text that is left after `strip`.
    pub encoding: KeyEncoding,
    /// A prefix that is removed before decoding where the text has it, such as `whsec_`.
    pub strip: Option<String>,
    /// A text of which the first occurrence is left out, such as the first `-` of a UUID.
    pub drop_first: Option<String>,
    /// Whether a secret without that prefix is refused (`required = true`). It has no effect
    /// without `strip`.
    pub strip_required: bool,
}

/// The encodings in which a secret may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyEncoding {
    /// The text's own bytes.
    #[default]
    Utf8,
    /// `utf8-nfkd`: the UTF-8 bytes of the text's compatibility decomposition (Unicode Standard
    /// Annex 15).
    Utf8Nfkd,
    /// Standard base64, padded.
    Base64,
    /// Hexadecimal digits of either case.
    Hex,
}

/// The place of the signature, and how it is written.
#[derive(Clone, Debug)]
pub struct SignaturePlace {
    /// The headers that may carry the signature. Each of them that a delivery has gives candidates,
    /// and a delivery must have at least one. Empty where the signature is in the body.
    pub headers: Vec<FieldName>,
    /// The place in a JSON body: every match must hold, and at least one match must exist.
    pub json: Option<Pointer>,
    /// Whether the body is a form, of which [`json`](Self::json) names a field.
    pub in_form: bool,
    /// The parameter of the URL's query that carries the signature, in place of a header.
    pub query: Option<String>,
    /// Whether a header may have several lines, each a candidate.
    pub repeat: bool,
    /// The encoding of the signature's bytes.
    pub encoding: Encoding,
    /// The text before the signature: exact, case-sensitive, and required unless empty.
    pub prefix: String,
    /// Whether that text comes once, before the whole list, and not before each signature of it.
    pub prefix_once: bool,
    /// The rule by which a header's value is taken apart.
    pub items: Items,
}

impl SignaturePlace {
    /// The header that signing writes and that messages name: the first; `None` where the signature
    /// is in the body or in the query.
    pub fn header(&self) -> Option<&FieldName> {
        self.headers.first()
    }
}

/// The rule by which the value of a signature header is taken apart into signatures, and perhaps a
/// timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// The text between two items; `None` where the value is a single item.
    pub separator: Option<String>,
    /// The byte between an item's label and its value; `None` where items have no labels.
    pub assign: Option<u8>,
    /// Whether the label ends at the last of these bytes, so that a label may hold some itself;
    /// otherwise it ends at the first.
    pub assign_last: bool,
    /// The labels that count, each with its algorithm; without effect where items have no labels.
    /// A `*` in a label stands for any text.
    pub accept: Vec<(String, Algorithm)>,
    /// The most signatures that are tried.
    pub limit: usize,
}

impl Items {
    /// The most signatures that are tried, unless a scheme has a limit of its own.
    pub const LIMIT: usize = 16;

    /// The algorithm of a signature under this label; `None` for a label that does not count.
    pub fn accepted(&self, label: &[u8]) -> Option<Algorithm> {
        let mut accepted = self.accept.iter();
        accepted
            .find(|(pattern, _)| is_like(pattern.as_bytes(), label))
            .map(|(_, algorithm)| *algorithm)
    }

    /// The label and the value of an item; `None` for an item without a label.
    pub fn divide<'i>(&self, item: &'i [u8]) -> Option<(&'i [u8], &'i [u8])> {
        let assign = self.assign?;
        let at = if self.assign_last {
            memchr::memrchr(assign, item)
        } else {
            memchr::memchr(assign, item)
        };
        let (label, value) = item.split_at_checked(at?)?;
        Some((label, value.get(1..).unwrap_or_default()))
    }
}

/// Whether a label has the form of a pattern, in which the first `*` stands for any text.
fn is_like(pattern: &[u8], label: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'*', pattern) else {
        return pattern == label;
    };
    let (begin, end) = pattern.split_at_checked(at).unwrap_or((pattern, b""));
    let end = end.get(1..).unwrap_or_default();
    let rest = label.strip_prefix(begin);
    rest.is_some_and(|rest| rest.ends_with(end))
}

impl Default for Items {
    fn default() -> Self {
        Self {
            separator: None,
            assign: None,
            assign_last: false,
            accept: Vec::new(),
            limit: Self::LIMIT,
        }
    }
}

/// The place of the timestamp, and how it is written.
#[derive(Clone, Debug)]
pub struct TimestampPlace {
    /// The place of the timestamp.
    pub at: TimestampAt,
    /// The unit in which it is written.
    pub unit: Unit,
    /// The time at which the provider makes it.
    pub stamped: Stamped,
    /// Whether nothing signs the timestamp (`unsigned = true`). Such a timestamp may only refuse a
    /// delivery, and replay protection treats the scheme as a scheme without timestamp.
    pub unsigned: bool,
    /// Whether a delivery without timestamp is refused. Only a signed body may lack it, since then
    /// only the sender can leave it out.
    pub required: bool,
}

impl TimestampPlace {
    /// The header that signing writes and that messages name: the first; `None` where the timestamp
    /// has no header of its own.
    pub fn header(&self) -> Option<&FieldName> {
        match &self.at {
            TimestampAt::Headers(names) => names.first(),
            TimestampAt::Field(_) | TimestampAt::Item(_) | TimestampAt::Json(_) => None,
        }
    }
}

/// The place of a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimestampAt {
    /// The first of these headers that a delivery has.
    Headers(Vec<FieldName>),
    /// The item with this label in the signature header; there must be exactly one.
    Field(String),
    /// The item at this position of the signature header's list, counted from 1. It is no signature.
    Item(usize),
    /// A place in the JSON body. Its freshness is judged once the signature holds.
    Json(Pointer),
}

/// The answer to a duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The status, 200 to 299.
    pub status: u16,
    /// The body, at most 4 KiB.
    pub body: String,
    /// The value of `Content-Type`.
    pub content_type: String,
}

/// The time at which a provider makes its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Stamped {
    /// The provider does not say.
    #[default]
    Unknown,
    /// For each attempt: a retry carries a new timestamp.
    Attempt,
    /// Once for the event: an honest retry carries the old timestamp.
    Event,
}

/// How often a request that wants an answer may come again, byte for byte, and be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// The number of repeats, the first request not counted.
    pub most: u16,
    /// The time after the first request in which they may come.
    pub within: Duration,
}

impl Stamped {
    /// The name, as `timestamp.stamped` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Attempt => "attempt",
            Self::Event => "event",
        }
    }
}
