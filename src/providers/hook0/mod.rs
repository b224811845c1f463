//! Hook0 and Coinbase Developer Platform: the time, a list of headers with their values, and the
//! body (schemes: Code; the provider's own worker and the vectors of its libraries,
//! `clients/conformance/signature.json`).
//!
//! The signature header names the headers that it covers, and all is joined by dots. The list is
//! signed itself, so nobody else can shorten it. Nothing but a dot divides a value from the next value
//! and the last value from the body, so bytes could move from one into the other under the same
//! signature. Each text has therefore exactly one reading: no value holds a dot but the event's type,
//! no value holds a bracket, and the body begins with a bracket, as JSON does. An event header that is
//! there and is not listed is refused, so that id and type are signed wherever they are read.
//!
//! The older signature `v0` covers time and body alone. It is never looked at: a provider that sends
//! both would let an attacker choose the weaker one.

use super::reading;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{Begun, CodeKey, ProviderCode, RouteFacts, SignRequest, Statement};
use crate::scheme::refusals::NONE_IN_LIST;
use crate::scheme::{Algorithm, Items, Place};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

const SIGNATURE: &str = "x-hook0-signature";
const EVENT_ID: &str = "x-event-id";
const EVENT_TYPE: &str = "x-event-type";
const ALGORITHM: Algorithm = Algorithm::HmacSha256;
const UNIT: Unit = Unit::Seconds;

/// The most headers that a signature may cover, as in the provider's libraries.
const MOST_HEADERS: usize = 64;

const NOT_ONE_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the signature header does not hold exactly one timestamp `t`",
);
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp is not a plain decimal number without a leading zero",
);
const NOT_ONE_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature header does not hold exactly one list `h` of 1 to 64 names in lower case, each \
     named once, with a blank between them",
);
const NO_HEADER: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed header is missing, or there more than once",
);
const NOT_LISTED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "x-event-id or x-event-type is there, and the list of signed headers does not name it",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed header other than x-event-type holds a dot, or a signed header holds a bracket: dots \
     divide what is signed",
);
const NO_JSON: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the body does not begin with `{` or `[`, so nothing shows where the signed headers end",
);

/// Hook0's code.
#[derive(Debug)]
pub(super) struct Hook0;

impl ProviderCode for Hook0 {
    fn name(&self) -> &'static str {
        "hook0"
    }

    fn content_words(&self) -> &'static str {
        "the time, the listed headers and the body"
    }

    fn secret_words(&self) -> &'static str {
        "the secret of the subscription: its bytes are the key"
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("`t` in the signature's header, seconds")
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE]
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        match place {
            Place::Json(_) => true,
            Place::Header(name) => name.is_one_of(&[EVENT_ID, EVENT_TYPE]),
            Place::Claim(_) => false,
        }
    }

    fn signs_header(&self, head: &Head, name: &FieldName) -> bool {
        let parts = parts(head).ok().flatten();
        parts.is_some_and(|parts| parts.names().any(|listed| name.is(listed)))
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let parts = parts(head)?.ok_or(Refusal::from(Code::MissingSignature))?;
        let signatures: Vec<_> = parts
            .signatures
            .iter()
            .filter_map(|text| reading::decoded(text, Encoding::Hex, ALGORITHM))
            .collect();
        if signatures.is_empty() {
            return Err(NONE_IN_LIST);
        }
        let at = UNIT.parse(parts.time).ok_or(NO_TIME)?;
        Ok(Begun {
            timestamp: Some((at, UNIT)),
            signatures,
            algorithm: ALGORITHM,
            timestamp_text: parts.time.to_vec(),
            expires: None,
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        _route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let parts = parts(head)?.ok_or(Refusal::from(Code::MissingSignature))?;
        let content = content(head, parts.time, parts.list, body)?;
        Ok(reading::statement(vec![content], body.to_vec(), begun))
    }

    /// Signs all headers that the request already has, and the event's id.
    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let mut headers = Vec::new();
        if let Some(id) = request.id {
            headers.push((EVENT_ID.to_owned(), id.to_owned()));
        } else if request.headers.is_empty() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let given = request.headers.iter().map(|(name, _)| *name);
        let own = headers.iter().map(|(name, _)| name.as_str());
        let mut names: Vec<_> = given.chain(own).map(str::to_ascii_lowercase).collect();
        names.sort_unstable();
        let list = names.join(" ");
        let head = reading::unsigned(request, &headers)?;
        let time = UNIT.write(request.at).ok_or(NO_TIME)?;
        let start = content(&head, time.as_bytes(), list.as_bytes(), request.body)?;
        let content = [&start, request.body].concat();
        let signed = reading::completed(headers, SIGNATURE, &content, key, Encoding::Hex);
        Ok(signed.map(|mut headers| {
            if let Some((_, signature)) = headers.last_mut() {
                *signature = format!("t={time},h={list},v1={signature}");
            }
            headers
        }))
    }
}

/// The parts of a signature header.
struct Parts<'h> {
    time: &'h [u8],
    list: &'h [u8],
    signatures: Vec<&'h [u8]>,
}

impl<'h> Parts<'h> {
    /// The names of the list.
    fn names(&self) -> impl Iterator<Item = &'h [u8]> + use<'h> {
        self.list.split(|byte| *byte == b' ')
    }
}

/// Takes the signature header apart; `None` where it is missing. Items with another label are skipped.
fn parts(head: &Head) -> Result<Option<Parts<'_>>, Refusal> {
    let Some(text) = reading::signature_text(head, SIGNATURE)? else {
        return Ok(None);
    };
    let (mut times, mut lists, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    for item in text.split(|byte| *byte == b',') {
        if let Some(time) = item.strip_prefix(b"t=") {
            times.push(time);
        } else if let Some(list) = item.strip_prefix(b"h=") {
            lists.push(list);
        } else if let Some(signature) = item.strip_prefix(b"v1=")
            && signatures.len() < Items::LIMIT
        {
            signatures.push(signature);
        }
    }
    if signatures.is_empty() {
        return Err(NONE_IN_LIST);
    }
    let [time] = times.as_slice() else {
        return Err(NOT_ONE_TIME);
    };
    let [list] = lists.as_slice() else {
        return Err(NOT_ONE_LIST);
    };
    Ok(Some(Parts {
        time,
        list,
        signatures,
    }))
}

/// The signed content before the body.
fn content(head: &Head, time: &[u8], list: &[u8], body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let names = names(list).ok_or(NOT_ONE_LIST)?;
    for own in [EVENT_ID, EVENT_TYPE] {
        if !names.contains(&own) && head.find_str(own) != Found::Nothing {
            return Err(NOT_LISTED);
        }
    }
    if !matches!(body, [b'{' | b'[', ..]) {
        return Err(NO_JSON);
    }
    let mut content = [time, b".", list, b"."].concat();
    for name in names {
        let Found::One(value) = head.find_str(name) else {
            return Err(NO_HEADER);
        };
        let is_taken = |byte: &u8| match byte {
            b'{' | b'[' => false,
            b'.' => name == EVENT_TYPE,
            _ => true,
        };
        if !value.iter().all(is_taken) {
            return Err(NOT_DIVIDED);
        }
        content.extend_from_slice(value);
        content.push(b'.');
    }
    Ok(content)
}

/// The names in a list; `None` where the list is empty, too long or of another form.
fn names(list: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(list).ok()?;
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let mut names = Vec::new();
    for name in text.split(' ') {
        if !is_name(name) || name == SIGNATURE || names.contains(&name) {
            return None;
        }
        names.push(name);
        if names.len() > MOST_HEADERS {
            return None;
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests;
