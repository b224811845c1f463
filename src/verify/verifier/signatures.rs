//! The reading of a signature header: a whole value, a prefix, `t=…,v1=…`, lists, several headers
//! (schemes: Signature).
//!
//! Allocates only for decoded signatures, of which there are at most as many as the scheme's limit.
//! Whether they hold is not judged here.

use sha2::{Digest as _, Sha256};

use crate::notation::encoding::Encoding;
use crate::notation::json::Value;
use crate::notation::query::parameter;
use crate::scheme::refusals::{
    NO_PARAMETER, NO_SIGNATURE, NONE_IN_LIST, SEVERAL_PARAMETERS, SEVERAL_SIGNATURES,
};
use crate::scheme::{
    Algorithm, CredentialScheme, Items, Kind, NO_ITEMS, TemplateScheme, TimestampAt,
};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

/// The longest signature held without an allocation: ECDSA in DER.
const INLINE: usize = 72;

const NO_PREFIX: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not begin with the text that this scheme puts there",
);
const NONE_IN_BODY: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body holds no signature where this scheme puts it",
);

/// The signatures that a delivery carries, decoded.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    first: Option<Candidate>,
    more: Vec<Candidate>,
    /// Whether all signatures must hold. Otherwise a single signature is enough.
    pub(super) all: bool,
}

/// A decoded signature. Of a shared token, it is the SHA-256.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The kind of key that can check this signature.
    pub(super) kind: Kind,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Short([u8; INLINE], usize),
    Long(Vec<u8>),
}

impl Candidate {
    pub(super) fn new(kind: Kind, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            bytes: Bytes::Long(bytes),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Short(bytes, len) => bytes.get(..*len).unwrap_or_default(),
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl Signatures {
    pub(super) fn of(candidates: impl IntoIterator<Item = Candidate>) -> Self {
        let mut candidates = candidates.into_iter();
        Self {
            first: candidates.next(),
            more: candidates.collect(),
            all: false,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.first.iter().chain(&self.more)
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    fn push(&mut self, candidate: Candidate) {
        if self.first.is_none() {
            self.first = Some(candidate);
        } else {
            self.more.push(candidate);
        }
    }
}

/// The timestamp in a signature header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp<'h> {
    /// The header has no timestamp, neither under its label nor at its position.
    Nothing,
    /// The header has the timestamp once, with this text.
    One(&'h [u8]),
    /// The timestamp is there more than once.
    Several,
}

/// The way in which signatures or credentials are written in a head or a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignatureRule<'s> {
    algorithm: Algorithm,
    headers: &'s [FieldName],
    /// The parameter of the query that carries the signature instead.
    query: Option<&'s str>,
    /// Whether the same header may have several lines, each with a signature of its own.
    repeat: bool,
    encoding: Encoding,
    prefix: &'s str,
    /// Whether the prefix comes once, before the list.
    prefix_once: bool,
    items: &'s Items,
    /// The label of the timestamp among the items.
    time_label: Option<&'s str>,
    /// The position of the timestamp among the items, counted from 1.
    time_item: Option<usize>,
}

impl<'s> SignatureRule<'s> {
    /// The rule for the signatures of a template.
    pub(super) fn of_template(template: &'s TemplateScheme) -> Self {
        let place = &template.signature;
        let (time_label, time_item) = match template.timestamp.as_ref().map(|place| &place.at) {
            Some(TimestampAt::Field(label)) => (Some(label.as_str()), None),
            Some(TimestampAt::Item(position)) => (None, Some(*position)),
            _ => (None, None),
        };
        Self {
            algorithm: template.algorithm,
            headers: &place.headers,
            query: place.query.as_deref(),
            repeat: place.repeat,
            encoding: place.encoding,
            prefix: &place.prefix,
            prefix_once: place.prefix_once,
            items: &place.items,
            time_label,
            time_item,
        }
    }

    /// The rule for a credential, which is sent itself.
    pub(super) fn of_credential(credential: &'s CredentialScheme) -> Self {
        Self {
            algorithm: credential.algorithm(),
            headers: &credential.place.headers,
            query: None,
            repeat: false,
            encoding: Encoding::Base64,
            prefix: &credential.place.prefix,
            prefix_once: false,
            items: &NO_ITEMS,
            time_label: None,
            time_item: None,
        }
    }
}

/// Reads the signatures of a head, from its headers or its query, and the timestamp that is written among them.
///
/// # Errors
/// `missing_signature`, `malformed_signature`.
pub(super) fn read<'h>(
    rule: &SignatureRule<'_>,
    head: &'h Head,
) -> Result<(Signatures, Stamp<'h>), Refusal> {
    let mut reading = Reading {
        rule,
        found: Signatures::default(),
        stamp: Stamp::Nothing,
        why: None,
    };
    let mut is_there = false;
    if let Some(name) = rule.query {
        match parameter(head.query().unwrap_or_default(), name) {
            Found::Nothing | Found::One(b"") => return Err(NO_PARAMETER),
            Found::Several => return Err(SEVERAL_PARAMETERS),
            Found::One(value) => {
                is_there = true;
                reading.value(value);
            }
        }
    }
    for name in rule.headers {
        if rule.repeat {
            for value in lines(head, name)? {
                is_there |= !value.is_empty();
                reading.value(value);
            }
            continue;
        }
        match head.find(name) {
            Found::Nothing | Found::One(b"") => {}
            Found::Several => return Err(SEVERAL_SIGNATURES),
            Found::One(value) => {
                is_there = true;
                reading.value(value);
            }
        }
    }
    if !is_there {
        return Err(Code::MissingSignature.into());
    }
    if reading.found.first.is_none() {
        return Err(reading.why.unwrap_or(NONE_IN_LIST));
    }
    Ok((reading.found, reading.stamp))
}

/// Reads the signatures in a body. There must be a signature, and all of them must hold.
///
/// # Errors
/// `malformed_signature`.
pub(super) fn read_values<'b>(
    rule: &SignatureRule<'_>,
    values: impl IntoIterator<Item = Value<'b>>,
) -> Result<Signatures, Refusal> {
    let mut found = Signatures {
        all: true,
        ..Signatures::default()
    };
    for value in values {
        let text = value.string(MAX_IN_BODY).ok_or(NONE_IN_BODY)?;
        let text = text
            .as_bytes()
            .strip_prefix(rule.prefix.as_bytes())
            .ok_or(NO_PREFIX)?;
        found.push(decode(rule.algorithm, rule.encoding, text).ok_or(NO_SIGNATURE)?);
    }
    if found.first.is_none() {
        Err(NONE_IN_BODY)
    } else {
        Ok(found)
    }
}

/// The longest signature taken from a body, in bytes of its text.
const MAX_IN_BODY: usize = 4096;

/// All lines with exactly this name. A line whose name is an alias is refused, since a receiver
/// could take it for the header itself.
fn lines<'h>(head: &'h Head, name: &FieldName) -> Result<impl Iterator<Item = &'h [u8]>, Refusal> {
    if head
        .lines()
        .any(|(line, _)| name.is_or_aliases(line) && !name.is(line))
    {
        return Err(SEVERAL_SIGNATURES);
    }
    let name = name.clone();
    Ok(head
        .lines()
        .filter(move |(line, _)| name.is(line))
        .map(|(_, value)| value))
}

struct Reading<'s, 'h> {
    rule: &'s SignatureRule<'s>,
    found: Signatures,
    stamp: Stamp<'h>,
    /// The reason why the last unreadable signature could not be read.
    why: Option<Refusal>,
}

impl<'h> Reading<'_, 'h> {
    fn value(&mut self, mut value: &'h [u8]) {
        if self.rule.prefix_once {
            let Some(rest) = value.strip_prefix(self.rule.prefix.as_bytes()) else {
                self.why = Some(NO_PREFIX);
                return;
            };
            value = rest;
        }
        match self.rule.items.separator.as_deref().map(str::as_bytes) {
            Some(separator) if !separator.is_empty() => {
                let (mut rest, mut position) = (value, 1);
                while let Some(at) = first(rest, separator) {
                    let (item, behind) = rest.split_at_checked(at).unwrap_or((rest, b""));
                    self.item(item, position);
                    rest = behind.get(separator.len()..).unwrap_or_default();
                    position += 1;
                }
                self.item(rest, position);
            }
            _ => self.item(value, 1),
        }
    }

    fn item(&mut self, item: &'h [u8], position: usize) {
        let items = self.rule.items;
        if self.rule.time_item == Some(position) {
            return self.time(item);
        }
        if items.assign.is_none() {
            return self.signature(self.rule.algorithm, item);
        }
        let Some((label, value)) = items.divide(item) else {
            return;
        };
        if self
            .rule
            .time_label
            .is_some_and(|own| own.as_bytes() == label)
        {
            self.time(value);
        }
        if let Some(algorithm) = items.accepted(label) {
            self.signature(algorithm, value);
        }
    }

    fn time(&mut self, text: &'h [u8]) {
        self.stamp = if self.stamp == Stamp::Nothing {
            Stamp::One(text)
        } else {
            Stamp::Several
        };
    }

    fn signature(&mut self, algorithm: Algorithm, text: &[u8]) {
        if self.found.len() >= self.rule.items.limit {
            return;
        }
        let prefix = if self.rule.prefix_once {
            ""
        } else {
            self.rule.prefix
        };
        let Some(text) = strip(algorithm, prefix, text) else {
            self.why = Some(NO_PREFIX);
            return;
        };
        match decode(algorithm, self.rule.encoding, text) {
            Some(candidate) => self.found.push(candidate),
            None => self.why = Some(NO_SIGNATURE),
        }
    }
}

/// The index of the first `separator` in `text`. Nearly all are a single byte, for which a searcher
/// of longer texts would cost more to prepare than to use.
fn first(text: &[u8], separator: &[u8]) -> Option<usize> {
    match separator {
        [byte] => memchr::memchr(*byte, text),
        _ => memchr::memmem::find(text, separator),
    }
}

/// Takes the prefix off; `None` if the text begins in another way. The name of HTTP's own scheme
/// `Basic` may be in any case (RFC 7617).
fn strip<'t>(algorithm: Algorithm, prefix: &str, text: &'t [u8]) -> Option<&'t [u8]> {
    if algorithm != Algorithm::Basic {
        return text.strip_prefix(prefix.as_bytes());
    }
    let (name, behind) = text.split_at_checked(BASIC.len())?;
    name.eq_ignore_ascii_case(BASIC).then_some(behind)
}

/// The text in front of user and password (RFC 7617).
const BASIC: &[u8] = b"Basic ";

/// Decodes a signature; `None` if `text` is not the spelling of a signature of this algorithm.
fn decode(algorithm: Algorithm, encoding: Encoding, text: &[u8]) -> Option<Candidate> {
    let kind = algorithm.kind();
    let encoding = match algorithm {
        Algorithm::Token => return (!text.is_empty()).then(|| hashed(text)),
        Algorithm::Basic => Encoding::Base64,
        _ => encoding,
    };
    let mut short = [0; INLINE];
    if let Some(len) = encoding.decode(text, &mut short)
        && algorithm != Algorithm::Basic
    {
        return algorithm.takes_length(len).then_some(Candidate {
            kind,
            bytes: Bytes::Short(short, len),
        });
    }
    let mut long = vec![0; text.len()];
    let len = encoding.decode(text, &mut long)?;
    long.truncate(len);
    if algorithm == Algorithm::Basic {
        return long.contains(&b':').then(|| hashed(&long));
    }
    algorithm
        .takes_length(len)
        .then(|| Candidate::new(kind, long))
}

/// The candidate of a shared token. Hashes are compared instead of tokens, so that the time taken
/// does not tell the token's length either.
fn hashed(token: &[u8]) -> Candidate {
    let mut bytes = [0; INLINE];
    let digest = Sha256::digest(token);
    for (to, from) in bytes.iter_mut().zip(&digest) {
        *to = *from;
    }
    Candidate {
        kind: Kind::Token,
        bytes: Bytes::Short(bytes, digest.len()),
    }
}
