//! Mercado Pago: two ids and a time, never the body (schemes: Code; the provider's own library,
//! `mercadopago` 3.6.0 for Python).
//!
//! An absent id is left out of the signed content. An id that holds a separator is therefore
//! refused: it could imitate the parts that are left out. The provider sends the time in seconds or
//! in milliseconds, and the number of digits shows which: no number is a likely time in both units.

use super::reading;
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{
    Begun, CodeKey, ProviderCode, RouteFacts, SignRequest, Stamp, Statement,
};
use crate::scheme::refusals::NONE_IN_LIST;
use crate::scheme::{Algorithm, Items, Place, Role, Source};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SIGNATURE: &str = "x-signature";
const REQUEST_ID: &str = "x-request-id";
const ALGORITHM: Algorithm = Algorithm::HmacSha256;

const NOT_ONE_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the signature header does not hold exactly one timestamp",
);
const NO_TIME: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp is not a plain decimal number without a leading zero",
);
const NO_QUERY: Refusal = Refusal::because(
    Code::MalformedSignature,
    "data.id of the query is signed, but the query is not well formed",
);
const SEVERAL_IDS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "data.id or x-request-id, which are signed, is there more than once, or under a name that a \
     program may read as the same (data_id)",
);
const NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a signed id holds a colon, a semicolon, white space, or a character that is not visible ASCII",
);

/// Mercado Pago's code.
#[derive(Debug)]
pub(super) struct MercadoPago;

impl ProviderCode for MercadoPago {
    fn name(&self) -> &'static str {
        "mercadopago"
    }

    fn content_words(&self) -> &'static str {
        "the ids of resource and request, and the time"
    }

    fn secret_words(&self) -> &'static str {
        "the secret signature of the application: its bytes are the key"
    }

    fn timestamp_words(&self) -> Option<&'static str> {
        Some("`ts` in the signature's header, seconds or milliseconds")
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURE, REQUEST_ID]
    }

    fn reads_beside_headers(&self) -> Vec<(Role, Source)> {
        vec![(Role::Signed, Source::Query("data.id".to_owned()))]
    }

    fn covers_body(&self) -> bool {
        false
    }

    fn spellings(&self) -> usize {
        2
    }

    fn has_own_id(&self) -> bool {
        true
    }

    fn signs_timestamp(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Header(name) if name.is_one_of(&[REQUEST_ID]))
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let (time, signatures) = listed(head)?;
        let timestamp = Some(timestamp(time)?);
        Ok(Begun {
            timestamp,
            signatures,
            algorithm: ALGORITHM,
            timestamp_text: time.to_vec(),
            expires: None,
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        _body: &[u8],
        _route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let contents = contents(head, &begun.timestamp_text)?;
        Ok(reading::statement(contents, Vec::new(), begun))
    }

    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let mut headers = Vec::new();
        if let Some(id) = request.id {
            headers.push((REQUEST_ID.to_owned(), id.to_owned()));
        }
        let head = reading::unsigned(request, &headers)?;
        let time = Unit::Milliseconds.write(request.at).ok_or(NO_TIME)?;
        let contents = contents(&head, time.as_bytes())?;
        let content = contents.first().map_or(&[][..], Vec::as_slice);
        let signed = reading::completed(headers, SIGNATURE, content, key, Encoding::Hex);
        Ok(signed.map(|mut headers| {
            if let Some((_, signature)) = headers.last_mut() {
                *signature = format!("ts={time},v1={signature}");
            }
            headers
        }))
    }
}

/// The timestamp and the signatures that the header lists. Items with an unknown label, and
/// signatures of another encoding or length, are skipped.
fn listed(head: &Head) -> Result<(&[u8], Vec<Vec<u8>>), Refusal> {
    let list =
        reading::signature_text(head, SIGNATURE)?.ok_or(Refusal::from(Code::MissingSignature))?;
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
    let [time] = times.as_slice() else {
        return Err(NOT_ONE_TIME);
    };
    Ok((time, signatures))
}

/// The timestamp: up to 11 digits are seconds, more digits milliseconds. Eleven digits reach to the
/// year 5138 as seconds, and only to 1973 as milliseconds.
fn timestamp(text: &[u8]) -> Result<Stamp, Refusal> {
    const SECONDS_DIGITS: usize = 11;
    let unit = if text.len() <= SECONDS_DIGITS {
        Unit::Seconds
    } else {
        Unit::Milliseconds
    };
    Ok((unit.parse(text).ok_or(NO_TIME)?, unit))
}

/// The signed content for each spelling of the resource's id.
///
/// The provider documents that the id is signed in lower case, whereas its libraries sign it as
/// received. An id in capitals is therefore tried in both ways. An id of mixed case is tried only
/// as received, so that an attacker cannot change the case of a single letter. The content in lower
/// case comes first, and replay protection recognises a delivery by the first content, in whichever
/// way its id is sent.
fn contents(head: &Head, time: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let query = form::pairs(head.query().unwrap_or_default().as_bytes()).ok_or(NO_QUERY)?;
    let resource = id(form::one(&query, b"data.id"))?;
    let request = id(head.find_str(REQUEST_ID))?;
    let manifest = |resource: Option<&[u8]>| {
        let mut manifest = Vec::new();
        for (name, value) in [
            (&b"id"[..], resource),
            (b"request-id", request),
            (b"ts", Some(time)),
        ] {
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

/// A signed id; `None` where it is absent or empty.
fn id(found: Found<'_>) -> Result<Option<&[u8]>, Refusal> {
    match found {
        Found::Nothing | Found::One(b"") => Ok(None),
        Found::Several => Err(SEVERAL_IDS),
        Found::One(id)
            if id
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b":;".contains(byte)) =>
        {
            Ok(Some(id))
        }
        Found::One(_) => Err(NOT_DIVIDED),
    }
}

#[cfg(test)]
mod tests;
