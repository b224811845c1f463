//! Plivo, version 3: the URL with its sorted query, the sorted form fields, and a nonce (schemes:
//! Code; the provider's own libraries, `plivo` 4.63.0 for Python and 4.79.0 for Node).
//!
//! Two headers sign the same content: `X-Plivo-Signature-V3` with the token of the account that a
//! call belongs to, `X-Plivo-Signature-Ma-V3` with the token of its main account. Each lists
//! signatures, and any valid signature in either list is enough. Only a dot separates the query
//! from the fields, and nothing separates names from values, so two bodies can have the same signed
//! content: replay protection therefore compares the content, not the body.

use super::reading;
use super::reading::{BODY_NOT_SIGNED, BodyKind, NO_FORM};
use crate::notation::encoding::Encoding;
use crate::notation::form;
use crate::notation::timestamp::Unit;
use crate::scheme::code::{Begun, CodeKey, ProviderCode, RouteFacts, SignRequest, Statement};
use crate::scheme::refusals::NONE_IN_LIST;
use crate::scheme::{Algorithm, Items, Place, PublicUrl};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{Found, Head};

const SIGNATURES: [&str; 2] = ["X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3"];
const NONCE: &str = "X-Plivo-Signature-V3-Nonce";
const ALGORITHM: Algorithm = Algorithm::HmacSha256;

const NO_NONCE: Refusal = Refusal::because(
    Code::MalformedSignature,
    "X-Plivo-Signature-V3-Nonce, which is signed, is missing",
);
const SEVERAL_NONCES: Refusal = Refusal::because(
    Code::MalformedSignature,
    "X-Plivo-Signature-V3-Nonce is there more than once",
);
const NONCE_NOT_DIVIDED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the nonce holds a dot, which separates it from the rest of the signed content",
);
const OTHER_METHOD: Refusal = Refusal::because(
    Code::MalformedSignature,
    "deliveries of this scheme are signed for GET and POST alone",
);
const NO_QUERY: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the query is signed, but is not well formed",
);

/// Plivo's code, version 3.
#[derive(Debug)]
pub(super) struct PlivoV3;

impl ProviderCode for PlivoV3 {
    fn name(&self) -> &'static str {
        "plivo-v3"
    }

    fn content_words(&self) -> &'static str {
        "the URL, the form's fields, sorted, and a nonce"
    }

    fn secret_words(&self) -> &'static str {
        "the account's auth token: its bytes are the key"
    }

    fn covers_body(&self) -> bool {
        true
    }

    fn spellings(&self) -> usize {
        reading::MOST_URLS
    }

    fn headers(&self) -> &'static [&'static str] {
        &[SIGNATURES[0], SIGNATURES[1], NONCE]
    }

    fn signs_url(&self) -> bool {
        true
    }

    fn has_own_id(&self) -> bool {
        true
    }

    fn signs(&self, place: &Place) -> bool {
        matches!(place, Place::Header(name) if name.is_one_of(&[NONCE]))
    }

    fn begin(&self, head: &Head) -> Result<Begun, Refusal> {
        let signatures = signatures(head)?;
        nonce(head)?;
        Ok(Begun {
            signatures,
            algorithm: ALGORITHM,
            ..Begun::default()
        })
    }

    fn read(
        &self,
        head: &Head,
        begun: Begun,
        body: &[u8],
        route: RouteFacts<'_>,
    ) -> Result<Statement, Refusal> {
        let (urls, rest) = contents(head, body, route.public_url)?;
        // The signature covers the fields of a form, and no JSON text.
        Ok(Statement {
            text: Some(Vec::new()),
            ..reading::statement(urls, rest, begun)
        })
    }

    /// Signs with the event's id as the nonce, or with the time where there is no id.
    fn sign(
        &self,
        key: CodeKey<'_>,
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let nonce = request
            .id
            .map(str::to_owned)
            .or_else(|| Unit::Milliseconds.write(request.at))
            .ok_or(NO_NONCE)?;
        let headers = vec![(NONCE.to_owned(), nonce)];
        let head = reading::unsigned(request, &headers)?;
        let (urls, rest) = contents(
            &head,
            request.body,
            request.public_url.map(PublicUrl::new).as_ref(),
        )?;
        let [name, _] = SIGNATURES;
        Ok(reading::completed(
            headers,
            name,
            &[urls.into_iter().next().unwrap_or_default(), rest].concat(),
            key,
            Encoding::Base64,
        ))
    }
}

/// The decoded signatures of both headers, at most [`Items::LIMIT`]. Items of another encoding or
/// length are skipped.
fn signatures(head: &Head) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut found = Vec::new();
    let mut is_there = false;
    for name in SIGNATURES {
        let Some(list) = reading::signature_text(head, name)? else {
            continue;
        };
        is_there = true;
        let room = Items::LIMIT.saturating_sub(found.len());
        let decoded = |text: &[u8]| reading::decoded(text, Encoding::Base64, ALGORITHM);
        found.extend(
            list.split(|byte| *byte == b',')
                .filter_map(decoded)
                .take(room),
        );
    }
    match (is_there, found.is_empty()) {
        (false, _) => Err(Code::MissingSignature.into()),
        (true, true) => Err(NONE_IN_LIST),
        (true, false) => Ok(found),
    }
}

fn nonce(head: &Head) -> Result<&[u8], Refusal> {
    match head.find_str(NONCE) {
        Found::Nothing | Found::One(b"") => Err(NO_NONCE),
        Found::Several => Err(SEVERAL_NONCES),
        Found::One(nonce) if nonce.contains(&b'.') => Err(NONCE_NOT_DIVIDED),
        Found::One(nonce) => Ok(nonce),
    }
}

/// The signed content: the spellings of the URL, and the rest.
fn contents(
    head: &Head,
    body: &[u8],
    public_url: Option<&PublicUrl>,
) -> Result<(Vec<Vec<u8>>, Vec<u8>), Refusal> {
    let nonce = nonce(head)?;
    let mut sent = match (head.method(), reading::body_kind(head)?) {
        ("GET" | "POST", _) if body.is_empty() => Vec::new(),
        ("POST", BodyKind::Form | BodyKind::Unsaid) => form::pairs(body).ok_or(NO_FORM)?,
        ("GET" | "POST", _) => return Err(BODY_NOT_SIGNED),
        _ => return Err(OTHER_METHOD),
    };
    if sent.is_empty() && !body.is_empty() {
        return Err(BODY_NOT_SIGNED);
    }
    let mut asked = form::pairs(head.query().unwrap_or_default().as_bytes()).ok_or(NO_QUERY)?;
    sent.sort_unstable();
    asked.sort_unstable();
    let query: Vec<_> = asked
        .iter()
        .map(|(name, value)| [name.as_slice(), b"=", value].concat())
        .collect();
    let mut rest = Vec::new();
    if !asked.is_empty() || !sent.is_empty() {
        rest.push(b'?');
        rest.extend(query.join(&b'&'));
    }
    if !asked.is_empty() && !sent.is_empty() {
        rest.push(b'.');
    }
    for (name, value) in &sent {
        rest.extend_from_slice(name);
        rest.extend_from_slice(value);
    }
    rest.push(b'.');
    rest.extend_from_slice(nonce);
    Ok((reading::urls(public_url, head.path())?, rest))
}

#[cfg(test)]
mod tests;
