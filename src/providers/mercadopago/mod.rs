//! `mercadopago`: two ids and a time, never the body (SCHEMES 3; the provider's own library, `mercadopago` 3.6.0 for
//! Python).
//!
//! What is absent is left out of what is signed, so an id that holds what divides the parts is refused. The time is in
//! seconds or in milliseconds, both are seen; which of the two its size tells, as no number is a likely time in both.

use super::reading;
use super::reading::NONE_IN_LIST;
use super::{Assertion, Statement};
use crate::clock::UnixMillis;
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::notation::timestamp::Unit;
use crate::scheme::{Algorithm, Items};
use crate::sign::SignRequest;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SIGNATURE: &str = "x-signature";
pub(super) const REQUEST_ID: &str = "x-request-id";
pub(super) const HEADERS: &[&str] = &[SIGNATURE, REQUEST_ID];
const ALGORITHM: Algorithm = Algorithm::HmacSha256;

const NOT_ONE_TIME: Refusal =
    Refusal::because(Code::MalformedTimestamp, "the signature header does not hold exactly one timestamp");
const NO_TIME: Refusal =
    Refusal::because(Code::MalformedTimestamp, "the timestamp is not a plain decimal number without a leading zero");
const NO_QUERY: Refusal =
    Refusal::because(Code::MalformedSignature, "the query, whose data.id is signed, is not one that can be read");
const SEVERAL_IDS: Refusal =
    Refusal::because(Code::MalformedSignature, "data.id or x-request-id, which are signed, is there more than once");
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed id holds a colon, a semicolon, white space, or what is not visible ASCII",
);

/// Judges the head; gives its timestamp.
pub(super) fn begin(head: &Head) -> Result<(UnixMillis, Unit), Refusal> {
    let (time, _) = listed(head)?;
    moment(time)
}

pub(super) fn read(head: &Head) -> Result<Statement, Refusal> {
    let (time, signatures) = listed(head)?;
    let contents = contents(head, time)?;
    Ok(Statement { assertions: vec![Assertion { contents, signatures, algorithm: ALGORITHM }], timestamp: None })
}

/// The headers that make a request a delivery.
pub(super) fn sign(key: &[u8], request: &SignRequest<'_>) -> Result<Option<Vec<(String, String)>>, Refusal> {
    let mut headers = Vec::new();
    if let Some(id) = request.id {
        headers.push((REQUEST_ID.to_owned(), id.to_owned()));
    }
    let head = super::unsigned(request, &headers)?;
    let time = Unit::Milliseconds.write(request.at).ok_or(NO_TIME)?;
    let contents = contents(&head, time.as_bytes())?;
    let signed = super::completed(headers, SIGNATURE, &contents, ALGORITHM, key, Encoding::Hex);
    Ok(signed.map(|mut headers| {
        if let Some((_, signature)) = headers.last_mut() {
            *signature = format!("ts={time},v1={signature}");
        }
        headers
    }))
}

/// Timestamp and signatures, as the header lists them; labels of no meaning and what is no signature are passed over.
fn listed(head: &Head) -> Result<(&[u8], Vec<Vec<u8>>), Refusal> {
    let list = reading::signature_text(head, SIGNATURE)?.ok_or(Refusal::from(Code::MissingSignature))?;
    let mut times = Vec::new();
    let mut signatures = Vec::new();
    for item in list.split(|byte| *byte == b',') {
        if let Some(time) = item.strip_prefix(b"ts=") {
            times.push(time);
        } else if let Some(text) = item.strip_prefix(b"v1=")
            && signatures.len() < Items::LIMIT
        {
            signatures.extend(reading::decoded(text, Encoding::Hex, ALGORITHM));
        }
    }
    if signatures.is_empty() {
        return Err(NONE_IN_LIST);
    }
    let [time] = times.as_slice() else { return Err(NOT_ONE_TIME) };
    Ok((time, signatures))
}

/// Seconds up to the year 5138, which as milliseconds are in 1973.
fn moment(text: &[u8]) -> Result<(UnixMillis, Unit), Refusal> {
    const SECONDS_DIGITS: usize = 11;
    let unit = if text.len() <= SECONDS_DIGITS { Unit::Seconds } else { Unit::Milliseconds };
    Ok((unit.parse(text).ok_or(NO_TIME)?, unit))
}

/// What may have been signed.
///
/// The provider documents the resource's id in lower case, whereas its libraries take it as received. An id in capitals
/// is tried both ways; one of mixed case as received only, so that no letter's case can be changed alone. The one in
/// lower case comes first: it is the same delivery whichever way its id is sent.
fn contents(head: &Head, time: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let query = form::pairs(head.query().unwrap_or_default().as_bytes()).ok_or(NO_QUERY)?;
    let resource = id(form::one(&query, b"data.id"))?;
    let request = id(head.find_str(REQUEST_ID))?;
    let manifest = |resource: Option<&[u8]>| {
        let mut manifest = Vec::new();
        for (name, value) in [(&b"id"[..], resource), (b"request-id", request), (b"ts", Some(time))] {
            if let Some(value) = value {
                manifest.extend_from_slice(&[name, b":", value, b";"].concat());
            }
        }
        manifest
    };
    let mut contents = vec![manifest(resource)];
    if let Some(resource) = resource
        && resource.iter().any(u8::is_ascii_uppercase)
        && !resource.iter().any(u8::is_ascii_lowercase)
    {
        contents.insert(0, manifest(Some(&resource.to_ascii_lowercase())));
    }
    Ok(contents)
}

/// A signed id; an empty one is none.
fn id(found: Found<'_>) -> Result<Option<&[u8]>, Refusal> {
    match found {
        Found::Nothing | Found::One(b"") => Ok(None),
        Found::Several => Err(SEVERAL_IDS),
        Found::One(id) if id.iter().all(|byte| byte.is_ascii_graphic() && !b":;".contains(byte)) => Ok(Some(id)),
        Found::One(_) => Err(NOT_DIVIDED),
    }
}

#[cfg(test)]
mod tests;
